//! Topics with records in them: what a broker has to find again when it starts.

use std::io;

use clap::Args;
use serde_json::{Value, json};

use crate::load::Target;
use crate::places::Places;
use crate::poller::Poller;
use crate::turns::{Pace, Turns};
use crate::wire;

/// Requests on the way.
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
        let batch = wire::batch(self.batch_records, 1024);
        let total = ((self.mib << 20) / batch.len() as u64).max(self.places.count());
        let pace = Pace::Flying { each: IN_FLIGHT, all: IN_FLIGHT };
        Turns { total, pace }.run(
            &mut Poller::connect(&self.target, 1)?,
            |poller, index, number| {
                let (topic, partition) = self.places.turn(number);
                poller.ask(index, &mut wire::produce(&topics[topic], partition, &batch))
            },
            // All names are of one length, and that is what matters here.
            |answer| wire::produced(answer, &topics[0]).map(drop),
        )?;
        Ok(json!({ "bytes": total * batch.len() as u64 }))
    }
}
