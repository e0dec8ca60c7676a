//! What is known of a machine, a file of settings and a cluster. `None` is what could not be read.

use std::path::PathBuf;
use std::time::Duration;

use ottla_properties::Property;

/// All that the rules look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) processors: usize,
    pub(super) limits: Limits,
    pub(super) memory: Memory,
    pub(super) clock: Clock,
    pub(super) dirs: Vec<LogDir>,
    pub(super) settings: Option<SettingsFile>,
    pub(super) cluster: Option<Cluster>,
}

/// Limits of the system, and of this process, whose hard ones a broker that is started beside it
/// has too.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    /// Files that a process may have open; `u64::MAX` for no limit.
    pub(super) nofile_hard: Option<u64>,
    /// Maps of memory that a process may have.
    pub(super) max_map_count: Option<u64>,
    /// Connections that may wait to be accepted.
    pub(super) somaxconn: Option<u64>,
    /// Largest buffers of a socket, bytes.
    pub(super) rmem_max: Option<u64>,
    pub(super) wmem_max: Option<u64>,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) total: Option<u64>,
    pub(super) available: Option<u64>,
    pub(super) swap_total: Option<u64>,
    pub(super) swap_free: Option<u64>,
    /// `vm.swappiness`.
    pub(super) swappiness: Option<u64>,
    /// `vm.overcommit_memory`.
    pub(super) overcommit: Option<u64>,
    /// `vm.dirty_ratio`, percent; 0 when it is given in bytes.
    pub(super) dirty_ratio: Option<u64>,
    /// What a container may use.
    pub(super) container_max: Option<u64>,
}

/// The clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    /// ms since the epoch.
    pub(super) now_ms: i64,
    /// Whether a service says that it is in step.
    pub(super) is_synchronized: Option<bool>,
    /// The service that keeps it in step.
    pub(super) service: Option<String>,
    /// What the kernel reads it from: `tsc`.
    pub(super) source: Option<String>,
    /// Whether other processes can be seen, so that a service would be.
    pub(super) is_container: bool,
}

/// A log directory.
#[derive(Clone, Debug, Default)]
pub(super) struct LogDir {
    pub(super) path: PathBuf,
    pub(super) exists: bool,
    /// Of the file system that it is on, or would be.
    pub(super) mount: Option<Mount>,
    pub(super) usage: Usage,
}

/// A file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where it is.
    pub(super) point: PathBuf,
    /// `ext4`, `xfs`.
    pub(super) kind: String,
    /// `rw`, `noatime`, `data=ordered`.
    pub(super) options: Vec<String>,
    /// Those that have the same one share their space.
    pub(super) device: String,
    pub(super) total_bytes: u64,
    /// For others than root.
    pub(super) available_bytes: u64,
    /// 0 for a file system that does not count them.
    pub(super) inodes: u64,
    pub(super) inodes_available: u64,
}

/// What is in a log directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) partitions: u64,
    pub(super) segments: u64,
    /// Of all files.
    pub(super) bytes: u64,
    /// How long ago the oldest of its segments was written to last.
    pub(super) oldest_age: Option<Duration>,
    /// Directories that could not be read, and why.
    pub(super) unreadable: Vec<String>,
}

/// A `server.properties`.
#[derive(Clone, Debug, Default)]
pub(super) struct SettingsFile {
    pub(super) path: PathBuf,
    pub(super) properties: Vec<Property>,
}

impl SettingsFile {
    /// The value of a setting; of several the last, as Kafka takes it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.properties.iter().rev().find(|property| property.key == name);
        found.map(|property| property.value.trim())
    }

    /// A number, if it is set to one.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }
}

/// A cluster that was asked.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    /// Where.
    pub(super) bootstrap: String,
    /// Why it did not answer, or who is in it.
    pub(super) answer: Result<Brokers, String>,
}

/// Those who are in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Brokers {
    pub(super) cluster_id: Option<String>,
    /// `1 (host:port)`.
    pub(super) brokers: Vec<String>,
    pub(super) has_controller: bool,
    /// How long the answer took.
    pub(super) took: Duration,
    /// Partitions without a leader, and with fewer in-sync replicas than replicas.
    pub(super) leaderless: Vec<String>,
    pub(super) under_replicated: Vec<String>,
    /// The latest time that a broker has written into a log by its own clock, ms since the epoch.
    pub(super) newest_broker_time: Option<i64>,
}
