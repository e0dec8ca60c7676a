//! Peers that do whatever comes to their mind, in an order that a seed decides.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};
use ottla_network::{InlinePolicy, Server, ServerConfig, Stopped};

use crate::client::{Client, eventually, framed};
use crate::script::{config, start};

/// A small generator: the same seed, the same peers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % sides
    }
}

#[test]
fn whatever_peers_do_a_bystander_is_served_and_nothing_leaks() {
    for (seed, inline) in [(1, InlinePolicy::WhileQuick), (2, InlinePolicy::Never)] {
        let (server, _) = start(ServerConfig {
            inline,
            requests_max: 4,
            request_bytes_max: 2 << 20,
            frame_bytes_max: 1 << 20,
            ..config()
        });
        let mut bystander = Client::new(&server);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let server = &server;
            let peers: Vec<_> = (0..6)
                .map(|peer| {
                    scope.spawn(move || {
                        let mut dice = Dice(seed * 1000 + peer);
                        (0..40).for_each(|_| live(server, &mut dice));
                    })
                })
                .collect();
            let done = &done;
            let bystander = &mut bystander;
            let watch = scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(bystander.call(b"e still"), b"e still", "seed {seed}");
                }
            });
            // The pools change all the while.
            scope.spawn(move || {
                let (mut dice, control) = (Dice(seed), server.control());
                while !done.load(Ordering::Relaxed) {
                    control.set_processors(dice.roll(5) as usize).unwrap();
                    control.set_handlers(dice.roll(5) as usize).unwrap();
                    thread::sleep(Duration::from_millis(1 + dice.roll(10)));
                }
            });
            peers.into_iter().for_each(|peer| peer.join().unwrap());
            done.store(true, Ordering::Relaxed);
            watch.join().unwrap();
        });
        eventually("all others are gone", || server.connections() == 1);
        eventually("all memory is given back", || server.pool().used_bytes() == 0);
        let counters = server.counters();
        assert_eq!(counters.accepted.get(), counters.closed_total() + 1, "seed {seed}");
        assert_eq!(server.stop(Duration::from_secs(5)), Stopped::Drained);
    }
}

/// The life of one peer. What the server makes of it is not looked at: it may close at any time.
fn live(server: &Server, dice: &mut Dice) {
    let mut client = Client::new(server);
    for _ in 0..=dice.roll(6) {
        let kind = b"eeenlzcd"[dice.roll(8) as usize];
        let len = [1, 10, 3000, 70_000, 300_000][dice.roll(5) as usize];
        let mut body = vec![kind; len];
        if kind == b'z' {
            body = vec![kind, 0, 1 + dice.roll(4) as u8, 0, 0];
        }
        let mut bytes = framed(&body);
        match dice.roll(12) {
            0 => bytes.truncate(1 + dice.roll(bytes.len() as u64) as usize),
            1 => bytes[..4].copy_from_slice(&[0xff; 4]),
            2 => bytes.extend_from_slice(b"GET / HTTP/1.1\r\n"),
            _ => (),
        }
        if client.stream.write_all(&bytes).is_err() {
            return;
        }
        if dice.roll(3) == 0 {
            client.stream.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
            let mut some = vec![0; 1 + dice.roll(100_000) as usize];
            let _came = client.stream.read(&mut some);
        }
    }
    match dice.roll(3) {
        0 => client.stream.shutdown(Shutdown::Write).unwrap_or(()),
        // A reset instead of an orderly end.
        1 => {
            let reset = linger { l_onoff: 1, l_linger: 0 };
            setsockopt(&client.stream.as_fd(), sockopt::Linger, &reset).unwrap();
        }
        _ => (),
    }
}
