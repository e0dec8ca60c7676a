//! The lane's own check: what is changed behind its back between two brokers has to be found.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::super::broker::{Kind, Site};
use super::super::dump_log;
use super::{LATEST, Lane, Origin, verify};

/// Of the case.
pub(super) const NAME: &str = "sabotage";

/// What the program is told to spoil, and the beginnings of what it has to find then.
const SPOILS: [(&str, &[&str]); 7] = [
    ("config", &["config TOPIC 'empty' retention.ms: was "]),
    ("quota", &["quota {client-id=slow}: was "]),
    ("commit", &["commit by-hand codec_none-0: was "]),
    ("start", &["start codec_none-0: was "]),
    ("record", &["empty-0 has records that nobody wrote", "end empty-0: was "]),
    ("partitions", &["topic empty: was "]),
    ("topic", &["topic ends.with-0: was ", "ends.with-0-0 offset 0 is lost"]),
];

impl Lane<'_> {
    /// Each change by itself has to be found, by clients or in the files.
    pub(super) fn sabotage(&mut self) -> Result<()> {
        let site = self.begin(&Origin { name: NAME, ..LATEST }, Kind::Kafka)?;
        let bootstrap = site.bootstrap();
        let running = site.start(self.shop.kind)?;
        self.ask(NAME, &format!("compare {bootstrap} all"))?;
        running.stop()?;

        // The entries of aborted transactions are gone.
        for path in files(&site, "transactions-0", ".txnindex")? {
            fs::write(path, "")?;
        }
        let said = verify::check(&self.shop.toolbox, &site, true)?;
        self.must_say("no .txnindex", &said, "verify warning");
        let running = site.start(self.shop.kind)?;
        let said = self.command(&format!("compare {bootstrap} all"))?;
        self.must_say("no .txnindex", &said, "committed records transactions-0: was ");
        self.must_say("no .txnindex", &said, "transactions-0 offset ");

        for (what, wanted) in SPOILS {
            self.must(&format!("spoil {bootstrap} {what}"))?;
            let said = self.command(&format!("compare {bootstrap} all"))?;
            for wanted in wanted {
                self.must_say(what, &said, wanted);
            }
        }
        running.stop()?;

        let log = files(&site, "codec_none-0", ".log")?.into_iter().next().context("a log")?;
        flip(&log)?;
        let said = verify::check(&self.shop.toolbox, &site, true)?;
        self.must_say("a flipped bit", &said, "verify damage");
        println!("{NAME}: the next complaint is wanted");
        let told = dump_log::of_site(self.shop, &site)?.failed > 0;
        self.must_say("a flipped bit", &[format!("dump-log {told}")], "dump-log true");
        Ok(())
    }

    fn must_say(&mut self, what: &str, said: &[String], wanted: &str) {
        let found = said.iter().any(|line| line.starts_with(wanted));
        let problem = format!("{what} is not found: no {wanted:?} in {said:?}");
        self.found(NAME, if found { &[] } else { std::slice::from_ref(&problem) });
    }
}

/// Files of a partition with that end, in order.
fn files(site: &Site, partition: &str, end: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for dir in site.dirs() {
        let folder = dir.join(partition);
        if folder.is_dir() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                files.extend(path.to_string_lossy().ends_with(end).then_some(path));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Changes a bit in the middle.
fn flip(path: &Path) -> Result<()> {
    let file = fs::File::options().read(true).write(true).open(path)?;
    let at = file.metadata()?.len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 1], at)?;
    Ok(())
}
