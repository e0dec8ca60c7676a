//! Records one by one, without end.

use std::time::Duration;

use super::Consumer;
use super::record::OwnedRecord;
use crate::error::{Error, ErrorKind};

/// How long a poll waits before the next one: positions are committed automatically between them.
const POLL_TIMEOUT: Duration = Duration::from_millis(500);

impl Consumer {
    /// The next records, one by one: it waits for each as long as it takes. Each step is a
    /// [`Consumer::poll`] for one record, so that the consumer's positions, and what is committed
    /// of them, are never ahead of what was given; to poll for many records takes less time.
    ///
    /// There is an end only behind [`ErrorKind::Closed`]. Behind other errors it goes on: what
    /// keeps a partition from going on is said again while there are no records of others, and
    /// [`Consumer::wakeup`] is an [`ErrorKind::Wakeup`].
    ///
    /// ```no_run
    /// use ottla_client::{Consumer, Properties};
    ///
    /// let properties = Properties::new()
    ///     .with("bootstrap.servers", "localhost:9092")
    ///     .with("group.id", "billing");
    /// let consumer = Consumer::new(&properties)?;
    /// consumer.subscribe(&["orders"])?;
    /// for record in consumer.iter() {
    ///     let record = record?;
    ///     println!("{}: {:?}", record.get().offset(), record.get().value());
    /// }
    /// # Ok::<(), ottla_client::Error>(())
    /// ```
    pub fn iter(&self) -> ConsumerIter<'_> {
        ConsumerIter { consumer: self, is_over: false }
    }
}

/// Records without end; see [`Consumer::iter`].
#[derive(Debug)]
pub struct ConsumerIter<'a> {
    consumer: &'a Consumer,
    is_over: bool,
}

impl Iterator for ConsumerIter<'_> {
    type Item = Result<OwnedRecord, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        loop {
            match self.consumer.poll_up_to(1, POLL_TIMEOUT) {
                Ok(records) => {
                    if let Some(record) = records.into_iter().next() {
                        return Some(Ok(record));
                    }
                }
                Err(error) => {
                    self.is_over = error.kind() == ErrorKind::Closed;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<'a> IntoIterator for &'a Consumer {
    type Item = Result<OwnedRecord, Error>;
    type IntoIter = ConsumerIter<'a>;

    fn into_iter(self) -> ConsumerIter<'a> {
        self.iter()
    }
}
