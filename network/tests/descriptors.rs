//! A process without file descriptors left refuses connections and goes on.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ottla_network::{CloseReason, Reply, Request, Response, Server, ServerConfig, Service};

struct Echo;

impl Service for Echo {
    fn call(&self, request: Request, reply: Reply) {
        reply.send(Response::from(request.frame.to_vec()));
    }
}

fn echo(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"\0\0\0\x01e")?;
    stream.read_exact(&mut [0; 5])
}

/// The only test of this program: the limit holds for the whole process.
#[test]
fn connections_are_refused_without_spinning_and_accepted_again() {
    let listeners = vec!["127.0.0.1:0".parse().unwrap()];
    let config = ServerConfig { listeners, ..ServerConfig::default() };
    let server = Server::start(config, Arc::new(Echo)).unwrap();
    let address = server.local_addrs()[0];
    let mut bystander = TcpStream::connect(address).unwrap();
    echo(&mut bystander).unwrap();

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    // One descriptor for the client's side, none for the server's.
    hoard.pop();
    let mut refused = TcpStream::connect(address).unwrap();
    assert!(echo(&mut refused).is_err());
    assert_eq!(server.counters().closed(CloseReason::Descriptors), 1);
    echo(&mut bystander).unwrap();
    drop(refused);

    // Even the reserve is taken: accepting rests, and goes on by itself.
    let waits = server.counters().epoll_wait.get();
    hoard.clear();
    let begin = Instant::now();
    let mut welcome = loop {
        let mut stream = TcpStream::connect(address).unwrap();
        if echo(&mut stream).is_ok() {
            break stream;
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "never accepted again");
        thread::sleep(Duration::from_millis(5));
    };
    echo(&mut welcome).unwrap();
    echo(&mut bystander).unwrap();
    assert!(server.counters().epoll_wait.get() - waits < 100, "nobody spins");
}
