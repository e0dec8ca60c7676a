//! Which offset of the source became which of the target.

use serde_json::{Value, json};

/// Offsets of one partition. Records go over in their order, one for one, so that offsets differ by
/// the same number until a record is missing on either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Where copying began.
    start: Pair,
    runs: Vec<Run>,
}

/// An offset at the source and the one at the target that is its equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) source: i64,
    pub(super) target: i64,
}

/// Records that follow each other on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    source: i64,
    target: i64,
    count: i64,
}

/// Runs that are kept of a partition; with more of them every second of the older half goes.
const RUNS_MAX: usize = 100_000;

impl Mapping {
    pub(super) fn new(start: Pair) -> Self {
        Self { start, runs: Vec::new() }
    }

    /// What comes next on both sides, if nothing is missing.
    pub(super) fn next(&self) -> Pair {
        self.runs.last().map_or(self.start, |run| Pair {
            source: run.source + run.count,
            target: run.target + run.count,
        })
    }

    /// Takes a record that was copied. Its offsets must lie behind those before it.
    ///
    /// # Errors
    /// They do not.
    pub(super) fn copied(&mut self, at: Pair) -> Result<(), String> {
        let next = self.next();
        if at.source < next.source || at.target < next.target {
            let (Pair { source, target }, from) = (at, next);
            return Err(format!(
                "offset {source} of the source was told to be {target} at the target, behind {} \
                 and {}",
                from.source, from.target
            ));
        }
        match self.runs.last_mut() {
            Some(run) if at == next => run.count += 1,
            _ => self.runs.push(Run { source: at.source, target: at.target, count: 1 }),
        }
        if self.runs.len() > RUNS_MAX {
            self.thin();
        }
        Ok(())
    }

    /// Forgets every second of the older runs. What was in one is then found at the end of the one
    /// before it: earlier than it is, never later.
    fn thin(&mut self) {
        let half = self.runs.len() / 2;
        let mut index = 0;
        self.runs.retain(|_| {
            index += 1;
            index > half || index % 2 == 1
        });
    }

    /// The offset at the target from which on a reader has the same before it as at this offset of
    /// the source; `None` of one that lies behind what was copied.
    pub(super) fn translate(&self, source: i64) -> Option<i64> {
        if source > self.next().source {
            return None;
        }
        let before = self.runs.partition_point(|run| run.source <= source);
        let Some(run) = before.checked_sub(1).map(|index| self.runs[index]) else {
            return Some(self.runs.first().map_or(self.start.target, |run| run.target));
        };
        Some(run.target + (source - run.source).min(run.count))
    }

    /// As it is in a file.
    pub(super) fn json(&self) -> Value {
        let runs = self.runs.iter().map(|run| json!([run.source, run.target, run.count]));
        let runs: Vec<Value> = runs.collect();
        json!({ "source": self.start.source, "target": self.start.target, "runs": runs })
    }

    /// What a file says.
    pub(super) fn of_json(value: &Value) -> Option<Self> {
        let start = Pair {
            source: value.get("source")?.as_i64().filter(|offset| *offset >= 0)?,
            target: value.get("target")?.as_i64().filter(|offset| *offset >= 0)?,
        };
        let mut mapping = Self::new(start);
        for run in value.get("runs")?.as_array()? {
            let part = |index: usize| run.get(index)?.as_i64();
            let run = Run { source: part(0)?, target: part(1)?, count: part(2)? };
            let next = mapping.next();
            let is_behind = run.source >= next.source && run.target >= next.target;
            let ends = run.source.checked_add(run.count).zip(run.target.checked_add(run.count));
            if !is_behind || run.count < 1 || ends.is_none() {
                return None;
            }
            mapping.runs.push(run);
        }
        Some(mapping)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(source: i64, target: i64) -> Pair {
        Pair { source, target }
    }

    #[test]
    fn offsets_are_translated_over_gaps() {
        let mut mapping = Mapping::new(pair(5, 0));
        assert_eq!(
            (mapping.translate(3), mapping.translate(5), mapping.translate(6)),
            (Some(0), Some(0), None)
        );
        for (source, target) in [(7, 0), (8, 1), (12, 2), (13, 3)] {
            mapping.copied(pair(source, target)).unwrap();
        }
        assert_eq!(mapping.next(), pair(14, 4));
        let translated: Vec<Option<i64>> =
            (5..=15).map(|offset| mapping.translate(offset)).collect();
        let expected = [0, 0, 0, 1, 2, 2, 2, 2, 3, 4].map(Some);
        assert_eq!(translated[..10], expected);
        assert_eq!(translated[10], None);
        assert_eq!(Mapping::of_json(&mapping.json()), Some(mapping));
    }

    #[test]
    fn offsets_never_go_back() {
        let mut mapping = Mapping::new(pair(0, 10));
        mapping.copied(pair(0, 10)).unwrap();
        assert!(mapping.copied(pair(0, 11)).is_err());
        assert!(mapping.copied(pair(1, 10)).is_err());
        assert_eq!(mapping.next(), pair(1, 11));
        for wrong in [
            json!({}),
            json!({"source": -1, "target": 0, "runs": []}),
            json!({"source": 5, "target": 0, "runs": [[4, 0, 1]]}),
            json!({"source": 0, "target": 0, "runs": [[0, 0, 0]]}),
            json!({"source": 0, "target": 0, "runs": [[0, 0, i64::MAX], [1, 1, 1]]}),
            json!({"source": 0, "target": 0, "runs": [[0, 0]]}),
        ] {
            assert_eq!(Mapping::of_json(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn thinning_makes_nobody_miss_a_record() {
        let mut mapping = Mapping::new(pair(0, 0));
        let last = RUNS_MAX as i64 * 2;
        for number in 0..last {
            mapping.copied(pair(number * 2, number)).unwrap();
        }
        assert!(mapping.runs.len() <= RUNS_MAX);
        for number in (0..last).step_by(997) {
            let translated = mapping.translate(number * 2).unwrap();
            assert!(translated <= number, "{number}");
        }
        // The younger half is exact.
        assert_eq!(mapping.translate((last - 10) * 2), Some(last - 10));
    }

    proptest! {
        /// Against the records themselves: those at or behind the offset are the same ones.
        #[test]
        fn it_is_what_the_records_say(gaps in prop::collection::vec((0..4_i64, 0..2_i64), 0..40)) {
            let mut mapping = Mapping::new(pair(0, 0));
            let (mut at, mut records) = (pair(0, 0), Vec::new());
            for (source, target) in gaps {
                at = pair(at.source + source, at.target + target);
                mapping.copied(at).unwrap();
                records.push(at);
                at = pair(at.source + 1, at.target + 1);
            }
            prop_assert_eq!(mapping.next(), records.last().map_or(at, |_| at));
            for offset in 0..=at.source {
                let translated = mapping.translate(offset).unwrap();
                for record in &records {
                    prop_assert_eq!(record.source >= offset, record.target >= translated);
                }
            }
            prop_assert_eq!(Mapping::of_json(&mapping.json()), Some(mapping));
        }
    }
}
