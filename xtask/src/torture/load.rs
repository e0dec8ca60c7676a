//! Clients that keep a broker busy and write down what they are told.
//!
//! Reading order: [`produce`], [`relay`] (real clients), [`consume`], [`commit`], [`administer`],
//! then [`ask`] with the requests that several of them need.

pub(crate) mod administer;
pub(crate) mod ask;
pub(crate) mod commit;
pub(crate) mod consume;
pub(crate) mod produce;
pub(crate) mod relay;

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::random::Random;
use super::shared::{Client, Shared, Target};
use produce::Style;

/// Which clients there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    /// Idempotent producers that repeat what was not answered.
    pub(crate) idempotent: u32,
    /// Producers that send each record once.
    pub(crate) plain: u32,
    /// Consumers of everything.
    pub(crate) consumers: u32,
    /// Clients that commit offsets and read them back.
    pub(crate) committers: u32,
    /// Clients that create and delete topics and change settings.
    pub(crate) administrators: u32,
    /// Whether offsets of groups are on the disk when they are acknowledged, or may be lost with
    /// the power.
    pub(crate) synced_offsets: bool,
    /// Whether a loss of power may make a producer's sequences start again.
    pub(crate) sessions_end: bool,
}

/// Running clients. Dropping them is finishing them.
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts the clients on these topics.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        targets: &[Target],
        mix: Mix,
        random: &mut Random,
    ) -> Load {
        let mut load = Load { shared: shared.clone(), threads: Vec::new() };
        for _ in 0..mix.idempotent {
            let style = Style { idempotent: true, sessions_end: mix.sessions_end };
            load.add(targets, random, move |client, targets, random| {
                produce::run(client, targets, random, style);
            });
        }
        for _ in 0..mix.plain {
            let style = Style { idempotent: false, sessions_end: true };
            load.add(targets, random, move |client, targets, random| {
                produce::run(client, targets, random, style);
            });
        }
        for _ in 0..mix.consumers {
            load.add(targets, random, consume::run);
        }
        for _ in 0..mix.committers {
            load.add(targets, random, move |client, targets, random| {
                commit::run(client, targets, random, mix.synced_offsets);
            });
        }
        for _ in 0..mix.administrators {
            load.add(targets, random, administer::run);
        }
        load
    }

    /// Starts a real client beside them.
    pub(crate) fn relay(
        &mut self,
        program: relay::Program,
        targets: &[Target],
        random: &mut Random,
    ) {
        self.add(targets, random, move |client, targets, random| {
            relay::run(client, targets, random, program);
        });
    }

    fn add(
        &mut self,
        targets: &[Target],
        random: &mut Random,
        run: impl FnOnce(Client, &[Target], Random) + Send + 'static,
    ) {
        self.add_client(Client::new(&self.shared), targets, random, run);
    }

    /// Starts a client that looks for the broker where nothing is.
    pub(crate) fn cut_off(&mut self, targets: &[Target], random: &mut Random) {
        self.add_client(Client::cut_off(&self.shared), targets, random, consume::run);
    }

    fn add_client(
        &mut self,
        client: Client,
        targets: &[Target],
        random: &mut Random,
        run: impl FnOnce(Client, &[Target], Random) + Send + 'static,
    ) {
        client.start();
        let targets = targets.to_vec();
        let random = random.fork(u64::from(client.id));
        self.threads.push(thread::spawn(move || run(client, &targets, random)));
    }

    /// Lets the clients finish what they have begun.
    pub(crate) fn finish(self) {
        drop(self);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.shared.complain("a client panicked".to_owned());
            }
        }
    }
}
