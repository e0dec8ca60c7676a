//! Topics and their partitions, and the replay of the records about them.

use super::{ReplayError, SharedMap};
use ottla_protocol::metadata::topic::{
    ClearElrRecord, PartitionChangeRecord, PartitionRecord, RemoveTopicRecord, TopicRecord,
};
use ottla_protocol::uuid::Uuid;
use std::sync::Arc;

/// In a partition change: the leader stays.
pub const NO_LEADER_CHANGE: i32 = -2;
/// The leader of a partition that has none.
pub const NO_LEADER: i32 = -1;

/// A topic; its name and id never change.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id.
    pub id: Uuid,
    /// Its partitions by number.
    pub partitions: SharedMap<i32, Partition>,
}

/// A partition's replicas and its leadership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The brokers that hold it; the first is the preferred leader.
    pub replicas: Vec<i32>,
    /// The replicas that are in sync.
    pub isr: Vec<i32>,
    /// The replicas that a reassignment takes away.
    pub removing_replicas: Vec<i32>,
    /// The replicas that a reassignment adds.
    pub adding_replicas: Vec<i32>,
    /// Replicas out of the ISR that still have every committed record (KIP-966).
    pub elr: Vec<i32>,
    /// The last leader, while there is none.
    pub last_known_elr: Vec<i32>,
    /// The log directory of each of `replicas`, in their order.
    pub directories: Vec<Uuid>,
    /// The leader, [`NO_LEADER`] for none.
    pub leader: i32,
    /// 1 after an unclean election, until the leader has recovered; 0 otherwise.
    pub leader_recovery_state: i8,
    /// Grows with each change of `leader`.
    pub leader_epoch: i32,
    /// Grows with each change.
    pub partition_epoch: i32,
}

impl Partition {
    fn from_record(record: &PartitionRecord) -> Result<Self, ReplayError> {
        let mut directories = record.directories.clone();
        if directories.is_empty() {
            directories = vec![Uuid::MIGRATING_DIR; record.replicas.len()];
        }
        let partition = Partition {
            replicas: record.replicas.clone(),
            isr: record.isr.clone(),
            removing_replicas: record.removing_replicas.clone(),
            adding_replicas: record.adding_replicas.clone(),
            elr: record.eligible_leader_replicas.clone().unwrap_or_default(),
            last_known_elr: record.last_known_elr.clone().unwrap_or_default(),
            directories,
            leader: record.leader,
            leader_recovery_state: record.leader_recovery_state,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
        };
        partition.check(record.topic_id, record.partition_id)?;
        Ok(partition)
    }

    /// The partition after a change: what the record leaves out stays, the partition epoch grows,
    /// and the leader epoch grows when a leader is named, be it the same.
    fn changed(&self, record: &PartitionChangeRecord) -> Result<Self, ReplayError> {
        let epoch_error = ReplayError::PartitionEpoch {
            topic_id: record.topic_id,
            partition: record.partition_id,
        };
        let mut next = self.clone();
        set(&mut next.replicas, &record.replicas);
        set(&mut next.isr, &record.isr);
        set(&mut next.removing_replicas, &record.removing_replicas);
        set(&mut next.adding_replicas, &record.adding_replicas);
        set(&mut next.elr, &record.eligible_leader_replicas);
        set(&mut next.last_known_elr, &record.last_known_elr);
        set(&mut next.directories, &record.directories);
        if record.directories.is_none() && next.directories.len() != next.replicas.len() {
            // The record is of a version that has no directories.
            next.directories = vec![Uuid::MIGRATING_DIR; next.replicas.len()];
        }
        if record.leader != NO_LEADER_CHANGE {
            next.leader = record.leader;
            next.leader_epoch = self.leader_epoch.checked_add(1).ok_or(epoch_error.clone())?;
        }
        if record.leader_recovery_state >= 0 {
            next.leader_recovery_state = record.leader_recovery_state;
        }
        next.partition_epoch = self.partition_epoch.checked_add(1).ok_or(epoch_error)?;
        next.check(record.topic_id, record.partition_id)?;
        Ok(next)
    }

    fn check(&self, topic_id: Uuid, partition: i32) -> Result<(), ReplayError> {
        let (replicas, directories) = (self.replicas.len(), self.directories.len());
        if replicas != directories {
            return Err(ReplayError::DirectoriesCount {
                topic_id,
                partition,
                replicas,
                directories,
            });
        }
        if self.leader_epoch < 0 || self.partition_epoch < 0 {
            return Err(ReplayError::PartitionEpoch { topic_id, partition });
        }
        Ok(())
    }
}

fn set<T: Clone>(field: &mut Vec<T>, change: &Option<Vec<T>>) {
    if let Some(change) = change {
        field.clone_from(change);
    }
}

/// All topics, found by name and by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topics {
    by_name: SharedMap<Arc<str>, Arc<Topic>>,
    names: SharedMap<Uuid, Arc<str>>,
    /// The names that have a `.` or a `_`, by [`folded_key`].
    folded: SharedMap<Arc<str>, Arc<str>>,
    partition_count: usize,
}

/// A name with each `.` made a `_`: names collide when that makes them equal, as it does in the
/// names of metrics. `None` for a name that has neither, with which no other can collide.
pub(crate) fn folded(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

/// Where a name is found by its folded form: names that collide are neighbors.
fn folded_key(folded: &str, name: &str) -> String {
    format!("{folded}\0{name}")
}

impl Topics {
    /// How many topics there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// How many partitions all topics have together.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// The topic of that name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// The topic with that id.
    pub fn by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.by_name.get(self.names.get(&id)?)
    }

    /// A partition of the topic of that name.
    pub fn partition(&self, name: &str, partition: i32) -> Option<&Partition> {
        self.by_name(name)?.partitions.get(&partition)
    }

    /// All topics, names ascending (by bytes).
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// The topics whose names are `from` or above, ascending.
    pub fn iter_from<'a>(&'a self, from: &str) -> impl Iterator<Item = &'a Arc<Topic>> {
        self.by_name.iter_from(from).map(|(_, topic)| topic)
    }

    /// A topic of another name that is the same as this one when `.` and `_` are.
    pub fn colliding(&self, name: &str) -> Option<&str> {
        let first = folded_key(&folded(name)?, "");
        let neighbors = self.folded.iter_from(&*first);
        let mut same = neighbors.take_while(|(key, _)| key.starts_with(&first));
        same.find(|(_, other)| ***other != *name).map(|(_, other)| &**other)
    }

    pub(super) fn replay_topic(&mut self, record: &TopicRecord<'_>) -> Result<(), ReplayError> {
        let (name, id) = (record.name, record.topic_id);
        if name.is_empty() || id.is_zero() {
            return Err(ReplayError::TopicNameless { id });
        }
        if let Some(topic) = self.by_name(name) {
            return Err(ReplayError::TopicExists { name: name.into(), id: topic.id });
        }
        if let Some(name) = self.names.get(&id) {
            return Err(ReplayError::TopicIdExists { name: name.to_string(), id });
        }
        let name: Arc<str> = name.into();
        let topic = Topic { name: Arc::clone(&name), id, partitions: SharedMap::new() };
        self.by_name.insert(Arc::clone(&name), Arc::new(topic));
        if let Some(folded) = folded(&name) {
            self.folded.insert(folded_key(&folded, &name).into(), Arc::clone(&name));
        }
        self.names.insert(id, name);
        Ok(())
    }

    pub(super) fn replay_partition(&mut self, record: &PartitionRecord) -> Result<(), ReplayError> {
        let (topic_id, number) = (record.topic_id, record.partition_id);
        if number < 0 {
            return Err(ReplayError::PartitionUnknown { topic_id, partition: number });
        }
        let partition = Partition::from_record(record)?;
        if self.topic_mut(topic_id)?.partitions.insert(number, partition).is_none() {
            self.partition_count += 1;
        }
        Ok(())
    }

    pub(super) fn replay_partition_change(
        &mut self,
        record: &PartitionChangeRecord,
    ) -> Result<(), ReplayError> {
        let (topic_id, number) = (record.topic_id, record.partition_id);
        let topic = self.topic_mut(topic_id)?;
        let Some(partition) = topic.partitions.get_mut(&number) else {
            return Err(ReplayError::PartitionUnknown { topic_id, partition: number });
        };
        *partition = partition.changed(record)?;
        Ok(())
    }

    /// Forgets eligible leaders of one topic, or of all when the record names none.
    pub(super) fn replay_clear_elr(
        &mut self,
        record: &ClearElrRecord<'_>,
    ) -> Result<(), ReplayError> {
        let ids: Vec<Uuid> = if record.topic_name.is_empty() {
            self.by_name.values().map(|topic| topic.id).collect()
        } else {
            let topic = self.by_name(record.topic_name);
            let name = record.topic_name;
            vec![topic.ok_or(ReplayError::TopicUnknown { name: name.into() })?.id]
        };
        for id in ids {
            self.clear_elr(id)?;
        }
        Ok(())
    }

    fn clear_elr(&mut self, topic_id: Uuid) -> Result<(), ReplayError> {
        let has_elr = |(number, partition): (&i32, &Partition)| {
            let has = !partition.elr.is_empty() || !partition.last_known_elr.is_empty();
            has.then_some(*number)
        };
        let Some(topic) = self.by_id(topic_id) else { return Ok(()) };
        let numbers: Vec<i32> = topic.partitions.iter().filter_map(has_elr).collect();
        for partition_id in numbers {
            self.replay_partition_change(&PartitionChangeRecord {
                partition_id,
                topic_id,
                leader: NO_LEADER_CHANGE,
                leader_recovery_state: -1,
                eligible_leader_replicas: Some(vec![]),
                last_known_elr: Some(vec![]),
                ..PartitionChangeRecord::default()
            })?;
        }
        Ok(())
    }

    pub(super) fn replay_remove_topic(
        &mut self,
        record: &RemoveTopicRecord,
    ) -> Result<Arc<Topic>, ReplayError> {
        let id = record.topic_id;
        let name = self.names.remove(&id).ok_or(ReplayError::TopicIdUnknown { id })?;
        let topic = self.by_name.remove(&*name).expect("each id's name is that of a topic");
        if let Some(folded) = folded(&name) {
            self.folded.remove(&*folded_key(&folded, &name));
        }
        self.partition_count -= topic.partitions.len();
        Ok(topic)
    }

    fn topic_mut(&mut self, id: Uuid) -> Result<&mut Topic, ReplayError> {
        let name = self.names.get(&id).ok_or(ReplayError::TopicIdUnknown { id })?;
        let topic = self.by_name.get_mut(&**name).expect("each id's name is that of a topic");
        Ok(Arc::make_mut(topic))
    }
}
