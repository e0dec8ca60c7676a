//! Byte by byte what Kafka 4.3.1 wrote into `__consumer_offsets` for its own Java client: a broker
//! of one node without a rack, topics `t` with three partitions and `u` with two, clients named
//! after their members. Keys and values are in hexadecimal; no value is a tombstone. Topics
//! within a record were put into the order of their ids: Kafka has that of a hash map.

use ottla_protocol::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest as Request;
use ottla_protocol::uuid::Uuid;

use super::world::*;
use crate::effects::Effects;
use crate::group::config::GroupConfig;
use crate::record::{Origin, Record};

/// Group `g`: `a` joins, static member `b` joins, `a` follows, `b` goes for a while, `a` leaves.
const TWO_MEMBERS: &[(&str, &str)] = &[
    (
        "000500016700164b3164342d685674544a2d6a455563386f33374a6877",
        "0000000002610b2f3132372e302e302e3102027401000493e00001000100",
    ),
    ("0003000167", "00000000000201000840f01f8ee1c20378"),
    (
        "000700016700164b3164342d685674544a2d6a455563386f33374a6877",
        "0000021c0fc053594f421c9b6f5f1542e0808d040000000000000001000000020000",
    ),
    ("0006000167", "000000000002010008000001a214075ce6"),
    (
        "000800016700164b3164342d685674544a2d6a455563386f33374a6877",
        "0000000000020000000000021c0fc053594f421c9b6f5f1542e0808d040000000000000001000000\
         0201000d040000000200000002000000020100",
    ),
    (
        "00050001670016684c544767594c35534b576653727771306276345f67",
        "00000369310002620b2f3132372e302e302e31030274027501000493e00001000100",
    ),
    ("0003000167", "0000000000030100085d1176650e3a9641"),
    (
        "00070001670016684c544767594c35534b576653727771306276345f67",
        "0000020c10ddc493f84f67a37c41b2fb14d2e90300000000000000010000",
    ),
    ("0006000167", "000000000003010008000001a214076940"),
    (
        "00080001670016684c544767594c35534b576653727771306276345f67",
        "0000000000030000000000020c10ddc493f84f67a37c41b2fb14d2e9030000000000000001010009\
         0300000003000000030100",
    ),
    (
        "000800016700164b3164342d685674544a2d6a455563386f33374a6877",
        "0000000000030000000200021c0fc053594f421c9b6f5f1542e0808d040000000000000001000000\
         0201000d040000000200000002000000020100",
    ),
    (
        "00080001670016684c544767594c35534b576653727771306276345f67",
        "0000fffffffe0000000000020c10ddc493f84f67a37c41b2fb14d2e9030000000000000001010009\
         0300000000000000000100",
    ),
    ("000800016700164b3164342d685674544a2d6a455563386f33374a6877", ""),
    ("000700016700164b3164342d685674544a2d6a455563386f33374a6877", ""),
    ("000500016700164b3164342d685674544a2d6a455563386f33374a6877", ""),
    ("0003000167", "0000000000040100085d1176650e3a9641"),
];

/// Group `r`: joins with `t|u`, takes `u.*` instead when topic `ut` has come, leaves.
const REGEX: &[(&str, &str)] = &[
    (
        "00050001720016754e4a336454366a54442d445a66656d6e7352527067",
        "0000000002720b2f3132372e302e302e310104747c75000493e00001000100",
    ),
    ("00080001720016754e4a336454366a54442d445a66656d6e7352527067", "0000000000010000000000010100"),
    ("00100001720003747c75", "000003027402750000000000000057000001a21407a73a00"),
    ("0003000172", "0000000000020100085d1176650e3a9641"),
    (
        "00070001720016754e4a336454366a54442d445a66656d6e7352527067",
        "0000030c10ddc493f84f67a37c41b2fb14d2e9030000000000000001001c0fc053594f421c9b6f5f\
         1542e0808d040000000000000001000000020000",
    ),
    ("0006000172", "000000000002010008000001a21407a7a5"),
    (
        "00080001720016754e4a336454366a54442d445a66656d6e7352527067",
        "0000000000020000000100030c10ddc493f84f67a37c41b2fb14d2e9030000000000000001010009\
         0300000002000000021c0fc053594f421c9b6f5f1542e0808d040000000000000001000000020100\
         0d040000000200000002000000020100",
    ),
    (
        "00050001720016754e4a336454366a54442d445a66656d6e7352527067",
        "0000000002720b2f3132372e302e302e310104752e2a000493e00001000100",
    ),
    ("00100001720003747c75", ""),
    (
        "00080001720016754e4a336454366a54442d445a66656d6e7352527067",
        "000000000002000000020101030c10ddc493f84f67a37c41b2fb14d2e90300000000000000010100\
         090300000002000000021c0fc053594f421c9b6f5f1542e0808d0400000000000000010000000201\
         000d0400000002000000020000000200",
    ),
    ("00100001720003752e2a", "0000030275037574000000000000006f000001a21407cfa300"),
    ("0003000172", "00000000000301000895008550625642c0"),
    (
        "00070001720016754e4a336454366a54442d445a66656d6e7352527067",
        "0000030c10ddc493f84f67a37c41b2fb14d2e903000000000000000100180d240c4c4b4a58844d68\
         b0d1b48ae702000000000000",
    ),
    ("0006000172", "000000000003010008000001a21407cfd2"),
    (
        "00080001720016754e4a336454366a54442d445a66656d6e7352527067",
        "0000000000030000000200030c10ddc493f84f67a37c41b2fb14d2e9030000000000000001010009\
         030000000300000003180d240c4c4b4a58844d68b0d1b48ae7020000000001000502000000030100",
    ),
    ("00080001720016754e4a336454366a54442d445a66656d6e7352527067", ""),
    ("00070001720016754e4a336454366a54442d445a66656d6e7352527067", ""),
    ("00050001720016754e4a336454366a54442d445a66656d6e7352527067", ""),
    ("00100001720003752e2a", ""),
    ("0003000172", "00000000000400"),
];

/// Group `m`: a classic group of `c1`.
const CLASSIC: &[(&str, &str)] = &[(
    "000200016d",
    "00030008636f6e73756d657200000001000572616e6765002763312d66313930356136372d656632\
         362d346565342d613833622d633534393633376265663265000001a21408097c0000000100276331\
         2d66313930356136372d656632362d346565342d613833622d633534393633376265663265ffff00\
         026331000a2f3132372e302e302e31000493e00000afc800000017000300000001000174ffffffff\
         00000000ffffffffffff0000001d00030000000100017400000003000000000000000100000002ff\
         ffffff",
)];

/// `c2` joins it with the consumer protocol.
const UPGRADE: &[(&str, &str)] = &[
    ("000200016d", ""),
    (
        "000500016d002763312d66313930356136372d656632362d346565342d613833622d633534393633\
         376265663265",
        "000000000363310b2f3132372e302e302e3102027401000493e000010056010000afc8030672616e\
         676518000300000001000174ffffffff00000000ffffffffffff0013636f6f70657261746976652d\
         737469636b791c00030000000100017400000004ffffffff00000000ffffffffffff0000",
    ),
    ("000300016d", "00000000000101000840f01f8ee1c20378"),
    (
        "000700016d002763312d66313930356136372d656632362d346565342d613833622d633534393633\
         376265663265",
        "0000021c0fc053594f421c9b6f5f1542e0808d040000000000000001000000020000",
    ),
    ("000600016d", "00000000000100"),
    (
        "000800016d002763312d66313930356136372d656632362d346565342d613833622d633534393633\
         376265663265",
        "0000000000010000000100021c0fc053594f421c9b6f5f1542e0808d040000000000000001000000\
         0201000d040000000100000001000000010100",
    ),
    (
        "000500016d0016517562624572416252704f687831646a755654346567",
        "000000000363320b2f3132372e302e302e3102027401000493e00001000100",
    ),
    ("000300016d", "00000000000201000840f01f8ee1c20378"),
    (
        "000700016d002763312d66313930356136372d656632362d346565342d613833622d633534393633\
         376265663265",
        "0000021c0fc053594f421c9b6f5f1542e0808d0300000000000000010000",
    ),
    (
        "000700016d0016517562624572416252704f687831646a755654346567",
        "0000021c0fc053594f421c9b6f5f1542e0808d02000000020000",
    ),
    ("000600016d", "000000000002010008000001a21408187c"),
    ("000800016d0016517562624572416252704f687831646a755654346567", "0000000000020000000002010100"),
];

/// Both come to their partitions.
const BETWEEN: &[(&str, &str)] = &[
    ("000800016d0016517562624572416252704f687831646a755654346567", "0000000000020000000202010100"),
    (
        "000500016d002763312d66313930356136372d656632362d346565342d613833622d633534393633\
         376265663265",
        "000000000363310b2f3132372e302e302e3102027401000493e000010056010000afc8030672616e\
         676518000300000001000174ffffffff0000000000000001ffff0013636f6f70657261746976652d\
         737469636b791c00030000000100017400000004ffffffff0000000000000001ffff0000",
    ),
    (
        "000800016d002763312d66313930356136372d656632362d346565342d613833622d633534393633\
         376265663265",
        "0000000000020000000100021c0fc053594f421c9b6f5f1542e0808d030000000000000001010009\
         0300000001000000010100",
    ),
    (
        "000800016d0016517562624572416252704f687831646a755654346567",
        "0000000000020000000200021c0fc053594f421c9b6f5f1542e0808d020000000201000502000000\
         020100",
    ),
];

/// `c2` leaves.
const DOWNGRADE: &[(&str, &str)] = &[
    ("000800016d0016517562624572416252704f687831646a755654346567", ""),
    (
        "000800016d002763312d66313930356136372d656632362d346565342d613833622d633534393633\
         376265663265",
        "",
    ),
    ("000700016d0016517562624572416252704f687831646a755654346567", ""),
    (
        "000700016d002763312d66313930356136372d656632362d346565342d613833622d633534393633\
         376265663265",
        "",
    ),
    ("000600016d", ""),
    ("000500016d0016517562624572416252704f687831646a755654346567", ""),
    (
        "000500016d002763312d66313930356136372d656632362d346565342d613833622d633534393633\
         376265663265",
        "",
    ),
    ("000400016d", ""),
    ("000300016d", ""),
    (
        "000200016d",
        "00030008636f6e73756d657200000002000572616e6765002763312d66313930356136372d656632\
         362d346565342d613833622d633534393633376265663265000001a2140856dc0000000100276331\
         2d66313930356136372d656632362d346565342d613833622d633534393633376265663265ffff00\
         026331000a2f3132372e302e302e31000493e00000afc800000017000300000001000174ffffffff\
         0000000000000001ffff00000019000300000001000174000000020000000000000001ffffffff",
    ),
];

const A: &str = "K1d4-hVtTJ-jEUc8o37Jhw";
const B: &str = "hLTGgYL5SKWfSrwq0bv4_g";
const R: &str = "uNJ3dT6jTD-DZfemnsRRpg";
const C1: &str = "c1-f1905a67-ef26-4ee4-a83b-c549637bef2e";
const C2: &str = "QubbErAbRpOhx1djuVT4eg";

const T: Uuid = Uuid::from_u64s(0x1c0f_c053_594f_421c, 0x9b6f_5f15_42e0_808d);
const U: Uuid = Uuid::from_u64s(0x0c10_ddc4_93f8_4f67, 0xa37c_41b2_fb14_d2e9);
const UT: Uuid = Uuid::from_u64s(0x180d_240c_4c4b_4a58, 0x844d_68b0_d1b4_8ae7);

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn record((key, value): &(&str, &str)) -> Record {
    Record { key: bytes(key), value: (!value.is_empty()).then(|| bytes(value)) }
}

fn world() -> World {
    let mut world = World::new(GroupConfig::default());
    world.topics.put_with_id("t", T, 3);
    world.topics.put_with_id("u", U, 2);
    world
}

/// Compares what was written from `first` on. Within a run of records of one kind Kafka has the
/// order of a hash map, which is of no account.
fn assert_written(world: &World, first: usize, expected: &[(&str, &str)]) {
    let sorted = |records: Vec<Record>| {
        let mut texts: Vec<(String, String)> = records
            .iter()
            .map(|record| (hex(&record.key), record.value.as_deref().map_or_else(String::new, hex)))
            .collect();
        for run in texts.chunk_by_mut(|one, other| one.0[..4] == other.0[..4]) {
            run.sort();
        }
        texts
    };
    let written = sorted(world.log[first..].to_vec());
    let expected = sorted(expected.iter().map(record).collect());
    for (index, pair) in written.iter().zip(&expected).enumerate() {
        assert_eq!(pair.0, pair.1, "record {index}");
    }
    assert_eq!(written.len(), expected.len());
}

fn load(world: &mut World, records: &[(&str, &str)]) {
    for (offset, row) in (0..).zip(records) {
        let record = record(row);
        let origin = Origin { offset, producer: None };
        world.shard.replay(&record.key, record.value.as_deref(), &origin).unwrap();
    }
}

#[test]
fn two_members_join_and_leave() {
    let mut world = world();
    let (first_ms, second_ms) = (0x01a2_1407_5ce6, 0x01a2_1407_6940);
    world.heartbeat_at(first_ms, "a", &join(A, &["t"]));
    let named = |request| Request { instance_id: Some("i1"), ..request };
    world.heartbeat_at(second_ms, "b", &named(join(B, &["u", "t"])));
    world.heartbeat_at(second_ms, "a", &beat(A, 2));
    world.heartbeat_at(second_ms, "b", &named(beat(B, -2)));
    world.heartbeat_at(second_ms, "a", &beat(A, -1));
    assert_written(&world, 0, TWO_MEMBERS);
}

#[test]
fn a_regular_expression_and_another() {
    let mut world = world();
    let regex = |pattern| Request {
        group_id: "r",
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(pattern),
        ..join(R, &[])
    };
    let r = |request| Request { group_id: "r", ..request };
    world.topics.set_version(0x57);
    world.heartbeat_at(0x01a2_1407_a73a, "r", &regex("t|u"));
    world.tick();
    world.heartbeat_at(0x01a2_1407_a7a5, "r", &r(beat(R, 1)));
    world.topics.put_with_id("ut", UT, 1);
    world.topics.set_version(0x6f);
    let other = Request { member_epoch: 2, topic_partitions: None, ..regex("u.*") };
    world.heartbeat_at(0x01a2_1407_c000, "r", &other);
    world.heartbeat_at(0x01a2_1407_cfa3, "r", &r(beat(R, 2)));
    world.tick();
    world.heartbeat_at(0x01a2_1407_cfd2, "r", &r(owning(R, 2, &[])));
    world.heartbeat_at(0x01a2_1407_cfd2, "r", &r(beat(R, -1)));
    assert_written(&world, 0, REGEX);
}

#[test]
fn a_classic_group_becomes_a_consumer_group() {
    let mut world = world();
    load(&mut world, CLASSIC);
    let request = Request { group_id: "m", ..join(C2, &["t"]) };
    let answer = world.heartbeat_at(0x01a2_1408_187c, "c2", &request);
    assert_eq!((answer.member_epoch, answer.assignment), (2, Some(Vec::new())));
    // The record of the classic group names its chosen protocol only; Kafka had the other one,
    // cooperative-sticky, in memory.
    let known = UPGRADE.iter().filter(|(key, value)| {
        !(key.starts_with("0005") && value.contains("636f6f7065726174697665"))
    });
    let known: Vec<_> = known.copied().collect();
    assert_eq!(known.len() + 1, UPGRADE.len());
    let place = world.kinds(0).iter().position(|kind| *kind == 5).unwrap();
    world.log.remove(place);
    assert_written(&world, 0, &known);
}

#[test]
fn a_consumer_group_becomes_a_classic_one() {
    let mut world = world();
    for records in [CLASSIC, UPGRADE, BETWEEN] {
        load(&mut world, records);
    }
    world.event(|shard, cx| {
        assert!(shard.loaded(cx).is_empty());
        Effects::response(())
    });
    let leave = Request { group_id: "m", ..beat(C2, -1) };
    world.heartbeat_at(0x01a2_1408_56dc, "c2", &leave);
    // Kafka names the member that is left as the leader, behind the protocol's name.
    let kafkas = format!("{}0027{}", hex(b"range"), hex(C1.as_bytes()));
    let ours = format!("{}ffff", hex(b"range"));
    let values: Vec<String> =
        DOWNGRADE.iter().map(|(_, value)| value.replace(&kafkas, &ours)).collect();
    assert_eq!(values.iter().zip(DOWNGRADE).filter(|(one, (_, other))| one != other).count(), 1);
    let keys = DOWNGRADE.iter().map(|(key, _)| *key);
    let expected: Vec<_> = keys.zip(values.iter().map(String::as_str)).collect();
    assert_written(&world, 0, &expected);
    let described = world.shard.describe_classic("m", 6);
    assert_eq!((described.group_state, described.members.len()), ("PreparingRebalance", 1));
}
