//! What was measured of the curves, as it is kept in `curves.json`, and its figures.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::super::machine;
use super::super::plot::{self, Figure, Panel, Point, Series};
use super::super::report::median;

/// Of a value from one point to the next, without a word about it.
const GROWTH_MAX: f64 = 1.25;

/// Values of all rounds, s/GiB and ms: by series and x.
pub(super) type Rounds = BTreeMap<(String, u64), Vec<(f64, f64)>>;

/// The file's curves by name; none when there is no file.
pub(super) fn read(folder: &Path) -> Result<Map<String, Value>> {
    let path = folder.join("curves.json");
    if !path.exists() {
        return Ok(Map::new());
    }
    let text = fs::read(&path)?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// Puts a curve into the file, in the place of what was there of it. A curve may be measured
/// without the others: each has a header of its own.
pub(super) fn keep(folder: &Path, key: String, header: &Header, values: &Rounds) -> Result<()> {
    let points = values.iter().map(|((of, x), values)| {
        let column = |of: fn(&(f64, f64)) -> f64| -> Vec<f64> {
            values.iter().map(of).map(|value| (value * 1e4).round() / 1e4).collect()
        };
        let (cpu, p99) = (column(|value| value.0), column(|value| value.1));
        json!({"of": of, "x": x, "cpu_s_per_gib": cpu, "p99_ms": p99})
    });
    let mut kept = read(folder)?;
    let points: Vec<Value> = points.collect();
    kept.insert(key, json!({"header": header.json(), "points": points}));
    fs::create_dir_all(folder)?;
    let text = serde_json::to_string_pretty(&kept)? + "\n";
    Ok(fs::write(folder.join("curves.json"), text)?)
}

/// When, of what and on what was measured.
pub(super) struct Header {
    date: String,
    commit: String,
    machine: String,
    kernel: String,
    /// Of the system's TCP connections.
    congestion_control: String,
    /// Of the minute before, when it began.
    load: String,
    rounds: usize,
}

impl Header {
    pub(super) fn now(root: &Path, rounds: usize) -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let models: Vec<_> = cpus.lines().filter(|line| line.starts_with("model name")).collect();
        let model = models.first().and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown");
        let load = fs::read_to_string("/proc/loadavg")?;
        let git = ["-C", &root.display().to_string(), "describe", "--always", "--dirty"];
        Ok(Self {
            date: said("date", &["-u", "+%Y-%m-%d"])?,
            commit: said("git", &git)?,
            machine: format!("{} x {model}", models.len()),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            congestion_control: machine::congestion_control()?,
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            rounds,
        })
    }

    fn json(&self) -> Value {
        json!({
            "date": self.date,
            "commit": self.commit,
            "machine": self.machine,
            "kernel": self.kernel,
            "congestion_control": self.congestion_control,
            "load": self.load,
            "rounds": self.rounds,
        })
    }
}

fn said(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output()?;
    ensure!(output.status.success(), "{program} {args:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The header of a kept curve, as a line.
pub(super) fn footer(curve: &Value) -> String {
    let header = &curve["header"];
    let text = |key: &str| header[key].as_str().unwrap_or("unknown").to_owned();
    let rounds = header["rounds"].as_u64().unwrap_or(1);
    let of = match rounds {
        1 => "one round".to_owned(),
        _ => format!("medians of {rounds} rounds, bars from the least to the greatest"),
    };
    let keys = ["date", "commit", "machine", "kernel", "congestion_control"];
    let [date, commit, machine, kernel, tcp] = keys.map(text);
    format!("{date}, {commit}, {machine}, Linux {kernel}, TCP {tcp}: {of}")
}

/// The panels of a kept curve.
pub(super) fn panels(curve: &Value) -> Result<Vec<Panel<'static>>> {
    let points = curve["points"].as_array().context("a curve without points")?;
    Ok(vec![
        panel(points, "CPU of the broker, s/GiB", "cpu_s_per_gib")?,
        panel(points, "latency p99, ms", "p99_ms")?,
    ])
}

fn panel(points: &[Value], y_label: &'static str, key: &str) -> Result<Panel<'static>> {
    let mut series: Vec<Series> = Vec::new();
    for point in points {
        let of = point["of"].as_str().context("a point of nothing")?;
        let x = point["x"].as_f64().context("a point without x")?;
        let values = point[key].as_array().context("a point without values")?;
        let values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
        ensure!(!values.is_empty(), "{of} at {x} has no {key}");
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let point = Point { x, y: median(&values), least, greatest };
        match series.iter_mut().find(|series| series.name == of) {
            Some(known) => known.points.push(point),
            None => series.push(styled(of, point, &series)),
        }
    }
    series.sort_by_key(|series| series.color);
    Ok(Panel { y_label, series })
}

/// A series that begins with a point: each subject has a color, each of its loads a dash.
fn styled(of: &str, point: Point, others: &[Series]) -> Series {
    let color = match of {
        of if of.starts_with("Ottla") => "#0b5cad",
        of if of.starts_with("floor") => "#6b7280",
        _ => "#c2410c",
    };
    let before = others.iter().filter(|other| other.color == color).count();
    let dash = if before == 0 { "" } else { "7 3" };
    Series { name: of.to_owned(), color, dash, points: vec![point] }
}

/// Where a series grows by more than a quarter from one point to the next, a line each.
pub(super) fn bends(figure: &Figure<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for panel in &figure.panels {
        for series in &panel.series {
            for pair in series.points.windows(2) {
                let growth = pair[1].y / pair[0].y;
                if growth <= GROWTH_MAX {
                    continue;
                }
                let [from, to] = [0, 1].map(|place| plot::told(pair[place].x, figure.x_bytes));
                let is_sure = pair[1].least > pair[0].greatest;
                let spread = if is_sure { "" } else { ", within the spread" };
                let (name, y) = (&series.name, panel.y_label);
                let x = figure.x_label;
                found.push(format!("{x}, {y}, {name}: from {from} to {to} {growth:.2} x{spread}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(of_two: [f64; 3]) -> Value {
        let point = |x: u64, cpu_s: [f64; 3], p99: f64| {
            let p99 = [p99; 3];
            json!({"of": "Ottla", "x": x, "cpu_s_per_gib": cpu_s, "p99_ms": p99})
        };
        let points = vec![point(1, [1.0, 1.2, 1.1], 2.0), point(10, of_two, 2.4)];
        json!({"header": {"date": "2026-01-02", "commit": "abc", "rounds": 3}, "points": points})
    }

    fn told(curve: &Value) -> Vec<String> {
        let panels = panels(curve).unwrap();
        let (title, note, x_label, footer) = ("t", &[][..], "things", "");
        bends(&Figure { title, note, footer, x_label, x_bytes: false, panels })
    }

    #[test]
    fn a_bend_is_a_growth_by_more_than_a_quarter() {
        assert!(told(&kept([1.2, 1.3, 1.37])).is_empty());
        let of = "things, CPU of the broker, s/GiB, Ottla: from 1 to 10";
        assert_eq!(told(&kept([1.3, 2.2, 5.0])), [format!("{of} 2.00 x")]);
        assert_eq!(told(&kept([1.1, 2.2, 2.3])), [format!("{of} 2.00 x, within the spread")]);
    }

    #[test]
    fn a_point_is_a_median_with_its_spread() {
        let panels = panels(&kept([1.2, 1.3, 1.37])).unwrap();
        let first = &panels[0].series[0].points[0];
        assert_eq!((first.y, first.least, first.greatest), (1.1, 1.0, 1.2));
        let line = footer(&kept([1.0; 3]));
        assert!(line.starts_with("2026-01-02, abc, unknown"), "{line}");
        assert!(line.contains("medians of 3 rounds"), "{line}");
    }
}
