//! What holds when nothing happens any more.

use std::collections::BTreeSet;

use ottla_coordinator::context::ClusterView as _;
use ottla_protocol::uuid::Uuid;

use super::world::{GROUPS, World, tell};

impl World {
    /// Nothing happens any more but that clients do their part: the groups come to rest.
    pub(super) fn settle(&mut self) {
        tell!(self, "nothing more happens");
        self.fail_one_in = 0;
        for round in 0..200 {
            // A classic group that is converted before its leader has assigned anything, by a
            // static member that takes its own place there, has an assignment of nothing for its
            // epoch, and keeps it until the next change. So it is in Kafka.
            if round == 60 && self.is_mixed {
                self.topics.names().iter().for_each(|name| self.topics.grow(name));
            }
            for _ in 0..4 {
                (0..self.classic.len()).for_each(|client| self.act(client));
                (0..self.consumers.len()).for_each(|client| self.act_consumer(client));
            }
            if GROUPS.iter().all(|group| self.is_settled(group)) {
                return;
            }
            self.pass(2_000);
        }
        let states = GROUPS.map(|group| self.describe(group));
        let clients: Vec<_> = self
            .classic
            .iter()
            .map(|it| (&it.name, &it.group, it.is_alive, &it.member_id, it.generation, &it.phase))
            .collect();
        let consumers: Vec<_> = self
            .consumers
            .iter()
            .map(|it| (&it.name, &it.group, it.is_alive, &it.member_id, it.epoch, &it.owned))
            .collect();
        panic!("the groups do not settle: {states:?} {clients:#?} {consumers:#?}");
    }

    /// Whether a group is at rest, of whichever kind its clients are: all that live are members,
    /// each partition that they want has one owner, and everybody knows.
    fn is_settled(&self, group: &str) -> bool {
        let classic: Vec<_> =
            self.classic.iter().filter(|it| it.is_alive && it.group == group).collect();
        let consumers: Vec<_> =
            self.consumers.iter().filter(|it| it.is_alive && it.group == group).collect();
        let (state, members) = self.describe(group);
        let count = classic.len() + consumers.len();
        if count == 0 {
            return ["Empty", "Dead"].contains(&state.as_str());
        }
        let ids = classic.iter().map(|it| it.member_id.clone());
        let ids: BTreeSet<_> = ids.chain(consumers.iter().map(|it| it.member_id.clone())).collect();
        // Members of a consumer group come to its epoch one by one.
        let in_step = self.is_consumer_group(group)
            || classic.windows(2).all(|pair| pair[0].generation == pair[1].generation);
        let all_know = classic.iter().all(|it| it.is_in())
            && consumers.iter().all(|it| it.assigned.is_none() && !it.has_news);
        if state != "Stable" || members != ids || ids.len() != count || !in_step || !all_know {
            return false;
        }
        let id = |topic: &str| self.topics.topic(topic).map_or(Uuid::ZERO, |facts| facts.id);
        let of_classic = classic.iter().flat_map(|it| it.assignment());
        let of_classic = of_classic.map(|(topic, partition)| (id(topic), *partition));
        let of_consumers = consumers.iter().flat_map(|it| it.owned.iter().copied());
        let mut owned: Vec<_> = of_classic.chain(of_consumers).collect();
        owned.sort_unstable();
        let wanted = classic.iter().flat_map(|it| &it.wants);
        let wanted: BTreeSet<_> = wanted.chain(consumers.iter().flat_map(|it| &it.wants)).collect();
        let all = self.topics.partitions(wanted.iter().map(|topic| topic.as_str())).into_iter();
        let mut all: Vec<_> = all.map(|(topic, partition)| (id(&topic), partition)).collect();
        all.sort_unstable();
        owned == all
    }
}
