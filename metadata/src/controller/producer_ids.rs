//! Handing out producer ids in blocks.

use super::{Records, Refused};
use crate::image::Image;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::cluster::ProducerIdsRecord;

/// How many producer ids a broker gets at a time.
pub const PRODUCER_ID_BLOCK_LEN: i64 = 1000;

/// Producer ids that one broker alone hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first id.
    pub first: i64,
    /// How many ids there are.
    pub len: i64,
}

/// Gives the next block to a broker of that registration epoch. What a broker has not used when it
/// stops is lost, so that no id is ever used twice.
///
/// # Errors
/// BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH, or UNKNOWN_SERVER_ERROR when all ids are gone.
pub fn allocate_producer_ids(
    image: &Image,
    broker_id: i32,
    broker_epoch: i64,
) -> Result<(Records, ProducerIdBlock), Refused> {
    super::registration::check_epoch(image, broker_id, broker_epoch)?;
    let first = image.next_producer_id();
    let Some(next_producer_id) = first.checked_add(PRODUCER_ID_BLOCK_LEN) else {
        return Err(Refused::new(ErrorCode::UNKNOWN_SERVER_ERROR, "all producer ids are used up"));
    };
    let mut records = Records::new();
    let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id };
    records.push(&MetadataRecord::ProducerIds(record), 0);
    Ok((records, ProducerIdBlock { first, len: PRODUCER_ID_BLOCK_LEN }))
}
