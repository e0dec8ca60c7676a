//! Producers: several batches in flight on a plain socket.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use ottla_check::event::{Outcome, Place, Send, What};
use ottla_check::value::{ValueId, encode};
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::wire::Records;

use super::ask;
use crate::torture::random::Random;
use crate::torture::shared::{Attempt, Client, Shared, Target, Times, uuid};
use crate::torture::wire::{Connection, Kind, read};

const PRODUCE: Kind = Kind(ApiKey::Produce, 13);
/// As many as Kafka lets an idempotent producer have.
const IN_FLIGHT_MAX: u64 = 5;
/// How long a producer goes on with what it has begun after it was told to stop.
const LAST_TRY: Duration = Duration::from_secs(15);
/// A sequence that is refused that often, with nothing before it, is lost.
const REFUSALS_MAX: u32 = 40;

/// What kind of producer.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// Repeats what was not answered, with sequences; else each record is sent once.
    pub(crate) idempotent: bool,
    /// A refused sequence ends a session instead of being a lost one.
    pub(crate) sessions_end: bool,
}

/// A batch on its way.
struct Batch {
    send: Send,
    bytes: Vec<u8>,
    refusals: u32,
}

/// An idempotent producer's id and its next sequence in each partition.
struct Session {
    number: u32,
    producer_id: i64,
    epoch: i16,
    sequences: HashMap<Place, i32>,
}

struct Producer<'a> {
    client: Client,
    targets: &'a [Target],
    random: Random,
    style: Style,
    session: Option<Session>,
    sessions: u32,
    next: u64,
}

/// Produces until the load is stopped.
pub(crate) fn run(client: Client, targets: &[Target], random: Random, style: Style) {
    let (session, sessions, next) = (None, 0, 0);
    let mut producer = Producer { client, targets, random, style, session, sessions, next };
    let mut stopped: Option<Instant> = None;
    let mut pending = Vec::new();
    loop {
        if stopped.is_none() && producer.client.shared.is_stopped() {
            stopped = Some(Instant::now());
        }
        if stopped.is_some() && pending.is_empty() {
            break;
        }
        if stopped.is_some_and(|at| at.elapsed() > LAST_TRY) {
            let text = format!("{} batches have no good answer in the end", pending.len());
            producer.client.shared.complain(text);
            break;
        }
        if style.idempotent && producer.session.is_none() && !producer.open_session() {
            continue;
        }
        if stopped.is_none() && pending.is_empty() {
            producer.fill(&mut pending);
        }
        producer.attempt(&mut pending);
        let pause = producer.random.below(4_000);
        thread::sleep(Duration::from_micros(pause));
    }
    producer.client.retire();
}

impl Producer<'_> {
    fn open_session(&mut self) -> bool {
        let Attempt::Answered(_, Some((producer_id, epoch))) =
            self.client.attempt(ask::init_producer_id)
        else {
            return false;
        };
        let number = self.sessions;
        self.sessions += 1;
        let sequences = HashMap::new();
        self.session = Some(Session { number, producer_id, epoch, sequences });
        true
    }

    fn fill(&mut self, pending: &mut Vec<Batch>) {
        for _ in 0..=self.random.below(IN_FLIGHT_MAX) {
            let target = self.random.pick(self.targets).clone();
            let partition = self.random.below(u64::try_from(target.topic.partitions).unwrap_or(1));
            let partition = i32::try_from(partition).unwrap_or(0);
            let place = Place { topic: target.topic.id, partition };
            let count = 1 + self.random.below(6);
            let send = Send {
                place,
                producer: self.client.id,
                session: self.session.as_ref().map(|session| session.number),
                first_sequence: self.next,
                count: u32::try_from(count).unwrap_or(1),
                base_offset: None,
                outcome: Outcome::Unknown,
            };
            self.next += count;
            let bytes = self.build(&send, &target);
            pending.push(Batch { send, bytes, refusals: 0 });
        }
    }

    fn build(&mut self, send: &Send, target: &Target) -> Vec<u8> {
        let mut options = BatchOptions::default();
        if let Some(session) = &mut self.session {
            let sequence = session.sequences.entry(send.place).or_default();
            options.producer_id = session.producer_id;
            options.producer_epoch = session.epoch;
            options.base_sequence = *sequence;
            *sequence += i32::try_from(send.count).unwrap_or(0);
        }
        let mut builder = BatchBuilder::new(options).expect("no compressor is needed");
        let now_ms = ask::wall_ms();
        for n in 0..u64::from(send.count) {
            let id = ValueId { producer: send.producer, sequence: send.first_sequence + n };
            let padding = self.random.below(target.padding_bytes.max(1));
            let value = encode(self.client.shared.run, id, usize::try_from(padding).unwrap_or(0));
            let key = target.keys().map(|keys| format!("{}-{}", id.producer, id.sequence % keys));
            // Clocks of producers jitter.
            let timestamp = now_ms + i64::try_from(self.random.below(5)).unwrap_or(0);
            let key = key.as_deref().map(str::as_bytes);
            let record = NewRecord { timestamp, key, value: Some(&value), headers: &[] };
            builder.append(&record).expect("records are small");
        }
        builder.build().expect("the batch is small")
    }

    /// Sends all that is pending and keeps what has to be sent again.
    fn attempt(&mut self, pending: &mut Vec<Batch>) {
        let mut answers = Vec::new();
        let acks = if self.style.idempotent { -1 } else { 1 };
        let shared = self.client.shared.clone();
        let talk =
            |connection: &mut Connection| talk(connection, &shared, pending, acks, &mut answers);
        let times = match self.client.attempt(talk) {
            Attempt::NotSent => return,
            Attempt::Broken(times) | Attempt::Answered(times, ()) => times,
        };
        let batches = std::mem::take(pending);
        let mut ended = false;
        for (n, mut batch) in batches.into_iter().enumerate() {
            let none = Answer { code: None, base_offset: -1, ended_ns: times.ended_ns };
            let Answer { code, base_offset, ended_ns } = answers.get(n).copied().unwrap_or(none);
            batch.send.outcome = outcome(code);
            let acked = batch.send.outcome == Outcome::Acked;
            batch.send.base_offset = (acked && base_offset >= 0).then_some(base_offset);
            self.client.note(Times { ended_ns, ..times }, What::Send(batch.send));
            if acked {
                let count = u64::from(batch.send.count);
                self.client.shared.acked.fetch_add(count, Ordering::Relaxed);
            }
            if acked || !self.style.idempotent {
                continue;
            }
            batch.refusals += u32::from(code == Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
            let first = !pending.iter().any(|b: &Batch| b.send.place == batch.send.place);
            ended |= first && batch.refusals >= 1 && self.style.sessions_end;
            if first && batch.refusals == REFUSALS_MAX && !self.style.sessions_end {
                let send = batch.send;
                self.client.shared.complain(format!("a sequence is refused for good: {send:?}"));
            }
            pending.push(batch);
        }
        if ended {
            // What was not acknowledged is given up; new records go on with new sequences.
            pending.clear();
            self.session = None;
        }
    }
}

/// What an answer's code says of the batch; no code means no answer.
fn outcome(code: Option<ErrorCode>) -> Outcome {
    match code {
        Some(ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER) => Outcome::Acked,
        Some(
            ErrorCode::MESSAGE_TOO_LARGE
            | ErrorCode::CORRUPT_MESSAGE
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        ) => Outcome::Failed,
        _ => Outcome::Unknown,
    }
}

/// What came of a batch, and when that was told, ns.
#[derive(Clone, Copy)]
struct Answer {
    code: Option<ErrorCode>,
    base_offset: i64,
    ended_ns: u64,
}

/// Sends the batches, one request each, then takes their answers as far as they come.
fn talk(
    connection: &mut Connection,
    shared: &Shared,
    batches: &[Batch],
    acks: i16,
    answers: &mut Vec<Answer>,
) -> io::Result<()> {
    for batch in batches {
        let records = Some(Records::Bytes(&batch.bytes));
        let index = batch.send.place.partition;
        let topic = TopicProduceData {
            topic_id: uuid(batch.send.place.topic),
            partition_data: vec![PartitionProduceData { index, records }],
            ..Default::default()
        };
        let topic_data = vec![topic];
        let request =
            ProduceRequest { transactional_id: None, acks, timeout_ms: 5_000, topic_data };
        connection.send(PRODUCE, &request)?;
    }
    for _ in batches {
        let body = connection.receive(PRODUCE)?;
        let response: ProduceResponse = read(body, PRODUCE)?;
        let partition = response.responses.first().and_then(|t| t.partition_responses.first());
        let partition = partition.ok_or_else(|| io::Error::other("an empty answer"))?;
        let (code, base_offset) = (Some(partition.error_code), partition.base_offset);
        answers.push(Answer { code, base_offset, ended_ns: shared.now_ns() });
    }
    Ok(())
}
