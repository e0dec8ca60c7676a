//! Groups of every client, in every way in which it can be a member: three members, one leaves,
//! one is killed, one joins late, the broker restarts in the middle, all end and one resumes. In
//! mixed groups the members are of two clients in turn.
//!
//! After each of these the members that are left have to share all partitions, handle every record
//! and commit it; no record may be handled again after its commit. [`judge`] looks at that.

mod judge;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Shop;
use super::broker::Site;
use super::clients::{self, Client, OURS};
use super::process::Process;
use super::toolbox::Need;
use crate::gate::Outcome;
use judge::Judge;

/// For one program of the lane.
const LIMIT: Duration = Duration::from_secs(1800);

/// For a group to settle after a change. A killed member is missed after three to five seconds; the
/// rest is a busy machine, on which dozens of programs start at a time.
const SETTLE_LIMIT: Duration = Duration::from_secs(90);

const PARTITIONS: usize = 6;

/// How often each topic gets records.
const FEEDS: usize = 10;

/// Records in each topic, in the gate and in full.
const RECORDS: usize = 3_000;
const RECORDS_FULL: usize = 100_000;

/// Sessions short enough to miss a killed member soon. Members of the classic protocol ask for
/// three seconds; the consumer protocol takes the broker's word.
pub(crate) const SETTINGS: &str = "group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=5000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=500
";

/// Runs the lane.
pub(crate) fn run(shop: &Shop, clients: &[&Client]) -> Result<Outcome> {
    if !shop.toolbox.has(Need::Go) {
        // Already counted as not run: the feeder is a program of franz-go's.
        return Ok(Outcome::default());
    }
    let site = Site::fresh_with(&shop.toolbox, "groups", SETTINGS)?;
    let running = site.start(shop.kind)?;
    let mut crews: Vec<Crew> = clients.iter().map(|client| Crew::of(shop, &[*client])).collect();
    crews.extend(Crew::mixed(shop, clients, ["java", OURS]));
    if shop.args.full {
        crews.extend(Crew::mixed(shop, clients, [OURS, "java"]));
    }
    let (outcome, running) = through_restart(shop, &site, crews, || {
        running.stop()?;
        site.start(shop.kind)
    })?;
    running.stop()?;
    Ok(outcome)
}

/// Lets the crews work before and after a restart of the broker, of which the result is given back.
pub(crate) fn through_restart<T>(
    shop: &Shop,
    site: &Site,
    mut crews: Vec<Crew>,
    restart: impl FnOnce() -> Result<T>,
) -> Result<(Outcome, T)> {
    let feeder = Mutex::new(Feeder::start(shop, site)?);
    crews.retain(|crew| !crew.variants.is_empty());
    let barrier = Barrier::new(crews.len() + 1);
    let total = Mutex::new(Outcome::default());
    let restarted = thread::scope(|scope| {
        for crew in &crews {
            scope.spawn(|| {
                let outcome = one_crew(shop, site, &feeder, &barrier, crew);
                total.lock().expect("no worker panics").add(outcome);
            });
        }
        barrier.wait();
        let restarted = restart();
        // Whatever came of it, nobody may wait for ever.
        barrier.wait();
        restarted
    })?;
    Ok((total.into_inner().expect("no worker panics"), restarted))
}

/// Clients whose programs are members of the same groups.
pub(crate) struct Crew<'a> {
    /// For messages and for the names of groups.
    name: String,
    /// Members are of these in turn.
    clients: Vec<&'a Client>,
    variants: Vec<&'static str>,
}

impl<'a> Crew<'a> {
    /// In the variants that all of them have, of those that were asked for (all, if none was).
    fn of(shop: &Shop, clients: &[&'a Client]) -> Crew<'a> {
        let asked = &shop.args.case;
        let all = clients[0].variants.iter().copied();
        let variants = all
            .filter(|name| clients.iter().all(|client| client.variants.contains(name)))
            .filter(|name| asked.is_empty() || asked.iter().any(|a| a == name));
        let names: Vec<&str> = clients.iter().map(|client| client.name).collect();
        Crew { name: names.join("-"), clients: clients.to_vec(), variants: variants.collect() }
    }

    /// Of these two, if both are there.
    pub(crate) fn mixed(shop: &Shop, clients: &[&'a Client], names: [&str; 2]) -> Option<Crew<'a>> {
        let named = |name| clients.iter().copied().find(|client| client.name == name);
        let [Some(one), Some(other)] = names.map(named) else { return None };
        Some(Crew::of(shop, &[one, other]))
    }

    fn prefix(&self) -> String {
        format!("group-{}", self.name)
    }

    /// The client of a member: its members are called A, B and so on.
    fn client(&self, member: char) -> &'a Client {
        self.clients[(member as usize - 'A' as usize) % self.clients.len()]
    }

    /// Whether the clients let their programs know what came of a commit.
    fn tells_commits(&self) -> bool {
        !self.clients.iter().any(|client| ["kcat", "sarama"].contains(&client.name))
    }
}

fn one_crew(
    shop: &Shop,
    site: &Site,
    feeder: &Mutex<Feeder>,
    barrier: &Barrier,
    crew: &Crew,
) -> Outcome {
    let start = Instant::now();
    let (sender, lines) = channel();
    let groups = crew.variants.iter().map(|name| Group::new(crew, name)).collect();
    let mut team = Team { shop, site, feeder, crew, groups, members: Vec::new(), sender, lines };
    let mut result = team.before_restart();
    barrier.wait();
    barrier.wait();
    if result.is_ok() {
        result = team.after_restart();
    }
    if let Err(error) = &result {
        println!("FAIL groups {}: {error:#}", crew.name);
    }
    let mut outcome = Outcome::default();
    let mut repeated = 0;
    for group in &team.groups {
        for problem in &group.judge.problems {
            println!("FAIL groups {} {}: {problem}", crew.name, group.variant);
        }
        repeated += group.judge.repeated;
        outcome.add(Outcome::of(result.is_ok() && group.judge.problems.is_empty()));
    }
    let (passed, all) = (outcome.passed, crew.variants.len());
    let seconds = start.elapsed().as_secs_f64();
    let name = &crew.name;
    println!("{name}: {passed} of {all} groups, {repeated} records twice, in {seconds:.1} s");
    outcome
}

/// One variant's group.
struct Group {
    variant: &'static str,
    /// The name of the group and of its topic.
    name: String,
    judge: Judge,
}

impl Group {
    fn new(crew: &Crew, variant: &'static str) -> Group {
        let name = format!("{}-{variant}", crew.prefix());
        Group { variant, name, judge: Judge::new(PARTITIONS) }
    }

    fn fine(&self) -> bool {
        self.judge.problems.is_empty()
    }
}

/// All groups of one crew: each of its programs is a member of every one of them.
struct Team<'a> {
    shop: &'a Shop<'a>,
    site: &'a Site<'a>,
    feeder: &'a Mutex<Feeder>,
    crew: &'a Crew<'a>,
    groups: Vec<Group>,
    members: Vec<(char, Process)>,
    sender: Sender<(char, String)>,
    lines: Receiver<(char, String)>,
}

impl Team<'_> {
    fn before_restart(&mut self) -> Result<()> {
        for group in &self.groups {
            ask(self.feeder, &format!("create {} {PARTITIONS}", group.name))?;
        }
        for member in ['A', 'B', 'C'] {
            self.join(member)?;
        }
        self.feed()?;
        self.settle("three members")?;
        self.feed()?;
        self.leave('A')?;
        self.feed()?;
        self.settle("one left")?;
        self.feed()?;
        self.kill('B');
        self.feed()?;
        self.settle("one was killed")?;
        self.feed()?;
        self.join('D')?;
        self.feed()?;
        self.settle("one joined late")?;
        self.feed()
    }

    fn after_restart(&mut self) -> Result<()> {
        self.feed()?;
        self.settle("the broker restarted")?;
        self.leave('C')?;
        self.leave('D')?;
        self.feed()?;
        self.join('E')?;
        self.settle("one resumed alone")?;
        self.leave('E')
    }

    fn join(&mut self, member: char) -> Result<()> {
        let client = self.crew.client(member);
        let mut command = client.command(&self.shop.toolbox, self.site.bootstrap());
        command.args(["member", &self.crew.prefix()]);
        command.args(self.groups.iter().map(|group| group.variant));
        let log = self.shop.toolbox.log(&format!("{}-{member}", self.crew.prefix()));
        let sender = self.sender.clone();
        let take = move |line| sender.send((member, line)).is_ok();
        self.members.push((member, Process::start_into(command, &log, LIMIT, take)?));
        Ok(())
    }

    /// Asks a member to leave and waits until it has.
    fn leave(&mut self, member: char) -> Result<()> {
        let mut process = self.take_out(member).context("a member that is there")?;
        // One that has failed is noticed by what it did not say.
        let _ = process.go_on();
        let deadline = Instant::now() + SETTLE_LIMIT;
        while self.hear(deadline)? != Some((member, "left".to_owned())) {
            ensure!(Instant::now() < deadline, "{member} does not leave");
        }
        self.forget(member);
        Ok(())
    }

    fn kill(&mut self, member: char) {
        // Dropping a process kills it, and waits for it.
        drop(self.take_out(member));
        while let Ok((who, line)) = self.lines.recv_timeout(Duration::from_millis(50)) {
            self.judge(who, &line);
        }
        self.forget(member);
    }

    fn take_out(&mut self, member: char) -> Option<Process> {
        let at = self.members.iter().position(|(name, _)| *name == member)?;
        Some(self.members.swap_remove(at).1)
    }

    fn forget(&mut self, member: char) {
        self.groups.iter_mut().for_each(|group| group.judge.gone(member));
    }

    /// Sends some records to every topic.
    fn feed(&mut self) -> Result<()> {
        let records = if self.shop.args.full { RECORDS_FULL } else { RECORDS };
        let count = records.div_ceil(FEEDS * PARTITIONS);
        for group in self.groups.iter_mut().filter(|group| group.fine()) {
            group.judge.feed(count);
            ask(self.feeder, &format!("send {} {PARTITIONS} {count}", group.name))?;
        }
        Ok(())
    }

    /// Waits until the members have all work shared and done; a group that does not get there is
    /// out of the rest.
    fn settle(&mut self, after: &str) -> Result<()> {
        let names: Vec<char> = self.members.iter().map(|(name, _)| *name).collect();
        let tells = self.crew.tells_commits();
        let deadline = Instant::now() + SETTLE_LIMIT;
        loop {
            let waiting: Vec<&mut Group> = self
                .groups
                .iter_mut()
                .filter(|group| group.fine() && group.judge.missing(&names, tells).is_some())
                .collect();
            if waiting.is_empty() {
                break;
            }
            if Instant::now() >= deadline {
                for group in waiting {
                    let missing = group.judge.missing(&names, tells).unwrap_or_default();
                    group.judge.problems.push(format!("after {after}: {missing}"));
                }
                break;
            }
            self.hear(deadline)?;
        }
        self.check_commits(after, deadline + SETTLE_LIMIT)
    }

    /// What the members think to have committed has to be what the broker tells.
    fn check_commits(&mut self, after: &str, deadline: Instant) -> Result<()> {
        let tells = self.crew.tells_commits();
        for group in self.groups.iter_mut().filter(|group| group.fine()) {
            let fed = group.judge.fed();
            let places = (0..PARTITIONS).map(|p| format!(" {p}:{fed}")).collect::<String>();
            let wanted = format!("offsets{places}");
            let question = format!("offsets {0} {0}", group.name);
            let mut answer = ask(self.feeder, &question)?;
            while !tells && answer != wanted && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(100));
                answer = ask(self.feeder, &question)?;
            }
            if answer == wanted {
                group.judge.all_committed();
            } else {
                group.judge.problems.push(format!("after {after}: committed {answer}, not {fed}"));
            }
        }
        Ok(())
    }

    /// Hears one line, or none until a short time has passed.
    fn hear(&mut self, deadline: Instant) -> Result<Option<(char, String)>> {
        let wait = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(wait.min(Duration::from_secs(1))) {
            Ok((member, line)) => {
                self.judge(member, &line);
                Ok(Some((member, line)))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("nobody is left to hear"),
        }
    }

    fn judge(&mut self, member: char, line: &str) {
        let Some((variant, rest)) = line.split_once(' ') else { return };
        if let Some(group) = self.groups.iter_mut().find(|group| group.variant == variant) {
            group.judge.hear(member, rest);
        }
    }
}

/// A program that creates topics, sends records and reads committed offsets.
struct Feeder(Process);

impl Feeder {
    fn start(shop: &Shop, site: &Site) -> Result<Feeder> {
        let client = clients::named("franz-go").context("franz-go is in the table")?;
        let mut command = client.command(&shop.toolbox, site.bootstrap());
        command.arg("feed");
        Ok(Feeder(Process::start(command, &shop.toolbox.log("feed"), LIMIT)?))
    }
}

/// One question to the feeder.
fn ask(feeder: &Mutex<Feeder>, question: &str) -> Result<String> {
    let mut feeder = feeder.lock().expect("no worker panics");
    feeder.0.say(question)?;
    let answer = feeder.0.line()?.context("the feeder has ended")?;
    ensure!(!answer.starts_with("FAIL"), "{question}: {answer}");
    Ok(answer)
}
