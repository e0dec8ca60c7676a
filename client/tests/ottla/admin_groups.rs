//! Groups, against a broker in the same process.

use std::io::{Read, Write};
use std::net::TcpStream;

use ottla_client::{
    AclOperation, Admin, CommittedOffset, GroupDescription, GroupFilter, GroupKind, GroupMember,
    NewTopic, TopicPartition,
};
use ottla_protocol::header::{RequestHeader, ResponseHeader};
use ottla_protocol::internal::consumer_protocol::{
    AssignedTopicPartition, ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use ottla_protocol::messages::Request;
use ottla_protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use ottla_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use ottla_protocol::messages::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};
use ottla_protocol::wire::{Message, Reader, Writer};

use crate::site::Site;

fn offset(partition: i32, offset: i64) -> CommittedOffset {
    CommittedOffset {
        topic: "t".to_owned(),
        partition,
        offset,
        leader_epoch: Some(0),
        metadata: "by hand".to_owned(),
    }
}

/// Groups `g` and `h` with offsets and without members.
fn groups(site: &Site) -> Admin {
    let admin = site.admin();
    admin.create_topics(&[NewTopic::new("t").partitions(3)]).unwrap();
    for group in ["g", "h"] {
        let offsets = [offset(2, 7), offset(0, 5)];
        let results = admin.alter_consumer_group_offsets(group, &offsets).unwrap();
        let partitions: Vec<_> = results.iter().map(|(at, _)| at.partition).collect();
        assert_eq!(partitions, [2, 0]);
        assert!(results.iter().all(|(_, result)| result.is_ok()), "{results:?}");
    }
    admin
}

#[test]
fn offsets_of_groups_are_set_read_and_deleted() {
    let site = Site::new();
    let admin = groups(&site);
    assert_eq!(admin.committed_offsets("g").unwrap(), [offset(0, 5), offset(2, 7)]);
    let results = admin.committed_offsets_of(&["h", "nobody", "g"]).unwrap();
    let counts: Vec<_> =
        results.iter().map(|(group, of)| (&**group, of.as_ref().unwrap().len())).collect();
    assert_eq!(counts, [("h", 2), ("nobody", 0), ("g", 2)]);

    let unknown = CommittedOffset { topic: "nothing".to_owned(), ..offset(0, 5) };
    let results = admin.alter_consumer_group_offsets("g", &[unknown, offset(1, 6)]).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "nothing-0, group g: UNKNOWN_TOPIC_OR_PARTITION (3)");
    assert!(results[1].1.is_ok());

    let partitions = [TopicPartition::new("t", 2), TopicPartition::new("t", 1)];
    let results = admin.delete_consumer_group_offsets("g", &partitions).unwrap();
    assert!(results.iter().all(|(_, result)| result.is_ok()), "{results:?}");
    assert_eq!(admin.committed_offsets("g").unwrap(), [offset(0, 5)]);
    let error = admin.delete_consumer_group_offsets("nobody", &partitions).unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("GROUP_ID_NOT_FOUND"));
    assert_eq!(error.group(), Some("nobody"));
}

#[test]
fn groups_are_listed_as_a_filter_says_and_deleted() {
    let site = Site::new();
    let admin = groups(&site);
    let ids = |filter: &GroupFilter| {
        let groups = admin.find_groups(filter).unwrap();
        groups.into_iter().map(|group| group.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&GroupFilter::new()), ["g", "h"]);
    assert_eq!(ids(&GroupFilter::new().states(&["Empty"])), ["g", "h"]);
    assert!(ids(&GroupFilter::new().states(&["Stable"])).is_empty());
    assert_eq!(ids(&GroupFilter::new().kinds(&["classic"])), ["g", "h"]);
    assert!(ids(&GroupFilter::new().kinds(&["consumer"]).states(&["Empty"])).is_empty());
    let results = admin.delete_groups(&["nobody", "h"]).unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "group nobody: GROUP_ID_NOT_FOUND (69)");
    assert!(results[1].1.is_ok());
    assert_eq!(ids(&GroupFilter::new()), ["g"]);
}

/// A request, and the answer's body.
fn raw<'a, R: Request<'a>>(stream: &mut TcpStream, request: &R, version: i16) -> Vec<u8> {
    let mut writer = Writer::on(vec![0; 4]);
    let header = RequestHeader {
        api_key: R::API_KEY.as_i16(),
        api_version: version,
        correlation_id: 1,
        client_id: Some("by-hand"),
    };
    header.write(&mut writer).unwrap();
    request.encode(&mut writer, version).unwrap();
    let mut frame = writer.finish().bytes;
    let length = frame.len() as u32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    stream.write_all(&frame).unwrap();
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut answer).unwrap();
    let mut reader = Reader::new(&answer);
    ResponseHeader::read(&mut reader, R::API_KEY, version).unwrap();
    reader.remaining().to_vec()
}

/// Has a static member join a classic group; answers its id.
fn join_classic(site: &Site, group: &str, protocol: (&str, &[u8], &[u8])) -> String {
    let mut stream = TcpStream::connect(site.address).unwrap();
    let (protocol_type, metadata, assignment) = protocol;
    let join = JoinGroupRequest {
        group_id: group,
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        group_instance_id: Some("i-1"),
        protocol_type,
        protocols: vec![JoinGroupRequestProtocol { name: "range", metadata }],
        ..Default::default()
    };
    let answer = raw(&mut stream, &join, 5);
    let joined = JoinGroupResponse::from_bytes(&answer, 5).unwrap();
    assert!(joined.error_code.is_none(), "{joined:?}");
    let sync = SyncGroupRequest {
        group_id: group,
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        group_instance_id: Some("i-1"),
        assignments: vec![SyncGroupRequestAssignment { member_id: joined.member_id, assignment }],
        ..Default::default()
    };
    let answer = raw(&mut stream, &sync, 3);
    assert!(SyncGroupResponse::from_bytes(&answer, 3).unwrap().error_code.is_none());
    joined.member_id.to_owned()
}

/// The bytes of a protocol of consumers, behind their version.
fn protocol<'a>(message: &impl Message<'a>) -> Vec<u8> {
    let mut writer = Writer::on(vec![0, 1]);
    message.encode(&mut writer, 1).unwrap();
    writer.finish().bytes
}

fn described(admin: &Admin, group: &str) -> GroupDescription {
    admin.describe_groups(&[group]).unwrap().remove(0).1.unwrap()
}

#[test]
fn classic_groups_are_described_and_their_members_removed() {
    let site = Site::new();
    let admin = groups(&site);
    let subscription = protocol(&ConsumerProtocolSubscription {
        topics: vec!["t"],
        ..ConsumerProtocolSubscription::default()
    });
    let assignment = protocol(&ConsumerProtocolAssignment {
        assigned_partitions: vec![AssignedTopicPartition { topic: "t", partitions: vec![2, 0] }],
        ..ConsumerProtocolAssignment::default()
    });
    let id = join_classic(&site, "c", ("consumer", &subscription, &assignment));
    join_classic(&site, "connect", ("connect", b"\0\0\0\0\0\0", b"\0\0\0\0"));

    let group = described(&admin, "c");
    assert_eq!((group.kind, group.coordinator, group.epoch), (GroupKind::Classic, 1, None));
    let texts = (&*group.state, &*group.protocol_type, &*group.assignor);
    assert_eq!(texts, ("Stable", "consumer", "range"));
    let member = &group.members[0];
    assert_eq!((&member.id, member.instance_id.as_deref()), (&id, Some("i-1")));
    assert_eq!((&*member.client_id, &*member.host), ("by-hand", "/127.0.0.1"));
    assert_eq!(member.topics, ["t"]);
    let expected = [TopicPartition::new("t", 0), TopicPartition::new("t", 2)];
    assert_eq!(member.assignment.as_deref(), Some(&expected[..]));
    assert_eq!((member.epoch, &member.target_assignment), (None, &None));
    let operations = group.authorized_operations.unwrap();
    assert!(operations.contains(&AclOperation::Read), "{operations:?}");
    // What is not of consumers is not read as if it were.
    let connect = described(&admin, "connect");
    assert_eq!(
        (connect.members[0].assignment.as_ref(), connect.members[0].topics.len()),
        (None, 0)
    );
    // One of offsets only has no members.
    let group = described(&admin, "g");
    assert_eq!((&*group.state, group.members.len()), ("Empty", 0));

    let members = [GroupMember::Id("nobody".to_owned()), GroupMember::InstanceId("i-1".to_owned())];
    let results = admin.remove_members_from_group("c", &members, "a test").unwrap();
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "group c: UNKNOWN_MEMBER_ID (25): member nobody");
    assert!(results[1].1.is_ok());
    assert_eq!(described(&admin, "c").state, "Empty");
}

#[test]
fn consumer_groups_are_described_beside_classic_ones() {
    let site = Site::new();
    let admin = groups(&site);
    let mut stream = TcpStream::connect(site.address).unwrap();
    let heartbeat = ConsumerGroupHeartbeatRequest {
        group_id: "new",
        member_id: "member-1",
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec!["t"]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let answer = raw(&mut stream, &heartbeat, 1);
    let joined = ConsumerGroupHeartbeatResponse::from_bytes(&answer, 1).unwrap();
    assert!(joined.error_code.is_none(), "{joined:?}");

    let mut results = admin.describe_groups(&["g", "nobody", "new"]).unwrap();
    let error = results[1].1.as_ref().unwrap_err();
    assert_eq!(error.code().unwrap().name(), Some("GROUP_ID_NOT_FOUND"));
    assert_eq!(error.group(), Some("nobody"));
    assert_eq!(results[0].1.as_ref().unwrap().kind, GroupKind::Classic);
    let group = results.remove(2).1.unwrap();
    assert_eq!((group.kind, &*group.assignor), (GroupKind::Consumer, "uniform"));
    let epoch = Some(joined.member_epoch);
    assert_eq!((group.epoch, group.assignment_epoch), (epoch, epoch));
    let member = &group.members[0];
    assert_eq!((&*member.id, member.epoch), ("member-1", epoch));
    assert_eq!((member.is_classic, &*member.topics), (Some(false), &["t".to_owned()][..]));
    let all: Vec<_> = (0..3).map(|partition| TopicPartition::new("t", partition)).collect();
    assert_eq!(member.target_assignment.as_ref(), Some(&all));
}
