//! Whatever comes in, one connection is closed or one defined error is told; nothing is written,
//! no memory is taken that was only claimed, and nobody else notices.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use ottla_protocol::api::ApiKey;
use ottla_protocol::messages::fetch::FetchRequest;
use ottla_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use ottla_protocol::uuid::Uuid;

use crate::bystander::Bystander;
use crate::harness::{Client, TestBroker, batch, fetch_request, produce_request, request};
use crate::refused_batches;

/// What the process may grow by while it is lied to. It is far less than what is claimed: frames of
/// 100 MiB, bombs of 64 MiB, blocks of 4 GiB.
const GROWTH_MAX: u64 = 32 << 20;

/// Held by who measures memory, and by who takes much of it.
static ALONE: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Panics on threads of the broker: they end a connection too, but are no way to do so.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(hook_panics);
}

fn hook_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("");
        if ["handler", "processor", "acceptor", "timer", "scheduler"]
            .iter()
            .any(|broker| name.starts_with(broker))
        {
            PANICS.fetch_add(1, Ordering::SeqCst);
        }
        default(info);
    }));
}

/// Resident memory, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes << 10
}

/// Looks at resident memory all the time.
struct MemoryWatch {
    before: u64,
    highest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl MemoryWatch {
    fn start() -> Self {
        let before = resident();
        let (highest, stop) = (Arc::new(AtomicU64::new(before)), Arc::new(AtomicBool::new(false)));
        let watch = Self { before, highest: Arc::clone(&highest), stop: Arc::clone(&stop) };
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                highest.fetch_max(resident(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        watch
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        let grown = self.highest.load(Ordering::Relaxed).saturating_sub(self.before);
        assert!(grown < GROWTH_MAX, "grew by {grown} bytes");
    }
}

/// The files that bad input could have changed, with their sizes.
fn files(dir: &Path) -> BTreeMap<String, u64> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // The bystander writes to its own partition, and the scheduler writes checkpoints.
        if name.starts_with("bystander") || name.contains("checkpoint") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            for (inner, size) in self::files(&entry.path()) {
                files.insert(format!("{name}/{inner}"), size);
            }
        } else {
            files.insert(name, entry.metadata().unwrap().len());
        }
    }
    files
}

/// Runs `misbehave` against a broker that also has a bystander, and looks at what it has left.
fn beside_a_bystander(misbehave: impl FnOnce(&TestBroker)) {
    let _alone = alone();
    count_panics();
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.create_topic("t", 1, &[]);
    client.create_topic("bystander", 1, &[]);
    client.append("t", &batch(&[b"a", b"b"]));
    let before = files(&broker.dir());
    let bystander = Bystander::start(broker.address());
    let memory = MemoryWatch::start();
    misbehave(&broker);
    memory.finish();
    bystander.finish();
    assert_eq!(files(&broker.dir()), before, "nothing was written");
    assert_eq!(client.fetch("t", 0).high_watermark, 2);
    assert_eq!(client.append("t", &batch(&[b"c"])), 2, "the broker goes on");
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}

#[test]
fn record_sets_that_are_refused() {
    beside_a_bystander(|broker| {
        let mut client = broker.client();
        for refused in refused_batches::table() {
            let produced = client.produce("t", &refused.records);
            assert_eq!(produced.code, refused.code, "{}: {:?}", refused.what, produced.message);
            assert_eq!(produced.base_offset, -1, "{}", refused.what);
        }
    });
}

#[test]
fn bytes_that_are_no_request() {
    beside_a_bystander(|broker| {
        for (what, bytes) in strangers().into_iter().chain(lies()) {
            let mut client = broker.client();
            client.send_raw(&bytes);
            // Bytes that pass for the beginning of a request wait for the rest, which never comes.
            let _ = client.stream.shutdown(Shutdown::Write);
            client.assert_closed(&what);
        }
    });
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [&(frame.len() as u32).to_be_bytes(), frame].concat()
}

/// Peers that speak something else, and frames of impossible sizes.
fn strangers() -> Vec<(String, Vec<u8>)> {
    let mut table: Vec<(String, Vec<u8>)> = vec![
        ("HTTP".into(), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("HTTP/2".into(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("TLS".into(), b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 and random bytes".to_vec()),
        ("SSH".into(), b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
        ("zeros".into(), vec![0; 5000]),
        ("ones".into(), vec![0xff; 5000]),
        ("nothing".into(), Vec::new()),
        ("half a size".into(), vec![0, 0]),
    ];
    for size in [-1, i32::MIN, 0, 100 * 1024 * 1024 + 1, i32::MAX] {
        table.push((format!("size {size}"), size.to_be_bytes().to_vec()));
        let more = [&size.to_be_bytes()[..], &[0; 100]].concat();
        table.push((format!("size {size} and more"), more));
    }
    for size in 1..10 {
        table.push((format!("a frame of {size} zeros"), framed(&vec![0; size])));
    }
    let largest = [&(100_i32 * 1024 * 1024).to_be_bytes()[..], &[0; 1000]].concat();
    table.push(("the largest size, and little in it".into(), largest));
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for n in 0..60 {
        let mut bytes = Vec::new();
        for _ in 0..40 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        // Half of them get past the size.
        let bytes = if n % 2 == 0 { bytes } else { framed(&bytes) };
        table.push((format!("random bytes {n}"), bytes));
    }
    table
}

/// Requests whose parts say that they are something that they are not.
fn lies() -> Vec<(String, Vec<u8>)> {
    let metadata_1 = &b"\0\x03\0\x01\0\0\0\x07\xff\xff"[..];
    let metadata_12 = &b"\0\x03\0\x0c\0\0\0\x07\xff\xff\0"[..];
    let no_tags = &b"\0\x03\0\x0c\0\0\0\x07\xff\xff"[..];
    let fetch_12 = &b"\0\x01\0\x0c\0\0\0\x07\xff\xff\0\
        \xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\x01\x01\x01"[..];
    let produce_3 = &b"\0\0\0\x03\0\0\0\x07\xff\xff\xff\xff\0\x01\0\0\0\x01"[..];
    let create_2 = &b"\0\x13\0\x02\0\0\0\x07\xff\xff"[..];
    let table = [
        ("a client id of length -2", &b"\0\x03\0\x01\0\0\0\x07"[..], &b"\xff\xfe\0\0\0\0"[..]),
        ("a client id that is longer", b"\0\x03\0\x01\0\0\0\x07", b"\x7f\xffme"),
        ("a client id that is no UTF-8", b"\0\x03\0\x01\0\0\0\x07", b"\0\x02\xc3\x28\0\0\0\0"),
        ("an array of 2 billion", metadata_1, b"\x7f\xff\xff\xff"),
        ("an array of 2 billion and some names", metadata_1, b"\x7f\xff\xff\xff\0\x01a\0\x01b"),
        ("an array of -2", metadata_1, b"\xff\xff\xff\xfe"),
        ("an array of two with one", metadata_1, b"\0\0\0\x02\0\x01a"),
        ("a name of length -1", metadata_1, b"\0\0\0\x01\xff\xff"),
        ("a name of length -2", metadata_1, b"\0\0\0\x01\xff\xfe"),
        ("a name that is longer", metadata_1, b"\0\0\0\x01\0\x09name"),
        ("a name that is no UTF-8", metadata_1, b"\0\0\0\x01\0\x02\xff\xfe"),
        ("an overlong zero in a name", metadata_1, b"\0\0\0\x01\0\x02\xc0\x80"),
        ("a surrogate in a name", metadata_1, b"\0\0\0\x01\0\x03\xed\xa0\x80"),
        ("a compact array of 4 billion", metadata_12, b"\xff\xff\xff\xff\x0f"),
        ("an unsigned varint of 33 bits", metadata_12, b"\xff\xff\xff\xff\x1f\0\0\0"),
        ("an unsigned varint without end", metadata_12, &[0xff; 40]),
        ("tags of the header by the billion", no_tags, b"\xff\xff\xff\xff\x0f\0\0\0"),
        ("a tag that is longer", no_tags, b"\x01\x05\x7f\0\0\0"),
        ("a tag of 4 GiB", no_tags, b"\x01\x05\xff\xff\xff\xff\x0f\0\0\0"),
        ("tags of the body that are not there", metadata_12, b"\x01\x01\0\x03"),
        ("a known tag that is shorter than its value", fetch_12, b"\x01\0\x01\x05"),
        ("a known tag of 2 GiB", fetch_12, b"\x01\0\xff\xff\xff\xff\x07\0"),
        ("topics by the billion", produce_3, b"\x7f\xff\xff\xff\0\x01t\0\0\0\x01"),
        ("partitions by the billion", produce_3, b"\0\0\0\x01\0\x01t\x7f\xff\xff\xff\0\0\0\0"),
        ("records of 2 GiB", produce_3, b"\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0\x7f\xff\xff\xff"),
        ("records of -2", produce_3, b"\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0\xff\xff\xff\xfe"),
        ("a null topic list", create_2, b"\xff\xff\xff\xff\0\0\0\0\0"),
        ("null assignments", create_2, b"\0\0\0\x01\0\x01n\0\0\0\x01\0\x01\xff\xff\xff\xff"),
        ("a bool of its own kind", create_2, b"\0\0\0\x01\0\x01n\0\0\0\x01\0\x01\0\0\0\0"),
    ];
    let closed = table
        .iter()
        .map(|(what, start, rest)| ((*what).to_owned(), framed(&[*start, *rest].concat())));
    closed.collect()
}

#[test]
fn requests_that_end_early_and_late() {
    beside_a_bystander(|broker| {
        let records = batch(&[b"a value"]);
        let produce = produce_request("t", Some(&records), 1);
        let fetch = fetch_request("t", Uuid::ZERO, 0);
        let topic = MetadataRequestTopic { name: Some("t"), ..Default::default() };
        let metadata = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        let whole = [
            request(ApiKey::Produce, 3, 7, &produce),
            request(ApiKey::Produce, 9, 7, &produce),
            request(ApiKey::Fetch, 4, 7, &fetch),
            request(ApiKey::Fetch, 12, 7, &fetch),
            request(ApiKey::Fetch, 17, 7, &FetchRequest { replica_id: -1, ..fetch.clone() }),
            request(ApiKey::Metadata, 1, 7, &metadata),
            request(ApiKey::Metadata, 12, 7, &metadata),
        ];
        for frame in &whole {
            for length in 0..frame.len() {
                let mut client = broker.client();
                client.send_frame(&frame[..length]);
                client.assert_closed(&format!("{length} bytes of {frame:02x?}"));
            }
        }
        let mut client = broker.client();
        for frame in &whole[2..] {
            client.send_frame(&[frame, &b"more than there should be"[..]].concat());
            assert_eq!(client.receive().unwrap()[..4], 7_i32.to_be_bytes());
        }
    });
}

#[test]
fn unknown_tags_are_skipped() {
    beside_a_bystander(|broker| {
        let mut client = broker.client();
        // One in the header, one in the topic, two in the body.
        client.send_frame(
            b"\0\x03\0\x0c\0\0\0\x07\xff\xff\x01\x63\x03abc\
            \x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02t\x01\x2a\0\0\0\x02\x05\x01z\x90\x4e\0",
        );
        assert_eq!(client.receive().unwrap()[..4], 7_i32.to_be_bytes());
    });
}

/// Connections that are held while others misbehave.
fn slow_peers(address: SocketAddr) -> Vec<TcpStream> {
    let mut peers = Vec::new();
    for n in 0..40 {
        let mut stream = TcpStream::connect(address).unwrap();
        let claims = [&(100_i32 * 1024 * 1024).to_be_bytes()[..], &[0; 200]].concat();
        stream.write_all(&claims[..1 + 5 * n]).unwrap();
        peers.push(stream);
    }
    peers
}

#[test]
fn peers_that_dawdle_vanish_and_never_read() {
    beside_a_bystander(|broker| {
        let address = broker.address();
        let mut slow = slow_peers(address);
        for _ in 0..200 {
            drop(TcpStream::connect(address).unwrap());
        }
        let waiting = FetchRequest { max_wait_ms: 600_000, ..fetch_request("t", Uuid::ZERO, 2) };
        let reading = request(ApiKey::Fetch, 12, 7, &fetch_request("t", Uuid::ZERO, 0));
        let mut never_read = Vec::new();
        for _ in 0..10 {
            // Gone while it waits.
            let mut client = broker.client();
            client.send(ApiKey::Fetch, 12, &waiting);
            drop(client);
            // Asks and asks.
            let mut client = broker.client();
            client.stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
            client.send_raw(&framed(&reading).repeat(2000));
            never_read.push(client);
            // Gone with an answer on its way.
            let mut client = broker.client();
            client.send_frame(&reading);
        }
        for stream in &mut slow {
            // Some were told off already, for what they said so far.
            let _ = stream.write_all(&[0]);
        }
        half_closed(broker, &reading);
    });
}

/// Who says no more may still get what it asked for, and is closed then.
fn half_closed(broker: &TestBroker, reading: &[u8]) {
    let mut client: Client = broker.client();
    client.send_frame(reading);
    client.stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    let _ = client.stream.read_to_end(&mut rest);
    assert!(rest.is_empty() || rest.len() > 100, "an answer is whole: {rest:02x?}");
}
