//! Records as Kafka 4.3.1 writes them, and choices as it makes them.

use super::*;

/// What follows a timestamp in the values below is in their second halves.
fn value(before: &[u8], at_ms: i64, after: &[u8]) -> Option<Vec<u8>> {
    Some([before, &(START_MS + at_ms).to_be_bytes(), after].concat())
}

#[test]
fn the_records_of_a_groups_life() {
    let mut world = World::new();
    let protocols: &[(&str, &[u8])] = &[("range", b"meta")];
    let joining = Joining { group: "g", protocols, rebalance_ms: 10_000, ..Joining::default() };
    let (id, _) = world.enter(joining);
    assert_eq!(id, "client-00000000-0000-4000-0000-000000000001");
    world.pass(3_000);
    world.sync(&id, None, 1, &[(&id, b"assigned")]);
    world.pass(7);
    assert_eq!(world.leave(&[(&id, None)]), [ErrorCode::NONE]);
    let effects = world.shard.delete_group("g", &context(world.now_ms, 9));
    assert_eq!(world.follow(effects), ErrorCode::NONE);

    let key = b"\0\x02\0\x01g".to_vec();
    let id = b"\0\x2bclient-00000000-0000-4000-0000-000000000001";
    let stable = [&b"\0\x03\0\x08consumer\0\0\0\x01\0\x05range"[..], id].concat();
    let member = [
        &b"\0\0\0\x01"[..],
        id,
        b"\xff\xff\0\x06client\0\x0a/127.0.0.1\0\0\x27\x10\0\0\x27\x10",
        b"\0\0\0\x04meta\0\0\0\x08assigned",
    ]
    .concat();
    let expected = [
        value(b"\0\x03\0\0\0\0\0\0\xff\xff\xff\xff", 0, b"\0\0\0\0"),
        // The time is that of the state before: it becomes stable when this is in the log.
        value(&stable, 3_000, &member),
        value(b"\0\x03\0\x08consumer\0\0\0\x02\xff\xff\xff\xff", 3_007, b"\0\0\0\0"),
        None,
    ];
    let expected: Vec<_> =
        expected.into_iter().map(|value| Record { key: key.clone(), value }).collect();
    assert_eq!(world.log, expected);
}

#[test]
fn a_static_member_that_comes_back_is_written() {
    let mut world = World::new();
    let joining = Joining { instance: Some("i1"), ..Joining::default() };
    let first = world.join(joining);
    world.pass(3_000);
    let id = world.joined(first).member_id;
    world.sync(&id, Some("i1"), 1, &[(&id, b"A1")]);
    let protocols: &[(&str, &[u8])] = &[("range", b"other")];
    let again = world.join(Joining { protocols, ..joining });
    let id = world.joined(again).member_id;
    let id = [&b"\0\x27"[..], id.as_bytes()].concat();
    let before = [&b"\0\x03\0\x08consumer\0\0\0\x01\0\x05range"[..], &id].concat();
    let after = [
        &b"\0\0\0\x01"[..],
        &id,
        b"\0\x02i1\0\x06client\0\x0a/127.0.0.1\0\0\xea\x60\0\0\x27\x10",
        b"\0\0\0\x05other\0\0\0\x02A1",
    ]
    .concat();
    assert_eq!(world.log.last().unwrap().value, value(&before, 3_000, &after));
}

/// As Kafka 4.3.1 has chosen for two members that each like another one best. (Of
/// `cooperative-sticky` and `RoundRobinAssigner` it takes either: these share a place in its map.)
#[test]
fn protocols_with_as_many_votes() {
    let names = ["range", "roundrobin", "sticky", "cooperative-sticky", "foo", "bar"];
    let chosen = "range sticky range foo bar sticky roundrobin foo bar \
                  sticky foo bar foo bar bar";
    let mut chosen = chosen.split_whitespace();
    for (index, one) in names.iter().enumerate() {
        for other in &names[index + 1..] {
            let mut world = World::new();
            let ways: [&[(&str, &[u8])]; 2] =
                [&[(one, b""), (other, b"")], &[(other, b""), (one, b"")]];
            let tickets = ways.map(|protocols| {
                world.join(Joining { protocols, version: 3, ..Joining::default() })
            });
            world.pass(6_000);
            for ticket in tickets {
                assert_eq!(world.joined(ticket).protocol.as_deref(), chosen.clone().next());
            }
            chosen.next();
        }
    }
    assert_eq!(chosen.next(), None);
}

#[test]
fn all_versions_of_the_record_are_read() {
    use ottla_protocol::internal::classic_group::{GroupMetadataValue, MemberMetadata};
    use ottla_protocol::internal::value_bytes;
    let member = MemberMetadata {
        member_id: "m",
        group_instance_id: Some("i"),
        client_id: "c",
        client_host: "/h",
        rebalance_timeout: 70_000,
        session_timeout: 10_000,
        subscription: b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff",
        assignment: b"a",
    };
    let value = GroupMetadataValue {
        protocol_type: "consumer",
        generation: 5,
        protocol: Some("range"),
        leader: Some("m"),
        current_state_timestamp: 99,
        members: vec![member],
    };
    for version in 0..=4 {
        let mut world = World::new();
        let record = Record {
            key: b"\0\x02\0\x01g".to_vec(),
            value: Some(value_bytes(&value, version).unwrap()),
        };
        world.log.push(record);
        let mut world = world.restarted(GroupConfig::default());
        let group = world.group();
        assert_eq!(group.state, ClassicState::Stable);
        assert_eq!((group.generation(), group.protocol()), (5, Some("range")));
        assert_eq!(group.leader.as_deref(), Some("m"));
        assert_eq!(group.state_since_ms, (version >= 2).then_some(99));
        let member = group.members().get("m").unwrap();
        assert_eq!(member.instance_id.as_deref(), (version >= 3).then_some("i"));
        assert_eq!(member.rebalance_timeout_ms, if version >= 1 { 70_000 } else { 10_000 });
        assert_eq!((&*member.client_id, &*member.client_host), ("c", "/h"));
        assert_eq!(&*member.assignment, b"a");
        assert!(group.subscribed_topics.as_ref().unwrap().contains("t"));
        // It must be heard of within its session timeout.
        world.pass(9_999);
        assert_eq!(world.group().members().len(), 1);
        world.pass(1);
        assert_eq!(world.state(), ClassicState::Empty);
        assert_eq!(world.group().generation(), 6);
        world.log.push(Record { key: b"\0\x02\0\x01g".to_vec(), value: None });
        assert_eq!(world.restarted(GroupConfig::default()).shard.group_count(), 0);
    }
}

#[test]
fn records_that_are_cut_short_or_make_no_sense() {
    let mut world = World::new();
    world.stable(2);
    let record = world.log.last().unwrap();
    let value = record.value.as_deref().unwrap();
    let origin = Origin { offset: 0, producer: None };
    for cut in 0..value.len() {
        let mut shard = GroupShard::new(Arc::default());
        assert!(shard.replay(&record.key, Some(&value[..cut]), &origin).is_err(), "{cut}");
        assert_eq!(shard.group_count(), 0);
    }
    for cut in 0..record.key.len() {
        assert!(world.shard.replay(&record.key[..cut], None, &origin).is_err(), "{cut}");
    }
    // A leader who is no member, members without a protocol.
    let value = b"\0\x03\0\x08consumer\0\0\0\x01\xff\xff\0\x01x\0\0\0\0\0\0\0\0\
        \0\0\0\x01\0\x01m\xff\xff\0\0\0\0\0\0\x27\x10\0\0\x27\x10\0\0\0\0\0\0\0\0";
    let mut world = World::new();
    world.log.push(Record { key: b"\0\x02\0\x01g".to_vec(), value: Some(value.to_vec()) });
    let mut world = world.restarted(GroupConfig::default());
    assert_eq!(world.group().leader.as_deref(), Some("m"));
    let refused = world.join(Joining { id: "m", ..Joining::default() });
    assert_eq!(world.joined(refused).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    world.pass(10_000);
    assert_eq!(world.state(), ClassicState::Empty);
}
