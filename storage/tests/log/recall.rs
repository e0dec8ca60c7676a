//! Idempotence over restarts, of which the snapshots remember one batch a producer.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::Disk;
use ottla_storage::log::{Appended, OpenLog, PartitionLog};
use ottla_storage::producer_state::snapshots::Shutdown;
use ottla_storage::producer_state::{BATCHES_KEPT, ProducerEntry};
use ottla_storage::sim::{Fault, OpKind, SimDisk};
use ottla_storage::validate::Validated;
use proptest::prelude::*;

use crate::harness::{as_leader, batch, new_log, opening, small};

const DIR: &str = "d/t-0";

fn new() -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new();
    (disk.clone(), Arc::new(disk))
}

fn send(log: &PartitionLog, producer_id: i64, base_sequence: i32, records: u64) -> Appended {
    let options =
        BatchOptions { producer_id, producer_epoch: 0, base_sequence, ..Default::default() };
    let bytes = batch(0, records, options);
    log.append_as_leader(&Validated::from_built(bytes).unwrap(), as_leader()).unwrap()
}

/// One record each, of producer 1.
fn send_all(log: &PartitionLog, sequences: Range<i32>) {
    for sequence in sequences {
        send(log, 1, sequence, 1);
    }
}

fn producers(log: &PartitionLog) -> Vec<(i64, ProducerEntry)> {
    let mut all: Vec<_> = log
        .with_producers(|state| state.producers().map(|(id, entry)| (id, entry.clone())).collect());
    all.sort_unstable_by_key(|(id, _)| *id);
    all
}

/// How it is opened after it was closed.
fn reopening(disk: &Arc<dyn Disk>, log: &PartitionLog, config: LogConfig) -> OpenLog {
    let log_end_offset = log.offsets().log_end_offset;
    let mut open = opening(disk, Path::new(DIR), config);
    (open.after, open.recovery_point) = (Shutdown::Clean, log_end_offset);
    open.log_start_offset = log.offsets().log_start_offset;
    open
}

/// Each producer's five batches in flight, sent again after a stop and after a kill.
#[test]
fn what_was_in_flight_is_told_from_new_after_a_stop_and_after_a_kill() {
    for after in [Shutdown::Clean, Shutdown::Unclean] {
        let (_, disk) = new();
        let log = new_log(&disk, Path::new(DIR), small()).unwrap();
        for n in 0..24 {
            send(&log, n % 3, n as i32 / 3, 1);
        }
        let before = producers(&log);
        let mut open = reopening(&disk, &log, small());
        // Or all is flushed: recovery begins with the last segment and the snapshot at its base.
        if after == Shutdown::Clean { log.close() } else { log.flush() }.unwrap();
        drop(log);
        open.after = after;
        let log = PartitionLog::open(open).unwrap();
        assert_eq!(producers(&log), before, "{after:?}");
        for n in 9..24 {
            let again = send(&log, n % 3, n as i32 / 3, 1);
            assert_eq!((again.base_offset, again.duplicate), (n, true), "{after:?}");
        }
    }
}

/// What a producer sends, or what happens to the log.
#[derive(Clone, Debug)]
enum Step {
    Send { producer_id: i64, records: u64 },
    Restart { after: Shutdown },
    AdvanceLogStart { percent: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (1i64..5, 1u64..4)
            .prop_map(|(producer_id, records)| Step::Send { producer_id, records }),
        1 => prop_oneof![Just(Shutdown::Clean), Just(Shutdown::Unclean)]
            .prop_map(|after| Step::Restart { after }),
        1 => (0i64..100).prop_map(|percent| Step::AdvanceLogStart { percent }),
    ];
    proptest::collection::vec(step, 1..150)
}

/// Who has no record above the log start may be forgotten by a recovery, as by Kafka's; who was
/// forgotten so and has come back, may afterwards be known better than before.
fn check_known(
    before: &[(i64, ProducerEntry)],
    known: &[(i64, ProducerEntry)],
    log_start_offset: i64,
) -> Result<(), TestCaseError> {
    for (id, old) in before {
        let Some((_, new)) = known.iter().find(|(known, _)| known == id) else {
            let last = old.last_batch().map(|batch| batch.last_offset);
            prop_assert!(last < Some(log_start_offset), "{} is forgotten: {:?}", id, old);
            continue;
        };
        prop_assert!(new.batches().ends_with(old.batches()), "{:?} was {:?}", new, old);
        prop_assert_eq!(new.last_timestamp, old.last_timestamp);
    }
    prop_assert!(known.len() <= before.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// The log is far smaller than the bounds of the search, so every producer is as it was.
    #[test]
    fn a_restart_changes_no_producer(steps in steps(), segment_bytes in 200u32..4000) {
        let config = LogConfig { segment_bytes, ..small() };
        let (_, disk) = new();
        let mut log = new_log(&disk, Path::new(DIR), config.clone()).unwrap();
        let mut next = [40; 5];
        for step in steps {
            match step {
                Step::Send { producer_id, records } => {
                    let next = &mut next[producer_id as usize];
                    send(&log, producer_id, *next, records);
                    *next += records as i32;
                }
                // Segments below stay where they are: nothing removes them here.
                Step::AdvanceLogStart { percent } => {
                    let end = log.offsets().log_end_offset;
                    let start = log.offsets().log_start_offset;
                    log.advance_log_start(start + (end - start) * percent / 100).unwrap();
                }
                Step::Restart { after } => {
                    let before = producers(&log);
                    let mut open = reopening(&disk, &log, config.clone());
                    open.after = after;
                    match after {
                        Shutdown::Clean => log.close().unwrap(),
                        Shutdown::Unclean => log.flush().unwrap(),
                    }
                    drop(log);
                    log = PartitionLog::open(open).unwrap();
                    let known = producers(&log);
                    let start = log.offsets().log_start_offset;
                    check_known(&before, &known, start)?;
                }
            }
        }
    }
}

fn kept(log: &PartitionLog, producer_id: i64) -> usize {
    log.with_producers(|state| state.producer(producer_id).map_or(0, |entry| entry.batches().len()))
}

/// Batches without a producer.
fn fill(log: &PartitionLog, batches: usize, value_bytes: usize) {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    let value = vec![7; value_bytes];
    builder.append(&NewRecord { value: Some(&value), ..Default::default() }).unwrap();
    let bytes = Validated::from_built(builder.build().unwrap()).unwrap();
    for _ in 0..batches {
        log.append_as_leader(&bytes, as_leader()).unwrap();
    }
}

/// How often the `.log` files are read while the log is opened.
fn reads(disk: &SimDisk, open: &OpenLog) -> u64 {
    let is_enough = |reads| {
        disk.clear_faults();
        let before = disk.struck().len();
        disk.inject(Fault::on(OpKind::Read, 5).path(".log").skip(reads));
        let _is_open = PartitionLog::open(open.clone());
        disk.struck().len() == before
    };
    let (mut lo, mut hi) = (0, 1024);
    while lo < hi {
        let mid = lo + (hi - lo) / 2;
        if is_enough(mid) { hi = mid } else { lo = mid + 1 }
    }
    disk.clear_faults();
    lo
}

fn closed(disk: &Arc<dyn Disk>, log: Arc<PartitionLog>, config: LogConfig) -> OpenLog {
    let open = reopening(disk, &log, config);
    log.close().unwrap();
    open
}

/// Where nothing can be found, nothing is read; and what there is to be read has bounds.
#[test]
fn little_is_read() {
    let config = LogConfig { segment_bytes: 64 << 20, ..LogConfig::default() };
    let log_after = |filling: &dyn Fn(&PartitionLog)| {
        let (sim, disk) = new();
        let log = new_log(&disk, Path::new(DIR), config.clone()).unwrap();
        filling(&log);
        let open = closed(&disk, log, config.clone());
        let reads = reads(&sim, &open);
        (reads, kept(&PartitionLog::open(open).unwrap(), 1))
    };
    let (without_producers, _) = log_after(&|log| fill(log, 300, 100));
    let begins = |log: &PartitionLog| {
        send(log, 1, 0, 1);
        fill(log, 300, 100);
    };
    let (reads, kept) = log_after(&begins);
    assert!(
        kept == 1 && reads <= without_producers + 2,
        "nothing comes before sequence 0: {reads}"
    );
    let busy = |log: &PartitionLog| send_all(log, 0..300);
    let (reads, kept) = log_after(&busy);
    assert_eq!(kept, BATCHES_KEPT);
    assert!(reads <= without_producers + 8, "{reads}, {without_producers} without producers");
    // Its batches are too far back to be looked for.
    let far = |log: &PartitionLog| {
        send_all(log, 5..8);
        fill(log, 36, 1 << 20);
    };
    let (reads, kept) = log_after(&far);
    assert!(kept == 1 && reads <= without_producers + 4, "{reads}");
    // They are within reach, but small batches lie between.
    let amid_small_ones = |log: &PartitionLog| {
        send_all(log, 5..8);
        fill(log, 6_000, 200);
    };
    let (reads, kept) = log_after(&amid_small_ones);
    assert!(kept == 1 && reads <= without_producers + 300, "{reads}");
    let near = |log: &PartitionLog| {
        send_all(log, 5..8);
        fill(log, 20, 1 << 20);
    };
    assert_eq!(log_after(&near).1, 3);
}

/// What is found is a help; a start goes on without it.
#[test]
fn a_start_goes_on_without_what_it_cannot_read() {
    let (sim, disk) = new();
    let log = new_log(&disk, Path::new(DIR), small()).unwrap();
    send_all(&log, 0..22);
    let open = closed(&disk, log, small());
    // The segments below the last are not read but for this.
    let bases: Vec<String> =
        sim.files().into_iter().filter(|name| name.ends_with(".log")).collect();
    let below = &bases[bases.len() - 2];
    sim.inject(Fault::on(OpKind::Read, 5).path(below).sticky());
    let log = PartitionLog::open(open.clone()).unwrap();
    let with_error = kept(&log, 1);
    assert!((1..BATCHES_KEPT).contains(&with_error), "{with_error}");
    assert!(!sim.struck().is_empty());
    sim.clear_faults();
    log.close().unwrap();
    // A damaged length there.
    sim.corrupt(Path::new(below), 8, &[0x7f; 4]);
    let log = PartitionLog::open(open).unwrap();
    assert_eq!(kept(&log, 1), with_error);
    assert!(send(&log, 1, 21, 1).duplicate);
}
