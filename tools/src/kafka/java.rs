//! What shows through of Java: the order of its maps, and the names of its exceptions.

use ottla_client::{Error, ErrorKind, TopicPartition};

/// `String.hashCode`.
pub(crate) fn hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, c| hash.wrapping_mul(31).wrapping_add(u32::from(c)))
}

/// `TopicPartition.hashCode`.
pub(super) fn hash_of_partition(at: &TopicPartition) -> u32 {
    let of_index = 31_u32.wrapping_add(at.partition.cast_unsigned());
    of_index.wrapping_mul(31).wrapping_add(hash(&at.topic))
}

/// Puts entries into the order in which a `HashMap` has them that they were put into one by one.
pub(super) fn map_order<T>(entries: &mut [T], hash: impl Fn(&T) -> u32) {
    map_order_from(16, entries, hash);
}

/// [`map_order`] of a map that was made for as many entries as it has.
pub(super) fn sized_map_order<T>(entries: &mut [T], hash: impl Fn(&T) -> u32) {
    map_order_from(entries.len().next_power_of_two(), entries, hash);
}

fn map_order_from<T>(mut buckets: usize, entries: &mut [T], hash: impl Fn(&T) -> u32) {
    while entries.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    entries.sort_by_key(|entry| {
        let hash = hash(entry);
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
}

/// `Double.toString`.
pub(super) fn double(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() || size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{number:?}").replace("inf", "Infinity");
    }
    let text = format!("{number:e}").to_uppercase();
    match text.split_once('E') {
        Some((digits, power)) if !digits.contains('.') => format!("{digits}.0E{power}"),
        _ => text,
    }
}

/// What the exception for it says.
pub(super) fn message(error: &Error) -> String {
    let name = error.code().and_then(|code| code.name()).unwrap_or_default();
    match (error.detail(), name) {
        ("", "UNKNOWN_TOPIC_OR_PARTITION") => {
            "This server does not host this topic-partition.".to_owned()
        }
        ("", "GROUP_ID_NOT_FOUND") => "The group id does not exist.".to_owned(),
        ("", "NON_EMPTY_GROUP") => "The group is not empty.".to_owned(),
        ("", "GROUP_SUBSCRIBED_TO_TOPIC") => "Deleting offsets of a topic is forbidden while the \
                                              consumer group is actively subscribed to it."
            .to_owned(),
        ("", "OFFSET_OUT_OF_RANGE") => {
            "The requested offset is not within the range of offsets maintained by the server."
                .to_owned()
        }
        ("", "INVALID_GROUP_ID") => "The group id is invalid.".to_owned(),
        ("", "UNKNOWN_MEMBER_ID") => "The coordinator is not aware of this member.".to_owned(),
        ("", _) => error.to_string(),
        (detail, _) => detail.to_owned(),
    }
}

/// The exception with its class, as it is printed.
pub(super) fn exception(error: &Error) -> String {
    format!("org.apache.kafka.common.errors.{}: {}", class(error), message(error))
}

/// A number as `%.Nf` prints it.
pub(super) fn fixed(number: f64, digits: usize) -> String {
    if number.is_infinite() {
        let sign = if number < 0.0 { "-" } else { "" };
        return format!("{sign}Infinity");
    }
    format!("{number:.digits$}")
}

fn class(error: &Error) -> String {
    let name = match error.kind() {
        ErrorKind::Timeout(_) | ErrorKind::Network => return "TimeoutException".to_owned(),
        ErrorKind::UnsupportedVersion => "UNSUPPORTED_VERSION",
        _ => error.code().and_then(|code| code.name()).unwrap_or("UNKNOWN_SERVER"),
    };
    match name {
        "INVALID_CONFIG" => return "InvalidConfigurationException".to_owned(),
        "TOPIC_ALREADY_EXISTS" => return "TopicExistsException".to_owned(),
        "NON_EMPTY_GROUP" => return "GroupNotEmptyException".to_owned(),
        "COORDINATOR_LOAD_IN_PROGRESS" => return "CoordinatorLoadInProgressException".to_owned(),
        _ => {}
    }
    let mut class = String::new();
    for word in name.trim_end_matches("_EXCEPTION").split('_') {
        let (first, rest) = word.split_at(word.len().min(1));
        class.push_str(first);
        class.push_str(&rest.to_ascii_lowercase());
    }
    class + "Exception"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_have_javas_names() {
        let none = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        assert_eq!(none.map(|none| fixed(none, 4)), ["NaN", "Infinity", "-Infinity"]);
        assert_eq!(fixed(0.25, 4), "0.2500");
    }

    #[test]
    fn numbers_are_written_as_java_writes_them() {
        for (number, text) in [
            (0.0, "0.0"),
            (50.0, "50.0"),
            (0.001, "0.001"),
            (0.000_25, "2.5E-4"),
            (9_999_999.0, "9999999.0"),
            (10_000_000.0, "1.0E7"),
            (-12_345_678.5, "-1.23456785E7"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(double(number), text);
        }
    }

    #[test]
    fn maps_made_for_their_entries_have_fewer_buckets() {
        let mut names = ["producer_byte_rate", "consumer_byte_rate"];
        map_order(&mut names, |name| hash(name));
        assert_eq!(names, ["producer_byte_rate", "consumer_byte_rate"]);
        sized_map_order(&mut names, |name| hash(name));
        assert_eq!(names, ["consumer_byte_rate", "producer_byte_rate"]);
    }

    #[test]
    fn maps_have_javas_order() {
        let mut all: Vec<_> = (0..3).map(|index| TopicPartition::new("t1", index)).collect();
        map_order(&mut all, hash_of_partition);
        assert_eq!(all.iter().map(|at| at.partition).collect::<Vec<_>>(), [2, 1, 0]);
        let mut names = ["retention.ms", "cleanup.policy", "__consumer_offsets", "t1", "t2"];
        map_order(&mut names, |name| hash(name));
        assert_eq!(names, ["cleanup.policy", "retention.ms", "t1", "__consumer_offsets", "t2"]);
    }
}
