//! Levels of loggers that change while the broker runs: a logger for each crate, and `root` for
//! what none of them names. As in Kafka, nothing is kept over a restart.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use log::{LevelFilter, Log, Metadata, Record};

/// The logger that all others follow.
pub const ROOT: &str = "root";
/// All loggers, sorted: the first part of a module's path.
pub const LOGGERS: &[&str] = &[
    "ottla",
    "ottla_coordinator",
    "ottla_metadata",
    "ottla_network",
    "ottla_protocol",
    "ottla_storage",
    ROOT,
];
/// The names of levels that Kafka takes, sorted.
pub const LEVELS: &[&str] = &["DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"];

/// Levels that were set, by logger.
type Set = BTreeMap<&'static str, LevelFilter>;

static SET: LazyLock<ArcSwap<Set>> = LazyLock::new(|| ArcSwap::from_pointee(Set::new()));
/// What the command line and the environment let through at most.
static STARTED: LazyLock<ArcSwap<LevelFilter>> =
    LazyLock::new(|| ArcSwap::from_pointee(log::max_level()));

/// Whether the process's logger is a [`Leveled`]: in a program that has a broker inside and a
/// logger of its own, how much that one lets through is not for clients of the broker to say.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// The logger of this name, if there is one.
pub fn find(name: &str) -> Option<&'static str> {
    LOGGERS.iter().copied().find(|known| *known == name)
}

/// The level of this name. FATAL is above all that is ever said, so that nothing is.
pub fn level(name: &str) -> Option<LevelFilter> {
    Some(match name {
        "TRACE" => LevelFilter::Trace,
        "DEBUG" => LevelFilter::Debug,
        "INFO" => LevelFilter::Info,
        "WARN" => LevelFilter::Warn,
        "ERROR" => LevelFilter::Error,
        "FATAL" => LevelFilter::Off,
        _ => return None,
    })
}

/// The level in force of a logger, as a name.
pub fn level_of(logger: &'static str) -> &'static str {
    match set_level_of(&SET.load(), logger).unwrap_or(**STARTED.load()) {
        LevelFilter::Trace => "TRACE",
        LevelFilter::Debug => "DEBUG",
        LevelFilter::Info => "INFO",
        LevelFilter::Warn => "WARN",
        LevelFilter::Error => "ERROR",
        LevelFilter::Off => "FATAL",
    }
}

/// Sets the level of a logger; `None` lets it follow the root's again.
pub fn set(logger: &'static str, level: Option<LevelFilter>) {
    SET.rcu(|set| {
        let mut set = Set::clone(set);
        match level {
            Some(level) => set.insert(logger, level),
            None => set.remove(logger),
        };
        set
    });
    if !IS_OURS.load(Ordering::Relaxed) {
        return;
    }
    let most = SET.load().values().copied().max();
    log::set_max_level(most.unwrap_or(**STARTED.load()).max(**STARTED.load()));
}

fn set_level_of(set: &Set, target: &str) -> Option<LevelFilter> {
    let name = target.split("::").next().unwrap_or(target);
    set.get(name).or_else(|| set.get(ROOT)).copied()
}

/// A logger that heeds the levels that are set, and for other modules what it was started with.
pub(crate) struct Leveled {
    /// Says what was let through at the start.
    pub(crate) gate: env_logger::Logger,
    /// Writes whatever it is given.
    pub(crate) out: env_logger::Logger,
}

impl Leveled {
    /// Makes it the process's logger, unless there is one.
    pub(crate) fn install(self) {
        let most = self.gate.filter();
        // It fails when a logger is there already, which is what a test wants.
        if log::set_boxed_logger(Box::new(self)).is_ok() {
            IS_OURS.store(true, Ordering::Relaxed);
            STARTED.store(std::sync::Arc::new(most));
            log::set_max_level(most);
        }
    }
}

impl Log for Leveled {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        match set_level_of(&SET.load(), metadata.target()) {
            Some(level) => metadata.level() <= level,
            None => self.gate.enabled(metadata),
        }
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.out.log(record);
        }
    }

    fn flush(&self) {
        self.out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_goes_before_the_root() {
        let set: Set = [("ottla", LevelFilter::Debug), (ROOT, LevelFilter::Warn)].into();
        for (target, expected) in [
            ("ottla", LevelFilter::Debug),
            ("ottla::api::produce", LevelFilter::Debug),
            ("ottla_storage::log", LevelFilter::Warn),
            ("mio", LevelFilter::Warn),
        ] {
            assert_eq!(set_level_of(&set, target), Some(expected), "{target}");
        }
        assert_eq!(set_level_of(&Set::new(), "ottla"), None);
    }

    #[test]
    fn what_is_set_is_let_through() {
        let logger = |level| {
            let build = |level| env_logger::Builder::new().filter_level(level).build();
            Leveled { gate: build(level), out: build(LevelFilter::Trace) }
        };
        let leveled = logger(LevelFilter::Info);
        let enabled = |target: &'static str, level: log::Level| {
            leveled.enabled(&Metadata::builder().target(target).level(level).build())
        };
        assert!(enabled("ottla_protocol", log::Level::Info));
        assert!(!enabled("ottla_protocol", log::Level::Debug));
        set("ottla_protocol", Some(LevelFilter::Debug));
        assert_eq!(level_of("ottla_protocol"), "DEBUG");
        assert!(enabled("ottla_protocol::wire", log::Level::Debug));
        set("ottla_protocol", Some(LevelFilter::Off));
        assert_eq!(level_of("ottla_protocol"), "FATAL");
        assert!(!enabled("ottla_protocol", log::Level::Error));
        set("ottla_protocol", None);
        assert!(enabled("ottla_protocol", log::Level::Info));
    }

    #[test]
    fn names() {
        assert!(LOGGERS.is_sorted() && LEVELS.is_sorted());
        assert!(LEVELS.iter().all(|name| level(name).is_some()));
        assert_eq!((level("debug"), level("OFF"), find("kafka")), (None, None, None));
    }
}
