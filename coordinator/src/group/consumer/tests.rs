//! Tests of consumer groups through a shard, with its log.

mod golden;
mod heartbeat;
mod history;
mod migration;
mod mixed;
mod scale;
mod world;
