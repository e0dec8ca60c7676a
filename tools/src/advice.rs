//! The next step after a broker's refusal, and names that were probably meant.

use ottla_client::{Admin, Error};

use crate::CannotRun;

/// An error with what to do about it.
pub(crate) fn on(admin: &Admin, error: &Error) -> CannotRun {
    let name = error.code().and_then(|code| code.name()).unwrap_or_default();
    let next = match name {
        "UNKNOWN_TOPIC_OR_PARTITION" | "UNKNOWN_TOPIC_ID" => match error.topic() {
            Some(topic) => similar_topic(admin, topic),
            None => String::new(),
        },
        "TOPIC_ALREADY_EXISTS" => {
            format!("; ottlactl topics describe {} shows it", error.topic().unwrap_or("NAME"))
        }
        "INVALID_REPLICATION_FACTOR" => "; ottlactl cluster shows the brokers".to_owned(),
        "INVALID_CONFIG" => "; ottlactl configs list shows which settings there are".to_owned(),
        "POLICY_VIOLATION" => "; the broker's settings forbid it".to_owned(),
        "NON_EMPTY_GROUP" => {
            "; stop its members first, ottlactl groups describe shows them".to_owned()
        }
        "GROUP_SUBSCRIBED_TO_TOPIC" => "; stop the members that read the topic first".to_owned(),
        "TOPIC_AUTHORIZATION_FAILED"
        | "GROUP_AUTHORIZATION_FAILED"
        | "CLUSTER_AUTHORIZATION_FAILED" => "; another user may, see --command-config".to_owned(),
        _ => return CannotRun::from(error.clone()),
    };
    CannotRun(format!("{error}{next}"))
}

/// The name of a topic that is nearest to one that there is not.
fn similar_topic(admin: &Admin, topic: &str) -> String {
    let topics = admin.list_topics(true).unwrap_or_default();
    let near = ottla_properties::nearest(topic, topics.iter().map(|topic| topic.name.as_str()));
    or_list(near, "topics")
}

/// An error of a group, with the name of one that is nearest if there is none of that name.
pub(crate) fn on_group(admin: &Admin, group: &str, error: &Error) -> CannotRun {
    let code = error.code().and_then(|code| code.name()).unwrap_or_default();
    if code != "GROUP_ID_NOT_FOUND" {
        let CannotRun(text) = on(admin, error);
        return CannotRun(format!("group {group}: {text}"));
    }
    no_group(admin, group)
}

/// There is no such group: which one was probably meant.
pub(crate) fn no_group(admin: &Admin, group: &str) -> CannotRun {
    let groups = admin.list_groups().unwrap_or_default();
    let near = ottla_properties::nearest(group, groups.iter().map(|group| group.id.as_str()));
    CannotRun(format!("group {group}: there is no such group{}", or_list(near, "groups")))
}

fn or_list(near: Option<&str>, things: &str) -> String {
    match near {
        Some(near) => format!("; did you mean {near}?"),
        None => format!("; ottlactl {things} list shows which there are"),
    }
}
