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
    // Kafka answers in an order of its own.
    let mut is_told = vec![false; count];
    for _ in 0..count {
        let (partition, code) = (fields.i32()?, fields.i16()?);
        let place = partition.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        let told = place.and_then(|place| is_told.get_mut(place));
        if code != 0 || told.is_none_or(|told| std::mem::replace(told, true)) {
            let text = format!("produce to {topic}, {partition}: error {code}, or unasked for");
            return Err(io::Error::other(text));
        }
        // Base offset, log append time, log start offset; no errors of records, no message.
        fields.raw(8 + 8 + 8 + 4 + 2)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_in_any_order_but_for_each_partition_once() {
        let answer = |partitions: &[i32]| {
            let mut frame = Frame(vec![0; 4]);
            frame.i32(1).string("t").i32(partitions.len() as i32);
            for &partition in partitions {
                frame.i32(partition).i16(0).i64(0).i64(-1).i64(0).i32(0).i16(-1);
            }
            frame.i32(0);
            frame.0
        };
        assert!(all_produced(&answer(&[7, 5, 6]), "t", 5, 3).is_ok());
        for wrong in [&[5, 6, 6][..], &[5, 6, 8], &[4, 5, 6], &[5, 6]] {
            assert!(all_produced(&answer(wrong), "t", 5, 3).is_err(), "{wrong:?}");
        }
    }
}
