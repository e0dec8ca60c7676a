//! A log of Apache Kafka 4.3.1 whose voters are in it: replayed whole, from each of its offsets
//! through a snapshot of ours, and compared with Kafka's own snapshot of the same records.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ottla_metadata::controller::Records;
use ottla_metadata::features;
use ottla_metadata::image::Image;
use ottla_metadata::log_codec;
use ottla_metadata::quorum::Quorum;
use ottla_metadata::replay::Replay;
use ottla_metadata::snapshot::{self, SnapshotId};
use ottla_protocol::metadata::MetadataRecord;
use ottla_protocol::metadata::cluster::BeginTransactionRecord;
use ottla_protocol::metadata::security::{
    AccessControlEntryRecord, DelegationTokenRecord, RemoveAccessControlEntryRecord,
    RemoveDelegationTokenRecord,
};
use ottla_protocol::uuid::Uuid;
use proptest::prelude::*;

const FORMATTED: &[u8] = include_bytes!("golden/standalone-snapshot-0-0.bin");
const LOG: &[u8] = include_bytes!("golden/standalone-log.bin");
const SNAPSHOT: &[u8] = include_bytes!("golden/standalone-snapshot-175-1.bin");
const SNAPSHOT_ID: SnapshotId = SnapshotId { end_offset: 175, epoch: 1 };
const NOW_MS: i64 = 1_700_000_000_000;

/// Where each batch of the log ends, bytes, and the offset after it.
fn batch_ends() -> Vec<(usize, i64)> {
    let mut batches = log_codec::batches(LOG);
    let mut ends = vec![];
    while let Some(batch) = batches.next_batch().unwrap() {
        ends.push((batches.position(), batch.last_offset() + 1));
    }
    ends
}

fn replayed(bytes: &[u8]) -> Replay {
    let formatted = SnapshotId { end_offset: 0, epoch: 0 };
    let mut replay = snapshot::read(FORMATTED, formatted).unwrap();
    assert_eq!(replay.apply_batches(bytes).unwrap(), bytes.len());
    replay
}

/// The records, and the features of a node, in one order: Kafka's is that of its hash tables.
fn sorted(records: &Records) -> Vec<Vec<u8>> {
    let sort = |value: &[u8]| {
        let (mut record, version) = MetadataRecord::read(value).unwrap();
        match &mut record {
            MetadataRecord::RegisterBroker(record) => record.features.sort_by_key(|f| f.name),
            MetadataRecord::RegisterController(record) => record.features.sort_by_key(|f| f.name),
            _ => {}
        }
        record.to_bytes(version).unwrap()
    };
    let mut values: Vec<Vec<u8>> = records.iter().map(sort).collect();
    values.sort_unstable();
    values
}

#[test]
fn the_voter_and_the_levels_are_known() {
    let replay = replayed(LOG);
    let quorum = Quorum::of(&replay.progress().quorum).unwrap();
    assert_eq!(quorum.kraft_version, 1);
    let [voter] = &*quorum.voters.unwrap() else { panic!("one voter") };
    assert_eq!(voter.id, 7);
    assert_eq!(voter.endpoints, ["CONTROLLER://127.0.0.1:29493"]);
    assert_eq!(features::unknown_levels(replay.image(), quorum.kraft_version), []);
    assert!(replay.image().kept().unknown_kinds().is_empty());
}

#[test]
fn our_snapshot_has_the_records_of_kafkas() {
    let (end, _) = *batch_ends().iter().find(|(_, next)| *next == 175).unwrap();
    let (id, ours) = snapshot::of_replay(&replayed(&LOG[..end]), NOW_MS).unwrap();
    assert_eq!(id, SNAPSHOT_ID);
    let (ours, our_header) = snapshot::read_file(&ours).unwrap();
    let (kafkas, kafkas_header) = snapshot::read_file(SNAPSHOT).unwrap();
    assert!(sorted(&ours) == sorted(&kafkas));
    assert_eq!(our_header, kafkas_header);
    // The kinds come in Kafka's order, if a topic's record is taken with its partitions.
    let outline = |records: &Records| {
        let kind = |value: &[u8]| MetadataRecord::read(value).unwrap().0.api_key();
        let mut kinds: Vec<i16> = records.iter().map(kind).filter(|kind| *kind != 3).collect();
        kinds.dedup();
        kinds
    };
    assert_eq!(outline(&ours), outline(&kafkas));
}

#[test]
fn a_snapshot_at_any_batch_and_the_rest_make_the_same_image() {
    let whole = replayed(LOG);
    for (end, next_offset) in batch_ends() {
        let until = replayed(&LOG[..end]);
        let Some((id, bytes)) = snapshot::of_replay(&until, NOW_MS) else {
            assert!(until.open_transaction().is_some());
            continue;
        };
        assert_eq!(id.end_offset, next_offset);
        let mut replay = snapshot::read(&bytes, id).unwrap();
        replay.apply_batches(LOG).unwrap();
        assert_eq!(replay.image(), whole.image(), "snapshot at {next_offset}");
        assert_eq!(replay.progress(), whole.progress(), "snapshot at {next_offset}");
    }
}

/// A change of what is carried along, and of transactions around it.
#[derive(Clone, Debug)]
enum Step {
    Acl(u8, String),
    RemoveAcl(u8),
    Token(u8, i64),
    RemoveToken(u8),
    /// An ACL with a tagged field that nobody knows yet.
    Tagged(u8, Vec<u8>),
    Begin,
    End,
    Abort,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..4_u8, "[a-z]{0,8}").prop_map(|(id, name)| Step::Acl(id, name)),
        (0..4_u8).prop_map(Step::RemoveAcl),
        (0..4_u8, any::<i64>()).prop_map(|(id, at)| Step::Token(id, at)),
        (0..4_u8).prop_map(Step::RemoveToken),
        (0..4_u8, prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(id, bytes)| Step::Tagged(id, bytes)),
        Just(Step::Begin),
        Just(Step::End),
        Just(Step::Abort),
    ];
    prop::collection::vec(step, 0..40)
}

fn acl(id: u8, name: &str) -> Vec<u8> {
    let record = AccessControlEntryRecord {
        id: Uuid::from_bytes([id + 1; 16]),
        resource_type: 2,
        resource_name: name,
        pattern_type: 3,
        principal: "User:a",
        host: "*",
        operation: 3,
        permission_type: 3,
    };
    MetadataRecord::from(record).to_bytes(0).unwrap()
}

/// The records of the steps that can follow each other.
fn values(steps: &[Step]) -> Vec<Vec<u8>> {
    let mut is_open = false;
    let mut values = vec![];
    for step in steps {
        let token = |id: &u8| format!("token-{id}");
        let record = |record: MetadataRecord<'_>| record.to_bytes(0).unwrap();
        values.push(match step {
            Step::Acl(id, name) => acl(*id, name),
            Step::RemoveAcl(id) => {
                let id = Uuid::from_bytes([id + 1; 16]);
                record(RemoveAccessControlEntryRecord { id }.into())
            }
            Step::Token(id, at) => record(
                DelegationTokenRecord {
                    token_id: &token(id),
                    issue_timestamp: *at,
                    ..DelegationTokenRecord::default()
                }
                .into(),
            ),
            Step::RemoveToken(id) => {
                record(RemoveDelegationTokenRecord { token_id: &token(id) }.into())
            }
            Step::Tagged(id, bytes) => {
                let mut value = acl(*id, "t");
                // The count of tagged fields is last: one of number 77.
                *value.last_mut().unwrap() = 1;
                value.extend([77, bytes.len() as u8]);
                value.extend(bytes);
                value
            }
            Step::Begin if !is_open => {
                is_open = true;
                record(BeginTransactionRecord::default().into())
            }
            Step::End | Step::Abort if is_open => {
                is_open = false;
                vec![1, if matches!(step, Step::End) { 24 } else { 25 }, 0, 0]
            }
            Step::Begin | Step::End | Step::Abort => continue,
        });
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_carried_along_survives_a_snapshot_at_any_place(steps in steps()) {
        let values = values(&steps);
        let mut whole = Replay::new(Image::empty());
        let mut snapshots = vec![];
        for (value, offset) in values.iter().zip(0..) {
            whole.apply_value(value, offset).unwrap();
            snapshots.extend(snapshot::of_replay(&whole, NOW_MS));
        }
        for (id, bytes) in snapshots {
            let mut replay = snapshot::read(&bytes, id).unwrap();
            for (value, offset) in values.iter().zip(0..).skip(id.end_offset as usize) {
                replay.apply_value(value, offset).unwrap();
            }
            prop_assert_eq!(replay.image(), whole.image());
        }
    }

    #[test]
    fn a_kept_record_is_the_bytes_that_were_read(
        id in 0..4_u8,
        bytes in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let value = values(&[Step::Tagged(id, bytes)]).remove(0);
        let mut replay = Replay::new(Image::empty());
        replay.apply_value(&value, 0).unwrap();
        let records = snapshot::records(replay.image());
        prop_assert!(records.iter().any(|record| record == value));
    }
}
