//! Keys and values as text.

use ottla_protocol::json::{Decoder, control, java_string, metadata_record};
use ottla_protocol::record::control::ControlType;
use ottla_storage::inspect::{Damage, InspectedRecord};

use super::failure::Failure;
use super::printer::{Control, RecordEnd};

/// How keys and values are read.
pub(super) enum Contents {
    /// As UTF-8.
    Strings,
    /// As records of an internal topic.
    Topic(Box<Decoder>),
    /// As records of the metadata log.
    Metadata,
}

impl Contents {
    pub(super) fn offsets() -> Self {
        Self::Topic(Box::new(Decoder::offsets()))
    }

    pub(super) fn transactions() -> Self {
        Self::Topic(Box::new(Decoder::transactions()))
    }

    pub(super) fn share_state() -> Self {
        Self::Topic(Box::new(Decoder::share_state()))
    }

    /// Key and value of a record.
    pub(super) fn of(&self, record: &InspectedRecord<'_>) -> Result<RecordEnd, Failure> {
        let text = |bytes: &[u8]| java_string(bytes).into_owned();
        if let Some(there) = record.beyond {
            return self.of_beyond(record, there);
        }
        Ok(match self {
            Self::Strings => RecordEnd {
                key: record.key.map(text),
                payload: record.value.map(text),
                ..RecordEnd::default()
            },
            Self::Topic(decoder) => {
                let line = decoder.decode(record.offset, record.key, record.value);
                let line = line.map_err(|_| missing_key(record.offset))?;
                let (key, payload) = (line.key, line.payload);
                RecordEnd { key, payload, is_json: true, control: None }
            }
            Self::Metadata => {
                let payload = Some(metadata_record(record.offset, record.value));
                RecordEnd { payload, is_json: true, ..RecordEnd::default() }
            }
        })
    }
}

impl Contents {
    /// Of an old message whose value would reach beyond it. Internal topics have none of those.
    fn of_beyond(&self, record: &InspectedRecord<'_>, there: usize) -> Result<RecordEnd, Failure> {
        let damage = Damage::ValueBeyond { size: record.value_size, there };
        let offset = record.offset;
        let mut end = RecordEnd { is_json: true, ..RecordEnd::default() };
        match self {
            Self::Strings => return Err(damage.into()),
            Self::Topic(_) if record.key.is_none() => return Err(missing_key(offset)),
            Self::Topic(_) => {
                end.key = Some(format!("Error at offset {offset}, skipping. {damage}"))
            }
            Self::Metadata => end.payload = Some(format!("Error at {offset}, skipping. {damage}")),
        }
        Ok(end)
    }
}

fn missing_key(offset: i64) -> Failure {
    let text = format!(
        "Failed to decode message at offset {offset} using the specified decoder (message had a \
         missing key)"
    );
    Failure::new("java.lang.RuntimeException", text)
}

/// What a control record says.
pub(super) fn control_of(record: &InspectedRecord<'_>) -> Result<Control, Failure> {
    let invalid =
        |text: String| Failure::new("org.apache.kafka.common.InvalidRecordException", text);
    let null = || Failure::silent("java.lang.NullPointerException");
    let key = record.key.ok_or_else(null)?;
    let [a, b, c, d, ..] = *key else {
        return Err(invalid(format!(
            "Invalid value size found for control record key. Must have at least 4 bytes, but \
             found only {}",
            key.len()
        )));
    };
    let version = i16::from_be_bytes([a, b]);
    if version < 0 {
        return Err(invalid(format!(
            "Invalid version found for control record: {version}. May indicate data corruption"
        )));
    }
    let id = i16::from_be_bytes([c, d]);
    let kind = ControlType::from_id(id);
    let name = match kind {
        ControlType::Abort | ControlType::Commit => return end_txn(kind, record.value),
        ControlType::LeaderChange => "LeaderChange:",
        ControlType::SnapshotHeader => "SnapshotHeader",
        ControlType::SnapshotFooter => "SnapshotFooter",
        ControlType::KraftVersion => "KRaftVersion",
        ControlType::KraftVoters => "KRaftVoters",
        ControlType::Unknown(_) => return Ok(Control::Unknown(id)),
    };
    match control(kind, record.value.ok_or_else(null)?) {
        None => Ok(Control::Unknown(id)),
        Some(Ok(json)) => Ok(Control::Struct(name, json)),
        Some(Err(fault)) => Err(match fault.0 {
            Some(text) => Failure::new("java.lang.RuntimeException", text),
            None => Failure::silent("java.nio.BufferUnderflowException"),
        }),
    }
}

fn end_txn(kind: ControlType, value: Option<&[u8]>) -> Result<Control, Failure> {
    let value = value.ok_or_else(|| Failure::silent("java.lang.NullPointerException"))?;
    let underflow = || Failure::silent("java.nio.BufferUnderflowException");
    let (version, rest) = value.split_first_chunk().ok_or_else(underflow)?;
    let version = i16::from_be_bytes(*version);
    if version < 0 {
        let text = format!(
            "Invalid version found for end transaction marker: {version}. May indicate data \
             corruption"
        );
        return Err(Failure::new("org.apache.kafka.common.InvalidRecordException", text));
    }
    let epoch = rest.first_chunk().ok_or_else(underflow)?;
    let committed = kind == ControlType::Commit;
    Ok(Control::EndTxn { committed, coordinator_epoch: i32::from_be_bytes(*epoch) })
}
