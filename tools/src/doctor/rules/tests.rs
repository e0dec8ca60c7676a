//! Facts and what is found in them.

use std::time::Duration;

use super::super::facts::*;
use super::super::finding::Severity::{self, *};
use super::*;

/// A machine on which all is well.
fn sound() -> Facts {
    let mount = Mount {
        point: "/data".into(),
        kind: "xfs".to_owned(),
        options: vec!["rw".to_owned(), "noatime".to_owned()],
        device: "8:1".to_owned(),
        total_bytes: 1000 << 30,
        available_bytes: 800 << 30,
        inodes: 1_000_000,
        inodes_available: 900_000,
    };
    let usage = Usage { partitions: 100, segments: 300, bytes: 100 << 30, ..Usage::default() };
    Facts {
        processors: 8,
        limits: Limits {
            nofile_hard: Some(1 << 20),
            max_map_count: Some(1 << 20),
            somaxconn: Some(4096),
            rmem_max: Some(212_992),
            wmem_max: Some(212_992),
        },
        memory: Memory {
            total: Some(32 << 30),
            available: Some(30 << 30),
            swap_total: Some(0),
            swap_free: Some(0),
            swappiness: Some(60),
            overcommit: Some(0),
            dirty_ratio: Some(20),
            container_max: None,
        },
        clock: Clock {
            now_ms: 1_795_687_200_000,
            is_synchronized: Some(true),
            service: Some("chronyd".to_owned()),
            source: Some("tsc".to_owned()),
            is_container: false,
        },
        dirs: vec![LogDir { path: "/data/logs".into(), exists: true, mount: Some(mount), usage }],
        settings: Some(settings("log.dirs=/data/logs\nnode.id=1\n")),
        cluster: Some(cluster(Ok(Brokers {
            cluster_id: Some("abc".to_owned()),
            brokers: vec!["1 (localhost:9092)".to_owned()],
            has_controller: true,
            took: Duration::from_millis(3),
            ..Brokers::default()
        }))),
    }
}

fn settings(text: &str) -> SettingsFile {
    let properties = ottla_properties::parse(text.as_bytes()).unwrap();
    SettingsFile { path: "server.properties".into(), properties }
}

fn cluster(answer: Result<Brokers, String>) -> Cluster {
    Cluster { bootstrap: "localhost:9092".to_owned(), answer }
}

/// What is not good.
fn found(facts: &Facts) -> Vec<(Severity, String)> {
    let all = judge(facts);
    for finding in &all {
        let has_remedy = !finding.remedy.is_empty();
        assert_eq!(has_remedy, finding.severity > Good, "{finding:?}");
    }
    let bad = all.into_iter().filter(|finding| finding.severity > Good);
    bad.map(|finding| (finding.severity, finding.what)).collect()
}

/// What is found when one thing is not as it should be: this, and nothing else.
#[track_caller]
fn assert_one(change: impl FnOnce(&mut Facts), severity: Severity, wanted: &str) {
    let mut facts = sound();
    change(&mut facts);
    let found = found(&facts);
    assert!(
        found.len() == 1 && found[0].0 == severity && found[0].1.contains(wanted),
        "wanted {severity}: {wanted}\nfound {found:#?}"
    );
}

fn mount(facts: &mut Facts) -> &mut Mount {
    facts.dirs[0].mount.as_mut().unwrap()
}

#[test]
fn a_sound_machine_has_no_findings() {
    assert_eq!(found(&sound()), []);
    assert!(judge(&sound()).len() >= 8);
    // What cannot be read is not judged, but for a clock that nothing seems to keep.
    let nothing = Facts { clock: sound().clock, ..Facts::default() };
    assert_eq!(found(&nothing), []);
}

#[test]
fn limits_are_held_against_partitions() {
    assert_one(|facts| facts.limits.nofile_hard = Some(1024), Error, "runs out of them");
    assert_one(|facts| facts.limits.nofile_hard = Some(10_000), Warning, "want 20300");
    assert_one(|facts| facts.limits.max_map_count = Some(50_000), Warning, "100 partitions want");
    assert_one(|facts| facts.limits.max_map_count = Some(150), Error, "vm.max_map_count");
    assert_one(|facts| facts.limits.somaxconn = Some(64), Warning, "turned away");
    let many = |facts: &mut Facts| {
        facts.dirs[0].usage.partitions = 40_000;
        facts.limits.nofile_hard = Some(100_000);
    };
    assert_one(many, Warning, "40000 partitions and their clients want 140000");
    // What Linux grants by default is enough for a few partitions.
    let mut facts = sound();
    facts.limits.max_map_count = Some(65_530);
    assert_eq!(found(&facts), []);
    let backlog = "log.dirs=/data/logs\nsocket.listen.backlog.size=9000\n";
    assert_one(|facts| facts.settings = Some(settings(backlog)), Warning, "is cut to it");
    let buffer = "log.dirs=/data/logs\nsocket.send.buffer.bytes=1000000\n";
    assert_one(|facts| facts.settings = Some(settings(buffer)), Note, "is cut to net.core.wmem");
}

#[test]
fn memory_is_looked_at() {
    assert_one(|facts| facts.memory.container_max = Some(512 << 20), Warning, "of the container");
    assert_one(|facts| facts.memory.available = Some(1 << 30), Warning, "are available");
    assert_one(|facts| facts.memory.overcommit = Some(2), Warning, "vm.overcommit_memory=2");
    assert_one(|facts| facts.memory.dirty_ratio = Some(60), Warning, "vm.dirty_ratio=60");
    let swap = |used: u64| {
        move |facts: &mut Facts| {
            facts.memory.swap_total = Some(8 << 30);
            facts.memory.swap_free = Some((8 << 30) - used);
        }
    };
    assert_one(swap(0), Note, "vm.swappiness=60");
    assert_one(swap(2 << 30), Warning, "2.0 GiB of 8.0 GiB swap in use");
}

#[test]
fn disks_are_looked_at() {
    for (kind, severity) in [
        ("tmpfs", Error),
        ("vfat", Error),
        ("overlay", Warning),
        ("nfs4", Warning),
        ("fuse.sshfs", Warning),
        ("zfs", Note),
        ("f2fs", Note),
    ] {
        assert_one(|facts| mount(facts).kind = kind.to_owned(), severity, kind);
    }
    for (option, severity) in [
        ("ro", Error),
        ("sync", Warning),
        ("nobarrier", Warning),
        ("strictatime", Note),
        ("discard", Note),
    ] {
        assert_one(|facts| mount(facts).options = vec![option.to_owned()], severity, "mounted");
    }
    assert_one(|facts| mount(facts).available_bytes = 10 << 30, Error, "space left on /data (1%)");
    assert_one(|facts| mount(facts).available_bytes = 100 << 30, Warning, "(10%)");
    assert_one(|facts| mount(facts).inodes_available = 3, Error, "3 of 1000000 inodes left");
    let gone = |facts: &mut Facts| facts.dirs[0].exists = false;
    assert_one(gone, Note, "/data/logs is not there");
    let secret = vec!["/data/logs/a-0: Permission denied".to_owned()];
    assert_one(|facts| facts.dirs[0].usage.unreadable = secret, Warning, "cannot read /data/logs");
    let twice = |facts: &mut Facts| facts.dirs.extend(facts.dirs.clone());
    assert_one(twice, Note, "share a disk");
}

#[test]
fn growth_is_foretold_from_the_settings() {
    let with = |text: &'static str, age_days: u64| {
        move |facts: &mut Facts| {
            facts.settings = Some(settings(&format!("log.dirs=/data/logs\n{text}\n")));
            facts.dirs[0].usage.oldest_age = Some(Duration::from_secs(86_400 * age_days));
        }
    };
    // 100 partitions of 10 GiB each, and 900 GiB.
    assert_one(with("log.retention.bytes=10737418240", 1), Warning, "may come to 1.1 TiB");
    assert_one(
        with("log.retention.hours=720", 2),
        Warning,
        "at the pace so far it comes to 1.5 TiB",
    );
    let mut facts = sound();
    with("log.retention.hours=720", 29)(&mut facts);
    assert_eq!(found(&facts), []);
    let mut facts = sound();
    with("log.retention.ms=-1", 2)(&mut facts);
    let found: Vec<String> = found(&facts).into_iter().map(|(_, what)| what).collect();
    assert!(found[0].ends_with("at this pace it is full in 16 days"), "{found:?}");
    assert!(found[1].contains("neither time nor size deletes anything"), "{found:?}");
}

#[test]
fn the_clock_is_looked_at() {
    assert_one(|facts| facts.clock.now_ms = 0, Error, "before 2024");
    assert_one(|facts| facts.clock.is_synchronized = Some(false), Warning, "chronyd runs, but");
    let none = |is_container| {
        move |facts: &mut Facts| {
            facts.clock =
                Clock { is_synchronized: None, service: None, is_container, ..facts.clock.clone() };
        }
    };
    assert_one(none(false), Warning, "nothing is seen");
    assert_one(none(true), Note, "within a container");
    assert_one(|facts| facts.clock.source = Some("hpet".to_owned()), Warning, "from hpet");
    let ahead = |facts: &mut Facts| {
        let now = facts.clock.now_ms;
        if let Some(Cluster { answer: Ok(brokers), .. }) = &mut facts.cluster {
            brokers.newest_broker_time = Some(now + 2500);
        }
    };
    assert_one(ahead, Warning, "2500 ms ahead");
}

#[test]
fn names_and_values_of_settings_are_checked() {
    for (line, severity, wanted) in [
        ("num.partitons=3", Warning, "line 2: num.partitons is no setting of a broker"),
        ("frobnicate=1", Warning, "frobnicate is no setting"),
        ("zookeeper.connect=a:2181", Warning, "there is no ZooKeeper since Kafka 4"),
        ("num.partitions=0", Error, "num.partitions=0: not a whole number from 1"),
        ("log.dirs=/data/logs", Warning, "log.dirs is set in lines 1 and 2"),
        ("ssl.keystore.location=/x", Warning, "does not do it yet: ssl.keystore.location"),
        ("background.threads=4", Note, "without effect in Ottla: background.threads"),
        ("min.insync.replicas=2", Error, "more than default.replication.factor=1"),
        ("message.max.bytes=200000000", Error, "more than socket.request.max.bytes"),
        ("log.segment.bytes=1048576", Error, "more than log.segment.bytes=1048576"),
        ("log.flush.interval.messages=1", Note, "each batch waits for the disk"),
        ("offsets.retention.minutes=5", Warning, "a group that pauses longer begins anew"),
        ("num.io.threads=500", Note, "num.io.threads=500 on 8 processors"),
        ("advertised.listeners=PLAINTEXT://0.0.0.0:9092", Error, "an address of nobody"),
        ("listeners=PLAINTEXT://:9092", Note, "the machine's own name"),
    ] {
        let text = format!("log.dirs=/data/logs\n{line}\n");
        assert_one(|facts| facts.settings = Some(settings(&text)), severity, wanted);
    }
    assert_one(|facts| facts.settings = Some(settings("")), Warning, "/tmp/kafka-logs");
    let temp = "log.dirs=/data/logs,/tmp/x\n";
    assert_one(|facts| facts.settings = Some(settings(temp)), Error, "log.dirs has /tmp/x");
    let kept = "log.dirs=/data/logs\nlog.retention.bytes=1000\n";
    assert_one(|facts| facts.settings = Some(settings(kept)), Warning, "only closed");
    let mut facts = sound();
    let unclean = "log.dirs=/data/logs\nunclean.leader.election.enable=true\n";
    facts.settings = Some(settings(unclean));
    let severities: Vec<Severity> =
        found(&facts).into_iter().map(|(severity, _)| severity).collect();
    // One node has no leader to elect, but the same file may be Kafka's.
    assert_eq!(severities, [Note, Warning]);
    let of_listener = "log.dirs=/data/logs\nlistener.name.internal.max.connections=5\n";
    let mut facts = sound();
    facts.settings = Some(settings(of_listener));
    assert_eq!(found(&facts), []);
}

#[test]
fn a_name_that_was_meant_is_told() {
    let mut facts = sound();
    facts.settings = Some(settings("log.dirs=/data/logs\nnum.partitons=3\n"));
    let all = judge(&facts);
    let remedy = &all.iter().find(|finding| finding.severity == Warning).unwrap().remedy;
    assert_eq!(remedy, "did you mean num.partitions?");
}

#[test]
fn a_cluster_is_looked_at() {
    let with = |answer: Result<Brokers, String>| {
        move |facts: &mut Facts| facts.cluster = Some(cluster(answer))
    };
    assert_one(with(Err("refused".to_owned())), Error, "localhost:9092: refused");
    let of = |change: fn(&mut Brokers)| {
        let mut brokers = sound().cluster.unwrap().answer.unwrap();
        change(&mut brokers);
        with(Ok(brokers))
    };
    assert_one(of(|brokers| brokers.has_controller = false), Error, "no controller");
    assert_one(of(|brokers| brokers.took = Duration::from_secs(3)), Warning, "took 3000 ms");
    let leaderless = |brokers: &mut Brokers| brokers.leaderless = vec!["a-0".to_owned()];
    assert_one(of(leaderless), Error, "partitions without a leader: 1, such as a-0");
    let behind = |brokers: &mut Brokers| brokers.under_replicated = vec!["leaders-1".to_owned()];
    assert_one(of(behind), Warning, "not in sync: 1, such as leaders-1");
}
