//! Records of the metadata log, and control records.

use std::sync::LazyLock;

use super::decode::{Fault, Schema, read_uvarint};
use crate::metadata::control::{
    KRaftVersionRecord, LeaderChangeMessage, SnapshotFooterRecord, SnapshotHeaderRecord,
    VotersRecord,
};
use crate::metadata::{RECORD_SCHEMAS, RecordSchema};
use crate::record::control::ControlType;

static SCHEMAS: LazyLock<Vec<RecordSchema>> = LazyLock::new(RECORD_SCHEMAS);

/// A record of the metadata log as JSON, or what is wrong with it; `offset` is for the latter.
pub fn metadata_record(offset: i64, value: Option<&[u8]>) -> String {
    match read(value) {
        Ok(json) => json,
        Err(fault) => format!("Error at {offset}, skipping. {}", fault.text()),
    }
}

fn read(value: Option<&[u8]>) -> Result<String, Fault> {
    // Kafka's reader meets a null only when it reads the first number.
    let mut rest = value.unwrap_or_default();
    let fault = |text: String| Fault(Some(text));
    match frame_number(&mut rest, "frame version")? {
        0 => {
            return Err(fault(
                "Could not deserialize metadata record with frame version 0. Note that upgrades \
                 from the preview release of KRaft in 2.8 to newer versions are not supported."
                    .to_owned(),
            ));
        }
        1 => {}
        other => {
            return Err(fault(format!(
                "Could not deserialize metadata record due to unknown frame version {other}(only \
                 frame version 1 is supported)"
            )));
        }
    }
    let api_key = frame_number(&mut rest, "type")?;
    let version = frame_number(&mut rest, "version")?;
    let known = SCHEMAS.iter().find(|schema| schema.api_key == api_key);
    let known = known.ok_or_else(|| {
        fault(format!(
            "org.apache.kafka.common.errors.UnsupportedVersionException: Unknown metadata id \
             {api_key}"
        ))
    })?;
    let read = known.schema.json(rest, version);
    let (json, left) =
        read.map_err(|_| fault(format!("Failed to deserialize record with type {api_key}")))?;
    if left > 0 {
        return Err(fault(format!("Found {left} byte(s) of garbage after {api_key}")));
    }
    let name = upper_snake(known.schema.name);
    Ok(format!("{{\"type\":\"{name}\",\"version\":{version},\"data\":{json}}}"))
}

fn frame_number(rest: &mut &[u8], what: &str) -> Result<i16, Fault> {
    let number =
        read_uvarint(rest).map_err(|_| Fault(Some(format!("Error while reading {what}"))))?;
    if number > i32::from(i16::MAX) {
        return Err(Fault(Some(format!("Value for {what} was too large."))));
    }
    Ok(number as i16)
}

/// `TOPIC_RECORD` of `TopicRecord`.
fn upper_snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

/// A control record's value as JSON; `None` for types without a struct of their own.
///
/// The value is read as version 0, whatever it is, and written as the version that it states: so
/// does Kafka, where no later version adds anything but with a tag.
///
/// # Errors
/// When the bytes are not such a value.
pub fn control(control_type: ControlType, value: &[u8]) -> Option<Result<String, Fault>> {
    let schema = match control_type {
        ControlType::LeaderChange => Schema::of::<LeaderChangeMessage>(),
        ControlType::SnapshotHeader => Schema::of::<SnapshotHeaderRecord>(),
        ControlType::SnapshotFooter => Schema::of::<SnapshotFooterRecord>(),
        ControlType::KraftVersion => Schema::of::<KRaftVersionRecord>(),
        ControlType::KraftVoters => Schema::of::<VotersRecord>(),
        ControlType::Abort | ControlType::Commit | ControlType::Unknown(_) => return None,
    };
    let version = value.first_chunk().map_or(0, |version| i16::from_be_bytes(*version));
    Some(schema.json_as(value, 0, version).map(|(json, _)| json))
}
