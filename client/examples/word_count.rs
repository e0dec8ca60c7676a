//! Counts the words of a topic, by members of a group that share its partitions: each line is
//! counted by one of them, and more of them count faster.
//!
//! `cargo run -p ottla-client --example word_count [BOOTSTRAP]`

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ottla_client::{
    Admin, Consumer, IsolationLevel, NewTopic, OffsetSpec, Producer, ProducerRecord, Properties,
    TopicPartition,
};

mod cluster;

const PARTITIONS: i32 = 3;
const MEMBERS: usize = 2;
const LINES: [&str; 4] = [
    "the quick brown fox jumps over the lazy dog",
    "the dog sleeps on",
    "a fox is a fox",
    "and the dog is a dog",
];

type Counts = BTreeMap<String, usize>;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let cluster = cluster::Cluster::find()?;
    run(&cluster.properties(), &mut io::stdout())
}

pub(crate) fn run(properties: &Properties, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let (topic, group) = (cluster::fresh("lines"), cluster::fresh("word-count"));
    let admin = Admin::new(properties)?;
    for (_, created) in admin.create_topics(&[NewTopic::new(&topic).partitions(PARTITIONS)])? {
        created?;
    }
    write_lines(properties, &topic)?;
    let of_group = properties
        .clone()
        .with("group.id", &group)
        .with("group.protocol", "consumer")
        .with("auto.offset.reset", "earliest")
        .with("enable.auto.commit", "false");
    let mut by_count: Vec<_> = count_words(&admin, &of_group, &topic)?.into_iter().collect();
    by_count.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (word, count) in by_count.iter().take(3) {
        writeln!(out, "{count} {word}")?;
    }
    admin.delete_groups(&[&group])?;
    admin.delete_topics(&[&topic])?;
    Ok(())
}

fn write_lines(properties: &Properties, topic: &str) -> Result<(), Box<dyn Error>> {
    let producer = Producer::new(properties)?;
    // They are sent in batches meanwhile: to wait for each one before the next would be slow.
    let mut sent = Vec::new();
    for (number, line) in LINES.iter().enumerate() {
        let key = number.to_string();
        let record = ProducerRecord::new(topic, line.as_bytes()).key(key.as_bytes());
        sent.push(producer.send(&record)?);
    }
    for delivery in sent {
        delivery.wait()?;
    }
    Ok(())
}

/// A topic has no end, and members of a group go on for good. These stop when the group has
/// committed all that there is now.
fn count_words(
    admin: &Admin,
    of_group: &Properties,
    topic: &str,
) -> Result<Counts, Box<dyn Error>> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let members: Vec<_> =
            (0..MEMBERS).map(|_| scope.spawn(|| member(of_group, topic, &is_over))).collect();
        let mut counted = Ok(false);
        while let Ok(false) = counted {
            thread::sleep(Duration::from_millis(20));
            counted = has_counted_all(admin, of_group.get("group.id").unwrap_or_default(), topic);
            // One that has failed says why when it is joined.
            if members.iter().any(|member| member.is_finished()) {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let mut counts = Counts::new();
        for member in members {
            for (word, count) in member.join().map_err(|_| "a member panicked")?? {
                *counts.entry(word).or_default() += count;
            }
        }
        counted.map(|_| counts)
    })
}

/// Counts the words of what its partitions have, whichever they are.
fn member(
    of_group: &Properties,
    topic: &str,
    is_over: &AtomicBool,
) -> Result<Counts, ottla_client::Error> {
    let consumer = Consumer::new(of_group)?;
    consumer.subscribe(&[topic])?;
    let mut counts = Counts::new();
    while !is_over.load(Ordering::Relaxed) {
        let records = consumer.poll(Duration::from_millis(50))?;
        for record in &records {
            let line = String::from_utf8_lossy(record.value().unwrap_or_default());
            for word in line.split_whitespace() {
                *counts.entry(word.to_owned()).or_default() += 1;
            }
        }
        // Before the next poll, in which partitions may go: their next owner goes on from here.
        if !records.is_empty() {
            consumer.commit_sync()?;
        }
    }
    // It leaves, so that the others need not wait until it is missed.
    consumer.close(Duration::from_secs(10))?;
    Ok(counts)
}

/// Whether the group has committed the end of each partition that has records.
fn has_counted_all(admin: &Admin, group: &str, topic: &str) -> Result<bool, Box<dyn Error>> {
    let committed: BTreeMap<i32, i64> = admin
        .committed_offsets(group)?
        .into_iter()
        .map(|committed| (committed.partition, committed.offset))
        .collect();
    let ends: Vec<_> = (0..PARTITIONS)
        .map(|partition| (TopicPartition::new(topic, partition), OffsetSpec::Latest))
        .collect();
    for (of, end) in admin.list_offsets(&ends, IsolationLevel::ReadUncommitted)? {
        let end = end?.offset.unwrap_or_default();
        if committed.get(&of.partition).copied().unwrap_or_default() < end {
            return Ok(false);
        }
    }
    Ok(true)
}
