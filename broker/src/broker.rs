//! Starting and stopping: the order in which a broker's parts come and go.
//!
//! Start: addresses, locks, identity, metadata log, logs, registration, connections. Stop: the
//! other way round, so that nothing is answered that is not yet, or no longer, on the disk.

use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use ottla_metadata::controller::{
    self, BrokerRegistration, ControllerRegistration, NodeStart, Records,
};
use ottla_metadata::features::FEATURES;
use ottla_metadata::image::{self, FeatureRange, Image};
use ottla_metadata::replay::Replay;
use ottla_network::{Control, Server, ServerConfig, Stopped};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, RealDisk};
use ottla_storage::log::LogRole;
use ottla_storage::log_dir::LogDir;
use ottla_storage::manager::{FoundLog, Known, LockedDirs, ManagerConfig, ManagerError};
use ottla_storage::producer_state::ProducerSettings;

use crate::adopt;
use crate::apart::Apart;
use crate::api::Apis;
use crate::cleaning::Cleaning;
use crate::cli::Start;
use crate::clock::{Clock, Entropy};
use crate::cluster::Cluster;
use crate::commits::Commits;
use crate::config::{self, BrokerConfig, Endpoint, Overrides, StaticConfig, TopicConfig};
use crate::delayed::Timer;
use crate::dynamic::{Dynamic, configure_logs, dynamic_config, layers_of};
use crate::fetch_session::FetchSessions;
use crate::format::{self, Identity, Newcomer};
use crate::groups::{Groups, group_config};
use crate::loading;
use crate::metadata_log::{MetadataLog, MetadataLogError, OpenMetadataLog};
use crate::node::Node;
use crate::noise::Noise;
use crate::scheduler::{Scheduler, end_of_storage};
use crate::serving::settings_of;
use crate::topics::Topics;

/// How long requests in flight get to be answered when the broker stops.
const DRAIN: Duration = Duration::from_millis(700);
/// Sealed segments that may be open at a time: two maps and a descriptor each, of some 65,000 maps
/// and 20,000 descriptors that a stock machine grants a process.
const OPEN_SEGMENTS_MAX: usize = 4096;

/// Why a broker could not start or stop.
#[derive(Debug)]
pub struct BrokerError(String);

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for BrokerError {}

impl BrokerError {
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

fn failed(doing: &'static str) -> impl FnOnce(&dyn fmt::Display) -> BrokerError {
    move |error| BrokerError(format!("{doing}: {error}"))
}

fn unusable(error: &ManagerError) -> BrokerError {
    let next = match error {
        ManagerError::AllDirsOffline { .. } => {
            "; correct log.dirs, or the permissions of the directory"
        }
        _ => "",
    };
    BrokerError(format!("cannot use the log directories: {error}{next}"))
}

/// A running broker: what [`crate::Broker`] and the `ottla` command have in common.
pub struct RunningBroker {
    node: Arc<Node>,
    server: Server,
    scheduler: Scheduler,
    cleaning: Cleaning,
    apart: Apart,
}

/// Runs a broker until it is to stop: what the `ottla` command does.
///
/// # Errors
/// Why it could not start, or not stop cleanly.
pub fn run(start: Start) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let stop = start.stop.clone();
    let broker = RunningBroker::start(start)?;
    broker.greet(begun.elapsed());
    stop.wait();
    broker.stop()?;
    Ok(())
}

impl RunningBroker {
    /// What runs it, for tests.
    #[cfg(test)]
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Starts a broker and returns when it serves.
    ///
    /// # Errors
    /// One message that says what stands in the way, and where.
    pub fn start(start: Start) -> Result<Self, BrokerError> {
        Self::start_on(Arc::new(RealDisk), start)
    }

    /// [`RunningBroker::start`] with the log directories on `disk`, which need not be a real one.
    ///
    /// # Errors
    /// As [`RunningBroker::start`].
    pub fn start_on(disk: Arc<dyn Disk>, start: Start) -> Result<Self, BrokerError> {
        let Start { config, statics, stop } = start;
        let (mut server_config, endpoints) = addresses(&config, &statics)?;
        let missing: Vec<&PathBuf> =
            config.log_dirs.iter().filter(|dir| !disk.exists(dir).unwrap_or(true)).collect();
        let (mut locked, apart) = lock_all(&config, &disk).map_err(|error| unusable(&error))?;
        let opened = match adopt::refusal(&*disk, &config, &statics) {
            Some(refusal) => Err(BrokerError(refusal)),
            None => Metadata::open(&config, &*disk, &locked, &apart),
        };
        let Metadata { identity, bootstrap, log, replay } = match opened {
            Ok(metadata) => metadata,
            Err(error) => {
                locked.release();
                apart.release(&*disk);
                // Made a moment ago and still empty, or else this does nothing.
                missing.iter().for_each(|dir| drop(disk.remove_dir(dir)));
                return Err(error);
            }
        };
        // What was set while a broker ran holds from here on, before a log or a connection is.
        let dynamic = dynamic_config(&config, &statics, replay.image());
        config::set_dynamic(&mut server_config, &dynamic);
        let started = dynamic.clone();
        locked.set_config(|manager| configure_logs(manager, &dynamic));
        let known = |found: &FoundLog| known(&config, &statics, replay.image(), found);
        let logs = loading::load(locked, Clock.now_ms(), &known)
            .map_err(|error| failed("cannot open the logs")(&error))?;
        let start_timer =
            |name| Timer::start(name).map_err(|error| failed("cannot start the timer")(&error));
        let (timer, group_timer) = (start_timer("timer")?, start_timer("group-timer")?);
        let slots = config.requests.max_incremental_fetch_session_cache_slots;
        let groups = Groups::new(group_config(&config, &statics, replay.image()));
        let node = Arc::new_cyclic(|me| Node {
            me: Weak::clone(me),
            groups,
            cluster_id: identity.cluster_id,
            endpoints,
            cluster: Cluster::new(log, replay),
            topics: Topics::default(),
            logs,
            directories: identity.directories,
            timer,
            group_timer,
            commits: Commits::default(),
            clock: Clock,
            entropy: Entropy,
            refused: Noise::default(),
            failures: Noise::default(),
            sessions: Mutex::new(FetchSessions::new(slots)),
            producer_ids: Mutex::new(None),
            config,
            dynamic: Dynamic::new(dynamic),
            statics,
        });
        register(&node, &bootstrap)?;
        let image = node.cluster.image();
        // A new cluster begins with a default for all brokers, and with the levels of its features.
        node.apply_dynamic(dynamic_config(&node.config, &node.statics, &image));
        node.groups.set_config(group_config(&node.config, &node.statics, &image));
        node.serve_all(&image);
        node.groups.follow(&node);
        adopt::tell_open_transactions(&node);
        node.note_directories(image.topics().iter().map(|topic| &*topic.name));
        let server = Server::start(server_config, Arc::new(Apis::new(Arc::clone(&node))))
            .map_err(|error| failed("cannot listen")(&error))?;
        node.follow_with(server.control(), &started);
        let scheduler = Scheduler::start(Arc::clone(&node), move || stop.request())
            .map_err(|error| failed("cannot start the scheduler")(&error))?;
        let cleaning = Cleaning::start(Arc::clone(&node))
            .map_err(|error| failed("cannot start the cleaner")(&error))?;
        Ok(Self { node, server, scheduler, cleaning, apart })
    }

    /// Where it listens, in the order of its listeners.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.local_addrs()
    }

    /// The sizes of the network's pools, which settings change at run time.
    pub fn network(&self) -> Control {
        self.server.control()
    }

    /// Says what one wants to know at a start. Nobody has to listen.
    fn greet(&self, took: Duration) {
        let node = &self.node;
        let dirs: Vec<String> =
            node.config.log_dirs.iter().map(|dir| dir.display().to_string()).collect();
        let Endpoint { host, port, .. } = &node.endpoints[0];
        let text = format!(
            "data      {}\nclients   {host}:{port}\ncluster   {}\n\
             try       kcat -b {host}:{port} -L\n",
            dirs.join(", "),
            node.cluster_id
        );
        // A closed output is no reason to end: a service may well have none.
        let _ = std::io::stdout().write_all(text.as_bytes());
        log::info!("ready in {} ms", took.as_millis());
    }

    /// Stops in order: connections first, then what they wrote is made durable and marked as whole.
    ///
    /// # Errors
    /// When something could not be written, a start will then recover it; and when no log directory
    /// is left, or not the metadata log's, be it that nothing was to be written.
    pub fn stop(self) -> Result<(), BrokerError> {
        let Self { node, server, scheduler, cleaning, apart } = self;
        log::info!("stopping");
        // Members learn at once that they need another coordinator.
        node.groups.stop();
        // Who waits for records is answered with what there is.
        node.group_timer.stop();
        node.timer.stop();
        if server.stop(DRAIN) != Stopped::Drained {
            log::warn!("some connections were cut");
        }
        node.let_network_go();
        node.commits.stop();
        cleaning.stop();
        scheduler.stop();
        let node_id = node.config.node_id;
        let now_ms = node.clock.now_ms();
        let left = node.cluster.write(now_ms, |replay, next_offset| {
            controller::stop(replay.image(), node_id, next_offset).map_err(Refusal::from)
        });
        let image = node.cluster.image();
        let broker_epoch = image.brokers().get(&node_id).map_or(-1, |broker| broker.epoch);
        let closed = node.cluster.close().map_err(Refusal::from);
        let marked = node.logs.close(broker_epoch);
        apart.let_go();
        // What follows from it says less.
        if let Some(why) = end_of_storage(&node) {
            return Err(BrokerError(why));
        }
        left.and(closed).map_err(|error| failed("stopping")(&error.0))?;
        marked.map_err(|error| failed("closing the logs")(&error))?;
        log::info!("stopped");
        Ok(())
    }
}

fn lock_all(
    config: &BrokerConfig,
    disk: &Arc<dyn Disk>,
) -> Result<(LockedDirs, Apart), ManagerError> {
    let locked = LockedDirs::lock(manager_config(config), Arc::clone(disk))?;
    match Apart::lock(config, disk) {
        Ok(apart) => Ok((locked, apart)),
        Err(error) => {
            locked.release();
            Err(error)
        }
    }
}

/// Who this node is and what its cluster's log says.
struct Metadata {
    identity: Identity,
    bootstrap: Records,
    log: MetadataLog,
    replay: Replay,
}

impl Metadata {
    fn open(
        config: &BrokerConfig,
        disk: &dyn Disk,
        locked: &LockedDirs,
        apart: &Apart,
    ) -> Result<Self, BrokerError> {
        // Opening the metadata log changes it, which nobody wants of a start that fails.
        locked.check_names().map_err(|error| failed("cannot open the logs")(&error))?;
        let dirs: Vec<Arc<LogDir>> =
            locked.log_dirs().filter(|dir| dir.is_online()).map(Arc::clone).collect();
        let mut all = dirs.clone();
        all.extend(apart.dir().map(Arc::clone));
        let home = all.iter().find(|dir| dir.path() == config.metadata_log_dir);
        let home = home.ok_or_else(|| {
            let dir = config.metadata_log_dir.display();
            BrokerError(format!(
                "the metadata log's directory {dir} cannot be used; without it there is no \
                 cluster: correct metadata.log.dir, log.dirs or the permissions"
            ))
        })?;
        let newcomer =
            Newcomer { node_id: config.node_id, now_ms: Clock.now_ms(), entropy: Entropy };
        let mut identity =
            format::identify(disk, &all, newcomer).map_err(|error| BrokerError(error.0))?;
        // The cluster is told of directories that have partitions.
        let has_partitions = |path: &Path| dirs.iter().any(|dir| dir.path() == path);
        identity.directories.retain(|directory| has_partitions(directory.path.as_path()));
        let bootstrap = format::bootstrap_records(disk, home.path(), Clock)
            .map_err(|error| BrokerError(error.0))?;
        let (log, replay) = MetadataLog::open(OpenMetadataLog {
            environment: locked.environment(home),
            node_id: config.node_id,
            settings: config.metadata.clone(),
            now_ms: Clock.now_ms(),
        })
        .map_err(|error| failed("cannot open the metadata log")(&error))?;
        Ok(Self { identity, bootstrap, log, replay })
    }
}

/// Whether a partition that was found on the disk is one of the cluster's topics, and its settings.
fn known(config: &BrokerConfig, statics: &StaticConfig, image: &Image, found: &FoundLog) -> Known {
    let FoundLog { topic_partition, topic_id, .. } = found;
    if !adopt::is_known(image, config.node_id, topic_partition, *topic_id) {
        return Known::Stray;
    }
    let name = &*topic_partition.topic;
    let none = Overrides::new();
    let layers = layers_of(config.node_id, statics, image, &none);
    let settings = settings_of(image, name, |overrides| TopicConfig::effective(layers, overrides));
    Known::Here(settings.log)
}

pub(crate) fn manager_config(config: &BrokerConfig) -> ManagerConfig {
    ManagerConfig {
        dirs: config.log_dirs.clone(),
        // What is dynamic is put in when the metadata log has told it.
        recovery_threads_per_dir: 1,
        open_segments_max: OPEN_SEGMENTS_MAX,
        default_log_config: LogConfig::default(),
        producer_settings: ProducerSettings::default(),
        role: LogRole::SoleReplica,
    }
}

/// The network's settings and what to tell clients. A port that is taken is found out here, before
/// any directory is touched, and a port of 0 becomes a free one.
fn addresses(
    config: &BrokerConfig,
    statics: &StaticConfig,
) -> Result<(ServerConfig, Vec<Endpoint>), BrokerError> {
    let mut server =
        config::server_config(config, statics).map_err(|error| BrokerError(error.to_string()))?;
    let mut endpoints = config.listeners.advertised.clone();
    for (address, endpoint) in server.listeners.iter_mut().zip(&mut endpoints) {
        *address = probe(*address)?;
        if endpoint.port == 0 {
            endpoint.port = address.port();
        }
    }
    Ok((server, endpoints))
}

fn probe(address: SocketAddr) -> Result<SocketAddr, BrokerError> {
    let probe = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    probe.map_err(|error| {
        BrokerError(format!(
            "cannot listen on {address}: {error}; choose another address by listeners, or stop \
             what is listening there"
        ))
    })
}

/// An error of the controller or of its log, on the way to a message.
struct Refusal(String);

impl From<MetadataLogError> for Refusal {
    fn from(error: MetadataLogError) -> Self {
        Self(error.to_string())
    }
}

impl From<controller::Refused> for Refusal {
    fn from(refused: controller::Refused) -> Self {
        Self(refused.message)
    }
}

/// Writes into the metadata log that this node is here, by which it leads its partitions again.
fn register(node: &Node, bootstrap: &Records) -> Result<(), BrokerError> {
    let endpoint = |endpoint: &Endpoint| image::Endpoint {
        name: (&*endpoint.listener).into(),
        host: (&*endpoint.host).into(),
        port: endpoint.port,
        security_protocol: 0,
    };
    let endpoints: Vec<image::Endpoint> = node.endpoints.iter().map(endpoint).collect();
    let features: Vec<FeatureRange> = FEATURES
        .iter()
        .map(|known| FeatureRange { name: known.name.into(), min: known.min, max: known.max })
        .collect();
    let id = node.config.node_id;
    let start = NodeStart {
        controller: ControllerRegistration {
            id,
            incarnation_id: format::fresh_id(node.entropy),
            endpoints: endpoints.clone(),
            features: features.clone(),
        },
        broker: BrokerRegistration {
            id,
            incarnation_id: format::fresh_id(node.entropy),
            endpoints,
            features,
            rack: node.config.rack.clone(),
            directories: node.directories.iter().map(|directory| directory.id).collect(),
            // Without it the controller takes this start for one after a crash.
            previous_broker_epoch: node.logs.previous_broker_epoch().unwrap_or(-1),
        },
        cordoned_directories: node.cordoned(),
        min_insync_replicas: node.static_min_insync_replicas(),
    };
    node.cluster
        .write(node.clock.now_ms(), |replay, next_offset| {
            controller::start(replay, &start, bootstrap, next_offset)
                .map_err(|error| Refusal(error.to_string()))
        })
        .map_err(|Refusal(error)| failed("cannot register in the metadata log")(&error))
}

#[cfg(test)]
mod tests;
