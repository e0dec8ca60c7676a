//! Values of the control records in the metadata log and its snapshots.

use crate::uuid::Uuid;
use crate::wire::messages;

messages! {
    /// Control record: a new leader of the metadata quorum.
    struct LeaderChangeMessage [0..=1, flexible (0..)] {
        /// The version that the rest is written in.
        version: i16 [0..];
        /// The new leader's node id.
        leader_id: i32 [0..];
        /// The voters.
        voters: Vec<Voter> [0..];
        /// The voters who voted for the leader.
        granting_voters: Vec<Voter> [0..];
    }

    /// A voter of the metadata quorum.
    struct Voter {
        /// The voter's node id.
        voter_id: i32 [0..];
        /// The id of the voter's metadata log directory.
        voter_directory_id: Uuid [1..];
    }

    /// Control record: a snapshot begins.
    struct SnapshotHeaderRecord [0..=0, flexible (0..)] {
        /// The version that the rest is written in.
        version: i16 [0..];
        /// The timestamp of the last record that the snapshot covers, in ms.
        last_contained_log_timestamp: i64 [0..];
    }

    /// Control record: a snapshot ends.
    struct SnapshotFooterRecord [0..=0, flexible (0..)] {
        /// The version that the rest is written in.
        version: i16 [0..];
    }

    /// Control record: the protocol that the metadata quorum uses.
    struct KRaftVersionRecord [0..=0, flexible (0..)] {
        /// The version that the rest is written in.
        version: i16 [0..];
        /// The protocol that the quorum uses: 0 static voters, 1 changing ones.
        kraft_version: i16 [0..];
    }

    /// Control record: the voters of the metadata quorum.
    struct VotersRecord<'a> [0..=0, flexible (0..)] {
        /// The version that the rest is written in.
        version: i16 [0..];
        /// The voters.
        voters: Vec<VotersRecordVoter<'a>> [0..];
    }

    /// A voter of the metadata quorum.
    struct VotersRecordVoter<'a> {
        /// The voter's node id.
        voter_id: i32 [0..];
        /// The id of the voter's metadata log directory.
        voter_directory_id: Uuid [0..];
        /// Where the voter is.
        endpoints: Vec<Endpoint<'a>> [0..];
        /// The protocols that the voter can use.
        kraft_version_feature: KRaftVersionFeature [0..];
    }

    /// Where a voter is.
    struct Endpoint<'a> {
        /// The listener's name.
        name: &'a str [0..];
        /// Where to connect: a host name or an address.
        host: &'a str [0..];
        /// Where to connect: the TCP port.
        port: u16 [0..];
    }

    /// The protocols that a voter can use.
    struct KRaftVersionFeature {
        /// The lowest level that the node can run at.
        min_supported_version: i16 [0..];
        /// The highest level that the node can run at.
        max_supported_version: i16 [0..];
    }
}
