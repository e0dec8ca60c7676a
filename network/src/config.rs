//! The settings of a server. Plain values; what they are called in Kafka is noted at each.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Everything that [`Server::start`](crate::Server::start) wants to know.
///
/// The default has Kafka's defaults, and no listeners; send buffers are left to the kernel.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen. Port 0 takes a free one, told by
    /// [`Server::local_addrs`](crate::Server::local_addrs).
    pub listeners: Vec<SocketAddr>,
    /// Threads that own connections, at least 1 (`num.network.threads`; here over all listeners).
    pub processors: usize,
    /// Threads that run the service, at least 1 (`num.io.threads`).
    pub handlers: usize,
    /// Whether a Processor may run the service itself.
    pub inline: InlinePolicy,
    /// The longest request, bytes, without its prefix (`socket.request.max.bytes`).
    pub frame_bytes_max: u32,
    /// What all requests in memory may hold together, bytes (`queued.max.request.bytes`, which in
    /// Kafka has no limit by default). One more frame may exceed it.
    pub request_bytes_max: u64,
    /// Requests that wait for a handler, at least 1 (`queued.max.requests`).
    pub requests_max: usize,
    /// Connections at a time (`max.connections`). Further ones wait in the listener's backlog.
    pub connections_max: usize,
    /// Connections at a time on each listener, in their order; what is missing has no limit
    /// (`listener.name.x.max.connections`). Further ones wait.
    pub listener_connections_max: Vec<usize>,
    /// Connections at a time from one address (`max.connections.per.ip`). Further ones are closed.
    pub connections_per_ip_max: usize,
    /// Exceptions from it (`max.connections.per.ip.overrides`).
    pub connections_per_ip_overrides: HashMap<IpAddr, usize>,
    /// Connections accepted per second, over ten seconds (`max.connection.creation.rate`). Further
    /// ones wait in the listener's backlog. `i32::MAX` is no limit.
    pub connection_rate_max: u32,
    /// The same for each listener, in their order; what is missing has no limit
    /// (`listener.name.x.max.connection.creation.rate`).
    pub listener_connection_rate_max: Vec<u32>,
    /// Which of several listeners brokers use (`inter.broker.listener.name`): limits on all
    /// connections do not hold it back, a connection of another listener is closed instead.
    pub inter_broker_listener: Option<usize>,
    /// A connection on which no byte moves for so long is closed, unless the service has a request
    /// of it (`connections.max.idle.ms`).
    pub idle_max: Duration,
    /// Connections that the kernel holds until they are accepted (`socket.listen.backlog.size`);
    /// the kernel has an upper bound of its own.
    pub backlog: u32,
    /// `SO_SNDBUF`, bytes; `None` leaves it to the kernel, which then sizes it as needed
    /// (`socket.send.buffer.bytes`).
    pub send_buffer_bytes: Option<usize>,
    /// `SO_RCVBUF`, bytes; `None` leaves it to the kernel (`socket.receive.buffer.bytes`).
    pub receive_buffer_bytes: Option<usize>,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            listeners: Vec::new(),
            processors: 3,
            handlers: 8,
            inline: InlinePolicy::WhileQuick,
            frame_bytes_max: 100 * 1024 * 1024,
            request_bytes_max: 512 * 1024 * 1024,
            requests_max: 500,
            connections_max: i32::MAX as usize,
            listener_connections_max: Vec::new(),
            connections_per_ip_max: i32::MAX as usize,
            connections_per_ip_overrides: HashMap::new(),
            connection_rate_max: i32::MAX as u32,
            listener_connection_rate_max: Vec::new(),
            inter_broker_listener: None,
            idle_max: Duration::from_millis(600_000),
            backlog: 50,
            send_buffer_bytes: None,
            receive_buffer_bytes: Some(100 * 1024),
        }
    }
}

/// Whether a Processor may run the service on its own thread instead of handing the request to a
/// handler. The crate's page has the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InlinePolicy {
    /// Never: each request takes two thread switches, and no request waits for another's disk.
    Never,
    /// Only when the poll turn brought this one request and nothing else to do, and no request
    /// waits for a handler.
    WhenAlone,
    /// As long as the service is quick: of each poll turn so many requests as usually take 0.2 ms
    /// together, the others are handed over first. When calls take more than 1 ms on average, the
    /// service blocks, and everything is handed over for a while.
    WhileQuick,
    /// Always. For services that never block, and for measurements.
    Always,
}
