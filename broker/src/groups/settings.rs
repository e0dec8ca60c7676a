//! The broker's settings as the coordinator takes them.

use ottla_coordinator::group::config::{GroupConfig, MigrationPolicy};
use ottla_metadata::features::GROUP_VERSION;
use ottla_metadata::image::Image;

use crate::config::{self, BrokerConfig, Overrides, StaticConfig};
use crate::dynamic::layers_of;

/// The settings of all groups under an image.
pub(crate) fn group_config(
    config: &BrokerConfig,
    statics: &StaticConfig,
    image: &Image,
) -> GroupConfig {
    let none = Overrides::new();
    let layers = layers_of(config.node_id, statics, image, &none);
    let defaults = config::GroupConfig::effective(layers, &Overrides::new());
    let (groups, offsets) = (&config.groups, &config.offsets);
    let protocols = &groups.group_coordinator_rebalance_protocols;
    GroupConfig {
        min_session_timeout_ms: groups.group_min_session_timeout_ms,
        max_session_timeout_ms: groups.group_max_session_timeout_ms,
        initial_rebalance_delay_ms: groups.group_initial_rebalance_delay_ms,
        max_size: groups.group_max_size,
        consumer_groups: protocols.iter().any(|protocol| protocol == "consumer")
            && image.feature_level(GROUP_VERSION) > 0,
        consumer_session_timeout_ms: defaults.consumer_session_timeout_ms,
        consumer_heartbeat_interval_ms: defaults.consumer_heartbeat_interval_ms,
        consumer_assignment_interval_ms: defaults.consumer_assignment_interval_ms,
        consumer_max_size: groups.group_consumer_max_size,
        consumer_assignors: groups.group_consumer_assignors.clone(),
        consumer_migration_policy: migration_policy(&groups.group_consumer_migration_policy),
        consumer_regex_refresh_interval_ms: groups.group_consumer_regex_refresh_interval_ms,
        offset_metadata_max_bytes: offsets.offset_metadata_max_bytes,
        offsets_retention_ms: i64::from(offsets.offsets_retention_minutes) * 60_000,
    }
}

/// Other names were refused when the settings were read; case does not matter.
fn migration_policy(name: &str) -> MigrationPolicy {
    match &*name.to_ascii_lowercase() {
        "upgrade" => MigrationPolicy::Upgrade,
        "downgrade" => MigrationPolicy::Downgrade,
        "disabled" => MigrationPolicy::Disabled,
        _ => MigrationPolicy::Bidirectional,
    }
}
