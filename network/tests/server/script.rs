//! A service that does what the first byte of a request says.

use std::fs::File;
use std::sync::{Arc, Condvar, Mutex};

use ottla_network::{Chunk, Reply, Request, Response, Server, ServerConfig, Service};

/// `e` echo, `n` nothing, `c` close, `d` drop the reply, `p` panic, `l` echo later from another
/// thread, `k` keep the reply for the test, `b` block until the gate opens, then echo,
/// `h` the thread's name, never a Processor's,
/// `z` a response of as many zeros as the next four bytes say, `f` the prepared file regions.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) kept: Mutex<Vec<(Request, Reply)>>,
    pub(crate) regions: Mutex<Vec<Region>>,
    gate: Mutex<bool>,
    opened: Condvar,
}

#[derive(Clone)]
pub(crate) struct Region {
    pub(crate) file: Arc<File>,
    pub(crate) position: u64,
    pub(crate) length: u32,
}

impl Script {
    pub(crate) fn open_gate(&self) {
        *self.gate.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn regions(&self) -> Response {
        let mut chunks = vec![Chunk::Bytes(b"<".to_vec())];
        for region in self.regions.lock().unwrap().iter().cloned() {
            let Region { file, position, length } = region;
            chunks.push(Chunk::File { file, position, length });
            chunks.push(Chunk::Bytes(b"|".to_vec()));
        }
        Response { chunks }
    }
}

impl Service for Script {
    fn call(&self, request: Request, reply: Reply) {
        let echo = |request: &Request| Response::from(request.frame.to_vec());
        match request.frame.first() {
            Some(b'n') => reply.nothing(),
            Some(b'c') => reply.close(),
            Some(b'd') => drop(reply),
            Some(b'p') => panic!("as the test wants it"),
            Some(b'l') => {
                std::thread::spawn(move || reply.send(echo(&request)));
            }
            Some(b'k') => self.kept.lock().unwrap().push((request, reply)),
            Some(b'b') => {
                let gate = self.gate.lock().unwrap();
                drop(self.opened.wait_while(gate, |open| !*open).unwrap());
                reply.send(echo(&request));
            }
            Some(b'h') => {
                let name = std::thread::current().name().map(str::to_owned).unwrap_or_default();
                reply.send(Response::from(name.into_bytes()));
            }
            Some(b'z') => {
                let len = u32::from_be_bytes(request.frame[1..5].try_into().unwrap());
                reply.send(Response::from(vec![0; len as usize]));
            }
            Some(b'f') => reply.send(self.regions()),
            _ => reply.send(echo(&request)),
        }
    }

    fn may_run_inline(&self, request: &Request) -> bool {
        request.frame.first() != Some(&b'h')
    }
}

/// Two Processors and two handlers, small limits on nothing.
pub(crate) fn config() -> ServerConfig {
    ServerConfig {
        listeners: vec!["127.0.0.1:0".parse().unwrap()],
        processors: 2,
        handlers: 2,
        ..ServerConfig::default()
    }
}

pub(crate) fn start(config: ServerConfig) -> (Server, Arc<Script>) {
    let script = Arc::new(Script::default());
    let service: Arc<dyn Service> = Arc::<Script>::clone(&script);
    (Server::start(config, service).unwrap(), script)
}
