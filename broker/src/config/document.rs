//! The page `docs/CONFIG.md`, written from the tables.

use std::fmt::Write as _;

use super::client_metrics::CLIENT_METRICS_KEYS;
use super::def::{ConfigDef, Default, Dynamic, Effect};
use super::group_config::broker_key;
use super::group_keys::GROUP_KEYS;
use super::keys;
use super::topic_keys::TOPIC_KEYS;

const HEAD: &str = "\
# Settings

Ottla reads Kafka's `server.properties` unchanged: `ottla server.properties`, and
`--override key=value` for single settings. Without a file it needs none.

This page is written from the tables in `broker/src/config`; after a change there,
`UPDATE_EXPECT=1 cargo test -p ottla config_page` writes it again.

Names, types and defaults are those of Apache Kafka 4.3.1. **Ottla** says what a setting does:

- *acts*: Ottla obeys it. *Acts at once*: a change while Ottla runs does too, by
  IncrementalAlterConfigs, as `kafka-configs` sends it; what was changed holds again after a
  restart. Other settings that Kafka can change are stored and told, but act from the next start on.
- *no effect*: it is checked; one node, or a process that is no JVM, has no use for it.
- *not yet*: it is checked; what it is about is not built yet.

**Changes** says how Kafka lets it change while a broker runs: *read-only*, *per-broker*, or
*cluster-wide* (for all brokers or for one). A setting of a topic or a group can always change.
Pools of threads at most halve or double in one change.

Three settings may be one listener's own, as `listener.name.<name in lower case>.<setting>`:
`num.network.threads`, `max.connections` and `max.connection.creation.rate`.

The loggers of a broker are `root` and one for each crate, `ottla_storage` say; their levels change
at once and are forgotten at a restart.
";

/// The page.
pub fn document() -> String {
    let mut page = HEAD.to_owned();
    for (title, keys) in keys::SUBJECTS {
        head(&mut page, title, "Changes");
        for def in *keys {
            row(&mut page, def, def.dynamic.name(), def.dynamic != Dynamic::ReadOnly);
        }
    }
    head(&mut page, "Settings of a topic", "Default from");
    for key in TOPIC_KEYS {
        let names: Vec<String> =
            key.broker_keys.iter().map(|(name, _)| format!("`{name}`")).collect();
        row(&mut page, &key.def, &names.join(", "), true);
    }
    head(&mut page, "Settings of a group", "Default from");
    for def in GROUP_KEYS {
        let from = broker_key(def).map(|def| format!("`{}`", def.name));
        row(&mut page, def, &from.unwrap_or_default(), true);
    }
    head(&mut page, "Settings of a subscription to clients' metrics", "Default from");
    for def in CLIENT_METRICS_KEYS {
        row(&mut page, def, "", true);
    }
    page
}

fn head(page: &mut String, title: &str, fifth: &str) {
    let head = format!(
        "\n## {title}\n\n\
         | Setting | Type | Default | Valid | {fifth} | Ottla | What it is |\n\
         |---|---|---|---|---|---|---|\n"
    );
    page.push_str(&head);
}

/// Dynamic keys that a running broker does not follow.
const FROM_THE_NEXT_START_ON: &[&str] =
    &["listeners", "listener.security.protocol.map", "num.recovery.threads.per.data.dir"];

fn row(page: &mut String, def: &ConfigDef, fifth: &str, is_dynamic: bool) {
    let default = match def.default {
        Default::Required => "(required)".to_owned(),
        Default::Null => "null".to_owned(),
        Default::Value("") => "(empty)".to_owned(),
        Default::Value(text) => format!("`{text}`"),
    };
    let effect = match def.effect {
        Effect::Acts if is_dynamic && !FROM_THE_NEXT_START_ON.contains(&def.name) => "acts at once",
        Effect::Acts => "acts",
        Effect::NoEffect => "no effect",
        Effect::NotYet => "not yet",
    };
    let (name, kind, valid, doc) = (def.name, def.kind.name(), def.valid_words(), def.doc);
    // Writing to a string cannot fail.
    let _ =
        writeln!(page, "| `{name}` | {kind} | {default} | {valid} | {fifth} | {effect} | {doc} |");
}
