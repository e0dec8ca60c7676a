//! Partition logs in Apache Kafka's file formats: what a directory of `log.dirs` holds, written and
//! read byte for byte as Kafka does.
//!
//! ```text
//!  LogManager ── log directories, checkpoints, load, close
//!    └ PartitionLog ── offsets, append, read, roll, truncate, flush
//!        ├ Segment ── .log, .index, .timeindex
//!        ├ ProducerState, LeaderEpochCache, transaction index
//!        └ Disk ── the machine's, or a simulated one
//! ```
//!
//! A produced batch is checked by [`validate`], which needs no lock, and appended; a read gives a
//! region of a file, for the caller to send:
//!
//! ```
//! use std::sync::Arc;
//!
//! use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
//! use ottla_protocol::uuid::Uuid;
//! use ottla_storage::config::LogConfig;
//! use ottla_storage::log::{AppendAsLeader, Isolation, LogRole, Read};
//! use ottla_storage::manager::{Known, LogManager, ManagerConfig, NewPartition};
//! use ottla_storage::partition_dir::TopicPartition;
//! use ottla_storage::producer_state::{Origin, ProducerSettings, VerificationGuard};
//! use ottla_storage::sim::SimDisk;
//! use ottla_storage::validate::{ValidateRules, validate};
//!
//! let now_ms = 1_700_000_000_000;
//! let config = ManagerConfig {
//!     dirs: vec!["data".into()],
//!     recovery_threads_per_dir: 2,
//!     open_segments_max: 1000,
//!     default_log_config: LogConfig::default(),
//!     producer_settings: ProducerSettings::default(),
//!     role: LogRole::SoleReplica,
//! };
//! let known = |_: &_| Known::Here(LogConfig::default());
//! let manager = LogManager::open(config, Arc::new(SimDisk::new()), now_ms, &known)?;
//! let topic_partition = TopicPartition::new("greetings", 0);
//! let topic_id = Uuid::from_u64s(1, 2);
//! let new = NewPartition { topic_partition, topic_id, config: LogConfig::default() };
//! let log = manager.create(new, now_ms)?;
//!
//! let mut batch = BatchBuilder::new(BatchOptions::default())?;
//! batch.append(&NewRecord { timestamp: now_ms, value: Some(b"hello"), ..Default::default() })?;
//! let request = batch.build()?;
//! let batch = validate(&request, &ValidateRules { now_ms, ..Default::default() })?;
//! let (leader_epoch, origin, guard) = (0, Origin::Client, VerificationGuard::NONE);
//! let how = AppendAsLeader { leader_epoch, now_ms, origin, guard };
//! assert_eq!(log.append_as_leader(&batch, how)?.base_offset, 0);
//!
//! let isolation = Isolation::HighWatermark;
//! let read = Read { start_offset: 0, bytes_max: 1 << 20, isolation, min_one_batch: true };
//! let region = log.read(read)?.region.expect("one batch was appended");
//! assert_eq!(region.length as usize, request.len());
//! manager.close(-1)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is promised: whatever was acknowledged survives the death of the process; whatever was
//! flushed survives the loss of power, and after it every log is a prefix of what was appended.
//! After a failed sync nothing is retried: its log directory goes offline. A full disk fails
//! appends, which work again when there is space.
//!
//! What this crate does not do: it knows no replicas, groups, requests or sockets, has no threads
//! of its own but to load and close directories, and reads no clock.

pub mod disk;
mod mmap;
pub mod sim;

pub mod config;
pub mod error;
pub mod manager;

pub mod cleaner;
pub mod log;
pub mod log_dir;
pub mod repair;
pub mod retention;
pub mod validate;
pub mod verify;

mod index;
mod segment;

pub mod leader_epoch;
pub mod producer_state;
pub mod txn_index;

pub mod checkpoint;
pub mod clean_shutdown;
pub mod file_name;
pub mod inspect;
pub mod meta_properties;
pub mod partition_dir;
pub mod partition_metadata;
pub mod whole_file;
