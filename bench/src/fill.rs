//! Topics with records in them: what a broker has to find again when it starts.

use std::collections::VecDeque;
use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};

use crate::load::Target;
use crate::places::Places;
use crate::wire;

/// Requests on the way. Those of one connection are answered in their order.
const IN_FLIGHT: usize = 20;

/// Make topics and fill their partitions, each as much as the others.
#[derive(Args)]
pub(crate) struct Fill {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    places: Places,
    /// MiB of batches to send, of all partitions together; each gets one batch at least.
    #[arg(long, default_value_t = 0)]
    mib: u64,
    /// Records of 1 KiB in a batch.
    #[arg(long, default_value_t = 63)]
    batch_records: i32,
}

impl Fill {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let topics = self.places.names(&self.target.topic);
        self.places.make(&self.target, &topics)?;
        let mut stream = self.target.connect()?;
        let batch = wire::batch(self.batch_records, 1024);
        let total = ((self.mib << 20) / batch.len() as u64).max(self.places.count());
        let mut flying = VecDeque::with_capacity(IN_FLIGHT);
        let mut answer = Vec::new();
        for sent in 0..total {
            if flying.len() == IN_FLIGHT {
                take(&mut stream, &mut flying, &mut answer)?;
            }
            let (topic, partition) = self.places.turn(sent);
            let topic = &topics[topic];
            stream.write_all(&wire::produce(topic, partition, &batch).0)?;
            flying.push_back(topic);
        }
        while !flying.is_empty() {
            take(&mut stream, &mut flying, &mut answer)?;
        }
        Ok(json!({ "bytes": total * batch.len() as u64 }))
    }
}

fn take(
    stream: &mut std::net::TcpStream,
    flying: &mut VecDeque<&String>,
    answer: &mut Vec<u8>,
) -> io::Result<()> {
    let topic = flying.pop_front().ok_or_else(|| io::Error::other("nothing is on the way"))?;
    wire::read_frame(stream, answer)?;
    wire::produced(answer, topic).map(drop)
}
