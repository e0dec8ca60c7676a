//! ListConfigResources: what there is that has configs. Version 0 knows subscriptions to clients'
//! metrics only.

use std::sync::Arc;

use ottla_metadata::image::{ConfigResourceType, Image};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

const ALL: [ConfigResourceType; 5] = [
    ConfigResourceType::Topic,
    ConfigResourceType::Broker,
    ConfigResourceType::BrokerLogger,
    ConfigResourceType::ClientMetrics,
    ConfigResourceType::Group,
];

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: ListConfigResourcesRequest = call.body()?;
    let wanted: Vec<ConfigResourceType> = match (call.version(), &request.resource_types[..]) {
        (0, _) => vec![ConfigResourceType::ClientMetrics],
        (_, []) => ALL.to_vec(),
        (_, types) => {
            let known = types.iter().map(|code| ConfigResourceType::from_code(*code));
            let Some(known) = known.collect::<Option<Vec<_>>>() else {
                return call.answer(&ListConfigResourcesResponse {
                    error_code: ErrorCode::UNSUPPORTED_VERSION,
                    ..Default::default()
                });
            };
            // Whatever is asked for, and however often, is told once.
            ALL.iter().copied().filter(|kind| known.contains(kind)).collect()
        }
    };
    let image = node.cluster.image();
    let brokers: Vec<String> = image.brokers().keys().map(ToString::to_string).collect();
    let mut config_resources = Vec::new();
    for kind in wanted {
        let told = |resource_name| ConfigResource { resource_name, resource_type: kind.code() };
        match kind {
            ConfigResourceType::Topic => {
                config_resources.extend(image.topics().iter().map(|topic| told(&topic.name)));
            }
            ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => {
                config_resources.extend(brokers.iter().map(|id| told(id)));
            }
            ConfigResourceType::ClientMetrics | ConfigResourceType::Group => {
                config_resources.extend(configured(&image, kind).map(told));
            }
        }
    }
    call.answer(&ListConfigResourcesResponse { config_resources, ..Default::default() })
}

/// The resources of a type that have something set.
fn configured(image: &Image, kind: ConfigResourceType) -> impl Iterator<Item = &str> {
    let all = image.configs().iter();
    all.filter(move |(code, ..)| *code == kind.code()).map(|(_, name, _)| name)
}
