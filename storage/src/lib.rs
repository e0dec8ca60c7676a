//! Partition logs in Apache Kafka's file formats.

pub mod disk;
mod mmap;
