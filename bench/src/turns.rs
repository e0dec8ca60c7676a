//! Requests from the connections of a poller in turn, at a rate or as fast as answers come.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use crate::latency::Latency;
use crate::poller::Poller;

/// When requests are sent.
pub(crate) enum Pace {
    /// At fixed times, however late the answers are: so many a second.
    Rate(f64),
    /// While so few are in flight.
    Flying {
        /// On a connection.
        each: usize,
        /// On all of them together.
        all: usize,
    },
}

/// So many requests, and when.
pub(crate) struct Turns {
    pub(crate) total: u64,
    pub(crate) pace: Pace,
}

impl Turns {
    /// Has each request sent by `send`, which is told its connection and its number, and each
    /// answer checked by `check`; returns how long was waited, at a rate from the time at which a
    /// request was due.
    pub(crate) fn run(
        &self,
        poller: &mut Poller,
        mut send: impl FnMut(&mut Poller, usize, u64) -> io::Result<()>,
        mut check: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Latency> {
        let mut due = vec![VecDeque::new(); poller.count()];
        let mut latency = Latency::new()?;
        let (mut sent, mut answered, mut ready) = (0, 0, Vec::new());
        let begun = Instant::now();
        if let Some(interval) = self.interval() {
            // The ticks begin behind `begun`: none comes before its request is due.
            poller.tick(interval)?;
        }
        while answered < self.total {
            while sent < self.total {
                let turn = (sent % poller.count() as u64) as usize;
                let flying = (poller.flying(turn), (sent - answered) as usize);
                let Some(at) = self.due(begun, sent, flying) else { break };
                send(poller, turn, sent)?;
                due[turn].push_back(at);
                sent += 1;
            }
            poller.wait(false, &mut ready)?;
            for &index in &ready {
                poller.hear(index, |answer| {
                    let now = Instant::now();
                    check(answer)?;
                    let due = due[index].pop_front();
                    let due = due.ok_or_else(|| io::Error::other("an answer to nothing"))?;
                    answered += 1;
                    latency.record(due, now, 1)
                })?;
            }
        }
        Ok(latency)
    }

    fn interval(&self) -> Option<Duration> {
        match self.pace {
            Pace::Rate(per_s) => Some(Duration::from_secs_f64(1.0 / per_s)),
            Pace::Flying { .. } => None,
        }
    }

    /// When a request was due, if it is. `flying`: on its connection, and on all.
    fn due(&self, begun: Instant, number: u64, flying: (usize, usize)) -> Option<Instant> {
        let now = Instant::now();
        match self.pace {
            Pace::Rate(per_s) => {
                let due = begun + Duration::from_secs_f64(number as f64 / per_s);
                (due <= now).then_some(due)
            }
            Pace::Flying { each, all } => (flying.0 < each && flying.1 < all).then_some(now),
        }
    }
}
