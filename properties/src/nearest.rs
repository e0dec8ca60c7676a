//! Which known name an unknown one was probably meant to be.

/// The name of `names` with the least edit distance to `name`, when at most half of
/// `name` differ; beyond that a guess only distracts.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let is_near = |distance: usize| distance * 2 <= name.len();
    names
        // Lengths bound the distance from below: a long name from the network costs nothing.
        .filter(|known| is_near(known.len().abs_diff(name.len())))
        .map(|known| (distance(name, known), known))
        .min()
        .filter(|(distance, _)| is_near(*distance))
        .map(|(_, known)| known)
}

/// How many bytes to insert, delete or change to turn `from` into `to`.
fn distance(from: &str, to: &str) -> usize {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    // The row of the table for one byte less of `from`: distances to each prefix of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn far_names_are_no_guess() {
        let names = ["num.partitions", "num.io.threads"];
        assert_eq!(nearest("num.partition", names.into_iter()), Some("num.partitions"));
        assert_eq!(nearest("my.own.setting", names.into_iter()), None);
    }
}
