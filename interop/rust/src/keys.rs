//! Where keys go: by this client, beside what the Java client has said.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use ottla_client::partition_of_key;

/// Compares each line of a file, `KEY COUNT PARTITION` with the key in hexadecimal and `-` for an
/// empty one; returns how many there are.
pub(crate) fn compare(path: &Path) -> Result<usize> {
    let mut compared = 0;
    for line in BufReader::new(File::open(path)?).lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let [key, count, partition] = words[..] else { bail!("what is {line}?") };
        let (key, count) = (bytes(key)?, count.parse()?);
        let found = partition_of_key(&key, count);
        ensure!(found == partition.parse::<usize>()?, "{line}: the client says {found}");
        compared += 1;
    }
    Ok(compared)
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    let hex = hex.trim_matches('-');
    let of = |at| {
        let digits = hex.get(at..at + 2).context("an odd number of digits")?;
        u8::from_str_radix(digits, 16).with_context(|| format!("{digits} is not hexadecimal"))
    };
    (0..hex.len()).step_by(2).map(of).collect()
}
