//! What all requests share: the cluster, the topics, the logs, and the few rules that need several
//! of them at once.

use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use ottla_coordinator::group::offsets;
use ottla_metadata::controller::{
    self, CreateTopics, CreatedTopic, DeletedTopic, MorePartitions, NewTopic, ProducerIdBlock,
    RECORDS_PER_REQUEST_MAX, Refused, TopicDefaults, TopicToDelete,
};
use ottla_metadata::image::{Image, Partition};
use ottla_network::Request;
use ottla_protocol::error_code::ErrorCode;
use ottla_storage::manager::LogManager;
use ottla_storage::partition_dir::TopicPartition;

use crate::api::{FetchKey, Unanswerable};
use crate::clock::{Clock, Entropy};
use crate::cluster::Cluster;
use crate::commits::Commits;
use crate::config::{BrokerConfig, Endpoint, Layers, Overrides, StaticConfig};
use crate::config_rules::Rules;
use crate::delayed::Timer;
use crate::directories::Directory;
use crate::dynamic::{Dynamic, layers_of};
use crate::fetch_session::FetchSessions;
use crate::groups::{Groups, OFFSETS_TOPIC};
use crate::metadata_log::MetadataLogError;
use crate::noise::Noise;
use crate::topics::{Topic, Topics};

/// What a client may do with a topic where nobody is refused anything: a bit for each operation
/// (READ 3, WRITE 4, CREATE 5, DELETE 6, ALTER 7, DESCRIBE 8, DESCRIBE_CONFIGS 10,
/// ALTER_CONFIGS 11), as KIP-430 numbers them.
pub const TOPIC_OPERATIONS: i32 = 0x0df8;
/// The same for the cluster: CREATE, ALTER, DESCRIBE, CLUSTER_ACTION 9, DESCRIBE_CONFIGS,
/// ALTER_CONFIGS, IDEMPOTENT_WRITE 12.
pub const CLUSTER_OPERATIONS: i32 = 0x1fa0;

/// The same for a group: READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
pub const GROUP_OPERATIONS: i32 = 0x0d48;

/// The features that are told to clients, with the levels that are served. The metadata log may
/// have higher ones, since Kafka must be able to go on from it.
pub const SERVED_FEATURES: &[(&str, RangeInclusive<i16>)] = &[
    ("eligible.leader.replicas.version", 0..=1),
    ("group.version", 0..=1),
    ("kraft.version", 0..=1),
    ("metadata.version", 7..=30),
    ("share.version", 0..=0),
    ("streams.version", 0..=0),
    ("transaction.version", 0..=0),
];

/// The state of a running broker.
pub struct Node {
    /// This node, for what is to be done later.
    pub(crate) me: Weak<Node>,
    /// The settings obeyed that only a restart changes.
    pub config: BrokerConfig,
    /// Those that change while the broker runs: see [`Node::dynamic`].
    pub(crate) dynamic: Dynamic,
    /// The settings as they were written.
    pub statics: StaticConfig,
    /// The cluster's id, the same for ever.
    pub cluster_id: String,
    /// Where clients of each listener are told to connect, with real ports.
    pub endpoints: Vec<Endpoint>,
    /// The cluster image and the controller.
    pub cluster: Cluster,
    /// The topics served.
    pub topics: Topics,
    /// All logs.
    pub logs: LogManager,
    /// The log directories in use.
    pub directories: Vec<Directory>,
    /// Deadlines of requests that wait.
    pub timer: Timer,
    /// Deadlines of groups. Those wait for the locks of groups, which no request's deadline shall.
    pub group_timer: Timer,
    /// Appends that wait for a sync.
    pub(crate) commits: Commits,
    /// The wall clock.
    pub clock: Clock,
    /// Random bytes.
    pub entropy: Entropy,
    /// Messages about requests that have no answer.
    pub(crate) refused: Noise,
    /// Messages about disks that fail.
    pub(crate) failures: Noise,
    /// Fetch sessions.
    pub sessions: Mutex<FetchSessions<FetchKey>>,
    /// The groups.
    pub groups: Groups,
    /// What is left of the block of producer ids.
    pub producer_ids: Mutex<Option<ProducerIdBlock>>,
}

impl Node {
    /// The fetch sessions, to be held shortly.
    pub fn fetch_sessions(&self) -> MutexGuard<'_, FetchSessions<FetchKey>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What clients of a listener are told to connect to.
    pub fn endpoint_for(&self, listener: usize) -> &Endpoint {
        self.endpoints.get(listener).unwrap_or(&self.endpoints[0])
    }

    /// Calls `look` with the settings of this broker in their layers.
    pub fn with_layers<T>(&self, look: impl FnOnce(Layers<'_>) -> T) -> T {
        self.with_layers_of(&self.cluster.image(), look)
    }

    /// [`Node::with_layers`], of an image that may not be shown yet.
    pub fn with_layers_of<T>(&self, image: &Image, look: impl FnOnce(Layers<'_>) -> T) -> T {
        let none = Overrides::new();
        look(layers_of(self.config.node_id, &self.statics, image, &none))
    }

    /// The replicas of a partition that nobody can reach: of brokers that are gone, or in a log
    /// directory of this one that has failed. `served` is the partition's topic on this broker.
    pub fn offline_replicas(
        &self,
        image: &Image,
        served: Option<&Topic>,
        index: i32,
        partition: &Partition,
    ) -> Vec<i32> {
        let is_offline = |replica: &&i32| {
            if **replica != self.config.node_id {
                return !image.is_broker_active(**replica);
            }
            let Some(topic) = served else { return true };
            match topic.partition(index) {
                Ok(here) => !here.log.log_dir().is_online(),
                // A replica that is not led here is not served, and may be whole all the same.
                Err(ErrorCode::NOT_LEADER_OR_FOLLOWER) => {
                    let log = self.logs.get(&TopicPartition::new(&topic.name, index));
                    log.is_none_or(|log| !log.log_dir().is_online())
                }
                Err(_) => true,
            }
        };
        partition.replicas.iter().filter(is_offline).copied().collect()
    }

    /// Notes why a connection is closed.
    pub fn note_refused(&self, request: &Request, reason: &Unanswerable) {
        let peer = request.connection.peer;
        match reason {
            Unanswerable::Unwritable(error) => {
                self.failures.say(log::Level::Error, format_args!("no answer to {peer}: {error}"));
            }
            reason => {
                self.refused.say(log::Level::Info, format_args!("closing {peer}: {reason}"));
            }
        }
    }

    /// Creates topics; each is ready when this returns.
    pub fn create_topics<'a>(
        &self,
        asked: &CreateTopics<'a>,
    ) -> Vec<(&'a str, Result<CreatedTopic, Refused>)> {
        let defaults = TopicDefaults {
            num_partitions: self.config.topics.num_partitions,
            replication_factor: i16::try_from(self.config.topics.default_replication_factor)
                .unwrap_or(i16::MAX),
        };
        let decided = self.cluster.change(
            self.clock.now_ms(),
            |image| {
                self.with_layers_of(image, |layers| {
                    let mut random = || self.entropy.bytes();
                    controller::create_topics(
                        image,
                        asked,
                        defaults,
                        &Rules { layers, config: &self.config },
                        &mut random,
                    )
                })
            },
            |before, after| {
                let names = asked.topics.iter().map(|topic| topic.name);
                self.carry_out(before, after, names);
            },
        );
        self.note_directories(asked.topics.iter().map(|topic| topic.name));
        decided.unwrap_or_else(|error| {
            let refused = self.not_written(&error);
            asked.topics.iter().map(|topic| (topic.name, Err(refused.clone()))).collect()
        })
    }

    /// Creates topics that a client asked about, with default settings. What cannot be created is
    /// told by their absence.
    pub fn auto_create(&self, names: &[&str]) {
        if names.is_empty() {
            return;
        }
        let new_topic = |name| NewTopic {
            name,
            num_partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        };
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        // So many are refused together, so that none of them need be tried.
        if names.len() > RECORDS_PER_REQUEST_MAX {
            return;
        }
        // The broker's own topics are made by the coordinators that need them, with their settings.
        if names.contains(&OFFSETS_TOPIC) && self.groups.prepare(self).is_err() {
            log::info!("did not create {OFFSETS_TOPIC}, which a client asked about");
        }
        names.retain(|name| !crate::topics::is_internal(name));
        let topics = names.into_iter().map(new_topic).collect();
        let created = self.create_topics(&CreateTopics { topics, validate_only: false });
        for (name, result) in created {
            match result {
                Ok(_) => log::info!("created topic {name}, which a client asked about"),
                Err(refused) => {
                    let name = name.escape_debug();
                    self.refused.say(
                        log::Level::Info,
                        format_args!("did not create topic \"{name}\": {refused}"),
                    );
                }
            }
        }
    }

    /// Deletes topics; they are gone for clients when this returns.
    pub fn delete_topics(&self, asked: &[TopicToDelete<'_>]) -> Vec<DeletedTopic> {
        let names = std::cell::RefCell::new(Vec::new());
        let decided = self.cluster.change(
            self.clock.now_ms(),
            |image| {
                let (records, deleted) = controller::delete_topics(image, asked);
                *names.borrow_mut() =
                    deleted.iter().filter_map(|topic| topic.name.clone()).collect();
                (records, deleted)
            },
            |before, after| {
                let names = names.borrow();
                self.carry_out(before, after, names.iter().map(|name| &**name));
            },
        );
        if let Ok(deleted) = &decided {
            let gone = deleted.iter().filter(|topic| topic.result.is_ok()).filter_map(|topic| {
                Some(offsets::DeletedTopic { name: topic.name.as_deref()?, id: topic.id })
            });
            self.groups.forget_topics(self, &gone.collect::<Vec<_>>());
        }
        decided.unwrap_or_else(|error| {
            let refused = self.not_written(&error);
            let answer = |topic: &TopicToDelete<'_>| DeletedTopic {
                name: topic.name.map(str::to_owned),
                id: topic.id,
                result: Err(refused.clone()),
            };
            asked.iter().map(answer).collect()
        })
    }

    /// Adds partitions to topics; they are ready when this returns.
    pub fn create_partitions<'a>(
        &self,
        asked: &[MorePartitions<'a>],
        validate_only: bool,
    ) -> Vec<(&'a str, Result<(), Refused>)> {
        let decided = self.cluster.change(
            self.clock.now_ms(),
            |image| {
                let mut random = || self.entropy.bytes();
                controller::create_partitions(image, asked, validate_only, &mut random)
            },
            |before, after| {
                self.carry_out(before, after, asked.iter().map(|topic| topic.name));
            },
        );
        self.note_directories(asked.iter().map(|topic| topic.name));
        decided.unwrap_or_else(|error| {
            let refused = self.not_written(&error);
            asked.iter().map(|topic| (topic.name, Err(refused.clone()))).collect()
        })
    }

    /// A producer id that nobody has had.
    ///
    /// # Errors
    /// When a new block of ids cannot be written down.
    pub fn next_producer_id(&self) -> Result<i64, Refused> {
        let mut block = self.producer_ids.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = match block.take() {
            Some(left) if left.len > 0 => left,
            _ => self.allocate_producer_ids()?,
        };
        let id = left.first;
        left.first += 1;
        left.len -= 1;
        *block = Some(left);
        Ok(id)
    }

    fn allocate_producer_ids(&self) -> Result<ProducerIdBlock, Refused> {
        let node_id = self.config.node_id;
        let decided = self.cluster.change(
            self.clock.now_ms(),
            |image| {
                let epoch = image.brokers().get(&node_id).map_or(-1, |broker| broker.epoch);
                match controller::allocate_producer_ids(image, node_id, epoch) {
                    Ok((records, block)) => (records, Ok(block)),
                    Err(refused) => (controller::Records::new(), Err(refused)),
                }
            },
            |_, _| {},
        );
        decided.unwrap_or_else(|error| Err(self.not_written(&error)))
    }

    /// What a client is told when the metadata log cannot be written.
    pub(crate) fn not_written(&self, error: &MetadataLogError) -> Refused {
        self.failures.say(log::Level::Error, format_args!("the metadata log: {error}"));
        Refused::new(ErrorCode::KAFKA_STORAGE_ERROR, "The metadata log cannot be written.")
    }
}
