//! One trial: a client that is lied to until enough answers of each kind were changed.

use std::time::{Duration, Instant};

use ottla_client::Properties;

use crate::memory::Alone;
use crate::proxy::Proxy;

/// What a client may take at most while it is lied to in answers of some KiB, with what the broker
/// in the same process takes.
const PEAK_BYTES_MAX: usize = 48 << 20;
/// What it may still have when it was lied to many times.
const HELD_BYTES_MAX: usize = 16 << 20;
/// How long a client may take with an older broker, whose timeouts are longer than that.
const AT_ONCE: Duration = Duration::from_secs(15);
/// How long to go on for the sake of rare answers.
const PATIENCE: Duration = Duration::from_secs(600);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// What chance begins with.
pub(crate) fn seed() -> u64 {
    number("OTTLA_FUZZ_SEED", 1)
}

/// How many answers of each kind are to be changed.
pub(crate) fn answers() -> u64 {
    number("OTTLA_FUZZ_ANSWERS", 20)
}

/// Settings of one who is lied to, and gives up soon.
fn impatient(proxy: &Proxy) -> Properties {
    patient(proxy)
        .with("default.api.timeout.ms", "60")
        .with("request.timeout.ms", "40")
        .with("metadata.max.age.ms", "50")
        .with("retry.backoff.ms", "1")
        .with("retry.backoff.max.ms", "2")
        .with("reconnect.backoff.ms", "0")
        .with("reconnect.backoff.max.ms", "1")
        .with("socket.connection.setup.timeout.ms", "40")
}

pub(crate) fn patient(proxy: &Proxy) -> Properties {
    Properties::new().with("bootstrap.servers", &proxy.address.to_string())
}

/// What is done, again and again, with a client.
pub(crate) struct Trial<T> {
    /// Those of its answers that are to be changed often enough.
    pub(crate) kinds: &'static [&'static str],
    /// A client with these settings.
    pub(crate) make: fn(Properties) -> T,
    /// Whether all went well that it does, within the time.
    pub(crate) act: fn(&T, Duration) -> bool,
}

impl<T> Trial<T> {
    /// Lies until enough answers of each kind were changed, and then no more.
    pub(crate) fn run(&self, alone: &Alone, proxy: &Proxy) {
        self.run_until(answers(), alone, proxy);
    }

    pub(crate) fn run_until(&self, count: u64, alone: &Alone, proxy: &Proxy) {
        let seed = seed();
        let count = usize::try_from(count).unwrap();
        let is_sound = || (self.act)(&(self.make)(patient(proxy)), Duration::from_secs(20));
        assert!(is_sound(), "it works while nobody lies");
        proxy.age(true);
        proxy.lie(true);
        let begun = Instant::now();
        let is_done = || {
            let changed = proxy.changed();
            let mut kinds = self.kinds.iter();
            kinds.all(|kind| changed.get(kind).is_some_and(|changed| *changed >= count))
        };
        while !is_done() {
            // A lie that is believed, of a later leader epoch say, is believed for good.
            let client = (self.make)(impatient(proxy));
            for _ in 0..5 {
                (self.act)(&client, Duration::from_millis(60));
            }
            assert_eq!(alone.panics(), [""; 0], "seed {seed}");
            assert!(begun.elapsed() < PATIENCE, "{:?} of {:?}", proxy.changed(), self.kinds);
        }
        proxy.lie(false);
        let (peak, took) = (alone.peak_bytes(), begun.elapsed());
        assert!(peak < PEAK_BYTES_MAX, "{peak} bytes; {:?}", proxy.changed());
        for _ in 0..count {
            let begun = Instant::now();
            (self.act)(&(self.make)(patient(proxy)), Duration::from_secs(1));
            // What it is too old for it cannot do, and that is not waited for.
            assert!(
                begun.elapsed() < AT_ONCE,
                "seed {seed}: {:?} of an older broker",
                begun.elapsed()
            );
        }
        proxy.age(false);
        assert!(is_sound(), "it works when nobody lies any more");
        let held = alone.held_bytes();
        assert!(held < HELD_BYTES_MAX, "{held} bytes");
        assert_eq!(alone.panics(), [""; 0], "seed {seed}");
        println!("{took:?}: {peak} bytes, then {held}; {:?}", proxy.changed());
    }
}
