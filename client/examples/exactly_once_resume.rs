//! Reads a topic into a file so that a crash at any moment neither loses nor doubles a record:
//! the offset is kept in the file, beside what was made of the records before it, and both are
//! replaced at once. Offsets that are committed to the broker could not do that: they and the file
//! change one after the other.
//!
//! The partition is assigned by hand. In a group it could move to a member that does not have the
//! file, while its former owner still writes to it.
//!
//! `cargo run -p ottla-client --example exactly_once_resume [BOOTSTRAP]`

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use ottla_client::{
    Admin, Consumer, NewTopic, Producer, ProducerRecord, Properties, TopicPartition,
};

mod cluster;

const COUNT: u64 = 1000;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let cluster = cluster::Cluster::find()?;
    run(&cluster.properties(), &mut io::stdout())
}

pub(crate) fn run(properties: &Properties, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let topic = cluster::fresh("numbers");
    let admin = Admin::new(properties)?;
    for (_, created) in admin.create_topics(&[NewTopic::new(&topic).partitions(1)])? {
        created?;
    }
    let producer = Producer::new(properties)?;
    for number in 1..=COUNT {
        let value = number.to_string();
        drop(producer.send(&ProducerRecord::new(&topic, value.as_bytes()))?);
    }
    producer.flush();

    let partition = TopicPartition::new(&topic, 0);
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("sum");
    let mut crashes = 0;
    // Each worker begins with nothing but the file.
    while !work(properties, &partition, &file, crashes)? {
        crashes += 1;
    }
    let State { sum, .. } = State::load(&file)?;
    writeln!(out, "sum of 1 to {COUNT}: {sum}, in spite of {crashes} crashes")?;
    admin.delete_topics(&[&topic])?;
    Ok(())
}

/// The output, and the offset of the first record that is not in it.
#[derive(Default)]
struct State {
    next_offset: i64,
    sum: u64,
}

impl State {
    fn load(file: &Path) -> Result<Self, Box<dyn Error>> {
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(file)?;
        let (next_offset, sum) = text.split_once(' ').ok_or("the file is not ours")?;
        Ok(Self { next_offset: next_offset.parse()?, sum: sum.parse()? })
    }

    /// A file is replaced as a whole or not at all. (Against a loss of power, sync it before.)
    fn store(&self, file: &Path) -> io::Result<()> {
        let new = file.with_extension("new");
        fs::write(&new, format!("{} {}", self.next_offset, self.sum))?;
        fs::rename(new, file)
    }
}

/// Adds records to the sum until the end of the partition; or crashes a few times before, now with
/// records that are not stored, now right after they were. Whether it got to the end.
fn work(
    properties: &Properties,
    partition: &TopicPartition,
    file: &Path,
    crashes: usize,
) -> Result<bool, Box<dyn Error>> {
    let mut state = State::load(file)?;
    let consumer = Consumer::new(&properties.clone().with("max.poll.records", "100"))?;
    consumer.assign(std::slice::from_ref(partition))?;
    consumer.seek(partition, state.next_offset)?;
    let end = consumer.end_offsets(std::slice::from_ref(partition))?[partition];
    for polls in 0.. {
        if state.next_offset >= end {
            return Ok(true);
        }
        for record in &consumer.poll(Duration::from_millis(100))? {
            let value = std::str::from_utf8(record.value().unwrap_or_default())?;
            state.sum += value.parse::<u64>()?;
            state.next_offset = record.offset() + 1;
        }
        let crashes_now = crashes < 4 && polls == 1;
        if crashes_now && crashes.is_multiple_of(2) {
            return Ok(false);
        }
        state.store(file)?;
        if crashes_now {
            return Ok(false);
        }
    }
    Ok(false)
}
