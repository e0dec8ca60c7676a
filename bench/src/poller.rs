//! Connections and a clock's ticks, waited for by one thread that adds as little as it can.
//!
//! A tick is a timer of the kernel's, since `epoll_wait` alone waits for whole milliseconds. All
//! connections read into one buffer, which stays in the processor's cache; only the beginning of an
//! answer that has not come whole is kept with its connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::load::Target;
use crate::process;
use crate::wire::Frame;

/// Whoever has said nothing for so long will not do so any more.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 256 << 10;
/// No answer is longer: more than the sum of all that a request asks for.
const ANSWER_BYTES_MAX: usize = 128 << 20;
const PREFIX_BYTES: usize = 4;
const TICK: u64 = u64::MAX;

struct Peer {
    stream: TcpStream,
    /// As long as the answer that has begun, or as its length prefix; empty between answers.
    part: Vec<u8>,
    filled: usize,
    /// What the socket has not taken yet.
    outbox: Vec<u8>,
    /// How many requests were sent by [`Poller::ask`], which is the number of the next.
    asked: i32,
    answered: i32,
}

/// Connections by number.
pub(crate) struct Poller {
    epoll: Epoll,
    timer: TimerFd,
    timeout: EpollTimeout,
    peers: Vec<Peer>,
    events: Vec<EpollEvent>,
    buffer: Vec<u8>,
    heard: Instant,
}

impl Poller {
    /// Opens so many connections.
    pub(crate) fn connect(target: &Target, count: usize) -> io::Result<Self> {
        process::allow_open_files()?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TICK))?;
        let mut peers = Vec::with_capacity(count);
        for index in 0..count {
            let stream = target.connect()?;
            stream.set_nonblocking(true)?;
            epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
            let (part, outbox) = (Vec::new(), Vec::new());
            peers.push(Peer { stream, part, filled: 0, outbox, asked: 0, answered: 0 });
        }
        let events = vec![EpollEvent::empty(); 512];
        let buffer = vec![0; READ_BYTES];
        let timeout = EpollTimeout::try_from(SILENCE_MAX).map_err(io::Error::other)?;
        Ok(Self { epoll, timer, timeout, peers, events, buffer, heard: Instant::now() })
    }

    /// How many connections there are.
    pub(crate) fn count(&self) -> usize {
        self.peers.len()
    }

    /// From now on, waits end at every tick too. What was silent before is forgiven.
    pub(crate) fn tick(&mut self, interval: Duration) -> io::Result<()> {
        self.heard = Instant::now();
        let interval = Expiration::Interval(TimeSpec::from_duration(interval));
        Ok(self.timer.set(interval, TimerSetTimeFlags::empty())?)
    }

    /// From now on, waits end at once: whoever has the processor to itself is not to be woken.
    pub(crate) fn spin(&mut self) {
        self.timeout = EpollTimeout::ZERO;
    }

    /// Whether the socket has taken all that was sent.
    pub(crate) fn is_clear(&self, index: usize) -> bool {
        self.peers[index].outbox.is_empty()
    }

    /// Sends a request, or as much of it as the socket takes now.
    pub(crate) fn send(&mut self, index: usize, frame: &[u8]) -> io::Result<()> {
        let peer = &mut self.peers[index];
        let written =
            if peer.outbox.is_empty() { would_block_is_zero(peer.stream.write(frame))? } else { 0 };
        if written < frame.len() {
            let was_clear = peer.outbox.is_empty();
            peer.outbox.extend_from_slice(&frame[written..]);
            if was_clear {
                self.watch(index)?;
            }
        }
        Ok(())
    }

    /// [`Poller::send`], under the connection's next correlation id.
    pub(crate) fn ask(&mut self, index: usize, frame: &mut Frame) -> io::Result<()> {
        let peer = &mut self.peers[index];
        frame.number(peer.asked);
        peer.asked = peer.asked.wrapping_add(1);
        self.send(index, &frame.0)
    }

    /// How many requests of [`Poller::ask`] are not answered.
    pub(crate) fn flying(&self, index: usize) -> usize {
        let peer = &self.peers[index];
        peer.asked.wrapping_sub(peer.answered).unsigned_abs() as usize
    }

    /// Waits until something comes, and lists the connections where it did. `is_hurried`: looks
    /// and does not wait, since something is to be sent.
    ///
    /// # Errors
    /// Also when nothing has come for a minute.
    pub(crate) fn wait(&mut self, is_hurried: bool, ready: &mut Vec<usize>) -> io::Result<()> {
        ready.clear();
        let timeout = if is_hurried { EpollTimeout::ZERO } else { self.timeout };
        let count = self.epoll.wait(&mut self.events, timeout)?;
        for place in 0..count {
            let event = self.events[place];
            if event.data() == TICK {
                self.timer.wait()?;
                continue;
            }
            let index = event.data() as usize;
            if event.events().contains(EpollFlags::EPOLLOUT) && self.flush(index)? {
                self.watch(index)?;
            }
            if event.events().intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP) {
                ready.push(index);
            }
        }
        let now = Instant::now();
        if !ready.is_empty() {
            self.heard = now;
        } else if now - self.heard >= SILENCE_MAX {
            return Err(io::Error::other("nothing has been answered for a minute"));
        }
        Ok(())
    }

    /// Reads once, and gives every answer that is whole.
    pub(crate) fn read(
        &mut self,
        index: usize,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let peer = &mut self.peers[index];
        if !peer.part.is_empty() {
            return peer.read_on(each);
        }
        let count = read_some(&mut peer.stream, &mut self.buffer)?;
        let mut rest = &self.buffer[..count];
        while let Some((prefix, body)) = rest.split_first_chunk() {
            let Some((answer, behind)) = body.split_at_checked(length(*prefix)?) else { break };
            each(answer)?;
            rest = behind;
        }
        if !rest.is_empty() {
            peer.part.resize(PREFIX_BYTES, 0);
            peer.filled = rest.len().min(PREFIX_BYTES);
            peer.part[..peer.filled].copy_from_slice(&rest[..peer.filled]);
            if peer.grow()? {
                peer.part[..rest.len()].copy_from_slice(rest);
                peer.filled = rest.len();
            }
        }
        Ok(())
    }

    /// [`Poller::read`] of answers to [`Poller::ask`].
    ///
    /// # Errors
    /// Also when they do not come in the order of their requests.
    pub(crate) fn hear(
        &mut self,
        index: usize,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut answered = self.peers[index].answered;
        let heard = self.read(index, |answer| {
            if !answer.starts_with(&answered.to_be_bytes()) {
                return Err(io::Error::other("an answer to another request"));
            }
            answered = answered.wrapping_add(1);
            each(answer)
        });
        self.peers[index].answered = answered;
        heard
    }

    /// Writes what the socket takes; whether that was all.
    fn flush(&mut self, index: usize) -> io::Result<bool> {
        let peer = &mut self.peers[index];
        let written = would_block_is_zero(peer.stream.write(&peer.outbox))?;
        peer.outbox.drain(..written);
        Ok(peer.outbox.is_empty())
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
    /// Reads no more than what is missing of the answer that has begun.
    fn read_on(&mut self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        loop {
            let missing = &mut self.part[self.filled..];
            if !missing.is_empty() {
                self.filled += read_some(&mut self.stream, missing)?;
            }
            if self.filled < self.part.len() {
                return Ok(());
            }
            if self.part.len() == PREFIX_BYTES && self.grow()? {
                continue;
            }
            each(&self.part[PREFIX_BYTES..])?;
            self.part.clear();
            return Ok(());
        }
    }

    /// Makes room for the answer when its length is known; whether there was any to be made.
    fn grow(&mut self) -> io::Result<bool> {
        let Some(prefix) = self.part[..self.filled].first_chunk() else { return Ok(false) };
        let length = length(*prefix)?;
        self.part.resize(PREFIX_BYTES + length, 0);
        Ok(length > 0)
    }
}

fn length(prefix: [u8; PREFIX_BYTES]) -> io::Result<usize> {
    let length = u32::from_be_bytes(prefix) as usize;
    if length <= ANSWER_BYTES_MAX {
        return Ok(length);
    }
    Err(io::Error::other(format!("an answer of {length} bytes")))
}

/// 0 when there is nothing yet.
fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    match stream.read(buffer) {
        Ok(0) => Err(io::Error::other("the server has closed a connection")),
        read => would_block_is_zero(read),
    }
}

fn would_block_is_zero(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
