//! What the log says of the quorum itself: its protocol and, from kraft.version 1 on, its voters.
//!
//! A directory that was formatted with a fixed list of voters says nothing; they come from
//! `controller.quorum.voters`, and from `quorum-state`. One formatted with `--standalone` or
//! `--initial-controllers` has a snapshot of the empty log with two control records, KRaftVersion
//! and KRaftVoters (KIP-853), which the log and every later snapshot repeat.

use crate::log_codec::QuorumRecords;
use ottla_protocol::metadata::control::MetadataControl;
use ottla_protocol::record::control::ControlType;
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::ReadError;

/// A voter that the log names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Its node id.
    pub id: i32,
    /// The id of its directory with the metadata log.
    pub directory_id: Uuid,
    /// Where it listens, as `NAME://host:port`.
    pub endpoints: Vec<String>,
}

/// The quorum as the log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quorum {
    /// The level of kraft.version; 0 when the log says nothing.
    pub kraft_version: i16,
    /// The voters, while the log has them.
    pub voters: Option<Vec<Voter>>,
}

impl Quorum {
    /// Reads the control records that a replay came upon.
    ///
    /// # Errors
    /// When one of them is malformed or of a version that is not known.
    pub fn of(records: &QuorumRecords) -> Result<Self, ReadError> {
        let mut quorum = Quorum::default();
        if let Some(value) = &records.kraft_version
            && let Some(MetadataControl::KraftVersion(record)) =
                MetadataControl::read(ControlType::KraftVersion, value)?
        {
            quorum.kraft_version = record.kraft_version;
        }
        if let Some(value) = &records.voters
            && let Some(MetadataControl::KraftVoters(record)) =
                MetadataControl::read(ControlType::KraftVoters, value)?
        {
            let voters = record.voters.iter().map(|voter| Voter {
                id: voter.voter_id,
                directory_id: voter.voter_directory_id,
                endpoints: (voter.endpoints.iter())
                    .map(|end| format!("{}://{}:{}", end.name, end.host, end.port))
                    .collect(),
            });
            quorum.voters = Some(voters.collect());
        }
        Ok(quorum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::metadata::control::{
        Endpoint, KRaftVersionFeature, KRaftVersionRecord, VotersRecord, VotersRecordVoter,
    };

    #[test]
    fn voters_of_the_log_are_read() {
        let version = KRaftVersionRecord { version: 0, kraft_version: 1 };
        let voter = VotersRecordVoter {
            voter_id: 7,
            voter_directory_id: Uuid::METADATA_TOPIC,
            endpoints: vec![Endpoint { name: "CONTROLLER", host: "h", port: 9093 }],
            kraft_version_feature: KRaftVersionFeature {
                min_supported_version: 0,
                max_supported_version: 1,
            },
        };
        let voters = VotersRecord { version: 0, voters: vec![voter] };
        let records = QuorumRecords {
            kraft_version: Some(MetadataControl::KraftVersion(version).to_bytes().unwrap()),
            voters: Some(MetadataControl::KraftVoters(voters).to_bytes().unwrap()),
        };
        let quorum = Quorum::of(&records).unwrap();
        assert_eq!(quorum.kraft_version, 1);
        let voter = &quorum.voters.unwrap()[0];
        assert_eq!((voter.id, voter.directory_id), (7, Uuid::METADATA_TOPIC));
        assert_eq!(voter.endpoints, ["CONTROLLER://h:9093"]);
    }

    #[test]
    fn a_log_without_them_is_of_level_0() {
        assert_eq!(Quorum::of(&QuorumRecords::default()).unwrap(), Quorum::default());
        let cut = QuorumRecords { voters: Some(vec![0]), ..QuorumRecords::default() };
        assert!(Quorum::of(&cut).is_err());
    }
}
