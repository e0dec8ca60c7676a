//! Which segments a log has no more use for, and how far the wall clock may be believed.
//!
//! Pure rules: sizes, offsets and times come in, numbers of segments and times go out. The log and
//! the manager carry them out.
//!
//! Segments go whole and oldest first, for one of three reasons, in this order: they lie below the
//! log start; the log has more bytes than `retention.bytes`; their newest record is older than
//! `retention.ms`.

/// How long a clock that has jumped ahead must run evenly before retention goes by it, ms.
pub const CLOCK_TRUST_DELAY_MS: i64 = 24 * 3600 * 1000;
/// Steps of the wall clock up to this are taken for adjustments, ms.
pub const CLOCK_STEP_MS_MAX: i64 = 60 * 1000;

/// A moment on both of a machine's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, ms since the epoch. It may be set at any time.
    pub wall_ms: i64,
    /// A clock that only runs forward, ms since whenever it began.
    pub monotonic_ms: i64,
}

/// Compares the wall clock with the monotonic one, so that data is not deleted for its age only
/// because the wall clock was set far ahead.
///
/// Time by which records become old is the wall clock's as long as both clocks run alike. After a
/// jump ahead it goes on from where it was, by the monotonic clock, until the jump is taken back
/// or has stood for [`CLOCK_TRUST_DELAY_MS`]. A jump back is believed at once: it deletes nothing.
/// A jump made while the process did not run cannot be seen.
#[derive(Clone, Debug, Default)]
pub struct ClockWatch {
    /// The believed difference of the clocks.
    offset_ms: Option<i64>,
    doubt: Option<Doubt>,
}

#[derive(Clone, Copy, Debug)]
struct Doubt {
    offset_ms: i64,
    since_monotonic_ms: i64,
}

/// What a [`ClockWatch`] makes of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedNow {
    /// By which time ages are to be counted, ms since the epoch.
    pub now_ms: i64,
    /// How far the wall clock is ahead of that, ms; 0 while it is believed.
    pub doubted_ms: i64,
    /// The doubt began with this moment.
    pub is_new_doubt: bool,
}

impl ClockWatch {
    /// Takes a look at the clocks. To be called every few minutes or more often: what they differ
    /// by between two looks must stay below [`CLOCK_STEP_MS_MAX`] while nobody sets the clock.
    pub fn observe(&mut self, moment: Moment) -> TrustedNow {
        let offset_ms = moment.wall_ms.saturating_sub(moment.monotonic_ms);
        let believed_ms = *self.offset_ms.get_or_insert(offset_ms);
        let ahead_ms = offset_ms.saturating_sub(believed_ms);
        if ahead_ms <= CLOCK_STEP_MS_MAX {
            return self.believe(offset_ms, moment);
        }
        let previous = self.doubt;
        let steady = previous.filter(|doubt| {
            offset_ms.saturating_sub(doubt.offset_ms).saturating_abs() <= CLOCK_STEP_MS_MAX
        });
        let since_monotonic_ms =
            steady.map_or(moment.monotonic_ms, |doubt| doubt.since_monotonic_ms);
        if moment.monotonic_ms.saturating_sub(since_monotonic_ms) >= CLOCK_TRUST_DELAY_MS {
            return self.believe(offset_ms, moment);
        }
        self.doubt = Some(Doubt { offset_ms, since_monotonic_ms });
        TrustedNow {
            now_ms: moment.wall_ms.saturating_sub(ahead_ms),
            doubted_ms: ahead_ms,
            is_new_doubt: previous.is_none(),
        }
    }

    fn believe(&mut self, offset_ms: i64, moment: Moment) -> TrustedNow {
        *self = Self { offset_ms: Some(offset_ms), doubt: None };
        TrustedNow { now_ms: moment.wall_ms, doubted_ms: 0, is_new_doubt: false }
    }
}

/// Where a log stands, as far as retention asks.
#[derive(Clone, Copy, Debug)]
pub struct LogShape<'a> {
    /// The base offset and the bytes of each segment, in order; the last one is active.
    pub segments: &'a [(i64, u64)],
    /// The high watermark: nothing at or above it goes.
    pub high_watermark: i64,
    /// The log end offset.
    pub log_end_offset: i64,
}

impl LogShape<'_> {
    /// How many of the oldest segments go, beginning with number `from`: up to the first for which
    /// `goes` says no. An empty active segment stays.
    ///
    /// # Errors
    /// Those of `goes`.
    pub fn count_due<E>(
        &self,
        from: usize,
        mut goes: impl FnMut(usize) -> Result<bool, E>,
    ) -> Result<usize, E> {
        let mut n = from;
        while let Some(&(_, size_bytes)) = self.segments.get(n) {
            let is_last = n + 1 == self.segments.len();
            let is_protected = self.high_watermark < self.end_offset(n);
            if is_protected || is_last && size_bytes == 0 || !goes(n)? {
                break;
            }
            n += 1;
        }
        Ok(n - from)
    }

    /// Where segment number `n` ends.
    pub fn end_offset(&self, n: usize) -> i64 {
        self.segments.get(n + 1).map_or(self.log_end_offset, |next| next.0)
    }

    /// Whether segment number `n` lies below the log start. The active one never does.
    pub fn is_below_start(&self, n: usize, log_start_offset: i64) -> bool {
        self.segments.get(n + 1).is_some_and(|next| next.0 <= log_start_offset)
    }

    /// Bytes from segment number `from` on.
    pub fn size_bytes(&self, from: usize) -> u64 {
        self.segments.iter().skip(from).map(|segment| segment.1).sum()
    }
}

/// `retention.bytes`: segments go while at least so many bytes are left.
#[derive(Clone, Copy, Debug)]
pub struct SizeRule {
    /// Bytes too many; `None` when the log may be of any size.
    excess_bytes: Option<u64>,
}

impl SizeRule {
    /// For a log of `total_bytes`; a negative `retention_bytes` keeps all.
    pub fn new(total_bytes: u64, retention_bytes: i64) -> Self {
        let kept = u64::try_from(retention_bytes).ok();
        Self { excess_bytes: kept.and_then(|kept| total_bytes.checked_sub(kept)) }
    }

    /// Whether the next segment goes, which then counts as gone.
    pub fn goes(&mut self, size_bytes: u64) -> bool {
        let left = self.excess_bytes.and_then(|excess| excess.checked_sub(size_bytes));
        self.excess_bytes = left.or(self.excess_bytes);
        left.is_some()
    }
}

/// `retention.ms`: whether a segment whose newest record is of `largest_timestamp_ms` goes; a
/// negative `retention_ms` keeps all.
pub fn is_expired(largest_timestamp_ms: i64, retention_ms: i64, now_ms: i64) -> bool {
    retention_ms >= 0 && now_ms.saturating_sub(largest_timestamp_ms) > retention_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * 1000;
    const START: i64 = 1_700_000_000_000;

    /// Looks at given wall clock times, a monotonic hour apart; answers the trusted ones.
    fn watch(walls_hours: &[i64]) -> Vec<i64> {
        let mut watch = ClockWatch::default();
        let look = |(n, wall): (usize, &i64)| {
            let moment =
                Moment { wall_ms: START + wall * HOUR, monotonic_ms: 5_000 + n as i64 * HOUR };
            let trusted = watch.observe(moment);
            assert_eq!(trusted.now_ms + trusted.doubted_ms, moment.wall_ms);
            (trusted.now_ms - START) / HOUR
        };
        walls_hours.iter().enumerate().map(look).collect()
    }

    #[test]
    fn an_even_clock_is_believed() {
        assert_eq!(watch(&[0, 1, 2, 3]), [0, 1, 2, 3]);
        // Slow drift adds up to any length.
        let mut clocks = ClockWatch::default();
        for n in 0..1000 {
            let moment = Moment { wall_ms: n * (HOUR + CLOCK_STEP_MS_MAX), monotonic_ms: n * HOUR };
            assert_eq!(clocks.observe(moment).doubted_ms, 0);
        }
    }

    #[test]
    fn a_jump_ahead_is_doubted_until_it_has_stood_for_a_day() {
        let year = 365 * 24;
        assert_eq!(watch(&[0, year, year + 1, 3, 4]), [0, 1, 2, 3, 4], "taken back");
        let mut walls = vec![0];
        walls.extend((0..26).map(|hour| year + hour));
        let trusted = watch(&walls);
        assert_eq!(trusted[1..25], (1..25).collect::<Vec<_>>());
        assert_eq!(trusted[25..], [year + 24, year + 25]);
        // Another jump begins the day anew.
        walls[20..].iter_mut().for_each(|wall| *wall += year);
        assert_eq!(watch(&walls)[1..], (1..27).collect::<Vec<_>>());
    }

    #[test]
    fn a_jump_back_is_believed_and_what_follows_is_measured_from_there() {
        assert_eq!(watch(&[0, -500, -499, 3, 4]), [0, -500, -499, -498, -497]);
    }

    #[test]
    fn a_doubt_is_told_once() {
        let mut watch = ClockWatch::default();
        let mut look =
            |wall_ms, monotonic_ms| watch.observe(Moment { wall_ms, monotonic_ms }).is_new_doubt;
        assert!(!look(START, 0));
        assert!(look(START + HOUR, 1000));
        assert!(!look(START + HOUR, 2000));
        assert!(!look(START, 3000));
        assert!(look(i64::MAX, 4000));
    }

    fn shape(segments: &[(i64, u64)], high_watermark: i64) -> LogShape<'_> {
        LogShape { segments, high_watermark, log_end_offset: 30 }
    }

    fn count(shape: LogShape<'_>, from: usize) -> usize {
        shape.count_due(from, |_| Ok::<_, ()>(true)).unwrap()
    }

    #[test]
    fn nothing_above_the_high_watermark_goes() {
        let segments = [(0, 100), (10, 100), (20, 50)];
        for (high_watermark, due) in [(9, 0), (10, 1), (19, 1), (20, 2), (29, 2), (30, 3)] {
            assert_eq!(count(shape(&segments, high_watermark), 0), due, "{high_watermark}");
        }
        assert_eq!(count(shape(&segments, 30), 1), 2);
        assert_eq!(count(shape(&[(0, 100), (30, 0)], 30), 0), 1, "the empty active one stays");
        let shape = shape(&segments, 30);
        assert_eq!(shape.count_due(0, Err::<bool, _>), Err(0));
        assert_eq!(
            [9, 10, 20, 30].map(|start| shape.is_below_start(0, start)),
            [false, true, true, true]
        );
        assert!(!shape.is_below_start(2, 30));
    }

    #[test]
    fn what_is_left_is_not_less_than_retention_bytes() {
        // total, retention, sizes, how many go
        let table: [(i64, &[u64], usize); 7] = [
            (-1, &[100, 100], 0),
            (0, &[100, 100], 2),
            (200, &[100, 100], 0),
            (100, &[100, 100], 1),
            (101, &[100, 100], 0),
            (150, &[100, 100, 100], 1),
            (1000, &[100], 0),
        ];
        for (retention, sizes, due) in table {
            let mut rule = SizeRule::new(sizes.iter().sum(), retention);
            let gone = sizes.iter().take_while(|size| rule.goes(**size)).count();
            assert_eq!(gone, due, "{retention} of {sizes:?}");
        }
    }

    #[test]
    fn age() {
        for (timestamp, retention, now, gone) in [
            (1000, 500, 1500, false),
            (1000, 500, 1501, true),
            (1000, 0, 1000, false),
            (1000, 0, 1001, true),
            (1000, -1, i64::MAX, false),
            (i64::MAX, 500, 1000, false),
            (-1, 500, i64::MAX, true),
        ] {
            assert_eq!(is_expired(timestamp, retention, now), gone, "{timestamp} {now}");
        }
    }
}
