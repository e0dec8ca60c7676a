//! What a record of an end-to-end measurement has in front: whose it is, which one, and when it was
//! due.

/// Bytes of a stamp.
pub(super) const STAMP_BYTES: usize = 24;

/// A record of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Of this measurement and no other.
    pub(super) run: u64,
    /// From 0.
    pub(super) number: u64,
    /// ns since the measurement began.
    pub(super) due_ns: u64,
}

impl Stamp {
    pub(super) fn write(&self, value: &mut [u8; STAMP_BYTES]) {
        for (bytes, part) in value.chunks_exact_mut(8).zip([self.run, self.number, self.due_ns]) {
            bytes.copy_from_slice(&part.to_be_bytes());
        }
    }

    /// The stamp of a value of this run; `None` of what others have written.
    pub(super) fn read(value: &[u8], run: u64) -> Option<Self> {
        let part = |at: usize| Some(u64::from_be_bytes(value.get(at..at + 8)?.try_into().ok()?));
        let stamp = Self { run: part(0)?, number: part(8)?, due_ns: part(16)? };
        (stamp.run == run).then_some(stamp)
    }
}

/// Which records have come.
#[derive(Debug)]
pub(super) struct Arrivals {
    bits: Vec<u64>,
    missing: u64,
}

impl Arrivals {
    pub(super) fn new(count: u64) -> Self {
        let words = usize::try_from(count.div_ceil(64)).unwrap_or(0);
        Self { bits: vec![0; words], missing: count }
    }

    /// Whether the record of this number comes for the first time.
    pub(super) fn is_first(&mut self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.bits.get_mut(word));
        let Some(word) = word else { return false };
        let bit = 1 << (number % 64);
        let is_first = *word & bit == 0 && self.missing > 0;
        *word |= bit;
        self.missing -= u64::from(is_first);
        is_first
    }

    /// How many have not come.
    pub(super) fn missing(&self) -> u64 {
        self.missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_by_its_run_alone() {
        let stamp = Stamp { run: 7, number: u64::MAX, due_ns: 1 };
        let mut value = [0; STAMP_BYTES];
        stamp.write(&mut value);
        assert_eq!(Stamp::read(&value, 7), Some(stamp));
        assert_eq!(Stamp::read(&[&value[..], b"more"].concat(), 7), Some(stamp));
        assert_eq!(Stamp::read(&value, 8), None);
        assert_eq!(Stamp::read(&value[..23], 7), None);
        assert_eq!(Stamp::read(b"", 0), None);
    }

    #[test]
    fn each_record_arrives_once() {
        let mut arrivals = Arrivals::new(65);
        assert!(arrivals.is_first(64) && !arrivals.is_first(64) && arrivals.is_first(0));
        assert_eq!(arrivals.missing(), 63);
        assert!(!arrivals.is_first(1000));
        (0..65).for_each(|number| _ = arrivals.is_first(number));
        assert_eq!(arrivals.missing(), 0);
        assert!(!Arrivals::new(0).is_first(0));
    }
}
