//! Partition logs in Apache Kafka's file formats.

pub mod disk;
mod mmap;

pub mod config;
pub mod error;
mod index;
pub mod log;
pub mod log_dir;
pub mod manager;
mod segment;

pub mod checkpoint;
pub mod clean_shutdown;
pub mod file_name;
pub mod leader_epoch;
pub mod meta_properties;
pub mod partition_dir;
pub mod partition_metadata;
pub mod producer_state;
pub mod properties;
pub mod sim;
pub mod txn_index;
pub mod validate;
pub mod whole_file;
