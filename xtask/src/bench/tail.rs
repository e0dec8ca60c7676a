//! Reading along with a producer, one consumer and many at a time.

use anyhow::Result;
use serde_json::Value;

use super::Subject;
use super::goal::{Bound, Goal, row};
use super::report::Figures;
use super::workload::{EVERY, Place, Run, Workload};

/// These. Latencies are told of brokers of their own: on the shared one the disk may still be busy
/// with what other workloads have appended. On one processor Kafka may not keep up with 50,000
/// records/s, and costs a minute to find out.
pub(super) const WORKLOADS: &[Workload] = &[
    on_its_own("tail", 1, |run, figures| tail(run, &FAST, figures)),
    on_its_own("tail-25000", EVERY, |run, figures| tail(run, &HALF, figures)),
    on_its_own("fan-out", EVERY, fan_out),
];

const fn on_its_own(
    name: &'static str,
    kafka_rounds: usize,
    run: fn(&Run<'_>, &mut Figures) -> Result<()>,
) -> Workload {
    Workload { name, place: Place::Own(""), floors: &[], kafka_rounds, run }
}

/// What a JVM has compiled at the end of this, it runs the measured load by. On a topic of its own:
/// what it is late with in its first seconds is not to be measured.
fn warm_up(run: &Run<'_>, command: &str, more: &[&str]) -> Result<()> {
    if !run.wants_warm_up() {
        return Ok(());
    }
    let seconds = run.size(20);
    let args = ["--topic", "warm-up", "--seconds", &seconds];
    run.warm_up((command, &[&args, more].concat()))
}

/// At which rate there is something to read.
struct Rate {
    records_per_s: &'static str,
    told: &'static str,
    /// End to end: p50, p99 and p99.9.
    goals: [Goal; 3],
}

const FAST: Rate = Rate {
    records_per_s: "50000",
    told: "50,000",
    goals: [&[Bound::Most(0.2)], &[Bound::Most(0.6)], &[Bound::Most(2.0)]],
};
const HALF: Rate = Rate { records_per_s: "25000", told: "25,000", goals: [&[]; 3] };

/// Kafka is warmed up at a rate that it keeps up with.
fn tail(run: &Run<'_>, rate: &Rate, figures: &mut Figures) -> Result<()> {
    warm_up(run, "tail", &["--rate", HALF.records_per_s])?;
    run.warm_pages(1024)?;
    let of = format!("tail {} records/s of 1 KiB in batches of 10, 16 partitions", rate.told);
    let names = ["CPU us/record", "end to end p50 ms", "end to end p99 ms", "end to end p99.9 ms"]
        .map(|what| format!("{of}: {what}"));
    let per_answer = format!("{of}: batches/answer");
    let rows = [
        row(&names[0], "cpu_us_per_record").to(&[Bound::MostOf(0.35, Subject::Kafka)]),
        row(&names[1], "p50_ms").to(rate.goals[0]),
        row(&names[2], "p99_ms").to(rate.goals[1]),
        row(&names[3], "p999_ms").to(rate.goals[2]),
        row(&per_answer, "batches_per_answer"),
    ];
    let seconds = run.size(10);
    let args = ["--topic", "tail", "--warm-up", "2", "--seconds", &seconds];
    let args = [&args[..], &["--rate", rate.records_per_s]].concat();
    match run.answer(("tail", &args)) {
        Ok(answer) if !is_behind(answer.get("ack_p50_ms")) => {
            figures.take_rows(&rows, run.subject, &answer)
        }
        Err(error) if !format!("{error:#}").contains(NOT_ALL_READ) => Err(error),
        behind => {
            let told = match behind {
                Ok(_) => format!("half of the acknowledgements take over {ACK_P50_MAX_MS} ms"),
                Err(error) => format!("{error:#}"),
            };
            println!("{of}: {:?} does not keep up: {told}", run.subject);
            figures.add_behind(&rows, run.subject);
            Ok(())
        }
    }
}

/// What the generator says when the last batch was due a minute ago.
const NOT_ALL_READ: &str = "batches read";
/// Who answers half of what is sent so late has a queue that grows.
const ACK_P50_MAX_MS: f64 = 100.0;

fn is_behind(ack_p50_ms: Option<&Value>) -> bool {
    ack_p50_ms.and_then(Value::as_f64).is_some_and(|ms| ms > ACK_P50_MAX_MS)
}

/// At 100 batches a second, 10,000 answers: with more, who cannot follow is asked for several
/// batches at a time, and so for less work a record.
fn fan_out(run: &Run<'_>, figures: &mut Figures) -> Result<()> {
    warm_up(run, "fan-out", &[])?;
    let rows = [
        row("100 consumers, 100 batches/s of 10 KiB: CPU us/delivered record", "cpu_us_per_record")
            .to(&[Bound::MostOf(0.35, Subject::Kafka)]),
        row("100 consumers, 100 batches/s of 10 KiB: to the last p50 ms", "p50_ms"),
        row("100 consumers, 100 batches/s of 10 KiB: to the last p99 ms", "p99_ms"),
        row("100 consumers, 100 batches/s of 10 KiB: batches/answer", "batches_per_answer"),
    ];
    let seconds = run.size(10);
    let args = ["--topic", "fan-out", "--warm-up", "2", "--seconds", &seconds];
    run.take(("fan-out", &args), &rows, figures)
}
