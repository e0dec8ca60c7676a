//! What Kafka's performance tools print, read strictly: a figure that is not where it should be is
//! an error, not a zero.

use anyhow::{Context, Result, ensure};

/// Between the count and the rate in the line about all records.
pub(super) const SENT: &str = " records sent, ";
/// The same in the line about those after the warm-up.
pub(super) const STEADY: &str = " steady state records sent, ";
/// How a summary ends, and no line about a part of the run.
pub(super) const SUMMARY_END: &str = " ms 99.9th.";

/// Names and order of a consumer's figures.
const CONSUMER_HEADER: [&str; 10] = [
    "start.time",
    "end.time",
    "data.consumed.in.MB",
    "MB.sec",
    "data.consumed.in.nMsg",
    "nMsg.sec",
    "rebalance.time.ms",
    "fetch.time.ms",
    "fetch.MB.sec",
    "fetch.nMsg.sec",
];
const CONSUMED: usize = 4;
const CONSUMED_PER_S: usize = 5;
const FETCHED_PER_S: usize = 9;

/// What a consumer did.
#[derive(PartialEq, Debug)]
pub(super) struct Consumed {
    /// Records a second, from its start.
    pub(super) per_s: f64,
    /// Records a second, from the moment at which it had its partitions.
    pub(super) fetched_per_s: f64,
}

/// Records a second, from the one summary that says that exactly `records` were sent. `what` is
/// [`SENT`] or [`STEADY`].
pub(super) fn sent(lines: &[String], records: u64, what: &str) -> Result<f64> {
    let count = format!("{records}{what}");
    let mut rates = lines.iter().filter(|line| line.ends_with(SUMMARY_END)).filter_map(|line| {
        line.strip_prefix(&count).and_then(|rest| rest.split_once(" records/sec ("))
    });
    let told = || format!("no line of {records}{what}in {lines:?}");
    let (rate, _) = rates.next().with_context(told)?;
    ensure!(rates.next().is_none(), "two summaries in {lines:?}");
    positive(rate)
}

/// The figures of a consumer that has read at least `records`.
pub(super) fn consumed(lines: &[String], records: u64) -> Result<Consumed> {
    let split = |line: &String| line.split(", ").map(str::to_owned).collect::<Vec<String>>();
    let at = lines.iter().position(|line| split(line) == CONSUMER_HEADER);
    let at = at.with_context(|| format!("no header in {lines:?}"))?;
    let figures = lines.get(at + 1).with_context(|| format!("no figures in {lines:?}"))?;
    let figures = split(figures);
    ensure!(figures.len() == CONSUMER_HEADER.len(), "{} figures in {lines:?}", figures.len());
    let read: u64 = figures[CONSUMED].parse().context("a count of records")?;
    ensure!(read >= records, "{read} of {records} records were read: {lines:?}");
    Ok(Consumed {
        per_s: positive(&figures[CONSUMED_PER_S])?,
        fetched_per_s: positive(&figures[FETCHED_PER_S])?,
    })
}

fn positive(text: &str) -> Result<f64> {
    let value: f64 = text.parse().with_context(|| format!("{text} is no figure"))?;
    ensure!(value.is_finite() && value > 0.0, "{text} is no rate");
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    const PRODUCER: &str = "\
        Warmup first 40 records. Steady state results will print after the complete test summary.\n\
        90 records sent, 18.0 records/sec (1.08 MB/sec), 78.9 ms avg latency, 2.0 ms max latency.\n\
        100 records sent, 20.250000 records/sec (6.20 MB/sec), 597.73 ms avg latency, 2.00 ms max \
        latency, 250 ms 50th, 1647 ms 95th, 1793 ms 99th, 1931 ms 99.9th.\n\
        60 steady state records sent, 30.500000 records/sec (11.46 MB/sec), 306.07 ms avg latency, \
        8.00 ms max latency, 305 ms 50th, 553 ms 95th, 766 ms 99th, 820 ms 99.9th.\n";

    #[test]
    fn a_producer_tells_its_rate_once() {
        let printed = lines(PRODUCER);
        assert_eq!(sent(&printed, 100, SENT).unwrap(), 20.25);
        assert_eq!(sent(&printed, 60, STEADY).unwrap(), 30.5);
        // Of part of the run, of another count, and twice.
        assert!(sent(&printed, 90, SENT).is_err());
        assert!(sent(&printed, 60, SENT).is_err());
        assert!(sent(&printed[..2], 100, SENT).is_err());
        assert!(sent(&[printed.clone(), printed].concat(), 100, SENT).is_err());
    }

    #[test]
    fn a_consumer_tells_its_rates_below_a_header() {
        let figures = "2026-11-26 09:40:28:651, 2026-11-26 09:40:36:912, 95.3980, 11.5480, \
                       1000321, 121089.5775, 2806, 5455, 17.4882, 183376.9019";
        let printed = vec![CONSUMER_HEADER.join(", "), figures.to_owned()];
        let wanted = Consumed { per_s: 121_089.577_5, fetched_per_s: 183_376.901_9 };
        assert_eq!(consumed(&printed, 1_000_000).unwrap(), wanted);
        assert!(consumed(&printed, 2_000_000).is_err());
        assert!(consumed(&printed[..1], 1).is_err());
        assert!(consumed(&printed[1..], 1).is_err());
        let nothing = figures.replace("183376.9019", "NaN");
        assert!(consumed(&[CONSUMER_HEADER.join(", "), nothing], 1).is_err());
    }
}
