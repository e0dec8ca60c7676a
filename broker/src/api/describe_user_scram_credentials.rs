//! DescribeUserScramCredentials: who can log in by SCRAM, and by which mechanisms (KIP-554).

use std::sync::Arc;

use ottla_metadata::controller;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_user_scram_credentials::{
    CredentialInfo, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
};

use super::{Call, ITEMS_MAX, Outcome, Unanswerable, check_count};
use crate::node::Node;

pub(super) fn handle(node: &Arc<Node>, call: &Call<'_>) -> Result<Outcome, Unanswerable> {
    let request: DescribeUserScramCredentialsRequest<'_> = call.body()?;
    let users: Vec<&str> = request.users.iter().flatten().map(|user| user.name).collect();
    check_count(users.len(), ITEMS_MAX)?;
    let image = node.cluster.image();
    let described = controller::describe_scram_credentials(&image, &users);
    let results = described.iter().map(|(user, result)| match result {
        Ok(infos) => {
            let info = |(mechanism, iterations): &(i8, i32)| CredentialInfo {
                mechanism: *mechanism,
                iterations: *iterations,
            };
            DescribeUserScramCredentialsResult {
                user,
                credential_infos: infos.iter().map(info).collect(),
                ..Default::default()
            }
        }
        Err(refused) => DescribeUserScramCredentialsResult {
            user,
            error_code: refused.code,
            error_message: Some(&refused.message),
            ..Default::default()
        },
    });
    call.answer(&DescribeUserScramCredentialsResponse {
        error_code: ErrorCode::NONE,
        results: results.collect(),
        ..Default::default()
    })
}
