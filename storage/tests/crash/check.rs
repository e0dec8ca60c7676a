//! Comparing what a start finds with what was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_protocol::record::set::Batches;
use ottla_storage::log::{AbortedTxn, Isolation, PartitionLog, Read, TimestampQuery};
use ottla_storage::manager::LogManager;

use crate::model::{Aborted, Batch, Life, Model, Part};

/// What a partition's log is found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) slot: usize,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) bytes: Vec<u8>,
    /// Those that were given to it and are there, or were before the log start or a cleaning.
    pub(crate) batches: Vec<Arc<Batch>>,
}

/// Why a partition is not what was promised.
pub(crate) type Broken = String;

/// Compares every log of the directories that are in service with the model. `power` tells that the
/// machine went down and not only the process.
pub(crate) fn check(
    manager: &LogManager,
    model: &Model,
    power: bool,
) -> Result<Vec<Found>, Broken> {
    let mut found = Vec::new();
    for (slot, part) in model.parts.iter().enumerate() {
        let Some(log) = manager.get(&part.topic_partition) else {
            let is_offline = manager.log_dirs().any(|dir| !dir.is_online());
            let floor = if power { part.durable_end } else { part.acked_end };
            if (part.is_made || 0 < floor) && part.life != Life::Absent && !is_offline {
                return Err(format!("{}: the partition is gone", part.topic_partition));
            }
            continue;
        };
        if !log.log_dir().is_online() {
            continue;
        }
        let checked = check_log(&log, part, power);
        let checked = checked.map_err(|problem| format!("{}: {problem}", part.topic_partition))?;
        found.push(Found { slot, ..checked });
    }
    Ok(found)
}

fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(problem()) }
}

/// Compares a log; the slot is left open.
fn check_log(log: &PartitionLog, part: &Part, power: bool) -> Result<Found, Broken> {
    ensure(part.life != Life::Absent, || "a deleted partition is back".to_owned())?;
    let offsets = log.offsets();
    let (start, end) = (offsets.log_start_offset, offsets.log_end_offset);
    let floor = if power { part.durable_end.min(part.acked_end) } else { part.acked_end };
    let tried = part.tried_end();
    let refused_end = part.refused.iter().map(|batch| batch.last + 1).max().unwrap_or(0);
    ensure(floor <= end, || format!("ends at {end}, promised up to {floor}"))?;
    ensure(end <= tried.max(refused_end), || format!("ends at {end}, only {tried} were tried"))?;
    ensure(part.start_floor <= start && start <= part.start_tried, || {
        format!("starts at {start}, not in [{}, {}]", part.start_floor, part.start_tried)
    })?;
    ensure(offsets.high_watermark == end, || format!("high watermark of {offsets:?}"))?;
    let bytes = read_all(log, start, end, None)?;
    let actual = match_batches(&bytes, part, &Bounds { start, end, floor })?;
    check_lookups(log, &bytes, start)?;
    // What is there counts: producers and transactions must agree with it.
    let mut as_found = part.clone();
    as_found.batches = actual;
    check_producers(log, &as_found, start, end)?;
    check_epochs(log, &as_found, start)?;
    Ok(Found { slot: 0, start, end, bytes, batches: as_found.batches })
}

/// All bytes from the batch that holds `start` to the log end.
fn read_all(
    log: &PartitionLog,
    start: i64,
    end: i64,
    mut aborted: Option<&mut Vec<AbortedTxn>>,
) -> Result<Vec<u8>, Broken> {
    let isolation = if aborted.is_some() { Isolation::TxnCommitted } else { Isolation::LogEnd };
    let (mut all, mut next) = (Vec::new(), start);
    while next < end {
        let read = Read { start_offset: next, bytes_max: 1 << 20, isolation, min_one_batch: true };
        let result = log.read(read).map_err(|error| format!("read at {next}: {error:?}"))?;
        if let (Some(all), Some(more)) = (&mut aborted, result.aborted) {
            all.extend(more);
        }
        let Some(region) = result.region else { break };
        let from = all.len();
        all.resize(from + region.length as usize, 0);
        let read = region.file.read_exact_at(&mut all[from..], region.position);
        read.map_err(|error| format!("read at {next}: {error}"))?;
        let before = next;
        for batch in Batches::new(&all[from..]) {
            let batch = batch.map_err(|error| format!("batch behind {next}: {error}"))?;
            next = batch.header().last_offset() + 1;
        }
        ensure(before < next, || format!("a read at {before} brings nothing"))?;
    }
    Ok(all)
}

/// Compares what the indexes find, by offset and by time, with all that is there.
fn check_lookups(log: &PartitionLog, bytes: &[u8], start: i64) -> Result<(), Broken> {
    let mut records = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        let (base, last) = (batch.header().base_offset(), batch.header().last_offset());
        for record in batch.records().map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            records.push((record.timestamp, record.offset));
        }
        let start_offset = start.max(last);
        let isolation = Isolation::LogEnd;
        let read = Read { start_offset, bytes_max: 1, isolation, min_one_batch: true };
        let found = log.read(read).map_err(|error| format!("read at {last}: {error:?}"))?;
        let region = found.region.ok_or_else(|| format!("nothing is read at {last}"))?;
        let mut first = [0; 8];
        let got = region.file.read_exact_at(&mut first, region.position);
        got.map_err(|error| format!("read at {last}: {error}"))?;
        let first = i64::from_be_bytes(first);
        ensure(first == base, || format!("a read at {last} finds the batch at {first}"))?;
    }
    records.retain(|(_, offset)| start <= *offset);
    let mut times: Vec<i64> = records.iter().map(|(ms, _)| *ms).collect();
    times.dedup();
    for ms in times {
        let expected = records.iter().find(|(at, _)| ms <= *at).map(|(_, offset)| *offset);
        let told = log.offset_for_timestamp(TimestampQuery::At(ms));
        let told = told.map_err(|error| format!("a lookup of {ms}: {error}"))?;
        let told = told.map(|told| told.offset);
        ensure(told == expected, || format!("{told:?} at time {ms}, {expected:?} by the log"))?;
    }
    Ok(())
}

/// A log as it was found, and the end of what it must hold.
struct Bounds {
    start: i64,
    end: i64,
    floor: i64,
}

/// Finds every batch of the log among those that were given to it; returns those that are there,
/// and of a compacted log those that may be missing too.
fn match_batches(bytes: &[u8], part: &Part, bounds: &Bounds) -> Result<Vec<Arc<Batch>>, Broken> {
    let Bounds { start, end, floor } = *bounds;
    if part.config.cleanup_compact {
        match_compacted(bytes, part, start, end)?;
        let below = part.batches.iter().filter(|batch| batch.last < end);
        let mut found: Vec<Arc<Batch>> = below.cloned().collect();
        let is_there = |batch: &Batch| bytes.windows(batch.bytes.len()).any(|at| at == batch.bytes);
        loop {
            let next = found.last().map_or(part.empty_end, |batch| batch.last + 1);
            let mut back = part.refused.iter().filter(|batch| batch.base == next);
            let Some(batch) = back.find(|batch| batch.last < end && is_there(batch)) else { break };
            found.push(Arc::clone(batch));
        }
        return Ok(found);
    }
    let before = part.batches.iter().take_while(|batch| batch.last < start);
    let mut found: Vec<Arc<Batch>> = before.cloned().collect();
    let mut expected = found.len();
    let mut rest = bytes;
    while !rest.is_empty() {
        let fits = |batch: &&Arc<Batch>| rest.starts_with(&batch.bytes);
        let batch = part.batches.get(expected).filter(fits);
        let batch = batch.or_else(|| {
            let next = found.last().map_or(part.empty_end, |batch| batch.last + 1);
            // What was promised has no other in its place.
            let mut refused = part.refused.iter().filter(|refused| floor <= refused.base);
            refused.find(|refused| refused.base == next && fits(refused))
        });
        let Some(batch) = batch else {
            let at = part.batches.get(expected).map_or(-1, |batch| batch.base);
            return Err(format!("other bytes at offset {at}, {} from the end", rest.len()));
        };
        rest = &rest[batch.bytes.len()..];
        found.push(Arc::clone(batch));
        expected += 1;
    }
    let last = found.last().map_or(part.empty_end, |batch| batch.last + 1);
    ensure(last == end || bytes.is_empty() && start == end, || {
        format!("ends at {end}, its batches at {last}")
    })?;
    Ok(found)
}

/// Records by their offsets.
type Records = BTreeMap<i64, (u8, Option<u32>)>;

/// Every record of a compacted log must have been given to it, and the last one of every key that
/// is in no aborted or open transaction must be there. A tombstone may be gone, but not while an
/// older value of its key is there: that would be the last one again.
fn match_compacted(bytes: &[u8], part: &Part, start: i64, end: i64) -> Result<(), Broken> {
    // Behind what was acknowledged, a refused batch may be there instead of another one.
    let mut given: BTreeMap<i64, Vec<(u8, Option<u32>)>> = BTreeMap::new();
    for batch in part.batches.iter().chain(&part.refused) {
        for (n, record) in batch.records.iter().enumerate() {
            given.entry(batch.base + n as i64).or_default().push(*record);
        }
    }
    let mut found = Records::new();
    let mut next = 0;
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        batch.check_crc().map_err(|error| error.to_string())?;
        ensure(next <= batch.header().base_offset(), || format!("there are two of {next}"))?;
        next = batch.header().last_offset() + 1;
        if batch.header().attributes().is_control() {
            continue;
        }
        for record in batch.records().map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            let key = record.key.and_then(|key| key.first()).copied().unwrap_or(u8::MAX);
            let value = record.value.map(|value| value.try_into().map(u32::from_be_bytes));
            let value = value.transpose().map_err(|_| "a value of another size".to_owned())?;
            found.insert(record.offset, (key, value));
        }
    }
    for (offset, record) in found.range(start..) {
        let is_given = given.get(offset).is_some_and(|given| given.contains(record));
        ensure(is_given, || format!("other record at {offset}"))?;
    }
    let (producers, aborted) = part.replay(end);
    let is_aborted = |batch: &Batch| {
        let mut ended = aborted.iter();
        ended.any(|txn| txn.producer_id == batch.producer_id && is_within(batch, txn))
    };
    let is_open = |batch: &Batch| {
        let producer = producers.get(&batch.producer_id);
        let first = producer.and_then(|producer| producer.txn_first_offset);
        first.is_some_and(|first| first <= batch.base)
    };
    let (mut last_of, mut committed) = (BTreeMap::new(), BTreeSet::new());
    for batch in part.batches.iter().filter(|batch| batch.last < end) {
        if !is_aborted(batch) && !is_open(batch) {
            for (n, (key, value)) in batch.records.iter().enumerate() {
                last_of.insert(*key, (batch.base + n as i64, *value));
                committed.insert(batch.base + n as i64);
            }
        }
    }
    for (key, (offset, value)) in last_of {
        let is_needed = value.is_some() && start <= offset;
        ensure(!is_needed || found.contains_key(&offset), || {
            format!("the last record of key {key}, at {offset}, is gone")
        })?;
        let mut older = found.range(start..offset.max(start));
        let back = older.find(|(at, record)| record.0 == key && committed.contains(at));
        ensure(back.is_none() || found.contains_key(&offset), || {
            format!("key {key} is back at {back:?}, its tombstone at {offset} is gone")
        })?;
    }
    Ok(())
}

fn is_within(batch: &Batch, txn: &Aborted) -> bool {
    txn.first <= batch.base && batch.last < txn.last
}

fn check_producers(log: &PartitionLog, part: &Part, start: i64, end: i64) -> Result<(), Broken> {
    let (producers, aborted) = part.replay(end);
    for (id, producer) in &producers {
        let entry = log.with_producers(|state| state.producer(*id).cloned());
        let seen = entry.as_ref().map(|entry| {
            let last = entry.last_batch().map_or(-1, |batch| batch.last_offset);
            (entry.producer_epoch, entry.last_sequence(), last)
        });
        let expected = (producer.epoch, producer.last_sequence, producer.last_offset);
        // What lies below the log start may be forgotten.
        let may_miss = producer.last_offset < start;
        ensure(seen == Some(expected) || may_miss, || {
            format!("producer {id} is {seen:?}, {expected:?} by the log")
        })?;
        let open = entry.and_then(|entry| entry.current_txn_first_offset);
        let may_differ = producer.txn_first_offset.or(open).is_some_and(|first| first < start);
        ensure(open == producer.txn_first_offset || may_differ || may_miss, || {
            format!("producer {id}'s transaction from {open:?}, {producer:?} by the log")
        })?;
    }
    let first_open = producers.values().filter_map(|producer| producer.txn_first_offset).min();
    let stable = log.offsets().last_stable_offset;
    let expected = first_open.unwrap_or(end);
    ensure(stable == expected || expected < start, || {
        format!("last stable offset {stable}, {expected} by the log")
    })?;
    if !part.batches.iter().any(|batch| batch.producer_id >= 10) {
        return Ok(());
    }
    let mut seen = Vec::new();
    read_all(log, start, stable, Some(&mut seen))?;
    for txn in &seen {
        // Indexes that were made anew know the first record that was left: by a cleaning, or by a
        // removal of segments with those in which the transaction began.
        let is_known = |known: &&Aborted| {
            let may_begin_late = part.config.cleanup_compact || known.first < start;
            let is_first = known.first == txn.first_offset
                || may_begin_late && (known.first..=known.last).contains(&txn.first_offset);
            known.producer_id == txn.producer_id && is_first
        };
        let first = aborted.iter().find(is_known);
        ensure(first.is_some() || txn.first_offset < start, || format!("{txn:?} was not aborted"))?;
    }
    for txn in aborted.iter().filter(|txn| start <= txn.first && txn.last < stable) {
        let listed = AbortedTxn { producer_id: txn.producer_id, first_offset: txn.first };
        ensure(seen.contains(&listed) || part.config.cleanup_compact, || {
            format!("{txn:?} is not listed as aborted")
        })?;
    }
    Ok(())
}

fn check_epochs(log: &PartitionLog, part: &Part, start: i64) -> Result<(), Broken> {
    // Whoever writes epochs down forgets those of deleted records, which a crash may bring back.
    let start = start.max(part.start_asked);
    for batch in part.batches.iter().filter(|batch| start <= batch.base) {
        let epoch = log.epoch_for_offset(batch.base);
        ensure(epoch == Some(batch.leader_epoch), || {
            format!("epoch {epoch:?} at {}, {} was given", batch.base, batch.leader_epoch)
        })?;
    }
    Ok(())
}
