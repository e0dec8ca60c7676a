//! `ottla-client` behind the command line that all client programs have: `interop/README.md`.
#![forbid(unsafe_code)]

mod cases;
mod client;
mod keys;
mod member;
mod stream;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use ottla_client::{Error, ProducerRecord};
use sha2::{Digest, Sha256};

use cases::Suite;
use client::Client;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        [bootstrap, "cases", prefix, cases @ ..] => {
            let mut client = Client::new(bootstrap)?;
            for case in cases {
                match (Suite { client: &mut client, prefix }).run(case) {
                    Ok(()) => println!("ok {case}"),
                    Err(error) => println!("FAIL {case}: {}", on_one_line(&error)),
                }
            }
        }
        [bootstrap, "send", topic, codec, file] => {
            let sent = send(&mut Client::new(bootstrap)?, topic, codec, Path::new(file))?;
            println!("sent {sent}");
        }
        [bootstrap, "receive", topic, count] => {
            let digest = receive(&mut Client::new(bootstrap)?, topic, count.parse()?)?;
            println!("sha256 {digest}");
        }
        [bootstrap, "member", prefix, variants @ ..] => member::run(bootstrap, prefix, variants)?,
        [bootstrap, "stream", topic] => match stream::run(bootstrap, topic) {
            Ok(()) => println!("ok stream"),
            Err(error) => println!("FAIL stream: {}", on_one_line(&error)),
        },
        [_, "partitions", file] => println!("compared {}", keys::compare(Path::new(file))?),
        _ => bail!("{words:?}: not a call that interop/README.md has"),
    }
    Ok(())
}

fn on_one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}

/// Each line becomes a value; returns how many were acknowledged.
fn send(client: &mut Client, topic: &str, codec: &str, path: &Path) -> Result<usize> {
    let producer = client.producer(codec, true)?;
    let failure: Arc<Mutex<Option<Error>>> = Arc::default();
    let mut lines = BufReader::with_capacity(1 << 20, File::open(path)?);
    let (mut line, mut sent) = (Vec::new(), 0);
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let value = line.strip_suffix(b"\n").unwrap_or(&line);
        let failure = Arc::clone(&failure);
        producer.send_then(&ProducerRecord::new(topic, value), move |result| {
            if let Err(error) = result {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        })?;
        sent += 1;
    }
    producer.flush();
    match failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => Err(error).with_context(|| format!("one of {sent} records")),
        None => Ok(sent),
    }
}

/// The SHA-256 of so many values of partition 0, with a newline after each.
fn receive(client: &mut Client, topic: &str, count: usize) -> Result<String> {
    let mut digest = Sha256::new();
    client.for_each((topic, 0), 0, count, |record| {
        digest.update(record.value().unwrap_or_default());
        digest.update(b"\n");
    })?;
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
