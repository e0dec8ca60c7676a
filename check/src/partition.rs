//! A history, sorted by what the rules ask for.

use std::collections::{BTreeMap, HashMap};

use crate::event::{Crash, Event, Outcome, Place, Policy, Read, Reader, Register, Send, Topic};
use crate::event::{Seen, TopicId, What};
use crate::value::ValueId;

/// An event's times and maker, with the part that a rule is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed<T> {
    pub(crate) began_ns: u64,
    pub(crate) ended_ns: u64,
    pub(crate) client: u32,
    /// How many times the power had gone when it began.
    pub(crate) era: usize,
    pub(crate) what: T,
}

/// A write or a read of a register.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    Set { value: i64, outcome: Outcome },
    Got { value: Option<i64> },
}

/// Ends of a log, as told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) log_start: Option<i64>,
    pub(crate) end: Option<i64>,
}

/// A question by timestamp and its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup {
    pub(crate) timestamp_ms: i64,
    pub(crate) found: Option<(i64, i64)>,
}

/// The base offset and the bytes of each segment.
pub(crate) type Files<'a> = &'a [(i64, u64)];

/// All about one partition.
pub(crate) struct Partition<'a> {
    pub(crate) place: Place,
    /// As created; a topic of which nothing is known keeps everything.
    pub(crate) policy: Policy,
    /// Whether its topic was deleted, or may have been.
    pub(crate) deleted: bool,
    pub(crate) sends: Vec<Timed<&'a Send>>,
    pub(crate) reads: Vec<Timed<&'a Read>>,
    pub(crate) ends: Vec<Timed<Ends>>,
    pub(crate) lookups: Vec<Timed<Lookup>>,
    pub(crate) flushed: Vec<Timed<i64>>,
    pub(crate) files: Vec<Timed<Files<'a>>>,
    /// For each era, the offset from which on earlier records were lost when it began.
    pub(crate) cuts: Vec<i64>,
    /// What the final readers saw, by offset; `None` when none read it.
    pub(crate) last: Option<Vec<Seen>>,
    /// The highest log start offset that anybody was told.
    pub(crate) log_start: i64,
}

impl Partition<'_> {
    /// The offset from which on records were lost between two eras.
    pub(crate) fn cut_between(&self, from: usize, to: usize) -> i64 {
        let cuts = self.cuts.get(from + 1..to + 1).unwrap_or_default();
        cuts.iter().copied().min().unwrap_or(i64::MAX)
    }

    /// The offset from which on records of an era are lost by the end.
    pub(crate) fn cut_after(&self, era: usize) -> i64 {
        self.cut_between(era, self.cuts.len().saturating_sub(1))
    }

    /// Whether the final readers saw this record, or one that replaces it in a compacted log.
    pub(crate) fn is_kept(&self, last: &[Seen], offset: i64, id: ValueId, newest: &Newest) -> bool {
        let at = last.binary_search_by_key(&offset, |seen| seen.offset);
        if at.is_ok_and(|at| last[at].payload.id() == Some(id)) {
            return true;
        }
        match self.policy {
            Policy::Keep => false,
            // Whether the log may start there is another rule's matter.
            Policy::Expire { .. } => offset < self.log_start,
            Policy::Compact { keys } => newest
                .get(&(id.producer, id.sequence % keys.max(1)))
                .is_some_and(|sequence| *sequence > id.sequence),
        }
    }

    /// The highest number of each key that the final readers saw.
    pub(crate) fn newest(&self) -> Newest {
        let Policy::Compact { keys } = self.policy else { return Newest::new() };
        let mut newest = Newest::new();
        for id in self.last.iter().flatten().filter_map(|seen| seen.payload.id()) {
            let entry = newest.entry((id.producer, id.sequence % keys.max(1))).or_default();
            *entry = id.sequence.max(*entry);
        }
        newest
    }
}

/// By producer and key, the highest number.
pub(crate) type Newest = HashMap<(u32, u64), u64>;

/// A batch: the same numbers, however often they were sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) place: Place,
    /// When its first attempt began.
    pub(crate) began_ns: u64,
    /// The best of its attempts: acknowledged, else unknown, else failed.
    pub(crate) outcome: Outcome,
}

/// The whole history.
pub(crate) struct World<'a> {
    pub(crate) events: &'a [Event],
    pub(crate) partitions: BTreeMap<Place, Partition<'a>>,
    pub(crate) registers: BTreeMap<&'a Register, Vec<Timed<Access>>>,
    /// Each producer's batches by their first numbers.
    pub(crate) batches: HashMap<u32, Vec<Batch>>,
    /// When lives of the broker ended, ns, in order.
    pub(crate) crashes: Vec<u64>,
    /// Whether there are final readers.
    pub(crate) is_over: bool,
}

impl<'a> World<'a> {
    pub(crate) fn new(events: &'a [Event]) -> World<'a> {
        let (mut powers, mut crashes) = (Vec::new(), Vec::new());
        let mut topics: HashMap<TopicId, &Topic> = HashMap::new();
        for event in events {
            match &event.what {
                What::Crash(crash) => {
                    crashes.push(event.ended_ns);
                    if *crash == Crash::Power {
                        powers.push(event.ended_ns);
                    }
                }
                What::Created { topic, .. } => _ = topics.insert(topic.id, topic),
                _ => {}
            }
        }
        powers.sort_unstable();
        crashes.sort_unstable();
        let partitions = BTreeMap::new();
        let registers = BTreeMap::new();
        let batches = HashMap::new();
        let mut world = World { events, partitions, registers, batches, crashes, is_over: false };
        let mut deleted = Vec::new();
        for event in events {
            let era = powers.partition_point(|ended_ns| *ended_ns <= event.began_ns);
            world.sort_in(event, era, &topics, powers.len());
            if let What::Deleted { topic, outcome: Outcome::Acked | Outcome::Unknown } = &event.what
            {
                deleted.push(*topic);
            }
        }
        for partition in world.partitions.values_mut() {
            partition.deleted = deleted.contains(&partition.place.topic);
            finish(partition);
        }
        for list in world.batches.values_mut() {
            merge(list);
        }
        world
    }

    /// The batch that a record was sent in.
    pub(crate) fn batch_of(&self, id: ValueId) -> Option<&Batch> {
        let list = self.batches.get(&id.producer)?;
        let at = list.partition_point(|batch| batch.first <= id.sequence).checked_sub(1)?;
        let batch = list.get(at)?;
        (id.sequence - batch.first < u64::from(batch.count)).then_some(batch)
    }

    fn sort_in(
        &mut self,
        event: &'a Event,
        era: usize,
        topics: &HashMap<TopicId, &Topic>,
        powers: usize,
    ) {
        let (began_ns, ended_ns) = (event.began_ns, event.ended_ns);
        let client = event.client;
        let at = Timed { began_ns, ended_ns, client, era, what: () };
        match &event.what {
            What::Send(send) => {
                let list = self.batches.entry(send.producer).or_default();
                let (first, count, place) = (send.first_sequence, send.count, send.place);
                list.push(Batch { first, count, place, began_ns, outcome: send.outcome });
                self.partition(place, topics, powers).sends.push(at.with(send));
            }
            What::Read(read) => {
                self.is_over |= read.reader == Reader::Final;
                self.partition(read.place, topics, powers).reads.push(at.with(read));
            }
            What::Ends { place, log_start, end } => {
                let ends = Ends { log_start: *log_start, end: *end };
                self.partition(*place, topics, powers).ends.push(at.with(ends));
            }
            What::Lookup { place, timestamp_ms, found } => {
                let lookup = Lookup { timestamp_ms: *timestamp_ms, found: *found };
                self.partition(*place, topics, powers).lookups.push(at.with(lookup));
            }
            What::Flushed { place, end } => {
                self.partition(*place, topics, powers).flushed.push(at.with(*end));
            }
            What::Files { place, segments } => {
                self.partition(*place, topics, powers).files.push(at.with(segments));
            }
            What::Recovered { place, end } => {
                // A topic that promises synced records has no suffix to lose.
                let synced = topics.get(&place.topic).is_some_and(|topic| topic.synced);
                let partition = self.partition(*place, topics, powers);
                match partition.cuts.get_mut(era) {
                    Some(cut) if !synced => *cut = *end,
                    _ => {
                        let ends = Ends { log_start: None, end: Some(*end) };
                        partition.ends.push(at.with(ends));
                    }
                }
            }
            What::Set { register, value, outcome } => {
                let access = Access::Set { value: *value, outcome: *outcome };
                self.registers.entry(register).or_default().push(at.with(access));
            }
            What::Got { register, value } => {
                let access = Access::Got { value: *value };
                self.registers.entry(register).or_default().push(at.with(access));
            }
            What::Created { .. } | What::Deleted { .. } | What::Listed(_) => {}
            What::Crash(_) | What::Restarted | What::Started | What::Stopped => {}
        }
    }

    fn partition(
        &mut self,
        place: Place,
        topics: &HashMap<TopicId, &Topic>,
        powers: usize,
    ) -> &mut Partition<'a> {
        self.partitions.entry(place).or_insert_with(|| Partition {
            place,
            policy: topics.get(&place.topic).map_or(Policy::Keep, |topic| topic.policy),
            deleted: false,
            sends: Vec::new(),
            reads: Vec::new(),
            ends: Vec::new(),
            lookups: Vec::new(),
            flushed: Vec::new(),
            files: Vec::new(),
            cuts: vec![i64::MAX; powers + 1],
            last: None,
            log_start: 0,
        })
    }
}

impl Timed<()> {
    fn with<T>(self, what: T) -> Timed<T> {
        let Timed { began_ns, ended_ns, client, era, .. } = self;
        Timed { began_ns, ended_ns, client, era, what }
    }
}

/// Derives what is seen only when all is there.
fn finish(partition: &mut Partition) {
    let told = partition.ends.iter().filter_map(|ends| ends.what.log_start);
    let read = partition.reads.iter().filter_map(|read| read.what.log_start);
    partition.log_start = told.chain(read).max().unwrap_or(0);
    partition.reads.sort_by_key(|read| read.began_ns);
    let finals = partition.reads.iter().filter(|read| read.what.reader == Reader::Final);
    let mut last: Option<Vec<Seen>> = None;
    for read in finals {
        last.get_or_insert_default().extend(&read.what.records);
    }
    if let Some(last) = &mut last {
        last.sort_by_key(|seen| seen.offset);
    }
    partition.last = last;
}

/// One batch for all attempts at it.
fn merge(list: &mut Vec<Batch>) {
    list.sort_by_key(|batch| (batch.first, batch.began_ns));
    list.dedup_by(|later, earlier| {
        let same = later.first == earlier.first;
        if same && rank(later.outcome) > rank(earlier.outcome) {
            earlier.outcome = later.outcome;
        }
        same
    });
}

fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Failed => 0,
        Outcome::Unknown => 1,
        Outcome::Acked => 2,
    }
}
