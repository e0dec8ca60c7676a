//! The few calls that the cases need; each waits until its work is done.

use std::collections::HashMap;
use std::slice;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ottla_client::{
    Admin, Consumer, Delivery, Header, IsolationLevel, NewTopic, OffsetSpec, Producer,
    ProducerRecord, Properties, Results, TopicPartition,
};

/// How long the consumer may have nothing to hand over.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What is sent and what comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// ms since the epoch; `None` leaves it to the client.
    pub(crate) timestamp: Option<i64>,
}

impl Record {
    pub(crate) fn of(value: &[u8]) -> Self {
        Self { value: Some(value.to_vec()), ..Self::default() }
    }
}

/// An admin client, and the producers and the consumer that were needed so far.
pub(crate) struct Client {
    bootstrap: String,
    admin: Admin,
    producers: HashMap<(String, bool), Producer>,
    consumer: Option<Consumer>,
}

/// Settings of every client: a broker that is back is found soon.
pub(crate) fn settings(bootstrap: &str) -> Properties {
    Properties::new().with("bootstrap.servers", bootstrap).with("reconnect.backoff.max.ms", "500")
}

impl Client {
    pub(crate) fn new(bootstrap: &str) -> Result<Self> {
        let admin = Admin::new(&settings(bootstrap))?;
        let bootstrap = bootstrap.to_owned();
        Ok(Self { bootstrap, admin, producers: HashMap::new(), consumer: None })
    }

    pub(crate) fn create(
        &self,
        topic: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let new = NewTopic::new(topic).partitions(partitions).replication_factor(1);
        let new = configs.iter().fold(new, |new, (name, value)| new.config(name, value));
        only(self.admin.create_topics(&[new])?).map(drop)
    }

    pub(crate) fn delete(&self, topic: &str) -> Result<()> {
        only(self.admin.delete_topics(&[topic])?)
    }

    pub(crate) fn topics(&self) -> Result<Vec<String>> {
        Ok(self.admin.list_topics(false)?.into_iter().map(|topic| topic.name).collect())
    }

    /// 0 for a topic that is not known yet.
    pub(crate) fn partitions(&self, topic: &str) -> Result<usize> {
        let listed = self.admin.list_topics(false)?;
        Ok(listed.iter().find(|listed| listed.name == topic).map_or(0, |found| found.partitions))
    }

    /// The producer of that codec, made at its first use.
    pub(crate) fn producer(&mut self, codec: &str, idempotent: bool) -> Result<&Producer> {
        let key = (codec.to_owned(), idempotent);
        if !self.producers.contains_key(&key) {
            let settings = settings(&self.bootstrap)
                .with("acks", "all")
                .with("compression.type", codec)
                .with("enable.idempotence", if idempotent { "true" } else { "false" })
                .with("linger.ms", "20")
                .with("batch.size", "65536")
                // What the broker shall refuse has to get there.
                .with("max.request.size", "2000000");
            self.producers.insert(key.clone(), Producer::new(&settings)?);
        }
        Ok(&self.producers[&key])
    }

    pub(crate) fn send(
        &mut self,
        topic: &str,
        records: &[Record],
        codec: &str,
        idempotent: bool,
    ) -> Result<()> {
        let producer = self.producer(codec, idempotent)?;
        let mut deliveries: Vec<Delivery> = Vec::new();
        for record in records {
            let headers = record.headers.iter();
            let headers: Vec<Header<'_>> =
                headers.map(|(key, value)| Header { key, value: value.as_deref() }).collect();
            deliveries.push(producer.send(&ProducerRecord {
                topic,
                partition: None,
                timestamp: record.timestamp,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &headers,
            })?);
        }
        producer.flush();
        for delivery in deliveries {
            delivery.wait()?;
        }
        Ok(())
    }
}

impl Client {
    /// The consumer, made at its first use.
    fn consumer(&mut self) -> Result<&Consumer> {
        if self.consumer.is_none() {
            let settings = settings(&self.bootstrap)
                .with("auto.offset.reset", "none")
                .with("enable.auto.commit", "false")
                .with("fetch.max.wait.ms", "100")
                .with("max.poll.records", "10000");
            self.consumer = Some(Consumer::new(&settings)?);
        }
        self.consumer.as_ref().context("it was made")
    }

    /// Hands over so many records of a partition, from an offset on.
    pub(crate) fn for_each(
        &mut self,
        (topic, partition): (&str, i32),
        offset: i64,
        count: usize,
        mut body: impl FnMut(&ottla_client::Record<'_>),
    ) -> Result<()> {
        let consumer = self.consumer()?;
        let place = TopicPartition::new(topic, partition);
        consumer.assign(slice::from_ref(&place))?;
        consumer.seek(&place, offset)?;
        let (mut left, mut since) = (count, Instant::now());
        while left > 0 {
            let records = consumer.poll(Duration::from_secs(1))?;
            if !records.is_empty() {
                since = Instant::now();
            }
            ensure!(since.elapsed() < PATIENCE, "{left} of {count} records did not come");
            records.iter().take(left).for_each(|record| body(&record));
            left = left.saturating_sub(records.len());
        }
        Ok(())
    }

    /// So many records of a partition with their offsets, from an offset on.
    pub(crate) fn read(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        count: usize,
    ) -> Result<Vec<(i64, Record)>> {
        let mut all = Vec::new();
        self.for_each((topic, partition), offset, count, |read| {
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            let record = Record {
                key: owned(read.key()),
                value: owned(read.value()),
                headers: read.headers().map(|of| (of.key.to_vec(), owned(of.value))).collect(),
                timestamp: Some(read.timestamp()),
            };
            all.push((read.offset(), record));
        })?;
        Ok(all)
    }

    /// The first offset of a partition, and the next one.
    pub(crate) fn ends(&mut self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        let place = TopicPartition::new(topic, partition);
        let consumer = self.consumer()?;
        let first = consumer.beginning_offsets(slice::from_ref(&place))?;
        let next = consumer.end_offsets(slice::from_ref(&place))?;
        let [first, next] =
            [first, next].map(|of| of.get(&place).copied().context("no word about it"));
        Ok((first?, next?))
    }

    /// The first offset of partition 0 that is not before a time.
    pub(crate) fn offset_at(&mut self, topic: &str, timestamp: i64) -> Result<Option<i64>> {
        let place = TopicPartition::new(topic, 0);
        let found = self.consumer()?.offsets_for_times(&[(place.clone(), timestamp)])?;
        let found = found.get(&place).context("no word about it")?;
        Ok(found.as_ref().map(|found| found.offset))
    }
}

impl Client {
    /// The offset of the greatest timestamp of partition 0.
    pub(crate) fn offset_of_max_timestamp(&self, topic: &str) -> Result<Option<i64>> {
        let place = TopicPartition::new(topic, 0);
        let asked = [(place, OffsetSpec::MaxTimestamp)];
        let listed = self.admin.list_offsets(&asked, IsolationLevel::ReadUncommitted)?;
        Ok(only(listed)?.offset)
    }
}

/// The result of a call that was about one thing.
fn only<K, T>(results: Results<K, T>) -> Result<T> {
    match results.into_iter().next() {
        Some((_, result)) => Ok(result?),
        None => bail!("a result for nothing"),
    }
}
