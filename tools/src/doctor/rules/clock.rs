//! The clock, here and at brokers.

use super::super::facts::Facts;
use super::super::finding::{Finding, Findings};

/// 2024-01-01, ms since the epoch: before it no clock of today is.
const NOT_BEFORE_MS: i64 = 1_704_067_200_000;
/// Clocks that differ by less are in step as far as logs tell.
const SKEW_MAX_MS: i64 = 1000;
/// Clocks that are read without a system call.
const FAST: [&str; 5] =
    ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen"];

const KEEP: &str = "run chrony or systemd-timesyncd (timedatectl set-ntp true): records without a \
                    right time are deleted too early or too late";

pub(super) fn judge(facts: &Facts, all: &mut Vec<Finding>) {
    let mut findings = Findings::of("clock", all);
    let clock = &facts.clock;
    if clock.now_ms < NOT_BEFORE_MS {
        findings.error("the clock says that it is before 2024".to_owned(), KEEP);
    }
    match (&clock.service, clock.is_synchronized) {
        (_, Some(true)) => findings.good("the clock is synchronized".to_owned()),
        (Some(service), None) => findings.good(format!("{service} keeps the clock")),
        (Some(service), Some(false)) => findings.warning(
            format!("{service} runs, but has not synchronized the clock yet"),
            "see whether it reaches a server: timedatectl timesync-status, chronyc tracking",
        ),
        (None, _) if clock.is_container => findings.note(
            "whether the clock is synchronized cannot be seen from within a container".to_owned(),
            "run this on the host too",
        ),
        (None, _) => {
            findings.warning("nothing is seen that keeps the clock in step".to_owned(), KEEP);
        }
    }
    if let Some(source) = clock.source.as_ref().filter(|source| !FAST.contains(&&***source)) {
        findings.warning(
            format!("the kernel reads the clock from {source}, by a system call each time"),
            "see why tsc was given up: dmesg | grep -i clocksource",
        );
    }
    let brokers = facts.cluster.as_ref().and_then(|cluster| cluster.answer.as_ref().ok());
    if let Some(newest) = brokers.and_then(|brokers| brokers.newest_broker_time) {
        let ahead_ms = newest - clock.now_ms;
        if ahead_ms > SKEW_MAX_MS {
            findings.warning(
                format!("a broker has written a time that is {ahead_ms} ms ahead of this clock"),
                "compare the clocks of the machines; one of them is wrong",
            );
        }
    }
}
