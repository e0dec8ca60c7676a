//! Produce at a fixed rate over one connection.

use std::io;

use clap::Args;
use serde_json::Value;

use crate::load::{Meter, Target};
use crate::poller::Poller;
use crate::turns::{Pace, Turns};
use crate::wire;

/// Produce at a fixed rate.
#[derive(Args)]
pub(crate) struct Paced {
    #[command(flatten)]
    target: Target,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Records in a batch.
    #[arg(long, default_value_t = 10)]
    batch_records: i32,
    /// Records a second.
    #[arg(long, default_value_t = 20_000)]
    rate: u32,
    /// How long, seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
}

impl Paced {
    /// 20,000 records of 1 KiB a second in batches of 10.
    pub(crate) fn usual(target: Target, seconds: u32) -> Self {
        Self { target, record_bytes: 1024, batch_records: 10, rate: 20_000, seconds }
    }

    pub(crate) fn run(&self) -> io::Result<Value> {
        self.target.prepare_with(1, &[])?;
        let batch = wire::batch(self.batch_records, self.record_bytes);
        let mut frame = wire::produce(&self.target.topic, 0, &batch);
        let per_s = f64::from(self.rate) / f64::from(self.batch_records);
        let total = (f64::from(self.seconds) * per_s) as u64;
        let mut poller = Poller::connect(&self.target, 1)?;
        let meter = Meter::start(self.target.pid)?;
        let latency = Turns { total, pace: Pace::Rate(per_s) }.run(
            &mut poller,
            |poller, index, _| poller.ask(index, &mut frame),
            |answer| self.target.check(answer),
        )?;
        let mut figures =
            meter.stop(total * batch.len() as u64, total * self.batch_records as u64, total)?;
        latency.tell("", &mut figures);
        Ok(figures)
    }
}
