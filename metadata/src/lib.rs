//! The cluster's metadata as pure state machines: the image, its replay, and the controller.
//!
//! Topics, ids, configs, features and registrations live in one place only, the log
//! `__cluster_metadata-0`, as the records of Apache Kafka's KRaft. This crate turns records into an
//! image and requests into records, and never touches a file, a socket, a clock or a random source:
//!
//! ```text
//!                    request, time, entropy
//!                              │
//!   Image ──────────────> controller ──────> Records, answer
//!     ▲                                         │
//!     │                                     log_codec
//!     │                                         │ batch
//!   Replay <──── batches of the log <───────────┘   (the caller appends and reads)
//!     │
//!     └────────> snapshot ──────> bytes of {offset}-{epoch}.checkpoint
//! ```
//!
//! Creating a topic so takes the same path on one node as it would on fifty.
//!
//! ```
//! use ottla_metadata::{bootstrap, image::Image, replay::Replay};
//!
//! let (records, image) = bootstrap::first_records(&bootstrap::records(), "1", 1)?;
//! assert_eq!(image.metadata_version(), 30);
//!
//! let mut replay = Replay::new(Image::empty());
//! for (value, offset) in records.iter().zip(1..) {
//!     replay.apply_value(value, offset)?;
//! }
//! assert_eq!(*replay.image(), image);
//! # Ok::<(), ottla_metadata::replay::LogError>(())
//! ```
//!
//! What it does not do: elect between several controllers, or understand ACLs and tokens, which it
//! only carries along. Quotas and credentials it stores and finds; obeying them is others' work.
#![forbid(unsafe_code)]

pub mod bootstrap;
pub mod controller;
pub mod features;
pub mod image;
pub mod log_codec;
pub mod quorum;
pub mod quorum_state;
pub mod replay;
pub mod snapshot;

/// The name of the topic that the metadata log is the only partition of.
pub const METADATA_TOPIC_NAME: &str = "__cluster_metadata";
