//! `kafka-consumer-groups --reset-offsets`.

use std::fs;

use ottla_client::{Admin, TopicPartition};

use super::consumer_groups::{consumer_groups, named, of_topics};
use super::options::Options;
use super::{Failed, java, out};
use crate::complaint;
use crate::groups::reset::{self, Planned, To};
use crate::time;

pub(super) const SCENARIOS: [&str; 8] = [
    "from-file",
    "shift-by",
    "to-offset",
    "to-earliest",
    "to-current",
    "to-latest",
    "by-duration",
    "to-datetime",
];

/// Shows where groups would go on, or has them go on there.
pub(super) fn run(options: &Options, admin: &Admin) -> Result<(), Failed> {
    if !options.has("execute") && !options.has("dry-run") {
        complaint::plain(
            "WARN: No action will be performed as the --execute option is missing. In version 5.0, \
             this command will require either --dry-run or --execute to be specified. You should \
             add the --dry-run option explicitly if you are scripting this command and want to \
             keep the current default behavior without prompting.",
        );
    }
    let [scenario] = options.given(&SCENARIOS)[..] else {
        let all: Vec<String> = SCENARIOS.iter().map(|name| format!("[{name}]")).collect();
        complaint::plain(&format!(
            "Option '[reset-offsets]' requires one of the following scenarios: [{}]",
            all.join(", ")
        ));
        return Err(Failed::Told);
    };
    if !["topic", "all-topics", "from-file"].iter().any(|scope| options.has(scope)) {
        complaint::plain("One of the reset scopes should be defined: --all-topics, --topic.");
        return Err(Failed::Told);
    }
    let groups = named(options, admin)?;
    let states = consumer_groups(admin)?;
    let mut planned: Vec<(String, Vec<Planned>)> = Vec::new();
    for group in groups {
        let state = states.iter().find(|known| known.id == group).map(|of| of.state.as_str());
        if !matches!(state, None | Some("Empty" | "Dead")) {
            let state = state.unwrap_or_default();
            out(&format!(
                "\nError: Assignments can only be reset if the group '{group}' is inactive, but \
                 the current state is {state}.\n"
            ))?;
            planned.push((group, Vec::new()));
            continue;
        }
        let plan = plan(options, admin, &group, scenario)?;
        if options.has("execute") {
            for (_, result) in reset::carry_out(admin, &group, &plan)? {
                result.map_err(|error| Failed::Err(java::exception(&error)))?;
            }
        }
        planned.push((group, plan));
    }
    if options.has("export") {
        // The group is told unless it is the only one that was named.
        return export(&planned, options.all("group").count() != 1);
    }
    table(&planned)
}

fn plan(
    options: &Options,
    admin: &Admin,
    group: &str,
    scenario: &str,
) -> Result<Vec<Planned>, Failed> {
    let to = to(options, group, scenario)?;
    let mut partitions: Vec<TopicPartition> = if let To::Each(offsets) = &to {
        offsets.keys().cloned().collect()
    } else if options.has("topic") && !options.has("all-topics") {
        let (partitions, missing) = of_topics(options, admin)?;
        if !missing.is_empty() {
            let why = "This server does not host this topic-partition.";
            return Err(Failed::Err(why.to_owned()));
        }
        partitions
    } else {
        let committed = admin.committed_offsets(group)?;
        committed.iter().map(|of| TopicPartition::new(&of.topic, of.partition)).collect()
    };
    java::map_order(&mut partitions, java::hash_of_partition);
    let planned = reset::plan(admin, group, &partitions, &to)?;
    for of in &planned {
        if let Err(why) = &of.new {
            if matches!(to, To::Shift(_)) && of.current.is_none() {
                complaint::plain(&format!(
                    "Cannot shift offset for partition {} since there is no current committed \
                     offset",
                    of.at
                ));
                return Err(Failed::Told);
            }
            return Err(Failed::Err(why.clone()));
        }
        if of.is_fallback {
            out(&format!(
                "\nWarn: Partition {} from topic {} is empty. Falling back to latest known \
                 offset.\n",
                of.at.partition, of.at.topic
            ))?;
        }
    }
    Ok(planned)
}

fn to(options: &Options, group: &str, scenario: &str) -> Result<To, Failed> {
    let number =
        || options.number::<i64>(scenario).map_err(Failed::Err).map(Option::unwrap_or_default);
    let text = options.get(scenario).unwrap_or_default();
    Ok(match scenario {
        "to-earliest" => To::Earliest,
        "to-latest" => To::Latest,
        "to-current" => To::Current,
        "to-offset" => To::Offset(number()?),
        "shift-by" => To::Shift(number()?),
        "to-datetime" => {
            let wrong = "Error parsing timestamp. It does not contain a 'T' according to ISO8601 \
                         format";
            if !text.contains('T') {
                return Err(Failed::Err(wrong.to_owned()));
            }
            To::Time(time::point(text)?)
        }
        "by-duration" => {
            let wrong = || Failed::Err(format!("Text cannot be parsed to a Duration: {text}"));
            To::Time(time::now().saturating_sub(iso_duration(text).ok_or_else(wrong)?))
        }
        _ => {
            let wrong = |why: String| Failed::Err(format!("{text}: {why}"));
            let lines = fs::read_to_string(text).map_err(|error| wrong(error.to_string()))?;
            To::Each(reset::of_csv(&lines, group).map_err(wrong)?)
        }
    })
}

/// `PT1H30M`, `P2D`, `-PT1.5S`, as milliseconds: what Java's `Duration` parses.
fn iso_duration(text: &str) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let (sign, text) = signed(&text);
    let (date, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text.strip_prefix('P')?, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let days = units(date, &[('D', 86_400_000)])?;
    let rest = units(time, &[('H', 3_600_000), ('M', 60_000), ('S', 1000)])?;
    days.checked_add(rest)?.checked_mul(sign)
}

/// -1 or 1, and what is behind a sign.
fn signed(text: &str) -> (i64, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Numbers, each with one of these units, which stand in this order. Seconds may have a fraction.
fn units(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut millis = 0_i64;
    let mut units = units.iter();
    while !text.is_empty() {
        let at = text.find(|c: char| c.is_ascii_alphabetic())?;
        let (_, factor) = units.find(|(unit, _)| text[at..].starts_with(*unit))?;
        let (sign, number) = signed(&text[..at]);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || *factor != 1000 && number.contains('.') {
            return None;
        }
        let thousandths: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let part = whole.parse::<i64>().ok()?.checked_mul(*factor)?.checked_add(thousandths)?;
        millis = millis.checked_add(part.checked_mul(sign)?)?;
        text = &text[at + 1..];
    }
    Some(millis)
}

fn export(planned: &[(String, Vec<Planned>)], with_group: bool) -> Result<(), Failed> {
    let mut text = String::new();
    for (group, plan) in planned {
        for Planned { at, new, .. } in plan {
            let Ok(new) = new else { continue };
            if with_group {
                text += &format!("{group},");
            }
            text += &format!("{},{},{new}\n", at.topic, at.partition);
        }
    }
    out(&format!("{text}\n"))
}

fn table(planned: &[(String, Vec<Planned>)]) -> Result<(), Failed> {
    let mut rows = vec![["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"].map(str::to_owned)];
    for (group, plan) in planned {
        for Planned { at, new, .. } in plan {
            let Ok(new) = new else { continue };
            let (topic, partition) = (at.topic.to_string(), at.partition.to_string());
            rows.push([group.clone(), topic, partition, new.to_string()]);
        }
    }
    let width = |n: usize| rows.iter().map(|row| row[n].len()).max().unwrap_or(0).max(15);
    let (groups, topics) = (width(0), width(1));
    let mut text = String::from("\n");
    for [group, topic, partition, offset] in &rows {
        text += &format!("{group:<groups$} {topic:<topics$} {partition:<10} {offset}\n");
    }
    out(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_javas() {
        for (text, millis) in [
            ("PT1H", 3_600_000),
            ("P1D", 86_400_000),
            ("P1DT1M1.5S", 86_461_500),
            ("PT0S", 0),
            ("pt1h", 3_600_000),
            ("-PT1H", -3_600_000),
            ("PT-1H30M", -1_800_000),
            ("+PT1H-30M", 1_800_000),
            ("PT-1.5S", -1500),
            ("PT-0.5S", -500),
        ] {
            assert_eq!(iso_duration(text), Some(millis), "{text}");
        }
        for text in [
            "", "P", "PT", "1H", "P1H", "PT1D", "PTH", "PT1.5H", "PT1", "PT1M1H", "PT1S1S",
            "PT--1S", "--PT1S", "PT1é",
        ] {
            assert_eq!(iso_duration(text), None, "{text}");
        }
    }
}
