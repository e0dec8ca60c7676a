//! Topics are there from the answer to their creation to that to their deletion.

use std::collections::HashMap;

use crate::event::{Outcome, Place, Topic, TopicId, What};
use crate::partition::World;
use crate::violation::{Rule, Violation};

/// When something was first tried and when it was surely done, ns.
#[derive(Clone, Copy)]
struct Done {
    began_ns: u64,
    ended_ns: Option<u64>,
}

pub(crate) fn check(world: &World, found: &mut Vec<Violation>) {
    let mut created: HashMap<TopicId, (&Topic, u64)> = HashMap::new();
    let mut deleted: HashMap<TopicId, Done> = HashMap::new();
    for event in world.events {
        match &event.what {
            What::Created { topic, outcome: Outcome::Acked } => {
                created.insert(topic.id, (topic, event.ended_ns));
            }
            What::Deleted { topic, outcome } if *outcome != Outcome::Failed => {
                let first = Done { began_ns: event.began_ns, ended_ns: None };
                let done = deleted.entry(*topic).or_insert(first);
                done.began_ns = event.began_ns.min(done.began_ns);
                if *outcome == Outcome::Acked {
                    let earlier = done.ended_ns.unwrap_or(u64::MAX);
                    done.ended_ns = Some(event.ended_ns.min(earlier));
                }
            }
            _ => {}
        }
    }
    for event in world.events {
        let was_deleted = |topic: &TopicId| {
            let done = deleted.get(topic).and_then(|done| done.ended_ns);
            done.is_some_and(|ended_ns| ended_ns < event.began_ns)
        };
        match &event.what {
            What::Listed(list) => {
                let list: HashMap<TopicId, i32> = list.iter().copied().collect();
                for (topic, ended_ns) in created.values() {
                    let begun = deleted.get(&topic.id).map_or(u64::MAX, |done| done.began_ns);
                    let here = list.get(&topic.id);
                    let due = *ended_ns < event.began_ns && event.ended_ns < begun;
                    if due && here != Some(&topic.partitions) {
                        let (want, ns) = (topic.partitions, event.began_ns);
                        let text = format!("of {want} partitions {here:?} are there at {ns} ns");
                        found.push(violation(Rule::TopicLost, topic.id, text));
                    }
                }
                for id in list.keys().filter(|id| was_deleted(id)) {
                    let text = format!("listed at {} ns, after its deletion", event.began_ns);
                    found.push(violation(Rule::TopicUndead, *id, text));
                }
            }
            What::Read(read) if !read.records.is_empty() && was_deleted(&read.place.topic) => {
                let text = format!("read at {} ns, after its deletion", event.began_ns);
                found.push(violation(Rule::TopicUndead, read.place.topic, text));
            }
            _ => {}
        }
    }
}

fn violation(rule: Rule, topic: TopicId, text: String) -> Violation {
    Violation { rule, place: Some(Place { topic, partition: -1 }), text }
}
