//! Changing configs: what this broker checks itself, what its controller decides, and what follows.

use ottla_metadata::controller::{self, ConfigChange, Refused};
use ottla_metadata::image::ConfigResourceType;

use crate::config_rules::Rules;
use crate::node::Node;

/// How a request changes a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Key by key: the others stay.
    Incremental,
    /// As a whole: keys that are not named go.
    Replace,
}

impl Node {
    /// Changes configs; what can act at once does so when this returns. The answers are in the
    /// order of the request. See [`controller::incremental_alter_configs`] for the refusals.
    pub fn alter_configs(
        &self,
        asked: &[ConfigChange<'_>],
        way: Way,
        validate_only: bool,
    ) -> Vec<Result<(), Refused>> {
        let decided = self.cluster.change(
            self.clock.now_ms(),
            |image| {
                self.with_layers_of(image, |layers| {
                    let rules = Rules { layers };
                    let decide = match way {
                        Way::Incremental => controller::incremental_alter_configs,
                        Way::Replace => controller::alter_configs,
                    };
                    decide(image, asked, validate_only, &rules)
                })
            },
            |before, after| {
                let changed: Vec<_> = asked
                    .iter()
                    .filter_map(|change| {
                        let kind = ConfigResourceType::from_code(change.resource_type)?;
                        Some((kind, change.resource_name))
                    })
                    .collect();
                self.carry_out_configs(before, after, &changed);
            },
        );
        decided.unwrap_or_else(|error| {
            let refused = self.not_written(&error);
            asked.iter().map(|_| Err(refused.clone())).collect()
        })
    }
}
