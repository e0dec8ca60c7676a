//! One client that produces or consumes records of 100 bytes, and what that took it.
//!
//! ```text
//! ottla-bench-clients create ADDRESS TOPIC
//! ottla-bench-clients delete ADDRESS TOPIC
//! ottla-bench-clients produce CLIENT ADDRESS TOPIC RECORDS WARM_UP BATCH_BYTES MEMORY_BYTES
//! ottla-bench-clients consume CLIENT ADDRESS TOPIC RECORDS WARM_UP
//! ```
//!
//! `go` is printed when the records of the warm-up are through and the measured ones begin, then
//! one line of JSON. One thread of the program's own sends or reads; what the client's threads take
//! is counted. All producers are idempotent, but rskafka's, which cannot be; all wait for all
//! in-sync replicas. All consumers check CRCs.

mod librdkafka;
mod measure;
mod ottla;
mod rskafka_client;

use anyhow::{Result, bail};

use measure::{Batches, Counts};

/// What each client is measured by.
trait Client {
    type Producer: Produce;
    type Consumer: Consume;

    /// For partition 0 of a topic.
    fn producer(address: &str, topic: &str, batches: Batches) -> Result<Self::Producer>;

    /// At the first record of partition 0 of a topic.
    fn consumer(address: &str, topic: &str) -> Result<Self::Consumer>;
}

trait Produce {
    /// Waits while there is no room.
    fn send(&mut self, value: &[u8]) -> Result<()>;

    /// Waits until everything is acknowledged; an error when anything was not.
    fn flush(&mut self) -> Result<()>;
}

trait Consume {
    /// Hands over the next values, as many as come at once; `false` asks for no more of them.
    fn next(&mut self, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<()>;
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["create", address, topic] => ottla::create(address, topic),
        ["delete", address, topic] => ottla::delete(address, topic),
        ["produce", client, address, topic, records, warm_up, bytes, memory] => {
            let counts = Counts { measured: records.parse()?, warm_up: warm_up.parse()? };
            let batches = Batches { bytes: bytes.parse()?, memory_bytes: memory.parse()? };
            match client {
                "ottla-client" => produce::<ottla::Ottla>(address, topic, batches, counts),
                "librdkafka" => produce::<librdkafka::Rdkafka>(address, topic, batches, counts),
                "rskafka" => produce::<rskafka_client::Rskafka>(address, topic, batches, counts),
                _ => bail!("{client}: not one of ottla-client, librdkafka, rskafka"),
            }
        }
        ["consume", client, address, topic, records, warm_up] => {
            let counts = Counts { measured: records.parse()?, warm_up: warm_up.parse()? };
            match client {
                "ottla-client" => consume::<ottla::Ottla>(address, topic, counts),
                "librdkafka" => consume::<librdkafka::Rdkafka>(address, topic, counts),
                "rskafka" => consume::<rskafka_client::Rskafka>(address, topic, counts),
                _ => bail!("{client}: not one of ottla-client, librdkafka, rskafka"),
            }
        }
        _ => bail!("{words:?}: see the head of this program"),
    }
}

fn produce<C: Client>(address: &str, topic: &str, batches: Batches, counts: Counts) -> Result<()> {
    let mut producer = C::producer(address, topic, batches)?;
    measure::produce(&mut producer, counts)
}

fn consume<C: Client>(address: &str, topic: &str, counts: Counts) -> Result<()> {
    let mut consumer = C::consumer(address, topic)?;
    measure::consume(&mut consumer, counts)
}
