//! Committed offsets and settings: what is read is the last that was written, or may have been.

use std::collections::HashMap;

use crate::event::Outcome;
use crate::partition::{Access, Timed, World};
use crate::violation::{Rule, Violation};

pub(crate) fn check(world: &World, found: &mut Vec<Violation>) {
    for (register, accesses) in &world.registers {
        let mut noted = |text: String| {
            let text = format!("{}: {text}", register.name);
            found.push(Violation { rule: Rule::Register, place: None, text });
        };
        check_one(register.synced, accesses, &mut noted);
    }
}

fn check_one(synced: bool, accesses: &[Timed<Access>], noted: &mut impl FnMut(String)) {
    // For each value, when it was first tried to be written and whether it was ever not refused.
    let mut written: HashMap<i64, (u64, bool)> = HashMap::new();
    // When a value was surely there: written and acknowledged, or read.
    let mut floors: Vec<(usize, u64, i64)> = Vec::new();
    for access in accesses {
        match access.what {
            Access::Set { value, outcome } => {
                let entry = written.entry(value).or_insert((access.began_ns, false));
                entry.0 = access.began_ns.min(entry.0);
                entry.1 |= outcome != Outcome::Failed;
                if outcome == Outcome::Acked {
                    floors.push((access.era, access.ended_ns, value));
                }
            }
            Access::Got { value } => {
                floors.extend(value.map(|value| (access.era, access.ended_ns, value)));
            }
        }
    }
    floors.sort_unstable();
    let mut gets: Vec<_> = accesses
        .iter()
        .filter_map(|access| match access.what {
            Access::Got { value } => Some((access, value.unwrap_or(-1))),
            Access::Set { .. } => None,
        })
        .collect();
    gets.sort_by_key(|(access, _)| (access.era, access.began_ns));
    let (mut next, mut floor, mut era) = (0, -1, 0);
    for (access, value) in gets {
        while let Some((at, ended_ns, value)) = floors.get(next)
            && (*at, *ended_ns) < (access.era, access.began_ns)
        {
            if *at > era && !synced {
                floor = -1;
            }
            era = *at;
            floor = floor.max(*value);
            next += 1;
        }
        if access.era > era && !synced {
            floor = -1;
        }
        era = access.era;
        if value < floor {
            noted(format!("it is {value}, but was {floor} before"));
        }
        match written.get(&value) {
            _ if value < 0 => {}
            Some((began_ns, true)) if *began_ns <= access.ended_ns => {}
            Some((_, true)) => noted(format!("it is {value} before anybody wrote that")),
            Some((_, false)) => noted(format!("it is {value}, which was refused")),
            None => noted(format!("it is {value}, which nobody wrote")),
        }
    }
}
