//! Numbers that are produced and read along with, whatever happens to the broker meanwhile.

use std::io::{self, BufRead};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{slice, thread};

use anyhow::{Result, ensure};
use ottla_client::{Consumer, Error, Producer, ProducerRecord, TopicPartition};

use crate::client::{Client, PATIENCE, settings};

/// Records in a burst: several batches, of which the producer has heard nothing when the broker
/// ends amid them.
const BURST: u64 = 2_000;

/// Between two bursts, to keep the log short.
const PAUSE: Duration = Duration::from_millis(20);

/// Produces 0, 1, 2, ... until a line comes on stdin, and prints `acked COUNT` now and then; a
/// consumer reads along. Good is when each number is there once and in order.
pub(crate) fn run(bootstrap: &str, topic: &str) -> Result<()> {
    let client = Client::new(bootstrap)?;
    client.create(topic, 1, &[])?;
    let settings = settings(bootstrap)
        .with("batch.size", "16000")
        .with("buffer.memory", "1000000")
        .with("retry.backoff.ms", "5")
        .with("retry.backoff.max.ms", "50");
    let producer = Producer::new(&settings)?;
    let (is_over, acked) = (AtomicBool::new(false), Arc::new(AtomicU64::new(0)));
    // The number of records, once it is known.
    let total = AtomicU64::new(u64::MAX);
    let sent = thread::scope(|scope| {
        scope.spawn(|| {
            // An end of the input counts as a line.
            let _ = io::stdin().lock().read_line(&mut String::new());
            is_over.store(true, Ordering::Release);
        });
        let reading = scope.spawn(|| read(bootstrap, topic, &total));
        let sent = send(&producer, topic, &is_over, &acked);
        total.store(*sent.as_ref().unwrap_or(&0), Ordering::Release);
        reading.join().expect("the reader does not panic")?;
        sent
    })?;
    let acked = acked.load(Ordering::Relaxed);
    ensure!(acked == sent, "{acked} of {sent} acknowledged");
    println!("acked {acked}");
    Ok(())
}

fn send(
    producer: &Producer,
    topic: &str,
    is_over: &AtomicBool,
    acked: &Arc<AtomicU64>,
) -> Result<u64> {
    let failure: Arc<Mutex<Option<Error>>> = Arc::default();
    let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut sent = 0;
    while !is_over.load(Ordering::Acquire) {
        for _ in 0..BURST {
            let (acked, failure) = (Arc::clone(acked), Arc::clone(&failure));
            let value = value(sent);
            let record = ProducerRecord::new(topic, value.as_bytes());
            producer.send_then(&record, move |result| match result {
                Ok(_) => _ = acked.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            })?;
            sent += 1;
        }
        println!("acked {}", acked.load(Ordering::Relaxed));
        if let Some(error) = failed() {
            return Err(error.into());
        }
        thread::sleep(PAUSE);
    }
    producer.flush();
    failed().map_or(Ok(sent), |error| Err(error.into()))
}

/// A number, and so much behind it that a batch has few of them.
fn value(number: u64) -> String {
    format!("{number} padding {number:0200}")
}

/// Reads numbers until there are as many as `total` says in the end.
fn read(bootstrap: &str, topic: &str, total: &AtomicU64) -> Result<()> {
    let settings = settings(bootstrap)
        .with("enable.auto.commit", "false")
        .with("auto.offset.reset", "none")
        .with("fetch.max.wait.ms", "100");
    let consumer = Consumer::new(&settings)?;
    let place = TopicPartition::new(topic, 0);
    consumer.assign(slice::from_ref(&place))?;
    consumer.seek(&place, 0)?;
    let (mut next, mut since) = (0, Instant::now());
    while next < total.load(Ordering::Acquire) {
        let records = consumer.poll(Duration::from_millis(100))?;
        for record in &records {
            let is_next = record.value() == Some(value(next).as_bytes())
                && u64::try_from(record.offset()) == Ok(next);
            ensure!(is_next, "offset {} has {record:?}, expected {next}", record.offset());
            next += 1;
        }
        if !records.is_empty() {
            since = Instant::now();
        }
        ensure!(since.elapsed() < PATIENCE, "nothing comes after {next} records");
    }
    Ok(())
}
