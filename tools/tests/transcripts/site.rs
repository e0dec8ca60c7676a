//! The cluster that commands are run against, and what is around it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
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
    /// Another cluster, for a transcript that names it.
    pub(crate) other: Option<Broker>,
    _broker: Option<Broker>,
    _alone: Option<MutexGuard<'static, ()>>,
}

/// Whether the cluster is one that is there already.
pub(crate) fn is_elsewhere() -> bool {
    env::var_os("OTTLACTL_TEST_BOOTSTRAP").is_some()
}

impl Site {
    /// What a transcript needs.
    pub(crate) fn of(transcript: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = || Broker::start(Config::ephemeral()).unwrap();
        let other = transcript.contains("@O").then(start);
        if let Ok(bootstrap) = env::var("OTTLACTL_TEST_BOOTSTRAP") {
            let alone = ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner);
            let data = env::var("OTTLACTL_TEST_DATA").ok();
            return Self { bootstrap, folder, data, other, _broker: None, _alone: Some(alone) };
        }
        let broker = start();
        let bootstrap = broker.bootstrap_servers().to_owned();
        let data = broker.dir().to_str().map(str::to_owned);
        Self { bootstrap, folder, data, other, _broker: Some(broker), _alone: None }
    }

    /// A word with what stands for the site's own places.
    pub(crate) fn fill(&self, word: &str) -> String {
        let mut word = word.replace("@T", self.folder.path().to_str().unwrap());
        word = word.replace("@B", &self.bootstrap);
        if word.contains("@D") {
            word = word.replace("@D", self.data.as_deref().expect("OTTLACTL_TEST_DATA is set"));
        }
        match &self.other {
            Some(other) => word.replace("@O", other.bootstrap_servers()),
            None => word,
        }
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

/// The folder with the broker's own program, which is built if it is not there or is old.
pub(crate) fn broker_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let mut build = Command::new(cargo);
        // A test of the broker takes its program along. All packages together have the features
        // that they have in the gate: it is not built once more there.
        build.args(["test", "--quiet", "--workspace", "--test", "signals", "--no-run"]);
        build.args(["--message-format", "json"]);
        let output = build.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let is_it = |message: &serde_json::Value| {
            message["target"]["name"] == "ottla" && message["executable"].is_string()
        };
        let mut messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let message = messages.find(is_it).unwrap_or_else(|| panic!("{output:?}"));
        let program = Path::new(message["executable"].as_str().unwrap());
        program.parent().unwrap().to_owned()
    })
}
