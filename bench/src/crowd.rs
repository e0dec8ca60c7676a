//! Thousands of connections in one thread, none of which waits for another.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::process;
use crate::wire::Frame;

/// Whoever has said nothing for so long will not do so any more.
const SILENCE_MAX: Duration = Duration::from_secs(60);

struct Peer {
    stream: TcpStream,
    /// What came, from `read_to` on without an answer cut from it.
    inbox: Vec<u8>,
    read_to: usize,
    /// What the socket has not taken yet.
    outbox: Vec<u8>,
    sent: i32,
    answered: i32,
}

/// Connections by number.
pub(crate) struct Crowd {
    epoll: Epoll,
    peers: Vec<Peer>,
    events: Vec<EpollEvent>,
    /// What was read at a time, of whatever connection: each of its own would be gigabytes.
    chunk: Vec<u8>,
    heard: Instant,
}

impl Crowd {
    /// Opens so many connections.
    pub(crate) fn connect(address: SocketAddr, count: usize) -> io::Result<Self> {
        process::allow_open_files()?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut peers = Vec::with_capacity(count);
        for index in 0..count {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
            let (inbox, outbox) = (Vec::new(), Vec::new());
            peers.push(Peer { stream, inbox, read_to: 0, outbox, sent: 0, answered: 0 });
        }
        let events = vec![EpollEvent::empty(); 512];
        let chunk = vec![0; 64 << 10];
        Ok(Self { epoll, peers, events, chunk, heard: Instant::now() })
    }

    /// Sends a request, or as much of it as the socket takes now.
    pub(crate) fn send(&mut self, index: usize, mut frame: Frame) -> io::Result<()> {
        let peer = &mut self.peers[index];
        frame.number(peer.sent);
        peer.sent += 1;
        let was_empty = peer.outbox.is_empty();
        peer.outbox.extend_from_slice(&frame.0);
        if was_empty && !peer.flush()? {
            self.watch(index)?;
        }
        Ok(())
    }

    /// How many requests of a connection are not answered.
    pub(crate) fn flying(&self, index: usize) -> usize {
        let peer = &self.peers[index];
        (peer.sent - peer.answered) as usize
    }

    /// Waits until something comes, at most `timeout`, and lists the connections where it did.
    ///
    /// # Errors
    /// Also when nothing has come for a minute.
    pub(crate) fn wait(&mut self, timeout: Duration, ready: &mut Vec<usize>) -> io::Result<()> {
        ready.clear();
        // Rounded down, so that a caller with a schedule is never late.
        let timeout = EpollTimeout::try_from(timeout).map_err(io::Error::other)?;
        let count = self.epoll.wait(&mut self.events, timeout)?;
        for place in 0..count {
            let event = self.events[place];
            let index = event.data() as usize;
            if event.events().contains(EpollFlags::EPOLLOUT) && self.peers[index].flush()? {
                self.watch(index)?;
            }
            if event.events().intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP) {
                self.peers[index].fill(&mut self.chunk)?;
                ready.push(index);
            }
        }
        if count > 0 {
            self.heard = Instant::now();
        }
        if self.heard.elapsed() > SILENCE_MAX {
            return Err(io::Error::other("nothing has been answered for a minute"));
        }
        Ok(())
    }

    /// Copies the next whole answer of a connection out; false when there is none.
    pub(crate) fn answer(&mut self, index: usize, answer: &mut Vec<u8>) -> io::Result<bool> {
        let peer = &mut self.peers[index];
        let rest = &peer.inbox[peer.read_to..];
        let Some((length, rest)) = rest.split_first_chunk() else { return Ok(false) };
        let Some(frame) = rest.get(..u32::from_be_bytes(*length) as usize) else {
            return Ok(false);
        };
        answer.clear();
        answer.extend_from_slice(frame);
        if !answer.starts_with(&peer.answered.to_be_bytes()) {
            return Err(io::Error::other("an answer to another request"));
        }
        peer.answered += 1;
        peer.read_to += 4 + frame.len();
        if peer.read_to == peer.inbox.len() {
            peer.inbox.clear();
            peer.read_to = 0;
        }
        Ok(true)
    }

    fn watch(&self, index: usize) -> io::Result<()> {
        let peer = &self.peers[index];
        let mut flags = EpollFlags::EPOLLIN;
        flags.set(EpollFlags::EPOLLOUT, !peer.outbox.is_empty());
        self.epoll.modify(&peer.stream, &mut EpollEvent::new(flags, index as u64))?;
        Ok(())
    }
}

impl Peer {
    /// Writes what the socket takes; whether that was all.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads once.
    fn fill(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        match self.stream.read(chunk) {
            Ok(0) => Err(io::Error::other("the server has closed a connection")),
            Ok(count) => {
                self.inbox.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}
