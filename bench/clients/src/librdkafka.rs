//! librdkafka, through the thin layer that the crate rdkafka is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};

use crate::measure::Batches;
use crate::{Client, Consume, Produce};

/// Records between two looks at what was delivered.
const POLL_EVERY: u32 = 512;

/// Messages that are taken from the consumer in one call of ours.
const TURN: usize = 512;

/// For a flush.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct Rdkafka;

impl Client for Rdkafka {
    type Producer = RdProducer;
    type Consumer = BaseConsumer;

    fn producer(address: &str, topic: &str, batches: Batches) -> Result<RdProducer> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", address)
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("batch.size", batches.bytes.to_string())
            // The bound is in bytes, as others have it.
            .set("queue.buffering.max.messages", "100000000")
            .set("queue.buffering.max.kbytes", (batches.memory_bytes / 1024).to_string())
            .create_with_context(Failures::default())?;
        Ok(RdProducer { producer, topic: topic.to_owned(), since_poll: 0 })
    }

    fn consumer(address: &str, topic: &str) -> Result<BaseConsumer> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", address)
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("check.crcs", "true")
            .create()?;
        let mut assigned = TopicPartitionList::new();
        assigned.add_partition_offset(topic, 0, Offset::Offset(0))?;
        consumer.assign(&assigned)?;
        Ok(consumer)
    }
}

/// How many records were not delivered.
#[derive(Default)]
struct Failures(AtomicU64);

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub(crate) struct RdProducer {
    producer: BaseProducer<Failures>,
    topic: String,
    since_poll: u32,
}

impl Produce for RdProducer {
    fn send(&mut self, value: &[u8]) -> Result<()> {
        let mut record = BaseRecord::<(), [u8]>::to(&self.topic).partition(0).payload(value);
        while let Err((error, back)) = self.producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                bail!(error);
            }
            self.producer.poll(Duration::from_millis(10));
            record = back;
        }
        self.since_poll += 1;
        if self.since_poll == POLL_EVERY {
            self.since_poll = 0;
            self.producer.poll(Duration::ZERO);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.producer.flush(LIMIT)?;
        let failures = self.producer.context().0.load(Ordering::Relaxed);
        ensure!(failures == 0, "{failures} records were not delivered");
        Ok(())
    }
}

impl Consume for BaseConsumer {
    fn next(&mut self, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<()> {
        for _ in 0..TURN {
            let Some(message) = self.poll(Duration::from_millis(100)) else { break };
            if !take(message?.payload().unwrap_or_default()) {
                break;
            }
        }
        Ok(())
    }
}
