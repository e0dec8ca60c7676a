//! What clients may do, as authorizers see it.

use super::codes::codes;

codes! {
    /// Something that a client does to a resource, and may be allowed to.
    AclOperation {
        /// Any of them: only to look for.
        1 Any "ANY",
        /// All of them.
        2 All "ALL",
        /// Reading records; committing offsets.
        3 Read "READ",
        /// Writing records.
        4 Write "WRITE",
        /// Making it.
        5 Create "CREATE",
        /// Deleting it.
        6 Delete "DELETE",
        /// Changing it.
        7 Alter "ALTER",
        /// Seeing that it is there.
        8 Describe "DESCRIBE",
        /// What brokers do to each other.
        9 ClusterAction "CLUSTER_ACTION",
        /// Seeing its settings.
        10 DescribeConfigs "DESCRIBE_CONFIGS",
        /// Changing its settings.
        11 AlterConfigs "ALTER_CONFIGS",
        /// Writing with a producer id of one's own.
        12 IdempotentWrite "IDEMPOTENT_WRITE",
        /// Making delegation tokens of a user.
        13 CreateTokens "CREATE_TOKENS",
        /// Seeing delegation tokens of a user.
        14 DescribeTokens "DESCRIBE_TOKENS",
        /// Ending transactions in two phases.
        15 TwoPhaseCommit "TWO_PHASE_COMMIT",
    }
}

/// The operations whose bits are set; `None` when the broker has not told.
pub(super) fn authorized(bits: i32) -> Option<Vec<AclOperation>> {
    if bits == i32::MIN {
        return None;
    }
    let is_set = |code: &i8| bits & (1 << *code) != 0;
    Some((0..31).filter(is_set).map(AclOperation::of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_operations() {
        assert_eq!(authorized(i32::MIN), None);
        assert_eq!(authorized(0), Some(Vec::new()));
        let of = authorized(1 << 3 | 1 << 8 | 1 << 30).unwrap();
        assert_eq!(of, [AclOperation::Read, AclOperation::Describe, AclOperation::Unknown(30)]);
        for code in 0..31 {
            assert_eq!(i8::from(AclOperation::of(code)), code);
        }
        assert_eq!(AclOperation::AlterConfigs.to_string(), "ALTER_CONFIGS");
    }
}
