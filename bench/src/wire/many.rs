//! One produce request for several partitions of a topic, aimed at others without a copy.

use std::io;

use super::{Fields, Frame};

/// A request with the same batch for each of several partitions.
pub(crate) struct ProduceMany {
    frame: Frame,
    name_at: usize,
    name_bytes: usize,
    /// Where the numbers of the partitions stand.
    partitions_at: Vec<usize>,
}

/// Produces `batch` to `count` partitions, with one ack.
pub(crate) fn produce_many(topic: &str, count: usize, batch: &[u8]) -> ProduceMany {
    let mut frame = Frame::new(0, 8);
    frame.i16(-1).i16(1).i32(30_000).i32(1);
    // Behind the name's length.
    let name_at = frame.0.len() + 2;
    frame.string(topic).i32(count as i32);
    let mut partitions_at = Vec::with_capacity(count);
    for partition in 0..count {
        partitions_at.push(frame.0.len());
        frame.i32(partition as i32).bytes(batch);
    }
    ProduceMany { frame: frame.done(), name_at, name_bytes: topic.len(), partitions_at }
}

impl ProduceMany {
    /// Turns to another topic, whose name is as long, and its partitions from `first` on.
    pub(crate) fn aim(&mut self, topic: &str, first: i32) {
        let name = &mut self.frame.0[self.name_at..self.name_at + self.name_bytes];
        name.copy_from_slice(topic.as_bytes());
        for (partition, &at) in (first..).zip(&self.partitions_at) {
            self.frame.0[at..at + 4].copy_from_slice(&partition.to_be_bytes());
        }
    }

    /// Sets the correlation id.
    pub(crate) fn number(&mut self, correlation_id: i32) {
        self.frame.number(correlation_id);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.frame.0
    }
}

/// Checks that Produce took its `count` batches, for the partitions from `first` on.
pub(crate) fn all_produced(answer: &[u8], topic: &str, first: i32, count: usize) -> io::Result<()> {
    let mut fields = Fields::after_header(answer);
    let is_known =
        fields.i32()? == 1 && fields.string()? == topic && fields.i32()? as usize == count;
    if !is_known {
        return Err(io::Error::other("produce answered for other topics"));
    }
    for partition in (first..).take(count) {
        let index = fields.i32()?;
        let code = fields.i16()?;
        if index != partition || code != 0 {
            let told = format!("produce to {topic}-{partition}: {index} answered error {code}");
            return Err(io::Error::other(told));
        }
        // Base offset, log append time, log start offset; no errors of records, no message.
        fields.raw(8 + 8 + 8 + 4 + 2)?;
    }
    Ok(())
}
