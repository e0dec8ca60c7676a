//! Which log directory holds which partition, as the cluster is told (KIP-858).
//!
//! A broker with several directories chooses one for each new partition, and tells the controller.
//! When a directory is missing at a later start, its partitions are known to be in it: they are
//! offline until it is back, and are not made anew, empty, in another one.

use std::path::{Path, PathBuf};

use ottla_metadata::controller::{self, Records, Refused};
use ottla_metadata::image::{Image, Partition as PartitionImage};
use ottla_protocol::uuid::Uuid;
use ottla_storage::partition_dir::TopicPartition;

use crate::node::Node;

/// A log directory and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// Its `directory.id`.
    pub id: Uuid,
}

/// A directory's path as clients are told it. One that is not UTF-8 is told as well as can be.
pub(crate) fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.to_string_lossy().into_owned()
}

impl Node {
    /// Whether a log directory is not to get new partitions.
    pub(crate) fn is_cordoned(&self, path: &Path) -> bool {
        let image = self.cluster.image();
        let cordoned = image.brokers().get(&self.config.node_id);
        let cordoned = cordoned.and_then(|broker| broker.cordoned_directories.as_deref());
        let here = self.directories.iter().find(|directory| directory.path == path);
        here.is_some_and(|here| cordoned.is_some_and(|list| list.contains(&here.id)))
    }

    /// The id of the directory that a partition lies in, when that is none of those in use.
    pub(crate) fn missing_directory(&self, partition: &PartitionImage) -> Option<Uuid> {
        let node_id = self.config.node_id;
        let at = partition.replicas.iter().position(|replica| *replica == node_id)?;
        let id = *partition.directories.get(at)?;
        let is_unknown = [Uuid::UNASSIGNED_DIR, Uuid::MIGRATING_DIR].contains(&id);
        // One that failed after it had told who it is, while its logs were opened, is not in use.
        let is_online = |path: &Path| {
            self.logs.log_dirs().any(|log_dir| log_dir.path() == path && log_dir.is_online())
        };
        let mut directories = self.directories.iter();
        let is_here = directories.any(|directory| directory.id == id && is_online(&directory.path));
        (!is_unknown && !is_here).then_some(id)
    }

    /// Tells the cluster where the partitions of these topics lie, as far as it does not know.
    pub(crate) fn note_directories<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let image = self.cluster.image();
        let mut placed = Vec::new();
        for name in names {
            self.add_places(&image, name, &mut placed);
        }
        if placed.is_empty() {
            return;
        }
        let node_id = self.config.node_id;
        // A topic can be deleted meanwhile, with which its places are of no interest.
        self.note(|image| controller::assign_directories(image, node_id, &placed));
    }

    /// The ids of the directories that get no new partitions.
    pub(crate) fn cordoned(&self) -> Vec<Uuid> {
        let config = self.dynamic();
        let cordoned = self.directories.iter().filter(|each| config.is_cordoned(&each.path));
        cordoned.map(|directory| directory.id).collect()
    }

    /// Tells the cluster which directories get no new partitions, if it does not know: from then
    /// on no partition is given to a broker that would have to put it into one of them.
    pub(crate) fn note_cordoned(&self) {
        let node_id = self.config.node_id;
        self.note(|image| controller::cordon_directories(image, node_id, &self.cordoned()));
    }

    /// Writes what this broker tells of its directories. What the controller refuses is left out.
    fn note(&self, decide: impl FnOnce(&Image) -> Result<Records, Refused>) {
        let noted = self.cluster.change(
            self.clock.now_ms(),
            |image| (decide(image).unwrap_or_default(), ()),
            |_, _| {},
        );
        if let Err(error) = noted {
            let said = format_args!("directories are not noted: {error}");
            self.failures.say(log::Level::Error, said);
        }
    }

    /// The partitions of a topic that lie elsewhere than the image says.
    fn add_places(&self, image: &Image, name: &str, placed: &mut Vec<(Uuid, i32, Uuid)>) {
        let Some(topic) = image.topics().by_name(name) else { return };
        for (index, partition) in topic.partitions.iter() {
            let Some(log) = self.logs.get(&TopicPartition::new(name, *index)) else { continue };
            let path = log.log_dir().path();
            let Some(here) = self.directories.iter().find(|each| each.path == path) else {
                continue;
            };
            if !partition.directories.contains(&here.id) {
                placed.push((topic.id, *index, here.id));
            }
        }
    }
}
