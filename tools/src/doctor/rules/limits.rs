//! Limits on files, maps and connections.

use super::super::facts::Facts;
use super::super::finding::{Finding, Findings};

/// Files that a broker may have open beside those of active segments: sealed segments that are kept
/// open, and clients.
const FILES_BASE: u64 = 20_000;
/// Maps likewise; this is what Linux grants by default.
const MAPS_BASE: u64 = 65_530;

const RAISE_FILES: &str = "\
    raise it: LimitNOFILE=1048576 in the unit of systemd, or \"* hard nofile 1048576\" in \
    /etc/security/limits.conf; the broker raises its own soft limit to the hard one";
const RAISE_MAPS: &str =
    "raise it: sysctl -w vm.max_map_count=1048576, and a line in /etc/sysctl.d to keep it";

pub(super) fn judge(facts: &Facts, all: &mut Vec<Finding>) {
    let mut findings = Findings::of("limits", all);
    let limits = &facts.limits;
    let partitions: u64 = facts.dirs.iter().map(|dir| dir.usage.partitions).sum();
    if let Some(files) = limits.nofile_hard {
        // A log and its two indexes may be open of each partition's active segment.
        let wanted = FILES_BASE + 3 * partitions;
        let shown = if files == u64::MAX { "no limit".to_owned() } else { files.to_string() };
        let what = format!("open files (hard limit, of this shell): {shown}");
        if files < 4096 {
            findings.error(format!("{what}; a broker runs out of them"), RAISE_FILES);
        } else if files < wanted {
            let why = format!("{what}; {partitions} partitions and their clients want {wanted}");
            findings.warning(why, RAISE_FILES);
        } else {
            findings.good(what);
        }
    }
    if let Some(maps) = limits.max_map_count {
        // Two indexes are mapped of each active segment.
        let wanted = (MAPS_BASE - 1000).max(2 * partitions + 45_000);
        let what = format!("maps of memory (vm.max_map_count): {maps}");
        if maps < wanted {
            let why = format!("{what}; {partitions} partitions want {wanted}");
            if maps < 2 * partitions {
                findings.error(why, RAISE_MAPS);
            } else {
                findings.warning(why, RAISE_MAPS);
            }
        } else {
            findings.good(what);
        }
    }
    connections(facts, &mut findings);
}

fn connections(facts: &Facts, findings: &mut Findings<'_>) {
    let limits = &facts.limits;
    let settings = facts.settings.as_ref();
    let number = |name| settings.and_then(|settings| settings.number(name));
    if let Some(waiting) = limits.somaxconn {
        let what = format!("connections that may wait (net.core.somaxconn): {waiting}");
        let backlog = number("socket.listen.backlog.size").and_then(|n| u64::try_from(n).ok());
        let raise = "raise it: sysctl -w net.core.somaxconn=4096";
        match backlog {
            Some(backlog) if backlog > waiting => {
                let why = format!("{what}; socket.listen.backlog.size={backlog} is cut to it");
                findings.warning(why, raise);
            }
            _ if waiting < 128 => {
                findings.warning(format!("{what}; many clients at once are turned away"), raise);
            }
            _ => findings.good(what),
        }
    }
    for (name, limit, sysctl) in [
        ("socket.receive.buffer.bytes", limits.rmem_max, "net.core.rmem_max"),
        ("socket.send.buffer.bytes", limits.wmem_max, "net.core.wmem_max"),
    ] {
        let asked = number(name).and_then(|n| u64::try_from(n).ok());
        if let Some((asked, limit)) = asked.zip(limit).filter(|(asked, limit)| asked > limit) {
            findings.note(
                format!("{name}={asked} is cut to {sysctl}={limit}"),
                &format!("raise it: sysctl -w {sysctl}={asked}, or set {name} to -1"),
            );
        }
    }
}
