//! Other brokers of the cluster.

use ottla_protocol::metadata::node::RegisterBrokerRecord;

use super::*;

const TOPIC: Uuid = Uuid::from_bytes([5; 16]);

impl Data {
    fn add_broker(&mut self, broker_id: i32, fenced: bool) {
        let broker_epoch = self.next_offset;
        let record = RegisterBrokerRecord { broker_id, broker_epoch, fenced, ..Default::default() };
        self.add(record.into());
    }

    fn add_partition(&mut self, partition: PartitionRecord) {
        let directories = vec![Uuid::UNASSIGNED_DIR; partition.replicas.len()];
        let (topic_id, leader_epoch, partition_epoch) = (TOPIC, 0, 0);
        let partition =
            PartitionRecord { topic_id, leader_epoch, partition_epoch, directories, ..partition };
        let mut records = Records::new();
        records.push(&partition.into(), 2);
        self.append(&records);
    }
}

fn partition(partition_id: i32, replicas: &[i32], isr: &[i32]) -> PartitionRecord {
    let (replicas, isr) = (replicas.to_vec(), isr.to_vec());
    let leader = isr.first().copied().unwrap_or(-1);
    PartitionRecord { partition_id, replicas, isr, leader, ..Default::default() }
}

#[test]
fn a_broker_in_service_beside_this_one_is_refused_unless_accepted() {
    let mut data = Data::new();
    data.add_broker(7, false);
    assert_eq!(data.judge(""), None);
    data.add_broker(2, false);
    data.add_broker(3, false);
    let refusal = data.judge("acls,tiered-storage").unwrap();
    for expected in [
        "- brokers 2, 3 are in service beside this one; one that still runs goes on",
        "\n  where: /d/__cluster_metadata-0\n",
        "\n  next: under Kafka, move all replicas to broker 7 (kafka-reassign-partitions), stop",
        "; or --accept other-brokers: they are stopped and stay so, and what has no replica in",
    ] {
        assert!(refusal.contains(expected), "{refusal}");
    }
    assert!(!refusal.contains("partitions, such as"), "{refusal}");
    assert_eq!(data.judge("other-brokers"), None);
}

#[test]
fn brokers_out_of_service_without_partitions_are_only_told() {
    let mut data = Data::new();
    data.add_broker(2, true);
    data.add_broker(3, true);
    assert_eq!(data.judge(""), None);
    let text = check(&data.disk, &Data::statics(""), "h").text;
    let note =
        "- brokers 2, 3 are registered, out of service and without partitions; kafka-cluster";
    assert!(text.contains(note), "{text}");
}

#[test]
fn replicas_on_other_brokers_are_refused_unless_accepted() {
    let mut data = Data::new();
    data.add_broker(7, true);
    data.add_broker(2, true);
    data.add(TopicRecord { name: "t", topic_id: TOPIC }.into());
    data.add_partition(partition(0, &[7], &[7]));
    assert_eq!(data.judge(""), None);

    data.add_partition(partition(1, &[2, 7], &[7]));
    let refusal = data.judge("").unwrap();
    let what = "- 1 partitions, such as t-1, have replicas on other brokers (2), to which Ottla \
                does not replicate\n";
    assert!(refusal.contains(what), "{refusal}");
    assert!(refusal.contains("; or --accept other-brokers: "), "{refusal}");
    let text = check(&data.disk, &Data::statics(""), "h").text;
    assert!(!text.contains("without partitions"), "{text}");

    // Stopped in order, or in sync when nobody else was left.
    let eligible_leader_replicas = Some(vec![7]);
    data.add_partition(PartitionRecord { eligible_leader_replicas, ..partition(2, &[7, 2], &[]) });
    let last_known_elr = Some(vec![7]);
    data.add_partition(PartitionRecord { last_known_elr, ..partition(3, &[7, 2], &[]) });
    assert!(!data.judge("").unwrap().contains("in sync here, and are"));
    // A broker that is forgotten has its replicas still.
    data.add_partition(partition(4, &[7, 2], &[2]));
    data.add_partition(partition(5, &[9], &[9]));
    let refusal = data.judge("").unwrap();
    let what = "- 5 partitions, such as t-1, have replicas on other brokers (2, 9), to which Ottla \
                does not replicate; 2 of them, such as t-4, have no replica in sync here, and are \
                not served\n";
    assert!(refusal.contains(what), "{refusal}");
    assert_eq!(data.judge("other-brokers"), None);
}
