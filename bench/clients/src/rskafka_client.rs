//! rskafka, which makes no batches by itself for those who want speed: it is given whole ones, and
//! has five of them on the way.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use chrono::DateTime;
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::measure::{Batches, VALUE_BYTES};
use crate::{Client, Consume, Produce};

/// What a record has around its value in a batch, roughly.
const RECORD_EXTRA_BYTES: usize = 10;

/// Batches on the way at a time, as other clients have it.
const IN_FLIGHT_MAX: usize = 5;

/// What a fetch asks for, as other clients do.
const FETCH_BYTES_MAX: i32 = 1 << 20;

pub(crate) struct Rskafka;

impl Client for Rskafka {
    type Producer = RsProducer;
    type Consumer = RsConsumer;

    fn producer(address: &str, topic: &str, batches: Batches) -> Result<RsProducer> {
        let (runtime, client) = connect(address, topic)?;
        Ok(RsProducer {
            runtime,
            client,
            records: Vec::new(),
            records_max: batches.bytes / (VALUE_BYTES + RECORD_EXTRA_BYTES),
            on_the_way: VecDeque::new(),
        })
    }

    fn consumer(address: &str, topic: &str) -> Result<RsConsumer> {
        let (runtime, client) = connect(address, topic)?;
        Ok(RsConsumer { runtime, client, offset: 0 })
    }
}

fn connect(address: &str, topic: &str) -> Result<(Runtime, Arc<PartitionClient>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(async {
        let client = ClientBuilder::new(vec![address.to_owned()]).build().await?;
        client.partition_client(topic, 0, UnknownTopicHandling::Retry).await
    })?;
    Ok((runtime, Arc::new(client)))
}

pub(crate) struct RsProducer {
    runtime: Runtime,
    client: Arc<PartitionClient>,
    records: Vec<Record>,
    records_max: usize,
    on_the_way: VecDeque<JoinHandle<Result<Vec<i64>, rskafka::client::error::Error>>>,
}

impl RsProducer {
    fn send_batch(&mut self) -> Result<()> {
        let records = std::mem::take(&mut self.records);
        self.records.reserve(self.records_max);
        let client = Arc::clone(&self.client);
        self.on_the_way.push_back(
            self.runtime
                .spawn(async move { client.produce(records, Compression::NoCompression).await }),
        );
        self.wait_for_all_but(IN_FLIGHT_MAX - 1)
    }

    fn wait_for_all_but(&mut self, count: usize) -> Result<()> {
        while self.on_the_way.len() > count {
            let first = self.on_the_way.pop_front().context("there are some")?;
            self.runtime.block_on(first)??;
        }
        Ok(())
    }
}

impl Produce for RsProducer {
    fn send(&mut self, value: &[u8]) -> Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let millis = i64::try_from(since.as_millis())?;
        self.records.push(Record {
            key: None,
            value: Some(value.to_vec()),
            headers: BTreeMap::new(),
            timestamp: DateTime::from_timestamp_millis(millis).context("a time that it knows")?,
        });
        if self.records.len() < self.records_max { Ok(()) } else { self.send_batch() }
    }

    fn flush(&mut self) -> Result<()> {
        self.send_batch()?;
        self.wait_for_all_but(0)
    }
}

pub(crate) struct RsConsumer {
    runtime: Runtime,
    client: Arc<PartitionClient>,
    offset: i64,
}

impl Consume for RsConsumer {
    fn next(&mut self, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<()> {
        let fetch = self.client.fetch_records(self.offset, 1..FETCH_BYTES_MAX, 100);
        let (records, _) = self.runtime.block_on(fetch)?;
        for read in records {
            self.offset = read.offset + 1;
            if !take(read.record.value.as_deref().unwrap_or_default()) {
                break;
            }
        }
        Ok(())
    }
}
