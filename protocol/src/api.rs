//! The requests that a Kafka 4.3.1 broker serves: number, name, versions, header versions.

use std::ops::RangeInclusive;

macro_rules! apis {
    ($($(#[$meta:meta])* $key:literal $name:ident $served:expr, flexible $flexible:tt;)*) => {
        /// A request's kind. Requests between controllers are not in it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $($(#[$meta])* $name = $key,)*
        }

        impl ApiKey {
            /// All kinds, in ascending order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The kind with this number; `None` when a 4.3.1 broker has none.
            pub fn from_i16(key: i16) -> Option<Self> {
                match key {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name for it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The versions that a 4.3.1 broker serves. It advertises the same ones, but Produce
            /// from 0 on: see [`ApiKey::advertised`].
            pub const fn versions(self) -> RangeInclusive<i16> {
                match self {
                    $(Self::$name => $served,)*
                }
            }

            /// The first version with compact forms, tagged fields and request header 2.
            pub const fn flexible_from(self) -> Option<i16> {
                match self {
                    $(Self::$name => apis!(@flexible $flexible),)*
                }
            }
        }
    };
    (@flexible never) => { None };
    (@flexible ($flexible:expr)) => {
        Some({
            let versions: std::ops::RangeFrom<i16> = $flexible;
            versions.start
        })
    };
}

apis! {
    /// Append record batches.
    0 Produce 3..=13, flexible (9..);
    /// Read record batches, waiting for them if asked to.
    1 Fetch 4..=18, flexible (12..);
    /// Find offsets by timestamp, or the ends of a log.
    2 ListOffsets 1..=11, flexible (6..);
    /// Brokers, topics, partitions and their leaders.
    3 Metadata 0..=13, flexible (9..);
    /// Commit a group's offsets.
    8 OffsetCommit 2..=10, flexible (8..);
    /// Read a group's committed offsets.
    9 OffsetFetch 1..=10, flexible (6..);
    /// Find the coordinator of a group or transactional id.
    10 FindCoordinator 0..=6, flexible (3..);
    /// Join a classic group.
    11 JoinGroup 0..=9, flexible (6..);
    /// Stay a member of a classic group.
    12 Heartbeat 0..=4, flexible (4..);
    /// Leave a classic group.
    13 LeaveGroup 0..=5, flexible (4..);
    /// Give or take the assignment of a classic group.
    14 SyncGroup 0..=5, flexible (4..);
    /// State and members of classic groups.
    15 DescribeGroups 0..=6, flexible (5..);
    /// The groups that a broker coordinates.
    16 ListGroups 0..=5, flexible (3..);
    /// Choose a SASL mechanism.
    17 SaslHandshake 0..=1, flexible never;
    /// Which requests and features a broker has.
    18 ApiVersions 0..=4, flexible (3..);
    /// Create topics.
    19 CreateTopics 2..=7, flexible (5..);
    /// Delete topics.
    20 DeleteTopics 1..=6, flexible (4..);
    /// Move the log start offset up.
    21 DeleteRecords 0..=2, flexible (2..);
    /// Get a producer id, or a new epoch of one.
    22 InitProducerId 0..=5, flexible (2..);
    /// Where a leader epoch ends in a log.
    23 OffsetForLeaderEpoch 2..=4, flexible (4..);
    /// Add partitions to a transaction.
    24 AddPartitionsToTxn 0..=5, flexible (3..);
    /// Add a group's offsets to a transaction.
    25 AddOffsetsToTxn 0..=4, flexible (3..);
    /// Commit or abort a transaction.
    26 EndTxn 0..=5, flexible (3..);
    /// Write the markers that end a transaction.
    27 WriteTxnMarkers 1..=2, flexible (1..);
    /// Commit a group's offsets within a transaction.
    28 TxnOffsetCommit 0..=5, flexible (3..);
    /// Find ACLs.
    29 DescribeAcls 1..=3, flexible (2..);
    /// Create ACLs.
    30 CreateAcls 1..=3, flexible (2..);
    /// Delete ACLs.
    31 DeleteAcls 1..=3, flexible (2..);
    /// Configs of topics, brokers and others.
    32 DescribeConfigs 1..=4, flexible (4..);
    /// Replace all configs of a resource.
    33 AlterConfigs 0..=2, flexible (2..);
    /// Move replicas between a broker's log directories.
    34 AlterReplicaLogDirs 1..=2, flexible (2..);
    /// Log directories and the sizes of their replicas.
    35 DescribeLogDirs 1..=5, flexible (2..);
    /// One step of a SASL exchange.
    36 SaslAuthenticate 0..=2, flexible (2..);
    /// Add partitions to topics.
    37 CreatePartitions 0..=3, flexible (2..);
    /// Create a delegation token.
    38 CreateDelegationToken 1..=3, flexible (2..);
    /// Put off a delegation token's expiry.
    39 RenewDelegationToken 1..=2, flexible (2..);
    /// Change a delegation token's expiry.
    40 ExpireDelegationToken 1..=2, flexible (2..);
    /// Find delegation tokens.
    41 DescribeDelegationToken 1..=3, flexible (2..);
    /// Delete empty groups.
    42 DeleteGroups 0..=2, flexible (2..);
    /// Elect leaders by hand.
    43 ElectLeaders 0..=2, flexible (2..);
    /// Change single configs.
    44 IncrementalAlterConfigs 0..=1, flexible (1..);
    /// Move partitions to other brokers.
    45 AlterPartitionReassignments 0..=1, flexible (0..);
    /// The partitions that are moving.
    46 ListPartitionReassignments 0..=0, flexible (0..);
    /// Delete a group's committed offsets.
    47 OffsetDelete 0..=0, flexible never;
    /// Find client quotas.
    48 DescribeClientQuotas 0..=1, flexible (1..);
    /// Change client quotas.
    49 AlterClientQuotas 0..=1, flexible (1..);
    /// Which SCRAM credentials users have.
    50 DescribeUserScramCredentials 0..=0, flexible (0..);
    /// Change users' SCRAM credentials.
    51 AlterUserScramCredentials 0..=0, flexible (0..);
    /// State of the metadata quorum.
    55 DescribeQuorum 0..=2, flexible (0..);
    /// Change levels of features.
    57 UpdateFeatures 0..=2, flexible (0..);
    /// The cluster and its brokers.
    60 DescribeCluster 0..=2, flexible (0..);
    /// The producers that a partition remembers.
    61 DescribeProducers 0..=0, flexible (0..);
    /// Forget a broker.
    64 UnregisterBroker 0..=0, flexible (0..);
    /// State of transactions.
    65 DescribeTransactions 0..=0, flexible (0..);
    /// The transactions that a broker coordinates.
    66 ListTransactions 0..=2, flexible (0..);
    /// Join, stay in and leave a consumer group (KIP-848).
    68 ConsumerGroupHeartbeat 0..=1, flexible (0..);
    /// State and members of consumer groups (KIP-848).
    69 ConsumerGroupDescribe 0..=1, flexible (0..);
    /// Which metrics a client shall push (KIP-714).
    71 GetTelemetrySubscriptions 0..=0, flexible (0..);
    /// A client's metrics (KIP-714).
    72 PushTelemetry 0..=0, flexible (0..);
    /// The resources that have configs.
    74 ListConfigResources 0..=1, flexible (0..);
    /// Topics' partitions, in pages.
    75 DescribeTopicPartitions 0..=0, flexible (0..);
    /// Join, stay in and leave a share group (KIP-932).
    76 ShareGroupHeartbeat 1..=1, flexible (0..);
    /// State and members of share groups.
    77 ShareGroupDescribe 1..=1, flexible (0..);
    /// Acquire shared records.
    78 ShareFetch 1..=2, flexible (0..);
    /// Acknowledge shared records.
    79 ShareAcknowledge 1..=2, flexible (0..);
    /// Add a voter to the metadata quorum.
    80 AddRaftVoter 0..=1, flexible (0..);
    /// Remove a voter from the metadata quorum.
    81 RemoveRaftVoter 0..=0, flexible (0..);
    /// Start a share partition's state (brokers only).
    83 InitializeShareGroupState 0..=0, flexible (0..);
    /// Read a share partition's state (brokers only).
    84 ReadShareGroupState 0..=0, flexible (0..);
    /// Write a share partition's state (brokers only).
    85 WriteShareGroupState 0..=1, flexible (0..);
    /// Delete a share partition's state (brokers only).
    86 DeleteShareGroupState 0..=0, flexible (0..);
    /// Summary of a share partition's state (brokers only).
    87 ReadShareGroupStateSummary 0..=1, flexible (0..);
    /// Join, stay in and leave a streams group (KIP-1071).
    88 StreamsGroupHeartbeat 0..=0, flexible (0..);
    /// State and members of streams groups.
    89 StreamsGroupDescribe 0..=0, flexible (0..);
    /// Where share groups are.
    90 DescribeShareGroupOffsets 0..=1, flexible (0..);
    /// Move share groups.
    91 AlterShareGroupOffsets 0..=0, flexible (0..);
    /// Forget where share groups are.
    92 DeleteShareGroupOffsets 0..=0, flexible (0..);
}

impl ApiKey {
    /// The number on the wire.
    pub const fn as_i16(self) -> i16 {
        self as i16
    }

    /// The versions to put in an ApiVersions answer.
    ///
    /// Produce is said to start at 0 though 0 to 2 are refused: released librdkafka versions look
    /// for 0 there before they compress anything (KAFKA-18659).
    pub const fn advertised(self) -> RangeInclusive<i16> {
        match self {
            Self::Produce => 0..=*self.versions().end(),
            _ => self.versions(),
        }
    }

    /// Whether `version` is a flexible one.
    pub fn is_flexible(self, version: i16) -> bool {
        self.flexible_from().is_some_and(|first| version >= first)
    }

    /// The version of the request's header: 2 in flexible versions, else 1.
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the response's header: 1 in flexible versions, else 0.
    ///
    /// ApiVersions answers have header 0 always: a client reads them before it knows what the
    /// broker understands (KIP-511).
    pub fn response_header_version(self, version: i16) -> i16 {
        i16::from(self != Self::ApiVersions && self.is_flexible(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_kinds_agree() {
        assert!(ApiKey::ALL.is_sorted());
        for &api in ApiKey::ALL {
            assert_eq!(ApiKey::from_i16(api.as_i16()), Some(api));
        }
        for key in [-1, 4, 5, 6, 7, 52, 58, 93] {
            assert_eq!(ApiKey::from_i16(key), None, "{key}");
        }
        assert_eq!(ApiKey::Produce.advertised(), 0..=13);
        assert_eq!(ApiKey::Produce.versions(), 3..=13);
        assert_eq!(ApiKey::Fetch.advertised(), 4..=18);
    }

    #[test]
    fn headers_follow_flexible_versions() {
        for (api, version, request, response) in [
            (ApiKey::Produce, 8, 1, 0),
            (ApiKey::Produce, 9, 2, 1),
            (ApiKey::ApiVersions, 2, 1, 0),
            (ApiKey::ApiVersions, 3, 2, 0),
            (ApiKey::SaslHandshake, 1, 1, 0),
            (ApiKey::DescribeCluster, 0, 2, 1),
        ] {
            assert_eq!(api.request_header_version(version), request, "{api:?} {version}");
            assert_eq!(api.response_header_version(version), response, "{api:?} {version}");
        }
    }
}
