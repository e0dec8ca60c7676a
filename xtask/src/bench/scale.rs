//! `cargo xtask bench --scale`: many members, groups, commits and partitions, and compaction.
//!
//! There is no floor here: what a broker adds to its system calls is what these are about.

use std::time::Instant;

use anyhow::Result;

use super::report::Figures;
use super::{Bench, Subject, Target, resident_mib};
use crate::interop::{Kind, Site};

/// The cleaner looks for work every 15 s by default, which would be all that is measured. Members
/// of a group that begins are waited for as long as Kafka does by default.
const SETTINGS: &str = "\nlog.cleaner.backoff.ms=100\ngroup.initial.rebalance.delay.ms=3000\n";

/// How much of everything.
pub(super) struct Scale<'a> {
    pub(super) bench: &'a Bench<'a>,
}

impl<'a> Scale<'a> {
    /// Measures the brokers in rounds, one after the other.
    pub(super) fn run(
        &self,
        brokers: &[(Subject, Kind)],
        rounds: usize,
        figures: &mut Figures,
    ) -> Result<()> {
        let mut kept = Vec::new();
        for round in 1..=rounds {
            println!("round {round} of {rounds}");
            for (subject, kind) in brokers {
                kept.push(self.broker(*subject, *kind, round, figures)?);
            }
        }
        kept.into_iter().try_for_each(Site::remove)
    }

    /// Measures one broker. The directory that it gives back has thousands of files and is to be
    /// removed when all is measured: a file system may pass over the inodes of files that were
    /// removed shortly before one by one, which the next broker would pay for.
    fn broker(
        &self,
        subject: Subject,
        kind: Kind,
        round: usize,
        figures: &mut Figures,
    ) -> Result<Site<'a>> {
        let run = Run { scale: self, subject, kind };
        let name = |of: &str| format!("scale-{of}-{subject:?}-{round}").to_lowercase();
        let fresh = |of: &str| Site::fresh_with(self.bench.toolbox, &name(of), SETTINGS);
        let site = fresh("groups")?;
        run.coordinator(&site, figures)?;
        site.remove()?;
        let site = fresh("partitions")?;
        run.partitions(&site, figures)?;
        Ok(site)
    }

    fn size(&self, full: usize) -> String {
        self.bench.size(full).to_string()
    }
}

/// One broker in one round.
struct Run<'a> {
    scale: &'a Scale<'a>,
    subject: Subject,
    kind: Kind,
}

impl Run<'_> {
    /// Runs the generator and takes `rows`: what a figure is called, and its field.
    fn take(
        &self,
        target: &Target<'_>,
        (command, args): (&str, &[&str]),
        rows: &[(&str, &str)],
        figures: &mut Figures,
    ) -> Result<()> {
        let answer = self.scale.bench.load(&target.args(command, args))?;
        rows.iter().try_for_each(|(name, key)| figures.take(name, self.subject, &answer, key))
    }

    fn coordinator(&self, site: &Site<'_>, figures: &mut Figures) -> Result<()> {
        let running = site.start_on(self.kind, 0)?;
        let address = site.bootstrap().to_owned();
        let target = Target { address: &address, pid: running.id().to_string(), floor: false };
        if self.kind == Kind::Kafka {
            self.warm_up(&target)?;
        }
        self.members(&target, figures)?;
        self.commits(&target, figures)?;
        let data = site.data().display().to_string();
        let mib = self.scale.size(512);
        let args = ["--topic", "keyed", "--data", &data, "--mib", &mib];
        let rows = [
            ("compact 512 MiB of 256-byte records, MiB/s", "mib_per_s"),
            ("compact 512 MiB of 256-byte records, CPU s/GiB", "cpu_s_per_gib"),
        ];
        self.scale.bench.warm_pages(self.scale.bench.size(1024) as u64)?;
        self.take(&target, ("compaction", &args), &rows, figures)?;
        running.stop()
    }

    /// A JVM compiles what it has run often.
    fn warm_up(&self, target: &Target<'_>) -> Result<()> {
        let load = |args: &[&str]| self.scale.bench.load(&target.args(args[0], &args[1..]));
        let members = self.scale.size(2000);
        for topic in ["warm-1", "warm-2"] {
            load(&["members", "--topic", topic, "--members", &members])?;
        }
        let groups = self.scale.size(1000);
        load(&["members", "--topic", "warm-3", "--groups", &groups, "--members", "2"])?;
        load(&["commits", "--topic", "warm-4", "--commits", &self.scale.size(150_000)])?;
        Ok(())
    }

    fn members(&self, target: &Target<'_>, figures: &mut Figures) -> Result<()> {
        let members = self.scale.size(5000);
        let one = ["--topic", "one", "--groups", "1", "--members", &members];
        let groups = self.scale.size(2000);
        let many = ["--topic", "many", "--groups", &groups, "--members", "2"];
        for (of, args) in [("5,000 members of one group", one), ("2,000 groups of two", many)] {
            let rows = [
                (format!("{of}: all join, s (3 s or more are waited)"), "join_s"),
                (format!("{of}: all join, CPU s"), "join_cpu_s"),
                (format!("{of}: one leaves, s"), "rebalance_s"),
                (format!("{of}: one leaves, CPU s"), "rebalance_cpu_s"),
            ];
            let rows = rows.each_ref().map(|(name, key)| (name.as_str(), *key));
            self.take(target, ("members", &args), &rows, figures)?;
        }
        Ok(())
    }

    fn commits(&self, target: &Target<'_>, figures: &mut Figures) -> Result<()> {
        let commits = self.scale.size(200_000);
        let paced = ["--topic", "paced", "--commits", &commits, "--rate", "20000"];
        let rows = [
            ("20,000 commits/s, CPU us/commit", "cpu_us_per_commit"),
            ("20,000 commits/s, ack p50 ms", "p50_ms"),
            ("20,000 commits/s, ack p99 ms", "p99_ms"),
        ];
        self.take(target, ("commits", &paced), &rows, figures)?;
        let full = ["--topic", "full", "--commits", &commits];
        let rows = [
            ("commits, as many as it takes, 1/s", "commits_per_s"),
            ("commits, as many as it takes, CPU us/commit", "cpu_us_per_commit"),
            ("commits, as many as it takes, ack p99 ms", "p99_ms"),
        ];
        self.take(target, ("commits", &full), &rows, figures)
    }

    fn partitions(&self, site: &Site<'_>, figures: &mut Figures) -> Result<()> {
        let running = site.start_on(self.kind, 0)?;
        let address = site.bootstrap().to_owned();
        let target = Target { address: &address, pid: running.id().to_string(), floor: false };
        let topics = self.scale.size(100);
        let args = ["--topic", "scale", "--topics", &topics];
        let rows = [
            ("10,000 partitions: all in Metadata, s", "told_s"),
            ("10,000 partitions: all usable, s", "usable_s"),
            ("10,000 partitions: create, CPU s", "create_cpu_s"),
            ("10,000 partitions: Metadata of all, ms", "metadata_ms"),
            ("10,000 partitions: Metadata of all, CPU ms", "metadata_cpu_ms"),
            ("10,000 partitions: memory, MiB", "rss_mib"),
        ];
        self.take(&target, ("partitions", &args), &rows, figures)?;
        let begun = Instant::now();
        running.stop()?;
        let stopped = begun.elapsed().as_secs_f64();
        figures.add("10,000 partitions: clean stop, s", self.subject, stopped);
        let begun = Instant::now();
        let running = site.start(self.kind)?;
        let started = begun.elapsed().as_secs_f64();
        figures.add("10,000 partitions: restart to Metadata, s", self.subject, started);
        let memory = resident_mib(running.id())?;
        figures.add("10,000 partitions: memory after a restart, MiB", self.subject, memory);
        running.stop()
    }
}
