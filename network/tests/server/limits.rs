//! Limits on frames, connections and idle time; strangers on the port.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use ottla_network::{CloseReason, Reply, Request, Server, ServerConfig, Service};

use crate::client::{Client, PATIENCE};
use crate::script::{config, start};

#[test]
fn other_protocols_and_bad_lengths_are_closed_and_disturb_nobody() {
    let (server, _) = start(config());
    let mut bystander = Client::new(&server);
    let strangers: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /topics HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\xff\xff\xff\xff",
        b"\x80\0\0\0",
        b"\x7f\xff\xff\xff",
        b"\x06\x40\0\x01",
    ];
    for bytes in strangers {
        let mut client = Client::new(&server);
        client.send_raw(bytes);
        assert_eq!(client.until_closed(), b"");
        assert_eq!(bystander.call(b"e"), b"e");
    }
    let closed = server.counters().closed(CloseReason::FrameLength);
    assert_eq!(closed, strangers.len() as u64);
}

#[test]
fn the_frame_limit_is_exact() {
    let (server, _) = start(ServerConfig { frame_bytes_max: 10_000, ..config() });
    let mut client = Client::new(&server);
    assert_eq!(client.call(&[b'e'; 10_000]).len(), 10_000);
    assert_eq!(client.call(b""), b"");
    client.send_raw(&10_001_u32.to_be_bytes());
    client.until_closed();
}

/// Opens connections until one is refused; gives those that work.
fn connect_until_refused(mut open: impl FnMut() -> Client) -> Vec<Client> {
    let mut clients = Vec::new();
    loop {
        let mut client = open();
        // The refusal may come before or after the bytes.
        let sent = client.stream.write_all(b"\0\0\0\x01e");
        let mut answer = [0; 5];
        match sent.and_then(|()| client.stream.read_exact(&mut answer)) {
            Ok(()) => clients.push(client),
            Err(_) => return clients,
        }
    }
}

#[test]
fn a_connection_over_the_limit_waits_until_one_ends() {
    let (server, _) = start(ServerConfig { connections_max: 3, ..config() });
    let mut clients: Vec<Client> = (0..3).map(|_| Client::new(&server)).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.call(b"e"), b"e"));
    let mut fourth = Client::new(&server);
    fourth.send(b"e4");
    fourth.stream.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
    assert!(fourth.stream.read(&mut [0]).is_err(), "not yet");
    fourth.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    clients.pop();
    assert_eq!(fourth.receive(), b"e4");
    assert_eq!((server.connections(), server.counters().accepted.get()), (3, 4));
    clients.iter_mut().for_each(|client| assert_eq!(client.call(b"e"), b"e"));
}

#[test]
fn each_address_has_its_own_limit() {
    let overrides = HashMap::from([("127.0.0.3".parse().unwrap(), 4)]);
    let (server, _) = start(ServerConfig {
        connections_per_ip_max: 2,
        connections_per_ip_overrides: overrides,
        ..config()
    });
    let open =
        |ip: &'static str, server: &Server| connect_until_refused(|| Client::from_ip(server, ip));
    let first = open("127.0.0.2", &server);
    let second = open("127.0.0.3", &server);
    let third = open("127.0.0.4", &server);
    assert_eq!((first.len(), second.len(), third.len()), (2, 4, 2));
    assert_eq!(server.counters().closed(CloseReason::ConnectionsPerIpMax), 3);
}

#[test]
fn idle_connections_are_closed_and_waiting_ones_are_not() {
    // Long beside what a busy machine may keep the busy client from its next call.
    let idle_max = Duration::from_secs(2);
    let (server, script) = start(ServerConfig { idle_max, ..config() });
    let mut waiting = Client::new(&server);
    waiting.send(b"k");
    let mut busy = Client::new(&server);
    let mut idle = Client::new(&server);
    let mut half = Client::new(&server);
    half.send_raw(b"\0\0\0\x09e");
    let begun = Instant::now();
    while begun.elapsed() < idle_max * 3 / 2 || server.counters().closed(CloseReason::Idle) < 2 {
        assert!(begun.elapsed() < PATIENCE, "idle ones stay");
        thread::sleep(idle_max / 40);
        assert_eq!(busy.call(b"e"), b"e");
    }
    assert_eq!(idle.until_closed(), b"");
    assert_eq!(half.until_closed(), b"");
    assert_eq!(server.counters().closed(CloseReason::Idle), 2);
    let (_, reply) = script.kept.lock().unwrap().pop().unwrap();
    reply.send(b"at last".to_vec().into());
    assert_eq!(waiting.receive(), b"at last");
}

#[test]
fn an_address_in_use_is_named_in_the_error() {
    let (server, _) = start(config());
    let taken = server.local_addrs()[0];
    let again = ServerConfig { listeners: vec![taken], ..config() };
    let error = Server::start(again, std::sync::Arc::new(crate::script::Script::default()));
    let error = error.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

#[test]
fn a_listener_for_both_ip_versions_tells_ipv4_addresses_as_such() {
    let listeners = vec!["[::]:0".parse().unwrap()];
    let overrides = HashMap::from([("127.0.0.1".parse().unwrap(), 1)]);
    let ipv6 = ServerConfig { listeners, connections_per_ip_overrides: overrides, ..config() };
    // Where the kernel has no IPv6, there is no such listener.
    let Ok(server) = Server::start(ipv6, std::sync::Arc::new(PeerAddress)) else { return };
    let port = server.local_addrs()[0].port();
    let ask = |host: &str| {
        let mut stream = TcpStream::connect((host, port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"\0\0\0\0").unwrap();
        let mut answer = vec![0; 4];
        stream.read_exact(&mut answer).map(|()| {
            answer.resize(usize::from(answer[3]), 0);
            stream.read_exact(&mut answer).unwrap();
            (String::from_utf8(answer).unwrap(), stream)
        })
    };
    let (name, first) = ask("127.0.0.1").unwrap();
    assert_eq!(name, "127.0.0.1");
    assert_eq!(ask("::1").unwrap().0, "::1");
    assert!(ask("127.0.0.1").is_err(), "one is the limit of this address");
    drop(first);
}

/// Answers with the address of the peer.
struct PeerAddress;

impl Service for PeerAddress {
    fn call(&self, request: Request, reply: Reply) {
        reply.send(request.connection.peer.ip().to_string().into_bytes().into());
    }
}
