//! Assignments that are as even as possible and else as they were.
//!
//! Members claim what they have. Of several claims to a partition the one of the latest generation
//! holds; two of the same generation cancel each other, since one of them is not true. Then
//!
//! - when all members want the same topics, each keeps what it has up to its share, and the rest is
//!   dealt to those who are short of theirs: no two members differ by more than one partition.
//!   Where racks matter, a member keeps what is in its own, then what is left goes to members in
//!   its racks, and only then back to who had it;
//! - when they do not, what nobody has goes to whoever wants it and has least, scarce partitions
//!   first and to members in their racks rather than to others, and then partitions move from those
//!   who have more to those who have at least two fewer, until none can.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::even::by_id;
use super::racks::Near;
use super::{Assignment, Claim, Layout, Member, TopicPartition};

/// `members` in their order; what each of them claims.
pub(super) fn assign(members: &[&Member], claims: &[Claim], layout: &Layout) -> Assignment {
    if members.is_empty() {
        return Assignment::new();
    }
    let wants: Vec<BTreeSet<&Arc<str>>> = members
        .iter()
        .map(|member| {
            let topics = member.subscription.topics.iter();
            topics.filter(|topic| layout.contains_key(*topic)).collect()
        })
        .collect();
    let kept = settle(&wants, claims, layout);
    let is_same = wants.windows(2).all(|two| two[0] == two[1]);
    let near = Near::new(members, &wants.iter().flatten().copied().collect(), layout);
    let mut table = Table::new(&wants, kept, layout);
    if is_same {
        table.share_out(near.as_ref());
    } else {
        table.hand_out(near.as_ref());
        while table.level() {}
    }
    table.assignment(members)
}

/// Which claims hold: the partitions that each member can keep.
fn settle(
    wants: &[BTreeSet<&Arc<str>>],
    claims: &[Claim],
    layout: &Layout,
) -> Vec<BTreeSet<TopicPartition>> {
    // By partition, who has it in the latest generation; `None` when that is disputed.
    let mut owners: HashMap<&TopicPartition, (i32, Option<usize>)> = HashMap::new();
    for (place, (partitions, generation)) in claims.iter().enumerate() {
        for partition in partitions.iter().collect::<BTreeSet<_>>() {
            let owner = owners.entry(partition).or_insert((i32::MIN, None));
            if owner.0 < *generation {
                *owner = (*generation, Some(place));
            } else if owner.0 == *generation {
                owner.1 = None;
            }
        }
    }
    let mut kept = vec![BTreeSet::new(); wants.len()];
    for (partition, (_, owner)) in owners {
        let topic = &partition.topic;
        let number = usize::try_from(partition.partition).ok();
        let exists =
            layout.get(topic).zip(number).is_some_and(|(topic, number)| number < topic.len());
        if let Some(owner) = owner
            && exists
            && wants[owner].contains(topic)
        {
            kept[owner].insert(partition.clone());
        }
    }
    kept
}

/// A partition that goes from one member to another.
type Move = (usize, TopicPartition, usize);

/// How partitions can go.
enum Way {
    /// Not at all.
    None,
    /// Over more members, or not at all.
    Longer,
    Of(Vec<Move>),
}

/// The assignment in the making.
struct Table<'a> {
    /// By topic, the members that want it.
    wanted: BTreeMap<&'a Arc<str>, Vec<usize>>,
    kept: Vec<BTreeSet<TopicPartition>>,
    /// Beside what was kept.
    added: Vec<BTreeSet<TopicPartition>>,
    /// What nobody has.
    free: BTreeSet<TopicPartition>,
}

impl<'a> Table<'a> {
    fn new(
        wants: &[BTreeSet<&'a Arc<str>>],
        kept: Vec<BTreeSet<TopicPartition>>,
        layout: &Layout,
    ) -> Self {
        let mut wanted: BTreeMap<&Arc<str>, Vec<usize>> = BTreeMap::new();
        for (place, topics) in wants.iter().enumerate() {
            topics.iter().for_each(|topic| wanted.entry(topic).or_default().push(place));
        }
        let held: BTreeSet<&TopicPartition> = kept.iter().flatten().collect();
        let mut free = BTreeSet::new();
        for topic in wanted.keys() {
            let count = layout.get(*topic).map_or(0, Vec::len) as i32;
            let all =
                (0..count).map(|partition| TopicPartition { topic: Arc::clone(topic), partition });
            free.extend(all.filter(|partition| !held.contains(partition)));
        }
        let added = vec![BTreeSet::new(); kept.len()];
        Self { wanted, kept, added, free }
    }

    fn count(&self, member: usize) -> usize {
        self.kept[member].len() + self.added[member].len()
    }

    /// All members want the same: everybody gets `total / members`, and as many as remain one
    /// more.
    fn share_out(&mut self, near: Option<&Near<'_>>) {
        let members = self.kept.len();
        let total = self.free.len() + self.kept.iter().map(BTreeSet::len).sum::<usize>();
        let far = near.map(|near| self.take_far(near)).unwrap_or_default();
        let mut shares = Shares::new(total, members);
        // The longer shares go to those who have enough for them, so that less moves.
        for (place, kept) in self.kept.iter_mut().enumerate() {
            let room = shares.room(place);
            while kept.len() > room {
                self.free.extend(kept.pop_last());
            }
            shares.take(place, kept.len());
        }
        if let Some(near) = near {
            self.share_near(near, &mut shares);
            for (partition, member) in far {
                if shares.room(member) > 0 && self.free.remove(&partition) {
                    shares.take(member, 1);
                    self.kept[member].insert(partition);
                }
            }
        }
        self.deal(&mut shares);
    }

    /// Frees what members have in other racks than their own; says who had it.
    fn take_far(&mut self, near: &Near<'_>) -> Vec<(TopicPartition, usize)> {
        let mut far = Vec::new();
        for (member, kept) in self.kept.iter_mut().enumerate() {
            let of = kept.extract_if(.., |partition| near.is_far(member, partition));
            far.extend(of.map(|partition| (partition, member)));
        }
        self.free.extend(far.iter().map(|(partition, _)| partition.clone()));
        far
    }

    /// Gives what is free to members in its racks, those who have least first. What few are near
    /// goes first.
    fn share_near(&mut self, near: &Near<'_>, shares: &mut Shares) {
        let mut by_rack: BTreeMap<&str, BTreeSet<(usize, usize)>> = BTreeMap::new();
        for member in 0..self.kept.len() {
            if let Some(rack) = near.rack(member) {
                by_rack.entry(rack).or_default().insert((shares.got[member], member));
            }
        }
        let mut free: Vec<TopicPartition> = std::mem::take(&mut self.free).into_iter().collect();
        free.sort_by_cached_key(|partition| -> usize {
            near.racks(partition).filter_map(|rack| by_rack.get(rack)).map(BTreeSet::len).sum()
        });
        for partition in free {
            let least = near.racks(&partition).filter_map(|rack| by_rack.get(rack)?.first());
            match least.min().copied().filter(|(_, member)| shares.room(*member) > 0) {
                None => _ = self.free.insert(partition),
                Some((got, member)) => {
                    shares.take(member, 1);
                    self.added[member].insert(partition);
                    let of_rack = near.rack(member).and_then(|rack| by_rack.get_mut(rack));
                    if let Some(of_rack) = of_rack {
                        of_rack.remove(&(got, member));
                        of_rack.insert((got + 1, member));
                    }
                }
            }
        }
    }

    /// Gives what is free to those who are short of their shares, in turn, so that the partitions
    /// of a topic are spread over the members.
    fn deal(&mut self, shares: &mut Shares) {
        let members = self.kept.len();
        let mut short: Vec<usize> =
            (0..members).filter(|at| shares.got[*at] < shares.each).collect();
        let mut turn = 0;
        while let Some(partition) = self.free.pop_first() {
            if short.is_empty() {
                // Everybody has a share: what remains makes shares longer, one for a member.
                short = (0..members).filter(|at| shares.room(*at) > 0).collect();
                turn = 0;
            }
            turn %= short.len();
            let member = short[turn];
            self.added[member].insert(partition);
            shares.take(member, 1);
            if shares.got[member] < shares.each {
                turn += 1;
            } else {
                short.remove(turn);
            }
        }
    }

    /// Gives what nobody has to those who have least of all that want it, rather near than far.
    fn hand_out(&mut self, near: Option<&Near<'_>>) {
        let mut free: Vec<TopicPartition> = std::mem::take(&mut self.free).into_iter().collect();
        free.sort_by_key(|partition| self.wanted[&partition.topic].len());
        for partition in free {
            let by = self.wanted[&partition.topic].iter().copied();
            let is_far = |member: usize| near.is_some_and(|near| !near.is_near(member, &partition));
            if let Some(member) = by.min_by_key(|member| (self.count(*member), is_far(*member))) {
                self.added[member].insert(partition);
            }
        }
    }

    /// Moves a partition from somebody to somebody who has at least two fewer, through others if
    /// need be: one of theirs goes on for the one that comes. Whether anything could. Each time the
    /// counts become more even, so that there is an end, where they are as even as they can be.
    fn level(&mut self) -> bool {
        let mut order: Vec<usize> = (0..self.kept.len()).collect();
        order.sort_by_key(|member| std::cmp::Reverse(self.count(*member)));
        // The shorter the way the less moves.
        for length in 1.. {
            let mut is_longer = false;
            for from in &order {
                match self.way(*from, length) {
                    Way::None => {}
                    Way::Longer => is_longer = true,
                    Way::Of(moves) => {
                        for (from, partition, to) in moves {
                            if !self.added[from].remove(&partition) {
                                self.kept[from].remove(&partition);
                            }
                            self.added[to].insert(partition);
                        }
                        return true;
                    }
                }
            }
            if !is_longer {
                break;
            }
        }
        false
    }

    /// The way of this length from a member to one who has at least two fewer, and of those to who
    /// has least. There is no shorter one.
    fn way(&self, from: usize, length: usize) -> Way {
        let mut ways: BTreeMap<usize, Option<Move>> = BTreeMap::from([(from, None)]);
        let mut reached = vec![from];
        // Of partitions of one topic one is as good as another.
        let mut seen = BTreeSet::new();
        for _ in 0..length {
            let mut next = Vec::new();
            for member in reached {
                // What came new goes first: that costs nobody anything.
                let all = self.added[member].iter().rev().chain(self.kept[member].iter().rev());
                for partition in all.filter(|partition| seen.insert(&partition.topic)) {
                    for to in &self.wanted[&partition.topic] {
                        ways.entry(*to).or_insert_with(|| {
                            next.push(*to);
                            Some((member, partition.clone(), *to))
                        });
                    }
                }
            }
            reached = next;
        }
        let Some(mut at) = reached.iter().copied().min_by_key(|member| self.count(*member)) else {
            return Way::None;
        };
        if self.count(at) + 1 >= self.count(from) {
            return Way::Longer;
        }
        let mut moves = Vec::new();
        while let Some(Some(step)) = ways.get(&at) {
            moves.push(step.clone());
            at = step.0;
        }
        Way::Of(moves)
    }

    fn assignment(self, members: &[&Member]) -> Assignment {
        let all = self.kept.into_iter().zip(self.added);
        let gets = all.map(|(mut kept, mut added)| {
            kept.append(&mut added);
            kept.into_iter().collect()
        });
        by_id(members, gets.collect())
    }
}

/// What everybody gets when all want the same.
struct Shares {
    each: usize,
    /// How many may still get one more.
    longer: usize,
    /// How many each has got.
    got: Vec<usize>,
}

impl Shares {
    fn new(total: usize, members: usize) -> Self {
        Self { each: total / members, longer: total % members, got: vec![0; members] }
    }

    /// How many more a member may get.
    fn room(&self, member: usize) -> usize {
        (self.each + usize::from(self.longer > 0)).saturating_sub(self.got[member])
    }

    /// So many, for which there is room.
    fn take(&mut self, member: usize, count: usize) {
        self.got[member] += count;
        if self.got[member] > self.each {
            self.longer -= 1;
        }
    }
}
