//! Assignments of small and of random groups.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn topic_partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

/// Topics with so many partitions, in no rack.
fn layout(of: &[(&str, usize)]) -> Layout {
    let topic = |(topic, count): &(&str, usize)| (Arc::from(*topic), vec![Racks::new(); *count]);
    of.iter().map(topic).collect()
}

/// Topics whose partitions are in these racks, a letter each: `x.xy.` are three partitions.
fn layout_of(topics: &[(&str, &str)]) -> Layout {
    let racks = |of: &str| of.chars().map(|rack| rack.to_string().into()).collect();
    let topic = |(name, of): &(&str, &str)| (Arc::from(*name), of.split('.').map(racks).collect());
    topics.iter().map(topic).collect()
}

fn member(id: &str, topics: &[&str]) -> Member {
    let topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
    let subscription = Subscription { topics, ..Default::default() };
    Member { id: id.to_owned(), instance_id: None, subscription }
}

/// The same group after it has taken an assignment; of both sticky assignors' ways to tell it.
fn next(members: &[Member], assigned: &Assignment, generation: i32) -> Vec<Member> {
    let mut next = members.to_vec();
    for member in &mut next {
        if let Some(had) = assigned.get(&member.id) {
            member.subscription.owned = had.clone();
            member.subscription.generation = Some(generation);
            member.subscription.user_data =
                Assignor::Sticky.user_data(had, Some(generation)).unwrap();
        }
    }
    next
}

fn texts(assigned: &Assignment, id: &str) -> Vec<String> {
    assigned[id].iter().map(TopicPartition::to_string).collect()
}

#[test]
fn names_are_those_of_java_too() {
    for assignor in Assignor::ALL {
        assert_eq!(Assignor::of_name(assignor.name()), Some(assignor));
    }
    let java = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    assert_eq!(Assignor::of_name(java), Some(Assignor::CooperativeSticky));
    assert_eq!(Assignor::of_name("RangeAssignor"), None);
    assert_eq!(Assignor::of_name("uniform"), None);
}

#[test]
fn range_gives_runs_and_the_longer_ones_first() {
    let members = [member("b", &["s", "t"]), member("a", &["t"])];
    let assigned = Assignor::Range.assign(&members, &layout(&[("s", 2), ("t", 3)]));
    assert_eq!(texts(&assigned, "a"), ["t-0", "t-1"]);
    assert_eq!(texts(&assigned, "b"), ["s-0", "s-1", "t-2"]);
}

#[test]
fn round_robin_goes_on_where_the_last_topic_ended() {
    let members = [member("a", &["s", "t"]), member("b", &["s", "t"]), member("c", &["t"])];
    let assigned = Assignor::RoundRobin.assign(&members, &layout(&[("s", 3), ("t", 4)]));
    assert_eq!(texts(&assigned, "a"), ["s-0", "s-2", "t-2"]);
    assert_eq!(texts(&assigned, "b"), ["s-1", "t-0", "t-3"]);
    assert_eq!(texts(&assigned, "c"), ["t-1"]);
}

#[test]
fn static_members_are_in_the_order_of_their_names() {
    let mut members = [member("a", &["t"]), member("b", &["t"]), member("c", &["t"])];
    members[1].instance_id = Some("y".to_owned());
    members[2].instance_id = Some("x".to_owned());
    let assigned = Assignor::Range.assign(&members, &layout(&[("t", 3)]));
    let all: Vec<_> = ["c", "b", "a"].map(|id| texts(&assigned, id)).concat();
    assert_eq!(all, ["t-0", "t-1", "t-2"]);
}

#[test]
fn topics_that_do_not_exist_are_nobodys() {
    let members = [member("a", &["gone", "t"]), member("b", &["gone"])];
    for assignor in Assignor::ALL {
        let assigned = assignor.assign(&members, &layout(&[("t", 1), ("other", 3)]));
        assert_eq!(texts(&assigned, "a"), ["t-0"], "{assignor:?}");
        assert!(assigned["b"].is_empty(), "{assignor:?}");
    }
}

#[test]
fn what_moves_is_withheld_until_it_was_given_up() {
    let all = layout(&[("t", 4)]);
    let mut members = vec![member("a", &["t"])];
    let first = Assignor::CooperativeSticky.assign(&members, &all);
    assert_eq!(first["a"].len(), 4);
    members.push(member("b", &["t"]));
    let members = next(&members, &first, 1);
    let second = Assignor::CooperativeSticky.assign(&members, &all);
    assert_eq!(texts(&second, "a"), ["t-0", "t-1"]);
    assert!(second["b"].is_empty());
    let third = Assignor::CooperativeSticky.assign(&next(&members, &second, 2), &all);
    assert_eq!(texts(&third, "a"), ["t-0", "t-1"]);
    assert_eq!(texts(&third, "b"), ["t-2", "t-3"]);
}

#[test]
fn the_claim_of_the_latest_generation_holds() {
    let claim = |id: &str, partition, generation| {
        let mut member = member(id, &["t"]);
        member.subscription.owned = vec![topic_partition("t", partition)];
        member.subscription.generation = generation;
        member
    };
    let all = layout(&[("t", 2)]);
    for (one, other, keeps) in
        [(Some(2), Some(1), "a"), (Some(1), Some(2), "b"), (None, Some(0), "b")]
    {
        let members = [claim("a", 1, one), claim("b", 1, other)];
        let assigned = Assignor::CooperativeSticky.assign(&members, &all);
        assert_eq!(texts(&assigned, keeps), ["t-1"]);
    }
    // Of two claims of one generation none holds, and nothing goes to either before they are over.
    let members = [claim("a", 1, Some(3)), claim("b", 1, Some(3))];
    let assigned = Assignor::CooperativeSticky.assign(&members, &all);
    assert_eq!(assigned.values().map(Vec::len).sum::<usize>(), 2);
}

#[test]
fn a_scarce_topic_goes_to_who_wants_it() {
    let members = [member("a", &["s", "t"]), member("b", &["t"]), member("c", &["t"])];
    let assigned = Assignor::Sticky.assign(&members, &layout(&[("s", 3), ("t", 6)]));
    assert_eq!(assigned.values().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3]);
    assert_eq!(texts(&assigned, "a"), ["s-0", "s-1", "s-2"]);
}

/// Members of random groups, in no racks: which of the topics each wants.
fn groups(is_same: bool) -> impl Strategy<Value = (Vec<Member>, Layout)> {
    let wants = prop::collection::vec(1_u8..16, 1..9);
    let sizes = prop::collection::vec(0_usize..9, 4);
    (wants, sizes).prop_map(move |(wants, sizes)| {
        const TOPICS: [&str; 4] = ["p", "q", "r", "s"];
        let of = |wanted: u8| {
            let bits = (0..4).filter(move |bit| wanted >> bit & 1 == 1);
            bits.map(|bit| TOPICS[bit]).collect::<Vec<_>>()
        };
        let members = wants.iter().enumerate().map(|(place, wanted)| {
            member(&format!("m{place}"), &of(if is_same { wants[0] } else { *wanted }))
        });
        let sizes: Vec<_> = TOPICS.into_iter().zip(sizes).filter(|(_, size)| *size > 0).collect();
        (members.collect(), layout(&sizes))
    })
}

/// The same, or with members and partitions in some of three racks.
fn groups_in_racks(is_same: bool) -> impl Strategy<Value = (Vec<Member>, Layout)> {
    const RACKS: [&str; 3] = ["x", "y", "z"];
    let of_members = prop::collection::vec(0_usize..4, 9);
    let of_partitions = prop::collection::vec(0_u8..8, 36);
    let racked = (groups(is_same), of_members, of_partitions);
    let racked = racked.prop_map(|((mut members, mut layout), of_members, of_partitions)| {
        for (member, rack) in members.iter_mut().zip(of_members) {
            member.subscription.rack = RACKS.get(rack).map(|&rack| rack.to_owned());
        }
        for (racks, bits) in layout.values_mut().flatten().zip(of_partitions) {
            let of = (0..3).filter(|bit| bits >> bit & 1 == 1).map(|bit| RACKS[bit].into());
            *racks = of.collect();
        }
        (members, layout)
    });
    prop_oneof![groups(is_same), racked]
}

/// Every partition that somebody wants has one owner, who wants it.
fn check_once(members: &[Member], layout: &Layout, assigned: &Assignment) {
    let mut seen = BTreeSet::new();
    for member in members {
        for partition in &assigned[&member.id] {
            assert!(member.subscription.topics.contains(&partition.topic), "{partition}");
            assert!(seen.insert(partition.clone()), "{partition} twice");
        }
    }
    let wanted: BTreeSet<_> =
        members.iter().flat_map(|member| member.subscription.topics.clone()).collect();
    let all: usize = wanted.iter().filter_map(|topic| layout.get(topic)).map(Vec::len).sum();
    assert_eq!(seen.len(), all);
}

/// The difference between who has most and who has least.
fn spread(assigned: &Assignment) -> usize {
    let sizes = || assigned.values().map(Vec::len);
    sizes().max().unwrap() - sizes().min().unwrap()
}

fn moved(before: &Assignment, after: &Assignment) -> usize {
    let kept = |id: &String, partition: &TopicPartition| {
        after.get(id).is_some_and(|gets| gets.contains(partition))
    };
    let all = before.iter().filter(|(id, _)| after.contains_key(*id));
    all.map(|(id, had)| had.iter().filter(|partition| !kept(id, partition)).count()).sum()
}

/// Cooperative rounds until nothing is withheld any more.
fn settle(members: &[Member], layout: &Layout, mut before: Assignment) -> (Assignment, usize) {
    for round in 0..10 {
        let members = next(members, &before, round);
        let after = Assignor::CooperativeSticky.assign(&members, layout);
        // Nothing goes from one to another at once.
        for (id, gets) in &after {
            for partition in gets {
                let others = before.iter().filter(|(other, _)| *other != id);
                let is_theirs = others.into_iter().any(|(_, had)| had.contains(partition));
                assert!(!is_theirs, "{partition}");
            }
        }
        if after == before {
            return (after, round as usize);
        }
        before = after;
    }
    panic!("it does not settle: {before:?}")
}

proptest! {
    #[test]
    fn every_partition_is_assigned_once((members, layout) in groups_in_racks(false)) {
        for assignor in Assignor::ALL {
            let assigned = assignor.assign(&members, &layout);
            check_once(&members, &layout, &assigned);
            let mut turned = members.clone();
            turned.reverse();
            prop_assert_eq!(assignor.assign(&turned, &layout), assigned);
        }
    }

    #[test]
    fn who_want_the_same_differ_by_one_at_most((members, layout) in groups_in_racks(true)) {
        for assignor in [Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky] {
            prop_assert!(spread(&assignor.assign(&members, &layout)) <= 1);
        }
    }

    #[test]
    fn nobody_could_take_from_who_has_two_more((members, layout) in groups_in_racks(false)) {
        let assigned = Assignor::Sticky.assign(&members, &layout);
        for one in &members {
            for partition in &assigned[&one.id] {
                let could = members.iter().filter(|other| {
                    other.subscription.topics.contains(&partition.topic)
                        && assigned[&other.id].len() + 1 < assigned[&one.id].len()
                });
                prop_assert_eq!(could.count(), 0);
            }
        }
    }

    #[test]
    fn nobody_nearby_has_fewer((members, layout) in groups_in_racks(true)) {
        let topics = members[0].subscription.topics.iter().filter_map(|topic| layout.get(topic));
        if !racks::matter(&members, topics.flatten()) {
            return Ok(());
        }
        let assigned = Assignor::Sticky.assign(&members, &layout);
        let is_near = |member: &Member, partition: &TopicPartition| {
            let racks = &layout[&partition.topic][partition.partition as usize];
            member.subscription.rack.as_deref().is_some_and(|rack| racks.contains(rack))
        };
        for one in members.iter().filter(|member| member.subscription.rack.is_some()) {
            let gets = assigned[&one.id].iter();
            for partition in gets.filter(|partition| !is_near(one, partition)) {
                let mut others = members.iter().filter(|other| is_near(other, partition));
                let fewer = others.find(|of| assigned[&of.id].len() < assigned[&one.id].len());
                prop_assert!(fewer.is_none(), "{}: {partition} of {}", fewer.unwrap().id, one.id);
            }
        }
    }

    #[test]
    fn nothing_moves_when_nothing_changes((members, layout) in groups_in_racks(false)) {
        let first = Assignor::Sticky.assign(&members, &layout);
        let again = next(&members, &first, 1);
        for assignor in [Assignor::Sticky, Assignor::CooperativeSticky] {
            prop_assert_eq!(&assignor.assign(&again, &layout), &first);
        }
    }

    #[test]
    fn as_little_moves_as_must((members, layout) in groups(true), leaves in 0_usize..9) {
        let first = Assignor::Sticky.assign(&members, &layout);
        let total: usize = first.values().map(Vec::len).sum();
        let had = next(&members, &first, 1);
        // One leaves: the others keep all.
        let mut rest = had.clone();
        rest.remove(leaves % members.len());
        if !rest.is_empty() {
            let after = Assignor::Sticky.assign(&rest, &layout);
            check_once(&rest, &layout, &after);
            prop_assert_eq!(moved(&first, &after), 0);
            prop_assert!(spread(&after) <= 1);
        }
        // One comes: only its share moves.
        let mut more = had;
        let mut new = more[0].clone();
        new.id = "new".to_owned();
        (new.subscription.owned, new.subscription.user_data) = (Vec::new(), None);
        more.push(new);
        let after = Assignor::Sticky.assign(&more, &layout);
        check_once(&more, &layout, &after);
        prop_assert!(spread(&after) <= 1);
        prop_assert_eq!(moved(&first, &after), after["new"].len());
        prop_assert!(after["new"].len() <= total.div_ceil(more.len()));
    }

    #[test]
    fn cooperative_groups_settle(
        (members, layout) in groups_in_racks(false),
        (others, _) in groups_in_racks(false),
    ) {
        let nothing = members.iter().map(|member| (member.id.clone(), Vec::new())).collect();
        let (first, _) = settle(&members, &layout, nothing);
        check_once(&members, &layout, &first);
        // Then others come, go, and want something else.
        let wants = |id: &str, topic: &Arc<str>| {
            let of = others.iter().find(|member| member.id == id);
            of.is_some_and(|member| member.subscription.topics.contains(topic))
        };
        let mut kept = first.clone();
        kept.retain(|id, _| others.iter().any(|member| member.id == *id));
        kept.iter_mut().for_each(|(id, had)| had.retain(|partition| wants(id, &partition.topic)));
        for member in &others {
            kept.entry(member.id.clone()).or_default();
        }
        let (second, _) = settle(&others, &layout, kept);
        check_once(&others, &layout, &second);
    }
}

/// A group, what its members have, and what Java's assignor has made of it.
struct Case {
    assignor: Assignor,
    layout: Layout,
    members: Vec<Member>,
    had: Assignment,
    java: Assignment,
}

impl Case {
    /// `range a:x.xy.,b:. ID/INSTANCE/RACK/a,b/-/a:0,a:1 ID///b/a:2/a:2,b:0`: the topics with the
    /// racks of their partitions; each member's id, instance, rack, topics, what it has since
    /// generation 1 (a dash for one that is new), and gets.
    fn of_line(line: &str) -> Self {
        let pairs = |text: &str| -> Vec<TopicPartition> {
            let all = text.split(',').filter_map(|pair| pair.rsplit_once(':'));
            all.map(|(topic, number)| topic_partition(topic, number.parse().unwrap())).collect()
        };
        let mut words = line.split(' ');
        let assignor = Assignor::of_name(words.next().unwrap()).unwrap();
        let topics = words.next().unwrap().split(',').filter_map(|topic| topic.split_once(':'));
        let layout = layout_of(&topics.collect::<Vec<_>>());
        let (mut members, mut had, mut java) = (Vec::new(), Assignment::new(), BTreeMap::new());
        for word in words {
            let parts: Vec<&str> = word.split('/').collect();
            let [id, instance, rack, topics, has, gets] = parts[..] else { panic!("{line}") };
            let topics: Vec<&str> = topics.split(',').collect();
            let mut member = member(id, &topics);
            let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            (member.instance_id, member.subscription.rack) = (text(instance), text(rack));
            if has != "-" {
                had.insert(id.to_owned(), pairs(has));
            }
            members.push(member);
            let mut gets = pairs(gets);
            gets.sort();
            java.insert(id.to_owned(), gets);
        }
        let members = next(&members, &had, 1);
        Self { assignor, layout, members, had, java }
    }

    /// How many partitions somebody wants.
    fn total(&self) -> usize {
        let topics = self.members.iter().flat_map(|member| &member.subscription.topics);
        let topics: BTreeSet<_> =
            topics.filter_map(|topic| self.layout.get_key_value(topic)).collect();
        topics.iter().map(|(_, of)| of.len()).sum()
    }

    /// How many partitions are in their members' racks.
    fn near(&self, assigned: &Assignment) -> usize {
        let of = |member: &Member| {
            let rack = member.subscription.rack.clone().unwrap_or_default();
            let racks = |of: &TopicPartition| &self.layout[&of.topic][of.partition as usize];
            assigned[&member.id].iter().filter(|of| racks(of).contains(&*rack)).count()
        };
        self.members.iter().map(of).sum()
    }

    /// Where all members want the same: how many are near, and how many with Java.
    fn check(&self, line: &str) -> Option<(usize, usize)> {
        let mut assigned = self.assignor.assign(&self.members, &self.layout);
        assigned.values_mut().for_each(|gets| gets.sort());
        let java = &self.java;
        if matches!(self.assignor, Assignor::Range | Assignor::RoundRobin) {
            assert_eq!(assigned, *java, "{line}");
            return None;
        }
        let squares = |of: &Assignment| of.values().map(|of| of.len().pow(2)).sum::<usize>();
        let whole = |of: &Assignment| of.values().map(Vec::len).sum::<usize>();
        // What is withheld until it was given up says nothing.
        if whole(&assigned) < self.total() || whole(java) < self.total() {
            return None;
        }
        // Java's depends on the order of its hash maps. It is never more even; when it is as even,
        // at most one partition more moves here, unless more get near.
        let (ours, theirs) = (squares(&assigned), squares(java));
        assert!(ours <= theirs, "less even than Java's: {line}");
        if ours < theirs {
            return None;
        }
        let (near, near_there) = (self.near(&assigned), self.near(java));
        let (here, there) = (moved(&self.had, &assigned), moved(&self.had, java));
        assert!(near > near_there || here <= there + 1, "{here} move, with Java {there}: {line}");
        let wants = |member: &Member| member.subscription.topics.clone();
        let is_same = self.members.windows(2).all(|two| wants(&two[0]) == wants(&two[1]));
        is_same.then_some((near, near_there))
    }
}

/// `java.txt` is what `interop/java/Assignors.java` prints for the seed 7 and 20 groups.
#[test]
fn assignments_are_as_javas() {
    let lines = include_str!("java.txt").lines();
    let near = lines.clone().filter_map(|line| Case::of_line(line).check(line));
    let (ours, java) = near.fold((0, 0), |sums, near| (sums.0 + near.0, sums.1 + near.1));
    // Neither looks for the best of all matches. Of 24,000 lines it is 17,475 and 17,482.
    assert!(java > 0 && ours * 100 >= java * 99, "{ours} are near, with Java {java}");
    assert_eq!(lines.count(), 240);
}
