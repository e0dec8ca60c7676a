//! The API messages, one file for a request and its response.
//!
//! Each file is a table in the words of Kafka's schemas; `cargo xtask spec` compares every line
//! with the schemas inside Kafka's own jars. See [`Message`] for reading and writing, and
//! [`crate::header`] for what stands in front.

use crate::api::ApiKey;
use crate::wire::Message;

pub mod api_versions;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_topic_partitions;
pub mod fetch;
pub mod find_coordinator;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod produce;

/// A request: a message with a number and an answer.
pub trait Request<'a>: Message<'a> {
    /// Its kind.
    const API_KEY: ApiKey;
    /// What answers it, in the same version.
    type Response: Message<'a>;
}

macro_rules! pairs {
    ($(
        $api:ident: $file:ident::$request:ident $(<$a:lifetime>)?, $response:ident $(<$b:lifetime>)?;
    )*) => {
        $(
            impl<'a> Request<'a> for $file::$request $(<$a>)? {
                const API_KEY: ApiKey = ApiKey::$api;
                type Response = $file::$response $(<$b>)?;
            }
        )*

        /// All requests and responses.
        #[cfg(any(test, feature = "schema"))]
        pub fn registry() -> Vec<crate::wire::reflect::MessageSchema> {
            crate::wire::reflect::registry![
                $(crate::messages::$file::$request, crate::messages::$file::$response,)*
            ]
        }
    };
}

pairs! {
    Produce: produce::ProduceRequest<'a>, ProduceResponse<'a>;
    Fetch: fetch::FetchRequest<'a>, FetchResponse<'a>;
    ListOffsets: list_offsets::ListOffsetsRequest<'a>, ListOffsetsResponse<'a>;
    Metadata: metadata::MetadataRequest<'a>, MetadataResponse<'a>;
    FindCoordinator: find_coordinator::FindCoordinatorRequest<'a>, FindCoordinatorResponse<'a>;
    ApiVersions: api_versions::ApiVersionsRequest<'a>, ApiVersionsResponse<'a>;
    CreateTopics: create_topics::CreateTopicsRequest<'a>, CreateTopicsResponse<'a>;
    DeleteTopics: delete_topics::DeleteTopicsRequest<'a>, DeleteTopicsResponse<'a>;
    InitProducerId: init_producer_id::InitProducerIdRequest<'a>, InitProducerIdResponse;
    OffsetForLeaderEpoch: offset_for_leader_epoch::OffsetForLeaderEpochRequest<'a>, OffsetForLeaderEpochResponse<'a>;
    DescribeConfigs: describe_configs::DescribeConfigsRequest<'a>, DescribeConfigsResponse<'a>;
    CreatePartitions: create_partitions::CreatePartitionsRequest<'a>, CreatePartitionsResponse<'a>;
    DescribeCluster: describe_cluster::DescribeClusterRequest, DescribeClusterResponse<'a>;
    DescribeTopicPartitions: describe_topic_partitions::DescribeTopicPartitionsRequest<'a>, DescribeTopicPartitionsResponse<'a>;
}

#[cfg(test)]
pub(crate) mod tests;
