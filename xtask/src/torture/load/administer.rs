//! Topics that come and go, and a setting that counts up.

use std::collections::VecDeque;
use std::io;
use std::thread;
use std::time::Duration;

use ottla_check::event::{Outcome, Policy, Register, Topic, TopicId, What};
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use ottla_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use super::ask;
use crate::torture::random::Random;
use crate::torture::shared::{Attempt, Client, Target, Times};
use crate::torture::wire::{Connection, Kind, read};

const ALTER: Kind = Kind(ApiKey::IncrementalAlterConfigs, 1);
const DESCRIBE: Kind = Kind(ApiKey::DescribeConfigs, 4);
/// Topics, in requests about settings.
const TOPIC_RESOURCE: i8 = 2;
/// Topics that a client has at a time.
const KEPT: usize = 3;
/// So often a topic may exist by one answer and not by the next.
const CONTRADICTIONS_MAX: u32 = 20;
/// Between two of them. A broker that cannot write its metadata log may contradict itself until it
/// has ended.
const CONTRADICTION_PAUSE: Duration = Duration::from_millis(100);
/// The setting that counts up; it changes nothing that this load would notice.
const SETTING: &str = "max.message.bytes";
/// Its first value, enough for all batches of the load.
const SETTING_MIN: i64 = 2_000_000;

/// Administers until the load is stopped.
pub(crate) fn run(mut client: Client, targets: &[Target], mut random: Random) {
    let mut topics = VecDeque::new();
    let target = random.pick(targets).name.clone();
    let register = register(&client, &target);
    let (mut number, mut value) = (0, SETTING_MIN);
    while !client.shared.is_stopped() {
        match random.below(4) {
            0 => {
                number += 1;
                let name = format!("t-{}-{}-{number}", client.shared.run, client.id);
                if let Some(id) = create(&mut client, &name, &mut random) {
                    topics.push_back((name, id));
                }
            }
            1 if topics.len() > KEPT => {
                if let Some((name, id)) = topics.pop_front() {
                    delete(&mut client, &name, id);
                }
            }
            2 => list(&mut client),
            _ => value = configure(&mut client, &target, &register, value),
        }
        thread::sleep(Duration::from_micros(random.below(8_000)));
    }
    client.retire();
}

/// The register that is a topic's setting.
pub(crate) fn register(client: &Client, topic: &str) -> Register {
    Register { name: format!("{SETTING} of {topic} by {}", client.id), synced: true }
}

/// Creates a topic and finds out about it, whatever happens meanwhile.
fn create(client: &mut Client, name: &str, random: &mut Random) -> Option<TopicId> {
    let partitions = 1 + i32::try_from(random.below(3)).unwrap_or(0);
    let mut contradictions = 0;
    while !client.shared.is_stopped() {
        let (times, id) = match client.attempt(|c| ask::create(c, name, partitions, &[])) {
            Attempt::Answered(times, Ok(id)) => (times, id),
            Attempt::Answered(_, Err(ErrorCode::TOPIC_ALREADY_EXISTS)) => {
                // An earlier attempt made it. Its name is ours alone.
                let Attempt::Answered(times, listed) = client.attempt(ask::topics) else {
                    continue;
                };
                let Some(found) = listed.into_iter().find(|topic| topic.name == name) else {
                    // The power may have gone between the two answers, but not each time.
                    contradictions += 1;
                    if contradictions == CONTRADICTIONS_MAX {
                        client.shared.complain(format!("{name} exists and is not listed"));
                        return None;
                    }
                    thread::sleep(CONTRADICTION_PAUSE);
                    continue;
                };
                (times, found.id)
            }
            _ => continue,
        };
        let topic = Topic { id, partitions, policy: Policy::Keep, synced: false };
        client.note(times, What::Created { topic, outcome: Outcome::Acked });
        return Some(id);
    }
    None
}

fn delete(client: &mut Client, name: &str, topic: TopicId) {
    loop {
        let (times, outcome) = match client.attempt(|c| ask::delete(c, name)) {
            Attempt::NotSent if client.shared.is_stopped() => return,
            Attempt::NotSent => continue,
            Attempt::Broken(times) => (times, Outcome::Unknown),
            Attempt::Answered(times, ErrorCode::NONE | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {
                (times, Outcome::Acked)
            }
            Attempt::Answered(times, _) => (times, Outcome::Unknown),
        };
        client.note(times, What::Deleted { topic, outcome });
        if outcome == Outcome::Acked || client.shared.is_stopped() {
            return;
        }
    }
}

/// Notes all topics that there are.
pub(crate) fn list(client: &mut Client) {
    if let Attempt::Answered(times, listed) = client.attempt(ask::topics) {
        note_list(client, times, &listed);
    }
}

/// Notes a list of topics.
pub(crate) fn note_list(client: &Client, times: Times, listed: &[ask::Listed]) {
    let list = listed.iter().map(|topic| (topic.id, topic.partitions)).collect();
    client.note(times, What::Listed(list));
}

fn configure(client: &mut Client, topic: &str, register: &Register, value: i64) -> i64 {
    if let Attempt::Answered(times, Some(value)) = client.attempt(|c| setting(c, topic)) {
        // Below the first value is the default.
        let value = (value >= SETTING_MIN).then_some(value);
        client.note(times, What::Got { register: register.clone(), value });
    }
    let (times, outcome) = match client.attempt(|c| set(c, topic, value)) {
        Attempt::NotSent => return value,
        Attempt::Broken(times) => (times, Outcome::Unknown),
        Attempt::Answered(times, ErrorCode::NONE) => (times, Outcome::Acked),
        Attempt::Answered(times, _) => (times, Outcome::Unknown),
    };
    client.note(times, What::Set { register: register.clone(), value, outcome });
    value + 1
}

fn set(connection: &mut Connection, topic: &str, value: i64) -> io::Result<ErrorCode> {
    alter(connection, topic, SETTING, &value.to_string())
}

/// Sets a topic's setting.
pub(crate) fn alter(
    connection: &mut Connection,
    topic: &str,
    name: &str,
    value: &str,
) -> io::Result<ErrorCode> {
    let config = AlterableConfig { name, config_operation: 0, value: Some(value) };
    let resource = AlterConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name: topic,
        configs: vec![config],
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let body = connection.call(ALTER, &request)?;
    let response: IncrementalAlterConfigsResponse = read(body, ALTER)?;
    let found = response.responses.first().map(|response| response.error_code);
    found.ok_or_else(|| io::Error::other("an empty answer"))
}

/// The setting's value; `None` when the broker cannot say now.
fn setting(connection: &mut Connection, topic: &str) -> io::Result<Option<i64>> {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name: topic,
        configuration_keys: Some(vec![SETTING]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let response: DescribeConfigsResponse = read(connection.call(DESCRIBE, &request)?, DESCRIBE)?;
    let result = response.results.first().filter(|result| result.error_code.is_none());
    let config = result.and_then(|result| result.configs.first());
    Ok(config.and_then(|config| config.value?.parse().ok()))
}
