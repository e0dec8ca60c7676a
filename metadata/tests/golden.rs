//! Files of Apache Kafka 4.3.1, read and written again; see `golden/README.md` for their making.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use hmac::{Hmac, KeyInit, Mac};
use ottla_metadata::controller::*;
use ottla_metadata::image::{ConfigResourceType, Image};
use ottla_metadata::log_codec::{self, BatchPlace, Content};
use ottla_metadata::replay::{LogError, Replay};
use ottla_metadata::snapshot::{self, SnapshotId};
use ottla_metadata::{bootstrap, features};
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::uuid::Uuid;
use sha2::Sha256;

const BOOTSTRAP: &[u8] = include_bytes!("golden/bootstrap.checkpoint.bin");
const LOG: &[u8] = include_bytes!("golden/metadata-log.bin");
const SNAPSHOT: &[u8] = include_bytes!("golden/snapshot-106-3.bin");
const SNAPSHOT_ID: SnapshotId = SnapshotId { end_offset: 106, epoch: 3 };

/// Batches with their checksums and times blanked, to compare what was written at other times.
fn timeless(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let length = i32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap());
        bytes[at + 17..at + 21].fill(0);
        bytes[at + 27..at + 43].fill(0);
        at += 12 + usize::try_from(length).unwrap();
    }
    bytes
}

#[test]
fn bootstrap_checkpoint_is_read_and_written() {
    let records = bootstrap::read_checkpoint(BOOTSTRAP).unwrap();
    assert_eq!(records, bootstrap::records());
    let written = bootstrap::checkpoint(&records, 1_700_000_000_000);
    assert_eq!(timeless(&written), timeless(BOOTSTRAP));
}

#[test]
fn bootstrap_checkpoint_cut_short_is_an_error() {
    for cut in 0..BOOTSTRAP.len() {
        assert!(bootstrap::read_checkpoint(&BOOTSTRAP[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn the_log_begins_with_the_bytes_that_a_fresh_node_writes() {
    let place = |base_offset| BatchPlace { base_offset, epoch: 1, now_ms: 1_700_000_000_000 };
    let mut written = log_codec::leader_change_batch(1, &[1], place(0));
    let (records, _) = bootstrap::first_records(&bootstrap::records(), "1", 1).unwrap();
    written.extend(log_codec::records_batch(&records, place(1)).unwrap());
    assert_eq!(timeless(&written), timeless(&LOG[..written.len()]));
}

/// The values of each batch of the log that holds data other than NoOp records, with its offset.
fn data_batches(log: &[u8]) -> Vec<(i64, Vec<&[u8]>)> {
    let mut found = vec![];
    let mut batches = log_codec::batches(log);
    while let Some(batch) = batches.next_batch().unwrap() {
        let mut values = vec![];
        let mut base_offset = None;
        for entry in batch.entries().unwrap() {
            let entry = entry.unwrap();
            base_offset.get_or_insert(entry.offset);
            match entry.content {
                Content::Record(value) if value[1] != 20 => values.push(value),
                _ => {}
            }
        }
        if !values.is_empty() {
            found.push((base_offset.unwrap(), values));
        }
    }
    found
}

/// Walks through Kafka's log and lets our controller decide each step before it is replayed.
struct Walk {
    batches: std::vec::IntoIter<(i64, Vec<&'static [u8]>)>,
    replay: Replay,
}

impl Walk {
    fn image(&self) -> &Image {
        self.replay.image()
    }

    fn next_offset(&self) -> i64 {
        self.batches.as_slice()[0].0
    }

    /// The first of the next batch's records that `pick` knows.
    fn coming<T>(&self, pick: impl Fn(MetadataRecord<'static>) -> Option<T>) -> T {
        let values = self.batches.as_slice().iter().flat_map(|(_, values)| values);
        let mut records = values.map(|value| MetadataRecord::read(value).unwrap().0);
        records.find_map(pick).unwrap()
    }

    fn coming_topic_id(&self) -> [u8; 16] {
        let id = self.coming(|record| match record {
            MetadataRecord::Topic(topic) => Some(topic.topic_id),
            _ => None,
        });
        *id.as_bytes()
    }

    /// Our batch must hold the records of Kafka's next one. Kafka goes through topics in the order
    /// of a hash map, so order within a batch is compared only as far as it means something.
    fn expect(&mut self, ours: &Records) {
        let (base_offset, mut kafkas) = self.batches.next().unwrap();
        self.replay_batch(base_offset, &kafkas);
        // A broker's heartbeats tell Kafka's controller in one request or in two that it is ready
        // and that no directory is cordoned.
        let is_whole = kafkas.len() == ours.len();
        while kafkas.len() < ours.len() {
            let (base_offset, more) = self.batches.next().unwrap();
            self.replay_batch(base_offset, &more);
            kafkas.extend(more);
        }
        let ours: Vec<&[u8]> = ours.iter().collect();
        let sorted = |values: &[&[u8]]| {
            let mut texts: Vec<String> =
                values.iter().map(|v| format!("{:?}", MetadataRecord::read(v).unwrap())).collect();
            texts.sort();
            texts
        };
        assert_eq!(sorted(&ours), sorted(&kafkas), "at offset {base_offset}");
        let ends = |values: &[&[u8]]| (values[0][1], values[values.len() - 1][1]);
        assert!(!is_whole || ends(&ours) == ends(&kafkas), "kinds at offset {base_offset}");
        let mut values = [ours, kafkas];
        values.iter_mut().for_each(|values| values.sort());
        assert_eq!(values[0], values[1], "bytes at offset {base_offset}");
    }

    fn replay_batch(&mut self, base_offset: i64, values: &[&[u8]]) {
        for (value, offset) in values.iter().zip(base_offset..) {
            self.replay.apply_value(value, offset).unwrap();
        }
    }

    /// Passes over a batch of records that our controller does not write.
    fn pass(&mut self) {
        let (base_offset, values) = self.batches.next().unwrap();
        self.replay_batch(base_offset, &values);
    }

    fn start(&mut self, previous_broker_epoch: i64) {
        // The registrations of this start, put together from what comes.
        let mut coming = Image::empty();
        let values = self.batches.as_slice().iter().flat_map(|(_, values)| values);
        for value in values {
            let (record, _) = MetadataRecord::read(value).unwrap();
            let offset = coming.offset() + 1;
            match record {
                MetadataRecord::RegisterBroker(_) => {
                    coming.apply(&record, offset).unwrap();
                    break;
                }
                MetadataRecord::RegisterController(_) => coming.apply(&record, offset).unwrap(),
                _ => {}
            }
        }
        let (controller, broker) = (&coming.controllers()[&1], &coming.brokers()[&1]);
        let node = NodeStart {
            controller: ControllerRegistration {
                id: controller.id,
                incarnation_id: controller.incarnation_id,
                endpoints: controller.endpoints.clone(),
                features: controller.features.clone(),
            },
            broker: BrokerRegistration {
                id: broker.id,
                incarnation_id: broker.incarnation_id,
                endpoints: broker.endpoints.clone(),
                features: broker.features.clone(),
                rack: None,
                directories: broker.directories.clone(),
                previous_broker_epoch,
            },
            cordoned_directories: vec![],
            min_insync_replicas: "1".to_owned(),
        };
        let next_offset = self.next_offset();
        let batches = start(&self.replay, &node, &bootstrap::records(), next_offset).unwrap();
        batches.iter().for_each(|batch| self.expect(batch));
    }

    fn stop(&mut self) {
        let batches = stop(self.image(), 1, self.next_offset()).unwrap();
        assert_eq!(batches.len(), 2);
        batches.iter().for_each(|batch| self.expect(batch));
    }

    fn create(&mut self, name: &str, num_partitions: i32, configs: &[(&str, &str)]) {
        let id = self.coming_topic_id();
        let topic = NewTopic {
            name,
            num_partitions,
            replication_factor: -1,
            assignments: vec![],
            configs: configs.iter().map(|(key, value)| (*key, Some(*value))).collect(),
        };
        let request = CreateTopics { topics: vec![topic], validate_only: false };
        let defaults = TopicDefaults { num_partitions: 1, replication_factor: 1 };
        let (records, answers) =
            create_topics(self.image(), &request, defaults, &AllGood, &mut || id);
        let created = answers[0].1.as_ref().unwrap();
        assert_eq!(created.id, Uuid::from_bytes(id));
        self.expect(&records);
    }

    fn alter(&mut self, resource_type: ConfigResourceType, name: &str, steps: &[(&str, &str)]) {
        let operation = |(key, value): &(&'static str, &'static str)| match *value {
            "" => ConfigOperation { key, operation: ConfigOperation::DELETE, value: None },
            _ => ConfigOperation { key, operation: ConfigOperation::SET, value: Some(value) },
        };
        let steps: Vec<(&'static str, &'static str)> =
            steps.iter().map(|(k, v)| (&*k.to_string().leak(), &*v.to_string().leak())).collect();
        let change = ConfigChange {
            resource_type: resource_type.code(),
            resource_name: name,
            operations: steps.iter().map(operation).collect(),
        };
        let (records, answers) =
            incremental_alter_configs(self.image(), &[change], false, &AllGood);
        assert_eq!(answers, [Ok(())]);
        self.expect(&records);
    }
}

impl Walk {
    fn limit(&mut self, part: (&str, Option<&str>), (key, limit): (&str, f64)) {
        let entity = vec![part];
        let request = [QuotaAlteration { entity, limits: vec![(key, Some(limit))] }];
        let (records, answers) = alter_client_quotas(self.image(), &request, false);
        assert_eq!(answers[0].1, Ok(()));
        self.expect(&records);
    }

    /// What Kafka's tool sends for a password, with the salt that it took.
    fn password(&mut self, name: &str, password: &str) {
        let taken = snapshot::read(SNAPSHOT, SNAPSHOT_ID).unwrap();
        let credential = &taken.image().scram_credentials().user(name).unwrap()[&1];
        let upsertion = ScramUpsertion {
            name,
            mechanism: 1,
            iterations: credential.iterations,
            salt: &credential.salt,
            salted_password: &salted(password, &credential.salt, credential.iterations),
        };
        let (records, answers) = alter_scram_credentials(self.image(), &[], &[upsertion]);
        assert_eq!(answers, [(name, Ok(()))]);
        self.expect(&records);
    }
}

/// PBKDF2 with HMAC-SHA-256, one block.
fn salted(password: &str, salt: &[u8], iterations: i32) -> Vec<u8> {
    let mac = |bytes: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(password.as_bytes()).unwrap();
        mac.update(bytes);
        mac.finalize().into_bytes().to_vec()
    };
    let mut round = mac(&[salt, &[0, 0, 0, 1]].concat());
    let mut sum = round.clone();
    for _ in 1..iterations {
        round = mac(&round);
        sum.iter_mut().zip(&round).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

struct AllGood;

impl ConfigRules for AllGood {
    fn key(&self, _: ConfigResourceType, _: &str) -> Option<ConfigKey> {
        None
    }

    fn validate(&self, _: &ConfigValidation<'_>) -> Result<(), Refused> {
        Ok(())
    }
}

#[test]
fn the_controller_writes_what_kafkas_wrote() {
    let replay = Replay::new(Image::empty());
    let mut walk = Walk { batches: data_batches(LOG).into_iter(), replay };
    walk.start(-1);
    walk.create("first", 3, &[("retention.ms", "86400000"), ("segment.bytes", "2000000")]);
    walk.create("second", 1, &[("min.insync.replicas", "1")]);
    walk.create("gone", 2, &[("cleanup.policy", "compact")]);

    let gone = [TopicToDelete { name: Some("gone"), id: Uuid::ZERO }];
    walk.expect(&delete_topics(walk.image(), &gone).0);
    let more = [MorePartitions { name: "second", count: 3, assignments: None }];
    walk.expect(&create_partitions(walk.image(), &more, false, &mut || [0; 16]).0);

    use ConfigResourceType::{Broker, Topic};
    walk.alter(Topic, "first", &[("max.message.bytes", "2000000"), ("segment.bytes", "")]);
    walk.alter(Broker, "", &[("log.retention.ms", "7200000")]);
    walk.alter(Broker, "1", &[("log.cleaner.threads", "2")]);
    walk.limit(("client-id", Some("c1")), ("producer_byte_rate", 1_000_000.0));
    walk.limit(("user", None), ("consumer_byte_rate", 5000.0));
    walk.password("bob", "x");
    // An ACL.
    walk.pass();
    let image = walk.image();
    let kept = image.kept().iter().count();
    let counts = (image.client_quotas().len(), image.scram_credentials().len(), kept);
    assert_eq!(counts, (2, 1, 1));

    let epoch = walk.image().brokers()[&1].epoch;
    let (records, block) = allocate_producer_ids(walk.image(), 1, epoch).unwrap();
    assert_eq!(block, ProducerIdBlock { first: 0, len: 1000 });
    walk.expect(&records);
    walk.stop();

    walk.start(epoch);
    walk.create("third", 1, &[]);
    walk.stop();

    walk.start(walk.image().brokers()[&1].epoch);
    walk.create("fourth", 1, &[]);
    walk.stop();

    // The fourth run was killed, so that the fifth finds no epoch of a clean stop.
    walk.start(walk.image().brokers()[&1].epoch);
    walk.start(-1);
    assert!(walk.batches.next().is_none());

    let mut whole = Replay::new(Image::empty());
    assert_eq!(whole.apply_batches(LOG), Ok(LOG.len()));
    assert_eq!(whole.image(), walk.image());
}

#[test]
fn the_whole_log_is_replayed() {
    let mut replay = Replay::new(Image::empty());
    assert_eq!(replay.apply_batches(LOG), Ok(LOG.len()));
    let image = replay.image();
    assert_eq!((image.offset(), replay.progress().epoch), (148, 5));
    assert_eq!(image.metadata_version(), features::METADATA_VERSION_4_3);
    assert_eq!(image.features().len(), 6);
    let names: Vec<&str> = image.topics().iter().map(|topic| &*topic.name).collect();
    assert_eq!(names, ["first", "fourth", "second", "third"]);
    assert_eq!(image.topics().partition_count(), 8);
    let partition = image.topics().partition("first", 2).unwrap();
    assert_eq!((partition.leader, &*partition.isr), (1, &[1][..]));
    assert_eq!((partition.leader_epoch, partition.leader_recovery_state), (8, 1));
    assert_eq!(
        image.configs().value(ConfigResourceType::Broker, "1", "log.cleaner.threads"),
        Some("2")
    );
    assert_eq!(image.configs().topic("gone"), None);
    assert_eq!(image.next_producer_id(), 1000);
    let broker = &image.brokers()[&1];
    assert_eq!((broker.epoch, broker.fenced, broker.is_active()), (130, false, true));
    assert_eq!(broker.endpoint("PLAINTEXT").unwrap().port, 39870);
}

#[test]
fn a_log_can_be_read_in_pieces() {
    let mut whole = Replay::new(Image::empty());
    whole.apply_batches(LOG).unwrap();
    for cut in (0..=LOG.len()).step_by(97) {
        let mut replay = Replay::new(Image::empty());
        let consumed = replay.apply_batches(&LOG[..cut]).unwrap();
        assert!(consumed <= cut);
        let before = replay.clone();
        // What is below the image's offset is passed over.
        assert_eq!(replay.apply_batches(&LOG[..consumed]), Ok(consumed));
        assert_eq!(replay.image(), before.image());
        assert_eq!(replay.apply_batches(&LOG[consumed..]), Ok(LOG.len() - consumed));
        assert_eq!(replay.image(), whole.image());
    }
}

#[test]
fn no_flipped_bit_panics() {
    for at in (0..LOG.len()).step_by(3) {
        let mut bytes = LOG.to_vec();
        bytes[at] ^= 1 << (at % 8);
        let _ = Replay::new(Image::empty()).apply_batches(&bytes);
    }
    for at in 0..SNAPSHOT.len() {
        let mut bytes = SNAPSHOT.to_vec();
        bytes[at] ^= 1 << (at % 8);
        // Base offset, epoch and magic are outside the checksum.
        let _ = snapshot::read(&bytes, SNAPSHOT_ID);
    }
}

#[test]
fn the_snapshot_is_read_and_written() {
    let replay = snapshot::read(SNAPSHOT, SNAPSHOT_ID).unwrap();
    assert_eq!(replay.offset(), 105);
    let (kafkas, header) = snapshot::read_file(SNAPSHOT).unwrap();
    assert_eq!(header.last_contained_log_timestamp, replay.progress().timestamp_ms);

    // The records are the same, though Kafka does not sort them within a kind.
    let ours = snapshot::records(replay.image());
    let sorted = |records: &Records| {
        let mut values: Vec<Vec<u8>> = records.iter().map(<[u8]>::to_vec).collect();
        values.sort();
        values
    };
    assert_eq!(sorted(&ours), sorted(&kafkas));
    let kinds = |records: &Records| {
        let mut kinds: Vec<u8> = records.iter().map(|value| value[1]).collect();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds(&ours), kinds(&kafkas));

    let (id, bytes) = snapshot::of_replay(&replay, 1_700_000_000_000).unwrap();
    assert_eq!(id, SNAPSHOT_ID);
    assert_eq!(bytes.len(), SNAPSHOT.len());
    assert_eq!(timeless(&bytes)[..83], timeless(SNAPSHOT)[..83]);
    let again = snapshot::read(&bytes, id).unwrap();
    assert_eq!(again.image(), replay.image());
    assert_eq!(again.progress(), replay.progress());
}

#[test]
fn snapshot_and_log_agree() {
    let from_snapshot = snapshot::read(SNAPSHOT, SNAPSHOT_ID).unwrap();
    let mut from_log = Replay::new(Image::empty());
    let mut end = 0;
    let mut batches = log_codec::batches(LOG);
    while let Some(batch) = batches.next_batch().unwrap() {
        if batch.last_offset() >= SNAPSHOT_ID.end_offset {
            break;
        }
        end = batches.position();
    }
    from_log.apply_batches(&LOG[..end]).unwrap();
    let (a, b) = (from_snapshot.image(), from_log.image());
    assert_eq!((a.topics(), a.controllers()), (b.topics(), b.controllers()));
    // Kafka keeps the features of a broker in a hash map.
    let brokers = |image: &Image| {
        let mut broker = (*image.brokers()[&1]).clone();
        broker.features.sort_by(|a, b| a.name.cmp(&b.name));
        broker
    };
    assert_eq!(brokers(a), brokers(b));
    assert_eq!((a.features(), a.kept()), (b.features(), b.kept()));
    assert_eq!(a.client_quotas(), b.client_quotas());
    assert_eq!(a.scram_credentials(), b.scram_credentials());
    assert_eq!(from_snapshot.progress(), from_log.progress());
    // Kafka's snapshot still has the config of the topic that was deleted; its log does not.
    let orphans = |image: &Image| image.configs().topic("gone").is_some();
    assert_eq!((orphans(a), orphans(b)), (true, false));
    assert_eq!(a.configs().iter().count(), b.configs().iter().count() + 1);

    // Both go on with the rest of the log.
    let (mut a, mut b) = (from_snapshot, from_log);
    a.apply_batches(LOG).unwrap();
    b.apply_batches(LOG).unwrap();
    assert_eq!(a.image().topics(), b.image().topics());
}

#[test]
fn a_snapshot_cut_short_is_an_error() {
    for cut in 0..SNAPSHOT.len() {
        let read = snapshot::read(&SNAPSHOT[..cut], SNAPSHOT_ID);
        assert!(matches!(read, Err(LogError::Decode(_))), "cut at {cut}");
    }
    let mut twice = SNAPSHOT.to_vec();
    twice.extend_from_slice(SNAPSHOT);
    assert!(snapshot::read(&twice, SNAPSHOT_ID).is_err());
}

#[test]
fn snapshot_names() {
    let name = "00000000000000000106-0000000003.checkpoint";
    assert_eq!(SNAPSHOT_ID.to_string(), name);
    assert_eq!(SnapshotId::from_file_name(name), Some(SNAPSHOT_ID));
    for bad in [
        "bootstrap.checkpoint",
        "106-3.checkpoint",
        "00000000000000000106-0000000003.checkpoint.part",
        "00000000000000000106-9999999999.checkpoint",
        "0000000000000000010x-0000000003.checkpoint",
        "99999999999999999999-0000000003.checkpoint",
    ] {
        assert_eq!(SnapshotId::from_file_name(bad), None, "{bad}");
    }
}
