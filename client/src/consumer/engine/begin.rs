//! Where partitions begin: at the group's offset, at that of a time, or where they were when
//! another replica began to lead.

use std::sync::Arc;
use std::time::Instant;

use super::{Committed, Engine};
use crate::consumer::commit::{self, OffsetAndMetadata};
use crate::consumer::inquiry::{Inquiry, Resolved, Told, What, Whose};
use crate::consumer::positions::{Begin, Need};
use crate::consumer::shared::State;
use crate::error::{Error, ErrorKind};
use crate::net::{Net, Until};
use crate::partition::TopicPartition;

impl Engine {
    /// Asks for what partitions need before they can be fetched.
    pub(super) fn begin(&mut self, net: &mut dyn Net, now: Instant) -> Until {
        self.take_committed();
        let (mut resolved, mut of_group) = (Vec::new(), Vec::new());
        let settings = &self.shared.settings;
        let begin = Begin { has_group: settings.group.is_some(), reset: settings.reset };
        {
            let mut state = self.shared.state();
            let State { positions, inquiries, errors, .. } = &mut *state;
            inquiries.drain(..).for_each(|inquiry| self.inquiries.ask(inquiry));
            let cluster = self.session.metadata.cluster();
            let told = errors.len();
            for (partition, place) in positions.iter_mut() {
                let known = cluster.partition(&partition.topic, partition.partition);
                let epoch = known.map_or(-1, |known| known.leader_epoch);
                match place.need(partition, epoch, begin) {
                    Need::Nothing => {}
                    Need::Committed => of_group.push((partition.clone(), place.generation)),
                    Need::Of(what) => {
                        let whose = Whose::Position(place.generation);
                        self.inquiries.ask(Inquiry::new(partition.clone(), what, whose));
                    }
                    Need::Fail(error) => {
                        place.fail(error.clone());
                        errors.push_back(error);
                    }
                }
            }
            if errors.len() > told {
                self.shared.notify();
            }
        }
        self.ask_committed(of_group, now);
        let metadata = &mut self.session.metadata;
        let until = self.inquiries.turn(metadata, net, now, &mut resolved);
        if resolved.is_empty() {
            return until;
        }
        self.resolve(resolved);
        Until::Time(now)
    }

    /// Asks how far the group has come.
    fn ask_committed(&mut self, positions: Vec<(TopicPartition, u64)>, now: Instant) {
        let settings = &self.shared.settings;
        let Some(group) = settings.group.as_ref().filter(|_| !positions.is_empty()) else { return };
        let wanted = positions.iter().map(|(of, _)| of.clone()).collect();
        let (ask, offsets) = commit::fetch(Arc::clone(group), wanted);
        self.session.calls.ask(ask, now + settings.api_timeout, now);
        self.committed.push(Committed { positions, offsets });
    }

    /// Takes how far it has come.
    fn take_committed(&mut self) {
        let all = std::mem::take(&mut self.committed);
        let (done, waiting) = all.into_iter().partition(|asked| asked.offsets.is_done());
        self.committed = waiting;
        let done: Vec<Committed> = done;
        if done.is_empty() {
            return;
        }
        let reset = self.shared.settings.reset;
        let mut state = self.shared.state();
        for Committed { positions, offsets } in done {
            let result = offsets.wait();
            if let Err(error) = &result {
                log::warn!("the group's offsets are not known: {error}");
            }
            for (partition, generation) in positions {
                let Some(place) = state.positions.current(&partition, generation) else { continue };
                match &result {
                    Ok(all) => {
                        let at = all.get(&partition).map(OffsetAndMetadata::at);
                        place.committed(&partition, at, reset);
                    }
                    Err(error) if error.is_retriable() => place.forget(),
                    Err(error) => place.fail(error.clone()),
                }
                if let Some(error) = place.error().cloned() {
                    state.tell(error);
                }
            }
        }
        drop(state);
        self.shared.notify();
    }

    /// Takes answers.
    pub(super) fn resolve(&mut self, resolved: Vec<Resolved>) {
        if resolved.is_empty() {
            return;
        }
        let mut state = self.shared.state();
        for (Inquiry { partition, what, whose, .. }, result) in resolved {
            match whose {
                Whose::Caller(promise) => promise.keep(result),
                Whose::Position(generation) => {
                    self.settle(&mut state, (&partition, generation), what, result);
                }
            }
        }
        state.clean();
        drop(state);
        self.shared.notify();
    }

    fn settle(
        &self,
        state: &mut State,
        (partition, generation): (&TopicPartition, u64),
        what: What,
        result: Result<Told, Error>,
    ) {
        let Some(place) = state.positions.current(partition, generation) else { return };
        let mut counts = true;
        match (what, result) {
            (What::OffsetOf(timestamp), Ok(told)) => place.found(partition, timestamp, told),
            (What::EndOf(_), Ok(end)) => {
                counts = place.checked(partition, end, self.shared.settings.reset);
            }
            // A broker that cannot tell where epochs end knows of none either.
            (What::EndOf(_), Err(error)) if error.kind() == ErrorKind::UnsupportedVersion => {
                place.not_checked();
            }
            (_, Err(error)) => place.fail(error),
        }
        if let Some(error) = place.error() {
            state.errors.push_back(error.clone());
        }
        if !counts {
            state.positions.renew(partition);
        }
    }
}
