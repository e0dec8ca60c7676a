//! Deleting topics.

use super::{Records, Refused};
use crate::image::{Image, Topic};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::topic::RemoveTopicRecord;
use ottla_protocol::uuid::Uuid;
use std::collections::BTreeMap;

/// A topic to delete: by its name, or else by its id, never by both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicToDelete<'a> {
    /// Its name.
    pub name: Option<&'a str>,
    /// Its id; zero for none.
    pub id: Uuid,
}

/// What became of one topic to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name: as asked for, or as found by id.
    pub name: Option<String>,
    /// Its id: as asked for, or as found by name; zero when there is none.
    pub id: Uuid,
    /// Whether it goes.
    pub result: Result<(), Refused>,
}

/// Deletes topics. A topic that was asked for twice is answered once, refused, and stays.
///
/// Refusals: INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION for a name, UNKNOWN_TOPIC_ID for an id.
pub fn delete_topics(image: &Image, request: &[TopicToDelete<'_>]) -> (Records, Vec<DeletedTopic>) {
    let mut answers: Vec<DeletedTopic> = vec![];
    // By what it was found with, the answer that a second mention spoils.
    let mut seen: BTreeMap<(Option<&str>, Uuid), usize> = BTreeMap::new();
    for wanted in request {
        let found = find(image, wanted);
        let key = match &found {
            Ok(topic) => (None, topic.id),
            Err(_) => (wanted.name, wanted.id),
        };
        if let Some(&index) = seen.get(&key) {
            let message = "the topic is named more than once";
            answers[index].result = Err(Refused::new(ErrorCode::INVALID_REQUEST, message));
            continue;
        }
        seen.insert(key, answers.len());
        answers.push(match found {
            Ok(topic) => {
                DeletedTopic { name: Some(topic.name.to_string()), id: topic.id, result: Ok(()) }
            }
            Err(refused) => DeletedTopic {
                name: wanted.name.map(str::to_owned),
                id: wanted.id,
                result: Err(refused),
            },
        });
    }
    let mut records = Records::new();
    for answer in answers.iter().filter(|answer| answer.result.is_ok()) {
        records.push(&MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: answer.id }), 0);
    }
    (records, answers)
}

fn find<'a>(image: &'a Image, wanted: &TopicToDelete<'_>) -> Result<&'a Topic, Refused> {
    match (wanted.name, wanted.id) {
        (Some(_), id) if !id.is_zero() => {
            let message = "a topic is named by name and by id";
            Err(Refused::new(ErrorCode::INVALID_REQUEST, message))
        }
        (None, id) if id.is_zero() => {
            let message = "a topic is named neither by name nor by id";
            Err(Refused::new(ErrorCode::INVALID_REQUEST, message))
        }
        (Some(name), _) => image.topics().by_name(name).map(|topic| &**topic).ok_or_else(|| {
            let message = format!("there is no topic '{name}'");
            Refused::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message)
        }),
        (None, id) => image.topics().by_id(id).map(|topic| &**topic).ok_or_else(|| {
            let message = format!("there is no topic with id {id}");
            Refused::new(ErrorCode::UNKNOWN_TOPIC_ID, message)
        }),
    }
}
