//! Writing a response to a socket: `sendmsg` for bytes, `sendfile` for file regions.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use mio::net::TcpStream;
use nix::sys::sendfile::sendfile;
use nix::sys::socket::{MsgFlags, sendmsg};

use crate::counters::Counters;
use crate::response::{Outgoing, Piece};

/// File regions shorter than this are read into memory and go out in the same system call as the
/// bytes around them, bytes. Chosen by `cargo bench -p ottla-network`; the crate's page has the
/// figures.
pub const COPY_BYTES_BELOW: u64 = 20 * 1024;
/// Room for such regions in one system call, bytes; one for each Processor.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Pieces in one `sendmsg`.
const SLICES_MAX: usize = 32;
/// Bytes given to one `sendfile`, at most, so that a fast reader shares the thread with others: as
/// many as a connection may write in one turn.
const REGION_STEP_BYTES: u64 = 1024 * 1024;

/// More bytes follow at once (nix has no name for it).
const MORE: MsgFlags = MsgFlags::from_bits_retain(nix::libc::MSG_MORE);

/// Where small file regions are read to on their way to a socket.
///
/// Who waits at the end of a log is answered together with all others that wait there, by the same
/// few bytes. So the region that was read last is kept, and read once for all of them.
pub(crate) struct Scratch {
    bytes: Vec<u8>,
    /// The region that `bytes` begins with.
    held: Option<Held>,
}

struct Held {
    file: Arc<File>,
    position: u64,
    length: usize,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch { bytes: vec![0; SCRATCH_BYTES], held: None }
    }

    /// Forgets what was read. To be called before another response is taken: the bytes of a file
    /// may be others by then, when its end was cut off and written anew.
    pub(crate) fn forget(&mut self) {
        self.held = None;
    }

    /// The whole of it, for something else.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        self.forget();
        &mut self.bytes
    }

    /// Has the region at the start of the bytes, if it can.
    fn hold(
        &mut self,
        file: &Arc<File>,
        position: u64,
        length: usize,
        counters: &Counters,
    ) -> io::Result<()> {
        let is_held = self.held.as_ref().is_some_and(|held| {
            Arc::ptr_eq(&held.file, file) && (held.position, held.length) == (position, length)
        });
        if !is_held {
            self.held = None;
            counters.pread.one();
            file.read_exact_at(&mut self.bytes[..length], position)?;
            self.held = Some(Held { file: Arc::clone(file), position, length });
        }
        Ok(())
    }
}

/// What one system call did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// So many bytes went out, and more may.
    Bytes(u64),
    /// The socket takes nothing now.
    Blocked,
}

/// Writes once from the beginning of `out`, which must not be done, and accounts for it there. A
/// file that is shorter than its
/// region gives [`io::ErrorKind::UnexpectedEof`].
pub(crate) fn send_some(
    stream: &TcpStream,
    out: &mut Outgoing,
    scratch: &mut Scratch,
    counters: &Counters,
) -> io::Result<Sent> {
    let first = out.rest().next().expect("a response that is not done has a rest");
    let sent = match first {
        Piece::File { file, position, length } if length >= COPY_BYTES_BELOW => {
            counters.sendfile.one();
            send_region(stream, file, position, length.min(REGION_STEP_BYTES))
        }
        _ => send_pieces(stream, out, scratch, counters),
    };
    match sent {
        Ok(len) => {
            out.advance(len);
            counters.bytes_out.add(len);
            Ok(Sent::Bytes(len))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Sent::Blocked),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Sent::Bytes(0)),
        Err(error) => Err(error),
    }
}

fn send_region(stream: &TcpStream, file: &File, position: u64, length: u64) -> io::Result<u64> {
    let mut offset = i64::try_from(position).map_err(|_| io::ErrorKind::UnexpectedEof)?;
    let length = usize::try_from(length).expect("a step fits into a usize");
    match sendfile(stream, file, Some(&mut offset), length)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        sent => Ok(sent as u64),
    }
}

/// Writes bytes and small regions up to the first big region with one `sendmsg`. The socket is told
/// when more follows at once, so that the head of a response shares its segment with the records.
fn send_pieces(
    stream: &TcpStream,
    out: &Outgoing,
    scratch: &mut Scratch,
    counters: &Counters,
) -> io::Result<u64> {
    let small = out.rest().find_map(|piece| match piece {
        Piece::File { file, position, length } => Some((file, position, length)),
        Piece::Bytes(_) => None,
    });
    let mut held = 0;
    if let Some((file, position, length)) = small
        && length < COPY_BYTES_BELOW
    {
        held = length as usize;
        scratch.hold(file, position, held, counters)?;
    }
    let (first, mut room) = scratch.bytes.split_at_mut(held);
    let mut first = (held > 0).then_some(&*first);
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let mut count = 0;
    let mut more = false;
    for piece in out.rest() {
        let bytes: &[u8] = match piece {
            _ if count == SLICES_MAX => {
                more = true;
                break;
            }
            Piece::Bytes(bytes) => bytes,
            Piece::File { file, position, length } => {
                if let Some(held) = first.take() {
                    held
                } else {
                    if length >= COPY_BYTES_BELOW || length > room.len() as u64 {
                        more = true;
                        break;
                    }
                    let (bytes, rest) = room.split_at_mut(length as usize);
                    room = rest;
                    counters.pread.one();
                    file.read_exact_at(bytes, position)?;
                    bytes
                }
            }
        };
        slices[count] = IoSlice::new(bytes);
        count += 1;
    }
    let flags = if more { MORE } else { MsgFlags::empty() };
    counters.writev.one();
    let flags = flags | MsgFlags::MSG_NOSIGNAL;
    let sent = sendmsg::<()>(stream.as_raw_fd(), &slices[..count], &[], flags, None)?;
    Ok(sent as u64)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;
    use crate::response::{Chunk, Response};

    fn region(file: &Arc<File>, position: u64, length: u32) -> Chunk {
        Chunk::File { file: Arc::clone(file), position, length }
    }

    fn sent(chunks: Vec<Chunk>, scratch: &mut Scratch, counters: &Counters) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(stream);
        let mut out = Outgoing::new(Response { chunks }).unwrap();
        while !out.is_done() {
            send_some(&stream, &mut out, scratch, counters).unwrap();
        }
        drop(stream);
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        received.split_off(4)
    }

    #[test]
    fn a_small_region_is_read_once_for_all_that_get_it() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let bytes: Vec<u8> = (0..30_000u32).map(|n| (n % 251) as u8).collect();
        file.write_all_at(&bytes, 0).unwrap();
        let (mut scratch, counters) = (Scratch::new(), Counters::default());
        let mut send = |regions: &[(u64, u32)], preads: u64| {
            let before = counters.pread.get();
            let mut chunks = vec![Chunk::Bytes(vec![1, 2])];
            let mut expected = vec![1, 2];
            for &(position, length) in regions {
                chunks.push(region(&file, position, length));
                let start = position as usize;
                expected.extend_from_slice(&bytes[start..start + length as usize]);
            }
            assert_eq!(sent(chunks, &mut scratch, &counters), expected, "{regions:?}");
            assert_eq!(counters.pread.get() - before, preads, "{regions:?}");
        };
        send(&[(100, 9000)], 1);
        send(&[(100, 9000)], 0);
        send(&[(100, 9000), (50, 70), (100, 9000)], 2);
        send(&[(100, 8999)], 1);
        send(&[(101, 8999), (0, 25_000), (101, 8999)], 1);
        send(&[(101, 8999)], 0);
        scratch.forget();
        file.write_all_at(b"new", 101).unwrap();
        let received = sent(vec![region(&file, 101, 8999)], &mut scratch, &counters);
        assert_eq!(received[..3], *b"new");
    }

    #[test]
    fn a_region_that_its_file_does_not_have_is_not_kept() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let (mut scratch, counters) = (Scratch::new(), Counters::default());
        assert!(scratch.hold(&file, 0, 10, &counters).is_err());
        file.write_all_at(b"0123456789", 0).unwrap();
        scratch.hold(&file, 0, 10, &counters).unwrap();
        assert_eq!(scratch.bytes[..10], *b"0123456789");
    }
}
