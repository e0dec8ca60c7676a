//! Loading: a partition of `__consumer_offsets` replayed into its shard, from log start to log end.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use ottla_coordinator::group::GroupShard;
use ottla_coordinator::record::Origin;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::record::compression::{Codec, DecompressLimits, decompress};
use ottla_protocol::record::control::EndTxnMarker;
use ottla_protocol::record::set::{Batch, Batches};
use ottla_storage::log::{Isolation, PartitionLog, Read};
use ottla_storage::validate::DECOMPRESSED_BYTES_MAX;

use super::host::ShardHost;
use crate::node::Node;

/// Why a partition cannot be loaded.
struct LoadError(String);

fn failed<E: fmt::Display>(offset: i64) -> impl FnOnce(E) -> LoadError {
    move |error| LoadError(format!("at offset {offset}: {error}"))
}

/// Loads shards on a thread of its own: clients are told to try again meanwhile.
pub(super) fn start(node: &Node, hosts: Vec<Arc<ShardHost>>) {
    // Most are of a topic that was made just now. They are ready at once, so that the client that
    // it was made for need not come a second time.
    let (empty, filled): (Vec<_>, Vec<_>) =
        hosts.into_iter().partition(|host| is_empty(&host.partition().log));
    empty.iter().for_each(|host| load(node, host));
    if filled.is_empty() {
        return;
    }
    // A node that is gone has nobody to load for.
    let Some(loader) = node.me.upgrade() else { return };
    let later = filled.clone();
    let thread = std::thread::Builder::new().name("group-loader".into()).spawn(move || {
        let begun = Instant::now();
        later.iter().for_each(|host| load(&loader, host));
        log::info!("{} group partitions loaded in {:?}", later.len(), begun.elapsed());
    });
    if let Err(error) = thread {
        log::warn!("no thread for loading groups, so that they are loaded at once: {error}");
        filled.iter().for_each(|host| load(node, host));
    }
}

fn is_empty(log: &PartitionLog) -> bool {
    let offsets = log.offsets();
    offsets.log_start_offset == offsets.log_end_offset
}

fn load(node: &Node, host: &Arc<ShardHost>) {
    let Some(mut shard) = host.begin_loading() else { return };
    match replay(&host.partition().log, node.config.offsets.offsets_load_buffer_size, &mut shard) {
        Ok(()) => host.serve(node, shard),
        Err(LoadError(error)) => {
            log::error!("the groups of {} cannot be loaded: {error}", host.name());
            host.close(ErrorCode::NOT_COORDINATOR);
        }
    }
}

fn replay(log: &PartitionLog, bytes_max: usize, shard: &mut GroupShard) -> Result<(), LoadError> {
    let mut offset = log.offsets().log_start_offset;
    let mut buffer = Vec::new();
    while offset < log.offsets().log_end_offset {
        let read = Read {
            start_offset: offset,
            bytes_max: u32::try_from(bytes_max).unwrap_or(u32::MAX),
            isolation: Isolation::LogEnd,
            min_one_batch: true,
        };
        let found = log.read(read).map_err(failed(offset))?;
        let Some(region) = found.region else { break };
        buffer.resize(region.length as usize, 0);
        region.file.read_exact_at(&mut buffer, region.position).map_err(failed(offset))?;
        let begun_at = offset;
        for batch in Batches::new(&buffer) {
            let batch = batch.map_err(failed(offset))?;
            replay_batch(&batch, shard)?;
            offset = batch.header().last_offset() + 1;
        }
        if offset == begun_at {
            return Err(LoadError(format!("at offset {offset}: no whole batch could be read")));
        }
    }
    Ok(())
}

/// Replays batches of a partition that nobody serves into a shard.
///
/// # Errors
/// What a record does not say rightly, and where.
pub(crate) fn replay_bytes(bytes: &[u8], shard: &mut GroupShard) -> Result<(), String> {
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        replay_batch(&batch, shard).map_err(|LoadError(error)| error)?;
    }
    Ok(())
}

fn replay_batch(batch: &Batch<'_>, shard: &mut GroupShard) -> Result<(), LoadError> {
    let header = batch.header();
    let base_offset = header.base_offset();
    let codec = batch.codec().ok_or("no such codec").map_err(failed(base_offset))?;
    let payload = match codec {
        Codec::None => Cow::Borrowed(batch.payload()),
        codec => {
            let limits = DecompressLimits::of_bytes(DECOMPRESSED_BYTES_MAX);
            Cow::Owned(decompress(codec, batch.payload(), limits).map_err(failed(base_offset))?)
        }
    };
    let attributes = header.attributes();
    let producer =
        attributes.is_transactional().then(|| (header.producer_id(), header.producer_epoch()));
    for record in batch.records_in(&payload).map_err(failed(base_offset))? {
        let record = record.map_err(failed(base_offset))?;
        if attributes.is_control() {
            // Other control records end nothing.
            if let Ok(marker) = EndTxnMarker::parse(record.key, record.value) {
                shard.replay_marker(header.producer_id(), marker.committed);
            }
            continue;
        }
        // Without a key it says nothing; Kafka passes over it too.
        let Some(key) = record.key else { continue };
        let origin = Origin { offset: record.offset, producer };
        shard.replay(key, record.value, &origin).map_err(failed(record.offset))?;
    }
    Ok(())
}
