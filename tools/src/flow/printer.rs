//! Records on standard output.

use std::io::{self, BufWriter, StdoutLock, Write};

use ottla_client::Header;

use super::format::Format;
use super::json::{self, BytesAs};
use super::shown::Shown;

/// How records are printed.
#[derive(Clone, Debug)]
pub(crate) enum How {
    Format(Format),
    Json(BytesAs),
}

/// Prints records. What it was given may wait until [`Printer::flush`].
pub(crate) struct Printer {
    how: How,
    /// What stands for null in formats.
    null: Vec<u8>,
    out: BufWriter<StdoutLock<'static>>,
}

const BUFFER_BYTES: usize = 64 * 1024;

impl Printer {
    pub(crate) fn new(how: How, null: Vec<u8>) -> Self {
        let out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        Self { how, null, out }
    }

    /// Prints a record.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn print(&mut self, record: &ottla_client::Record<'_>) -> io::Result<()> {
        // It allocates for records that have headers only.
        let headers: Vec<Header<'_>> = record.headers().collect();
        let shown = Shown {
            topic: record.topic(),
            partition: record.partition(),
            offset: record.offset(),
            timestamp: record.timestamp(),
            timestamp_type: record.timestamp_type(),
            key: record.key(),
            value: record.value(),
            headers: &headers,
        };
        match &self.how {
            How::Format(format) => format.write(&shown, &self.null, &mut self.out),
            How::Json(bytes_as) => json::write(&shown, *bytes_as, &mut self.out),
        }
    }

    /// Has whoever reads see all of it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
