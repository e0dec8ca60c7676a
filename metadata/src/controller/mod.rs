//! The controller of a cluster with one voter, as pure functions.
//!
//! Each function looks at an [`Image`], at a request and at nothing else, and answers with the
//! [`Records`] to append and what to tell the caller. Nothing has happened until the records are in
//! the log and have been replayed. Time and randomness come in as arguments; who may do what is
//! decided before.
//!
//! The records of one call are to be appended as one batch, so that they are replayed together or
//! not at all.

mod assign_directories;
mod client_quotas;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod draft;
mod elections;
mod features;
mod placement;
mod producer_ids;
mod reassignments;
mod registration;
mod scram;
mod topic_name;

#[cfg(test)]
mod tests;

pub use assign_directories::assign_directories;
pub use client_quotas::{
    QuotaAlteration, QuotaAnswers, QuotaMatch, alter_client_quotas, describe_client_quotas,
};
pub use configs::{
    ConfigChange, ConfigKey, ConfigOperation, ConfigRules, ConfigValidation, alter_configs,
    check_steps, incremental_alter_configs,
};
pub use create_partitions::{MorePartitions, create_partitions};
pub use create_topics::{CreateTopics, CreatedTopic, NewTopic, TopicDefaults, create_topics};
pub use delete_topics::{DeletedTopic, TopicToDelete, delete_topics};
pub use draft::Records;
pub use elections::{ElectionAnswers, ElectionType, elect_leaders};
pub use features::{FeatureUpdate, UpgradeType, update_features};
pub use placement::ReplicaAssignment;
pub use producer_ids::{PRODUCER_ID_BLOCK_LEN, ProducerIdBlock, allocate_producer_ids};
pub use reassignments::{
    PartitionReassignment, Reassigned, Reassignment, alter_partition_reassignments,
    list_partition_reassignments,
};
pub use registration::{
    BrokerRegistration, ControllerRegistration, NodeStart, StartError, cordon_directories,
    fence_broker, register_broker, register_controller, start, stop, unfence_broker,
    unregister_broker,
};
pub use scram::{
    ScramDeletion, ScramInfos, ScramUpsertion, alter_scram_credentials, describe_scram_credentials,
};
pub use topic_name::{TOPIC_NAME_BYTES_MAX, check_topic_name};

use crate::image::Image;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::uuid::Uuid;
use std::fmt;

/// The most records that one request may cause, and so the most partitions that it may create:
/// a batch must stay small enough to be read in one piece. Kafka's bound.
pub const RECORDS_PER_REQUEST_MAX: usize = 10_000;

/// Where ids come from: 16 random bytes a call.
pub type Entropy<'a> = &'a mut dyn FnMut() -> [u8; 16];

/// What became of each topic of a request, by name.
pub type Answers<'a, T> = Vec<(&'a str, Result<T, Refused>)>;

/// A request, or one item of it, that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What clients act on.
    pub code: ErrorCode,
    /// What people read.
    pub message: String,
}

impl Refused {
    /// A refusal with a code and a text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Refused { code, message: message.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

/// A topic id that no topic has. Of 64 random ids one is unusable, so 64 tries that all fail mean
/// that the entropy is none.
fn new_topic_id(image: &Image, entropy: Entropy<'_>) -> Result<Uuid, Refused> {
    (0..64)
        .filter_map(|_| Uuid::random_v4(entropy()))
        .find(|id| image.topics().by_id(*id).is_none())
        .ok_or_else(|| Refused::new(ErrorCode::UNKNOWN_SERVER_ERROR, "no fresh topic id was found"))
}
