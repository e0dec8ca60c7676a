//! A client that minds its own business while others misbehave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ottla_protocol::error_code::ErrorCode;

use crate::harness::{Client, batch};

/// How long a request of it may take at most, on a machine that is busy with other tests.
const BEAT_MAX: Duration = Duration::from_secs(10);

/// Produces a record and fetches it, over and over, on one connection and its own topic.
pub(crate) struct Bystander {
    stop: Arc<AtomicBool>,
    beats: Arc<AtomicU64>,
    thread: JoinHandle<Duration>,
}

impl Bystander {
    /// Begins; the topic `bystander` must be there, and empty.
    pub(crate) fn start(address: SocketAddr) -> Self {
        let (stop, beats) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&beats));
        let thread = std::thread::spawn(move || {
            let mut client = Client::connect(address);
            let mut longest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                beat(&mut client, counted.load(Ordering::Relaxed));
                longest = longest.max(begun.elapsed());
                counted.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
            longest
        });
        Self { stop, beats, thread }
    }

    /// Ends it, after a few more beats. It was served every time, rightly and in time.
    pub(crate) fn finish(self) {
        let enough = self.beats.load(Ordering::Relaxed) + 5;
        while self.beats.load(Ordering::Relaxed) < enough && !self.thread.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.stop.store(true, Ordering::Relaxed);
        let longest = self.thread.join().expect("the bystander is served");
        assert!(longest < BEAT_MAX, "the bystander waited for {longest:?}");
    }
}

fn beat(client: &mut Client, beats: u64) {
    let value = beats.to_be_bytes();
    let sent = batch(&[&value]);
    let offset = i64::try_from(beats).unwrap();
    let produced = client.produce("bystander", &sent);
    assert_eq!((produced.code, produced.base_offset), (ErrorCode::NONE, offset));
    let fetched = client.fetch("bystander", offset);
    assert_eq!((fetched.code, fetched.high_watermark), (ErrorCode::NONE, offset + 1));
    // The base offset and the leader epoch are the broker's.
    assert_eq!(fetched.records[16..], sent[16..]);
}
