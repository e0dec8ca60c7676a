//! Requests and their answers: order, silence, lateness, closing.

use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use ottla_network::{Answer, CloseReason, InlinePolicy, Reply, ServerConfig, Stopped};

use crate::client::{Client, eventually, framed};
use crate::script::{config, start};

const POLICIES: [InlinePolicy; 4] =
    [InlinePolicy::Never, InlinePolicy::WhenAlone, InlinePolicy::WhileQuick, InlinePolicy::Always];

#[test]
fn many_connections_each_pipelining_get_their_answers_in_order() {
    for inline in POLICIES {
        let (server, _) = start(ServerConfig { inline, ..config() });
        thread::scope(|scope| {
            for connection in 0..20_u32 {
                let server = &server;
                scope.spawn(move || {
                    let mut client = Client::new(server);
                    let bodies: Vec<Vec<u8>> = (0..50_u32)
                        .map(|n| {
                            let kind = if n % 7 == 3 { b'l' } else { b'e' };
                            let mut body = vec![kind; 1 + (n as usize * 97) % 5000];
                            body.extend_from_slice(&(connection * 1000 + n).to_be_bytes());
                            body
                        })
                        .collect();
                    let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
                    let mut writer = client.stream.try_clone().unwrap();
                    let sender = scope.spawn(move || {
                        for piece in stream.chunks(3000) {
                            std::io::Write::write_all(&mut writer, piece).unwrap();
                        }
                    });
                    for body in &bodies {
                        assert_eq!(&client.receive(), body);
                    }
                    sender.join().unwrap();
                });
            }
        });
        assert_eq!(server.counters().requests.get(), 1000, "{inline:?}");
        eventually("all memory is given back", || server.pool().used_bytes() == 0);
        assert_eq!(server.stop(Duration::from_secs(5)), Stopped::Drained);
        assert_eq!(server.counters().responses.get(), 1000);
    }
}

#[test]
fn nothing_lets_the_next_request_go_on() {
    for inline in POLICIES {
        let (server, _) = start(ServerConfig { inline, ..config() });
        let mut client = Client::new(&server);
        let all: Vec<u8> = [&b"n1"[..], b"n2", b"e3", b"n4", b"e5"].map(framed).concat();
        client.send_raw(&all);
        assert_eq!(client.receive(), b"e3");
        assert_eq!(client.receive(), b"e5");
        // A producer with acks=0 that sends and leaves: all of it is handled.
        client.send_raw(&[&b"n6"[..], b"n7"].map(framed).concat());
        drop(client);
        eventually("all are handled", || server.counters().requests.get() == 7);
        eventually("it is gone", || server.connections() == 0);
        assert_eq!(server.counters().closed(CloseReason::Peer), 1);
    }
}

#[test]
fn what_comes_before_a_half_close_is_answered() {
    let (server, _) = start(config());
    let mut client = Client::new(&server);
    client.send_raw(&[&b"e1"[..], b"l2", b"e3"].map(framed).concat());
    client.send_raw(b"\0\0");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.until_closed(), [&b"e1"[..], b"l2", b"e3"].map(framed).concat());
}

#[test]
fn a_kept_reply_holds_the_next_request_back() {
    let (server, script) = start(config());
    let mut client = Client::new(&server);
    client.send_raw(&[&b"k1"[..], b"k2", b"e3"].map(framed).concat());
    for expected in [b"k1", b"k2"] {
        eventually("the request is kept", || script.kept.lock().unwrap().len() == 1);
        let (request, reply) = script.kept.lock().unwrap().pop().unwrap();
        assert_eq!(&*request.frame, expected);
        assert_eq!(request.connection.peer, client.stream.local_addr().unwrap());
        reply.send(request.frame.to_vec().into());
        assert_eq!(client.receive(), expected);
    }
    assert_eq!(client.receive(), b"e3");
}

#[test]
fn closed_dropped_or_panicked_ends_that_connection_only() {
    for inline in POLICIES {
        let (server, _) = start(ServerConfig { inline, ..config() });
        let mut bystander = Client::new(&server);
        for kind in [b"c", b"d", b"p"] {
            let mut client = Client::new(&server);
            assert_eq!(client.call(b"e0"), b"e0");
            client.send(kind);
            assert_eq!(client.until_closed(), b"");
            assert_eq!(bystander.call(b"still here"), b"still here");
        }
        eventually("the panic is counted", || server.counters().panics.get() == 1);
        assert_eq!(server.counters().closed(CloseReason::Service), 3);
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn an_answer_to_a_connection_that_is_gone_is_dropped() {
    let (server, script) = start(ServerConfig { processors: 1, ..config() });
    let mut client = Client::new(&server);
    client.send(b"k");
    eventually("the request is kept", || script.kept.lock().unwrap().len() == 1);
    // A reset: the server notices although it waits for the service.
    client.send(&vec![b'x'; 100_000]);
    let (_, reply) = script.kept.lock().unwrap().pop().unwrap();
    drop(client);
    reply.send(vec![b'y'; 1 << 20].into());
    eventually("it is gone", || server.connections() == 0);
    // The next tenant of the same slot gets its own answers.
    assert_eq!(Client::new(&server).call(b"mine"), b"mine");
}

#[test]
fn a_full_queue_holds_requests_back_and_loses_none() {
    let inline = InlinePolicy::Never;
    let (server, script) = start(ServerConfig { requests_max: 1, handlers: 1, inline, ..config() });
    let mut clients: Vec<Client> = (0..12).map(|_| Client::new(&server)).collect();
    clients.iter_mut().for_each(|client| client.send(b"b"));
    eventually("the queue is full", || server.counters().queue_full.get() > 0);
    assert!(server.queue_depth() <= 1);
    script.open_gate();
    clients.iter_mut().for_each(|client| assert_eq!(client.receive(), b"b"));
}

#[test]
fn a_request_served_inline_costs_three_system_calls_and_no_wake_up() {
    let inline = InlinePolicy::Always;
    let (server, _) = start(ServerConfig { processors: 1, inline, ..config() });
    let mut client = Client::new(&server);
    client.call(b"warm up");
    let counters = server.counters();
    let before = counters.syscalls();
    (0..100).for_each(|_| drop(client.call(b"e")));
    // Wait, read, write; now and then the kernel tells of something more.
    let used = counters.syscalls() - before;
    assert!(used <= 320, "{used} system calls for 100 requests");
    assert_eq!(counters.requests_inline.get(), 101);
    assert_eq!(counters.handler_wakeups.get(), 0);
}

#[test]
fn the_service_can_keep_a_request_off_the_processor() {
    for inline in POLICIES {
        let (server, _) = start(ServerConfig { inline, ..config() });
        let name = Client::new(&server).call(b"h");
        assert!(name.starts_with(b"handler-"), "{inline:?}: {}", String::from_utf8_lossy(&name));
    }
}

/// As when the members of a group are told of their assignment: one thread answers all of them.
#[test]
fn many_answers_at_once_wake_each_processor_once() {
    const MEMBERS: usize = 300;
    let (server, script) = start(ServerConfig { backlog: 1024, ..config() });
    let mut clients: Vec<Client> = (0..MEMBERS).map(|_| Client::new(&server)).collect();
    for round in 0..3_usize {
        clients.iter_mut().for_each(|client| client.send(b"k"));
        eventually("all are kept", || script.kept.lock().unwrap().len() == MEMBERS);
        let wakeups = || server.counters().processor_wakeups.get();
        let before = wakeups();
        let kept = script.kept.lock().unwrap().split_off(0);
        Reply::send_all(kept.into_iter().map(|(_, reply)| (reply, b"assigned".to_vec().into())));
        clients.iter_mut().for_each(|client| assert_eq!(client.receive(), b"assigned"));
        let woken = wakeups() - before;
        assert!(woken <= 2, "{woken} wake-ups in round {round}");
    }
    // Processors that have left since forward theirs; answers to nobody are dropped.
    clients.iter_mut().for_each(|client| client.send(b"k"));
    eventually("all are kept", || script.kept.lock().unwrap().len() == MEMBERS);
    server.control().set_processors(1).unwrap();
    let mut kept = script.kept.lock().unwrap().split_off(0);
    let (request, reply) = kept.pop().unwrap();
    let gone = clients
        .iter()
        .position(|client| client.stream.local_addr().unwrap() == request.connection.peer);
    reply.close();
    assert_eq!(clients.remove(gone.unwrap()).until_closed(), b"");
    let (sender, told) = std::sync::mpsc::channel();
    let detached = Reply::detached(move |answer| sender.send(answer).unwrap());
    let kept = kept.into_iter().map(|(_, reply)| reply).chain([detached]);
    Reply::send_all(kept.map(|reply| (reply, b"moved".to_vec().into())));
    clients.iter_mut().for_each(|client| assert_eq!(client.receive(), b"moved"));
    assert!(matches!(told.recv().unwrap(), Answer::Response(_)));
}
