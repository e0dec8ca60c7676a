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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::load::Target;
    use crate::wire;

    /// Takes ApiVersions requests on so many connections; answers each with its correlation id and
    /// `more`.
    fn server(connections: usize, more: i32) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::of(listener.local_addr().unwrap(), 0, "t");
        std::thread::spawn(move || {
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().unwrap();
                std::thread::spawn(move || {
                    let mut request = wire::api_versions().0;
                    while stream.read_exact(&mut request).is_ok() {
                        let number = i32::from_be_bytes(request[8..12].try_into().unwrap());
                        let answer = [4_i32.to_be_bytes(), (number + more).to_be_bytes()];
                        stream.write_all(answer.as_flattened()).unwrap();
                    }
                });
            }
        });
        target
    }

    #[test]
    fn requests_go_around_and_no_more_fly_than_may() {
        let mut poller = Poller::connect(&server(3, 0), 3).unwrap();
        let (mut frame, mut sent, mut answers) = (wire::api_versions(), Vec::new(), 0);
        let pace = Pace::Flying { each: 2, all: 5 };
        let send = |poller: &mut Poller, index, number| {
            sent.push((index, number));
            poller.ask(index, &mut frame)?;
            let flying = [0, 1, 2].map(|index| poller.flying(index));
            assert!(flying[index] <= 2 && flying.iter().sum::<usize>() <= 5, "{flying:?}");
            Ok(())
        };
        let check = |_: &[u8]| {
            answers += 1;
            Ok(())
        };
        Turns { total: 100, pace }.run(&mut poller, send, check).unwrap();
        assert_eq!(answers, 100);
        assert!(sent.into_iter().zip(0..).all(|(sent, n)| sent == (n as usize % 3, n)));
    }

    #[test]
    fn no_request_is_sent_before_it_is_due() {
        let mut poller = Poller::connect(&server(2, 0), 2).unwrap();
        let mut frame = wire::api_versions();
        let begun = Instant::now();
        let send = |poller: &mut Poller, index, number: u64| {
            assert!(begun.elapsed() >= Duration::from_millis(number));
            poller.ask(index, &mut frame)
        };
        Turns { total: 50, pace: Pace::Rate(1000.0) }.run(&mut poller, send, |_| Ok(())).unwrap();
    }

    #[test]
    fn an_answer_to_another_request_is_refused() {
        let mut poller = Poller::connect(&server(1, 1), 1).unwrap();
        let mut frame = wire::api_versions();
        let send = |poller: &mut Poller, index, _| poller.ask(index, &mut frame);
        let ran = Turns { total: 1, pace: Pace::Rate(1000.0) }.run(&mut poller, send, |_| Ok(()));
        assert!(ran.is_err());
    }
}
