//! What a measurement ends with: as text, JSON or CSV.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::meter::{Counts, Latencies};

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
    Csv,
}

/// A measurement, or an interval of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    /// `produce`, `consume`, `e2e`.
    pub(crate) what: &'a str,
    pub(crate) is_interval: bool,
    pub(crate) counts: &'a Counts,
    pub(crate) took: Duration,
    /// CPU time of the process, when it is of the whole.
    pub(crate) cpu: Option<Duration>,
}

const QUANTILES: [(&str, f64); 6] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];
const MIB: f64 = (1 << 20) as f64;

impl Report<'_> {
    /// Records a second.
    pub(crate) fn records_per_second(&self) -> f64 {
        per_second(self.counts.records as f64, self.took)
    }

    /// MiB a second.
    pub(crate) fn mib_per_second(&self) -> f64 {
        per_second(self.counts.bytes as f64 / MIB, self.took)
    }

    /// Writes it. `with_histogram`: and how many records took how long.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(
        &self,
        form: Form,
        with_histogram: bool,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match form {
            Form::Text => out.write_all(self.text(with_histogram).as_bytes()),
            Form::Json => writeln!(out, "{}", self.json(with_histogram)),
            Form::Csv => writeln!(out, "{}", self.csv_row()),
        }
    }

    /// An interval in a line.
    fn line(&self) -> String {
        let (rate, mib) = (self.records_per_second(), self.mib_per_second());
        let Counts { records, failed, latencies, .. } = self.counts;
        let mut text = format!("{records} records, {rate:.0} records/s, {mib:.2} MiB/s");
        // A string takes whatever is written.
        if *failed > 0 {
            _ = write!(text, ", {failed} failed");
        }
        if !latencies.is_empty() {
            let [p50, p99] = [0.5, 0.99].map(|quantile| ms(latencies.value_at_quantile(quantile)));
            _ = write!(text, ", p50 {p50} ms, p99 {p99} ms, max {} ms", ms(latencies.max()));
        }
        text + "\n"
    }

    fn text(&self, with_histogram: bool) -> String {
        if self.is_interval {
            return self.line();
        }
        let Counts { records, failed, latencies, .. } = self.counts;
        let mut text = String::new();
        let seconds = self.took.as_secs_f64();
        // A string takes whatever is written.
        _ = write!(text, "records     {records}");
        if *failed > 0 {
            _ = write!(text, ", {failed} failed");
        }
        _ = write!(text, "\ntime        {seconds:.3} s");
        if let Some(cpu) = self.cpu {
            _ = write!(text, ", {:.3} s of CPU", cpu.as_secs_f64());
        }
        let (rate, mib) = (self.records_per_second(), self.mib_per_second());
        _ = writeln!(text, "\nthroughput  {rate:.0} records/s, {mib:.2} MiB/s");
        if latencies.is_empty() {
            return text;
        }
        let [min, max] = [latencies.min(), latencies.max()].map(ms);
        let mean = millis(latencies.mean());
        _ = write!(text, "latency ms  min {min}, mean {mean}, max {max}\n           ");
        for (name, quantile) in QUANTILES {
            _ = write!(text, " {name} {}", ms(latencies.value_at_quantile(quantile)));
        }
        text.push('\n');
        if with_histogram {
            text += &histogram(latencies);
        }
        text
    }

    fn json(&self, with_histogram: bool) -> Value {
        let Counts { records, bytes, failed, latencies } = self.counts;
        let mut object = json!({
            "test": self.what,
            "kind": self.kind(),
            "records": records,
            "bytes": bytes,
            "failed": failed,
            "seconds": self.took.as_secs_f64(),
            "records_per_second": self.records_per_second(),
            "mib_per_second": self.mib_per_second(),
        });
        if let Some(cpu) = self.cpu {
            object["cpu_seconds"] = cpu.as_secs_f64().into();
        }
        if !latencies.is_empty() {
            let mut of = json!({
                "min": latencies.min(), "mean": latencies.mean(), "max": latencies.max(),
            });
            for (name, quantile) in QUANTILES {
                of[name] = latencies.value_at_quantile(quantile).into();
            }
            object["latency_us"] = of;
        }
        if with_histogram {
            let steps = steps(latencies).into_iter();
            object["histogram_us"] =
                steps.map(|(from, to, count)| json!([from, to, count])).collect();
        }
        object
    }

    fn kind(&self) -> &'static str {
        if self.is_interval { "interval" } else { "total" }
    }

    /// The names of a row's fields.
    pub(crate) fn csv_header() -> String {
        let mut header =
            "test,kind,records,bytes,failed,seconds,records_per_second,mib_per_second,\
                          latency_min_us,latency_mean_us"
                .to_owned();
        for (name, _) in QUANTILES {
            _ = write!(header, ",latency_{name}_us");
        }
        header + ",latency_max_us"
    }

    fn csv_row(&self) -> String {
        let Counts { records, bytes, failed, latencies } = self.counts;
        let (rate, mib) = (self.records_per_second(), self.mib_per_second());
        let seconds = self.took.as_secs_f64();
        let mut row = format!(
            "{},{},{records},{bytes},{failed},{seconds:.6},{rate:.1},{mib:.3}",
            self.what,
            self.kind()
        );
        if latencies.is_empty() {
            return row + &",".repeat(QUANTILES.len() + 3);
        }
        _ = write!(row, ",{},{:.1}", latencies.min(), latencies.mean());
        for (_, quantile) in QUANTILES {
            _ = write!(row, ",{}", latencies.value_at_quantile(quantile));
        }
        _ = write!(row, ",{}", latencies.max());
        row
    }
}

fn per_second(count: f64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { count / took.as_secs_f64() }
}

/// µs as ms.
fn ms(micros: u64) -> String {
    millis(micros as f64)
}

fn millis(micros: f64) -> String {
    let digits = if micros < 10_000.0 { 3 } else { 1 };
    format!("{:.digits$}", micros / 1000.0)
}

/// How many latencies lie in each doubling: from, to (µs, without it), count.
fn steps(latencies: &Latencies) -> Vec<(u64, u64, u64)> {
    let mut steps: Vec<(u64, u64, u64)> = Vec::new();
    for value in latencies.iter_recorded() {
        let micros = value.value_iterated_to();
        let count = value.count_at_value();
        let from = 1 << micros.max(1).ilog2();
        match steps.last_mut().filter(|step| step.0 == from) {
            Some(step) => step.2 += count,
            None => steps.push((from, from * 2, count)),
        }
    }
    steps
}

const BAR_CHARS: usize = 40;

/// A line for each doubling, with a bar.
fn histogram(latencies: &Latencies) -> String {
    let steps = steps(latencies);
    let most = steps.iter().map(|step| step.2).max().unwrap_or(1);
    let total = latencies.len() as f64;
    let mut text = String::new();
    let mut before = 0;
    for (from, to, count) in steps {
        before += count;
        let bar = (count as f64 / most as f64 * BAR_CHARS as f64).ceil() as usize;
        let share = before as f64 / total * 100.0;
        let (from, to) = (ms(from), ms(to));
        _ = writeln!(
            text,
            "{from:>10} to {to:>10} ms {count:>12} {share:>7.3}%  {}",
            "#".repeat(bar)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::flow::perf::meter::Meter;

    fn counts() -> Counts {
        let start = Instant::now();
        let meter = Meter::new(start);
        for ms in [1, 1, 1, 1, 1, 1, 1, 1, 1, 20] {
            meter.done(1, 100, Some(start), start + Duration::from_millis(ms));
        }
        meter.total().0
    }

    fn written(report: &Report<'_>, form: Form, with_histogram: bool) -> String {
        let mut out = Vec::new();
        report.write(form, with_histogram, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn report(counts: &Counts) -> Report<'_> {
        let took = Duration::from_millis(20);
        Report { what: "produce", is_interval: false, counts, took, cpu: None }
    }

    #[test]
    fn text_is_for_people() {
        let counts = counts();
        let text = written(&report(&counts), Form::Text, true);
        let expected = "\
records     10
time        0.020 s
throughput  500 records/s, 0.05 MiB/s
latency ms  min 1.000, mean 2.901, max 20.0
            p50 1.000 p90 1.000 p95 20.0 p99 20.0 p99.9 20.0 p99.99 20.0
     0.512 to      1.024 ms            9  90.000%  ########################################
      16.4 to       32.8 ms            1 100.000%  #####
";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_interval_is_a_line() {
        let counts = counts();
        let interval = Report { is_interval: true, ..report(&counts) };
        assert_eq!(
            written(&interval, Form::Text, false),
            "10 records, 500 records/s, 0.05 MiB/s, p50 1.000 ms, p99 20.0 ms, max 20.0 ms\n"
        );
    }

    #[test]
    fn json_and_csv_have_the_same_numbers() {
        let counts = counts();
        let line = written(&report(&counts), Form::Json, true);
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["records"], 10);
        assert_eq!(object["latency_us"]["p50"], 1000);
        assert_eq!(object["histogram_us"], json!([[512, 1024, 9], [16384, 32768, 1]]));
        let row = written(&report(&counts), Form::Csv, false);
        let header = Report::csv_header();
        let [names, values] = [&*header, row.trim_end()].map(|line| line.split(',').count());
        assert_eq!(names, values);
        assert!(row.starts_with("produce,total,10,1000,0,0.020000,500.0,0.048,1000,"), "{row}");
    }

    #[test]
    fn nothing_measured_is_no_latency() {
        let counts = Counts::new();
        let none = Report { took: Duration::ZERO, is_interval: true, ..report(&counts) };
        assert_eq!(written(&none, Form::Text, true), "0 records, 0 records/s, 0.00 MiB/s\n");
        let total = Report { is_interval: false, ..none };
        assert_eq!(
            written(&total, Form::Text, true),
            "records     0\ntime        0.000 s\nthroughput  0 records/s, 0.00 MiB/s\n"
        );
        let row = written(&none, Form::Csv, false);
        assert_eq!(row.trim_end().split(',').count(), Report::csv_header().split(',').count());
        let object: Value = serde_json::from_str(&written(&none, Form::Json, true)).unwrap();
        assert_eq!(object["histogram_us"], json!([]));
    }
}
