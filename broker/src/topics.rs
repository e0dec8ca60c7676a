//! The topics that this broker serves: which log stands behind a name, an id and a number.
//!
//! Every request looks here, so that looking takes no lock: the table is replaced, never changed. A
//! topic is put in after its logs are open and taken out before they are closed; who holds a
//! [`Partition`] of a topic that is gone gets errors from its log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;
use ottla_storage::log::PartitionLog;

use crate::commits::CommitQueue;
use crate::delayed::WaitList;
use crate::topic_settings::TopicSettings;

/// A topic and its partitions on this broker.
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, never zero.
    pub id: Uuid,
    partitions: Vec<Result<Arc<Partition>, NotServed>>,
}

/// Why a partition that there is is not served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotServed {
    /// This broker leads it and could not open its log.
    Unopened,
    /// This broker does not lead it, whether it has a replica or not.
    NotLed,
}

impl Topic {
    /// A topic whose partitions are numbered as they are listed.
    pub fn new(
        name: Arc<str>,
        id: Uuid,
        partitions: Vec<Result<Arc<Partition>, NotServed>>,
    ) -> Self {
        Self { name, id, partitions }
    }

    /// All partitions that can be used, in the order of their numbers.
    pub fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.partitions.iter().flatten()
    }

    /// The partition with this number.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION; KAFKA_STORAGE_ERROR for one that could not be opened,
    /// NOT_LEADER_OR_FOLLOWER for one that this broker does not lead.
    pub fn partition(&self, index: i32) -> Result<&Arc<Partition>, ErrorCode> {
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let place = usize::try_from(index).map_err(|_| unknown)?;
        let partition = self.partitions.get(place).ok_or(unknown)?;
        partition.as_ref().map_err(|why| match why {
            NotServed::Unopened => ErrorCode::KAFKA_STORAGE_ERROR,
            NotServed::NotLed => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        })
    }

    /// How many partitions it has, whether they are served here or not.
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// How many partitions that this broker leads could not be opened.
    pub fn unopened_count(&self) -> usize {
        let is_unopened = |partition: &&_| matches!(partition, Err(NotServed::Unopened));
        self.partitions.iter().filter(is_unopened).count()
    }

    /// Whether only the broker itself may write to it.
    pub fn is_internal(&self) -> bool {
        is_internal(&self.name)
    }
}

/// Whether a topic of this name is one of the broker's own (Kafka: Topic.INTERNAL_TOPICS).
pub fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

/// A partition that this broker leads.
pub struct Partition {
    /// Its log.
    pub log: Arc<PartitionLog>,
    /// The epoch in which this broker leads it, counted up by each election.
    pub leader_epoch: i32,
    /// The replicas.
    pub replica_count: usize,
    /// Those of them that are in sync.
    pub isr_count: usize,
    /// Its topic's settings in force, shared with the topic's other partitions.
    pub settings: Arc<ArcSwap<TopicSettings>>,
    /// Fetches that wait for records.
    pub fetches: WaitList,
    /// Appends that wait for a sync.
    pub(crate) commits: CommitQueue,
}

impl Partition {
    /// Whether it is served in the epoch, and with as many replicas and in-sync replicas, as the
    /// image says.
    pub fn is_led_as(&self, image: &ottla_metadata::image::Partition) -> bool {
        self.leader_epoch == image.leader_epoch
            && self.replica_count == image.replicas.len()
            && self.isr_count == image.isr.len()
    }

    /// Whether as many replicas are in sync as `min.insync.replicas` asks for; of a partition that
    /// has fewer, all of them are enough.
    pub fn is_in_sync(&self, settings: &TopicSettings) -> bool {
        self.isr_count >= settings.min_insync_replicas.min(self.replica_count)
    }

    /// Compares the epoch that a client knows with the one in force; -1 is not compared (KIP-320).
    pub fn check_epoch(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        match current_leader_epoch {
            -1 => Ok(()),
            known if known < self.leader_epoch => Err(ErrorCode::FENCED_LEADER_EPOCH),
            known if known > self.leader_epoch => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
            _ => Ok(()),
        }
    }
}

/// How a client names a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicRef {
    /// By its name.
    Name(Arc<str>),
    /// By its id.
    Id(Uuid),
}

impl TopicRef {
    /// The error for a client that names a topic so, and there is none.
    pub fn unknown(&self) -> ErrorCode {
        match self {
            Self::Name(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Self::Id(_) => ErrorCode::UNKNOWN_TOPIC_ID,
        }
    }
}

#[derive(Clone, Default)]
struct Tables {
    by_name: HashMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

/// All topics.
#[derive(Default)]
pub struct Topics {
    tables: ArcSwap<Tables>,
    /// Held while the table is replaced.
    changing: Mutex<()>,
}

impl Topics {
    /// The topic of this name.
    pub fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        self.tables.load().by_name.get(name).cloned()
    }

    /// The topic with this id.
    pub fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.tables.load().by_id.get(&id).cloned()
    }

    /// The topic that a client names.
    pub fn find(&self, topic: &TopicRef) -> Option<Arc<Topic>> {
        match topic {
            TopicRef::Name(name) => self.by_name(name),
            TopicRef::Id(id) => self.by_id(*id),
        }
    }

    /// All topics, in no order.
    pub fn all(&self) -> Vec<Arc<Topic>> {
        self.tables.load().by_name.values().cloned().collect()
    }

    /// Puts topics in, in place of those of the same name.
    pub fn put(&self, topics: impl IntoIterator<Item = Topic>) {
        self.change(|tables| {
            for topic in topics {
                let topic = Arc::new(topic);
                if let Some(old) = tables.by_name.insert(Arc::clone(&topic.name), topic.clone()) {
                    tables.by_id.remove(&old.id);
                }
                tables.by_id.insert(topic.id, topic);
            }
        });
    }

    /// Takes topics out.
    pub fn remove<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<Arc<Topic>> {
        self.change(|tables| {
            let removed = names.into_iter().filter_map(|name| tables.by_name.remove(name));
            removed.inspect(|topic| drop(tables.by_id.remove(&topic.id))).collect()
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> T {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tables = Tables::clone(&self.tables.load());
        let result = change(&mut tables);
        self.tables.store(Arc::new(tables));
        result
    }
}
