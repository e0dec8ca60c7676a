//! Fetch 11, with fetch sessions (KIP-227) or without.

use std::io;

use super::{Fields, Frame, Stored};

const FETCH: i16 = 1;
const VERSION: i16 = 11;

/// What every request of a fetcher asks for.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// How long an answer may wait for a first byte.
    pub(crate) wait_ms: i32,
    /// The most bytes of an answer.
    pub(crate) bytes_max: i32,
    /// The most bytes of a partition.
    pub(crate) partition_bytes_max: i32,
}

impl Limits {
    /// Those of Java's consumer, which waits for its records.
    pub(crate) const TAILING: Self =
        Self { wait_ms: 500, bytes_max: 50 << 20, partition_bytes_max: 1 << 20 };
}

/// A whole batch in an answer.
pub(crate) struct Batch {
    pub(crate) partition: usize,
    pub(crate) records: u64,
    pub(crate) bytes: usize,
}

/// One reader of a topic: what it has read, and its session.
pub(crate) struct Fetcher {
    topic: String,
    limits: Limits,
    /// Those of the topic, by their index.
    positions: Vec<Position>,
    sessions: bool,
    session: i32,
    /// Of the next request; 0 opens the session.
    epoch: i32,
    number: i32,
    frame: Frame,
}

struct Position {
    offset: i64,
    high_watermark: i64,
    /// The session does not know the offset yet.
    is_changed: bool,
}

impl Fetcher {
    /// A reader of the first partitions of a topic, as many as there are offsets to begin at.
    pub(crate) fn new(topic: &str, offsets: &[i64], limits: Limits, sessions: bool) -> Self {
        let position =
            |offset: &i64| Position { offset: *offset, high_watermark: 0, is_changed: true };
        Self {
            topic: topic.to_owned(),
            limits,
            positions: offsets.iter().map(position).collect(),
            sessions,
            session: 0,
            epoch: 0,
            number: 0,
            frame: Frame(Vec::new()),
        }
    }

    /// Where it reads on.
    pub(crate) fn offset(&self, partition: usize) -> i64 {
        self.positions[partition].offset
    }

    /// What the last answer about the partition told.
    pub(crate) fn high_watermark(&self, partition: usize) -> i64 {
        self.positions[partition].high_watermark
    }

    /// Reads on from another offset.
    pub(crate) fn seek(&mut self, partition: usize, offset: i64) {
        let position = &mut self.positions[partition];
        position.offset = offset;
        position.is_changed = true;
    }

    /// The next request. Within a session it names only the partitions that have moved.
    pub(crate) fn request(&mut self) -> &[u8] {
        let frame = &mut self.frame;
        let limits = self.limits;
        let is_full = !self.sessions || self.epoch == 0;
        let epoch = if self.sessions { self.epoch } else { -1 };
        frame.begin(FETCH, VERSION);
        frame.i32(-1).i32(limits.wait_ms).i32(1).i32(limits.bytes_max).i8(0);
        frame.i32(self.session).i32(epoch);
        let named = self.positions.iter().filter(|position| is_full || position.is_changed).count();
        frame.i32(i32::from(named > 0));
        if named > 0 {
            frame.string(&self.topic).i32(named as i32);
        }
        for (index, position) in self.positions.iter_mut().enumerate() {
            if is_full || position.is_changed {
                position.is_changed = false;
                frame.i32(index as i32).i32(-1).i64(position.offset).i64(-1);
                frame.i32(limits.partition_bytes_max);
            }
        }
        // Nothing is forgotten, and there is no rack.
        frame.i32(0).string("").end();
        self.number = self.number.wrapping_add(1);
        frame.number(self.number);
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        &self.frame.0
    }

    /// Checks the answer to the last request, tells every whole batch in it, and goes on behind
    /// them. Returns the bytes of records, of a batch that is cut off too.
    ///
    /// # Errors
    /// Any error code, another session, an offset left out or told twice, a short answer.
    pub(crate) fn take(
        &mut self,
        answer: &[u8],
        mut each: impl FnMut(Batch) -> io::Result<()>,
    ) -> io::Result<u64> {
        if !answer.starts_with(&self.number.to_be_bytes()) {
            return Err(io::Error::other("an answer to another request"));
        }
        let mut fields = Fields::after_header(answer);
        let _throttled_ms = fields.i32()?;
        refuse(fields.i16()?, "fetch")?;
        self.check_session(fields.i32()?)?;
        let mut bytes = 0;
        for _ in 0..fields.i32()? {
            let length = fields.i16()?;
            if fields.raw(usize::from(length.cast_unsigned()))? != self.topic.as_bytes() {
                return Err(io::Error::other("an answer about another topic"));
            }
            for _ in 0..fields.i32()? {
                let index = fields.i32()? as usize;
                refuse(fields.i16()?, "fetch of a partition")?;
                let unknown = || io::Error::other(format!("partition {index} was not asked for"));
                let position = self.positions.get_mut(index).ok_or_else(unknown)?;
                position.high_watermark = fields.i64()?;
                let _last_stable_and_log_start = fields.raw(16)?;
                let aborted = fields.i32()?.max(0) as usize;
                fields.raw(aborted.saturating_mul(16))?;
                let _preferred_replica = fields.i32()?;
                let set = fields.bytes()?;
                bytes += set.len() as u64;
                position.walk(set, index, &mut each)?;
            }
        }
        Ok(bytes)
    }

    fn check_session(&mut self, session: i32) -> io::Result<()> {
        if self.sessions && self.session == 0 {
            self.session = session;
        }
        if session == self.session && self.sessions == (session != 0) {
            return Ok(());
        }
        Err(io::Error::other(format!("answered in session {session}, not {}", self.session)))
    }
}

impl Position {
    fn walk(
        &mut self,
        mut set: &[u8],
        partition: usize,
        each: &mut impl FnMut(Batch) -> io::Result<()>,
    ) -> io::Result<()> {
        while let Some(batch) = Stored::cut(&mut set)? {
            if batch.base_offset != self.offset {
                let (told, wanted) = (batch.base_offset, self.offset);
                return Err(io::Error::other(format!(
                    "partition {partition}: a batch at offset {told}, not at {wanted}"
                )));
            }
            self.offset = batch.end();
            self.is_changed = true;
            let records = u64::from(batch.last_offset_delta.unsigned_abs()) + 1;
            each(Batch { partition, records, bytes: batch.bytes.len() })?;
        }
        Ok(())
    }
}

fn refuse(code: i16, what: &str) -> io::Result<()> {
    if code == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!("{what} answered error {code}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::stored::batch_at;

    /// Length, header with its client id, replica, wait, minimum, maximum, isolation.
    const SESSION_AT: usize = 4 + 8 + 7 + 4 * 4 + 1;

    fn answer(number: i32, session: i32, partitions: &[(i32, Vec<u8>)]) -> Vec<u8> {
        let mut answer = Frame(Vec::new());
        answer.i32(number).i32(0).i16(0).i32(session).i32(1).string("t");
        answer.i32(partitions.len() as i32);
        for (index, set) in partitions {
            answer.i32(*index).i16(0).i64(99).i64(99).i64(0).i32(-1).i32(-1).bytes(set);
        }
        answer.0
    }

    #[test]
    fn a_session_names_all_partitions_once_and_then_what_moved() {
        let mut fetcher = Fetcher::new("t", &[7, 8], Limits::TAILING, true);
        let full = fetcher.request().to_vec();
        assert_eq!(full[SESSION_AT..SESSION_AT + 8], [0; 8]);
        let mut set = batch_at(8, 3);
        set.extend(batch_at(11, 2));
        let whole = set.len();
        set.extend(&batch_at(13, 2)[..70]);
        let mut told = Vec::new();
        let answered = answer(1, 5, &[(1, set)]);
        let bytes = fetcher.take(&answered, |batch| {
            told.push((batch.partition, batch.records));
            Ok(())
        });
        assert_eq!(bytes.unwrap(), whole as u64 + 70);
        assert_eq!(told, [(1, 3), (1, 2)]);
        let changed = fetcher.request();
        assert_eq!(changed[SESSION_AT..SESSION_AT + 8], [0, 0, 0, 5, 0, 0, 0, 1]);
        assert_eq!(full.len() - changed.len(), 4 + 4 + 8 + 8 + 4);
        assert_eq!(fetcher.offset(1), 13);
        assert_eq!(fetcher.high_watermark(1), 99);
    }

    #[test]
    fn nothing_is_named_when_nothing_moved() {
        let mut fetcher = Fetcher::new("t", &[7], Limits::TAILING, true);
        let full = fetcher.request().len();
        let mut nothing = Frame(Vec::new());
        nothing.i32(1).i32(0).i16(0).i32(5).i32(0);
        assert_eq!(fetcher.take(&nothing.0, |_| Ok(())).unwrap(), 0);
        assert_eq!(full - fetcher.request().len(), 3 + 4 + 28);
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        let cases = [
            ("another request", answer(2, 5, &[])),
            ("no session", answer(1, 0, &[])),
            ("an offset left out", answer(1, 5, &[(0, batch_at(8, 1))])),
            ("an offset twice", answer(1, 5, &[(0, batch_at(6, 2))])),
            ("another partition", answer(1, 5, &[(1, Vec::new())])),
            ("cut off", answer(1, 5, &[(0, batch_at(7, 1))])[..90].to_vec()),
        ];
        for (name, answer) in cases {
            let mut fetcher = Fetcher::new("t", &[7], Limits::TAILING, true);
            fetcher.request();
            assert!(fetcher.take(&answer, |_| Ok(())).is_err(), "{name}");
        }
        let mut without = Fetcher::new("t", &[7], Limits::TAILING, false);
        without.request();
        assert!(without.take(&answer(1, 5, &[]), |_| Ok(())).is_err(), "a session unasked");
    }
}
