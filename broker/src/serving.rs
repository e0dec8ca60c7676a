//! From the image to what is served: opening, making and removing logs as topics come and go.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_metadata::image::{Image, Partition as PartitionImage, Topic as TopicImage};
use ottla_storage::log::PartitionLog;
use ottla_storage::manager::NewPartition;
use ottla_storage::partition_dir::TopicPartition;

use crate::commits::CommitQueue;
use crate::config::{Overrides, TopicConfig};
use crate::delayed::{Event, WaitList};
use crate::groups::OFFSETS_TOPIC;
use crate::node::Node;
use crate::topic_settings::TopicSettings;
use crate::topics::{NotServed, Partition, Topic};

impl Node {
    /// The settings of a topic.
    pub(crate) fn topic_settings(&self, image: &Image, name: &str) -> TopicSettings {
        settings_of(image, name, |overrides| {
            self.with_layers_of(image, |layers| TopicConfig::effective(layers, overrides))
        })
    }

    /// Serves every topic of the image, as at a start.
    pub(crate) fn serve_all(&self, image: &Image) {
        self.make_logs(image, image.topics().iter().map(|topic| &**topic));
        let topics: Vec<Topic> =
            image.topics().iter().map(|topic| self.serve(image, topic, None)).collect();
        self.topics.put(topics);
    }

    /// Tries once more to open what could not be opened, on a disk that was full perhaps.
    pub(crate) fn serve_unopened(&self) {
        let (topics, image) = (self.topics.all(), self.cluster.image());
        for topic in topics.iter().filter(|topic| self.may_open_more(&image, topic)) {
            self.cluster.hold(|image| {
                let Some(new) = image.topics().by_id(topic.id) else { return };
                // What is served now, and not what was before the lock: partitions that were added
                // between would be taken for new, and who waits at them would never be woken.
                let Some(topic) = self.topics.by_id(topic.id) else { return };
                let served = self.serve(image, new, Some(&topic));
                if served.unopened_count() < topic.unopened_count() {
                    log::info!("more partitions of topic {} are served", topic.name);
                    self.topics.put([served]);
                    self.groups.follow(self);
                }
            });
        }
    }

    /// Whether a partition of a topic that is not served might be one now. A start has told of
    /// those that are damaged, or in a directory that is not here: they wait for the next one.
    fn may_open_more(&self, image: &Image, topic: &Topic) -> bool {
        let Some(known) = image.topics().by_id(topic.id) else { return false };
        known.partitions.iter().any(|(index, partition)| {
            topic.partition(*index).is_err()
                && self.leads(partition)
                && self.missing_directory(partition).is_none()
                && self.logs.damaged_log(&TopicPartition::new(&topic.name, *index)).is_none()
        })
    }

    /// Whether the cluster has this broker lead a partition. One with a replica here that another
    /// broker leads, or nobody, is not served: what others have committed may not be here.
    pub(crate) fn leads(&self, partition: &PartitionImage) -> bool {
        self.leader_of(partition).is_some()
    }

    /// The leader that clients are told: this broker or none, for no other one is to be reached.
    pub(crate) fn leader_of(&self, partition: &PartitionImage) -> Option<i32> {
        Some(partition.leader).filter(|leader| *leader == self.config.node_id)
    }

    /// Brings what is served, of topics of these names, to what the image says.
    pub(crate) fn carry_out<'a>(
        &self,
        before: &Image,
        after: &Image,
        names: impl Iterator<Item = &'a str>,
    ) {
        let (mut changed, mut replaced) = (Vec::new(), Vec::new());
        let mut holds_groups = false;
        for name in names {
            holds_groups |= name == OFFSETS_TOPIC;
            let (old, new) = (before.topics().by_name(name), after.topics().by_name(name));
            let is_replaced = old.is_some_and(|old| new.is_none_or(|new| new.id != old.id));
            if is_replaced && let Some(old) = old {
                replaced.push(&**old);
            }
            let is_changed = old.is_none_or(|old| new.is_some_and(|new| !Arc::ptr_eq(old, new)));
            if is_changed && let Some(new) = new {
                changed.push(&**new);
            }
        }
        self.remove(&replaced);
        self.make_logs(after, changed.iter().copied());
        let mut served = Vec::with_capacity(changed.len());
        for new in changed {
            let known = self.topics.by_name(&new.name).filter(|known| known.id == new.id);
            served.push(self.serve(after, new, known.as_deref()));
        }
        if !served.is_empty() {
            let before: Vec<_> =
                served.iter().filter_map(|topic| self.topics.by_id(topic.id)).collect();
            self.topics.put(served);
            // Who waits at a partition whose leadership has changed learns of that.
            for topic in before {
                topic.partitions().for_each(|partition| partition.fetches.signal(Event::Gone));
            }
        }
        if holds_groups {
            self.groups.follow(self);
        }
    }

    /// Makes the logs that this broker leads, of these topics, and that are not there, many at a
    /// time. What cannot be made is told of by [`Node::serve`], which tries once more.
    fn make_logs<'a>(&self, image: &Image, topics: impl Iterator<Item = &'a TopicImage>) {
        let (mut new, mut epochs) = (Vec::new(), HashMap::new());
        for topic in topics {
            let mut config = None;
            for (index, partition) in topic.partitions.iter() {
                let topic_partition = TopicPartition::new(&topic.name, *index);
                if !self.leads(partition)
                    || self.logs.get(&topic_partition).is_some()
                    || self.logs.damaged_log(&topic_partition).is_some()
                    || self.missing_directory(partition).is_some()
                {
                    continue;
                }
                let config =
                    config.get_or_insert_with(|| self.topic_settings(image, &topic.name).log);
                if epochs.insert(topic_partition.clone(), partition.leader_epoch).is_some() {
                    continue;
                }
                let config = config.clone();
                new.push(NewPartition { topic_partition, topic_id: topic.id, config });
            }
        }
        self.logs.create_all(&new, self.clock.now_ms(), &|new, log| {
            epochs.get(&new.topic_partition).map_or(Ok(()), |epoch| log.begin_leader_epoch(*epoch))
        });
    }

    /// A topic with its logs open. Partitions that are served already go on as they are, unless
    /// their leadership has changed; those that this broker does not lead are not served.
    fn serve(&self, image: &Image, topic: &TopicImage, known: Option<&Topic>) -> Topic {
        let settings = self.topic_settings(image, &topic.name);
        let shared = match known.and_then(|known| known.partitions().next()) {
            Some(partition) => Arc::clone(&partition.settings),
            None => Arc::new(ArcSwap::from_pointee(settings.clone())),
        };
        let serve = |(index, partition): (&i32, &PartitionImage)| {
            if !self.leads(partition) {
                return Err(NotServed::NotLed);
            }
            let served = known.and_then(|known| known.partition(*index).ok());
            if let Some(served) = served.filter(|served| served.is_led_as(partition)) {
                return Ok(Arc::clone(served));
            }
            let new = NewPartition {
                topic_partition: TopicPartition::new(&topic.name, *index),
                topic_id: topic.id,
                config: settings.log.clone(),
            };
            if self.logs.damaged_log(&new.topic_partition).is_some() {
                return Err(NotServed::Unopened);
            }
            let led = self.lead(new, partition);
            if let Err(error) = &led {
                let said = format_args!("partition {}-{index} is not served: {error}", topic.name);
                self.failures.say(log::Level::Error, said);
            }
            let partition = Partition {
                log: led.map_err(|_| NotServed::Unopened)?,
                leader_epoch: partition.leader_epoch,
                replica_count: partition.replicas.len(),
                isr_count: partition.isr.len(),
                settings: Arc::clone(&shared),
                fetches: WaitList::default(),
                commits: CommitQueue::default(),
            };
            Ok(Arc::new(partition))
        };
        let partitions = topic.partitions.iter().map(serve).collect();
        Topic::new(Arc::clone(&topic.name), topic.id, partitions)
    }

    /// The log of a partition that this broker leads, made if it is a new one.
    fn lead(
        &self,
        new: NewPartition,
        partition: &PartitionImage,
    ) -> Result<Arc<PartitionLog>, String> {
        let is_known = self.logs.get(&new.topic_partition).is_some();
        if !is_known && let Some(id) = self.missing_directory(partition) {
            return Err(format!(
                "it lies in the log directory with the directory.id {id}, which is not online; \
                 restore that directory to log.dirs"
            ));
        }
        let log = self.logs.create(new, self.clock.now_ms()).map_err(|error| error.to_string())?;
        log.begin_leader_epoch(partition.leader_epoch).map_err(|error| error.to_string())?;
        Ok(log)
    }

    fn remove(&self, topics: &[&TopicImage]) {
        if topics.is_empty() {
            return;
        }
        let served = self.topics.remove(topics.iter().map(|topic| &*topic.name));
        let mut gone = Vec::new();
        for topic in topics {
            gone.extend(topic.partitions.iter().map(|(index, _)| {
                let unique = u128::from_ne_bytes(self.entropy.bytes());
                (TopicPartition::new(&topic.name, *index), unique)
            }));
        }
        if let Err(error) = self.logs.delete_all(&gone, self.clock.now_ms()) {
            log::error!("not every partition of deleted topics is removed: {error}");
        }
        // Who waits for records learns at once that there will be none.
        for topic in served {
            topic.partitions().for_each(|partition| partition.fetches.signal(Event::Gone));
        }
    }
}

/// The settings of a topic, by a rule that makes the effective ones from those it sets itself.
pub(crate) fn settings_of(
    image: &Image,
    name: &str,
    effective: impl FnOnce(&Overrides) -> TopicConfig,
) -> TopicSettings {
    let none = Overrides::new();
    TopicSettings::new(&effective(image.configs().topic(name).unwrap_or(&none)))
}
