//! Requests to the coordinator of groups, and what it answers.
//!
//! FindCoordinator 1, JoinGroup 5, SyncGroup 3, Heartbeat 3, LeaveGroup 3 and OffsetCommit 7: the
//! last versions that are not in the flexible encoding.

use std::io;

use super::{Fields, Frame};

const SESSION_TIMEOUT_MS: i32 = 45_000;
const REBALANCE_TIMEOUT_MS: i32 = 120_000;

/// Asks for the coordinator of a group, which makes the topic of the groups.
pub(crate) fn find_coordinator(group: &str) -> Frame {
    let mut frame = Frame::new(10, 1);
    frame.string(group).i8(0);
    frame.done()
}

/// A consumer of one topic joins; `member` is empty the first time.
pub(crate) fn join_group(group: &str, member: &str, topic: &str) -> Frame {
    let mut subscription = Frame(Vec::new());
    subscription.i16(1).i32(1).string(topic).i32(-1).i32(0);
    let mut frame = Frame::new(11, 5);
    frame.string(group).i32(SESSION_TIMEOUT_MS).i32(REBALANCE_TIMEOUT_MS).string(member).i16(-1);
    frame.string("consumer").i32(1).string("range").bytes(&subscription.0);
    frame.done()
}

/// What JoinGroup answered.
pub(crate) struct Joined {
    /// Its error code.
    pub(crate) error: i16,
    pub(crate) generation: i32,
    pub(crate) leader: String,
    pub(crate) member: String,
    /// All members, for the leader.
    pub(crate) members: Vec<String>,
}

pub(crate) fn joined(answer: &[u8]) -> io::Result<Joined> {
    let mut fields = Fields::after_header(answer);
    fields.i32()?;
    let (error, generation) = (fields.i16()?, fields.i32()?);
    fields.string()?;
    let (leader, member) = (fields.string()?, fields.string()?);
    let mut members = Vec::new();
    for _ in 0..fields.i32()? {
        members.push(fields.string()?);
        fields.string()?;
        fields.bytes()?;
    }
    Ok(Joined { error, generation, leader, member, members })
}

/// What a member is given: one partition of a topic.
pub(crate) fn assignment(topic: &str, partition: i32) -> Vec<u8> {
    let mut assignment = Frame(Vec::new());
    assignment.i16(1).i32(1).string(topic).i32(1).i32(partition).i32(-1);
    assignment.0
}

/// Brings the assignments of members, or none.
pub(crate) fn sync_group(
    group: &str,
    generation: i32,
    member: &str,
    assignments: &[(String, Vec<u8>)],
) -> Frame {
    let mut frame = Frame::new(14, 3);
    frame.string(group).i32(generation).string(member).i16(-1).i32(assignments.len() as i32);
    for (member, assignment) in assignments {
        frame.string(member).bytes(assignment);
    }
    frame.done()
}

/// The error code of SyncGroup, and the assignment.
pub(crate) fn synced(answer: &[u8]) -> io::Result<(i16, &[u8])> {
    let mut fields = Fields::after_header(answer);
    fields.i32()?;
    Ok((fields.i16()?, fields.bytes()?))
}

/// A sign of life.
pub(crate) fn heartbeat(group: &str, generation: i32, member: &str) -> Frame {
    let mut frame = Frame::new(12, 3);
    frame.string(group).i32(generation).string(member).i16(-1);
    frame.done()
}

/// A member leaves.
pub(crate) fn leave_group(group: &str, member: &str) -> Frame {
    let mut frame = Frame::new(13, 3);
    frame.string(group).i32(1).string(member).i16(-1);
    frame.done()
}

/// The error code of an answer that begins with its throttle time.
pub(crate) fn error_code(answer: &[u8]) -> io::Result<i16> {
    let mut fields = Fields::after_header(answer);
    fields.i32()?;
    fields.i16()
}

/// A group without members commits `offset` of one partition.
pub(crate) fn offset_commit(group: &str, topic: &str, partition: i32, offset: i64) -> Frame {
    let mut frame = Frame::new(8, 7);
    frame.string(group).i32(-1).string("").i16(-1);
    frame.i32(1).string(topic).i32(1).i32(partition).i64(offset).i32(-1).string("");
    frame.done()
}

/// Whether OffsetCommit took its one offset.
pub(crate) fn committed(answer: &[u8], topic: &str) -> io::Result<()> {
    let mut fields = Fields::after_header(answer);
    fields.i32()?;
    let known = fields.i32()? == 1 && fields.string()? == topic && fields.i32()? == 1;
    fields.i32()?;
    match fields.i16()? {
        0 if known => Ok(()),
        code => Err(io::Error::other(format!("commit answered error {code}"))),
    }
}
