//! Groups whose members join, get their assignments, and join again when one has left.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::load::{Meter, Target};
use crate::poller::Poller;
use crate::process;
use crate::wire;
use crate::wire::coordinator as ask;

const NONE: i16 = 0;
const UNKNOWN_MEMBER_ID: i16 = 25;
const REBALANCE_IN_PROGRESS: i16 = 27;
const MEMBER_ID_REQUIRED: i16 = 79;

/// As Java's consumer does by default.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);

/// Let groups rebalance: all members join, then one of each group leaves.
#[derive(Args)]
pub(crate) struct Members {
    #[command(flatten)]
    target: Target,
    /// Groups.
    #[arg(long, default_value_t = 1)]
    groups: usize,
    /// Members of each.
    #[arg(long, default_value_t = 5000)]
    members: usize,
}

/// What a member has asked and not been told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Join,
    Sync,
    Heartbeat,
    Leave,
}

#[derive(Default)]
struct Member {
    id: String,
    generation: i32,
    /// Has its assignment of this generation.
    settled: bool,
    left: bool,
    asked: VecDeque<Asked>,
}

struct Party<'a> {
    setting: &'a Members,
    /// What is to be sent, and on which connection.
    outbox: Vec<(usize, wire::Frame)>,
    names: Vec<String>,
    members: Vec<Member>,
    settled: usize,
}

impl Members {
    pub(crate) fn run(&self) -> io::Result<Value> {
        let names: Vec<_> =
            (0..self.groups).map(|group| format!("{}-{group}", self.target.topic)).collect();
        ready(&self.target, &names)?;
        let count = self.groups * self.members;
        let mut poller = Poller::connect(&self.target, count)?;
        let members = (0..count).map(|_| Member::default()).collect();
        let mut party = Party { setting: self, outbox: Vec::new(), names, members, settled: 0 };
        let (idle, _) = process::resident_mib(self.target.pid)?;

        let meter = Meter::start(self.target.pid)?;
        (0..count).for_each(|index| party.join(index));
        party.settle(&mut poller, count)?;
        let (join_s, join_cpu_s) = meter.spent()?;

        std::thread::sleep(Duration::from_secs(1));
        let meter = Meter::start(self.target.pid)?;
        // All that stay have to get their assignments anew.
        (0..count).for_each(|index| party.unsettle(index));
        for group in 0..self.groups {
            party.leave(group * self.members + self.members - 1);
        }
        party.settle(&mut poller, count - self.groups)?;
        let (rebalance_s, rebalance_cpu_s) = meter.spent()?;
        let (resident, peak) = process::resident_mib(self.target.pid)?;
        Ok(json!({
            "join_s": join_s,
            "join_cpu_s": join_cpu_s,
            "rebalance_s": rebalance_s,
            "rebalance_cpu_s": rebalance_cpu_s,
            "rss_connected_mib": idle,
            "rss_mib": resident,
            "rss_peak_mib": peak,
        }))
    }
}

/// Waits until the coordinators of all these groups serve.
pub(crate) fn ready(target: &Target, groups: &[String]) -> io::Result<()> {
    let mut stream = target.connect()?;
    let mut answer = Vec::new();
    let end = Instant::now() + Duration::from_secs(60);
    for group in groups {
        loop {
            wire::call(&mut stream, &ask::find_coordinator(group), &mut answer)?;
            wire::call(&mut stream, &ask::heartbeat(group, 1, "nobody"), &mut answer)?;
            match ask::error_code(&answer)? {
                UNKNOWN_MEMBER_ID => break,
                code if Instant::now() > end => {
                    return Err(io::Error::other(format!("no coordinator: error {code}")));
                }
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
    Ok(())
}

impl Party<'_> {
    fn group(&self, index: usize) -> &str {
        &self.names[index / self.setting.members]
    }

    fn join(&mut self, index: usize) {
        let id = &self.members[index].id;
        let frame = ask::join_group(self.group(index), id, &self.setting.target.topic);
        self.unsettle(index);
        self.send(index, Asked::Join, frame);
    }

    fn heartbeat(&mut self, index: usize) {
        let member = &self.members[index];
        let frame = ask::heartbeat(self.group(index), member.generation, &member.id);
        self.send(index, Asked::Heartbeat, frame);
    }

    fn leave(&mut self, index: usize) {
        let frame = ask::leave_group(self.group(index), &self.members[index].id);
        self.members[index].left = true;
        self.send(index, Asked::Leave, frame);
    }

    fn send(&mut self, index: usize, asked: Asked, frame: wire::Frame) {
        self.members[index].asked.push_back(asked);
        self.outbox.push((index, frame));
    }

    fn unsettle(&mut self, index: usize) {
        self.settled -= usize::from(std::mem::take(&mut self.members[index].settled));
    }

    /// Answers are waited for until so many members have their assignments.
    fn settle(&mut self, poller: &mut Poller, count: usize) -> io::Result<()> {
        let mut ready = Vec::new();
        let mut beat = Instant::now() + HEARTBEAT_INTERVAL;
        poller.tick(HEARTBEAT_INTERVAL)?;
        while self.settled < count {
            if Instant::now() > beat {
                beat += HEARTBEAT_INTERVAL;
                (0..self.members.len()).for_each(|index| self.sign_of_life(index));
            }
            for (index, mut frame) in self.outbox.drain(..) {
                poller.ask(index, &mut frame)?;
            }
            poller.wait(false, &mut ready)?;
            for &index in &ready {
                poller.hear(index, |answer| self.heard(index, answer))?;
            }
        }
        self.check_generations()
    }

    fn sign_of_life(&mut self, index: usize) {
        let member = &self.members[index];
        if !member.left && member.asked.is_empty() {
            self.heartbeat(index);
        }
    }

    fn heard(&mut self, index: usize, answer: &[u8]) -> io::Result<()> {
        let asked = self.members[index].asked.pop_front();
        match asked.ok_or_else(|| io::Error::other("an answer to nothing"))? {
            Asked::Join => self.joined(index, answer),
            Asked::Sync => self.synced(index, answer),
            Asked::Heartbeat => match ask::error_code(answer)? {
                NONE => Ok(()),
                REBALANCE_IN_PROGRESS => {
                    self.join(index);
                    Ok(())
                }
                code => Err(refused("heartbeat", code)),
            },
            Asked::Leave => {
                let code = ask::error_code(answer)?;
                if code != NONE {
                    return Err(refused("leave", code));
                }
                // The others would learn of it by their next heartbeats.
                let begin = index - index % self.setting.members;
                (begin..begin + self.setting.members).for_each(|index| self.sign_of_life(index));
                Ok(())
            }
        }
    }

    fn joined(&mut self, index: usize, answer: &[u8]) -> io::Result<()> {
        let joined = ask::joined(answer)?;
        match joined.error {
            NONE => {}
            MEMBER_ID_REQUIRED => {
                self.members[index].id = joined.member;
                self.join(index);
                return Ok(());
            }
            REBALANCE_IN_PROGRESS => {
                self.join(index);
                return Ok(());
            }
            code => return Err(refused("join", code)),
        }
        let topic = &self.setting.target.topic;
        let mut assignments = Vec::new();
        if joined.leader == joined.member {
            let members = joined.members.into_iter().zip(0..);
            assignments.extend(members.map(|(id, place)| (id, ask::assignment(topic, place))));
        }
        let (generation, id) = (joined.generation, joined.member);
        let frame = ask::sync_group(self.group(index), generation, &id, &assignments);
        let member = &mut self.members[index];
        (member.generation, member.id) = (generation, id);
        self.send(index, Asked::Sync, frame);
        Ok(())
    }

    fn synced(&mut self, index: usize, answer: &[u8]) -> io::Result<()> {
        match ask::synced(answer)? {
            (NONE, []) => Err(io::Error::other("a member without an assignment")),
            (NONE, _) => {
                self.members[index].settled = true;
                self.settled += 1;
                Ok(())
            }
            (REBALANCE_IN_PROGRESS, _) => {
                self.join(index);
                Ok(())
            }
            (code, _) => Err(refused("sync", code)),
        }
    }

    /// One generation for all that stayed.
    fn check_generations(&self) -> io::Result<()> {
        for group in self.members.chunks(self.setting.members) {
            let mut stayed = group.iter().filter(|member| !member.left);
            let first = stayed.next().map(|member| member.generation);
            if stayed.any(|member| Some(member.generation) != first) {
                return Err(io::Error::other("members of different generations"));
            }
        }
        Ok(())
    }
}

fn refused(what: &str, code: i16) -> io::Error {
    io::Error::other(format!("{what} answered error {code}"))
}
