//! Counts the words of a topic, from its beginning to its end.
//!
//! `cargo run -p ottla-client --example word_count [BOOTSTRAP]`

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use ottla_client::{
    Admin, Consumer, NewTopic, Producer, ProducerRecord, Properties, TopicPartition,
};

mod cluster;

const LINES: [&str; 4] = [
    "the quick brown fox jumps over the lazy dog",
    "the dog sleeps on",
    "a fox is a fox",
    "and the dog is a dog",
];

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let cluster = cluster::Cluster::find()?;
    run(&cluster.properties(), &mut io::stdout())
}

pub(crate) fn run(properties: &Properties, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let topic = cluster::fresh("lines");
    let admin = Admin::new(properties)?;
    for (_, created) in admin.create_topics(&[NewTopic::new(&topic).partitions(3)])? {
        created?;
    }
    write_lines(properties, &topic)?;
    let counts = count_words(properties, &topic)?;
    let mut by_count: Vec<_> = counts.into_iter().collect();
    by_count.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (word, count) in by_count.iter().take(3) {
        writeln!(out, "{count} {word}")?;
    }
    admin.delete_topics(&[&topic])?;
    Ok(())
}

fn write_lines(properties: &Properties, topic: &str) -> Result<(), Box<dyn Error>> {
    let producer = Producer::new(properties)?;
    // They are sent in batches meanwhile: to wait for each one before the next would be slow.
    let sent: Result<Vec<_>, _> = LINES
        .iter()
        .map(|line| producer.send(&ProducerRecord::new(topic, line.as_bytes())))
        .collect();
    for delivery in sent? {
        delivery.wait()?;
    }
    Ok(())
}

fn count_words(
    properties: &Properties,
    topic: &str,
) -> Result<BTreeMap<String, usize>, Box<dyn Error>> {
    let consumer = Consumer::new(&properties.clone().with("auto.offset.reset", "earliest"))?;
    let partitions: Vec<TopicPartition> = consumer
        .partitions_for(topic)?
        .iter()
        .map(|partition| TopicPartition::new(topic, partition.index))
        .collect();
    consumer.assign(&partitions)?;
    // A topic has no end. Where it ends now is where we stop.
    let ends = consumer.end_offsets(&partitions)?;
    let mut counts = BTreeMap::new();
    loop {
        for record in &consumer.poll(Duration::from_millis(100))? {
            let line = String::from_utf8_lossy(record.value().unwrap_or_default());
            for word in line.split_whitespace() {
                *counts.entry(word.to_owned()).or_insert(0) += 1;
            }
        }
        // Positions tell, not counts of records: offsets may have gaps.
        let mut left = false;
        for (partition, end) in &ends {
            left |= consumer.position(partition)? < *end;
        }
        if !left {
            return Ok(counts);
        }
    }
}
