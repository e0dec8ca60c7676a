//! Real clients as producers: a program for each is told which records to send, a line each, and
//! tells what became of them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ottla_check::event::{Outcome, Place, Send, What};
use ottla_check::value::{ValueId, encode};

use crate::torture::random::Random;
use crate::torture::shared::{Client, Target, Times};

/// Records that are on their way at most.
const PENDING_MAX: usize = 60;
/// How long a program may take for what it has begun after the load was stopped.
const LAST_TRY: Duration = Duration::from_secs(20);

/// A program: the client's name and how to run it.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) command: Command,
}

/// Lets a program produce until the load is stopped.
pub(crate) fn run(client: Client, targets: &[Target], random: Random, program: Program) {
    let name = program.name;
    let shared = client.shared.clone();
    let result = Relay::start(client, targets, random, program).and_then(Relay::run);
    if let Err(error) = result {
        shared.complain(format!("{name}: {error:#}"));
    }
}

struct Relay<'a> {
    client: Client,
    targets: &'a [Target],
    random: Random,
    child: Child,
    /// What it is told. A program that waits for its broker does not listen, and a write to its
    /// full pipe would never end.
    orders: Option<Sender<String>>,
    lines: Receiver<String>,
    /// By number, what is on its way and since when, ns.
    pending: HashMap<u64, (Send, u64)>,
    next: u64,
}

impl<'a> Relay<'a> {
    fn start(
        client: Client,
        targets: &'a [Target],
        random: Random,
        program: Program,
    ) -> Result<Relay<'a>> {
        let mut command = program.command;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("start it")?;
        let stdout = child.stdout.take().context("stdout was asked for")?;
        let mut stdin = child.stdin.take().context("stdin was asked for")?;
        let (orders, ordered) = channel::<String>();
        // Ends with the program, or closes its input when there are no more orders.
        thread::spawn(move || ordered.iter().all(|line| stdin.write_all(line.as_bytes()).is_ok()));
        let (sender, lines) = channel();
        // Ends with the program's output.
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.all(|line| sender.send(line).is_ok())
        });
        let (pending, next) = (HashMap::new(), 0);
        let orders = Some(orders);
        Ok(Relay { client, targets, random, child, orders, lines, pending, next })
    }

    fn run(mut self) -> Result<()> {
        while !self.client.shared.is_stopped() {
            for _ in 0..self.random.below(8) {
                if self.pending.len() < PENDING_MAX {
                    self.send()?;
                }
            }
            self.take_answers()?;
            thread::sleep(Duration::from_micros(self.random.below(4_000)));
        }
        // The end of its input ends it.
        self.orders = None;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            self.take_answers()?;
            if start.elapsed() > LAST_TRY {
                bail!("{} records are not answered in the end", self.pending.len());
            }
            thread::sleep(Duration::from_millis(2));
        }
        // Its last lines may still be on their way through the pipe.
        while let Ok(line) = self.lines.recv() {
            self.take_answer(&line)?;
        }
        self.client.retire();
        if self.next == 0 || !self.pending.is_empty() {
            bail!("{} of {} records were not answered", self.pending.len(), self.next);
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        let target = self.random.pick(self.targets).clone();
        let partition = self.random.below(u64::try_from(target.topic.partitions).unwrap_or(1));
        let partition = i32::try_from(partition).unwrap_or(0);
        let place = Place { topic: target.topic.id, partition };
        let producer = self.client.id;
        let id = ValueId { producer, sequence: self.next };
        self.next += 1;
        let padding = self.random.below(target.padding_bytes.max(1));
        let value = encode(self.client.shared.run, id, usize::try_from(padding).unwrap_or(0));
        let key = target.keys().map(|keys| format!("{producer}-{}", id.sequence % keys));
        let key = key.map_or("-".to_owned(), |key| hex(key.as_bytes()));
        let line = format!("{} {} {partition} {key} {}\n", id.sequence, target.name, hex(&value));
        let send = Send {
            place,
            producer,
            session: Some(0),
            first_sequence: id.sequence,
            count: 1,
            base_offset: None,
            outcome: Outcome::Unknown,
        };
        let began_ns = self.client.shared.now_ns();
        // Readers may see it from now on, long before it is acknowledged.
        self.client.note(Times { began_ns, ended_ns: began_ns }, What::Send(send));
        self.pending.insert(id.sequence, (send, began_ns));
        let orders = self.orders.as_ref().context("it was told that all is said")?;
        orders.send(line).context("it does not listen")
    }

    fn take_answers(&mut self) -> Result<()> {
        while let Ok(line) = self.lines.try_recv() {
            self.take_answer(&line)?;
        }
        Ok(())
    }

    fn take_answer(&mut self, line: &str) -> Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let ["acked", number, offset] = words[..] else {
            bail!("{line}");
        };
        let Some((mut send, began_ns)) = self.pending.remove(&number.parse()?) else {
            bail!("answered what was not asked: {line}");
        };
        let offset: i64 = offset.parse()?;
        send.base_offset = (offset >= 0).then_some(offset);
        send.outcome = Outcome::Acked;
        let ended_ns = self.client.shared.now_ns();
        self.client.note(Times { began_ns, ended_ns }, What::Send(send));
        self.client.shared.acked.fetch_add(1, Ordering::Relaxed);
        self.client.shared.relayed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        // It has ended unless something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
