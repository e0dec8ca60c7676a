//! Commits of offsets that count up, read back between them.

use std::io;
use std::thread;
use std::time::Duration;

use ottla_check::event::{Outcome, Register, What};
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
};

use crate::torture::random::Random;
use crate::torture::shared::{Attempt, Client, Target};
use crate::torture::wire::{Connection, Kind, read};

const COMMIT: Kind = Kind(ApiKey::OffsetCommit, 9);
const FETCH: Kind = Kind(ApiKey::OffsetFetch, 9);

/// Commits until the load is stopped: each client has a group, a topic and a partition to itself.
pub(crate) fn run(mut client: Client, targets: &[Target], mut random: Random, synced: bool) {
    let group = format!("group-{}-{}", client.shared.run, client.id);
    let topic = random.pick(targets).name.clone();
    let register = Register { name: format!("{group}/{topic}"), synced };
    let (mut value, mut unsure) = (0, true);
    while !client.shared.is_stopped() {
        // Another commit would hide what a restart has made of the last one.
        if unsure || random.once_in(3) {
            let found = client.attempt(|c| committed(c, &group, &topic));
            let Attempt::Answered(times, Some(value)) = found else {
                unsure = true;
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            client.note(times, What::Got { register: register.clone(), value });
        }
        let (times, code) = match client.attempt(|c| commit(c, &group, &topic, value)) {
            Attempt::NotSent => {
                unsure = true;
                continue;
            }
            Attempt::Broken(times) => (times, None),
            Attempt::Answered(times, code) => (times, Some(code)),
        };
        // A refusal may come after the record was written, when its disk fails.
        let acked = code == Some(ErrorCode::NONE);
        unsure = !acked;
        let outcome = if acked { Outcome::Acked } else { Outcome::Unknown };
        client.note(times, What::Set { register: register.clone(), value, outcome });
        match code {
            Some(code) if !acked => refused(&client, code),
            _ => value += 1,
        }
        thread::sleep(Duration::from_micros(random.below(4_000)));
    }
    client.retire();
}

/// A refusal that comes and goes is followed by another try; one that no client should meet is a
/// complaint.
fn refused(client: &Client, code: ErrorCode) {
    let passing = [
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ];
    if !passing.contains(&code) {
        client.shared.complain(format!("a commit was refused: {code:?}"));
    }
    thread::sleep(Duration::from_millis(2));
}

pub(crate) fn commit(
    connection: &mut Connection,
    group_id: &str,
    name: &str,
    committed_offset: i64,
) -> io::Result<ErrorCode> {
    let partition = OffsetCommitRequestPartition { committed_offset, ..Default::default() };
    let topic =
        OffsetCommitRequestTopic { name, partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest { group_id, topics: vec![topic], ..Default::default() };
    let response: OffsetCommitResponse = read(connection.call(COMMIT, &request)?, COMMIT)?;
    let partition = response.topics.first().and_then(|topic| topic.partitions.first());
    partition.map(|p| p.error_code).ok_or_else(|| io::Error::other("an empty answer"))
}

/// The committed offset, `Some(None)` when there is none, `None` when the broker cannot say.
pub(crate) fn committed(
    connection: &mut Connection,
    group_id: &str,
    name: &str,
) -> io::Result<Option<Option<i64>>> {
    let topic = OffsetFetchRequestTopics { name, partition_indexes: vec![0], ..Default::default() };
    let group =
        OffsetFetchRequestGroup { group_id, topics: Some(vec![topic]), ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let response: OffsetFetchResponse = read(connection.call(FETCH, &request)?, FETCH)?;
    let group = response.groups.first().ok_or_else(|| io::Error::other("an empty answer"))?;
    let partition = group.topics.first().and_then(|topic| topic.partitions.first());
    let Some(partition) = partition.filter(|_| group.error_code.is_none()) else {
        return Ok(None);
    };
    if !partition.error_code.is_none() {
        return Ok(None);
    }
    let offset = partition.committed_offset;
    Ok(Some((offset >= 0).then_some(offset)))
}
