//! Every client gets on while the broker runs.
//!
//! Each life of the broker may be shorter than the limit. So a client's time without getting
//! on is added up over the broker's lives, until the client gets on; the time between a crash and
//! the restart does not count.
//!
//! A client that writes gets on when a write of its is acknowledged, whatever it reads beside that;
//! one that only reads gets on when it is answered. A refusal is an answer, but a client that is
//! refused each time gets nothing done: one refusal after the other is as bad as silence.

use std::collections::BTreeMap;

use crate::event::{Event, Outcome, Reader, What};
use crate::judge::Limits;
use crate::partition::World;
use crate::violation::{Rule, Violation};

/// A client's life.
#[derive(Default)]
struct Client {
    /// When it began, or its first attempt did, ns.
    began_ns: Option<u64>,
    /// When it stopped on purpose, ns.
    stopped_ns: Option<u64>,
    /// Whether it ever wrote.
    writes: bool,
    /// When its writes were acknowledged, ns.
    acks: Vec<u64>,
    /// When its reads were answered, ns.
    answers: Vec<u64>,
}

impl Client {
    fn began(&mut self, at_ns: u64) {
        let began_ns = self.began_ns.get_or_insert(at_ns);
        *began_ns = at_ns.min(*began_ns);
    }

    /// Takes in one of its attempts; raw readers and the harness' own notes are none.
    fn attempted(&mut self, event: &Event) {
        match &event.what {
            What::Send(send) => self.wrote(event, send.outcome),
            What::Set { outcome, .. } => self.wrote(event, *outcome),
            _ => self.answers.push(event.ended_ns),
        }
        self.began(event.began_ns);
    }

    fn wrote(&mut self, event: &Event, outcome: Outcome) {
        self.writes = true;
        if outcome == Outcome::Acked {
            self.acks.push(event.ended_ns);
        }
    }
}

pub(crate) fn check(world: &World, limits: &Limits, found: &mut Vec<Violation>) {
    let mut clients: BTreeMap<u32, Client> = BTreeMap::new();
    let mut end_ns = 0;
    for event in world.events {
        end_ns = event.ended_ns.max(end_ns);
        match &event.what {
            What::Started => clients.entry(event.client).or_default().began(event.began_ns),
            What::Stopped => {
                clients.entry(event.client).or_default().stopped_ns = Some(event.ended_ns);
            }
            _ if is_attempt(event) => clients.entry(event.client).or_default().attempted(event),
            _ => {}
        }
    }
    let lives = Lives::new(world.events);
    for (id, client) in clients {
        // One that only stopped was never there.
        let Some(mut since_ns) = client.began_ns else { continue };
        let mut marks = if client.writes { client.acks } else { client.answers };
        let last_ns = client.stopped_ns.unwrap_or(end_ns);
        marks.retain(|mark_ns| *mark_ns < last_ns);
        marks.push(last_ns);
        marks.sort_unstable();
        for mark_ns in marks {
            let waited_ns = lives.until(mark_ns).saturating_sub(lives.until(since_ns));
            if waited_ns > limits.progress_ns {
                let ms = waited_ns / 1_000_000;
                let text = format!(
                    "client {id}: got nothing done from {since_ns} to {mark_ns} ns, \
                     in {ms} ms of a running broker"
                );
                found.push(Violation { rule: Rule::Liveness, place: None, text });
            }
            since_ns = mark_ns;
        }
    }
}

fn is_attempt(event: &Event) -> bool {
    match &event.what {
        What::Read(read) => read.reader == Reader::Live,
        What::Send(_) | What::Set { .. } | What::Got { .. } => true,
        _ => false,
    }
}

/// When the broker ran: from the beginning or a restart to the next crash.
struct Lives {
    /// Begin, end, and the time of the lives before, ns.
    spans: Vec<(u64, u64, u64)>,
}

impl Lives {
    fn new(events: &[Event]) -> Lives {
        let mut turns: Vec<(u64, bool)> = events
            .iter()
            .filter_map(|event| match &event.what {
                What::Crash(_) => Some((event.began_ns, false)),
                What::Restarted => Some((event.ended_ns, true)),
                _ => None,
            })
            .collect();
        turns.sort_unstable();
        let (mut spans, mut before_ns) = (Vec::new(), 0);
        let mut up_since_ns = Some(0);
        for (at_ns, up) in turns {
            match up_since_ns {
                Some(from_ns) if !up => {
                    spans.push((from_ns, at_ns, before_ns));
                    before_ns += at_ns - from_ns;
                    up_since_ns = None;
                }
                None if up => up_since_ns = Some(at_ns),
                _ => {}
            }
        }
        spans.extend(up_since_ns.map(|from_ns| (from_ns, u64::MAX, before_ns)));
        Lives { spans }
    }

    /// How long the broker has run until then, ns.
    fn until(&self, at_ns: u64) -> u64 {
        let count = self.spans.partition_point(|(from_ns, ..)| *from_ns <= at_ns);
        let span = count.checked_sub(1).and_then(|last| self.spans.get(last));
        let Some((from_ns, to_ns, before_ns)) = span else { return 0 };
        before_ns + at_ns.min(*to_ns).saturating_sub(*from_ns)
    }
}
