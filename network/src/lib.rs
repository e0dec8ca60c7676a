//! A mio reactor for length-prefixed requests and responses of bytes and file regions.
//!
//! It knows frames and bytes, and nothing of what a request means:
//!
//! ```text
//!            ┌──────────┐ connections ┌──────────────┐  requests   ┌────────────────┐
//!  peers ───>│ Acceptor │────────────>│  Processors  │────────────>│ RequestChannel │
//!            └──────────┘             │  (each owns  │             └───────┬────────┘
//!                                     │  connections)│                     v
//!  peers <──────── bytes ────────────>│              │<── answers ── handlers: Service::call
//!                                     └──────────────┘
//! ```
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use ottla_network::{Reply, Request, Response, Server, ServerConfig, Service, Stopped};
//!
//! struct Echo;
//!
//! impl Service for Echo {
//!     fn call(&self, request: Request, reply: Reply) {
//!         reply.send(Response::from(request.frame.to_vec()));
//!     }
//! }
//!
//! let listeners = vec!["127.0.0.1:0".parse()?];
//! let config = ServerConfig { listeners, ..ServerConfig::default() };
//! let server = Server::start(config, Arc::new(Echo))?;
//! let mut client = TcpStream::connect(server.local_addrs()[0])?;
//! client.write_all(b"\0\0\0\x02hi")?;
//! let mut answer = [0; 6];
//! client.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"\0\0\0\x02hi");
//! assert_eq!(server.stop(Duration::from_secs(1)), Stopped::Drained);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The life of a request
//!
//! 1. A **Processor** waits for its sockets (edge-triggered). It reads the length and the body into
//!    one buffer, with one `recv` if the buffer has the size that this connection's requests
//!    usually need. The [`Frame`] that the service sees lies in that buffer.
//! 2. The frames of a poll turn go to the **RequestChannel** together, and at most one handler is
//!    woken; it takes a few and wakes the next if more are left. Or the Processor serves them
//!    itself (see below).
//! 3. The [`Service`] answers through a [`Reply`], now or later. The answers lie in the
//!    **Processor's** inbox; the first one wakes it if it sleeps, the others cost nothing.
//! 4. Bytes go out by one `sendmsg`, long file regions by `sendfile`.
//!
//! # What holds always
//!
//! - Of one connection one request is in flight, and answers come in the order of the requests. The
//!   next frame is read ahead; then reading stops until the answer is written. A peer that does not
//!   read its answers holds one response and one frame, and blocks nobody.
//! - A length on the wire allocates nothing: a buffer is never more than about four times what has
//!   arrived, or what this connection's frames used to need. All buffers together stay below
//!   [`ServerConfig::request_bytes_max`] and one frame. A connection between requests holds no
//!   buffer; one that stalls within a frame is moved into a small one. While others starve, a
//!   connection that holds memory for ten seconds without getting on is closed, also one that sent
//!   more than a little behind a request that the service keeps.
//! - What is in a queue has a bound, and the bound is met by no longer reading.
//! - Nothing that a peer sends makes a thread panic. A panic of the service costs the connection.
//! - [`Server::stop`] answers what is in flight, within a deadline, before it closes.
//!
//! # Where a request is served
//!
//! To hand a request to a handler and its answer back takes two thread switches. Measured by
//! `cargo run --release -p ottla-network --example handoff` (2 cores, busy with other work at the
//! time; the service appends the request to a file in the page cache; CPU of the server in
//! microseconds and system calls with wake-ups, each per request):
//!
//! | connections | bytes | always handed over | while quick | always inline |
//! |---|---|---|---|---|
//! | 1 | 200 | 27, 5.4 | 12, 3.0 | 12, 3.0 |
//! | 1 | 16,384 | 24, 5.6 | 14, 3.0 | 14, 3.0 |
//! | 1 | 65,536 | 38, 5.8 | 27, 3.0 | 27, 3.0 |
//! | 8 | 200 | 16, 2.8 | 17, 2.2 | 13, 2.2 |
//! | 8 | 16,384 | 19, 2.9 | 14, 2.1 | 16, 2.1 |
//! | 8 | 65,536 | 38, 3.0 | 30, 2.2 | 29, 2.2 |
//!
//! Served inline, about 1 us of it is spent outside the kernel. But whoever runs a handler that
//! blocks cannot look after sockets. So the default is [`InlinePolicy::WhileQuick`]: the Processor
//! serves what usually takes 0.2 ms in one turn, hands over the rest first, and hands over
//! everything while the service turns out to block. A service can keep single requests off the
//! Processor ([`Service::may_run_inline`]).
//!
//! # What changes while it runs
//!
//! [`Control`] resizes both pools and sets the limits, under load too.
//!
//! - A handler that is one too many ends when it comes for the next request.
//! - A Processor that is one too many takes its sockets out of its poll and gives the connections,
//!   with what was read and what is still to be written, to the others, which drive each once as if
//!   the kernel had reported it. Requests that are with the service keep the old inbox, which
//!   forwards their answers. So nothing waits for a slow request, and the thread ends at once.
//! - Connections beyond [`ServerConfig::connections_max`] and faster ones than
//!   [`ServerConfig::connection_rate_max`] wait in the kernel's backlog, as in Kafka: the Acceptor
//!   does not accept. When the limit is lowered, the longest unused connections are closed.
//!
//! # File regions
//!
//! A region under [`COPY_BYTES_BELOW`] is read into a buffer of the Processor and goes out in one
//! call with the bytes around it. Connections that are answered with the same region in one turn,
//! as those that wait for one append are, share one reading of it.
//!
//! `cargo bench -p ottla-network`, microseconds for a head of 100 bytes and a region, both ends
//! included:
//!
//! | region, KiB | 1 | 4 | 8 | 16 | 32 | 64 | 256 |
//! |---|---|---|---|---|---|---|---|
//! | copied | 7.6 | 7.6 | 7.8 | 8.3 | 9.7 | 15.5 | 40.9 |
//! | `sendfile` | 8.8 | 8.6 | 8.7 | 8.8 | 9.0 | 14.8 | 32.4 |
//!
//! # What it does not do
//!
//! No TLS and no authentication yet: both belong between the socket and the frames of a connection.
//! A `sendfile` of pages that are not in the page cache
//! waits for the disk on the Processor's thread, as in Kafka.

#![forbid(unsafe_code)]

pub use config::{InlinePolicy, ServerConfig};
pub use control::Control;
pub use counters::{CloseReason, Counter, Counters};
pub use frame::{FrameError, FrameReader};
pub use outbound::{Outbound, OutboundError};
pub use pool::{Frame, FramePool};
pub use port::HeldPort;
pub use response::{Chunk, Response};
pub use sendfile::COPY_BYTES_BELOW;
pub use server::{Server, Stopped};
pub use service::{Answer, Connection, Reply, Request, Service};

// In the order in which they are best read. The border:
mod config;
mod control;
mod counters;
mod response;
mod service;

// The pure states:
mod connection;
mod frame;
mod idle;
mod inline;
mod pool;
mod quota;
mod rate;
mod starved;

// Threads and sockets:
mod acceptor;
mod channel;
mod inbox;
mod log_limit;
mod outbound;
mod peer;
mod port;
mod processor;
mod roster;
mod sendfile;
mod server;
mod shared;
mod threads;
