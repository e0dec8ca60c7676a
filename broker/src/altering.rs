//! Changing configs: what this broker checks itself, what its controller decides, and what follows.

use std::collections::BTreeMap;

use ottla_metadata::controller::{self, ConfigChange, ConfigOperation, Refused};
use ottla_metadata::image::ConfigResourceType;
use ottla_protocol::error_code::ErrorCode;

use crate::config_rules::Rules;
use crate::loggers;
use crate::node::Node;

/// How a request changes a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Key by key: the others stay.
    Incremental,
    /// As a whole: keys that are not named go.
    Replace,
}

type Answer = Result<(), Refused>;

impl Node {
    /// Changes configs; what can act at once does so when this returns. The answers are in the
    /// order of the request. See [`controller::incremental_alter_configs`] for the refusals.
    pub fn alter_configs(
        &self,
        asked: &[ConfigChange<'_>],
        way: Way,
        validate_only: bool,
    ) -> Vec<Answer> {
        let mut answers = self.answer_some(asked, way, validate_only);
        let pairs = asked.iter().zip(&answers);
        let open = pairs.filter(|(_, answer)| answer.is_none());
        let left: Vec<ConfigChange<'_>> = open.map(|(change, _)| change.clone()).collect();
        let mut decided = self.decide_configs(&left, way, validate_only).into_iter();
        if left.iter().any(|change| change.resource_type == ConfigResourceType::Broker.code()) {
            self.note_cordoned();
        }
        for answer in answers.iter_mut().filter(|answer| answer.is_none()) {
            *answer = decided.next();
        }
        // One for each that was left, as the controller promises.
        answers.into_iter().flatten().collect()
    }

    /// What is answered without the controller: resources that come twice, those of other brokers,
    /// and the levels of loggers.
    fn answer_some(
        &self,
        asked: &[ConfigChange<'_>],
        way: Way,
        validate_only: bool,
    ) -> Vec<Option<Answer>> {
        let mut times: BTreeMap<(i8, &str), usize> = BTreeMap::new();
        for change in asked {
            *times.entry((change.resource_type, change.resource_name)).or_default() += 1;
        }
        let answer = |change: &ConfigChange<'_>| {
            if times[&(change.resource_type, change.resource_name)] > 1 {
                return Some(invalid("Each resource must appear at most once."));
            }
            match ConfigResourceType::from_code(change.resource_type) {
                Some(ConfigResourceType::BrokerLogger) if way == Way::Incremental => {
                    Some(self.alter_loggers(change, validate_only))
                }
                Some(ConfigResourceType::Broker) if !change.resource_name.is_empty() => {
                    self.check_own(change.resource_name).err().map(Err)
                }
                _ => None,
            }
        };
        asked.iter().map(answer).collect()
    }

    /// Each broker answers for itself, since it knows what can change there.
    fn check_own(&self, name: &str) -> Answer {
        let expected = self.config.node_id;
        match name.parse::<i32>() {
            Err(_) => invalid(format!("Node id must be an integer, but it is: {name}")),
            Ok(id) if id == expected => Ok(()),
            Ok(id) => {
                invalid(format!("Unexpected broker id, expected {expected}, but received {id}"))
            }
        }
    }

    fn alter_loggers(&self, change: &ConfigChange<'_>, validate_only: bool) -> Answer {
        controller::check_steps(&change.operations)?;
        self.check_own(change.resource_name)?;
        let mut levels = Vec::new();
        for step in &change.operations {
            levels.push(new_level(step)?);
        }
        if !validate_only {
            for (logger, level) in levels {
                loggers::set(logger, level);
            }
        }
        Ok(())
    }

    fn decide_configs(
        &self,
        asked: &[ConfigChange<'_>],
        way: Way,
        validate_only: bool,
    ) -> Vec<Answer> {
        let decided = self.cluster.change(
            self.clock.now_ms(),
            |image| {
                self.with_layers_of(image, |layers| {
                    let rules = Rules { layers, config: &self.config };
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

fn invalid(message: impl Into<String>) -> Answer {
    Err(Refused::new(ErrorCode::INVALID_REQUEST, message.into()))
}

/// The logger and the level that a step gives it; `None` for that of the root.
fn new_level(
    step: &ConfigOperation<'_>,
) -> Result<(&'static str, Option<log::LevelFilter>), Refused> {
    let name = step.key;
    let config = |message: String| Refused::new(ErrorCode::INVALID_CONFIG, message);
    let request = |message: String| Refused::new(ErrorCode::INVALID_REQUEST, message);
    let known =
        || loggers::find(name).ok_or_else(|| config(format!("Logger {name} does not exist!")));
    match step.operation {
        ConfigOperation::SET => {
            let logger = known()?;
            let text = step.value.unwrap_or_default();
            let level = loggers::level(text).ok_or_else(|| {
                config(format!(
                    "Cannot set the log level of {name} to {text} as it is not a supported log \
                     level. Valid log levels are {}",
                    loggers::LEVELS.join(", ")
                ))
            })?;
            Ok((logger, Some(level)))
        }
        ConfigOperation::DELETE => match known()? {
            loggers::ROOT => {
                Err(request("Removing the log level of the root logger is not allowed".to_owned()))
            }
            logger => Ok((logger, None)),
        },
        ConfigOperation::APPEND | ConfigOperation::SUBTRACT => {
            let verb =
                if step.operation == ConfigOperation::APPEND { "APPEND" } else { "SUBTRACT" };
            Err(request(format!("{verb} operation is not allowed for the BROKER_LOGGER resource")))
        }
        other => Err(Refused::new(
            ErrorCode::UNKNOWN_SERVER_ERROR,
            format!("Unknown operations type {other}"),
        )),
    }
}
