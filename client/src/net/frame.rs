//! Answers out of a stream of bytes: a length of four bytes, and as many bytes.

use std::io::{self, ErrorKind, Read};

/// What is read at once when an answer's rest may be shorter.
const BUFFER_BYTES: usize = 16 << 10;
/// The memory that an answer gets when its length is known; it gets more as it arrives.
const FIRST_BYTES_MAX: usize = 64 << 10;
/// An answer has a correlation id at least.
const LENGTH_MIN: u32 = 4;

/// Reads one frame after the other. A length that a peer names takes no memory: a buffer is at most
/// twice as large as what has arrived of it.
pub(super) struct FrameReader {
    buffer: Box<[u8]>,
    /// Of the buffer, what was read and not taken.
    start: usize,
    end: usize,
    /// The frame that is being read: its length, and its bytes so far.
    wanted: Option<usize>,
    body: Vec<u8>,
    filled: usize,
    frame_bytes_max: usize,
}

impl FrameReader {
    pub(super) fn new(frame_bytes_max: usize) -> Self {
        Self {
            buffer: vec![0; BUFFER_BYTES].into(),
            start: 0,
            end: 0,
            wanted: None,
            body: Vec::new(),
            filled: 0,
            frame_bytes_max,
        }
    }

    /// The next frame; `None` when the stream has no more bytes now.
    ///
    /// # Errors
    /// The stream's; `UnexpectedEof` when it has ended; `InvalidData` for a length that is too
    /// large, or negative, or too short.
    pub(super) fn next(&mut self, stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            let missing = self.wanted.map_or(0, |wanted| wanted - self.filled);
            let read = if missing < BUFFER_BYTES {
                // What is left of a length goes to the front.
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
                stream.read(&mut self.buffer[self.end..]).inspect(|count| self.end += count)
            } else {
                let room = missing.min(self.filled.max(FIRST_BYTES_MAX));
                if self.body.len() < self.filled + room {
                    self.body.resize(self.filled + room, 0);
                }
                stream.read(&mut self.body[self.filled..]).inspect(|count| self.filled += count)
            };
            match read {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A frame that is whole with what is in the buffer.
    fn buffered(&mut self) -> io::Result<Option<Vec<u8>>> {
        let wanted = match self.wanted {
            Some(wanted) => wanted,
            None => {
                let head = self.buffer[self.start..self.end].first_chunk::<4>();
                let Some(head) = head else { return Ok(None) };
                let wanted = self.checked(*head)?;
                self.start += head.len();
                self.wanted = Some(wanted);
                self.body = Vec::with_capacity(wanted.min(FIRST_BYTES_MAX));
                self.filled = 0;
                wanted
            }
        };
        let count = (self.end - self.start).min(wanted - self.filled);
        if count > 0 {
            self.body.truncate(self.filled);
            self.body.extend_from_slice(&self.buffer[self.start..self.start + count]);
            self.start += count;
            self.filled += count;
        }
        if self.filled < wanted {
            return Ok(None);
        }
        self.wanted = None;
        self.body.truncate(wanted);
        Ok(Some(std::mem::take(&mut self.body)))
    }

    fn checked(&self, head: [u8; 4]) -> io::Result<usize> {
        let length = u32::from_be_bytes(head);
        let is_valid = LENGTH_MIN <= length && length as usize <= self.frame_bytes_max;
        if is_valid {
            return Ok(length as usize);
        }
        let max = self.frame_bytes_max;
        let told = format!("an answer of {} bytes, of {max} at most", length.cast_signed());
        Err(io::Error::new(ErrorKind::InvalidData, told))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives its bytes in pieces of these lengths, 0 for none now.
    struct Pieces<'a>(&'a [u8], Vec<usize>);

    impl Read for Pieces<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            match self.1.pop() {
                Some(0) => Err(ErrorKind::WouldBlock.into()),
                piece => {
                    let count = piece.unwrap_or(usize::MAX).min(to.len()).min(self.0.len());
                    to[..count].copy_from_slice(&self.0[..count]);
                    self.0 = &self.0[count..];
                    Ok(count)
                }
            }
        }
    }

    fn framed(frame: &[u8]) -> Vec<u8> {
        [&(frame.len() as u32).to_be_bytes()[..], frame].concat()
    }

    proptest! {
        #[test]
        fn frames_come_as_they_were_sent_however_they_are_cut(
            lengths in prop::collection::vec(prop_oneof![4usize..100, 4usize..200_000], 1..6),
            pieces in prop::collection::vec(prop_oneof![0usize..9, 0usize..100_000], 0..60),
        ) {
            let frames: Vec<Vec<u8>> = lengths
                .iter()
                .map(|&length| (0..length).map(|n| (n * 7 + length) as u8).collect())
                .collect();
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
            let mut stream = Pieces(&bytes, pieces);
            let mut reader = FrameReader::new(1 << 20);
            let mut read = Vec::new();
            let end = loop {
                match reader.next(&mut stream) {
                    Ok(Some(frame)) => read.push(frame),
                    Ok(None) => {}
                    Err(error) => break error,
                }
            };
            prop_assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
            prop_assert!(read == frames);
        }
    }

    #[test]
    fn lengths_are_checked_before_memory_is_taken() {
        for length in [-1, i32::MIN, i32::MAX, 0, 3, 101] {
            let bytes = length.to_be_bytes();
            let error = FrameReader::new(100).next(&mut &bytes[..]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{length}");
        }
        let mut reader = FrameReader::new(1 << 30);
        let head = (1u32 << 30).to_be_bytes();
        let mut stream = Pieces(&head, vec![0]);
        assert!(reader.next(&mut stream).unwrap().is_none());
        assert!(reader.body.capacity() <= FIRST_BYTES_MAX);
    }
}
