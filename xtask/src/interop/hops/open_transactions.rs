//! Transactions that Apache Kafka began and that outlast the turn of Ottla: one is ended by Kafka
//! when its timeout has gone by, and one is committed by the producer that began it, which was
//! there all the time.

use anyhow::Result;

use super::super::broker::Kind;
use super::super::dump_log;
use super::{End, LATEST, Lane, Origin, Stop, verify};

/// Of the case.
pub(super) const NAME: &str = "open-transactions";

impl Lane<'_> {
    /// Both are open under Ottla, where those who read what is committed stay below them; then
    /// Kafka and the producer end them; then Ottla shows what came of it.
    pub(super) fn open_transactions(&mut self) -> Result<()> {
        let site = self.begin(&Origin { name: NAME, ..LATEST }, Kind::Kafka)?;
        let bootstrap = site.bootstrap();
        let running = site.start(Kind::Kafka)?;
        self.must(&format!("leave-waiting {bootstrap}"))?;
        self.must(&format!("leave-expiring {bootstrap}"))?;
        self.ask(NAME, &format!("remember {bootstrap}"))?;
        running.stop()?;

        let stop = |what: &str| Stop {
            kind: self.shop.kind,
            what: format!("{NAME}: {what}"),
            name: what.to_owned(),
            ends: Vec::new(),
        };
        let (open, ended) = (stop("open"), stop("ended"));
        self.stop_over(&site, &open, [End::Stopped; 2])?;

        // Nothing is compared here: one of them may end at any moment.
        let running = site.start(Kind::Kafka)?;
        self.must(&format!("commit-waiting {bootstrap}"))?;
        self.must(&format!("expired {bootstrap}"))?;
        self.ask(NAME, &format!("remember {bootstrap}"))?;
        running.stop()?;
        self.found(NAME, &verify::check(&self.shop.toolbox, &site, true)?);

        self.stop_over(&site, &ended, [End::Stopped; 2])?;
        self.outcome.add(dump_log::of_site(self.shop, &site)?);
        Ok(())
    }
}
