//! Cuts a byte stream into length-prefixed request frames. Performs no I/O.
//!
//! ```text
//! | length: i32, big-endian | body: `length` bytes | length | body | ...
//! ```
//!
//! Bytes are read straight into the buffer that the handler will see. A buffer grows with the bytes
//! that have arrived, never by what the length claims. Frames that arrive together share their
//! buffer; only the beginning of a frame that does not fit any more is moved, once.

use std::fmt;
use std::sync::Arc;

use crate::pool::{BUFFER_BYTES_KEPT_MAX, BUFFER_BYTES_MIN, Buffer, Frame, FramePool, buffer_len};

/// The length prefix, bytes.
pub(crate) const PREFIX_BYTES: usize = 4;

/// Cuts a byte stream into frames: put bytes into [`FrameReader::space`], tell how many with
/// [`FrameReader::filled`], take frames with [`FrameReader::next_frame`] until it has none.
///
/// ```
/// use ottla_network::{FramePool, FrameReader};
///
/// let pool = FramePool::new(1 << 20);
/// let mut reader = FrameReader::new(16);
/// let stream = b"\0\0\0\x03abc\0\0\0\x01z";
/// reader.space(&pool).ok_or("no memory")?[..stream.len()].copy_from_slice(stream);
/// reader.filled(stream.len());
/// assert_eq!(reader.next_frame()?.as_deref(), Some(&b"abc"[..]));
/// assert_eq!(reader.next_frame()?.as_deref(), Some(&b"z"[..]));
/// assert!(reader.next_frame()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FrameReader {
    frame_bytes_max: u32,
    buffer: Option<Arc<Buffer>>,
    /// Where the first frame not yet taken begins (its prefix), position in the buffer.
    start: usize,
    /// Behind the last byte received, position in the buffer.
    end: usize,
    /// What this connection's frames needed lately, bytes: by history, not by claim.
    usual_bytes: usize,
}

impl FrameReader {
    /// A reader at the beginning of a stream. A longer body than `frame_bytes_max` is an error.
    pub fn new(frame_bytes_max: u32) -> FrameReader {
        FrameReader { frame_bytes_max, buffer: None, start: 0, end: 0, usual_bytes: 0 }
    }

    /// Changes the limit on bodies, also on one that is being received.
    pub(crate) fn set_frame_bytes_max(&mut self, frame_bytes_max: u32) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// Where the caller should put the next bytes from the stream; not empty. `None` while the
    /// pool has no memory to give.
    ///
    /// Call it only when [`FrameReader::next_frame`] had nothing more to give.
    pub fn space(&mut self, pool: &FramePool) -> Option<&mut [u8]> {
        if !self.make_room(pool) {
            return None;
        }
        let buffer = self.buffer.as_mut().and_then(Arc::get_mut);
        let space =
            &mut buffer.expect("room was made in a buffer of our own").bytes_mut()[self.end..];
        assert!(!space.is_empty(), "room was made");
        Some(space)
    }

    /// Accounts for `len` bytes put at the beginning of the space.
    pub fn filled(&mut self, len: usize) {
        self.end += len;
        let room = self.buffer.as_ref().map_or(0, |buffer| buffer.len());
        assert!(self.end <= room, "more was filled than there was space");
    }

    /// The next whole frame, `None` when more bytes are needed. After an error the stream cannot be
    /// read on.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(prefix) = self.prefix() else { return Ok(None) };
        let claimed = i32::from_be_bytes(prefix);
        let body_bytes = match u32::try_from(claimed) {
            Ok(len) if len <= self.frame_bytes_max => len as usize,
            _ => return Err(FrameError { prefix, frame_bytes_max: self.frame_bytes_max }),
        };
        let total = PREFIX_BYTES + body_bytes;
        if self.pending_bytes() < total {
            return Ok(None);
        }
        let faded = self.usual_bytes - self.usual_bytes / 8;
        self.usual_bytes = total.max(faded).min(BUFFER_BYTES_KEPT_MAX);
        let (start, end) = (self.start + PREFIX_BYTES, self.start + total);
        self.start = end;
        // The last frame takes the buffer with it, so that nothing is held between requests.
        let buffer = if self.start == self.end { self.buffer.take() } else { self.buffer.clone() };
        Ok(Some(Frame::pooled(buffer.expect("pending bytes lie in a buffer"), start, end)))
    }

    /// Bytes received that belong to no frame taken so far.
    pub fn pending_bytes(&self) -> usize {
        self.end - self.start
    }

    /// Gives an empty buffer back: to be called when the stream has nothing more for now.
    pub fn settle(&mut self) {
        if self.start == self.end {
            self.buffer = None;
        }
    }

    /// Moves an unfinished frame into a buffer near its size: to be called when the rest of it has
    /// not come for a while.
    pub fn shrink(&mut self, pool: &FramePool) {
        self.settle();
        let pending = self.pending_bytes();
        let Some(buffer) = &self.buffer else { return };
        if buffer_len(pending * 2) * 2 > buffer.len() {
            return;
        }
        if let Some(smaller) = pool.take(pending * 2, false) {
            self.move_into(smaller);
        }
    }

    /// What the reader's own buffer holds, bytes.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer.as_ref().map_or(0, |buffer| buffer.len())
    }

    fn prefix(&self) -> Option<[u8; PREFIX_BYTES]> {
        let bytes = self.buffer.as_ref()?.bytes();
        bytes[self.start..self.end].first_chunk().copied()
    }

    /// Sees to it that the buffer is ours alone and has at least a byte of room behind `end`.
    fn make_room(&mut self, pool: &FramePool) -> bool {
        let pending = self.pending_bytes();
        // A refused length never gets here: `next_frame` has ended the stream.
        let claimed = self.prefix().map_or(0, |prefix| u32::from_be_bytes(prefix) as usize);
        let frame_bytes = PREFIX_BYTES + claimed;
        let goal = frame_bytes.min((pending * 2).max(BUFFER_BYTES_MIN)).max(self.usual_bytes);
        let Some(buffer) = self.buffer.as_mut().and_then(Arc::get_mut) else {
            return match pool.take(goal.max(pending + 1), pending > 0) {
                Some(buffer) => {
                    self.move_into(buffer);
                    true
                }
                None => false,
            };
        };
        if self.start > 0 && (pending == 0 || self.start + frame_bytes > buffer.len()) {
            buffer.bytes_mut().copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, pending);
        }
        self.end < buffer.len() || buffer.grow(goal.max(pending + 1))
    }

    fn move_into(&mut self, mut buffer: Buffer) {
        let pending = self.pending_bytes();
        if let Some(old) = &self.buffer {
            buffer.bytes_mut()[..pending].copy_from_slice(&old.bytes()[self.start..self.end]);
        }
        (self.start, self.end) = (0, pending);
        self.buffer = Some(Arc::new(buffer));
    }
}

impl fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameReader({} of {} bytes)", self.pending_bytes(), self.buffer_bytes())
    }
}

/// A length prefix that is negative or beyond the limit. The stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// The four bytes found where a length should be.
    pub prefix: [u8; PREFIX_BYTES],
    /// The longest body allowed, bytes.
    pub frame_bytes_max: u32,
}

impl FrameError {
    /// The other protocol that streams beginning like this speak, as far as it is known.
    pub fn looks_like(&self) -> Option<&'static str> {
        match &self.prefix {
            [0x16, 0x03, ..] => Some("TLS"),
            b"SSH-" => Some("SSH"),
            b"GET " | b"POST" | b"PUT " | b"HEAD" | b"OPTI" | b"DELE" | b"CONN" | b"PRI " => {
                Some("HTTP")
            }
            _ => None,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claimed = i32::from_be_bytes(self.prefix);
        write!(f, "request length is {claimed}, expected 0 to {}", self.frame_bytes_max)?;
        match self.looks_like() {
            Some(protocol) => write!(f, " (this looks like {protocol})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pool() -> FramePool {
        FramePool::new(1 << 30)
    }

    fn stream(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for body in bodies {
            bytes.extend_from_slice(&i32::try_from(body.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(body);
        }
        bytes
    }

    /// Feeds `stream` in pieces of the lengths in `steps`, over and over. Frames in `keep` are
    /// held while reading on, as a handler would.
    fn feed(stream: &[u8], steps: &[usize], keep: bool) -> Vec<Vec<u8>> {
        let pool = pool();
        let mut reader = FrameReader::new(1 << 20);
        let (mut frames, mut held) = (Vec::new(), Vec::new());
        let (mut at, mut turn) = (0, 0);
        while at < stream.len() {
            let step = steps[turn % steps.len()].min(stream.len() - at);
            turn += 1;
            let space = reader.space(&pool).unwrap();
            let len = step.min(space.len());
            space[..len].copy_from_slice(&stream[at..at + len]);
            reader.filled(len);
            at += len;
            while let Some(frame) = reader.next_frame().unwrap() {
                frames.push(frame.to_vec());
                if keep {
                    held.push(frame);
                }
            }
            match turn % 5 {
                0 => reader.shrink(&pool),
                1 => reader.settle(),
                _ => (),
            }
        }
        for (frame, expected) in held.iter().zip(&frames) {
            assert_eq!(**frame, **expected, "a frame must not change while it is held");
        }
        assert_eq!(reader.pending_bytes(), 0);
        drop((held, reader));
        assert_eq!(pool.used_bytes(), 0);
        frames
    }

    #[test]
    fn frames_do_not_depend_on_read_sizes() {
        let bodies = [b"abc".to_vec(), vec![], b"z".to_vec(), vec![7; 40]];
        let stream = stream(&bodies);
        for step in 1..=stream.len() {
            assert_eq!(feed(&stream, &[step], false), bodies, "step {step}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn however_the_stream_is_cut(
            lens in prop::collection::vec(
                prop_oneof![0usize..300, 1900usize..2200, 4000usize..9000, 60_000usize..140_000],
                0..12,
            ),
            steps in prop::collection::vec(prop_oneof![1usize..50, 500usize..200_000], 1..6),
            keep: bool,
        ) {
            let bodies: Vec<Vec<u8>> = lens.iter().enumerate()
                .map(|(n, len)| (0..*len).map(|at| (at * 31 + n) as u8).collect()).collect();
            // Tiny steps through long streams take too long to be worth it.
            let shortest = lens.iter().sum::<usize>() / 2000 + 1;
            let steps: Vec<usize> = steps.iter().map(|step| (*step).max(shortest)).collect();
            prop_assert_eq!(feed(&stream(&bodies), &steps, keep), bodies);
        }
    }

    #[test]
    fn a_claim_allocates_nothing() {
        let pool = pool();
        let mut reader = FrameReader::new(100 << 20);
        let claim = (100_i32 << 20).to_be_bytes();
        reader.space(&pool).unwrap()[..4].copy_from_slice(&claim);
        reader.filled(4);
        while reader.pending_bytes() < 4 << 20 {
            assert!(reader.next_frame().unwrap().is_none());
            let received = reader.pending_bytes();
            let space = reader.space(&pool).unwrap().len();
            reader.filled(space);
            let held = reader.buffer_bytes();
            assert!(held <= received * 4 + BUFFER_BYTES_MIN, "{held} bytes after {received}");
        }
    }

    #[test]
    fn a_waiting_frame_gives_its_room_back() {
        let pool = pool();
        let mut reader = FrameReader::new(1 << 20);
        reader.usual_bytes = 1 << 20;
        reader.space(&pool).unwrap()[..7].copy_from_slice(b"\0\x01\0\0abc");
        reader.filled(7);
        assert!(reader.buffer_bytes() > 1 << 20);
        reader.shrink(&pool);
        assert_eq!(reader.buffer_bytes(), BUFFER_BYTES_MIN);
        let rest = vec![b'd'; 65_536 - 3];
        let mut sent = 0;
        while sent < rest.len() {
            let space = reader.space(&pool).unwrap();
            let len = space.len().min(rest.len() - sent);
            space[..len].copy_from_slice(&rest[sent..sent + len]);
            reader.filled(len);
            sent += len;
        }
        let frame = reader.next_frame().unwrap().unwrap();
        assert_eq!((&frame[..4], frame.len()), (&b"abcd"[..], 65_536));
    }

    #[test]
    fn lengths_out_of_range_end_the_stream() {
        for (prefix, looks_like) in [
            (*b"GET ", Some("HTTP")),
            (*b"SSH-", Some("SSH")),
            ([0x16, 3, 1, 2], Some("TLS")),
            ([0xff; 4], None),
            ([0x80, 0, 0, 0], None),
            ([0x7f, 0xff, 0xff, 0xff], None),
            (17_i32.to_be_bytes(), None),
        ] {
            let pool = pool();
            let mut reader = FrameReader::new(16);
            reader.space(&pool).unwrap()[..4].copy_from_slice(&prefix);
            reader.filled(4);
            let error = reader.next_frame().unwrap_err();
            assert_eq!(error.looks_like(), looks_like, "{error}");
        }
    }
}
