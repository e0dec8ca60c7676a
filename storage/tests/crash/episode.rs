//! One episode: generations of a broker's storage, each ended by a crash, and the crash points of
//! each, looked at one by one.

use ottla_storage::sim::{CrashStyle, Fault, FsyncFailure, KeptImage, OpKind, SimDisk};

use crate::check::{Broken, Found, check};
use crate::live::{Done, Live, Timeline, open};
use crate::model::Model;
use crate::plan::{Generation, Plan};
use crate::random::Random;

/// What an episode is run with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Numbers of steps that are left out.
    pub(crate) dropped: Vec<usize>,
    /// Say every step and every call of the disk.
    pub(crate) trace: bool,
    /// What the storage forgets to do, to see whether it is noticed.
    pub(crate) forgets: Option<(OpKind, &'static str)>,
    /// Whether acknowledged is promised to be durable where it is not.
    pub(crate) overpromise: bool,
}

/// How much an episode has looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Crash images opened and compared.
    pub(crate) points: u64,
    /// Of those, power losses.
    pub(crate) power: u64,
    /// Of those, crashes of a start that followed a crash.
    pub(crate) nested: u64,
    /// Of those, after an injected error.
    pub(crate) faulty: u64,
    /// Opened twice with the same outcome.
    pub(crate) again: u64,
    /// Worked with afterwards, closed, and opened again.
    pub(crate) used: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.points += other.points;
        self.power += other.power;
        self.nested += other.nested;
        self.faulty += other.faulty;
        self.again += other.again;
        self.used += other.used;
    }
}

/// A promise that was broken, and where.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) problem: Broken,
    /// In which generation, at which operation, by which crash.
    pub(crate) place: String,
    /// The calls of the disk up to there.
    pub(crate) trace: Vec<String>,
}

struct Episode<'a> {
    plan: Plan,
    options: &'a Options,
    tally: Tally,
}

/// Runs the episode of a seed. The tally counts up to a failure.
pub(crate) fn run(seed: u64, options: &Options) -> (Tally, Option<Failure>) {
    let plan = Plan::new(seed).without(&options.dropped);
    let mut episode = Episode { plan, options, tally: Tally::default() };
    let failure = episode.run().err();
    (episode.tally, failure)
}

/// A crash that a generation begins after.
struct Before {
    power: bool,
    /// A start that is cut short must, after a mere kill, come to the same end.
    is_crash: bool,
}

impl Episode<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let mut disk = SimDisk::new();
        let mut model = Model::new(&self.plan.configs);
        let mut before = Before { power: false, is_crash: false };
        for (number, generation) in self.plan.generations.clone().iter().enumerate() {
            disk.set_quiet(!self.options.trace);
            disk.set_fsync_failure(self.plan.fsync_failure);
            self.inject(&disk, generation);
            disk.keep_images();
            let ran = self.generation(&disk, model, &before, generation);
            let images = disk.take_images();
            let at = |what: String| format!("generation {number}, {what}");
            let (timeline, starting) = ran.map_err(|problem| Failure {
                problem,
                place: at(format!("operation {}", disk.ops())),
                trace: disk.trace(),
            })?;
            let random = &mut Random::new(generation.choice);
            let scene = Scene { timeline: &timeline, starting, disk: &disk };
            self.look_at_all(&images, &scene, random)
                .map_err(|(problem, place, trace)| Failure { problem, place: at(place), trace })?;
            let image = &images[random.below(images.len())];
            let mut power = random.percent(60);
            let strange = |struck: &ottla_storage::sim::Struck| struck.kind == OpKind::SyncDir;
            // No file system forgets a name that it shows, but for the time until it is mounted
            // again.
            let forgets = self.plan.fsync_failure == FsyncFailure::CleanAndForget;
            power |= forgets && disk.struck().iter().any(strange);
            let style = if power { pick_power(random) } else { CrashStyle::ProcessKill };
            model = scene.model_at(image.op);
            model.crash(power);
            disk = image.disk.crash(random.next(), style);
            before = Before { power, is_crash: true };
        }
        Ok(())
    }

    fn inject(&self, disk: &SimDisk, generation: &Generation) {
        if let Some((kind, end)) = self.options.forgets {
            disk.inject(Fault::forget(kind).path(end));
            if kind == OpKind::Sync {
                disk.inject(Fault::forget(OpKind::Flush).path(end));
            }
        }
        if let Some(fault) = generation.fault {
            let number = disk.ops() + fault.ops;
            let planned = Fault::at_op(number, fault.errno).after_bytes(fault.bytes);
            disk.inject(if fault.sticky { planned.sticky() } else { planned });
        }
    }

    /// Starts, works, and ends without a word. Returns which model held when, and the number of
    /// the operation that followed the start.
    fn generation(
        &self,
        disk: &SimDisk,
        model: Model,
        before: &Before,
        generation: &Generation,
    ) -> Result<(Timeline, u64), Broken> {
        let manager = match open(disk, self.plan.dirs, &model) {
            Ok(manager) => manager,
            Err(error) if disk.struck().is_empty() => {
                return Err(format!("cannot start: {error}"));
            }
            Err(_) => return Ok((vec![(0, model)], disk.ops())),
        };
        let mut live = Live::new(disk, self.plan.dirs, manager, model);
        live.check_failed_syncs()?;
        let started = disk.ops();
        live.timeline[0].0 = 0;
        live.adopt(before.power)?;
        if before.is_crash && disk.struck().is_empty() {
            // Whatever a start that is cut short leaves, the next one must find all that this one
            // has found, and no more.
            let mut found = live.model.clone();
            found.crash(false);
            for (part, old) in found.parts.iter_mut().zip(&live.timeline[0].1.parts) {
                part.life = old.life;
                part.start_tried = old.start_tried;
                part.refused.extend(old.refused.iter().cloned());
            }
            live.timeline[0].1 = found;
        }
        live.model.parts.iter_mut().for_each(|part| part.overpromises = self.options.overpromise);
        for step in &generation.steps {
            if self.options.trace {
                println!("{} {step:?}", disk.ops());
            }
            if let Done::Ended = live.step(*step)? {
                break;
            }
        }
        Ok((live.timeline, started))
    }

    /// Crashes at every image, in several ways each.
    fn look_at_all(
        &mut self,
        images: &[KeptImage],
        scene: &Scene<'_>,
        random: &mut Random,
    ) -> Result<(), (Broken, String, Vec<String>)> {
        let is_faulty = !scene.disk.struck().is_empty();
        for image in images {
            let model = &scene.model_at(image.op);
            let styles = [CrashStyle::ProcessKill, pick_power(random), pick_power(random)];
            for style in styles {
                let seed = random.next();
                let power = style != CrashStyle::ProcessKill;
                let crashed = image.disk.crash(seed, style);
                let amid = if image.is_amid { "amid" } else { "before" };
                let place = || format!("{amid} operation {}, {style:?} {seed}", image.op);
                self.tally.points += 1;
                self.tally.power += u64::from(power);
                self.tally.nested += u64::from(image.op < scene.starting);
                self.tally.faulty += u64::from(is_faulty);
                self.look_at(&crashed, model, power, random).map_err(|problem| {
                    let mut trace = scene.disk.trace_before(image.op);
                    trace.push(format!("-- crash: {style:?}, seed {seed}"));
                    trace.extend(crashed.trace());
                    (problem, place(), trace)
                })?;
            }
        }
        Ok(())
    }

    /// Starts on what a crash has left, compares, and now and then goes on from there.
    fn look_at(
        &mut self,
        crashed: &SimDisk,
        model: &Model,
        power: bool,
        random: &mut Random,
    ) -> Result<(), Broken> {
        let mut model = model.clone();
        model.crash(power);
        let manager = open(crashed, self.plan.dirs, &model);
        let manager = manager.map_err(|error| format!("cannot start: {error}"))?;
        let found = check(&manager, &model, power)?;
        match random.below(8) {
            0 => {
                self.tally.again += 1;
                drop(manager);
                self.start_again(crashed, &model, power, &found)
            }
            1 => {
                self.tally.used += 1;
                let mut live = Live::new(crashed, self.plan.dirs, manager, model);
                live.adopt(power)?;
                use_and_close(&mut live)
            }
            _ => Ok(()),
        }
    }

    /// A second crash right after the start: everything must be found as it was then.
    fn start_again(
        &self,
        disk: &SimDisk,
        model: &Model,
        power: bool,
        found: &[Found],
    ) -> Result<(), Broken> {
        let killed = disk.crash(0, CrashStyle::ProcessKill);
        let manager = open(&killed, self.plan.dirs, model);
        let manager = manager.map_err(|error| format!("cannot start again: {error}"))?;
        let again = check(&manager, model, power).map_err(|why| format!("again: {why}"))?;
        if again != found {
            return Err("another start after a kill finds something else".to_owned());
        }
        Ok(())
    }
}

/// A generation as it went.
struct Scene<'a> {
    timeline: &'a Timeline,
    /// The number of the first operation after the start.
    starting: u64,
    disk: &'a SimDisk,
}

impl Scene<'_> {
    /// The model that was in force when an operation was done.
    fn model_at(&self, op: u64) -> Model {
        let after = self.timeline.partition_point(|(first, _)| *first <= op);
        let mut model = self.timeline[after.saturating_sub(1)].1.clone();
        for failed in self.disk.struck().iter().filter(|failed| failed.is_sync()) {
            if failed.number.is_some_and(|number| number < op) {
                model.fail_sync(&failed.path);
            }
        }
        model
    }
}

/// Appends to every partition, stops in order, and starts again.
fn use_and_close(live: &mut Live) -> Result<(), Broken> {
    use crate::plan::Step;
    for slot in 0..live.model.parts.len() {
        live.step(Step::Produce { slot, producer: 1, records: 2 })?;
        live.step(Step::Resend { slot, producer: 1 })?;
    }
    live.step(Step::Reopen)?;
    Ok(())
}

fn pick_power(random: &mut Random) -> CrashStyle {
    random.pick(&CrashStyle::POWER_LOSS)
}
