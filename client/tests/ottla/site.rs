//! A broker in the same process.

use std::fs;
use std::net::SocketAddr;

use ottla::broker::Broker;
use ottla::cli::Start;
use ottla::config::{BrokerConfig, StaticConfig};
use ottla::stop::Stop;
use ottla_client::{Admin, Properties};

/// A broker and its directory.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    broker: Option<Broker>,
    pub(crate) address: SocketAddr,
}

impl Site {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let broker = start(&dir, "127.0.0.1:0");
        let address = broker.addresses()[0];
        Self { dir, broker: Some(broker), address }
    }

    pub(crate) fn stop(&mut self) {
        self.broker.take().unwrap().stop().unwrap();
    }

    pub(crate) fn start(&mut self) {
        self.broker = Some(start(&self.dir, &self.address.to_string()));
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
        let folder = self.dir.path().join(format!("{topic}-{partition}"));
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        names.sort();
        names.iter().flat_map(|path| fs::read(path).unwrap()).collect()
    }
}

fn start(dir: &tempfile::TempDir, listener: &str) -> Broker {
    let mut statics = StaticConfig::standalone(dir.path().to_str().unwrap());
    statics.set_override(&format!("listeners=PLAINTEXT://{listener}")).unwrap();
    let config = BrokerConfig::new(&statics, "localhost").unwrap();
    Broker::start(Start { config, statics, stop: Stop::new() }).unwrap()
}
