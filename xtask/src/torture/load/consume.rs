//! Consumers: they follow every partition, and ask where its ends are and what a timestamp finds.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::thread;
use std::time::Duration;

use ottla_check::event::{Place, Policy, Read, Reader, Seen, What};
use ottla_check::value::Payload;
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use ottla_protocol::record::compression::{Codec, DecompressLimits, decompress};
use ottla_protocol::record::set::Batches;

use super::ask;
use crate::torture::random::Random;
use crate::torture::shared::{Attempt, Client, Target, topic_id, uuid};
use crate::torture::wire::{Connection, Kind, read};

const FETCH: Kind = Kind(ApiKey::Fetch, 17);

/// No batch of the load is larger when it is decompressed.
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// A place's answer.
pub(crate) struct Fetched {
    pub(crate) place: Place,
    pub(crate) error_code: ErrorCode,
    pub(crate) read: Read,
}

/// Consumes until the load is stopped.
pub(crate) fn run(mut client: Client, targets: &[Target], mut random: Random) {
    let mut positions: HashMap<Place, i64> =
        targets.iter().flat_map(Target::places).map(|place| (place, 0)).collect();
    while !client.shared.is_stopped() {
        let wanted: Vec<(Place, i64)> = positions.iter().map(|(place, at)| (*place, *at)).collect();
        let run = client.shared.run;
        let fetch = |connection: &mut Connection| fetch(connection, &wanted, Reader::Live, run);
        let Attempt::Answered(times, answers) = client.attempt(fetch) else { continue };
        for answer in answers {
            match answer.error_code {
                ErrorCode::NONE => {
                    positions.insert(answer.place, answer.read.next);
                    // A long poll's answer says nothing when nothing came.
                    if !answer.read.records.is_empty() {
                        client.note(times, What::Read(answer.read));
                    }
                }
                ErrorCode::OFFSET_OUT_OF_RANGE => {
                    find_start(&mut client, targets, answer.place, &mut positions);
                }
                _ => {}
            }
        }
        if random.once_in(4) {
            ask_ends(&mut client, targets, &mut random);
        }
        thread::sleep(Duration::from_micros(random.below(3_000)));
    }
    client.retire();
}

/// Goes on where the log begins now, or, after a loss of power, where it ends.
fn find_start(
    client: &mut Client,
    targets: &[Target],
    place: Place,
    positions: &mut HashMap<Place, i64>,
) {
    let Some(target) = targets.iter().find(|target| target.topic.id == place.topic) else {
        return;
    };
    let talk = |connection: &mut Connection| ask::ends(connection, &target.name, place.partition);
    let Attempt::Answered(_, Some((start, end))) = client.attempt(talk) else { return };
    if let Some(at) = positions.get_mut(&place) {
        *at = if *at < start { start } else { end };
    }
}

fn ask_ends(client: &mut Client, targets: &[Target], random: &mut Random) {
    let target = random.pick(targets);
    let places: Vec<Place> = target.places().collect();
    let place = *random.pick(&places);
    let talk = |connection: &mut Connection| ask::ends(connection, &target.name, place.partition);
    if let Attempt::Answered(times, Some((start, end))) = client.attempt(talk) {
        client.note(times, What::Ends { place, log_start: Some(start), end: Some(end) });
    }
    if matches!(target.topic.policy, Policy::Compact { .. }) {
        return;
    }
    // Most often among the latest records.
    let most_ms = *random.pick(&[200, 2_000, 20_000]);
    let back_ms = i64::try_from(random.below(most_ms)).unwrap_or(0);
    let timestamp_ms = ask::wall_ms() - back_ms;
    let talk = |connection: &mut Connection| {
        ask::lookup(connection, &target.name, place.partition, timestamp_ms)
    };
    if let Attempt::Answered(times, Some(found)) = client.attempt(talk) {
        client.note(times, What::Lookup { place, timestamp_ms, found });
    }
}

/// Fetches from all these places at once, waiting shortly for more.
pub(crate) fn fetch(
    connection: &mut Connection,
    wanted: &[(Place, i64)],
    reader: Reader,
    run: u64,
) -> io::Result<Vec<Fetched>> {
    let topics = wanted.iter().map(|(place, at)| FetchTopic {
        topic_id: uuid(place.topic),
        partitions: vec![FetchPartition {
            partition: place.partition,
            fetch_offset: *at,
            partition_max_bytes: 256 << 10,
            ..Default::default()
        }],
        ..Default::default()
    });
    let request = FetchRequest {
        max_wait_ms: if reader == Reader::Live { 20 } else { 0 },
        min_bytes: 1,
        max_bytes: 8 << 20,
        topics: topics.collect(),
        ..Default::default()
    };
    let response: FetchResponse = read(connection.call(FETCH, &request)?, FETCH)?;
    let mut answers = Vec::new();
    for topic in &response.responses {
        for data in &topic.partitions {
            let place = Place { topic: topic_id(topic.topic_id), partition: data.partition_index };
            let at = wanted.iter().find(|(wanted, _)| *wanted == place).map(|(_, at)| *at);
            let from = at.ok_or_else(|| io::Error::other("an answer for another partition"))?;
            let bytes = data.records.map(|records| records.bytes()).unwrap_or_default();
            let (records, next) = seen(bytes, from, run)?;
            let (high_watermark, log_start) =
                (Some(data.high_watermark), Some(data.log_start_offset));
            let read = Read { place, reader, from, next, high_watermark, log_start, records };
            answers.push(Fetched { place, error_code: data.error_code, read });
        }
    }
    Ok(answers)
}

/// The records of whole batches at and behind an offset, and the offset to go on from.
pub(crate) fn seen(bytes: &[u8], from: i64, run: u64) -> io::Result<(Vec<Seen>, i64)> {
    let (mut records, mut next) = (Vec::new(), from);
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(io::Error::other)?;
        batch.check_crc().map_err(io::Error::other)?;
        let payload = match Codec::from_id(batch.header().attributes().codec_id()) {
            Some(Codec::None) => Cow::Borrowed(batch.payload()),
            // Real clients compress.
            Some(codec) => {
                let limits = DecompressLimits::of_bytes(BATCH_BYTES_MAX);
                Cow::Owned(decompress(codec, batch.payload(), limits).map_err(io::Error::other)?)
            }
            None => return Err(io::Error::other("a batch of an unknown codec")),
        };
        for record in batch.records_in(&payload).map_err(io::Error::other)? {
            let record = record.map_err(|error| io::Error::other(format!("{error:?}")))?;
            if record.offset >= from {
                let payload = Payload::read(record.value.unwrap_or_default(), run);
                let (offset, timestamp_ms) = (record.offset, record.timestamp);
                records.push(Seen { offset, timestamp_ms, payload });
            }
        }
        next = next.max(batch.header().last_offset() + 1);
    }
    Ok((records, next))
}
