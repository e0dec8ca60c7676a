//! The next step after a broker's refusal, and names that were probably meant.

use ottla_client::{Admin, ConfigDetails, ConfigResource, Error};

use crate::CannotRun;

/// An error with what to do about it.
pub(crate) fn on(admin: &Admin, error: &Error) -> CannotRun {
    let name = error.code().and_then(|code| code.name()).unwrap_or_default();
    let next = match name {
        "UNKNOWN_TOPIC_OR_PARTITION" | "UNKNOWN_TOPIC_ID" => match error.topic() {
            Some(topic) => similar_topic(admin, topic),
            None => String::new(),
        },
        "OFFSET_OUT_OF_RANGE" => {
            "; ottlactl offsets list shows where partitions begin and end".to_owned()
        }
        "TOPIC_ALREADY_EXISTS" => {
            format!("; ottlactl topics describe {} shows it", error.topic().unwrap_or("NAME"))
        }
        "INVALID_REPLICATION_FACTOR" => "; ottlactl cluster shows the brokers".to_owned(),
        "INVALID_CONFIG" => similar_setting(admin, error),
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
    CannotRun(with_next(&error.to_string(), &next))
}

/// The cause and the next step, unless the broker itself has said it.
fn with_next(cause: &str, next: &str) -> String {
    if cause.contains("; did you mean ") {
        return cause.to_owned();
    }
    format!("{}{next}", cause.strip_suffix('.').unwrap_or(cause))
}

/// The name of a setting that is nearest to one that there is not, if that is what is wrong.
fn similar_setting(admin: &Admin, error: &Error) -> String {
    let unknown = |of: &str| error.detail().strip_prefix(&*format!("Unknown {of} config name: "));
    let (name, resource) = match (unknown("topic"), unknown("group")) {
        (Some(name), _) => {
            // Any topic has all settings of topics. There may be none, if this was to be the first.
            let topics = admin.list_topics(true).unwrap_or_default();
            let Some(topic) = topics.first() else { return String::new() };
            (name, ConfigResource::topic(&topic.name))
        }
        (None, Some(name)) => (name, ConfigResource::group(error.group().unwrap_or("any"))),
        (None, None) => return String::new(),
    };
    let described = admin.describe_configs(&[resource], ConfigDetails::default());
    let entries = described.ok().and_then(|mut all| all.pop()?.1.ok()).unwrap_or_default();
    let names = entries.iter().map(|entry| entry.name.as_str());
    let near = ottla_properties::nearest(name, names);
    near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

/// The name of a topic that is nearest to one that there is not.
fn similar_topic(admin: &Admin, topic: &str) -> String {
    let topics = admin.list_topics(true).unwrap_or_default();
    if topics.iter().any(|there| there.name == topic) {
        return format!("; ottlactl topics describe {topic} shows its partitions");
    }
    let near = ottla_properties::nearest(topic, topics.iter().map(|topic| topic.name.as_str()));
    or_list(near, "topics")
}

/// An error of a group, with the name of one that is nearest if there is none of that name.
pub(crate) fn on_group(admin: &Admin, group: &str, error: &Error) -> CannotRun {
    let code = error.code().and_then(|code| code.name()).unwrap_or_default();
    if code != "GROUP_ID_NOT_FOUND" {
        let CannotRun(text) = on(admin, error);
        let is_told = error.group().is_some();
        return CannotRun(if is_told { text } else { format!("group {group}: {text}") });
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
