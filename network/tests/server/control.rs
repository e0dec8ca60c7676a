//! Threads and limits that change while requests flow.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_network::{CloseReason, Control, InlinePolicy, ServerConfig, Stopped};

use crate::client::{Client, PATIENCE, eventually, framed};
use crate::script::{config, start};

const REQUESTS: u32 = 150;

/// Sends all requests ahead in pieces, and expects each answer once and in order.
fn pipeline(client: &mut Client, number: u32) {
    let body = |n: u32| {
        let kind = if n % 5 == 3 { b'l' } else { b'e' };
        let mut body = vec![kind; 1 + (n * 977 % 9000) as usize];
        body.extend_from_slice(&(number * 1000 + n).to_be_bytes());
        body
    };
    let stream: Vec<u8> = (0..REQUESTS).flat_map(|n| framed(&body(n))).collect();
    let mut writer = client.stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || stream.chunks(2500).for_each(|piece| writer.write_all(piece).unwrap()));
        for n in 0..REQUESTS {
            assert!(client.receive() == body(n), "request {n} of connection {number}");
        }
    });
    client.stream.set_nonblocking(true).unwrap();
    let more = client.stream.read(&mut [0]).unwrap_err();
    assert_eq!(more.kind(), ErrorKind::WouldBlock, "answered twice");
}

#[test]
fn pools_change_under_load_and_every_request_is_answered_once_in_order() {
    for inline in [InlinePolicy::Never, InlinePolicy::WhileQuick] {
        // A short queue: some requests wait with their Processor.
        let (server, _) = start(ServerConfig { inline, requests_max: 3, ..config() });
        let control = server.control();
        let done = AtomicBool::new(false);
        let mut changes = 0;
        thread::scope(|scope| {
            let clients: Vec<_> = (0..24)
                .map(|number| {
                    let mut client = Client::new(&server);
                    scope.spawn(move || pipeline(&mut client, number))
                })
                .collect();
            let changer = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    changes += 1;
                    control.set_processors([4, 2, 5, 1, 3, 1][changes % 6]).unwrap();
                    control.set_handlers([3, 1, 6, 2][changes % 4]).unwrap();
                    thread::sleep(Duration::from_millis(2));
                }
            });
            clients.into_iter().for_each(|client| client.join().unwrap());
            done.store(true, Ordering::Relaxed);
            changer.join().unwrap();
        });
        assert!(5 < changes, "{changes} changes");
        let (counters, all) = (server.counters(), u64::from(24 * REQUESTS));
        assert_eq!(counters.requests.get(), all, "{inline:?}");
        assert_eq!(counters.closed_total() - counters.closed(CloseReason::Peer), 0);
        eventually("all memory is given back", || server.pool().used_bytes() == 0);
        eventually("all connections are gone", || server.connections() == 0);
        assert_eq!(server.stop(Duration::from_secs(5)), Stopped::Drained);
        assert_eq!(counters.responses.get(), all);
    }
}

/// Takes Processors away one by one, so that connections move more than once.
fn shrink_to_one(control: &Control) {
    for processors in (1..control.processors()).rev() {
        control.set_processors(processors).unwrap();
        // Not needed for the answers to arrive; with a pause most have moved before the next step.
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(control.processors(), 1);
}

#[test]
fn answers_follow_connections_that_have_moved() {
    let (server, script) = start(ServerConfig { processors: 5, ..config() });
    let mut clients: Vec<Client> = (0..50).map(|_| Client::new(&server)).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(format!("k{n}").as_bytes());
        if n < 40 {
            client.send(format!("e{n}").as_bytes());
        }
    }
    eventually("all are kept", || script.kept.lock().unwrap().len() == 50);
    shrink_to_one(&server.control());
    // Some leave, by a reset, which is noticed; their answers are dropped.
    for client in clients.drain(40..) {
        nix::sys::socket::setsockopt(
            &client.stream,
            nix::sys::socket::sockopt::Linger,
            &nix::libc::linger { l_onoff: 1, l_linger: 0 },
        )
        .unwrap();
    }
    eventually("they are gone", || server.connections() == 40);
    server.control().set_processors(3).unwrap();
    for (request, reply) in script.kept.lock().unwrap().drain(..) {
        reply.send(request.frame.to_vec().into());
    }
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.receive(), format!("k{n}").as_bytes());
        assert_eq!(client.receive(), format!("e{n}").as_bytes());
        assert_eq!(client.call(b"e and so on"), b"e and so on");
    }
}

#[test]
fn half_read_and_half_written_connections_move() {
    let (server, _) = start(ServerConfig { processors: 4, ..config() });
    let mut halves: Vec<Client> = (0..8).map(|_| Client::new(&server)).collect();
    let frame = framed(&[b'e'; 50_000]);
    halves.iter_mut().for_each(|client| client.send_raw(&frame[..20_000]));
    let mut slow: Vec<Client> = (0..8).map(|_| Client::new(&server)).collect();
    // Far more than the sockets hold.
    slow.iter_mut().for_each(|client| client.send(b"z\x01\0\0\0"));
    eventually("all has arrived", || {
        server.counters().bytes_in.get() == 8 * 20_000 + 8 * 9
            && server.counters().requests.get() == 8
    });
    shrink_to_one(&server.control());
    halves.iter_mut().for_each(|client| client.send_raw(&frame[20_000..]));
    halves.iter_mut().for_each(|client| assert_eq!(client.receive(), [b'e'; 50_000]));
    slow.iter_mut().for_each(|client| assert_eq!(client.receive().len(), 1 << 24));
}

#[test]
fn requests_that_wait_for_a_handler_move_and_are_served() {
    let inline = InlinePolicy::Never;
    let (server, script) =
        start(ServerConfig { processors: 4, handlers: 1, requests_max: 1, inline, ..config() });
    let mut clients: Vec<Client> = (0..20).map(|_| Client::new(&server)).collect();
    clients.iter_mut().for_each(|client| client.send(b"b"));
    eventually("all have arrived", || server.counters().bytes_in.get() == 100);
    shrink_to_one(&server.control());
    server.control().set_handlers(3).unwrap();
    script.open_gate();
    clients.iter_mut().for_each(|client| assert_eq!(client.receive(), b"b"));
    assert_eq!(server.counters().requests.get(), 20);
}

#[test]
fn a_stop_amid_changes_answers_what_is_in_flight() {
    let (server, script) = start(ServerConfig { processors: 6, ..config() });
    let mut clients: Vec<Client> = (0..30).map(|_| Client::new(&server)).collect();
    clients.iter_mut().for_each(|client| client.send(b"k"));
    eventually("all are kept", || script.kept.lock().unwrap().len() == 30);
    let control = server.control();
    thread::scope(|scope| {
        control.set_processors(2).unwrap();
        let stop = scope.spawn(|| server.stop(PATIENCE));
        control.set_processors(1).unwrap();
        thread::sleep(Duration::from_millis(10));
        control.set_processors(4).unwrap();
        control.set_handlers(9).unwrap();
        for (_, reply) in script.kept.lock().unwrap().drain(..) {
            reply.send(b"done".to_vec().into());
        }
        clients.iter_mut().for_each(|client| assert_eq!(client.receive(), b"done"));
        assert_eq!(stop.join().unwrap(), Stopped::Drained);
    });
    control.set_processors(9).unwrap();
    control.set_handlers(9).unwrap();
    assert_eq!(server.stop(Duration::ZERO), Stopped::Drained, "nothing was started");
}

#[test]
fn a_lower_limit_closes_the_longest_unused() {
    let (server, _) = start(ServerConfig { processors: 1, ..config() });
    let mut clients: Vec<Client> = (0..6).map(|_| Client::new(&server)).collect();
    eventually("all are there", || server.connections() == 6);
    for client in [1, 4, 2, 0, 3, 5] {
        assert_eq!(clients[client].call(b"e"), b"e");
        thread::sleep(Duration::from_millis(3));
    }
    let control = server.control();
    control.set_connections_max(2);
    eventually("the others are gone", || server.connections() == 2);
    for (n, client) in clients.iter_mut().enumerate() {
        if n == 3 || n == 5 {
            assert_eq!(client.call(b"e"), b"e");
        } else {
            assert_eq!(client.until_closed(), b"");
        }
    }
    assert_eq!(server.counters().closed(CloseReason::ConnectionsMax), 4);
    let mut waiting = Client::new(&server);
    waiting.send(b"e");
    control.set_connections_max(3);
    assert_eq!(waiting.receive(), b"e");
}

#[test]
fn many_processors_close_no_more_than_needed() {
    let (server, _) = start(ServerConfig { processors: 4, ..config() });
    let _clients: Vec<Client> = (0..200).map(|_| Client::new(&server)).collect();
    eventually("all are there", || server.connections() == 200);
    server.control().set_connections_max(23);
    eventually("the others are gone", || server.connections() <= 23);
    thread::sleep(Duration::from_millis(20));
    assert_eq!(server.connections(), 23);
}

#[test]
fn listeners_have_limits_and_the_brokers_one_goes_first() {
    let listeners = vec!["127.0.0.1:0".parse().unwrap(); 2];
    let inter_broker_listener = Some(1);
    let (server, _) = start(ServerConfig {
        listeners,
        processors: 1,
        connections_max: 2,
        inter_broker_listener,
        ..config()
    });
    let brokers = server.local_addrs()[1];
    let connect = || {
        let mut stream = TcpStream::connect(brokers).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&framed(b"e")).unwrap();
        stream
    };
    let served = |stream: &mut TcpStream| stream.read_exact(&mut [0; 5]).unwrap();
    let mut clients = [Client::new(&server), Client::new(&server)];
    clients.iter_mut().for_each(|client| assert_eq!(client.call(b"e"), b"e"));
    thread::sleep(Duration::from_millis(3));
    assert_eq!(clients[0].call(b"e"), b"e");
    let mut first = connect();
    served(&mut first);
    assert_eq!(clients[1].until_closed(), b"");
    server.control().set_listener_connections_max(1, 1);
    let mut second = connect();
    second.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
    assert!(second.read(&mut [0]).is_err(), "not yet");
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(first);
    served(&mut second);
    assert_eq!(clients[0].call(b"e"), b"e");
}

#[test]
fn limits_of_addresses_change() {
    let (server, _) = start(ServerConfig { connections_per_ip_max: 1, ..config() });
    let mut first = Client::from_ip(&server, "127.0.0.2");
    assert_eq!(first.call(b"e"), b"e");
    assert_eq!(Client::from_ip(&server, "127.0.0.2").until_closed(), b"");
    let control = server.control();
    control.set_connections_per_ip_overrides(&HashMap::from([("127.0.0.2".parse().unwrap(), 2)]));
    let mut second = Client::from_ip(&server, "127.0.0.2");
    assert_eq!(second.call(b"e"), b"e");
    control.set_connections_per_ip_overrides(&HashMap::new());
    control.set_connections_per_ip_max(3);
    assert_eq!(Client::from_ip(&server, "127.0.0.2").call(b"e"), b"e");
    assert_eq!(first.call(b"e"), b"e");
}

#[test]
fn connections_are_accepted_at_the_rate_and_a_change_acts_at_once() {
    let (server, _) = start(ServerConfig { connection_rate_max: 4, ..config() });
    let begun = Instant::now();
    // What may come at once, and two more.
    let mut clients: Vec<Client> = (0..42).map(|_| Client::new(&server)).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.call(b"e"), b"e"));
    assert!(Duration::from_millis(400) < begun.elapsed(), "after {:?}", begun.elapsed());
    assert!(server.counters().epoll_wait.get() < 1000, "nobody spins");
    let control = server.control();
    control.set_connection_rate_max(1);
    // At that rate the last of them would wait for more than ten seconds.
    let mut patient: Vec<Client> = (0..12).map(|_| Client::new(&server)).collect();
    patient.iter_mut().for_each(|client| client.send(b"e"));
    let last = &mut patient[11].stream;
    last.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
    assert!(last.read(&mut [0]).is_err(), "not yet");
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    control.set_connection_rate_max(i32::MAX as u32);
    let changed = Instant::now();
    patient.iter_mut().for_each(|client| assert_eq!(client.receive(), b"e"));
    assert!(changed.elapsed() < Duration::from_secs(8), "after {:?}", changed.elapsed());
    control.set_listener_connection_rate_max(0, 1);
    control.set_listener_connection_rate_max(0, i32::MAX as u32);
    (0..20).for_each(|_| assert_eq!(Client::new(&server).call(b"e"), b"e"));
}

#[test]
fn idle_time_and_sizes_change() {
    let (server, _) = start(ServerConfig { idle_max: Duration::MAX, ..config() });
    let control = server.control();
    let mut client = Client::new(&server);
    assert_eq!(client.call(&[b'e'; 5000]).len(), 5000);
    control.set_frame_bytes_max(4999);
    assert_eq!(client.call(&[b'e'; 4999]).len(), 4999);
    client.send_raw(&framed(&[b'e'; 5000])[..100]);
    assert_eq!(client.until_closed(), b"");
    let mut idle = Client::new(&server);
    assert_eq!(idle.call(b"e"), b"e");
    control.set_idle_max(Duration::from_millis(50));
    assert_eq!(idle.until_closed(), b"");
    assert_eq!(server.counters().closed(CloseReason::Idle), 1);
}

#[test]
fn a_larger_budget_lets_those_who_wait_go_on() {
    let (server, script) = start(ServerConfig { request_bytes_max: 75_000, ..config() });
    let mut holders: Vec<Client> = (0..2).map(|_| Client::new(&server)).collect();
    // One takes the budget, the other one then the overdraft.
    for (n, client) in holders.iter_mut().enumerate() {
        client.send(&[b'k'; 60_000]);
        eventually("it holds its memory", || script.kept.lock().unwrap().len() == n + 1);
    }
    let mut waiting = Client::new(&server);
    waiting.send(&[b'e'; 30_000]);
    eventually("it waits", || server.pool().used_bytes() > 75_000);
    server.control().set_request_bytes_max(1 << 20);
    assert_eq!(waiting.receive().len(), 30_000);
}
