//! Writing a response to a socket: `sendmsg` for bytes, `sendfile` for file regions.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

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
pub(crate) const SCRATCH_BYTES: usize = 64 * 1024;
/// Pieces in one `sendmsg`.
const SLICES_MAX: usize = 32;
/// Bytes given to one `sendfile`, at most, so that a fast reader shares the thread with others.
const REGION_STEP_BYTES: u64 = 512 * 1024;

/// More bytes follow at once (nix has no name for it).
const MORE: MsgFlags = MsgFlags::from_bits_retain(nix::libc::MSG_MORE);

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
    scratch: &mut [u8],
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
    scratch: &mut [u8],
    counters: &Counters,
) -> io::Result<u64> {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let mut count = 0;
    let mut room = scratch;
    let mut more = false;
    for piece in out.rest() {
        let bytes: &[u8] = match piece {
            _ if count == SLICES_MAX => {
                more = true;
                break;
            }
            Piece::Bytes(bytes) => bytes,
            Piece::File { file, position, length } => {
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
