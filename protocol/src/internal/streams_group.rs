//! Streams groups (KIP-1071), in `__consumer_offsets`. Read by tools; no group of this kind is
//! served.

use crate::wire::messages;

messages! {
    /// Key of a streams group.
    struct StreamsGroupMetadataKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
    }

    /// A streams group.
    struct StreamsGroupMetadataValue<'a> [0..=0, flexible (0..)] {
        /// The group's epoch.
        epoch: i32 [0..];
        /// A hash over the metadata of the group's topics.
        metadata_hash: i64 [0..];
    } tagged {
        /// The topology's epoch that was found good; -1 for none.
        0 => validated_topology_epoch: i32 [0..] = -1;
        /// The settings that the last assignment was made with; null when not known.
        1 => last_assignment_configs: Option<Vec<LastAssignmentConfig<'a>>> [0..]
            = Some(Vec::new());
    }

    /// A setting of an assignment.
    struct LastAssignmentConfig<'a> {
        /// Its name.
        key: &'a str [0..];
        /// Its value.
        value: &'a str [0..];
    }

    /// Key of a member.
    struct StreamsGroupMemberMetadataKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The member's id.
        member_id: &'a str [0..=0];
    }

    /// A member of a streams group.
    struct StreamsGroupMemberMetadataValue<'a> [0..=0, flexible (0..)] {
        /// The member's own lasting name, if it is a static member.
        instance_id: Option<&'a str> [0..] = Some("");
        /// The member's rack; null when it has none.
        rack_id: Option<&'a str> [0..] = Some("");
        /// The client id of the member's last request.
        client_id: &'a str [0..];
        /// The address that the member came from.
        client_host: &'a str [0..];
        /// How long a rebalance waits for the member, in ms.
        rebalance_timeout_ms: i32 [0..] = -1;
        /// The epoch of the member's topology.
        topology_epoch: i32 [0..];
        /// The process that the member is in; several members may share one.
        process_id: &'a str [0..];
        /// Where interactive queries reach the member; null for nowhere.
        user_endpoint: Option<Endpoint<'a>> [0..];
        /// What the member says of itself for a rack-aware assignment.
        client_tags: Vec<KeyValue<'a>> [0..];
    }

    /// Where a member is.
    struct Endpoint<'a> {
        /// A host name or an address.
        host: &'a str [0..];
        /// The TCP port.
        port: u16 [0..];
    }

    /// A tag of a member.
    struct KeyValue<'a> {
        /// Its name.
        key: &'a str [0..];
        /// What it says.
        value: &'a str [0..];
    }

    /// Key of a group's target assignment.
    struct StreamsGroupTargetAssignmentMetadataKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
    }

    /// The epoch of a group's target assignment.
    struct StreamsGroupTargetAssignmentMetadataValue [0..=0, flexible (0..)] {
        /// The epoch of the target assignment.
        assignment_epoch: i32 [0..];
    } tagged {
        /// When the assignment was made, in ms.
        0 => assignment_timestamp: i64 [0.., ignorable];
    }

    /// Key of a member's target assignment.
    struct StreamsGroupTargetAssignmentMemberKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The member's id.
        member_id: &'a str [0..=0];
    }

    /// The tasks that a member is going to have.
    struct StreamsGroupTargetAssignmentMemberValue<'a> [0..=0, flexible (0..)] {
        /// Tasks that run.
        active_tasks: Vec<TargetTaskIds<'a>> [0..];
        /// Tasks that follow.
        standby_tasks: Vec<TargetTaskIds<'a>> [0..];
        /// Tasks that catch up to become active.
        warmup_tasks: Vec<TargetTaskIds<'a>> [0..];
    }

    /// Tasks of a part of the topology.
    struct TargetTaskIds<'a> {
        /// The part.
        subtopology_id: &'a str [0..];
        /// The partitions.
        partitions: Vec<i32> [0..];
    }

    /// Key of a member's assignment.
    struct StreamsGroupCurrentMemberAssignmentKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
        /// The member's id.
        member_id: &'a str [0..=0];
    }

    /// The tasks that a member has.
    struct StreamsGroupCurrentMemberAssignmentValue<'a> [0..=0, flexible (0..)] {
        /// The member's epoch.
        member_epoch: i32 [0..];
        /// The member's epoch before this one.
        previous_member_epoch: i32 [0..];
        /// The member's state.
        state: i8 [0..];
        /// Tasks that run.
        active_tasks: Vec<CurrentTaskIds<'a>> [0..];
        /// Tasks that follow.
        standby_tasks: Vec<CurrentTaskIds<'a>> [0..];
        /// Tasks that catch up to become active.
        warmup_tasks: Vec<CurrentTaskIds<'a>> [0..];
        /// Active tasks that the member must give up first.
        active_tasks_pending_revocation: Vec<CurrentTaskIds<'a>> [0..];
        /// Following tasks that the member must give up first.
        standby_tasks_pending_revocation: Vec<CurrentTaskIds<'a>> [0..];
        /// Tasks that catch up and that the member must give up first.
        warmup_tasks_pending_revocation: Vec<CurrentTaskIds<'a>> [0..];
    }

    /// Tasks of a part of the topology.
    struct CurrentTaskIds<'a> {
        /// The part.
        subtopology_id: &'a str [0..];
        /// The partitions.
        partitions: Vec<i32> [0..];
    } tagged {
        /// The member epoch at which each was assigned, in their order; empty when not
        /// known.
        0 => assignment_epochs: Option<Vec<i32>> [0..] = Some(Vec::new());
    }

    /// Key of a group's topology.
    struct StreamsGroupTopologyKey<'a> [0..=0] {
        /// The group's id.
        group_id: &'a str [0..=0];
    }

    /// A group's topology.
    struct StreamsGroupTopologyValue<'a> [0..=0, flexible (0..)] {
        /// The topology's epoch.
        epoch: i32 [0..];
        /// Its parts.
        subtopologies: Vec<Subtopology<'a>> [0..];
    }

    /// A part of a topology.
    struct Subtopology<'a> {
        /// The part's id.
        subtopology_id: &'a str [0..];
        /// The topics that it reads.
        source_topics: Vec<&'a str> [0..];
        /// The regular expressions of topics that it reads.
        source_topic_regex: Vec<&'a str> [0..];
        /// The topics of its state's changelogs.
        state_changelog_topics: Vec<TopicInfo<'a>> [0..];
        /// The topics that it writes to be repartitioned.
        repartition_sink_topics: Vec<&'a str> [0..];
        /// The repartitioned topics that it reads.
        repartition_source_topics: Vec<TopicInfo<'a>> [0..];
        /// Topics that must have the same number of partitions.
        copartition_groups: Vec<CopartitionGroup> [0..];
    }

    /// Topics that must have the same number of partitions, by their places in the lists above.
    struct CopartitionGroup {
        /// Of the topics.
        source_topics: Vec<i16> [0..];
        /// Of the regular expressions.
        source_topic_regex: Vec<i16> [0..];
        /// Of the repartitioned topics.
        repartition_source_topics: Vec<i16> [0..];
    }

    /// A topic that the group makes.
    struct TopicInfo<'a> {
        /// The topic's name.
        name: &'a str [0..];
        /// The number of partitions; 0 for that of the topics that it is made from.
        partitions: i32 [0..];
        /// The number of replicas; 0 for the broker's default.
        replication_factor: i16 [0..];
        /// Settings of the topic.
        topic_configs: Vec<TopicConfig<'a>> [0..];
    }

    /// A setting of a topic.
    struct TopicConfig<'a> {
        /// Its name.
        key: &'a str [0..];
        /// Its value.
        value: &'a str [0..];
    }
}
