//! Losses of power: the file system is cut off from its disk under load, and mounted again.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ottla_check::event::{Crash, Event, Outcome as Answer, Policy, What};

use super::load::administer::alter;
use super::load::{Load, Mix, ask};
use super::random::Random;
use super::round::{Plan, Verdict, conclude, prepare, read_everything, wait_for_deletions};
use super::shared::{Client, Shared, Target};
use super::site::{Broker, Site};
use super::wire::Connection;
use super::{Common, kill, raw};
use crate::gate::Outcome;

/// Losses on the same topics, before everything is read and judged.
const ROUND: u32 = 50;
/// Without an answer for so long, something hangs.
const STALL: Duration = Duration::from_secs(20);
/// The disk, MiB.
const IMAGE_MIB: u64 = 512;

/// Cuts a mounted file system off for each line: FS_IOC_SHUTDOWN, without flushing its journal. A
/// descriptor that stayed open would keep it busy.
const CUTTER: &str = "import fcntl, os, struct, sys
for line in sys.stdin:
    fd = os.open(line.strip(), os.O_RDONLY)
    fcntl.ioctl(fd, 0x8004587d, struct.pack('I', 2))
    os.close(fd)
    print('cut', flush=True)
";

const SETTINGS: &str = "log.flush.offset.checkpoint.interval.ms=100
log.initial.task.delay.ms=50
log.index.interval.bytes=512
log.segment.delete.delay.ms=100
";

/// Topics whose records are on the disk when they are acknowledged.
const SYNCED: [Plan; 1] = [Plan {
    name: "synced",
    partitions: 3,
    policy: Policy::Keep,
    synced: true,
    padding_bytes: 300,
    configs: &[("flush.messages", "1"), ("segment.ms", "400")],
}];

/// Topics that may lose their last records.
const CACHED: [Plan; 1] = [Plan {
    name: "cached",
    partitions: 3,
    policy: Policy::Keep,
    synced: false,
    padding_bytes: 300,
    configs: &[("segment.ms", "400")],
}];

/// Runs so many losses; half of them with synced offsets of groups.
pub(crate) fn run(common: &Common, losses: u32) -> Result<Outcome> {
    if let Some(missing) = missing()? {
        println!("power: CANNOT RUN: {missing}");
        let not_run = vec![format!("torture power: {missing}")];
        return Ok(Outcome { not_run, ..Outcome::default() });
    }
    let folder = common.target.join("power");
    let disk = Disk::make(&common.target)?;
    let data = vec![disk.mount.join("data")];
    let site = Site::fresh(&common.root, &folder, data, &common.broker, SETTINGS)?;
    let mut random = Random::new(common.seed);
    let mut outcome = Outcome::default();
    let (mut done, mut acked, start) = (0, 0, Instant::now());
    while done < losses {
        let count = ROUND.min(losses - done);
        let synced_offsets = done < losses / 2;
        let verdict = round(&site, &disk, &mut random, &Losses::new(count, synced_offsets));
        done += if verdict.problems.is_empty() { count } else { 0 };
        acked += verdict.acked;
        let seconds = start.elapsed().as_secs_f64();
        let events = verdict.events;
        println!(
            "power: {done} losses, {acked} records acknowledged, {events} events, {seconds:.0} s"
        );
        outcome.add(kill::report("power", &verdict.problems));
        if !verdict.problems.is_empty() {
            println!("power: history and logs are in {}", site.folder.display());
            break;
        }
        outcome.add(Outcome { passed: u64::from(count), ..Outcome::default() });
    }
    Ok(outcome)
}

/// What came of losses under a broker that does not sync.
pub(crate) struct Unsynced {
    pub(crate) verdict: Verdict,
    /// How often the power went.
    pub(crate) cuts: u32,
    /// Whether a start or a reader broke the round off, behind a loss of power. What fails before
    /// or elsewhere may be the harness or the machine.
    pub(crate) broke_behind_cut: bool,
}

/// Losses under a broker whose syncs of one kind do nothing, and say that all is well.
pub(crate) fn unsynced(common: &Common, random: &mut Random, call: &str) -> Result<Unsynced> {
    /// Enough for a record, an offset or a name to be lost.
    const LOSSES: u32 = 8;
    let folder = common.target.join("power");
    let disk = Disk::make(&common.target)?;
    let data = vec![disk.mount.join("data")];
    let mut site = Site::fresh(&common.root, &folder, data, &common.broker, SETTINGS)?;
    // Not as the broker's parent, so that a kill hits the broker.
    let words = ["strace", "-D", "-f", "-o", "/dev/null", "-e"].map(str::to_owned);
    site.wrapper.extend(words);
    let trace = [format!("trace={call}"), "-e".to_owned(), format!("inject={call}:retval=0")];
    site.wrapper.extend(trace);
    site.wrapper.push("--".to_owned());
    let losses = Losses::new(LOSSES, true);
    let verdict = round(&site, &disk, random, &losses);
    let broke_behind_cut = losses.is_behind.get() && verdict.broken_off.is_some();
    Ok(Unsynced { verdict, cuts: losses.cuts.get(), broke_behind_cut })
}

/// What this lane lacks here.
pub(crate) fn missing() -> Result<Option<String>> {
    let id = Command::new("id").arg("-u").output()?;
    if id.stdout.trim_ascii() != b"0" {
        return Ok(Some("needs root, to mount a file system".to_owned()));
    }
    for (tool, args) in [("mkfs.ext4", ["-V"]), ("python3", ["-V"]), ("mount", ["-V"])] {
        let run = Command::new(tool).args(args).output();
        if !run.is_ok_and(|output| output.status.success()) {
            return Ok(Some(format!("needs {tool}")));
        }
    }
    Ok(None)
}

/// A file with an ext4 in it, mounted.
struct Disk {
    image: PathBuf,
    mount: PathBuf,
    cutter: RefCell<Cutter>,
}

struct Cutter {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Disk {
    fn make(target: &Path) -> Result<Disk> {
        let (image, mount) = (target.join("power.img"), target.join("power-mount"));
        // Left by a run that was ended from outside.
        let _ = Command::new("umount").arg(&mount).stderr(Stdio::null()).status();
        fs::create_dir_all(&mount)?;
        fs::File::create(&image)?.set_len(IMAGE_MIB << 20)?;
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-c", CUTTER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = python.spawn().context("start python3")?;
        let answers = BufReader::new(child.stdout.take().context("stdout was asked for")?);
        let cutter = RefCell::new(Cutter { child, answers });
        let disk = Disk { image, mount, cutter };
        command("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), disk.image.as_os_str()])?;
        disk.mount().context("mount -o loop: needs root and loop devices")?;
        Ok(disk)
    }

    fn mount(&self) -> Result<()> {
        let (image, mount) = (self.image.as_os_str(), self.mount.as_os_str());
        command("mount", &["-o".as_ref(), "loop".as_ref(), image, mount])
    }

    fn unmount(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            match command("umount", &[self.mount.as_os_str()]) {
                Err(_) if start.elapsed() < Duration::from_secs(5) => {
                    thread::sleep(Duration::from_millis(5));
                }
                other => return other,
            }
        }
    }

    /// From now on nothing reaches the disk.
    fn cut(&self) -> Result<()> {
        let mut cutter = self.cutter.borrow_mut();
        let stdin = cutter.child.stdin.as_mut().context("stdin was asked for")?;
        writeln!(stdin, "{}", self.mount.display())?;
        let mut line = String::new();
        cutter.answers.read_line(&mut line)?;
        ensure!(line == "cut\n", "the file system cannot be cut off");
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let cutter = self.cutter.get_mut();
        // Both may be gone already.
        let _ = cutter.child.kill();
        let _ = cutter.child.wait();
        let _ = self.unmount();
    }
}

fn command(name: &str, args: &[&std::ffi::OsStr]) -> Result<()> {
    let output = Command::new(name).args(args).output().with_context(|| name.to_owned())?;
    ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn mixes(synced_offsets: bool) -> [Mix; 2] {
    let synced = Mix {
        idempotent: 2,
        plain: 1,
        consumers: 1,
        committers: 2,
        administrators: 1,
        synced_offsets,
        // What is acknowledged amid the loss may be gone, and the producer does not know.
        sessions_end: true,
    };
    [synced, Mix { idempotent: 1, committers: 0, administrators: 0, ..synced }]
}

/// The losses of a round, and how far it has come with them.
struct Losses {
    count: u32,
    synced_offsets: bool,
    cuts: Cell<u32>,
    /// Whether a start or a reader finds out now what a loss has left.
    is_behind: Cell<bool>,
}

impl Losses {
    fn new(count: u32, synced_offsets: bool) -> Losses {
        Losses { count, synced_offsets, cuts: Cell::new(0), is_behind: Cell::new(false) }
    }

    /// Runs what finds out what a loss has left.
    fn behind<T>(&self, find_out: impl FnOnce() -> Result<T>) -> Result<T> {
        self.is_behind.set(self.cuts.get() > 0);
        let found = find_out()?;
        self.is_behind.set(false);
        Ok(found)
    }
}

fn round(site: &Site, disk: &Disk, random: &mut Random, losses: &Losses) -> Verdict {
    let shared = Shared::new(site.address, random.below(1 << 40) << 16);
    conclude(&shared, site, || {
        let lost = lose(&shared, site, disk, random, losses);
        unsettle(&shared);
        let (broker, targets) = lost?;
        losses.behind(|| read_everything(&shared, &targets))?;
        wait_for_deletions(site)?;
        broker.signal("TERM")?;
        broker.wait_for_stop()?;
        losses.behind(|| raw::read_all(&shared, &site.data, &targets).context("the files"))
    })
}

/// Makes topics, and cuts the power so many times under load.
fn lose(
    shared: &Arc<Shared>,
    site: &Site,
    disk: &Disk,
    random: &mut Random,
    losses: &Losses,
) -> Result<(Broker, Vec<Target>)> {
    let mut broker = site.start()?;
    let plans = SYNCED.into_iter().chain(CACHED).collect::<Vec<_>>();
    let targets = prepare(shared, &plans)?;
    let messages = if losses.synced_offsets { "1" } else { "9223372036854775807" };
    let sync = |c: &mut Connection| alter(c, "__consumer_offsets", "flush.messages", messages);
    let code = Client::new(shared).insist(STALL, sync).context("no answer to a setting")?.1;
    ensure!(code.is_none(), "__consumer_offsets: flush.messages: {code:?}");
    let [synced, cached] = mixes(losses.synced_offsets);
    let (first, second) = targets.split_at(SYNCED.len());
    let loads =
        [Load::start(shared, first, synced, random), Load::start(shared, second, cached, random)];
    for n in 0..losses.count {
        wait_for_answers(shared, random)?;
        broker = lose_power(shared, site, disk, losses, broker, second)
            .with_context(|| format!("loss {n}"))?;
    }
    for load in loads {
        load.finish();
    }
    Ok((broker, targets))
}

fn wait_for_answers(shared: &Shared, random: &mut Random) -> Result<()> {
    let before = shared.acked.load(Ordering::Relaxed);
    let start = Instant::now();
    while !random.once_in(40) && shared.acked.load(Ordering::Relaxed) == before {
        ensure!(start.elapsed() < STALL, "nothing acknowledged in {} s", STALL.as_secs());
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_micros(random.below(250_000)));
    Ok(())
}

fn lose_power(
    shared: &Arc<Shared>,
    site: &Site,
    disk: &Disk,
    losses: &Losses,
    mut broker: Broker,
    cached: &[Target],
) -> Result<Broker> {
    // Nothing has failed yet that would end it.
    if let Some(status) = broker.ended()? {
        bail!("the broker had ended by itself with {status}: {}", broker.last_lines());
    }
    note_flushed(shared, site, cached)?;
    let began_ns = shared.now_ns();
    disk.cut()?;
    losses.cuts.set(losses.cuts.get() + 1);
    // It may have ended by itself already: all its directories are offline.
    if let Some(status) = broker.end()? {
        ensure!(status.code() == Some(1), "without a disk the broker ended with {status}");
    }
    shared.alone(|| -> Result<Broker> {
        let ended_ns = shared.now_ns();
        shared.note(Event { began_ns, ended_ns, client: 0, what: What::Crash(Crash::Power) });
        disk.unmount()?;
        disk.mount()?;
        losses.behind(|| {
            let broker = site.start()?;
            shared.note_now(What::Restarted);
            note_ends(shared, site, cached)?;
            Ok(broker)
        })
    })
}

/// Takes back what was acknowledged after the power had begun to go. A broker without power answers
/// nothing; this one lives for some ms more, and a sync that is under way when the journal is cut
/// off may even succeed: the kernel takes a dropped transaction for a written one. Only in the end
/// has every client noted what it was told.
fn unsettle(shared: &Shared) {
    let doubt = |outcome: &mut Answer| {
        if *outcome == Answer::Acked {
            *outcome = Answer::Unknown;
        }
    };
    shared.with_history(|history| {
        let losses: Vec<(u64, u64)> = history
            .iter()
            .filter(|event| event.what == What::Crash(Crash::Power))
            .map(|event| (event.began_ns, event.ended_ns))
            .collect();
        let is_amid = |event: &Event| {
            losses
                .iter()
                .any(|(cut_ns, end_ns)| event.ended_ns >= *cut_ns && event.began_ns <= *end_ns)
        };
        for event in history.iter_mut().filter(|event| is_amid(event)) {
            match &mut event.what {
                What::Send(send) => {
                    doubt(&mut send.outcome);
                    send.base_offset = None;
                }
                What::Set { outcome, .. } | What::Deleted { outcome, .. } => doubt(outcome),
                _ => {}
            }
        }
        // What it told of its state may have gone as well. A creation that is forgotten is one
        // that nobody was told of.
        history.retain(|event| {
            let told = matches!(
                event.what,
                What::Got { .. }
                    | What::Ends { .. }
                    | What::Lookup { .. }
                    | What::Listed(_)
                    | What::Created { .. }
            );
            !told || !is_amid(event)
        });
    });
}

/// Notes how far the files say that partitions are on the disk.
fn note_flushed(shared: &Shared, site: &Site, targets: &[Target]) -> Result<()> {
    let now_ns = shared.now_ns();
    for data in &site.data {
        let path = data.join("recovery-point-offset-checkpoint");
        // It may be replaced at this moment, or not be there yet.
        let Ok(text) = fs::read_to_string(path) else { continue };
        for line in text.lines().skip(2) {
            let [name, partition, end] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
            let Some(target) = targets.iter().find(|target| target.name == name) else { continue };
            let partition: i32 = partition.parse()?;
            let Some(place) = target.places().nth(usize::try_from(partition)?) else { continue };
            let what = What::Flushed { place, end: end.parse()? };
            shared.note(Event { began_ns: now_ns, ended_ns: now_ns, client: 0, what });
        }
    }
    Ok(())
}

/// Notes where partitions end now, before any load goes on.
fn note_ends(shared: &Shared, site: &Site, targets: &[Target]) -> Result<()> {
    let mut connection = Connection::open(site.address)?;
    for target in targets {
        for place in target.places() {
            let start = Instant::now();
            loop {
                if let Some((_, end)) = ask::ends(&mut connection, &target.name, place.partition)? {
                    shared.note_now(What::Recovered { place, end });
                    break;
                }
                if start.elapsed() > STALL {
                    bail!("{}-{} does not come back", target.name, place.partition);
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
    Ok(())
}
