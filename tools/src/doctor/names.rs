//! The settings that there are, read from the page that documents them. The broker's tables are
//! what that page is written from, and a test of the broker's keeps the two equal.

/// A setting of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: &'static str,
    /// `INT`, `LIST`.
    pub(super) kind: &'static str,
    /// `a whole number from 0 to 2147483647`.
    pub(super) valid: &'static str,
    /// `acts`, `acts at once`, `no effect`, `not yet`.
    pub(super) effect: &'static str,
}

static PAGE: &str = include_str!("../../../docs/CONFIG.md");
/// Where the settings end that a broker's file can have.
const END: &str = "\n## Settings of a topic\n";

/// The settings of a broker.
pub(super) fn all() -> Vec<Known> {
    let broker = PAGE.split_once(END).map_or(PAGE, |(broker, _)| broker);
    broker.lines().filter_map(row).collect()
}

fn row(line: &'static str) -> Option<Known> {
    let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
    let name = cells.next()?.strip_suffix('`')?;
    let (kind, _default, valid) = (cells.next()?, cells.next()?, cells.next()?);
    let (_changes, effect) = (cells.next()?, cells.next()?);
    Some(Known { name, kind, valid, effect })
}

impl Known {
    /// What is wrong with a value.
    pub(super) fn wrong(&self, value: &str) -> Option<String> {
        let wrong = || Some(format!("not {}", self.valid));
        match self.kind {
            "BOOLEAN"
                if !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") =>
            {
                wrong()
            }
            "INT" | "LONG" | "SHORT" => {
                let Ok(number) = value.parse::<i64>() else { return wrong() };
                let (min, max) = self.bounds();
                let fits = match self.kind {
                    "INT" => i32::try_from(number).is_ok(),
                    "SHORT" => i16::try_from(number).is_ok(),
                    _ => true,
                };
                if fits && min <= number && number <= max { None } else { wrong() }
            }
            "DOUBLE" if value.parse::<f64>().is_err() => wrong(),
            _ => None,
        }
    }

    /// The bounds of `a whole number from 0 to 9`, `a whole number, at least 0`.
    fn bounds(&self) -> (i64, i64) {
        let number = |text: &str| text.split([' ', ',']).next().and_then(|n| n.parse().ok());
        let after = |word: &str| self.valid.split_once(word).and_then(|(_, rest)| number(rest));
        let min = after("from ").or(after("at least ")).unwrap_or(i64::MIN);
        let max = after(" to ").unwrap_or(i64::MAX);
        (min, max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Known {
        all().into_iter().find(|known| known.name == name).unwrap()
    }

    #[test]
    fn the_page_has_the_settings_of_a_broker() {
        let all = all();
        assert!(all.len() > 300, "{}", all.len());
        assert_eq!(known("log.dirs").kind, "LIST");
        assert_eq!(known("node.id").effect, "acts");
        assert_eq!(known("ssl.keystore.location").effect, "not yet");
        // A topic's own setting is none of the broker's.
        assert!(all.iter().all(|known| known.name != "cleanup.policy"));
        let effects = ["acts", "acts at once", "no effect", "not yet"];
        assert!(all.iter().all(|known| effects.contains(&known.effect)));
    }

    #[test]
    fn values_are_checked_by_their_kind() {
        for (name, value, wrong) in [
            ("num.partitions", "0", Some("not a whole number from 1 to 2147483647")),
            ("num.partitions", "3", None),
            ("num.partitions", "3000000000", Some("not a whole number from 1 to 2147483647")),
            ("num.partitions", "3k", Some("not a whole number from 1 to 2147483647")),
            ("log.initial.task.delay.ms", "-1", Some("not a whole number, at least 0")),
            ("delete.topic.enable", "yes", Some("not true or false")),
            ("delete.topic.enable", "TRUE", None),
            ("log.retention.bytes", "-1", None),
            ("broker.rack", "", None),
        ] {
            assert_eq!(known(name).wrong(value).as_deref(), wrong, "{name}={value}");
        }
    }
}
