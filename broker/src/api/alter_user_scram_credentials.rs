//! AlterUserScramCredentials: passwords of users, as what they can be checked by (KIP-554). They
//! are stored, not yet asked for.

use std::sync::Arc;

use ottla_metadata::controller::{self, ScramDeletion, ScramUpsertion};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult,
};

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: AlterUserScramCredentialsRequest<'_> = call.body()?;
    check_count(request.deletions.len() + request.upsertions.len(), ITEMS_MAX)?;
    let deletions: Vec<ScramDeletion<'_>> = request
        .deletions
        .iter()
        .map(|each| ScramDeletion { name: each.name, mechanism: each.mechanism })
        .collect();
    let upsertions: Vec<ScramUpsertion<'_>> = request
        .upsertions
        .iter()
        .map(|each| ScramUpsertion {
            name: each.name,
            mechanism: each.mechanism,
            iterations: each.iterations,
            salt: each.salt,
            salted_password: each.salted_password,
        })
        .collect();
    let altered =
        node.change(|image| controller::alter_scram_credentials(image, &deletions, &upsertions));
    let altered = altered.unwrap_or_else(|refused| {
        let names = deletions.iter().map(|each| each.name);
        let names = names.chain(upsertions.iter().map(|each| each.name));
        names.map(|name| (name, Err(refused.clone()))).collect()
    });
    let results = altered.iter().map(|(user, result)| AlterUserScramCredentialsResult {
        user,
        error_code: result.as_ref().err().map_or(ErrorCode::NONE, |refused| refused.code),
        error_message: result.as_ref().err().map(|refused| &*refused.message),
    });
    call.answer(&AlterUserScramCredentialsResponse {
        results: results.collect(),
        ..Default::default()
    })
}
