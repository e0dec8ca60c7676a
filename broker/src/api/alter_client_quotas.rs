//! AlterClientQuotas: limits of users, clients and addresses. They are stored, not yet obeyed.

use std::sync::Arc;

use ottla_metadata::controller::{self, QuotaAlteration};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, EntityData, EntryData, ResponseEntryData,
};

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: AlterClientQuotasRequest<'_> = call.body()?;
    check_count(request.entries.len(), ITEMS_MAX)?;
    let asked: Vec<QuotaAlteration<'_>> = request.entries.iter().map(alteration).collect();
    let altered =
        node.change(|image| controller::alter_client_quotas(image, &asked, request.validate_only));
    let altered = altered.unwrap_or_else(|refused| {
        let refuse = asked.iter().map(|each| {
            let entity = each.entity.iter().copied().collect();
            (entity, Err(refused.clone()))
        });
        refuse.collect()
    });
    let entries = altered.iter().map(|(entity, result)| {
        let parts = entity.iter().map(|(entity_type, entity_name)| EntityData {
            entity_type,
            entity_name: *entity_name,
        });
        ResponseEntryData {
            error_code: result.as_ref().err().map_or(ErrorCode::NONE, |refused| refused.code),
            error_message: result.as_ref().err().map(|refused| &*refused.message),
            entity: parts.collect(),
        }
    });
    call.answer(&AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() })
}

fn alteration<'a>(entry: &EntryData<'a>) -> QuotaAlteration<'a> {
    let parts = entry.entity.iter().map(|part| (part.entity_type, part.entity_name));
    let limits = entry.ops.iter().map(|op| (op.key, (!op.remove).then_some(op.value)));
    QuotaAlteration { entity: parts.collect(), limits: limits.collect() }
}
