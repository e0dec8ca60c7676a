//! Memory, swap and what the kernel does with them.

use super::super::facts::Facts;
use super::super::finding::{Finding, Findings};
use crate::size;

const GIB: u64 = 1 << 30;

pub(super) fn judge(facts: &Facts, all: &mut Vec<Finding>) {
    let mut findings = Findings::of("memory", all);
    let memory = &facts.memory;
    let container = memory.container_max.filter(|max| memory.total.is_none_or(|all| *max < all));
    if let Some(total) = container.or(memory.total) {
        let whose = if container.is_some() { "of the container" } else { "of the machine" };
        let what = format!("memory {whose}: {}", size::words(total));
        if total < GIB {
            let more = "give it 1 GiB at least; what is not used by processes caches logs";
            findings.warning(format!("{what}; there is little left to cache logs in"), more);
        } else {
            findings.good(what);
        }
    }
    if let Some((available, total)) = memory.available.zip(memory.total)
        && available < total / 20
    {
        findings.warning(
            format!("only {} of {} are available", size::words(available), size::words(total)),
            "see which process has it (top, sorted by memory); reads of old records go to the disk",
        );
    }
    swap(facts, &mut findings);
    if memory.overcommit == Some(2) {
        findings.warning(
            "vm.overcommit_memory=2: maps count against a limit even when nothing is in them"
                .to_owned(),
            "set it to 0 (sysctl -w vm.overcommit_memory=0), or raise vm.overcommit_ratio",
        );
    }
    if let Some(ratio) = memory.dirty_ratio.filter(|ratio| *ratio > 40) {
        findings.warning(
            format!(
                "vm.dirty_ratio={ratio}: so much of memory may wait to be written, and then \
                     all writers wait at once"
            ),
            "set vm.dirty_background_ratio=5 and vm.dirty_ratio=20, so that writing is steady",
        );
    }
}

fn swap(facts: &Facts, findings: &mut Findings<'_>) {
    let memory = &facts.memory;
    let Some(total) = memory.swap_total else { return };
    if total == 0 {
        findings.good("no swap".to_owned());
        return;
    }
    let used = total.saturating_sub(memory.swap_free.unwrap_or(total));
    let what = format!("{} of {} swap in use", size::words(used), size::words(total));
    let swappiness = memory.swappiness.unwrap_or(60);
    let lower = "sysctl -w vm.swappiness=1 keeps the broker in memory before the cache";
    if used > total / 10 {
        findings.warning(format!("{what}; what waits for swap answers late"), lower);
    } else if swappiness > 10 {
        findings.note(format!("{what}, vm.swappiness={swappiness}"), lower);
    } else {
        findings.good(what);
    }
}
