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
pub mod file_name;
pub mod leader_epoch;
pub mod partition_dir;
pub mod producer_state;
pub mod sim;
pub mod txn_index;
pub mod validate;
pub mod whole_file;
