//! Stopping: what is in flight is answered, what is late is cut.

use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use ottla_network::{CloseReason, InlinePolicy, ServerConfig, Stopped};

use crate::client::{Client, eventually, framed};
use crate::script::{config, start};

const LONG: Duration = Duration::from_secs(15);

#[test]
fn a_stop_answers_what_is_in_flight_and_nothing_more() {
    let (server, script) = start(config());
    let address = server.local_addrs()[0];
    let mut idle: Vec<Client> = (0..50).map(|_| Client::new(&server)).collect();
    let mut busy: Vec<Client> = (0..20).map(|_| Client::new(&server)).collect();
    for client in &mut busy {
        // The second one is read ahead; its bytes must not reset the first one's answer.
        client.send_raw(&[&b"k1"[..], b"e2"].map(framed).concat());
    }
    eventually("all are in flight", || script.kept.lock().unwrap().len() == 20);
    eventually("all are accepted", || server.connections() == 70);
    thread::scope(|scope| {
        let stop = scope.spawn(|| server.stop(LONG));
        idle.iter_mut().for_each(|client| assert_eq!(client.until_closed(), b""));
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
        assert!(!stop.is_finished());
        for (_, reply) in script.kept.lock().unwrap().drain(..) {
            reply.send(vec![b'y'; 3 << 20].into());
        }
        for client in &mut busy {
            assert_eq!(client.receive().len(), 3 << 20);
            assert_eq!(client.until_closed(), b"");
        }
        assert_eq!(stop.join().unwrap(), Stopped::Drained);
    });
    assert_eq!(server.connections(), 0);
    assert_eq!(server.counters().closed(CloseReason::Stop), 70);
    assert_eq!(server.stop(LONG), Stopped::Drained, "once more is harmless");
}

#[test]
fn the_deadline_cuts_what_is_not_answered() {
    let (server, script) = start(config());
    let mut client = Client::new(&server);
    client.send(b"k");
    eventually("it is in flight", || script.kept.lock().unwrap().len() == 1);
    assert_eq!(server.stop(Duration::from_millis(20)), Stopped::Forced);
    assert_eq!(client.until_closed(), b"");
    let (_, reply) = script.kept.lock().unwrap().pop().unwrap();
    reply.send(b"too late".to_vec().into());
}

#[test]
fn a_second_stop_forces_the_first() {
    let (server, script) = start(config());
    let mut client = Client::new(&server);
    client.send(b"k");
    eventually("it is in flight", || script.kept.lock().unwrap().len() == 1);
    let begin = Instant::now();
    thread::scope(|scope| {
        let first = scope.spawn(|| server.stop(LONG));
        eventually("it has begun", || TcpStream::connect(server.local_addrs()[0]).is_err());
        server.stop(LONG);
        assert_eq!(first.join().unwrap(), Stopped::Forced);
    });
    assert!(begin.elapsed() < LONG);
    client.until_closed();
}

#[test]
fn a_service_that_hangs_is_left_behind() {
    let inline = InlinePolicy::Never;
    let (server, script) = start(ServerConfig { inline, ..config() });
    let mut client = Client::new(&server);
    client.send(b"b");
    eventually("it is in the service", || server.counters().requests.get() == 1);
    assert_eq!(server.stop(Duration::from_millis(10)), Stopped::Stuck { threads: 1 });
    client.until_closed();
    script.open_gate();
    assert_eq!(server.stop(LONG), Stopped::Drained, "it has come back");
}

#[test]
fn waiting_requests_are_served_before_the_end() {
    let inline = InlinePolicy::Never;
    let (server, script) = start(ServerConfig { inline, handlers: 1, ..config() });
    let mut clients: Vec<Client> = (0..10).map(|_| Client::new(&server)).collect();
    clients.iter_mut().for_each(|client| client.send(b"b"));
    eventually("all are in flight", || server.counters().bytes_in.get() == 50);
    thread::scope(|scope| {
        let stop = scope.spawn(|| server.stop(LONG));
        script.open_gate();
        clients.iter_mut().for_each(|client| assert_eq!(client.receive(), b"b"));
        assert_eq!(stop.join().unwrap(), Stopped::Drained);
    });
}

#[test]
fn dropping_the_server_closes_everything() {
    let (server, _) = start(config());
    let mut client = Client::new(&server);
    client.call(b"e");
    drop(server);
    assert_eq!(client.stream.read(&mut [0]).unwrap_or(0), 0);
}
