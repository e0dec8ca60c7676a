//! From settings to what the network crate wants to know: names become addresses here.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::thread;
use std::time::Duration;

use ottla_network::{Control, ServerConfig};

use super::broker_config::BrokerConfig;
use super::dynamic_config::DynamicConfig;
use super::error::{ConfigError, Problem};
use super::layers::{Layers, Overrides};
use super::statics::StaticConfig;

/// Turns a host name and a port into addresses.
type Resolve<'a> = &'a dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// What to start the network with, as far as the file tells: see [`set_dynamic`]. Its listeners are
/// `config.listeners.bind` in their order. Names are looked up, which may take as long as the
/// system's resolver does.
///
/// # Errors
/// A name that has no address.
pub fn server_config(
    config: &BrokerConfig,
    statics: &StaticConfig,
) -> Result<ServerConfig, ConfigError> {
    let resolve = |host: &str, port| Ok((host, port).to_socket_addrs()?.collect());
    Ok(with_addresses(config, statics, every_address(), &resolve)?)
}

/// Puts the limits of `dynamic` in the place of those that `server` has. A host that has no address
/// is said so, and has no limit of its own then.
pub fn set_dynamic(server: &mut ServerConfig, dynamic: &DynamicConfig) {
    set_limits(server, dynamic);
    server.processors = processors(dynamic.network_threads(), cores());
    server.connections_per_ip_overrides = per_ip_overrides(dynamic);
}

/// Puts the limits of `dynamic` in force in a running server, those that are others than before. Of
/// hosts with a limit of their own only addresses are known at once: see [`has_host_names`].
///
/// # Errors
/// The system refuses a thread. Those started until then stay, and limits are set all the same.
pub fn change_limits(
    server: &Control,
    before: &DynamicConfig,
    dynamic: &DynamicConfig,
) -> io::Result<()> {
    let (old, new) = (&before.connections, &dynamic.connections);
    // This may close connections that are too many, so only a change does it.
    if old.max_connections != new.max_connections {
        server.set_connections_max(new.max_connections);
    }
    if old != new {
        server.set_connections_per_ip_max(new.max_connections_per_ip);
        server.set_connection_rate_max(new.max_connection_creation_rate);
    }
    if before.listeners != dynamic.listeners {
        for (place, limits) in dynamic.listeners.iter().enumerate() {
            server.set_listener_connections_max(place, limits.max_connections.unwrap_or(NO_LIMIT));
            let rate = limits.max_connection_creation_rate.unwrap_or(NO_RATE);
            server.set_listener_connection_rate_max(place, rate);
        }
    }
    let overrides = &dynamic.max_connections_per_ip_overrides;
    if before.max_connections_per_ip_overrides != *overrides {
        server.set_connections_per_ip_overrides(&literals(dynamic));
    }
    let handlers = server.set_handlers(dynamic.threads.num_io_threads);
    // It is said again only when it changes that not all of them run.
    if before.network_threads() == dynamic.network_threads() {
        return handlers;
    }
    handlers.and(server.set_processors(processors(dynamic.network_threads(), cores())))
}

/// How many threads own connections: no more than there are processors to run on. One hardly ever
/// waits for anything but its connections, so that further ones would only take turns with it, and
/// each would find fewer requests whenever it is woken.
fn processors(wanted: usize, cores: usize) -> usize {
    if wanted > cores {
        log::info!("num.network.threads: {cores} of {wanted} run, one for each processor");
    }
    wanted.min(cores)
}

/// The processors that this process may use; no bound when the system does not tell.
fn cores() -> usize {
    thread::available_parallelism().map_or(usize::MAX, usize::from)
}

/// What stands for no limit on connections, and on those made in a second.
const NO_LIMIT: usize = i32::MAX as usize;
const NO_RATE: u32 = i32::MAX as u32;

/// Whether a host with a limit of its own is named, so that its address must be looked up.
pub fn has_host_names(dynamic: &DynamicConfig) -> bool {
    literals(dynamic).len() < dynamic.max_connections_per_ip_overrides.len()
}

fn literals(dynamic: &DynamicConfig) -> HashMap<IpAddr, usize> {
    let hosts = dynamic.max_connections_per_ip_overrides.iter();
    hosts.filter_map(|(host, max)| Some((unbracketed(host).parse().ok()?, *max))).collect()
}

/// The limits of single addresses. Names are looked up, which may take as long as the system's
/// resolver does; one that has no address is said so, and has no limit of its own then.
pub fn per_ip_overrides(dynamic: &DynamicConfig) -> HashMap<IpAddr, usize> {
    let mut found = HashMap::new();
    for (host, connections_max) in &dynamic.max_connections_per_ip_overrides {
        let address = (unbracketed(host), 0).to_socket_addrs().map(|mut found| found.next());
        match address {
            Ok(Some(address)) => {
                found.insert(address.ip(), *connections_max);
            }
            Ok(None) => log::warn!("max.connections.per.ip.overrides: {host:?} has no address"),
            Err(error) => log::warn!("max.connections.per.ip.overrides: {host:?}: {error}"),
        }
    }
    found
}

fn set_limits(server: &mut ServerConfig, dynamic: &DynamicConfig) {
    server.processors = dynamic.network_threads();
    server.handlers = dynamic.threads.num_io_threads;
    server.connections_max = dynamic.connections.max_connections;
    server.connections_per_ip_max = dynamic.connections.max_connections_per_ip;
    server.connection_rate_max = dynamic.connections.max_connection_creation_rate;
    let of_listeners = dynamic.listeners.iter();
    server.listener_connections_max =
        of_listeners.clone().map(|limits| limits.max_connections.unwrap_or(NO_LIMIT)).collect();
    server.listener_connection_rate_max =
        of_listeners.map(|limits| limits.max_connection_creation_rate.unwrap_or(NO_RATE)).collect();
}

fn unbracketed(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// IPv6's "every address" takes IPv4 connections too, but does not exist in a kernel without it.
fn every_address() -> IpAddr {
    if Path::new("/proc/net/if_inet6").exists() {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

fn with_addresses(
    config: &BrokerConfig,
    statics: &StaticConfig,
    every_address: IpAddr,
    resolve: Resolve<'_>,
) -> Result<ServerConfig, Problem> {
    let mut listeners = Vec::with_capacity(config.listeners.bind.len());
    for listener in &config.listeners.bind {
        listeners.push(if listener.host.is_empty() {
            SocketAddr::new(every_address, listener.port)
        } else {
            // Kafka binds the first address of a name, too.
            address(statics, "listeners", &listener.host, listener.port, resolve)?
        });
    }
    let none = Overrides::new();
    let layers = Layers { broker: &none, broker_default: &none, statics };
    let dynamic = DynamicConfig::effective(layers, config.listeners.names());
    let mut connections_per_ip_overrides = HashMap::new();
    for (host, connections_max) in &dynamic.max_connections_per_ip_overrides {
        let key = "max.connections.per.ip.overrides";
        let address = address(statics, key, unbracketed(host), 0, resolve)?;
        connections_per_ip_overrides.insert(address.ip(), *connections_max);
    }
    let network = &config.network;
    let defaults = ServerConfig::default();
    // A send buffer that nobody asked for is left to the kernel, which makes it as large as a fast
    // reader needs: with Kafka's 100 KiB a fetch of 1 MiB takes five calls and a third more CPU.
    let send_buffer = statics.get("socket.send.buffer.bytes");
    let send_buffer_bytes =
        send_buffer.and_then(|_| usize::try_from(network.socket_send_buffer_bytes).ok());
    let mut server = ServerConfig {
        listeners,
        frame_bytes_max: u32::try_from(network.socket_request_max_bytes).unwrap_or(u32::MAX),
        // Kafka has no limit by default, which lets its clients exhaust it; the network's own
        // default stands for that.
        request_bytes_max: match u64::try_from(network.queued_max_request_bytes) {
            Ok(bytes) if 0 < bytes => bytes,
            _ => defaults.request_bytes_max,
        },
        requests_max: network.queued_max_requests,
        connections_per_ip_overrides,
        idle_max: match u64::try_from(network.connections_max_idle_ms) {
            Ok(ms) => Duration::from_millis(ms),
            // Negative is how Kafka's users say never.
            Err(_) => Duration::from_millis(i64::MAX.unsigned_abs()),
        },
        backlog: u32::try_from(network.socket_listen_backlog_size).unwrap_or(1),
        send_buffer_bytes,
        receive_buffer_bytes: usize::try_from(network.socket_receive_buffer_bytes).ok(),
        ..defaults
    };
    set_limits(&mut server, &dynamic);
    // With one listener, its connections are the clients'.
    if config.listeners.bind.len() > 1 {
        let inter_broker = &config.listeners.inter_broker;
        server.inter_broker_listener =
            config.listeners.names().position(|name| name == inter_broker);
    }
    Ok(server)
}

fn address(
    statics: &StaticConfig,
    key: &str,
    host: &str,
    port: u16,
    resolve: Resolve<'_>,
) -> Result<SocketAddr, Problem> {
    let found = match resolve(host, port) {
        Ok(addresses) => addresses.first().copied().ok_or_else(|| "it has none".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    found.map_err(|error| {
        let mut problem = statics.problem(key, format!("no address of {host:?} found: {error}"));
        "an IP address, or a name that this machine can look up".clone_into(&mut problem.valid);
        "check the spelling, /etc/hosts and DNS, or write the address"
            .clone_into(&mut problem.next);
        problem
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Result<ServerConfig, String> {
        let statics = StaticConfig::parse("f", text.as_bytes()).unwrap();
        let config = BrokerConfig::new(&statics, "h").unwrap();
        let resolve = |host: &str, port| match host {
            "two.example" => Ok(vec![
                SocketAddr::new(Ipv4Addr::new(10, 0, 0, 1).into(), port),
                SocketAddr::new(Ipv4Addr::new(10, 0, 0, 2).into(), port),
            ]),
            host => match host.parse() {
                Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
                Err(_) => Err(io::Error::other("no such name")),
            },
        };
        let every = Ipv4Addr::UNSPECIFIED.into();
        with_addresses(&config, &statics, every, &resolve).map_err(|problem| problem.to_string())
    }

    #[test]
    fn addresses_and_limits() {
        let server = server(
            "listeners=A://:9092,B://[::1]:9093,C://two.example:9094\n\
             listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT,C:PLAINTEXT\n\
             advertised.listeners=A://h:9092,B://h:9093,C://h:9094\n\
             listener.name.b.num.network.threads=1\n\
             max.connections.per.ip.overrides=two.example:7,[::1]:8\n\
             connections.max.idle.ms=5000\n\
             socket.send.buffer.bytes=-1\n\
             socket.receive.buffer.bytes=102400\n\
             queued.max.request.bytes=200000000\n",
        );
        let server = server.unwrap();
        let listeners: Vec<_> = server.listeners.iter().map(ToString::to_string).collect();
        assert_eq!(listeners, ["0.0.0.0:9092", "[::1]:9093", "10.0.0.1:9094"]);
        assert_eq!((server.processors, server.handlers, server.requests_max), (7, 8, 500));
        assert_eq!(server.connections_per_ip_overrides[&Ipv4Addr::new(10, 0, 0, 1).into()], 7);
        assert_eq!(server.connections_per_ip_overrides[&Ipv6Addr::LOCALHOST.into()], 8);
        assert_eq!(server.idle_max, Duration::from_secs(5));
        assert_eq!((server.send_buffer_bytes, server.receive_buffer_bytes), (None, Some(102_400)));
        assert_eq!(server.request_bytes_max, 200_000_000);
    }

    #[test]
    fn there_are_no_more_processors_than_cores() {
        let text = "listeners=A://:9092,B://:9093\n\
             listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT\n";
        let statics = StaticConfig::parse("f", text.as_bytes()).unwrap();
        let config = BrokerConfig::new(&statics, "h").unwrap();
        let none = Overrides::new();
        let layers = Layers { broker: &none, broker_default: &none, statics: &statics };
        let dynamic = DynamicConfig::effective(layers, config.listeners.names());
        assert_eq!([1, 6, 7].map(|cores| processors(dynamic.network_threads(), cores)), [1, 6, 6]);
        let mut server = server(text).unwrap();
        set_dynamic(&mut server, &dynamic);
        assert_eq!(server.processors, cores().min(6));
    }

    #[test]
    fn kafkas_defaults_are_the_networks() {
        let (ours, theirs) = (server("").unwrap(), ServerConfig::default());
        assert_eq!(ours.listener_connections_max, [i32::MAX as usize]);
        assert_eq!(ours.listener_connection_rate_max, [i32::MAX as u32]);
        let ours = ServerConfig {
            listeners: Vec::new(),
            listener_connections_max: Vec::new(),
            listener_connection_rate_max: Vec::new(),
            ..ours
        };
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }

    #[test]
    fn a_name_without_an_address_is_told() {
        let error = server("listeners=PLAINTEXT://nowhere.example:9092").unwrap_err();
        assert!(error.contains("f, line 1: listeners=PLAINTEXT://nowhere.example:9092"), "{error}");
        assert!(error.contains("no address of \"nowhere.example\" found: no such name"), "{error}");
    }
}
