//! What the answer to a fetch means for a partition.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;

use super::answer::Part;
use crate::consumer::chunk::{Chunk, Frame, end_of};
use crate::consumer::cursor::Cursor;
use crate::consumer::positions::State as PlaceState;
use crate::consumer::settings::ConsumerSettings;
use crate::consumer::shared::State;
use crate::error::{Error, ErrorKind};
use crate::partition::TopicPartition;
use crate::session::is_code_of_metadata;

/// Of whom and for what it is.
pub(super) struct Of<'a> {
    pub(super) broker: i32,
    pub(super) generation: u64,
    pub(super) frame: &'a Arc<Frame>,
}

/// What follows from it beside the partition's state.
#[derive(Default)]
pub(super) struct Told {
    /// Who leads, as the broker says: its id and epoch.
    pub(super) leader: Option<(TopicPartition, (i32, i32))>,
    /// Whether the cluster is not as it was known.
    pub(super) is_of_metadata: bool,
    /// It is to be asked again after a while, because of this.
    pub(super) again: Option<(TopicPartition, ErrorCode)>,
}

/// How long a replica is preferred before the leader is asked again.
const PREFERRED_FOR: Duration = Duration::from_secs(300);

/// Takes what an answer says of a partition.
pub(super) fn take(
    state: &mut State,
    of: Of<'_>,
    part: Part,
    settings: &ConsumerSettings,
    now: Instant,
) -> Told {
    let mut told = Told::default();
    let State { positions, queue, .. } = state;
    let Some(place) = positions.current(&part.partition, of.generation) else { return told };
    if part.leader.0 >= 0 && part.error != ErrorCode::NONE {
        told.leader = Some((part.partition.clone(), part.leader));
    }
    if part.error == ErrorCode::NONE {
        place.failed = 0;
        place.not_before = None;
        place.marks = Some(part.marks);
        if part.preferred_replica >= 0 {
            place.preferred = Some((part.preferred_replica, now + PREFERRED_FOR));
        }
        let PlaceState::Known(known) = &mut place.state else { return told };
        if part.range.is_empty() {
            return told;
        }
        match end_of(&of.frame.bytes()[part.range.clone()], known.fetched) {
            Ok(end) => {
                let start = std::mem::replace(&mut known.fetched, end);
                queue.push_back(Cursor::new(Chunk {
                    partition: part.partition,
                    generation: of.generation,
                    node: of.broker,
                    frame: Arc::clone(of.frame),
                    range: part.range,
                    start,
                    aborted: part.aborted,
                }));
            }
            Err(wrong) => {
                let offset = known.fetched.offset;
                let detail = format!("fetched at offset {offset}: {wrong}; seek past it to go on");
                fail(state, &part.partition, Error::new(ErrorKind::Corrupt, detail));
            }
        }
        return told;
    }
    // A follower may lag behind the leader, or be none any more.
    let was_preferred = place.preferred.take().is_some_and(|(id, _)| id == of.broker);
    match part.error {
        ErrorCode::OFFSET_OUT_OF_RANGE if !was_preferred => {
            let error = Error::of_code(part.error, None).err();
            let error = error.unwrap_or_else(|| Error::new(ErrorKind::NoOffset, ""));
            place.out_of_range(&part.partition, error, settings.reset);
            let error = place.error().cloned();
            positions.renew(&part.partition);
            error.into_iter().for_each(|error| state.tell(error));
            state.clean();
        }
        ErrorCode::CORRUPT_MESSAGE => {
            let offset = place.consumed().map_or(-1, |at| at.offset);
            let detail = format!("the broker finds corrupt records behind offset {offset}");
            fail(state, &part.partition, Error::new(ErrorKind::Corrupt, detail));
        }
        code if code.is_retriable() || was_preferred || code == ErrorCode::UNKNOWN_SERVER_ERROR => {
            told.is_of_metadata = is_code_of_metadata(code);
            told.again = Some((part.partition, code));
        }
        code => {
            if let Err(error) = Error::of_code(code, None) {
                fail(state, &part.partition, error);
            }
        }
    }
    told
}

fn fail(state: &mut State, partition: &TopicPartition, error: Error) {
    let error = error.of_partition(&partition.topic, partition.partition);
    if let Some(place) = state.positions.get_mut(partition) {
        place.fail(error.clone());
    }
    state.tell(error);
}
