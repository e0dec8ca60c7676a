//! DescribeClientQuotas: the quotas that match a filter (KIP-546).

use std::sync::Arc;

use ottla_metadata::controller::{self, QuotaMatch, Refused};
use ottla_protocol::messages::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse, EntityData,
    EntryData, ValueData,
};

use super::{Call, Outcome, Unanswerable};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DescribeClientQuotasRequest<'_> = call.body()?;
    let image = node.cluster.image();
    let components = request.components.iter().map(component);
    let components: Result<Vec<_>, Refused> = components.collect();
    let found = components.and_then(|components| {
        controller::describe_client_quotas(&image, &components, request.strict)
    });
    let found = match found {
        Ok(found) => found,
        Err(refused) => {
            return call.answer(&DescribeClientQuotasResponse {
                error_code: refused.code,
                error_message: Some(&refused.message),
                entries: None,
                ..Default::default()
            });
        }
    };
    let entries = found.into_iter().map(|(entity, limits)| {
        let entity = entity
            .iter()
            .map(|(entity_type, name)| EntityData { entity_type, entity_name: name.as_deref() });
        let values = limits.iter().map(|(key, value)| ValueData { key, value: *value });
        EntryData { entity: entity.collect(), values: values.collect() }
    });
    call.answer(&DescribeClientQuotasResponse {
        entries: Some(entries.collect()),
        ..Default::default()
    })
}

fn component<'a>(asked: &ComponentData<'a>) -> Result<(&'a str, QuotaMatch<'a>), Refused> {
    let wanted = QuotaMatch::from_wire(asked.match_type, asked.r#match)?;
    Ok((asked.entity_type, wanted))
}
