//! A broker whose answers go through a process in the middle.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use ottla::{Broker, Config};
use ottla_protocol::api::ApiKey;
use ottla_protocol::header::RequestHeader;
use ottla_protocol::wire::Reader;

use crate::chance::Mutator;
use crate::server::Asked;

/// The broker, which tells clients the address of what is in the middle.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _broker: Broker,
}

/// Answers what the broker cannot, or leaves it to the broker. It is told what is asked, the
/// request's body, and the address that clients have.
pub(crate) type MakeUp = fn(Asked, &[u8], SocketAddr) -> Option<Vec<u8>>;

struct Shared {
    own: SocketAddr,
    to: SocketAddr,
    ages: AtomicBool,
    lies: AtomicBool,
    made_up: OnceLock<MakeUp>,
    /// The kinds of answers that may be changed; all when there are none.
    only: Mutex<&'static [&'static str]>,
    mutator: Mutex<Mutator>,
    /// How many answers of a kind were changed.
    changed: Mutex<BTreeMap<&'static str, usize>>,
}

impl Proxy {
    pub(crate) fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let advertised = format!("PLAINTEXT://{address}");
        // Members that are lied to leave without a word, and others are not to wait for them.
        let config = Config::ephemeral()
            .with("advertised.listeners", &advertised)
            .with("group.initial.rebalance.delay.ms", "0")
            .with("group.min.session.timeout.ms", "100")
            .with("group.consumer.min.session.timeout.ms", "500")
            .with("group.consumer.session.timeout.ms", "500")
            .with("group.consumer.min.heartbeat.interval.ms", "20")
            .with("group.consumer.heartbeat.interval.ms", "20")
            .with("group.consumer.assignment.interval.ms", "0")
            .with("group.consumer.min.assignment.interval.ms", "0");
        let broker = Broker::start(config).unwrap();
        let shared = Arc::new(Shared {
            own: address,
            to: broker.address(),
            ages: AtomicBool::new(false),
            lies: AtomicBool::new(false),
            made_up: OnceLock::new(),
            only: Mutex::default(),
            mutator: Mutex::new(Mutator::new(seed)),
            changed: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&serving);
                // A connection's end is no failure, whoever ends it.
                thread::spawn(move || _ = shared.serve(stream.unwrap()));
            }
        });
        Self { address, shared, _broker: broker }
    }

    /// The same with some answers that are not the broker's.
    pub(crate) fn made_up(self, make_up: MakeUp) -> Self {
        self.shared.made_up.get_or_init(|| make_up);
        self
    }

    /// From now on some connections are to an older broker, or none is.
    pub(crate) fn age(&self, ages: bool) {
        self.shared.ages.store(ages, Ordering::SeqCst);
    }

    /// From now on some answers are changed, or none is.
    pub(crate) fn lie(&self, lies: bool) {
        self.shared.lies.store(lies, Ordering::SeqCst);
    }

    /// No other kinds of answers are changed.
    pub(crate) fn lie_only_of(&self, kinds: &'static [&'static str]) {
        *self.shared.only.lock().unwrap() = kinds;
    }

    /// How many answers were changed, by kind.
    pub(crate) fn changed(&self) -> BTreeMap<&'static str, usize> {
        self.shared.changed.lock().unwrap().clone()
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut broker = TcpStream::connect(self.to)?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        loop {
            let request = frame(&mut client)?;
            let mut reader = Reader::new(&request);
            let header = RequestHeader::read(&mut reader).unwrap();
            let api = ApiKey::from_i16(header.api_key).unwrap();
            let asked = (header.api_key, header.api_version, header.correlation_id);
            let made_up = self.made_up.get();
            let made_up = made_up.and_then(|of| of(asked, reader.remaining(), self.own));
            let mut answer = match made_up {
                // Behind its length.
                Some(framed) => framed[4..].to_vec(),
                None => {
                    broker.write_all(&(request.len() as u32).to_be_bytes())?;
                    broker.write_all(&request)?;
                    frame(&mut broker)?
                }
            };
            if api == ApiKey::ApiVersions && self.ages.load(Ordering::SeqCst) {
                self.mutator.lock().unwrap().age(&mut answer, header.api_version);
            }
            let mut length = answer.len() as u32;
            let mut ends = false;
            let only = *self.only.lock().unwrap();
            let is_meant = only.is_empty() || only.contains(&api.name());
            if is_meant && self.lies.load(Ordering::SeqCst) {
                (length, ends) = self.change(&mut answer, api, header.api_version);
            }
            client.write_all(&[&length.to_be_bytes()[..], &answer].concat())?;
            if ends {
                return client.shutdown(Shutdown::Both);
            }
        }
    }

    /// Changes an answer, or not: most of those that decide whether there will be others are left.
    /// Its length then, and whether it is the connection's last.
    fn change(&self, answer: &mut Vec<u8>, api: ApiKey, version: i16) -> (u32, bool) {
        let mut mutator = self.mutator.lock().unwrap();
        let rarity = match api {
            ApiKey::ApiVersions => 4,
            ApiKey::Metadata | ApiKey::FindCoordinator => 3,
            _ => 2,
        };
        if !mutator.one_in(rarity) {
            return (answer.len() as u32, false);
        }
        *self.changed.lock().unwrap().entry(api.name()).or_default() += 1;
        let (id, body) = answer.split_first_chunk::<4>().unwrap();
        let (mut id, mut body) = (u32::from_be_bytes(*id), body.to_vec());
        mutator.change(&mut body, api, version);
        if mutator.one_in(30) {
            id = mutator.word(id);
        }
        *answer = [&id.to_be_bytes()[..], &body].concat();
        let mut length = answer.len() as u32;
        if mutator.one_in(30) {
            length = mutator.word(length);
        }
        (length, mutator.one_in(30))
    }
}

fn frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let mut frame = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}
