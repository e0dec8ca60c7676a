//! A disk whose syncs take long: acknowledgments wait for it, and nobody else does.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use ottla::broker::RunningBroker;
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::produce::{PartitionProduceData, ProduceResponse, TopicProduceData};
use ottla_protocol::wire::Records;
use ottla_storage::disk::{Disk, DiskFile, DiskLock, DiskMap, Entry, Open, RealDisk, Space};

use crate::harness::{Client, PATIENCE, batch, produce_request, start};

/// More than there are handlers and processors by default.
const PRODUCERS: usize = 40;
/// Where the error code is in the answer to a Produce of version 9 for one partition of `slow`:
/// behind correlation id, tags, two lengths, the name, and the partition's number.
const CODE_AT: usize = 4 + 1 + 1 + 5 + 1 + 4;

/// What the tests do to the logs of one topic.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Syncs wait.
    closed: bool,
    /// Syncs fail.
    failing: bool,
    appends: usize,
    syncs: usize,
}

impl Gate {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait_for(&self, what: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap();
        let (_state, waited) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| !what(state)).unwrap();
        assert!(!waited.timed_out());
    }

    fn syncs(&self) -> usize {
        self.state.lock().unwrap().syncs
    }

    fn sync(&self) -> io::Result<()> {
        self.set(|state| state.syncs += 1);
        let state = self.state.lock().unwrap();
        let state = self.changed.wait_while(state, |state| state.closed).unwrap();
        if state.failing { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }
}

/// The real disk behind the gate.
#[derive(Debug)]
struct SlowDisk(Arc<Gate>);

#[derive(Debug)]
struct SlowFile {
    real: Arc<dyn DiskFile>,
    gate: Option<Arc<Gate>>,
}

impl Disk for SlowDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let is_slow = path.to_str().unwrap().contains("/slow-")
            && path.extension().is_some_and(|extension| extension == "log");
        let gate = is_slow.then(|| Arc::clone(&self.0));
        Ok(Arc::new(SlowFile { real: RealDisk.open(path, how)?, gate }))
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        RealDisk.exists(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        RealDisk.list(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(dir)
    }
    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.remove_dir(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        RealDisk.unlink(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        RealDisk.lock(path)
    }
    fn space(&self, dir: &Path) -> io::Result<Space> {
        RealDisk.space(dir)
    }
}

impl DiskFile for SlowFile {
    fn len(&self) -> io::Result<u64> {
        self.real.len()
    }
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.real.read_at(buf, position)
    }
    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        self.real.write_all_at(slices, position)?;
        if let Some(gate) = &self.gate {
            gate.set(|state| state.appends += 1);
        }
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.real.set_len(len)
    }
    fn allocate(&self, position: u64, len: u64) -> io::Result<()> {
        self.real.allocate(position, len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.gate.as_ref().map_or(Ok(()), |gate| gate.sync())
    }
    fn sync_all(&self) -> io::Result<()> {
        self.real.sync_all()
    }
    fn modified_ms(&self) -> io::Result<i64> {
        self.real.modified_ms()
    }
    fn set_modified_ms(&self, ms: i64) -> io::Result<()> {
        self.real.set_modified_ms(ms)
    }
    fn map(&self, len: usize) -> io::Result<Arc<dyn DiskMap>> {
        self.real.map(len)
    }
    fn os_file(&self) -> Option<&Arc<File>> {
        self.real.os_file()
    }
}

/// A broker on such a disk, with topics `slow`, of two partitions that are synced with each append,
/// and `quick`.
fn run(dir: &Path) -> (RunningBroker, Arc<Gate>, Client) {
    let gate = Arc::new(Gate::default());
    let disk = Arc::new(SlowDisk(Arc::clone(&gate)));
    let start = || start(dir.to_str().unwrap(), &[]);
    // The free port that a start has found may be gone again when it listens.
    let started = (0..5).find_map(|_| RunningBroker::start_on(disk.clone(), start()).ok());
    let broker = started.expect("a broker starts");
    let mut client = Client::connect(broker.addresses()[0]);
    client.create_topic("slow", 2, &[("flush.messages", "1")]);
    client.create_topic("quick", 1, &[]);
    assert_eq!(client.append("slow", &batch(&[b"first"])), 0);
    (broker, gate, client)
}

/// Producers whose appends are written and wait for a sync.
fn waiting(broker: &RunningBroker, gate: &Gate) -> Vec<Client> {
    gate.set(|state| *state = State { closed: true, ..State::default() });
    let mut producers: Vec<_> =
        (0..PRODUCERS).map(|_| Client::connect(broker.addresses()[0])).collect();
    for producer in &mut producers {
        producer.send(ApiKey::Produce, 9, &produce_request("slow", Some(&batch(&[b"x"])), -1));
    }
    gate.wait_for(|state| state.appends == PRODUCERS && state.syncs > 0);
    producers
}

fn told(producer: &mut Client) -> (ErrorCode, i64) {
    let answer = producer.answer(ApiKey::Produce, 9);
    let response: ProduceResponse<'_> = answer.message();
    let told = &response.responses[0].partition_responses[0];
    (told.error_code, told.base_offset)
}

#[test]
fn one_sync_serves_all_that_wait_and_nobody_else_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, gate, mut client) = run(dir.path());
    let mut producers = waiting(&broker, &gate);
    assert_eq!(client.append("quick", &batch(&[b"not held up"])), 0);
    assert_eq!(client.fetch("slow", 1).high_watermark, 1, "what is not synced is not readable");
    assert_eq!(gate.syncs(), 1);
    gate.set(|state| state.closed = false);
    let mut offsets: Vec<_> = producers.iter_mut().map(told).collect();
    offsets.sort_unstable_by_key(|(_, offset)| *offset);
    let expected: Vec<_> = (1..=PRODUCERS as i64).map(|n| (ErrorCode::NONE, n)).collect();
    assert_eq!(offsets, expected);
    assert!(gate.syncs() <= 2, "one for those who came first, one for all the others");
    assert_eq!(client.fetch("slow", 1).high_watermark, 1 + PRODUCERS as i64);
    broker.stop().unwrap();
}

#[test]
fn a_failed_sync_is_told_to_all_that_wait_and_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, gate, mut client) = run(dir.path());
    let mut producers = waiting(&broker, &gate);
    gate.set(|state| (state.closed, state.failing) = (false, true));
    for producer in &mut producers {
        assert_eq!(told(producer), (ErrorCode::KAFKA_STORAGE_ERROR, -1));
    }
    assert_eq!(client.produce("slow", &batch(&[b"late"])).code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(gate.syncs(), 1);
    assert!(broker.stop().is_err(), "its only directory is offline");
}

#[test]
fn a_topic_may_be_deleted_while_its_appends_wait() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, gate, mut client) = run(dir.path());
    let mut producers = waiting(&broker, &gate);
    let delete = {
        let mut other = Client::connect(broker.addresses()[0]);
        std::thread::spawn(move || other.delete_topic("slow"))
    };
    // It waits for the sync that is under way, as the appends do; either may come first then.
    while client.produce("slow", &[]).code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
        std::thread::yield_now();
    }
    gate.set(|state| state.closed = false);
    for producer in &mut producers {
        let (code, _) = told(producer);
        let gone = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        assert!(code == ErrorCode::NONE || code == gone, "{code:?}");
    }
    delete.join().unwrap();
    assert_eq!(client.append("quick", &batch(&[b"the directory is online"])), 0);
    broker.stop().unwrap();
}

#[test]
fn a_request_is_answered_when_the_last_of_its_partitions_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, gate, mut client) = run(dir.path());
    gate.set(|state| *state = State { closed: true, ..State::default() });
    let records = batch(&[b"y"]);
    let mut request = produce_request("slow", Some(&records), -1);
    let data = |index| PartitionProduceData { index, records: Some(Records::Bytes(&records)) };
    request.topic_data[0].partition_data.extend([data(1), data(2)]);
    let partition_data = vec![data(0)];
    let quick = TopicProduceData { name: "quick", partition_data, ..Default::default() };
    request.topic_data.push(quick);
    client.send(ApiKey::Produce, 9, &request);
    gate.wait_for(|state| state.syncs == 2);
    gate.set(|state| state.closed = false);
    let answer = client.answer(ApiKey::Produce, 9);
    let response: ProduceResponse<'_> = answer.message();
    let told: Vec<_> = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .map(|partition| (partition.index, partition.error_code, partition.base_offset))
        .collect();
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let none = ErrorCode::NONE;
    assert_eq!(told, [(0, none, 1), (1, none, 0), (2, unknown, -1), (0, none, 0)]);
    broker.stop().unwrap();
}

#[test]
fn connections_may_be_closed_while_their_appends_wait() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, gate, mut client) = run(dir.path());
    drop(waiting(&broker, &gate));
    assert_eq!(client.append("quick", &batch(&[b"others go on"])), 0);
    assert_eq!(client.fetch("slow", 1).high_watermark, 1);
    gate.set(|state| state.closed = false);
    // Behind all of those, whose records are kept: they may have been all but acknowledged.
    assert_eq!(client.append("slow", &batch(&[b"last"])), 1 + PRODUCERS as i64);
    assert_eq!(client.fetch("slow", 1).high_watermark, 2 + PRODUCERS as i64);
    broker.stop().unwrap();
}

#[test]
fn a_stop_waits_for_the_syncs_that_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, gate, client) = run(dir.path());
    drop(client);
    let mut producers = waiting(&broker, &gate);
    let address = broker.addresses()[0];
    let stopping = std::thread::spawn(move || broker.stop());
    // It takes no more connections from the moment on that it stops.
    while std::net::TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    gate.set(|state| state.closed = false);
    stopping.join().unwrap().unwrap();
    // Who was not answered in time was cut off, which loses no record.
    for answer in producers.iter_mut().filter_map(Client::receive) {
        let code = ErrorCode::NONE.0.to_be_bytes();
        assert_eq!(answer[CODE_AT..CODE_AT + 2], code);
    }
    let started =
        (0..5).find_map(|_| RunningBroker::start(start(dir.path().to_str().unwrap(), &[])).ok());
    let broker = started.expect("a broker starts");
    let mut client = Client::connect(broker.addresses()[0]);
    assert_eq!(client.fetch("slow", 1).high_watermark, 1 + PRODUCERS as i64);
    broker.stop().unwrap();
}

#[test]
fn requests_behind_each_other_on_a_connection_are_answered_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, gate, mut client) = run(dir.path());
    gate.set(|state| *state = State { closed: true, ..State::default() });
    for (topic, acks) in [("slow", 0), ("slow", -1), ("quick", 1), ("slow", 1)] {
        client.send(ApiKey::Produce, 9, &produce_request(topic, Some(&batch(&[b"z"])), acks));
    }
    gate.wait_for(|state| state.syncs > 0);
    gate.set(|state| state.closed = false);
    // The first one wants no acknowledgment and gets no answer.
    let numbers = [(); 3].map(|()| {
        let frame = client.receive().expect("an answer");
        i32::from_be_bytes(frame[..4].try_into().unwrap())
    });
    assert_eq!(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 2]);
    assert_eq!(client.append("slow", &batch(&[b"after all"])), 4);
    broker.stop().unwrap();
}
