//! ottla-client.

use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use ottla_client::{
    Admin, Consumer, NewTopic, Producer, ProducerRecord, Properties, TopicPartition,
};

use crate::measure::Batches;
use crate::{Client, Consume, Produce};

/// How many records were not delivered. A callback without state of its own needs no memory.
static FAILURES: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Ottla;

impl Client for Ottla {
    type Producer = OttlaProducer;
    type Consumer = Consumer;

    fn producer(address: &str, topic: &str, batches: Batches) -> Result<OttlaProducer> {
        let properties = properties(address)
            .with("linger.ms", "5")
            .with("batch.size", &batches.bytes.to_string())
            .with("buffer.memory", &batches.memory_bytes.to_string());
        Ok(OttlaProducer { producer: Producer::new(&properties)?, topic: topic.to_owned() })
    }

    fn consumer(address: &str, topic: &str) -> Result<Consumer> {
        let consumer = Consumer::new(&properties(address).with("enable.auto.commit", "false"))?;
        let place = TopicPartition::new(topic, 0);
        consumer.assign(slice::from_ref(&place))?;
        consumer.seek(&place, 0)?;
        Ok(consumer)
    }
}

fn properties(address: &str) -> Properties {
    Properties::new().with("bootstrap.servers", address)
}

/// Makes a topic of one partition.
pub(crate) fn create(address: &str, topic: &str) -> Result<()> {
    let new = NewTopic::new(topic).partitions(1).replication_factor(1);
    for (_, created) in Admin::new(&properties(address))?.create_topics(&[new])? {
        created?;
    }
    Ok(())
}

/// Deletes a topic.
pub(crate) fn delete(address: &str, topic: &str) -> Result<()> {
    for (_, deleted) in Admin::new(&properties(address))?.delete_topics(&[topic])? {
        deleted?;
    }
    Ok(())
}

pub(crate) struct OttlaProducer {
    producer: Producer,
    topic: String,
}

impl Produce for OttlaProducer {
    fn send(&mut self, value: &[u8]) -> Result<()> {
        let record = ProducerRecord::new(&self.topic, value).partition(0);
        self.producer.send_then(&record, |result| {
            if result.is_err() {
                FAILURES.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.producer.flush();
        let failures = FAILURES.load(Ordering::Relaxed);
        ensure!(failures == 0, "{failures} records were not delivered");
        Ok(())
    }
}

impl Consume for Consumer {
    fn next(&mut self, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<()> {
        let records = self.poll(Duration::from_millis(100))?;
        records.iter().all(|record| take(record.value().unwrap_or_default()));
        Ok(())
    }
}
