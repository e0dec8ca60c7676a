//! The cluster that an example runs against: the one at its first argument or `OTTLA_BOOTSTRAP`, or
//! else a broker of its own, which is gone when the example is.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use ottla::{Broker, Config};
use ottla_client::Properties;

/// Where the cluster is, and the broker if it is one of our own.
pub(crate) struct Cluster {
    bootstrap_servers: String,
    _own: Option<Broker>,
}

impl Cluster {
    pub(crate) fn find() -> Result<Self, Box<dyn Error>> {
        let told = std::env::args().nth(1).or_else(|| std::env::var("OTTLA_BOOTSTRAP").ok());
        if let Some(bootstrap_servers) = told {
            return Ok(Self { bootstrap_servers, _own: None });
        }
        let own = Broker::start(Config::ephemeral())?;
        Ok(Self { bootstrap_servers: own.bootstrap_servers().to_owned(), _own: Some(own) })
    }

    pub(crate) fn properties(&self) -> Properties {
        Properties::new().with("bootstrap.servers", &self.bootstrap_servers)
    }
}

/// A name for a topic that a cluster has not seen before, so that an example can run again.
pub(crate) fn fresh(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{name}-{}", now.as_nanos())
}
