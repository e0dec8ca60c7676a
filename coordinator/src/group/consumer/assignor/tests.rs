//! Tests of the assignors.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn topic(number: u8) -> Uuid {
    Uuid::from_u64s(0, 100 + u64::from(number))
}

/// A group as a test describes it: for each member its topics and what it had.
#[derive(Clone, Debug)]
struct Case {
    counts: Vec<i32>,
    members: Vec<(Option<String>, BTreeSet<u8>, Vec<TopicPartition>)>,
}

impl Case {
    fn homogeneous(&self) -> bool {
        self.members.windows(2).all(|pair| pair[0].1 == pair[1].1)
    }

    fn run(&self, assignor: Assignor) -> Assignment {
        let ids: Vec<String> = (0..self.members.len()).map(|n| format!("m{n:05}")).collect();
        let members = ids.iter().zip(&self.members).map(|(id, (instance, topics, current))| {
            let topics = topics.iter().map(|number| topic(*number)).collect();
            MemberSpec { member_id: id, instance_id: instance.as_deref(), topics, current }
        });
        let partition_counts =
            (0..).zip(&self.counts).map(|(number, count)| (topic(number), *count)).collect();
        assignor.assign(&GroupSpec {
            members: members.collect(),
            partition_counts,
            homogeneous: self.homogeneous(),
        })
    }

    /// Each partition of a subscribed topic is given to one subscriber, and nothing else is.
    fn check_complete(&self, assignment: &Assignment) {
        let mut given = BTreeSet::new();
        for ((_, topics, _), partitions) in self.members.iter().zip(assignment) {
            assert!(partitions.is_sorted(), "{partitions:?}");
            for at in partitions {
                assert!(given.insert(*at), "{at:?} was given twice");
                assert!(topics.iter().any(|number| topic(*number) == at.topic), "{at:?}");
            }
        }
        let subscribed: BTreeSet<u8> =
            self.members.iter().flat_map(|(_, topics, _)| topics.clone()).collect();
        let all: BTreeSet<TopicPartition> = subscribed
            .iter()
            .flat_map(|&number| {
                let at = move |partition| TopicPartition { topic: topic(number), partition };
                (0..self.counts[usize::from(number)]).map(at)
            })
            .collect();
        assert_eq!(given, all);
    }

    fn after(&self, assignment: Assignment) -> Self {
        let mut next = self.clone();
        for (member, partitions) in next.members.iter_mut().zip(assignment) {
            member.2 = partitions;
        }
        next
    }
}

fn cases(same: bool) -> impl Strategy<Value = Case> {
    let counts = proptest::collection::vec(0..12_i32, 1..6);
    let member = (
        proptest::option::weighted(0.2, "[a-z]{3}"),
        proptest::collection::btree_set(0..5_u8, 0..5),
        proptest::collection::vec((0..6_u8, 0..14_i32), 0..8),
    );
    let members = proptest::collection::vec(member, 1..9);
    (counts, members).prop_map(move |(counts, members)| {
        let known = |number: &u8| usize::from(*number) < counts.len();
        let first: BTreeSet<u8> = members[0].1.iter().copied().filter(known).collect();
        let members = members
            .into_iter()
            .map(|(instance, topics, current)| {
                let topics =
                    if same { first.clone() } else { topics.into_iter().filter(known).collect() };
                let mut current: Vec<TopicPartition> = current
                    .into_iter()
                    .map(|(number, partition)| TopicPartition { topic: topic(number), partition })
                    .collect();
                current.sort_unstable();
                current.dedup();
                (instance, topics, current)
            })
            .collect();
        Case { counts, members }
    })
}

fn kept(before: &[TopicPartition], after: &[TopicPartition]) -> usize {
    after.iter().filter(|at| before.contains(at)).count()
}

proptest! {
    #[test]
    fn every_partition_is_given_once(case in prop_oneof![cases(true), cases(false)]) {
        for assignor in [Assignor::Uniform, Assignor::Range] {
            case.check_complete(&case.run(assignor));
        }
    }

    #[test]
    fn uniform_shares_differ_by_one_at_most(case in cases(true)) {
        let sizes: Vec<usize> = case.run(Assignor::Uniform).iter().map(Vec::len).collect();
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        prop_assert!(most - least <= 1, "{:?}", sizes);
    }

    #[test]
    fn uniform_keeps_what_fits_into_a_share(case in cases(true)) {
        // As a group has it: an earlier assignment, so that nothing is held twice.
        let mut case = case.after(case.run(Assignor::Uniform));
        case.members.pop();
        prop_assume!(!case.members.is_empty());
        let assignment = case.run(Assignor::Uniform);
        case.check_complete(&assignment);
        // Shares only grew, so nobody loses anything.
        for ((_, _, before), after) in case.members.iter().zip(&assignment) {
            prop_assert_eq!(kept(before, after), before.len());
        }
    }

    #[test]
    fn uniform_leaves_an_even_assignment_alone(case in prop_oneof![cases(true), cases(false)]) {
        let once = case.run(Assignor::Uniform);
        let case = case.after(once.clone());
        prop_assert_eq!(case.run(Assignor::Uniform), once);
    }

    #[test]
    fn uniform_moves_no_more_than_a_new_member_gets(case in cases(true)) {
        let mut case = case.after(case.run(Assignor::Uniform));
        let topics = case.members[0].1.clone();
        case.members.push((None, topics, Vec::new()));
        let assignment = case.run(Assignor::Uniform);
        let moved: usize = case
            .members
            .iter()
            .zip(&assignment)
            .map(|((_, _, before), after)| before.len() - kept(before, after))
            .sum();
        prop_assert_eq!(moved, assignment.last().unwrap().len());
    }

    #[test]
    fn with_mixed_subscriptions_no_single_move_evens_out_more(case in cases(false)) {
        let assignment = case.run(Assignor::Uniform);
        for (giver, partitions) in assignment.iter().enumerate() {
            for at in partitions {
                for (taker, others) in assignment.iter().enumerate() {
                    let can = case.members[taker].1.iter().any(|one| topic(*one) == at.topic);
                    prop_assert!(
                        taker == giver || !can || partitions.len() <= others.len() + 1,
                        "{:?}", assignment
                    );
                }
            }
        }
    }

    #[test]
    fn range_gives_runs_of_one_length_or_one_more(case in prop_oneof![cases(true), cases(false)]) {
        let assignment = case.run(Assignor::Range);
        for number in 0..case.counts.len() {
            let topic = topic(u8::try_from(number).unwrap());
            let mut lengths = BTreeSet::new();
            for ((_, topics, _), partitions) in case.members.iter().zip(&assignment) {
                let run: Vec<i32> = partitions
                    .iter()
                    .filter(|at| at.topic == topic)
                    .map(|at| at.partition)
                    .collect();
                prop_assert!(run.windows(2).all(|pair| pair[1] == pair[0] + 1), "{:?}", run);
                if topics.contains(&u8::try_from(number).unwrap()) {
                    lengths.insert(run.len());
                }
            }
            let spread = lengths.last().unwrap_or(&0) - lengths.first().unwrap_or(&0);
            prop_assert!(spread <= 1, "{:?}", lengths);
        }
    }
}

#[test]
fn range_orders_static_members_first() {
    let topics = BTreeSet::from([0]);
    let member = |instance: Option<&str>| (instance.map(str::to_owned), topics.clone(), vec![]);
    let case =
        Case { counts: vec![4], members: vec![member(None), member(Some("b")), member(Some("a"))] };
    let at = |partition| TopicPartition { topic: topic(0), partition };
    assert_eq!(case.run(Assignor::Range), [vec![at(3)], vec![at(2)], vec![at(0), at(1)]]);
}

#[test]
fn five_thousand_members_cost_no_more_than_their_number() {
    let topics = BTreeSet::from([0, 1]);
    let mut case = Case { counts: vec![5_000, 6_000], members: Vec::new() };
    case.members = vec![(None, topics, Vec::new()); 5_000];
    let started = std::time::Instant::now();
    for assignor in [Assignor::Uniform, Assignor::Range] {
        let assignment = case.run(assignor);
        case.check_complete(&assignment);
        case = case.after(assignment);
    }
    case.check_complete(&case.run(Assignor::Uniform));
    // A square would take minutes in a debug build.
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}
