//! The floor: a broker's system calls with no broker around them.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::{process, wire};

const LISTENER: u64 = 0;
/// What one fetch sends.
const FETCH_BYTES: usize = 1 << 20;
/// What the fetch floor's file holds at least.
const FETCH_FILE_BYTES: u64 = 1 << 30;
/// Where the first region begins. A batch ends where its records end, so that the region of a log
/// which a fetch asks for begins anywhere in a page; a region that begins on a page's border has
/// one page less to be sent and may be cheaper.
const FETCH_FROM: i64 = 1500;
/// Records of 1 KiB in a batch of the file: what the produce measurements send.
const BATCH_RECORDS: i32 = 63;

/// Appends every frame's bytes to `file`; answers with four bytes behind a length. With `files`:
/// to so many in turn, which are called as `file` with a number behind it, from 0 on.
pub(crate) fn serve_produce(
    listen: SocketAddr,
    file: &Path,
    files: Option<usize>,
) -> io::Result<()> {
    let mut logs = match files {
        None => vec![Log::make(file)?],
        Some(count) => {
            process::allow_open_files()?;
            let name = |number| {
                let mut name = file.as_os_str().to_owned();
                name.push(format!(".{number}"));
                PathBuf::from(name)
            };
            (0..count).map(|number| Log::make(&name(number))).collect::<io::Result<_>>()?
        }
    };
    if logs.is_empty() {
        return Err(io::Error::other("there is no file to append to"));
    }
    let mut turn = 0;
    serve(listen, move |stream, frame| {
        // The batch is all but some 60 bytes of the frame.
        std::hint::black_box(crc32c::crc32c(frame));
        logs[turn].append(frame)?;
        turn = (turn + 1) % logs.len();
        let mut answer = [0, 0, 0, 4, 0, 0, 0, 0];
        answer[4..].copy_from_slice(&frame[4..8]);
        stream.write_all(&answer)
    })
}

/// A file that is appended to.
struct Log {
    file: File,
    position: u64,
}

impl Log {
    fn make(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        Ok(Self { file, position: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.position)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

/// Answers every frame with [`FETCH_BYTES`] of `file`, by `sendfile`. `aligned`: beginning on the
/// border of a page.
pub(crate) fn serve_fetch(listen: SocketAddr, path: &Path, aligned: bool) -> io::Result<()> {
    if !path.exists() {
        // Written as a log is, by appends: their size tells how large the page cache's folios are.
        let mut file = File::create(path)?;
        let batch = wire::batch(BATCH_RECORDS, 1024);
        for _ in 0..FETCH_FILE_BYTES.div_ceil(batch.len() as u64) {
            file.write_all(&batch)?;
        }
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len() as i64;
    let from = if aligned { 0 } else { FETCH_FROM };
    let mut position = from;
    serve(listen, move |stream, _| {
        stream.write_all(&(FETCH_BYTES as u32).to_be_bytes())?;
        let end = position + FETCH_BYTES as i64;
        while position < end {
            let rest = (end - position) as usize;
            match nix::sys::sendfile::sendfile(&*stream, &file, Some(&mut position), rest) {
                Ok(_) => {}
                Err(nix::errno::Errno::EAGAIN) => {
                    // The floor serves one reader: waiting for it is all there is to do.
                    let fd = nix::poll::PollFd::new(
                        std::os::fd::AsFd::as_fd(stream),
                        nix::poll::PollFlags::POLLOUT,
                    );
                    nix::poll::poll(&mut [fd], nix::poll::PollTimeout::NONE)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if position + FETCH_BYTES as i64 > length {
            position = from;
        }
        Ok(())
    })
}

struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

fn serve(
    listen: SocketAddr,
    mut answer: impl FnMut(&mut TcpStream, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut peers = HashMap::new();
    let mut events = [EpollEvent::empty(); 64];
    loop {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            if event.data() == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let key = stream.as_raw_fd() as u64 + 1;
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, key))?;
                peers.insert(key, Peer { stream, buffer: vec![0; 1 << 17], filled: 0 });
                continue;
            }
            let Some(peer) = peers.get_mut(&event.data()) else { continue };
            if !read_and_answer(peer, &mut answer)? {
                peers.remove(&event.data());
            }
        }
    }
}

/// Reads once and answers every whole frame; whether the peer is still there.
fn read_and_answer(
    peer: &mut Peer,
    answer: &mut impl FnMut(&mut TcpStream, &[u8]) -> io::Result<()>,
) -> io::Result<bool> {
    match peer.stream.read(&mut peer.buffer[peer.filled..]) {
        Ok(0) => return Ok(false),
        Ok(count) => peer.filled += count,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
        Err(_) => return Ok(false),
    }
    let mut start = 0;
    while let Some(prefix) = peer.buffer[start..peer.filled].first_chunk::<4>() {
        let length = u32::from_be_bytes(*prefix) as usize;
        if start + 4 + length > peer.filled {
            if length + 4 > peer.buffer.len() {
                peer.buffer.resize(length + 4, 0);
            }
            break;
        }
        answer(&mut peer.stream, &peer.buffer[start + 4..start + 4 + length])?;
        start += 4 + length;
    }
    peer.buffer.copy_within(start..peer.filled, 0);
    peer.filled -= start;
    Ok(true)
}
