//! A mio reactor for length-prefixed requests and responses of bytes and file regions.
//!
//! It knows frames and bytes, and nothing of what a request means:
//!
//! ```text
//!             ┌──────────┐ accepted  ┌─────────────┐ requests ┌────────────────┐  ┌─────────┐
//!  clients ──>│ Acceptor │──────────>│ Processors  │─────────>│ RequestChannel │─>│ handlers│
//!             └──────────┘   inbox   │ (own their  │<─────────┴────────────────┘  │ Service │
//!                                    │ connections)│      answers (inbox)         └────┬────┘
//!                                    └─────────────┘<──────────────────────────────────┘
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
//! let listeners = vec!["127.0.0.1:0".parse().unwrap()];
//! let config = ServerConfig { listeners, ..ServerConfig::default() };
//! let server = Server::start(config, Arc::new(Echo))?;
//! let mut client = TcpStream::connect(server.local_addrs()[0])?;
//! client.write_all(b"\0\0\0\x02hi")?;
//! let mut answer = [0; 6];
//! client.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"\0\0\0\x02hi");
//! assert_eq!(server.stop(Duration::from_secs(1)), Stopped::Drained);
//! # Ok::<(), std::io::Error>(())
//! ```

pub use config::{InlinePolicy, ServerConfig};
pub use counters::{CloseReason, Counter, Counters};
pub use frame::{FrameError, FrameReader};
pub use outbound::{Outbound, OutboundError};
pub use pool::{Frame, FramePool};
pub use response::{Chunk, Response};
pub use sendfile::COPY_BYTES_BELOW;
pub use server::{Server, Stopped};
pub use service::{Answer, Connection, Reply, Request, Service};

// In the order in which they are best read. The border:
mod config;
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

// Threads and sockets:
mod acceptor;
mod channel;
mod inbox;
mod log_limit;
mod outbound;
mod peer;
mod processor;
mod sendfile;
mod server;
