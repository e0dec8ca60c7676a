//! Reading a topic from the page cache.

use std::io::{self, Write};

use clap::Args;
use serde_json::Value;

use crate::load::{Meter, Target};
use crate::wire;
use crate::wire::fetch::{Fetcher, Limits};

/// Fetch a topic's first partition again and again.
#[derive(Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    target: Target,
    /// MiB to fetch.
    #[arg(long, default_value_t = 4096)]
    mib: u64,
    /// The most bytes an answer may carry.
    #[arg(long, default_value_t = 1 << 20)]
    fetch_bytes: i32,
    /// In a fetch session, which is opened by the first request (KIP-227).
    #[arg(long)]
    sessions: bool,
}

impl Fetch {
    pub(crate) fn run(&self) -> io::Result<Value> {
        // All is there: an answer never has to wait for records.
        let (bytes_max, partition_bytes_max) = (self.fetch_bytes, self.fetch_bytes);
        let limits = Limits { wait_ms: 0, bytes_max, partition_bytes_max };
        let mut fetcher = Fetcher::new(&self.target.topic, &[0], limits, self.sessions);
        let mut stream = self.target.connect()?;
        let mut answer = Vec::new();
        let (mut bytes, mut records, mut requests) = (0u64, 0u64, 0u64);
        let meter = Meter::start(self.target.pid)?;
        while bytes < self.mib << 20 {
            stream.write_all(fetcher.request())?;
            wire::read_frame(&mut stream, &mut answer)?;
            requests += 1;
            if self.target.floor {
                bytes += answer.len() as u64;
                continue;
            }
            let before = fetcher.offset(0);
            bytes += fetcher.take(&answer, |batch| {
                records += batch.records;
                Ok(())
            })?;
            if fetcher.offset(0) == before {
                return Err(io::Error::other("no batch came from below the log's end"));
            }
            // At the end there is nothing to wait for: begin anew without asking for it.
            if fetcher.offset(0) >= fetcher.high_watermark(0) {
                fetcher.seek(0, 0);
            }
        }
        meter.stop(bytes, records, requests)
    }
}
