//! A broker in the same process.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use ottla::{Broker, Config};
use ottla_client::{Admin, Properties};

/// A broker that can be stopped and started again where it was.
pub(crate) struct Site {
    broker: Option<Broker>,
    /// What it was stopped with.
    stopped: Option<Config>,
    pub(crate) address: SocketAddr,
    dir: PathBuf,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// One with these settings.
    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let mut config = Config::ephemeral();
        settings.iter().for_each(|(name, value)| config.set(name, value));
        let broker = Broker::start(config).unwrap();
        let (address, dir) = (broker.address(), broker.dir().to_owned());
        Self { broker: Some(broker), stopped: None, address, dir }
    }

    pub(crate) fn stop(&mut self) {
        self.stopped = Some(self.broker.take().unwrap().stop().unwrap());
    }

    pub(crate) fn start(&mut self) {
        self.broker = Some(Broker::start(self.stopped.take().unwrap()).unwrap());
    }

    /// Settings that lead to it.
    pub(crate) fn properties(&self) -> Properties {
        Properties::new().with("bootstrap.servers", &self.address.to_string())
    }

    pub(crate) fn admin(&self) -> Admin {
        Admin::new(&self.properties()).unwrap()
    }

    /// The bytes of a partition's log.
    pub(crate) fn log(&self, topic: &str, partition: i32) -> Vec<u8> {
        let folder = self.dir.join(format!("{topic}-{partition}"));
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        names.sort();
        names.iter().flat_map(|path| fs::read(path).unwrap()).collect()
    }
}
