//! Real text, one line a record, through each codec from one client to another.
//!
//! The text is source code and prose that is on every machine that can build this: the sources
//! of the crates that we depend on and of the Go toolchain. The consumer's digest of all values is
//! compared with that of the file.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::broker::Site;
use super::clients::{self, Client, OURS};
use super::toolbox::{Need, Toolbox};
use super::{Shop, process};
use crate::gate::Outcome;

/// One direction, at full volume.
const LIMIT: Duration = Duration::from_secs(600);

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// Clients in compiled languages: in a ring, each sends to the next.
const FAST: [&str; 6] = ["franz-go", "java", OURS, "confluent", "sarama", "kcat"];

/// The others, which get less text.
const SLOW: [&str; 5] = ["kafka-python", "aiokafka", "kafkajs", "java", "kcat"];

const MB: usize = 1_000_000;

/// Megabytes of text for the fast clients, and for the others.
const LARGE: usize = 100;
const SMALL: usize = 4;

/// A topic that holds a text.
struct Text {
    /// The topic, of one partition.
    topic: String,
    /// Records in it.
    count: usize,
    /// SHA-256 of all values with a newline after each, in hex.
    sha256: String,
}

/// A file of text.
struct Corpus {
    path: PathBuf,
    lines: usize,
    sha256: String,
}

/// Sends every text.
pub(crate) fn run(shop: &Shop, site: &Site) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let large = corpus(&shop.toolbox, LARGE * MB)?;
    let small = small_corpus(shop)?;
    outcome.add(with_java(shop, site)?);
    for (n, codec) in CODECS.into_iter().enumerate() {
        // The gate takes another pair of the ring for each codec, the full run takes all.
        let fast = if shop.args.full { 0..FAST.len() } else { n..n + 1 };
        for m in fast {
            outcome.add(pass(shop, site, codec, (&FAST, m), &large));
        }
        let slow = if shop.args.full { 0..SLOW.len() } else { n..n + 1 };
        for m in slow {
            outcome.add(pass(shop, site, codec, (&SLOW, m), &small));
        }
    }
    Ok(outcome)
}

/// Each codec from our client to the Java client and back.
pub(crate) fn with_java(shop: &Shop, site: &Site) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Java) || !shop.toolbox.has(Need::Cargo) {
        // Already counted as not run.
        return Ok(Outcome::default());
    }
    let text = small_corpus(shop)?;
    let each_codec = |pair: [&str; 2]| {
        let mut outcome = Outcome::default();
        for codec in CODECS {
            outcome.add(pass(shop, site, codec, (&pair, 0), &text));
        }
        outcome
    };
    thread::scope(|scope| {
        let back = scope.spawn(|| each_codec(["java", OURS]));
        let mut outcome = each_codec([OURS, "java"]);
        outcome.add(back.join().expect("no worker panics"));
        Ok(outcome)
    })
}

fn small_corpus(shop: &Shop) -> Result<Corpus> {
    corpus(&shop.toolbox, if shop.args.full { 5 * SMALL } else { SMALL } * MB)
}

/// One text from a client of the ring to the next one that is there.
fn pass(
    shop: &Shop,
    site: &Site,
    codec: &str,
    (ring, at): (&[&str], usize),
    corpus: &Corpus,
) -> Outcome {
    let ready: Vec<&Client> = (0..ring.len())
        .filter_map(|n| clients::named(ring[(at + n) % ring.len()]))
        .filter(|client| shop.toolbox.has(client.needs))
        .collect();
    let [from, to, ..] = ready[..] else {
        return Outcome::default();
    };
    let start = Instant::now();
    let topic = format!("text-{codec}-{}-{}-{}", from.name, to.name, corpus.lines);
    let text = Text { topic, count: corpus.lines, sha256: corpus.sha256.clone() };
    let title = format!("{codec} {} -> {}", from.name, to.name);
    let result = send(shop, site, from, codec, corpus, &text).and_then(|()| {
        let sent = start.elapsed().as_secs_f64();
        receive(shop, site, to, &text)?;
        Ok(sent)
    });
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(sent) => {
            println!("{title}: {} records, {sent:.1} + {:.1} s", text.count, seconds - sent)
        }
        Err(error) => println!("FAIL cross {title}: {error:#}"),
    }
    Outcome::of(result.is_ok())
}

fn send(
    shop: &Shop,
    site: &Site,
    client: &Client,
    codec: &str,
    corpus: &Corpus,
    text: &Text,
) -> Result<()> {
    let mut command = client.command(&shop.toolbox, site.bootstrap());
    command.args(["send", &text.topic, codec]).arg(&corpus.path);
    let log = shop.toolbox.log(&format!("send-{}", client.name));
    let lines = process::output(command, &log, LIMIT)?;
    let wanted = format!("sent {}", text.count);
    ensure!(lines.last() == Some(&wanted), "{} said {lines:?}, not {wanted}", client.name);
    Ok(())
}

/// Reads a text back and compares its digest.
fn receive(shop: &Shop, site: &Site, client: &Client, text: &Text) -> Result<()> {
    let mut command = client.command(&shop.toolbox, site.bootstrap());
    command.args(["receive", &text.topic, &text.count.to_string()]);
    let log = shop.toolbox.log(&format!("receive-{}", client.name));
    let lines = process::output(command, &log, LIMIT)?;
    let wanted = format!("sha256 {}", text.sha256);
    ensure!(lines.last() == Some(&wanted), "{} got {lines:?}, not {wanted}", client.name);
    Ok(())
}

/// A text of that many bytes, made once.
fn corpus(toolbox: &Toolbox, bytes: usize) -> Result<Corpus> {
    let path = toolbox.target.join(format!("text-{}.txt", bytes / MB));
    if !path.exists() {
        let partial = path.with_extension("partial");
        write_corpus(&partial, bytes)?;
        fs::rename(&partial, &path)?;
    }
    let lines = fs::read(&path)?.iter().filter(|byte| **byte == b'\n').count();
    let output = Command::new("sha256sum").arg(&path).output().context("sha256sum")?;
    let text = String::from_utf8(output.stdout)?;
    let sha256 = text.split(' ').next().unwrap_or_default().to_owned();
    ensure!(sha256.len() == 64, "sha256sum said {text}");
    Ok(Corpus { path, lines, sha256 })
}

fn write_corpus(path: &Path, bytes: usize) -> Result<()> {
    let mut files = Vec::new();
    for folder in source_folders() {
        collect(&folder, &mut files)?;
    }
    files.sort();
    ensure!(!files.is_empty(), "no sources on this machine to take a text from");
    let mut out = BufWriter::new(File::create(path)?);
    let mut written = 0;
    // Where there are few sources, they come more than once.
    for file in files.iter().cycle() {
        for line in fs::read(file)?.split(|byte| *byte == b'\n') {
            // Some clients read lines in text mode: what they would change is left out.
            let plain = !line.is_empty() && line.len() < 30_000 && !line.contains(&b'\r');
            if plain && !line.contains(&0) {
                out.write_all(line)?;
                out.write_all(b"\n")?;
                written += line.len() + 1;
            }
        }
        if written >= bytes {
            break;
        }
    }
    Ok(out.flush()?)
}

/// Folders with plain text in them: crates' sources, Go's library.
fn source_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(cargo) = cargo.or_else(|| home.map(|home| home.join(".cargo"))) {
        folders.push(cargo.join("registry/src"));
    }
    if let Ok(output) = Command::new("go").args(["env", "GOROOT"]).output() {
        let root = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        folders.push(Path::new(&root).join("src"));
    }
    folders.retain(|folder| folder.is_dir());
    folders
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if ["rs", "md", "go"].iter().any(|end| path.extension().is_some_and(|e| e == *end)) {
            files.push(path);
        }
    }
    Ok(())
}
