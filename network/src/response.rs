//! What a service answers, and how far it has been written. Performs no I/O.

use std::fs::File;
use std::sync::Arc;

use crate::frame::PREFIX_BYTES;

/// An answer: its chunks, one behind the other. The length prefix is the network's business.
#[derive(Debug, Default)]
pub struct Response {
    /// Written in order. Together at most `i32::MAX` bytes, or the connection is closed.
    pub chunks: Vec<Chunk>,
}

/// A piece of a response.
#[derive(Debug)]
pub enum Chunk {
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// Bytes of a file, which the kernel sends without a copy through this process. When the file
    /// turns out to be shorter, the connection is closed: the length was promised already.
    File {
        /// The file; kept open until the response is written or the connection is closed.
        file: Arc<File>,
        /// Where the bytes begin in the file.
        position: u64,
        /// How many they are.
        length: u32,
    },
}

impl Chunk {
    /// Its length on the wire, bytes.
    pub fn len(&self) -> u64 {
        match self {
            Chunk::Bytes(bytes) => bytes.len() as u64,
            Chunk::File { length, .. } => u64::from(*length),
        }
    }

    /// Whether it puts nothing on the wire.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Vec<u8>> for Response {
    fn from(bytes: Vec<u8>) -> Response {
        Response { chunks: vec![Chunk::Bytes(bytes)] }
    }
}

/// A response on its way out: the prefix, the chunks, and what of them is already written.
#[derive(Debug)]
pub(crate) struct Outgoing {
    prefix: [u8; PREFIX_BYTES],
    chunks: Vec<Chunk>,
    /// The piece being written: 0 is the prefix, `n` is chunk `n - 1`.
    piece: usize,
    /// Bytes of that piece already written.
    written: u64,
}

/// What is left of one piece.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    Bytes(&'a [u8]),
    File { file: &'a Arc<File>, position: u64, length: u64 },
}

impl Outgoing {
    /// `None` when the response is longer than a length prefix can say.
    pub(crate) fn new(response: Response) -> Option<Outgoing> {
        let total: u64 = response.chunks.iter().map(Chunk::len).sum();
        let prefix = i32::try_from(total).ok()?.to_be_bytes();
        Some(Outgoing { prefix, chunks: response.chunks, piece: 0, written: 0 })
    }

    /// What is still to be written, in order, without empty pieces.
    pub(crate) fn rest(&self) -> impl Iterator<Item = Piece<'_>> {
        let pieces = self.chunks.len() + 1;
        (self.piece..pieces)
            .map(|at| {
                let skip = if at == self.piece { self.written } else { 0 };
                self.piece_at(at, skip)
            })
            .filter(|piece| piece.len() > 0)
    }

    /// Accounts for `len` bytes written.
    pub(crate) fn advance(&mut self, mut len: u64) {
        while len > 0 {
            let left = self.piece_at(self.piece, self.written).len();
            let step = left.min(len);
            self.written += step;
            len -= step;
            if step == left {
                assert!(self.piece <= self.chunks.len(), "more was written than there was");
                self.drop_piece();
            }
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.rest().next().is_none()
    }

    /// Memory and descriptors are given back as soon as a piece is out, not with the last one.
    fn drop_piece(&mut self) {
        if let Some(chunk) = self.piece.checked_sub(1).and_then(|at| self.chunks.get_mut(at)) {
            *chunk = Chunk::Bytes(Vec::new());
        }
        self.piece += 1;
        self.written = 0;
    }

    fn piece_at(&self, at: usize, skip: u64) -> Piece<'_> {
        let skip_in_memory = usize::try_from(skip).expect("a piece in memory fits into a usize");
        match at.checked_sub(1) {
            None => Piece::Bytes(&self.prefix[skip_in_memory..]),
            Some(at) => match &self.chunks[at] {
                Chunk::Bytes(bytes) => Piece::Bytes(&bytes[skip_in_memory..]),
                Chunk::File { file, position, length } => Piece::File {
                    file,
                    position: position + skip,
                    length: u64::from(*length) - skip,
                },
            },
        }
    }
}

impl Piece<'_> {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File { length, .. } => *length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_left_out_as_they_are_written() {
        let chunks = ["ab", "", "cde"].map(|text| Chunk::Bytes(text.into()));
        for step in 1..=9 {
            let mut out =
                Outgoing::new(Response { chunks: Vec::from(chunks.each_ref().map(copy)) }).unwrap();
            let mut seen = Vec::new();
            while !out.is_done() {
                let all: Vec<u8> = out.rest().flat_map(|piece| bytes(&piece).to_vec()).collect();
                let len = all.len().min(step);
                seen.extend_from_slice(&all[..len]);
                out.advance(len as u64);
            }
            assert_eq!(seen, b"\0\0\0\x05abcde", "step {step}");
        }
    }

    #[test]
    fn an_empty_response_is_a_prefix() {
        let out = Outgoing::new(Response::default()).unwrap();
        assert_eq!(out.rest().map(|piece| piece.len()).sum::<u64>(), 4);
    }

    #[test]
    fn a_response_beyond_the_prefix_is_refused() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let region =
            || Chunk::File { file: Arc::clone(&file), position: 0, length: i32::MAX as u32 };
        assert!(Outgoing::new(Response { chunks: vec![region()] }).is_some());
        let chunks = vec![region(), Chunk::Bytes(vec![0])];
        assert!(Outgoing::new(Response { chunks }).is_none());
    }

    fn copy(chunk: &Chunk) -> Chunk {
        match chunk {
            Chunk::Bytes(bytes) => Chunk::Bytes(bytes.clone()),
            Chunk::File { .. } => panic!("only bytes here"),
        }
    }

    fn bytes<'a>(piece: &'a Piece<'a>) -> &'a [u8] {
        match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::File { .. } => panic!("only bytes here"),
        }
    }
}
