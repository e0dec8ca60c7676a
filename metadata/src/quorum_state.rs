//! The `quorum-state` file: what a voter must remember of elections.
//!
//! One line of JSON without a newline, in one of two versions:
//!
//! ```text
//! {"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,
//!  "currentVoters":[{"voterId":1}],"data_version":0}                      static voters
//! {"leaderId":1,"leaderEpoch":1,"votedId":-1,
//!  "votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}          dynamic voters (KIP-853)
//! ```
//!
//! (Each on one line.) The file is replaced before a voter acts on its new content.

use ottla_protocol::uuid::Uuid;
use serde_json::Value;
use std::fmt;

/// The file's name, in the directory of the metadata log.
pub const FILE_NAME: &str = "quorum-state";

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumState {
    /// The leader of the epoch, -1 while none is known.
    pub leader_id: i32,
    /// The epoch.
    pub leader_epoch: i32,
    /// Whom this node voted for in the epoch, -1 for nobody.
    pub voted_id: i32,
    /// What depends on the version.
    pub version: QuorumStateVersion,
}

/// What only one version of the file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumStateVersion {
    /// Version 0, where the voters come from the configuration.
    StaticVoters {
        /// Always empty as written by Kafka 4.3.
        cluster_id: String,
        /// Always 0 as written by Kafka 4.3.
        applied_offset: i64,
        /// The voters; `None` for null.
        voters: Option<Vec<i32>>,
    },
    /// Version 1, where the voters are in the log.
    DynamicVoters {
        /// The directory of the voter that was voted for, zero for nobody.
        voted_directory_id: Uuid,
    },
}

/// A file that is not a quorum state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumStateError {
    /// It is not one JSON object.
    NotJson,
    /// Its `data_version` is neither 0 nor 1.
    Version(i64),
    /// A field is missing or is not what it should be.
    Field(&'static str),
}

impl fmt::Display for QuorumStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("quorum-state: not a JSON object"),
            Self::Version(version) => {
                write!(f, "quorum-state: data_version is {version}, expected 0 or 1")
            }
            Self::Field(name) => write!(f, "quorum-state: {name} is missing or malformed"),
        }
    }
}

impl std::error::Error for QuorumStateError {}

impl QuorumState {
    /// The state of a cluster's only voter, which elects itself, in a directory with static voters.
    pub fn sole_voter(id: i32, leader_epoch: i32) -> Self {
        let version = QuorumStateVersion::StaticVoters {
            cluster_id: String::new(),
            applied_offset: 0,
            voters: Some(vec![id]),
        };
        QuorumState { leader_id: id, leader_epoch, voted_id: -1, version }
    }

    /// [`QuorumState::sole_voter`] in a directory whose voters are in the log.
    pub fn sole_dynamic_voter(id: i32, leader_epoch: i32) -> Self {
        let version = QuorumStateVersion::DynamicVoters { voted_directory_id: Uuid::ZERO };
        QuorumState { leader_id: id, leader_epoch, voted_id: -1, version }
    }

    /// Reads the file's content. Fields that it does not know are ignored, as Kafka does.
    ///
    /// # Errors
    /// When a field is missing or malformed, or the version is unknown.
    pub fn parse(text: &str) -> Result<Self, QuorumStateError> {
        let Ok(json @ Value::Object(_)) = serde_json::from_str::<Value>(text) else {
            return Err(QuorumStateError::NotJson);
        };
        let version = match integer(&json, "data_version")? {
            0 => QuorumStateVersion::StaticVoters {
                cluster_id: string(&json, "clusterId")?.to_owned(),
                applied_offset: integer(&json, "appliedOffset")?,
                voters: voters(&json)?,
            },
            1 => QuorumStateVersion::DynamicVoters {
                voted_directory_id: string(&json, "votedDirectoryId")?
                    .parse()
                    .map_err(|_| QuorumStateError::Field("votedDirectoryId"))?,
            },
            version => return Err(QuorumStateError::Version(version)),
        };
        Ok(QuorumState {
            leader_id: node(&json, "leaderId")?,
            leader_epoch: node(&json, "leaderEpoch")?,
            voted_id: node(&json, "votedId")?,
            version,
        })
    }

    /// The file's content, byte for byte as Kafka writes it.
    pub fn to_json(&self) -> String {
        let QuorumState { leader_id, leader_epoch, voted_id, version } = self;
        let elections =
            format!(r#""leaderId":{leader_id},"leaderEpoch":{leader_epoch},"votedId":{voted_id}"#);
        match version {
            QuorumStateVersion::StaticVoters { cluster_id, applied_offset, voters } => {
                let cluster_id = Value::from(cluster_id.as_str());
                let voter = |id: &i32| format!(r#"{{"voterId":{id}}}"#);
                let voters = match voters {
                    Some(ids) => {
                        format!("[{}]", ids.iter().map(voter).collect::<Vec<_>>().join(","))
                    }
                    None => "null".to_owned(),
                };
                [
                    &format!(r#"{{"clusterId":{cluster_id},{elections},"#),
                    &format!(r#""appliedOffset":{applied_offset},"currentVoters":{voters},"#),
                    r#""data_version":0}"#,
                ]
                .concat()
            }
            QuorumStateVersion::DynamicVoters { voted_directory_id } => format!(
                r#"{{{elections},"votedDirectoryId":"{voted_directory_id}","data_version":1}}"#
            ),
        }
    }
}

fn integer(json: &Value, name: &'static str) -> Result<i64, QuorumStateError> {
    json.get(name).and_then(Value::as_i64).ok_or(QuorumStateError::Field(name))
}

fn node(json: &Value, name: &'static str) -> Result<i32, QuorumStateError> {
    i32::try_from(integer(json, name)?).map_err(|_| QuorumStateError::Field(name))
}

fn string<'a>(json: &'a Value, name: &'static str) -> Result<&'a str, QuorumStateError> {
    json.get(name).and_then(Value::as_str).ok_or(QuorumStateError::Field(name))
}

fn voters(json: &Value) -> Result<Option<Vec<i32>>, QuorumStateError> {
    match json.get("currentVoters") {
        Some(Value::Null) => Ok(None),
        Some(Value::Array(voters)) => {
            voters.iter().map(|voter| node(voter, "voterId")).collect::<Result<_, _>>().map(Some)
        }
        _ => Err(QuorumStateError::Field("currentVoters")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATIC: &str = concat!(
        r#"{"clusterId":"","leaderId":1,"leaderEpoch":3,"votedId":-1,"appliedOffset":0,"#,
        r#""currentVoters":[{"voterId":1}],"data_version":0}"#
    );
    const DYNAMIC: &str = concat!(
        r#"{"leaderId":3,"leaderEpoch":4,"votedId":-1,"#,
        r#""votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#
    );
    const NO_VOTERS: &str = concat!(
        r#"{"clusterId":"x\"","leaderId":-1,"leaderEpoch":4,"votedId":2,"appliedOffset":0,"#,
        r#""currentVoters":null,"data_version":0}"#
    );

    #[test]
    fn kafkas_files_are_read_and_written_byte_for_byte() {
        assert_eq!(QuorumState::sole_voter(1, 3).to_json(), STATIC);
        let sole = QuorumState { leader_id: 3, ..QuorumState::sole_dynamic_voter(1, 4) };
        assert_eq!(sole.to_json(), DYNAMIC);
        for text in [STATIC, DYNAMIC, NO_VOTERS] {
            assert_eq!(QuorumState::parse(text).unwrap().to_json(), text);
        }
    }

    #[test]
    fn spoilt_files_are_errors() {
        use QuorumStateError::*;
        let table = [
            ("", NotJson),
            ("[]", NotJson),
            (&STATIC[1..], NotJson),
            (&STATIC.replace("n\":0", "n\":2"), Version(2)),
            (&STATIC.replace("data_version", "version"), Field("data_version")),
            (&STATIC.replace("leaderId\":1", "leaderId\":9999999999"), Field("leaderId")),
            (&STATIC.replace("leaderEpoch\":3", "leaderEpoch\":\"3\""), Field("leaderEpoch")),
            (&STATIC.replace("voterId", "id"), Field("voterId")),
            (&STATIC.replace("[{\"voterId\":1}]", "1"), Field("currentVoters")),
            (&DYNAMIC.replace("AAAA", "A"), Field("votedDirectoryId")),
        ];
        for (text, error) in table {
            assert_eq!(QuorumState::parse(text), Err(error), "{text}");
        }
        for cut in 0..STATIC.len() {
            assert_eq!(QuorumState::parse(&STATIC[..cut]), Err(NotJson));
        }
    }
}
