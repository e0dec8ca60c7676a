//! The bytes of a log's files, as Kafka's classes write them for the same records.

use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record::batch::{BatchHeader, HeaderFields};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::RealDisk;
use ottla_storage::log::{
    AppendAsLeader, LogEnvironment, LogRole, OpenBudget, OpenLog, PartitionLog,
};
use ottla_storage::log_dir::LogDir;
use ottla_storage::partition_dir::TopicPartition;
use ottla_storage::producer_state::snapshots::Shutdown;
use ottla_storage::producer_state::{Origin, ProducerSettings, VerificationGuard};
use ottla_storage::validate::Validated;

const T: i64 = 1_632_390_207_745;
const B0: &str = "00000000000000000000003d0000000002df92e83c0000000000000000017c1209d901\
                  0000017c1209d901ffffffffffffffffffffffffffff0000000116000000010a68656c6c6f00";
const B1: &str = "00000000000000010000003d000000000237794a290000000000000000017c1209d902\
                  0000017c1209d902ffffffffffffffffffffffffffff0000000116000000010a68656c6c6f00";
const B2: &str = "00000000000000020000003d00000000026f202bda0000000000000000017c1209d903\
                  0000017c1209d903ffffffffffffffffffffffffffff0000000116000000010a68656c6c6f00";

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|char| char.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first golden batch with another timestamp.
fn batch(timestamp: i64) -> Vec<u8> {
    let mut bytes = unhex(B0);
    let mut fields = HeaderFields::from(BatchHeader::new(&bytes).unwrap());
    fields.base_timestamp = timestamp;
    fields.max_timestamp = timestamp;
    fields.seal(&mut bytes).unwrap();
    bytes
}

fn open(dir: &Path, config: LogConfig, after: Shutdown) -> Arc<PartitionLog> {
    let environment = LogEnvironment {
        disk: Arc::new(RealDisk),
        log_dir: LogDir::new(dir.parent().unwrap()),
        open_segments: OpenBudget::new(100),
    };
    PartitionLog::open(OpenLog {
        environment,
        dir: dir.to_owned(),
        topic_partition: TopicPartition::new("t", 0),
        config,
        role: LogRole::SoleReplica,
        producer_settings: ProducerSettings::default(),
        recovery_point: 0,
        log_start_offset: 0,
        after,
        now_ms: T,
    })
    .unwrap()
}

fn append(log: &PartitionLog, count: i64) {
    for n in 0..count {
        let batch = batch(T + n);
        let how = AppendAsLeader {
            leader_epoch: 0,
            now_ms: T,
            origin: Origin::Client,
            guard: VerificationGuard::NONE,
        };
        let appended = log.append_as_leader(&Validated::from_built(batch).unwrap(), how).unwrap();
        assert_eq!((appended.base_offset, appended.last_offset), (n, n));
    }
}

fn file(dir: &Path, extension: &str) -> Vec<u8> {
    std::fs::read(dir.join(format!("{:020}.{extension}", 0))).unwrap()
}

struct Written {
    index: &'static str,
    time_index: &'static str,
}

fn check(count: i64, index_interval_bytes: u32, expected: &Written) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("t-0");
    std::fs::create_dir(&dir).unwrap();
    let config = LogConfig { index_interval_bytes, ..LogConfig::default() };
    let log = open(&dir, config.clone(), Shutdown::Clean);
    let lengths = || ["index", "timeindex"].map(|extension| file(&dir, extension).len());
    assert_eq!(lengths(), [0, 0], "they rest");
    append(&log, count);
    assert_eq!(lengths()[1], 10_485_756, "room for the entry at the end is had at once");
    let check_files = |how: &str| {
        assert_eq!(hex(&file(&dir, "index")), expected.index.replace(' ', ""), "{how}");
        assert_eq!(hex(&file(&dir, "timeindex")), expected.time_index.replace(' ', ""), "{how}");
        assert_eq!(std::fs::read(dir.join("leader-epoch-checkpoint")).unwrap(), b"0\n1\n0 0\n");
    };
    log.close().unwrap();
    check_files("closed");

    // The same comes out of a recovery that has to make the indexes anew.
    let whole = file(&dir, "log");
    let mut torn = whole.clone();
    torn.extend([1, 2, 3, 4, 5]);
    std::fs::write(dir.join(format!("{:020}.log", 0)), torn).unwrap();
    std::fs::remove_file(dir.join(format!("{:020}.timeindex", 0))).unwrap();
    let log = open(&dir, config, Shutdown::Unclean);
    assert_eq!(log.offsets().log_end_offset, count);
    log.close().unwrap();
    assert_eq!(file(&dir, "log"), whole);
    check_files("recovered");
}

#[test]
fn three_batches() {
    let every = Written {
        index: "0000000100000049 0000000200000092",
        time_index: "0000017c1209d90200000001 0000017c1209d90300000002",
    };
    check(3, 0, &every);
    check(3, 4096, &Written { index: "", time_index: "0000017c1209d90300000002" });
}

#[test]
fn three_batches_have_kafkas_bytes() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("t-0");
    std::fs::create_dir(&dir).unwrap();
    let log = open(&dir, LogConfig::default(), Shutdown::Clean);
    append(&log, 3);
    log.close().unwrap();
    assert_eq!(hex(&file(&dir, "log")), hex(&unhex(&[B0, B1, B2].concat())));
}

#[test]
fn a_hundred_and_twenty_batches() {
    let written = Written {
        index: "0000003900001041 0000007200002082",
        time_index: "0000017c1209d93a00000039 0000017c1209d97300000072 \
                     0000017c1209d97800000077",
    };
    check(120, 4096, &written);
}
