//! A test of a program's own code against a broker inside of the test: nothing to install, a free
//! port, data that goes with it, and a restart in the middle.
//!
//! `cargo run -p ottla-client --example embedded_broker`

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use ottla::{Broker, Config};
use ottla_client::{Consumer, Producer, ProducerRecord, Properties, TopicPartition};

/// What is to be tested: it knows nothing of where its cluster is.
struct Orders {
    producer: Producer,
}

impl Orders {
    fn new(properties: &Properties) -> Result<Self, ottla_client::Error> {
        Ok(Self { producer: Producer::new(properties)? })
    }

    /// Writes an order, and returns when it will not be lost any more.
    fn place(&self, customer: &str, what: &str) -> Result<(), ottla_client::Error> {
        let record = ProducerRecord::new("orders", what.as_bytes()).key(customer.as_bytes());
        self.producer.send(&record)?.wait()?;
        Ok(())
    }
}

fn properties(broker: &Broker) -> Properties {
    Properties::new().with("bootstrap.servers", broker.bootstrap_servers())
}

/// All orders that a broker has.
fn orders(broker: &Broker) -> Result<Vec<String>, Box<dyn Error>> {
    let consumer = Consumer::new(&properties(broker).with("auto.offset.reset", "earliest"))?;
    let partition = TopicPartition::new("orders", 0);
    consumer.assign(std::slice::from_ref(&partition))?;
    let end = consumer.end_offsets(std::slice::from_ref(&partition))?[&partition];
    let mut orders = Vec::new();
    while consumer.position(&partition)? < end {
        for record in &consumer.poll(Duration::from_millis(100))? {
            orders.push(String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned());
        }
    }
    Ok(orders)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    run(&mut io::stdout())
}

/// In a project of your own this is a `#[test]`. Each has a broker of its own, as many at a time as
/// there are.
pub(crate) fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let broker = Broker::start(Config::ephemeral().with("num.partitions", "1"))?;
    let shop = Orders::new(&properties(&broker))?;
    shop.place("ann", "apples")?;

    // What is stopped is started again on its data, at its address: the shop must not notice.
    let stopped = broker.stop()?;
    let broker = Broker::start(stopped)?;
    shop.place("bob", "bread")?;

    assert_eq!(orders(&broker)?, ["apples", "bread"]);
    writeln!(out, "two orders over a restart at {}", broker.dir().display())?;
    Ok(())
}
