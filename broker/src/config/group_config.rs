//! The settings of one group, as plain values.

use super::field::Field;
use super::group_keys;
use super::keys;
use super::layers::{Layers, Overrides};

/// Declares the struct and how it is read, one line a field.
macro_rules! group_config {
    ($($field:ident: $type:ty = $name:literal;)*) => {
        /// The effective settings of one group: what is set on the group, else what the broker key
        /// `group.<name>` says. A field is named after its key; times are milliseconds.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each field is the key of its name; see GROUP_KEYS")]
        pub struct GroupConfig {
            $(pub $field: $type,)*
        }

        impl GroupConfig {
            /// The settings of a group whose own ones are `group`.
            pub fn effective(layers: Layers<'_>, group: &Overrides) -> Self {
                Self { $($field: Field::of(layers.group_value(key($name), group)),)* }
            }
        }

        #[cfg(test)]
        pub(super) const FIELDS: &[(&str, &str)] = &[$((stringify!($field), $name)),*];
    };
}

group_config! {
    consumer_assignment_interval_ms: i32 = "consumer.assignment.interval.ms";
    consumer_heartbeat_interval_ms: i32 = "consumer.heartbeat.interval.ms";
    consumer_session_timeout_ms: i32 = "consumer.session.timeout.ms";
}

fn key(name: &str) -> &'static super::ConfigDef {
    group_keys::find(name).expect("fields name keys of the table")
}

/// The broker key from which a group key takes its default; some have none.
pub(super) fn broker_key(def: &super::ConfigDef) -> Option<&'static super::ConfigDef> {
    keys::find(&format!("group.{}", def.name))
}
