//! Subscriptions to clients' metrics (KIP-714): their keys, and which values they take. They are
//! kept and told; clients are asked for nothing yet.

use super::def::ConfigDef;
use super::keys::keys;
use super::layers::Overrides;

/// The keys of a subscription, sorted by name.
pub const CLIENT_METRICS_KEYS: &[ConfigDef] = keys! {
    Int "interval.ms" = "300000", Between(100, 3_600_000), ClusterWide, NotYet,
        "How often a client that matches sends the metrics.";
    List "match" = "", Any, ClusterWide, NotYet,
        "Which clients: `label=regex` pairs, all of which must match; empty for every client.";
    List "metrics" = "", Any, ClusterWide, NotYet,
        "Prefixes of the metrics' names; `*` for all, empty for none.";
};

/// What a client can be told apart by.
const LABELS: &[&str] = &[
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Why a subscription cannot have a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidSubscription {
    /// For INVALID_REQUEST: an unknown key, an interval out of range.
    Request(String),
    /// For INVALID_CONFIG: a value of a wrong type or form.
    Config(String),
}

/// The declaration of the key `name`.
pub fn find(name: &str) -> Option<&'static ConfigDef> {
    CLIENT_METRICS_KEYS.iter().find(|def| def.name == name)
}

/// Whether a subscription may have the settings `entries`, all of those that it is to have.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_client_metrics(entries: &Overrides) -> Result<(), InvalidSubscription> {
    if let Some(unknown) = entries.keys().find(|key| find(key).is_none()) {
        let message = format!("Unknown client metrics configuration: {unknown}");
        return Err(InvalidSubscription::Request(message));
    }
    if let Some(text) = entries.get("interval.ms") {
        let Ok(ms) = text.trim().parse::<i32>() else {
            let message = format!(
                "Invalid value {text} for configuration interval.ms: Not a number of type INT"
            );
            return Err(InvalidSubscription::Config(message));
        };
        if !(100..=3_600_000).contains(&ms) {
            let message = format!(
                "Invalid value {ms} for interval.ms, interval must be between 100 and 3600000 \
                 (1 hour)"
            );
            return Err(InvalidSubscription::Request(message));
        }
    }
    let patterns = entries.get("match").map(|text| text.trim()).filter(|text| !text.is_empty());
    for pattern in patterns.into_iter().flat_map(|text| text.split(',')).map(str::trim) {
        if !is_pattern(pattern) {
            let message = format!("Illegal client matching pattern: {pattern}");
            return Err(InvalidSubscription::Config(message));
        }
    }
    Ok(())
}

fn is_pattern(text: &str) -> bool {
    let Some((label, regex)) = text.split_once('=') else { return false };
    let (label, regex) = (label.trim(), regex.trim());
    LABELS.contains(&label) && !regex.is_empty() && !regex.contains('=') && is_regex(regex)
}

/// Whether `text` can be a regular expression of Java's: brackets and parentheses are closed, no
/// repetition lacks what it repeats, no backslash lacks what it escapes.
fn is_regex(text: &str) -> bool {
    let mut chars = text.chars().peekable();
    let mut open = 0_usize;
    let mut can_repeat = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(_) => can_repeat = true,
                None => return false,
            },
            '[' => {
                // A closing bracket that comes first stands for itself.
                let _ = chars.next_if_eq(&'^');
                let _ = chars.next_if_eq(&']');
                let mut depth = 1_usize;
                while depth > 0 {
                    match chars.next() {
                        Some('\\') if chars.next().is_none() => return false,
                        Some('[') => depth += 1,
                        Some(']') => depth -= 1,
                        Some(_) => {}
                        None => return false,
                    }
                }
                can_repeat = true;
            }
            '(' => {
                open += 1;
                let _ = chars.next_if_eq(&'?');
                can_repeat = false;
            }
            ')' if open == 0 => return false,
            ')' => {
                open -= 1;
                can_repeat = true;
            }
            '*' | '+' | '?' if !can_repeat => return false,
            '*' | '+' | '?' => {
                // Reluctant and possessive forms.
                if chars.next_if_eq(&'?').is_none() {
                    let _ = chars.next_if_eq(&'+');
                }
                can_repeat = false;
            }
            '|' => can_repeat = false,
            _ => can_repeat = true,
        }
    }
    open == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entries: &[(&str, &str)]) -> Result<(), InvalidSubscription> {
        let entries = entries.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        check_client_metrics(&entries.collect())
    }

    #[test]
    fn what_a_subscription_takes() {
        let six = "client_instance_id=b69cc35a-7a54-4790-aa69-cc2bd4ee4538,client_id=x.*,\
                   client_software_name=x,client_software_version=1.*,\
                   client_source_address=1.2.3.4,client_source_port=5";
        for (key, value) in [
            ("interval.ms", "100"),
            ("interval.ms", " 3600000 "),
            ("metrics", "org.apache.kafka.producer."),
            ("metrics", "*"),
            ("metrics", ""),
            ("match", ""),
            ("match", "client_id=a,client_id=b"),
            ("match", "client_id=(a|b)+?[^]x]*\\d{2}"),
            ("match", six),
        ] {
            assert_eq!(check(&[(key, value)]), Ok(()), "{key}={value}");
        }
    }

    #[test]
    fn what_it_does_not_take() {
        for (key, value, is_request) in [
            ("interval.ms", "99", true),
            ("interval.ms", "3600001", true),
            ("interval.ms", "0", true),
            ("interval.ms", "x", false),
            ("interval.ms", "", false),
            ("interval.ms", "9999999999", false),
            ("match", "client_id", false),
            ("match", "bogus=x", false),
            ("match", "client_id=[", false),
            ("match", "client_id=(a", false),
            ("match", "client_id=a)", false),
            ("match", "client_id=*", false),
            ("match", "client_id=a\\", false),
            ("match", "a=b=c", false),
            ("match", "client_id=", false),
            ("match", "client_id=a,,client_id=b", false),
            ("bogus", "1", true),
            ("", "1", true),
        ] {
            let refused = check(&[(key, value)]).unwrap_err();
            let told = matches!(refused, InvalidSubscription::Request(_));
            assert_eq!(told, is_request, "{key}={value}: {refused:?}");
        }
    }
}
