//! Produce as fast as answers come.

use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;

use clap::{Args, ValueEnum};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use serde_json::{Value, json};

use crate::load::{Meter, Target};
use crate::wire::{self, Codec, Frame, Packed, Stored};

/// Produce as fast as answers come.
#[derive(Args)]
pub(crate) struct Produce {
    #[command(flatten)]
    target: Target,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    /// Records in a batch.
    #[arg(long, default_value_t = 63)]
    batch_records: i32,
    /// Connections, each to a partition of its own.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Requests in flight on a connection.
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    /// MiB of batches to send.
    #[arg(long, default_value_t = 2048)]
    mib: u64,
    /// Records that compress to about a half, compressed so; `--batch-bytes` then says how many
    /// are in a batch.
    #[arg(long)]
    codec: Option<Codec>,
    /// With `--codec`: bytes of a batch on the wire, about.
    #[arg(long, default_value_t = 64 << 10, requires = "codec")]
    batch_bytes: usize,
    /// A setting of the topic, NAME=VALUE; may be given several times.
    #[arg(long, value_parser = setting)]
    topic_config: Vec<(String, String)>,
}

/// Cuts NAME=VALUE.
fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Produce {
    fn batch(&self) -> io::Result<Packed> {
        match self.codec {
            Some(codec) => wire::packed(codec, self.record_bytes, self.batch_bytes),
            None => {
                let bytes = wire::batch(self.batch_records, self.record_bytes);
                Ok(Packed { bytes, records: self.batch_records })
            }
        }
    }

    /// Checks every answer, and in the end that the broker has what was sent, as it should have it.
    pub(crate) fn run(&self) -> io::Result<Value> {
        let partitions = i32::try_from(self.connections.max(1)).map_err(io::Error::other)?;
        let configs: Vec<_> =
            self.topic_config.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.target.prepare_with(partitions, &configs)?;
        let batch = self.batch()?;
        let total = ((self.mib << 20) / batch.bytes.len() as u64).max(1);
        let mut lanes = self.lanes(partitions, &batch)?;
        let mut answer = Vec::new();
        let (mut sent, mut answered) = (0u64, 0u64);
        let meter = Meter::start(self.target.pid)?;
        while answered < total {
            for lane in &mut lanes {
                while lane.sent - lane.answered < self.in_flight as u64 && sent < total {
                    lane.send()?;
                    sent += 1;
                }
            }
            for (index, readable) in wait_readable(&lanes)?.into_iter().enumerate() {
                if readable {
                    let lane = &mut lanes[index];
                    wire::read_frame(&mut lane.stream, &mut answer)?;
                    lane.check(&self.target, &answer)?;
                    answered += 1;
                }
            }
        }
        let records = i64::from(batch.records).unsigned_abs();
        let mut figures = meter.stop(total * batch.bytes.len() as u64, total * records, total)?;
        if !self.target.is_floor() {
            self.check_ends(&lanes)?;
            figures["stored_to_sent"] = json!(self.check_stored(lanes[0].start, &batch)?);
        }
        Ok(figures)
    }

    fn lanes(&self, partitions: i32, batch: &Packed) -> io::Result<Vec<Lane>> {
        let ends = if self.target.is_floor() {
            vec![0; partitions.unsigned_abs() as usize]
        } else {
            self.target.ends(partitions)?
        };
        let lane = |(partition, start)| {
            let frame = wire::produce(&self.target.topic, partition, &batch.bytes);
            let (stream, records) = (self.target.connect()?, i64::from(batch.records));
            Ok(Lane { stream, frame, records, start, end: start, sent: 0, answered: 0 })
        };
        (0..).zip(ends).map(lane).collect()
    }

    /// The logs must end behind the last record that was acknowledged.
    fn check_ends(&self, lanes: &[Lane]) -> io::Result<()> {
        let ends = self.target.ends(lanes.len() as i32)?;
        for (partition, (lane, end)) in lanes.iter().zip(ends).enumerate() {
            if lane.end != end {
                let wanted = lane.end;
                let told = format!("partition {partition} ends at {end}, not at {wanted}");
                return Err(io::Error::other(told));
            }
        }
        Ok(())
    }

    /// Reads the first batch back, at `offset`; returns its bytes, those sent being 1.
    fn check_stored(&self, offset: i64, batch: &Packed) -> io::Result<f64> {
        let topic = &self.target.topic;
        let (fetch, _) = wire::fetch(topic, offset, batch.bytes.len() as i32);
        let mut answer = Vec::new();
        wire::call(&mut self.target.connect()?, &fetch, &mut answer)?;
        let mut set = wire::fetched(&answer, topic)?;
        let stored = Stored::cut(&mut set)?.filter(|stored| {
            stored.base_offset == offset && stored.last_offset_delta == batch.records - 1
        });
        let stored = stored.ok_or_else(|| io::Error::other("the first batch is another one"))?;
        stored.check(self.stored_codec()?)?;
        Ok(stored.bytes.len() as f64 / batch.bytes.len() as f64)
    }

    /// The topic's codec, if it has one, or the producer's.
    fn stored_codec(&self) -> io::Result<Codec> {
        let of_topic = self.topic_config.iter().find(|(name, _)| name == "compression.type");
        match of_topic.map(|(_, value)| value.as_str()) {
            None | Some("producer") => Ok(self.codec.unwrap_or(Codec::None)),
            Some("uncompressed") => Ok(Codec::None),
            Some(name) => Codec::from_str(name, false).map_err(io::Error::other),
        }
    }
}

/// A connection to a partition of its own.
struct Lane {
    stream: TcpStream,
    frame: Frame,
    /// In a batch.
    records: i64,
    /// Where its records begin in the log, and where those acknowledged end.
    start: i64,
    end: i64,
    sent: u64,
    answered: u64,
}

impl Lane {
    fn send(&mut self) -> io::Result<()> {
        self.frame.number(self.sent as i32);
        self.sent += 1;
        self.stream.write_all(&self.frame.0)
    }

    /// Answers come in order, and batches stand in the log without a gap.
    fn check(&mut self, target: &Target, answer: &[u8]) -> io::Result<()> {
        if !answer.starts_with(&(self.answered as i32).to_be_bytes()) {
            return Err(io::Error::other("an answer to another request"));
        }
        self.answered += 1;
        if target.is_floor() {
            return Ok(());
        }
        let (offset, wanted) = (wire::produced(answer, &target.topic)?, self.end);
        if offset != wanted {
            return Err(io::Error::other(format!("acknowledged at {offset}, not at {wanted}")));
        }
        self.end += self.records;
        Ok(())
    }
}

/// Waits until an answer begins on one of them, and tells on which.
fn wait_readable(lanes: &[Lane]) -> io::Result<Vec<bool>> {
    let mut fds: Vec<_> =
        lanes.iter().map(|lane| PollFd::new(lane.stream.as_fd(), PollFlags::POLLIN)).collect();
    nix::poll::poll(&mut fds, PollTimeout::NONE)?;
    Ok(fds.iter().map(|fd| fd.any().unwrap_or(false)).collect())
}
