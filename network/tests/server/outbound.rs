//! Connections to other servers, on the same Processors.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use ottla_network::{Chunk, Outbound, OutboundError, ServerConfig, Stopped};

use crate::client::{PATIENCE, framed};
use crate::script::{config, start};

type Answer = Result<Vec<u8>, OutboundError>;

fn send(outbound: &Outbound, body: &[u8]) -> Receiver<Answer> {
    let (sender, receiver) = channel();
    outbound.send(vec![Chunk::Bytes(body.to_vec())], move |answer| {
        // The test may have given up; its own assertion says so.
        drop(sender.send(answer.map(|frame| frame.to_vec())));
    });
    receiver
}

fn answer(receiver: &Receiver<Answer>) -> Answer {
    receiver.recv_timeout(PATIENCE).unwrap()
}

#[test]
fn answers_come_to_those_who_asked_in_order() {
    let (far, _) = start(config());
    let (near, _) = start(config());
    let outbounds: Vec<Outbound> =
        (0..5).map(|_| near.connect(far.local_addrs()[0]).unwrap()).collect();
    let waiting: Vec<_> = (0..200_usize)
        .map(|n| {
            let mut body = vec![if n % 3 == 0 { b'l' } else { b'e' }; 1 + n * 500];
            body.extend_from_slice(&n.to_be_bytes());
            (send(&outbounds[n % 5], &body), body)
        })
        .collect();
    for (receiver, body) in &waiting {
        assert!(answer(receiver).unwrap() == *body, "the answer differs");
    }
}

#[test]
fn everyone_who_waits_is_told_of_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (near, _) = start(config());
    let outbound = near.connect(address).unwrap();
    let receivers = [send(&outbound, b"1"), send(&outbound, b"2")];
    let (mut far, _) = listener.accept().unwrap();
    far.read_exact(&mut [0; 10]).unwrap();
    far.write_all(&framed(b"one")).unwrap();
    assert_eq!(answer(&receivers[0]).unwrap(), b"one");
    drop((far, listener));
    assert_eq!(answer(&receivers[1]), Err(OutboundError::Closed));
    assert_eq!(answer(&send(&outbound, b"3")), Err(OutboundError::Closed));
    // Nobody listens there now.
    let refused = near.connect(address).unwrap();
    assert_eq!(answer(&send(&refused, b"4")), Err(OutboundError::Closed));
}

#[test]
fn an_answer_that_nobody_asked_for_ends_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (near, _) = start(config());
    let outbound = near.connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _): (TcpStream, _) = listener.accept().unwrap();
    far.write_all(&framed(b"unasked")).unwrap();
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(far.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(answer(&send(&outbound, b"1")), Err(OutboundError::Closed));
}

#[test]
fn requests_without_answers_are_bounded_and_a_stop_ends_them() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (near, _) = start(config());
    let outbound = near.connect(listener.local_addr().unwrap()).unwrap();
    let waiting: Vec<_> = (0..64).map(|_| send(&outbound, b"x")).collect();
    assert_eq!(answer(&send(&outbound, b"x")), Err(OutboundError::Full));
    assert_eq!(near.stop(Duration::from_secs(5)), Stopped::Drained);
    for receiver in &waiting {
        assert_eq!(answer(receiver), Err(OutboundError::Closed));
    }
    // After the stop, too, everyone is told.
    assert_eq!(answer(&send(&outbound, b"x")), Err(OutboundError::Closed));
    thread::spawn(move || drop(outbound)).join().unwrap();
}

#[test]
fn connections_move_with_their_processors() {
    let (far, _) = start(config());
    let (near, _) = start(ServerConfig { processors: 4, ..config() });
    let control = near.control();
    let outbounds: Vec<Outbound> =
        (0..8).map(|_| near.connect(far.local_addrs()[0]).unwrap()).collect();
    for round in 0..30_usize {
        let waiting: Vec<_> = (0..160_usize)
            .map(|n| {
                let mut body = vec![if n % 3 == 0 { b'l' } else { b'e' }; 1 + n * 100];
                body.extend_from_slice(&(round * 1000 + n).to_be_bytes());
                if n % 40 == 20 {
                    control.set_processors([1, 3, 2, 4, 1][(round + n / 40) % 5]).unwrap();
                }
                (send(&outbounds[n % 8], &body), body)
            })
            .collect();
        for (receiver, body) in &waiting {
            assert!(answer(receiver).unwrap() == *body, "the answer differs");
        }
    }
    assert_eq!(far.counters().accepted.get(), 8);
}
