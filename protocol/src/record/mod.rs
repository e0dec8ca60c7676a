//! Record batches: Kafka's unit of storage and of the Produce and Fetch wire formats.

pub mod batch;
