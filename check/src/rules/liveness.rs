//! Every client gets on again soon after a restart.

use std::collections::HashMap;

use crate::event::{Event, Outcome, What};
use crate::judge::Limits;
use crate::partition::World;
use crate::violation::{Rule, Violation};

/// A client's life.
#[derive(Default)]
struct Client {
    /// When its first attempt began, ns.
    began_ns: Option<u64>,
    /// When answers came, ns.
    answers: Vec<u64>,
    /// When it stopped on purpose, ns.
    stopped_ns: Option<u64>,
}

pub(crate) fn check(world: &World, limits: &Limits, found: &mut Vec<Violation>) {
    let mut clients: HashMap<u32, Client> = HashMap::new();
    let (mut restarts, mut crashes) = (Vec::new(), Vec::new());
    let mut end_ns = 0;
    for event in world.events {
        end_ns = event.ended_ns.max(end_ns);
        match &event.what {
            What::Crash(_) => crashes.push(event.began_ns),
            What::Restarted => restarts.push(event.ended_ns),
            What::Stopped => {
                clients.entry(event.client).or_default().stopped_ns = Some(event.ended_ns);
            }
            _ if is_attempt(event) => {
                let client = clients.entry(event.client).or_default();
                let first = client.began_ns.get_or_insert(event.began_ns);
                *first = event.began_ns.min(*first);
                if is_answered(event) {
                    client.answers.push(event.ended_ns);
                }
            }
            _ => {}
        }
    }
    restarts.sort_unstable();
    crashes.sort_unstable();
    for client in clients.values_mut() {
        client.answers.sort_unstable();
    }
    for restart_ns in restarts {
        let until = restart_ns.saturating_add(limits.progress_ns);
        let crash_ns = crashes.get(crashes.partition_point(|at| *at < restart_ns));
        if *crash_ns.unwrap_or(&end_ns) < until {
            continue;
        }
        for (id, client) in &clients {
            let here = client.began_ns.is_some_and(|began_ns| began_ns < restart_ns)
                && client.stopped_ns.is_none_or(|stopped_ns| stopped_ns > until);
            let next = client.answers.partition_point(|at| *at < restart_ns);
            if here && client.answers.get(next).is_none_or(|at| *at > until) {
                let text = format!("client {id}: no answer after the restart at {restart_ns} ns");
                found.push(Violation { rule: Rule::Liveness, place: None, text });
            }
        }
    }
}

/// Raw readers and the harness' own notes are no attempts of clients.
fn is_attempt(event: &Event) -> bool {
    match &event.what {
        What::Read(read) => read.reader == crate::event::Reader::Live,
        What::Send(_) | What::Set { .. } | What::Got { .. } => true,
        _ => false,
    }
}

fn is_answered(event: &Event) -> bool {
    match &event.what {
        What::Send(send) => send.outcome != Outcome::Unknown,
        What::Set { outcome, .. } => *outcome != Outcome::Unknown,
        _ => true,
    }
}
