//! A broker in this process, and a client that sends and receives frames.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ottla::broker::RunningBroker;
use ottla::cli::Start;
use ottla::config::StaticConfig;
use ottla_protocol::api::ApiKey;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::header::{RequestHeader, ResponseHeader};
use ottla_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use ottla_protocol::messages::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use ottla_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use ottla_protocol::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_protocol::record::builder::{BatchBuilder, BatchOptions, NewRecord};
use ottla_protocol::record::compression::{Codec, Compression};
use ottla_protocol::uuid::Uuid;
use ottla_protocol::wire::{Message, Reader, Records, Writer};
use tempfile::TempDir;

/// How long an answer may take on a busy machine before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A time in the past that no limit forbids, milliseconds.
pub(crate) const T: i64 = 1_700_000_000_000;

/// The start of a broker with its data in `dir`, on a free port.
pub(crate) fn start(dir: &str, settings: &[String]) -> Start {
    let mut statics = StaticConfig::standalone(dir);
    statics.set_override("listeners=PLAINTEXT://127.0.0.1:0").unwrap();
    for setting in settings {
        statics.set_override(setting).unwrap();
    }
    Start::new(statics).unwrap()
}

/// A broker with a directory of its own, stopped and removed when dropped.
pub(crate) struct TestBroker {
    running: Option<RunningBroker>,
    settings: Vec<String>,
    dir: Option<TempDir>,
}

impl TestBroker {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut broker = Self { running: None, settings, dir: tempfile::tempdir().ok() };
        broker.run();
        broker
    }

    fn run(&mut self) {
        let dir = self.dir();
        let start = || start(dir.to_str().unwrap(), &self.settings);
        // The free port that a start has found may be gone again when it listens.
        let started = (0..5).find_map(|_| RunningBroker::start(start()).ok());
        self.running = Some(started.expect("a broker starts"));
    }

    pub(crate) fn restart(&mut self) {
        self.running.take().unwrap().stop().unwrap();
        self.run();
    }

    /// Stops it, changes what it has left, and starts it again.
    pub(crate) fn restart_after(&mut self, change: impl FnOnce(&Path)) {
        self.running.take().unwrap().stop().unwrap();
        change(&self.dir());
        self.run();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().addresses()[0]
    }

    /// The network's pools: handlers and processors.
    pub(crate) fn pools(&self) -> (usize, usize) {
        let network = self.running.as_ref().unwrap().network();
        (network.handlers(), network.processors())
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.as_ref().unwrap().path().to_owned()
    }

    /// Stops it and leaves its directory.
    pub(crate) fn into_dir(mut self) -> TempDir {
        self.running.take().unwrap().stop().unwrap();
        self.dir.take().unwrap()
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        if let Some(broker) = self.running.take() {
            broker.stop().unwrap();
        }
    }
}

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    correlation_id: i32,
}

/// An answer that was received.
pub(crate) struct Answer {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// The message, which must be all there is.
    pub(crate) fn message<'a, M: Message<'a>>(&'a self) -> M {
        let mut reader = Reader::new(&self.bytes);
        let header = ResponseHeader::read(&mut reader, self.api, self.version).unwrap();
        assert_eq!(header.correlation_id, self.correlation_id);
        let message = M::decode(&mut reader, self.version)
            .unwrap_or_else(|error| panic!("{:?} {}: {error}", self.api, self.version));
        assert_eq!(reader.remaining(), b"", "{:?} {}: bytes are left", self.api, self.version);
        message
    }
}

/// A request without its length prefix.
pub(crate) fn request<'m>(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    message: &impl Message<'m>,
) -> Vec<u8> {
    let mut writer = Writer::new();
    let header = RequestHeader {
        api_key: api.as_i16(),
        api_version: version,
        correlation_id,
        client_id: Some("test"),
    };
    header.write(&mut writer).unwrap();
    message.encode(&mut writer, version).unwrap();
    writer.finish().bytes
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, correlation_id: 0 }
    }

    /// Sends bytes as they are. A peer that has closed is no failure here.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        // Reading tells what became of the connection.
        let _ = self.stream.write_all(bytes);
    }

    /// Sends a length prefix and `frame`.
    pub(crate) fn send_frame(&mut self, frame: &[u8]) {
        let mut bytes = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        self.send_raw(&bytes);
    }

    /// The next frame, without its prefix; `None` when the connection was closed.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let mut prefix = [0; 4];
        self.fill(&mut prefix)?;
        let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
        self.fill(&mut frame)?;
        Some(frame)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no answer came"),
            Err(_) => None,
        }
    }

    pub(crate) fn assert_closed(&mut self, what: &str) {
        if let Some(answer) = self.receive() {
            panic!("{what}: an answer came: {answer:02x?}");
        }
    }

    /// Sends a request; its number is what the answer must repeat.
    pub(crate) fn send<'m>(&mut self, api: ApiKey, version: i16, message: &impl Message<'m>) {
        self.correlation_id += 1;
        let frame = request(api, version, self.correlation_id, message);
        self.send_frame(&frame);
    }

    /// The answer to the request sent last.
    pub(crate) fn answer(&mut self, api: ApiKey, version: i16) -> Answer {
        let bytes = self
            .receive()
            .unwrap_or_else(|| panic!("{api:?} {version}: the connection was closed"));
        Answer { api, version, correlation_id: self.correlation_id, bytes }
    }

    pub(crate) fn call<'m>(
        &mut self,
        api: ApiKey,
        version: i16,
        message: &impl Message<'m>,
    ) -> Answer {
        self.send(api, version, message);
        self.answer(api, version)
    }

    /// Creates a topic; its id.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        num_partitions: i32,
        configs: &[(&str, &str)],
    ) -> Uuid {
        let (code, topic_id) = self.ask_for_topic(name, num_partitions, configs);
        assert_eq!(code, ErrorCode::NONE, "{name}");
        topic_id
    }

    pub(crate) fn try_create(&mut self, name: &str, num_partitions: i32) -> ErrorCode {
        self.ask_for_topic(name, num_partitions, &[]).0
    }

    fn ask_for_topic(
        &mut self,
        name: &str,
        num_partitions: i32,
        configs: &[(&str, &str)],
    ) -> (ErrorCode, Uuid) {
        let configs = configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name, value: Some(value) })
            .collect();
        let topic = CreatableTopic {
            name,
            num_partitions,
            replication_factor: -1,
            configs,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let answer = self.call(ApiKey::CreateTopics, 7, &request);
        let response: CreateTopicsResponse<'_> = answer.message();
        let created = &response.topics[0];
        (created.error_code, created.topic_id)
    }

    pub(crate) fn delete_topic(&mut self, name: &str) {
        let topic = DeleteTopicState { name: Some(name), ..Default::default() };
        let request = DeleteTopicsRequest { topics: vec![topic], ..Default::default() };
        let answer = self.call(ApiKey::DeleteTopics, 6, &request);
        let response: DeleteTopicsResponse<'_> = answer.message();
        assert_eq!(response.responses[0].error_code, ErrorCode::NONE, "{name}");
    }

    /// Produces to partition 0 with acks=all.
    pub(crate) fn produce(&mut self, topic: &str, records: &[u8]) -> Produced {
        self.produce_at(9, topic, records)
    }

    pub(crate) fn produce_at(&mut self, version: i16, topic: &str, records: &[u8]) -> Produced {
        let request = produce_request(topic, Some(records), -1);
        let answer = self.call(ApiKey::Produce, version, &request);
        let response: ProduceResponse<'_> = answer.message();
        let told = &response.responses[0].partition_responses[0];
        Produced {
            code: told.error_code,
            base_offset: told.base_offset,
            log_append_time_ms: told.log_append_time_ms,
            log_start_offset: told.log_start_offset,
            message: told.error_message.map(str::to_owned),
            record_errors: told.record_errors.iter().map(|error| error.batch_index).collect(),
        }
    }

    /// Produces and expects success; the base offset.
    pub(crate) fn append(&mut self, topic: &str, records: &[u8]) -> i64 {
        let produced = self.produce(topic, records);
        assert_eq!(produced.code, ErrorCode::NONE, "{:?}", produced.message);
        produced.base_offset
    }

    /// Fetches from partition 0 without waiting.
    pub(crate) fn fetch(&mut self, topic: &str, offset: i64) -> Fetched {
        self.fetch_with(&fetch_request(topic, Uuid::ZERO, offset), 12)
    }

    pub(crate) fn fetch_with(&mut self, request: &FetchRequest<'_>, version: i16) -> Fetched {
        self.send(ApiKey::Fetch, version, request);
        self.fetched(version)
    }

    /// The answer to a fetch of one partition that was sent.
    pub(crate) fn fetched(&mut self, version: i16) -> Fetched {
        let answer = self.answer(ApiKey::Fetch, version);
        let response: FetchResponse<'_> = answer.message();
        assert_eq!(response.error_code, ErrorCode::NONE);
        let data = &response.responses[0].partitions[0];
        Fetched {
            code: data.error_code,
            high_watermark: data.high_watermark,
            log_start_offset: data.log_start_offset,
            diverging: (data.diverging_epoch.epoch, data.diverging_epoch.end_offset),
            records: data.records.expect("records are never null").bytes().to_vec(),
        }
    }
}

/// What a producer was told of partition 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) code: ErrorCode,
    pub(crate) base_offset: i64,
    pub(crate) log_append_time_ms: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) message: Option<String>,
    pub(crate) record_errors: Vec<i32>,
}

/// What a consumer was told of one partition.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) code: ErrorCode,
    pub(crate) high_watermark: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) diverging: (i32, i64),
    pub(crate) records: Vec<u8>,
}

pub(crate) fn produce_request<'a>(
    name: &'a str,
    records: Option<&'a [u8]>,
    acks: i16,
) -> ProduceRequest<'a> {
    let data = PartitionProduceData { index: 0, records: records.map(Records::Bytes) };
    let topic = TopicProduceData { name, partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() }
}

/// A fetch of partition 0 that does not wait.
pub(crate) fn fetch_request(topic: &str, topic_id: Uuid, fetch_offset: i64) -> FetchRequest<'_> {
    let partition =
        FetchPartition { fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: vec![FetchTopic { topic, topic_id, partitions: vec![partition] }],
        ..Default::default()
    }
}

/// A batch of one record for each value, with timestamps from [`T`] on.
pub(crate) fn batch(values: &[&[u8]]) -> Vec<u8> {
    batch_of(BatchOptions::default(), values)
}

pub(crate) fn batch_of(options: BatchOptions, values: &[&[u8]]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options).unwrap();
    for (n, value) in values.iter().enumerate() {
        let timestamp = T + n as i64;
        builder.append(&NewRecord { timestamp, value: Some(value), ..Default::default() }).unwrap();
    }
    builder.build().unwrap()
}

pub(crate) fn compressed(codec: Codec, values: &[&[u8]]) -> Vec<u8> {
    let options = BatchOptions { compression: Compression::new(codec), ..Default::default() };
    batch_of(options, values)
}

/// The time, milliseconds.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}
