//! The cluster that commands are run against, and what is around it.

use std::env;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ottla::{Broker, Config};
use ottla_client::{Producer, ProducerRecord, Properties};

/// The first record's timestamp, milliseconds since 1970.
const TIME_MS: i64 = 1_700_000_000_000;

const TIMEOUT: Duration = Duration::from_secs(30);

static ELSEWHERE: Mutex<()> = Mutex::new(());

/// A cluster, and a folder for files.
pub(crate) struct Site {
    pub(crate) bootstrap: String,
    pub(crate) folder: tempfile::TempDir,
    /// Its log directory, if that is known.
    pub(crate) data: Option<String>,
    _broker: Option<Broker>,
    _alone: Option<MutexGuard<'static, ()>>,
}

/// Whether the cluster is one that is there already.
pub(crate) fn is_elsewhere() -> bool {
    env::var_os("OTTLACTL_TEST_BOOTSTRAP").is_some()
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Ok(bootstrap) = env::var("OTTLACTL_TEST_BOOTSTRAP") {
            let alone = ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner);
            let data = env::var("OTTLACTL_TEST_DATA").ok();
            return Self { bootstrap, folder, data, _broker: None, _alone: Some(alone) };
        }
        let broker = Broker::start(Config::ephemeral()).unwrap();
        let bootstrap = broker.bootstrap_servers().to_owned();
        let data = broker.dir().to_str().map(str::to_owned);
        Self { bootstrap, folder, data, _broker: Some(broker), _alone: None }
    }

    /// Sends records to a partition, a second apart.
    pub(crate) fn send(&self, topic: &str, partition: i32, count: i64) {
        let properties = Properties::new().with("bootstrap.servers", &self.bootstrap);
        let producer = Producer::new(&properties).unwrap();
        for n in 0..count {
            let value = format!("value {n}");
            let record = ProducerRecord::new(topic, value.as_bytes())
                .partition(partition)
                .timestamp(TIME_MS + n * 1000);
            drop(producer.send(&record).unwrap());
        }
        producer.close(TIMEOUT).unwrap();
    }
}
