//! Every error code that Kafka 4.3 has: number, name, and whether trying again can help.

use std::fmt;

use crate::wire::{ReadError, Reader, Ver, Wire, WriteError, Writer};

/// An error code as it is on the wire. Any number is one; those known here have constants.
///
/// Clients take a code that they do not know for [`ErrorCode::UNKNOWN_SERVER_ERROR`], which is
/// not retriable: never send one that is younger than the request's version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ErrorCode(pub i16);

macro_rules! error_codes {
    ($($code:literal $name:ident $retry:ident $doc:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = $doc]
                pub const $name: Self = Self($code);
            )*

            /// Kafka's name for it; `None` for a number that Kafka 4.3 does not have.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// Whether Java clients try again by themselves. Some codes that are not retriable
            /// have a cure too, such as joining a group again.
            pub fn is_retriable(self) -> bool {
                match self.0 {
                    $($code => error_codes!(@$retry),)*
                    _ => false,
                }
            }

            /// All codes, ascending.
            pub const ALL: &'static [Self] = &[$(Self($code)),*];
        }
    };
    (@retriable) => { true };
    (@final) => { false };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR final "A failure without a code of its own.";
    0 NONE final "Success.";
    1 OFFSET_OUT_OF_RANGE final "The offset is not within the log.";
    2 CORRUPT_MESSAGE retriable "A batch fails its checksum or is malformed.";
    3 UNKNOWN_TOPIC_OR_PARTITION retriable "This broker knows no such topic or partition.";
    4 INVALID_FETCH_SIZE final "The fetch size makes no sense.";
    5 LEADER_NOT_AVAILABLE retriable "The partition has no leader now.";
    6 NOT_LEADER_OR_FOLLOWER retriable
        "This broker does not lead the partition, or has no replica of it.";
    7 REQUEST_TIMED_OUT retriable "The request's own timeout passed first.";
    8 BROKER_NOT_AVAILABLE final "The broker cannot be reached.";
    9 REPLICA_NOT_AVAILABLE retriable "The replica cannot be used.";
    10 MESSAGE_TOO_LARGE final "A batch is larger than the topic allows.";
    11 STALE_CONTROLLER_EPOCH final "The controller has been replaced.";
    12 OFFSET_METADATA_TOO_LARGE final "A commit's metadata is longer than allowed.";
    13 NETWORK_EXCEPTION retriable "The connection broke before the answer.";
    14 COORDINATOR_LOAD_IN_PROGRESS retriable "The coordinator still reads its partition.";
    15 COORDINATOR_NOT_AVAILABLE retriable "There is no coordinator for the key yet.";
    16 NOT_COORDINATOR retriable "Another broker coordinates the key.";
    17 INVALID_TOPIC_EXCEPTION final "The topic's name is illegal, or the topic is internal.";
    18 RECORD_LIST_TOO_LARGE final "A record set is larger than a segment.";
    19 NOT_ENOUGH_REPLICAS retriable "Too few replicas are in sync to append.";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND retriable "Appended, but too few replicas are in sync.";
    21 INVALID_REQUIRED_ACKS final "`acks` is none of -1, 0 and 1.";
    22 ILLEGAL_GENERATION final "The generation is not the group's.";
    23 INCONSISTENT_GROUP_PROTOCOL final "The member shares no protocol with the group.";
    24 INVALID_GROUP_ID final "The group id is empty or illegal.";
    25 UNKNOWN_MEMBER_ID final "The group has no such member.";
    26 INVALID_SESSION_TIMEOUT final "The session timeout is outside the broker's bounds.";
    27 REBALANCE_IN_PROGRESS final "The group rebalances: join again.";
    28 INVALID_COMMIT_OFFSET_SIZE final "An offset commit's record is too large.";
    29 TOPIC_AUTHORIZATION_FAILED final "The principal may not do this to the topic.";
    30 GROUP_AUTHORIZATION_FAILED final "The principal may not do this to the group.";
    31 CLUSTER_AUTHORIZATION_FAILED final "The principal may not do this to the cluster.";
    32 INVALID_TIMESTAMP final "A record's timestamp is too far off.";
    33 UNSUPPORTED_SASL_MECHANISM final "The SASL mechanism is not enabled.";
    34 ILLEGAL_SASL_STATE final "The request does not fit the state of the authentication.";
    35 UNSUPPORTED_VERSION final "The request's version is not served.";
    36 TOPIC_ALREADY_EXISTS final "A topic of this name exists.";
    37 INVALID_PARTITIONS final "The number of partitions is illegal.";
    38 INVALID_REPLICATION_FACTOR final
        "The replication factor is illegal or above the number of brokers.";
    39 INVALID_REPLICA_ASSIGNMENT final "The manual assignment is illegal.";
    40 INVALID_CONFIG final "A config's key or value is illegal.";
    41 NOT_CONTROLLER retriable "Another node is the controller.";
    42 INVALID_REQUEST final "The request contradicts itself or cannot be met.";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT final "The log's message format is too old for this.";
    44 POLICY_VIOLATION final "A policy forbids it.";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER final "A producer's sequence has a gap.";
    46 DUPLICATE_SEQUENCE_NUMBER final "A producer's sequence was seen before.";
    47 INVALID_PRODUCER_EPOCH final "The producer's epoch is older than the one known.";
    48 INVALID_TXN_STATE final "The transaction's state does not allow it.";
    49 INVALID_PRODUCER_ID_MAPPING final "The producer id is not that of the transactional id.";
    50 INVALID_TRANSACTION_TIMEOUT final "The transaction's timeout is above the broker's bound.";
    51 CONCURRENT_TRANSACTIONS retriable
        "The transaction is in the middle of something: try again.";
    52 TRANSACTION_COORDINATOR_FENCED final "A newer transaction coordinator has written.";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED final
        "The principal may not use the transactional id.";
    54 SECURITY_DISABLED final "No authorizer is configured.";
    55 OPERATION_NOT_ATTEMPTED final "Skipped, because something else in the batch failed.";
    56 KAFKA_STORAGE_ERROR retriable "A log directory has failed.";
    57 LOG_DIR_NOT_FOUND final "The broker has no such log directory.";
    58 SASL_AUTHENTICATION_FAILED final "The credentials are wrong.";
    59 UNKNOWN_PRODUCER_ID final "The producer's state is gone.";
    60 REASSIGNMENT_IN_PROGRESS final "The partition is being reassigned.";
    61 DELEGATION_TOKEN_AUTH_DISABLED final "Delegation tokens are off.";
    62 DELEGATION_TOKEN_NOT_FOUND final "There is no such delegation token.";
    63 DELEGATION_TOKEN_OWNER_MISMATCH final
        "The principal is neither owner nor renewer of the token.";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED final "Tokens cannot be asked for on this connection.";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED final "The principal may not do this to the token.";
    66 DELEGATION_TOKEN_EXPIRED final "The token has expired.";
    67 INVALID_PRINCIPAL_TYPE final "The type of principal is unknown.";
    68 NON_EMPTY_GROUP final "The group has members.";
    69 GROUP_ID_NOT_FOUND final "There is no such group.";
    70 FETCH_SESSION_ID_NOT_FOUND retriable "The fetch session is unknown or was evicted.";
    71 INVALID_FETCH_SESSION_EPOCH retriable
        "The fetch session's epoch does not follow the last one.";
    72 LISTENER_NOT_FOUND retriable "The leader has no listener of this name.";
    73 TOPIC_DELETION_DISABLED final "Topics cannot be deleted here.";
    74 FENCED_LEADER_EPOCH retriable "The client's leader epoch is older than the broker's.";
    75 UNKNOWN_LEADER_EPOCH retriable "The client's leader epoch is newer than the broker's.";
    76 UNSUPPORTED_COMPRESSION_TYPE final "The request's version cannot carry this codec.";
    77 STALE_BROKER_EPOCH final "The broker has registered again since.";
    78 OFFSET_NOT_AVAILABLE retriable "The new leader does not know its high watermark yet.";
    79 MEMBER_ID_REQUIRED final "Join again with the member id in this answer.";
    80 PREFERRED_LEADER_NOT_AVAILABLE retriable "The preferred leader is down or out of sync.";
    81 GROUP_MAX_SIZE_REACHED final "The group is full.";
    82 FENCED_INSTANCE_ID final "Another member has taken this instance id over.";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE retriable "No replica may become leader.";
    84 ELECTION_NOT_NEEDED retriable "The right leader leads already.";
    85 NO_REASSIGNMENT_IN_PROGRESS final "There is no reassignment to cancel.";
    86 GROUP_SUBSCRIBED_TO_TOPIC final "The group still consumes the topic.";
    87 INVALID_RECORD final "The broker refuses a record.";
    88 UNSTABLE_OFFSET_COMMIT retriable "An open transaction may still change the offset.";
    89 THROTTLING_QUOTA_EXCEEDED retriable "A quota is used up.";
    90 PRODUCER_FENCED final "A newer producer has the same transactional id.";
    91 RESOURCE_NOT_FOUND final "There is no such resource.";
    92 DUPLICATE_RESOURCE final "The request names a resource twice.";
    93 UNACCEPTABLE_CREDENTIAL final "The credential does not meet the rules.";
    94 INCONSISTENT_VOTER_SET final "The sets of voters differ.";
    95 INVALID_UPDATE_VERSION final "A feature's new level is illegal.";
    96 FEATURE_UPDATE_FAILED final "The features could not be updated.";
    97 PRINCIPAL_DESERIALIZATION_FAILURE final "The principal in an envelope is unreadable.";
    98 SNAPSHOT_NOT_FOUND final "There is no such snapshot.";
    99 POSITION_OUT_OF_RANGE final "The position is not within the snapshot.";
    100 UNKNOWN_TOPIC_ID retriable "This broker knows no topic of this id.";
    101 DUPLICATE_BROKER_REGISTRATION final "Another broker has this id.";
    102 BROKER_ID_NOT_REGISTERED final "No broker of this id has registered.";
    103 INCONSISTENT_TOPIC_ID retriable "The log belongs to a topic of another id.";
    104 INCONSISTENT_CLUSTER_ID final "The request is for another cluster.";
    105 TRANSACTIONAL_ID_NOT_FOUND final "There is no such transactional id.";
    106 FETCH_SESSION_TOPIC_ID_ERROR retriable "A fetch session mixes topic names and ids.";
    107 INELIGIBLE_REPLICA final "A replica may not be in the ISR.";
    108 NEW_LEADER_ELECTED final "The change made another replica the leader.";
    109 OFFSET_MOVED_TO_TIERED_STORAGE final "The offset is in remote storage only.";
    110 FENCED_MEMBER_EPOCH final
        "The member's epoch is fenced: give up all partitions and join again.";
    111 UNRELEASED_INSTANCE_ID final "The instance id is still in use.";
    112 UNSUPPORTED_ASSIGNOR final "The broker has no such assignor.";
    113 STALE_MEMBER_EPOCH final "The member's epoch is not the latest.";
    114 MISMATCHED_ENDPOINT_TYPE final "A broker was asked for controllers, or the reverse.";
    115 UNSUPPORTED_ENDPOINT_TYPE final "The type of endpoint is unknown.";
    116 UNKNOWN_CONTROLLER_ID final "There is no such controller.";
    117 UNKNOWN_SUBSCRIPTION_ID final "The telemetry subscription has changed.";
    118 TELEMETRY_TOO_LARGE final "The telemetry payload is too large.";
    119 INVALID_REGISTRATION final "A broker's registration is illegal.";
    120 TRANSACTION_ABORTABLE final "The transaction must be aborted; the producer may go on.";
    121 INVALID_RECORD_STATE final "A shared record's state does not allow it.";
    122 SHARE_SESSION_NOT_FOUND retriable "The share session is unknown.";
    123 INVALID_SHARE_SESSION_EPOCH retriable
        "The share session's epoch does not follow the last one.";
    124 FENCED_STATE_EPOCH final "The share group's state epoch is old.";
    125 INVALID_VOTER_KEY final "The voter's key does not match.";
    126 DUPLICATE_VOTER final "The voter is in the set already.";
    127 VOTER_NOT_FOUND final "The voter is not in the set.";
    128 INVALID_REGULAR_EXPRESSION final "The regular expression cannot be compiled.";
    129 REBOOTSTRAP_REQUIRED final
        "The client must start over from its bootstrap servers (KIP-1102).";
    130 STREAMS_INVALID_TOPOLOGY final "The streams topology is illegal (KIP-1071).";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH final "The streams topology's epoch is illegal (KIP-1071).";
    132 STREAMS_TOPOLOGY_FENCED final "The streams topology is out of date (KIP-1071).";
    133 SHARE_SESSION_LIMIT_REACHED retriable "The broker keeps no more share sessions (KIP-932).";
}

impl ErrorCode {
    /// Whether it stands for success.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// The name and the number: `NOT_COORDINATOR (16)`.
impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name().unwrap_or("UNKNOWN"), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'a> Wire<'a> for ErrorCode {
    #[inline]
    fn read(reader: &mut Reader<'a>, ver: Ver) -> Result<Self, ReadError> {
        i16::read(reader, ver).map(Self)
    }

    #[inline]
    fn write(&self, writer: &mut Writer, ver: Ver) -> Result<(), WriteError> {
        self.0.write(writer, ver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_without_gaps() {
        let numbers: Vec<i16> = ErrorCode::ALL.iter().map(|code| code.0).collect();
        assert_eq!(numbers, (-1..=133).collect::<Vec<i16>>());
        assert_eq!(ErrorCode(134).name(), None);
        assert_eq!(ErrorCode::NOT_COORDINATOR.to_string(), "NOT_COORDINATOR (16)");
    }

    #[test]
    fn retriable_codes_are_those_of_the_java_client() {
        let retriable: Vec<i16> =
            ErrorCode::ALL.iter().filter(|code| code.is_retriable()).map(|code| code.0).collect();
        assert_eq!(
            retriable,
            [
                2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80,
                83, 84, 88, 89, 100, 103, 106, 122, 123, 133
            ]
        );
    }
}
