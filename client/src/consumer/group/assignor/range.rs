//! Of each topic every member gets a run of partitions. Where racks matter, members get first
//! what is in theirs, up to what they would have got, and the rest is dealt out in runs. Whoever
//! has told no rack is near everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::even::{by_id, wanted};
use super::racks::{Racks, matter, rack_of};
use super::{Assignment, Layout, Member, TopicPartition};

/// Members with the same subscriptions and racks get the same partitions of topics with the same
/// number of them and the same racks: the runs depend on nothing else.
pub(super) fn range(members: &[&Member], layout: &Layout) -> Assignment {
    let mut topics: Vec<Topic<'_>> = wanted(members)
        .into_iter()
        .filter_map(|(name, by)| Some(Topic::new(name, by, layout.get(name)?, members)))
        .collect();
    if topics.iter().any(|topic| topic.near.is_some()) {
        match_racks(&mut topics, members);
    }
    let mut all = vec![Vec::new(); members.len()];
    for topic in &mut topics {
        for place in 0..topic.by.len() {
            let run: Vec<i32> = topic.open.iter().copied().take(topic.room(place)).collect();
            run.into_iter().for_each(|number| topic.give(place, number));
        }
        for (member, number) in &topic.given {
            let partition = TopicPartition { topic: Arc::clone(topic.name), partition: *number };
            all[*member].push(partition);
        }
    }
    all.iter_mut().for_each(|gets| gets.sort_unstable());
    by_id(members, all)
}

/// A topic that is being dealt out.
struct Topic<'a> {
    name: &'a Arc<str>,
    /// The members that want it, in their order; a place here is what others go by.
    by: Vec<usize>,
    racks: &'a [Racks],
    /// What nobody has yet; and the same by racks, if those matter.
    open: BTreeSet<i32>,
    near: Option<BTreeMap<&'a str, BTreeSet<i32>>>,
    /// What everybody gets, and how many get one more.
    each: usize,
    longer: usize,
    /// How many each has got, by places.
    got: Vec<usize>,
    /// The members and what they have got.
    given: Vec<(usize, i32)>,
}

impl<'a> Topic<'a> {
    fn new(name: &'a Arc<str>, by: Vec<usize>, racks: &'a [Racks], members: &[&Member]) -> Self {
        let open: BTreeSet<i32> = (0..racks.len() as i32).collect();
        let is_near = matter(by.iter().map(|member| members[*member]), racks);
        let near = is_near.then(|| {
            let mut near: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
            for (number, racks) in open.iter().zip(racks) {
                for rack in racks {
                    near.entry(rack).or_default().insert(*number);
                }
            }
            near
        });
        let (each, longer) = (racks.len() / by.len(), racks.len() % by.len());
        let got = vec![0; by.len()];
        Self { name, by, racks, open, near, each, longer, got, given: Vec::new() }
    }

    /// How many more a member may get.
    fn room(&self, place: usize) -> usize {
        (self.each + usize::from(self.longer > 0)).saturating_sub(self.got[place])
    }

    fn give(&mut self, place: usize, number: i32) {
        self.open.remove(&number);
        for rack in self.racks.get(number as usize).into_iter().flatten() {
            if let Some(of) = self.near.as_mut().and_then(|near| near.get_mut(&**rack)) {
                of.remove(&number);
            }
        }
        self.got[place] += 1;
        if self.got[place] > self.each {
            self.longer -= 1;
        }
        self.given.push((self.by[place], number));
    }
}

/// Gives members what is in their racks. Topics that are wanted by the same members and have as
/// many partitions are kept together, as if they were one: who reads a partition of one of them
/// reads the same partition of the others.
fn match_racks(topics: &mut [Topic<'_>], members: &[&Member]) {
    let mut alike: BTreeMap<(&[usize], usize), Vec<usize>> = BTreeMap::new();
    let keys: Vec<_> = topics.iter().map(|topic| (topic.by.clone(), topic.racks.len())).collect();
    for (place, (by, count)) in keys.iter().enumerate() {
        alike.entry((by, *count)).or_default().push(place);
    }
    for places in alike.into_values() {
        if let [place] = places[..] {
            match_one(&mut topics[place], members);
        } else {
            match_alike(topics, &places, members);
        }
    }
}

fn match_one(topic: &mut Topic<'_>, members: &[&Member]) {
    for place in 0..topic.by.len() {
        let Some(near) = &topic.near else { return };
        let near = match rack_of(members[topic.by[place]]) {
            Some(rack) => near.get(rack),
            None => Some(&topic.open),
        };
        let run: Vec<i32> = near.into_iter().flatten().copied().take(topic.room(place)).collect();
        run.into_iter().for_each(|number| topic.give(place, number));
    }
}

fn match_alike(topics: &mut [Topic<'_>], places: &[usize], members: &[&Member]) {
    let one = &topics[places[0]];
    // Of each rack, and of none, the members that may have room, which only ever becomes less.
    let mut by_rack: BTreeMap<Option<&str>, VecDeque<usize>> = BTreeMap::new();
    for (place, member) in one.by.iter().enumerate() {
        by_rack.entry(rack_of(members[*member])).or_default().push_back(place);
    }
    for number in 0..one.racks.len() {
        let first = &topics[places[0]];
        let common = first.racks[number]
            .iter()
            .filter(|rack| places.iter().all(|at| topics[*at].racks[number].contains(*rack)));
        let of_racks = common.map(|rack| Some(&**rack)).chain([None]).filter_map(|rack| {
            let places_of = by_rack.get_mut(&rack)?;
            // The same in all of these topics, which are dealt out alike.
            while places_of.front().is_some_and(|place| first.room(*place) == 0) {
                places_of.pop_front();
            }
            places_of.front().copied()
        });
        if let Some(place) = of_racks.min() {
            places.iter().for_each(|at| topics[*at].give(place, number as i32));
        }
    }
}
