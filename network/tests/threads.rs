//! A server whose pools have changed has the threads that it should have, and no others.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ottla_network::{Reply, Request, Response, Server, ServerConfig, Service, Stopped};

struct Echo;

impl Service for Echo {
    fn call(&self, request: Request, reply: Reply) {
        reply.send(Response::from(request.frame.to_vec()));
    }
}

/// Threads of this process whose name begins like this.
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|comm| comm.starts_with(name)).count()
}

/// The only test of this program: it counts all threads of the process.
#[test]
fn threads_come_and_go() {
    let listeners = vec!["127.0.0.1:0".parse().unwrap()];
    let config = ServerConfig { listeners, processors: 2, handlers: 3, ..ServerConfig::default() };
    let server = Server::start(config, Arc::new(Echo)).unwrap();
    let control = server.control();
    for (processors, handlers) in [(2, 3), (5, 1), (1, 8), (0, 0), (3, 2), (3, 2), (2, 9)] {
        control.set_processors(processors).unwrap();
        control.set_handlers(handlers).unwrap();
        let expected = (processors.max(1), handlers.max(1));
        assert_eq!((control.processors(), control.handlers()), expected);
        let begun = Instant::now();
        while (threads("processor-"), threads("handler-")) != expected {
            assert!(begun.elapsed() < Duration::from_secs(20), "never {expected:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(server.stop(Duration::from_secs(5)), Stopped::Drained);
    let begun = Instant::now();
    while threads("processor-") + threads("handler-") + threads("acceptor") > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "some stay");
        thread::sleep(Duration::from_millis(1));
    }
}
