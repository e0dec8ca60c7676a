//! Values that Kafka gets from elsewhere: `${provider:path:key}`, where `config.providers` names
//! the provider. Providers are classes, so none can be asked here, and to take such a value as it
//! is written would be to start with another file than Kafka does.

use super::error::Problem;
use super::statics::{Setting, StaticConfig};
use super::value::Value;

/// The names in `config.providers`.
pub(super) fn named(config: &StaticConfig) -> Vec<String> {
    match config.known("config.providers") {
        Ok(Some(Value::List(names))) => names,
        _ => Vec::new(),
    }
}

/// What is wrong with a value that one of `providers` would give. As under Kafka, text of this form
/// that names none of them is only text.
pub(super) fn problem(providers: &[String], key: &str, setting: &Setting) -> Option<Problem> {
    let provider = providers.iter().find(|name| refers_to(&setting.value, name))?;
    Some(Problem {
        place: setting.origin.to_string(),
        subject: format!("{key}={}", setting.value),
        wrong: format!("is to come from the config provider {provider:?}, which Ottla cannot ask"),
        valid: "the value itself".to_owned(),
        next: format!("write the value itself, or give it by --override {key}=VALUE"),
    })
}

fn refers_to(value: &str, provider: &str) -> bool {
    value.match_indices("${").any(|(at, _)| {
        let reference = value[at + 2..].split_once('}').map(|(reference, _)| reference);
        reference.and_then(|text| text.split_once(':')).is_some_and(|(name, _)| name == provider)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_what_kafka_takes_for_some() {
        for value in ["${env:A}", "x${env:/a/b:key}y", "${other:A}${env:B}", "${env:}"] {
            assert!(refers_to(value, "env"), "{value}");
        }
        for value in ["", "$env:A", "${env}", "${env:A", "${ env:A}", "{env:A}", "${envy:A}"] {
            assert!(!refers_to(value, "env"), "{value}");
        }
    }
}
