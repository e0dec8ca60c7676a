//! Memory is bounded, whatever the peers do.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use ottla_network::{CloseReason, ServerConfig};

use crate::client::{Client, eventually, framed};
use crate::script::{config, start};

#[test]
fn a_peer_that_never_reads_is_held_back() {
    let (server, _) = start(config());
    let mut deaf = Client::new(&server);
    deaf.stream.set_nonblocking(true).unwrap();
    // Each asks for a mebibyte; the peer sends until its own socket is full.
    let mut request = framed(b"z\0\x10\0\0");
    request.extend_from_slice(&framed(&[b'e'; 4000]));
    let mut sent = 0;
    let mut quiet = 0;
    while quiet < 20 && sent < 256 << 20 {
        match deaf.stream.write(&request) {
            Ok(len) => (sent, quiet) = (sent + len, 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                quiet += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
    let requests = server.counters().requests.get();
    assert!(requests < 30, "{requests} requests were taken");
    assert!(server.pool().used_bytes() < 1 << 20);
    assert_eq!(Client::new(&server).call(b"e"), b"e");
}

#[test]
fn half_frames_cost_little_however_much_they_claim() {
    let (server, _) = start(config());
    let mut slow: Vec<Client> = (0..100).map(|_| Client::new(&server)).collect();
    for client in &mut slow {
        client.send_raw(&(100_u32 << 20).to_be_bytes());
        client.send_raw(b"e");
    }
    eventually("all bytes are read", || server.counters().bytes_in.get() == 500);
    assert!(server.pool().used_bytes() <= 100 * 2048);
    // An idle connection that has seen a big frame holds nothing.
    let mut idle = Client::new(&server);
    idle.call(&vec![b'e'; 1 << 20]);
    eventually("it is given back", || server.pool().used_bytes() <= 100 * 2048);
    drop(slow);
    eventually("all is given back", || server.pool().used_bytes() == 0);
}

/// With buffers of the kernel's size a frame arrives in few large pieces, and most of the senders
/// have begun a frame when the budget is used up; with small ones they begin one by one.
#[test]
fn frames_beyond_the_budget_take_turns() {
    let small = config().receive_buffer_bytes;
    assert!(small.is_some());
    [small, None].into_iter().for_each(take_turns);
}

fn take_turns(receive_buffer_bytes: Option<usize>) {
    const BUDGET: u64 = 1 << 20;
    const FRAME: usize = 300_000;
    let (server, _) = start(ServerConfig {
        request_bytes_max: BUDGET,
        frame_bytes_max: FRAME as u32,
        receive_buffer_bytes,
        ..config()
    });
    let mut clients: Vec<Client> = (0..40).map(|_| Client::new(&server)).collect();
    let stream = framed(&[b'e'; FRAME]);
    std::thread::scope(|scope| {
        for client in &mut clients {
            let stream = &stream;
            scope.spawn(move || {
                for _ in 0..3 {
                    client.send_raw(stream);
                    assert_eq!(client.receive().len(), FRAME);
                }
            });
        }
        let mut most = 0;
        let begun = Instant::now();
        while server.counters().responses.get() < 120 {
            assert!(begun.elapsed() < Duration::from_secs(60), "the turns stand still");
            most = most.max(server.pool().used_bytes());
            std::thread::yield_now();
        }
        // The overdraft is one frame; buffers round up.
        assert!(most <= BUDGET + 2 * FRAME as u64, "{most}");
    });
    assert_eq!(server.counters().closed(CloseReason::Memory), 0);
    eventually("all is given back", || server.pool().used_bytes() == 0);
}

#[test]
fn a_waiting_half_frame_is_moved_into_a_small_buffer() {
    let (server, _) = start(ServerConfig { processors: 1, ..config() });
    let mut client = Client::new(&server);
    assert_eq!(client.call(&vec![b'e'; 1 << 20]).len(), 1 << 20);
    client.send_raw(&framed(&[b'e'; 500])[..100]);
    eventually("it has arrived", || server.pool().used_bytes() > 1 << 20);
    eventually("it was moved", || server.pool().used_bytes() <= 2048);
    client.send_raw(&framed(&[b'e'; 500])[100..]);
    assert_eq!(client.receive(), [b'e'; 500]);
}

/// Takes the ten seconds that a holder of memory has; the other tests run meanwhile.
#[test]
fn who_sits_on_memory_is_closed_when_others_need_it() {
    const FRAME: usize = 60_000;
    let (server, _) = start(ServerConfig { request_bytes_max: 220_000, ..config() });
    // They do not read their answer, and have the next frame ahead: budget and overdraft are gone.
    let mut deaf: Vec<Client> = (0..4).map(|_| Client::new(&server)).collect();
    // One by one: frames begun at once may leave no room for any to end, and a holder is closed.
    for (n, client) in (1..).zip(&mut deaf) {
        client.send(b"z\0\xff\0\0");
        client.send(&[b'e'; FRAME]);
        let sent = n * (9 + 4 + FRAME as u64);
        eventually("the memory is taken", || server.counters().bytes_in.get() == sent);
    }
    assert!(server.pool().used_bytes() >= 4 * FRAME as u64);
    let mut starving = Client::new(&server);
    starving.send(&[b'e'; FRAME]);
    assert_eq!(starving.receive().len(), FRAME);
    assert!(server.counters().closed(CloseReason::Memory) > 0);
}

/// The same for frames that wait behind a request which the service keeps; small ones may stay.
#[test]
fn who_hoards_behind_a_kept_request_is_closed_when_others_need_memory() {
    const FRAME: usize = 60_000;
    let (server, script) = start(ServerConfig { request_bytes_max: 240_000, ..config() });
    let mut small = Client::new(&server);
    small.send(b"k small");
    small.send(b"e behind");
    let bytes_in = || server.counters().bytes_in.get();
    eventually("it has arrived", || bytes_in() == 23);
    let mut hoarders: Vec<Client> = (0..4).map(|_| Client::new(&server)).collect();
    // Three take the budget, the last one the overdraft.
    for (n, client) in (1..).zip(&mut hoarders) {
        client.send(b"k");
        client.send(&[b'e'; FRAME]);
        eventually("the memory is taken", || bytes_in() == 23 + n * (9 + FRAME as u64));
    }
    let mut starving = Client::new(&server);
    starving.send(&[b'e'; FRAME]);
    assert_eq!(starving.receive().len(), FRAME);
    assert!(server.counters().closed(CloseReason::Memory) > 0);
    script.kept.lock().unwrap().drain(..).for_each(|(_, reply)| reply.nothing());
    assert_eq!(small.receive(), b"e behind");
}
