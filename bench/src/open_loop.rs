//! A producer that sends when a batch is due, however late the answers are.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use crate::latency::Latency;
use crate::load::{Meter, Target};
use crate::poller::Poller;
use crate::wire::{self, Frame};

/// How long after the last batch was due all must have been delivered.
const LATE_MAX: Duration = Duration::from_secs(60);

/// What is sent, for how long.
#[derive(Args)]
pub(crate) struct Pace {
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    /// Records in a batch. At 50,000 records/s a producer that lingers for 1 ms fills its batches
    /// of 16 KiB with 15 records, and one that does not linger sends the 5 to 10 that came while it
    /// was busy with others.
    #[arg(long, default_value_t = 10)]
    pub(crate) batch_records: i32,
    /// How long is measured, seconds.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u32,
    /// How long the same load runs before that, seconds.
    #[arg(long, default_value_t = 1)]
    pub(crate) warm_up: u32,
    /// Never sleep, so that nobody has to wake the generator: what the broker alone takes.
    #[arg(long)]
    pub(crate) spin: bool,
}

/// Makes the topic; returns where its partitions end.
pub(crate) fn ends(target: &Target, partitions: i32) -> io::Result<Vec<i64>> {
    target.prepare_with(partitions, &[])?;
    target.ends(partitions)
}

/// One connection that sends batches to the partitions in turn.
pub(crate) struct Producer<'a> {
    target: &'a Target,
    pace: &'a Pace,
    /// Its connection with the poller.
    connection: usize,
    /// One for each partition.
    frames: Vec<Frame>,
    batch_bytes: usize,
    starts: Vec<i64>,
    begun: Instant,
    interval: Duration,
    sent: u64,
    acked: u64,
    /// How many all consumers have read.
    read: u64,
    /// How many are sent before it is measured.
    unmeasured: u64,
    total: u64,
    /// Of those that are not acknowledged.
    due: VecDeque<Instant>,
    acks: Latency,
    meter: Option<Meter>,
}

impl<'a> Producer<'a> {
    /// Begins with the first batch at once. `starts`: the ends of the partitions.
    pub(crate) fn begin(
        (target, pace): (&'a Target, &'a Pace),
        starts: &[i64],
        batches_per_s: f64,
        (poller, connection): (&mut Poller, usize),
    ) -> io::Result<Self> {
        let batch = wire::batch(pace.batch_records, pace.record_bytes);
        let frame = |partition| wire::produce(&target.topic, partition, &batch);
        let interval = Duration::from_secs_f64(1.0 / batches_per_s);
        let count = |seconds: u32| (f64::from(seconds) * batches_per_s) as u64;
        let producer = Self {
            target,
            pace,
            connection,
            frames: (0..starts.len() as i32).map(frame).collect(),
            batch_bytes: batch.len(),
            starts: starts.to_vec(),
            sent: 0,
            acked: 0,
            read: 0,
            unmeasured: count(pace.warm_up),
            total: count(pace.warm_up) + count(pace.seconds),
            due: VecDeque::new(),
            acks: Latency::new()?,
            meter: None,
            interval,
            begun: Instant::now(),
        };
        if pace.spin {
            poller.spin();
        } else {
            // The ticks begin behind `begun`: none comes before its batch is due.
            poller.tick(interval)?;
        }
        Ok(producer)
    }

    /// How many batches it sends.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// How many of them are measured.
    pub(crate) fn measured(&self) -> u64 {
        self.total - self.unmeasured
    }

    pub(crate) fn is_acked(&self) -> bool {
        self.acked == self.total
    }

    /// Whether a batch that was due then is measured.
    pub(crate) fn is_measured(&self, due: Instant) -> bool {
        due >= self.due(self.unmeasured)
    }

    /// Learns how many batches all consumers have read.
    pub(crate) fn note_read(&mut self, read: u64) {
        self.read = read;
    }

    /// Whether the warm-up is not over: what it left undone would be measured as work and as
    /// lateness of the load behind it.
    fn is_draining(&self) -> bool {
        self.sent == self.unmeasured && self.acked.min(self.read) < self.sent
    }

    /// Whether a batch is to be sent now: not while the socket has not taken the last one.
    pub(crate) fn is_due(&self, poller: &Poller) -> bool {
        self.sent < self.total
            && !self.is_draining()
            && poller.is_clear(self.connection)
            && Instant::now() >= self.due(self.sent)
    }

    /// Sends the batch that is due, if one is; tells its partition and when it was due.
    pub(crate) fn send(&mut self, poller: &mut Poller) -> io::Result<Option<(usize, Instant)>> {
        if !self.is_due(poller) {
            return Ok(None);
        }
        if self.sent == self.unmeasured {
            self.meter = Some(Meter::start(self.target.pid)?);
            self.begun = Instant::now() - self.due(self.sent).duration_since(self.begun);
            // Batches are due at other times from now on, and so are ticks: else each batch would
            // wait for the tick behind it.
            if !self.pace.spin {
                poller.tick(self.interval)?;
            }
        }
        let partition = (self.sent % self.frames.len() as u64) as usize;
        let due = self.due(self.sent);
        poller.ask(self.connection, &mut self.frames[partition])?;
        self.due.push_back(due);
        self.sent += 1;
        Ok(Some((partition, due)))
    }

    /// Reads acknowledgements, and checks that they are what they should be.
    pub(crate) fn read(&mut self, poller: &mut Poller) -> io::Result<()> {
        poller.hear(self.connection, |answer| {
            let now = Instant::now();
            let (turn, partition) = (self.acked / self.frames.len() as u64, self.partition());
            let wanted = self.starts[partition] + turn as i64 * i64::from(self.pace.batch_records);
            let offset = wire::produced(answer, &self.target.topic)?;
            if offset != wanted {
                let told = format!("acknowledged at {offset}, not at {wanted}");
                return Err(io::Error::other(told));
            }
            let due = self.due.pop_front();
            let due = due.ok_or_else(|| io::Error::other("acknowledged unsent"))?;
            self.acked += 1;
            if self.is_measured(due) { self.acks.record(due, now, 1) } else { Ok(()) }
        })
    }

    /// Checks that a batch that was read is one of those that are sent.
    pub(crate) fn check(&self, records: u64, bytes: usize) -> io::Result<()> {
        let wanted = u64::from(self.pace.batch_records.unsigned_abs());
        if records == wanted && bytes == self.batch_bytes {
            return Ok(());
        }
        Err(io::Error::other(format!("read a batch of {records} records, {bytes} bytes")))
    }

    /// Fails when all should have been read long since.
    pub(crate) fn refuse_late(&self, read: u64, to_read: u64) -> io::Result<()> {
        if Instant::now() < self.due(self.total) + LATE_MAX {
            return Ok(());
        }
        let acked = self.acked;
        Err(io::Error::other(format!("{read} of {to_read} batches read, {acked} acknowledged")))
    }

    /// The figures of what was measured, which `readers` have read.
    pub(crate) fn figures(&self, readers: u64) -> io::Result<Value> {
        let nothing = || io::Error::other("nothing was measured");
        let meter = self.meter.as_ref().ok_or_else(nothing)?;
        let batches = self.measured() * readers;
        let records = batches * u64::from(self.pace.batch_records.unsigned_abs());
        let mut figures =
            meter.stop(batches * self.batch_bytes as u64, records, self.measured())?;
        self.acks.tell("ack_", &mut figures);
        Ok(figures)
    }

    fn due(&self, batch: u64) -> Instant {
        // Not a product of a `Duration`, which takes a `u32`.
        self.begun + Duration::from_nanos(self.interval.as_nanos() as u64 * batch)
    }

    /// That of the next acknowledgement.
    fn partition(&self) -> usize {
        (self.acked % self.frames.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn batches_are_sent_when_they_are_due_behind_a_warm_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let target = Target::of(address, std::process::id(), "t");
        let mut poller = Poller::connect(&target, 1).unwrap();
        let pace = Pace { record_bytes: 10, batch_records: 1, seconds: 1, warm_up: 0, spin: false };
        let to = (&mut poller, 0);
        let mut producer = Producer::begin((&target, &pace), &[0], 50.0, to).unwrap();
        // The load begins half a tick late, as it does behind a warm-up.
        std::thread::sleep(Duration::from_millis(10));
        assert!(producer.send(&mut poller).unwrap().is_some());
        let mut late = Vec::new();
        while late.len() < 5 {
            poller.wait(false, &mut Vec::new()).unwrap();
            if let Some((_, due)) = producer.send(&mut poller).unwrap() {
                late.push(due.elapsed());
            }
        }
        // A busy machine may hold up some.
        assert!(late.iter().min() < Some(&Duration::from_millis(5)), "{late:?}");
    }
}
