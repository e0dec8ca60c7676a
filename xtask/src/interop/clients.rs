//! The table of clients: what each needs, what it cannot do, and how it is started.

use std::process::Command;

use anyhow::{Result, bail};

use super::toolbox::{Need, Toolbox};

/// What every client is asked to do; `interop/README.md` says what each case means.
const CASES: [&str; 19] = [
    "create",
    "auto-create",
    "codec-none",
    "codec-gzip",
    "codec-snappy",
    "codec-lz4",
    "codec-zstd",
    "keys",
    "nulls",
    "headers",
    "timestamps",
    "large",
    "too-large",
    "seek-offset",
    "seek-time",
    "idempotent",
    "transactional",
    "list-offsets",
    "delete",
];

/// What our own client is asked to do.
const OUR_CASES: [&str; 21] = [
    "create",
    "auto-create",
    "codec-none",
    "codec-gzip",
    "codec-snappy",
    "codec-lz4",
    "codec-zstd",
    "every-codec",
    "keys",
    "nulls",
    "headers",
    "timestamps",
    "large",
    "too-large",
    "split",
    "seek-offset",
    "seek-time",
    "idempotent",
    "transactional",
    "list-offsets",
    "delete",
];

/// What the command-line tools are asked to do.
const TOOL_CASES: [&str; 16] = [
    "create",
    "alter",
    "describe",
    "auto-create",
    "codec-none",
    "codec-gzip",
    "codec-snappy",
    "codec-lz4",
    "codec-zstd",
    "keys",
    "headers",
    "list-offsets",
    "configs",
    "api-versions",
    "perf",
    "delete",
];

/// Every way to be a member of a group.
const ALL_VARIANTS: [&str; 6] =
    ["range", "roundrobin", "sticky", "cooperative-sticky", "consumer", "consumer-range"];

/// The client of this project.
pub(crate) const OURS: &str = "ottla-client";

/// One real client.
pub(crate) struct Client {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// What it takes to run it.
    pub(crate) needs: Need,
    /// Its cases, before `cannot`.
    all: &'static [&'static str],
    /// Cases that the client's own interface has no way to ask for, with the reason.
    cannot: &'static [(&'static str, &'static str)],
    /// The ways in which it can be a member of a group, by assignor: of the classic protocol
    /// unless the name begins with `consumer`.
    pub(crate) variants: &'static [&'static str],
    /// Whether it can stay connected while the broker restarts, and send and receive files.
    pub(crate) lives: bool,
    /// The program without its arguments.
    start: fn(&Toolbox) -> Command,
}

/// All of them. The slowest comes first, so that none is waited for alone at the end.
pub(crate) const CLIENTS: [Client; 10] = [
    Client {
        name: "confluent",
        needs: Need::Python,
        all: &CASES,
        cannot: &[],
        variants: &["range", "roundrobin", "cooperative-sticky", "consumer", "consumer-range"],
        lives: true,
        start: |toolbox| python(toolbox, "client_confluent.py"),
    },
    Client {
        name: "kcat",
        needs: Need::Kcat,
        all: &CASES,
        cannot: &[
            ("create", "it creates topics by producing only"),
            ("keys", "no topic of three partitions without creating one"),
            ("timestamps", "it has no option for a record's timestamp"),
            ("seek-time", "it has no option for a record's timestamp"),
            ("transactional", "it has no option for it"),
            ("delete", "it has no such command"),
        ],
        variants: &["range"],
        lives: true,
        start: |toolbox| {
            let mut command = Command::new("python3");
            command.arg(toolbox.sources.join("python/client_kcat.py"));
            command
        },
    },
    Client {
        name: "tools",
        needs: Need::Java,
        all: &TOOL_CASES,
        cannot: &[],
        variants: &[],
        lives: false,
        start: |toolbox| java(toolbox, "ConsoleTools"),
    },
    Client {
        name: "java",
        needs: Need::Java,
        all: &CASES,
        cannot: &[],
        variants: &ALL_VARIANTS,
        lives: true,
        start: |toolbox| java(toolbox, "Cases"),
    },
    Client {
        name: OURS,
        needs: Need::Cargo,
        all: &OUR_CASES,
        cannot: &[("transactional", "it has no transactions yet")],
        variants: &ALL_VARIANTS,
        lives: true,
        start: |toolbox| Command::new(&toolbox.ottla_client),
    },
    Client {
        name: "sarama",
        needs: Need::Go,
        all: &CASES,
        cannot: &[],
        variants: &["range", "roundrobin", "sticky", "cooperative-sticky"],
        lives: true,
        start: |toolbox| Command::new(toolbox.target.join("bin/sarama")),
    },
    Client {
        name: "kafka-python",
        needs: Need::Python,
        all: &CASES,
        cannot: &[],
        variants: &["range", "roundrobin", "sticky", "cooperative-sticky"],
        lives: true,
        start: |toolbox| python(toolbox, "client_kafka_python.py"),
    },
    Client {
        name: "kafkajs",
        needs: Need::Node,
        all: &CASES,
        cannot: &[],
        variants: &["roundrobin"],
        lives: true,
        start: |toolbox| {
            let mut command = Command::new("node");
            command.arg(toolbox.sources.join("node/client.js"));
            command.env("NODE_PATH", toolbox.target.join("node/node_modules"));
            command
        },
    },
    Client {
        name: "aiokafka",
        needs: Need::Python,
        all: &CASES,
        cannot: &[],
        variants: &["range", "roundrobin", "sticky"],
        lives: true,
        start: |toolbox| python(toolbox, "client_aiokafka.py"),
    },
    Client {
        name: "franz-go",
        needs: Need::Go,
        all: &CASES,
        cannot: &[],
        variants: &ALL_VARIANTS,
        lives: true,
        start: |toolbox| Command::new(toolbox.target.join("bin/franz")),
    },
];

impl Client {
    /// The cases to run, of those that were asked for (all, if none was).
    pub(crate) fn cases(&self, asked: &[String]) -> Vec<&'static str> {
        let possible = self.all.iter().filter(|case| !self.cannot.iter().any(|(c, _)| c == *case));
        possible.copied().filter(|c| asked.is_empty() || asked.iter().any(|a| a == c)).collect()
    }

    /// Cases left out, with their reasons.
    pub(crate) fn cannot(&self) -> &'static [(&'static str, &'static str)] {
        self.cannot
    }

    /// A command for `CLIENT BOOTSTRAP ...`.
    pub(crate) fn command(&self, toolbox: &Toolbox, bootstrap: &str) -> Command {
        let mut command = (self.start)(toolbox);
        // Python would leave its compiled modules beside the sources.
        command.arg(bootstrap).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

fn python(toolbox: &Toolbox, file: &str) -> Command {
    let mut command = Command::new(toolbox.target.join("venv/bin/python"));
    command.arg(toolbox.sources.join("python").join(file));
    command
}

fn java(toolbox: &Toolbox, class: &str) -> Command {
    let mut command = toolbox.java();
    command.arg(class);
    command
}

/// The client of that name.
pub(crate) fn named(name: &str) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| client.name == name)
}

/// The clients of those names; all, if there is none.
pub(crate) fn choose(names: &[String]) -> Result<Vec<&'static Client>> {
    for name in names {
        if named(name).is_none() {
            let all = CLIENTS.map(|client| client.name).join(", ");
            bail!("there is no client {name}; there are {all}");
        }
    }
    let chosen = CLIENTS.iter().filter(|c| names.is_empty() || names.iter().any(|n| n == c.name));
    Ok(chosen.collect())
}
