//! Where the records of a load go: topics of as many partitions each, taken in turn.

use std::io;

use clap::Args;

use crate::load::Target;
use crate::partitions;

/// Topics, and how many partitions they have.
#[derive(Args)]
pub(crate) struct Places {
    /// Topics, called as the topic with a number of four digits behind it.
    #[arg(long, default_value_t = 1)]
    topics: usize,
    /// Partitions of each.
    #[arg(long, default_value_t = 1)]
    partitions: u16,
    /// The topics are there already.
    #[arg(long)]
    existing: bool,
}

impl Places {
    /// Of each topic, at least 1.
    pub(crate) fn of_topic(&self) -> u64 {
        u64::from(self.partitions.max(1))
    }

    /// Partitions of all topics.
    pub(crate) fn count(&self) -> u64 {
        self.topics.max(1) as u64 * self.of_topic()
    }

    /// The topics' names, all of the same length; there is one at least.
    pub(crate) fn names(&self, topic: &str) -> Vec<String> {
        (0..self.topics.max(1)).map(|number| format!("{topic}-{number:04}")).collect()
    }

    /// Makes the topics where that is to be done and the server knows any.
    pub(crate) fn make(&self, target: &Target, topics: &[String]) -> io::Result<()> {
        if self.existing || target.is_floor() {
            return Ok(());
        }
        partitions::create(&mut target.connect()?, topics, self.of_topic() as i32)
    }

    /// Which topic's turn it is, and which of its partitions'.
    pub(crate) fn turn(&self, number: u64) -> (usize, i32) {
        let place = number % self.count();
        ((place / self.of_topic()) as usize, (place % self.of_topic()) as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_turn() {
        let places = Places { topics: 2, partitions: 3, existing: false };
        let turns: Vec<_> = (0..7).map(|number| places.turn(number)).collect();
        assert_eq!(turns, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 0)]);
        assert_eq!(places.names("t"), ["t-0000", "t-0001"]);
    }
}
