//! Topics, settings, groups and the cluster: what an operator's tools do.
//!
//! Calls block until all is answered, for `default.api.timeout.ms` at most. One call takes many
//! items; each has a result of its own, and an error of the call as a whole means that nothing is
//! known of any.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ottla_protocol::api::ApiKey;
use ottla_protocol::wire::WriteError;

use crate::chance::Backoff;
use crate::config::{COMMON, Properties, Settings};
use crate::error::Error;
use crate::net::reactor::{self, Handle};
use crate::net::{Answer, Driver, Net, Outgoing, Until};
use crate::pending::Pending;
use crate::session::{Inbox, Route, Session, question};

mod acls;
mod brokers;
mod cluster;
mod codes;
mod configs;
mod group_descriptions;
mod group_members;
mod group_offsets;
mod groups;
mod log_dirs;
mod offsets;
mod operations;
mod pages;
mod partitions;
mod quorum;
mod quotas;
mod reassignments;
mod resources;
mod scram;
mod spread;
mod topics;
mod transactions;

pub use acls::{AclBinding, AclFilter, AclPatternType, AclPermission, AclResourceType};
pub use brokers::{BrokerApi, Feature, FeatureMetadata, FeatureUpdate, FeatureUpgrade};
pub use cluster::ClusterDescription;
pub use configs::{ConfigChange, ConfigDetails, ConfigEntry, ConfigSynonym};
pub use group_descriptions::{GroupDescription, GroupKind, MemberDescription};
pub use group_members::GroupMember;
pub use group_offsets::CommittedOffset;
pub use groups::{GroupFilter, GroupListing};
pub use log_dirs::{LogDirDescription, ReplicaInfo, TopicPartitionReplica};
pub use offsets::{DeleteBefore, IsolationLevel, ListedOffset, OffsetSpec};
pub use operations::AclOperation;
pub use partitions::NewPartitions;
pub use quorum::{QuorumInfo, QuorumNode, QuorumReplica};
pub use quotas::{ClientQuota, QuotaChange, QuotaEntity, QuotaFilter, QuotaMatch};
pub use reassignments::{ElectionType, PartitionReassignment};
pub use resources::{ConfigKind, ConfigResource, ConfigResourceKind, ConfigSource};
pub use scram::{ScramChange, ScramCredentialInfo, ScramMechanism};
pub use topics::{NewTopic, PartitionDescription, TopicDescription, TopicListing};
pub use transactions::{
    ProducerState, TransactionDescription, TransactionFilter, TransactionListing,
};

/// The result of each item of a call, in the order of the items.
pub type Results<K, T> = Vec<(K, Result<T, Error>)>;

/// Asks brokers to do what operators want. It may be shared between threads; dropping it ends its
/// connections.
///
/// What has a leader or a coordinator is asked there, all of a broker's items at once, and again
/// where it has moved. What a broker is too old for is
/// [`UnsupportedVersion`](crate::ErrorKind::UnsupportedVersion), with the name of the request.
///
/// There are no calls yet for delegation tokens, ending others' transactions, share
/// and streams groups, voters of the quorum, taking brokers out of the cluster, and for controllers
/// that are to be asked in place of brokers.
///
/// ```no_run
/// use ottla_client::{Admin, NewTopic, Properties};
///
/// let admin = Admin::new(&Properties::new().with("bootstrap.servers", "localhost:9092"))?;
/// for (name, created) in admin.create_topics(&[NewTopic::new("orders").partitions(3)])? {
///     created?;
///     println!("{name} is there");
/// }
/// # Ok::<(), ottla_client::Error>(())
/// ```
#[derive(Debug)]
pub struct Admin {
    remote: Remote,
}

impl Admin {
    /// A client of the cluster of `bootstrap.servers`. Nothing is connected to before the first
    /// call.
    ///
    /// # Errors
    /// A setting is unknown or not valid; the system has no more threads.
    pub fn new(properties: &Properties) -> Result<Self, Error> {
        let settings = Settings::new(&[COMMON], properties)?;
        Ok(Self { remote: Remote::start("ottla-admin", &settings)? })
    }
}

/// A session on a thread of its own, and how to ask it.
struct Remote {
    inbox: Inbox,
    timeout: Duration,
    retry_backoff: Backoff,
    /// How long an answer may be, and one that comes in pages as a whole.
    answer_bytes_max: usize,
    is_stopped: Arc<AtomicBool>,
    handle: Mutex<Handle>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// A session that does nothing but answer.
struct Answering {
    session: Session,
    is_stopped: Arc<AtomicBool>,
}

impl Driver for Answering {
    fn turn(&mut self, net: &mut dyn Net, now: Instant) -> Option<Until> {
        if self.is_stopped.load(Ordering::Acquire) {
            return None;
        }
        while let Some(event) = net.next_event() {
            // Whatever is not the session's came too late for whom it was meant.
            _ = self.session.take(event, net, now);
        }
        Some(self.session.turn(net, now))
    }
}

impl Remote {
    fn start(name: &str, settings: &Settings<'_>) -> Result<Self, Error> {
        let of_session = settings.session()?;
        let session = Session::new(&of_session);
        let inbox = session.inbox();
        let is_stopped = Arc::new(AtomicBool::new(false));
        let driver = Answering { session, is_stopped: Arc::clone(&is_stopped) };
        let net = settings.net();
        Ok(Self {
            inbox,
            timeout: settings.duration("default.api.timeout.ms"),
            retry_backoff: of_session.retry_backoff,
            answer_bytes_max: net.frame_bytes_max,
            is_stopped,
            handle: Mutex::new(reactor::spawn(name, net, driver)?),
        })
    }

    fn handle(&self) -> std::sync::MutexGuard<'_, Handle> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks in the highest of these versions that the broker serves. The timeout that `build` is
    /// given is how long the broker may take.
    fn ask<B, F, T>(
        &self,
        route: Route,
        api: (ApiKey, RangeInclusive<i16>),
        build: B,
        read: F,
    ) -> Pending<T>
    where
        B: FnMut(i16, Duration) -> Result<Outgoing, WriteError> + Send + 'static,
        F: FnMut(&Answer) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.ask_until(Instant::now() + self.timeout, route, api, build, read)
    }

    /// The same, until then.
    fn ask_until<B, F, T>(
        &self,
        deadline: Instant,
        route: Route,
        api: (ApiKey, RangeInclusive<i16>),
        build: B,
        read: F,
    ) -> Pending<T>
    where
        B: FnMut(i16, Duration) -> Result<Outgoing, WriteError> + Send + 'static,
        F: FnMut(&Answer) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let (ask, pending) = question(route, api, build, read);
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).push_back((ask, deadline));
        self.handle().wake();
        pending
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
        let mut handle = self.handle();
        handle.wake();
        handle.join();
    }
}

#[cfg(test)]
mod tests;
