//! Log directories and the file systems that they are on.

use std::time::Duration;

use super::super::facts::{Facts, LogDir, Mount, Usage};
use super::super::finding::{Finding, Findings};
use crate::size;

pub(super) fn judge(facts: &Facts, all: &mut Vec<Finding>) {
    let mut findings = Findings::of("disk", all);
    for dir in &facts.dirs {
        presence(dir, &mut findings);
        if let Some(mount) = &dir.mount {
            kind(dir, mount, &mut findings);
            options(dir, mount, &mut findings);
            space(dir, mount, &mut findings);
            growth(facts, dir, mount, &mut findings);
        }
    }
    shared(facts, &mut findings);
}

fn presence(dir: &LogDir, findings: &mut Findings<'_>) {
    let path = dir.path.display();
    if !dir.exists {
        findings.note(
            format!("{path} is not there"),
            "the broker makes it at its first start; of one that ran before, look for its mount",
        );
    }
    for why in &dir.usage.unreadable {
        let who = "run this as the broker's user, or give that user the directory";
        findings.warning(format!("cannot read {why}"), who);
    }
}

fn kind(dir: &LogDir, mount: &Mount, findings: &mut Findings<'_>) {
    let (path, kind) = (dir.path.display(), &*mount.kind);
    let what = format!("{path} is on {kind}");
    match kind {
        "ext4" | "xfs" => findings.good(what),
        "tmpfs" | "ramfs" => findings.error(
            format!("{what}: it is memory, and gone at the next start of the machine"),
            "name a directory on a disk in log.dirs",
        ),
        "overlay" | "aufs" => findings.warning(
            format!("{what}: the container's own layer, deleted with the container"),
            "mount a volume there",
        ),
        "btrfs" | "zfs" | "bcachefs" => findings.note(
            format!("{what}, which copies on write: appending is slower, and logs are scattered"),
            "use xfs or ext4; or turn copying off for the directory (chattr +C on btrfs)",
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "ceph" | "glusterfs" => findings.warning(
            format!("{what}, over the network: locks, sync and renames are not what logs rely on"),
            "use a local disk, or a block device with xfs or ext4 on it",
        ),
        fuse if fuse.starts_with("fuse") => findings.warning(
            format!("{what}: what its sync is worth depends on a program"),
            "use xfs or ext4",
        ),
        "vfat" | "exfat" | "msdos" | "ntfs" | "ntfs3" | "ext2" => findings.error(
            format!("{what}, which has no journal that holds after a power loss"),
            "use xfs or ext4",
        ),
        _ => findings.note(format!("{what}, which is not tried"), "use xfs or ext4"),
    }
}

fn options(dir: &LogDir, mount: &Mount, findings: &mut Findings<'_>) {
    let point = mount.point.display();
    let path = dir.path.display();
    for option in &mount.options {
        match &**option {
            "ro" => findings.error(
                format!("{point} is mounted read-only, and {path} is on it"),
                "remount it (mount -o remount,rw); a disk that failed is mounted so: see dmesg",
            ),
            "sync" | "dirsync" => findings.warning(
                format!("{point} is mounted with {option}: every write waits for the disk"),
                "mount it without; log.flush.interval.messages says when to sync",
            ),
            "nobarrier" | "barrier=0" | "data=writeback" => findings.warning(
                format!("{point} is mounted with {option}: a power loss takes what was synced"),
                "mount it without, unless the disk's cache has a battery",
            ),
            "strictatime" => findings.note(
                format!("{point} is mounted with strictatime: every read is a write too"),
                "mount it with noatime",
            ),
            "discard" => findings.note(
                format!("{point} is mounted with discard: deleting segments waits for the disk"),
                "mount it without, and let fstrim.timer do it",
            ),
            _ => {}
        }
    }
}

fn space(dir: &LogDir, mount: &Mount, findings: &mut Findings<'_>) {
    let point = mount.point.display();
    let shares = [
        ("space", mount.available_bytes, mount.total_bytes),
        ("inodes", mount.inodes_available, mount.inodes),
    ];
    for (of, available, total) in shares {
        if total == 0 {
            continue;
        }
        let percent = available as f64 / total as f64 * 100.0;
        let shown = |count| if of == "space" { size::words(count) } else { count.to_string() };
        let what = format!(
            "{} of {} {of} left on {point} ({percent:.0}%)",
            shown(available),
            shown(total)
        );
        let remedy = "delete topics, lower retention.bytes or retention.ms, or enlarge it; a full \
                      disk takes the directory out of service";
        if percent < 5.0 {
            findings.error(what, remedy);
        } else if percent < 15.0 {
            findings.warning(what, remedy);
        } else if of == "space" {
            let Usage { partitions, segments, .. } = dir.usage;
            let used = size::words(dir.usage.bytes);
            findings.good(format!("{what}; {partitions} partitions, {segments} segments, {used}"));
        }
    }
}

const HOUR_MS: i64 = 3_600_000;
/// Of less history nothing is foretold.
const HISTORY_MIN: Duration = Duration::from_secs(24 * 3600);

/// How long records are kept, ms; `None` for ever.
fn retention(facts: &Facts) -> Option<i64> {
    let settings = facts.settings.as_ref();
    let number = |name| settings.and_then(|settings| settings.number(name));
    let ms = number("log.retention.ms")
        .or_else(|| number("log.retention.minutes").map(|n| n.saturating_mul(60_000)))
        .or_else(|| number("log.retention.hours").map(|n| n.saturating_mul(HOUR_MS)))
        .unwrap_or(168 * HOUR_MS);
    (ms >= 0).then_some(ms)
}

fn growth(facts: &Facts, dir: &LogDir, mount: &Mount, findings: &mut Findings<'_>) {
    let settings = facts.settings.as_ref();
    let bytes_max = settings.and_then(|settings| settings.number("log.retention.bytes"));
    let bytes_max = bytes_max.and_then(|max| u64::try_from(max).ok());
    let (path, usage) = (dir.path.display(), &dir.usage);
    let room = mount.available_bytes.saturating_add(usage.bytes);
    let lower = "lower log.retention.hours or log.retention.bytes, or give it a larger disk";
    if let Some(bytes_max) = bytes_max {
        // A partition has an active segment beyond what is kept.
        let segment = settings.and_then(|settings| settings.number("log.segment.bytes"));
        let segment = segment.and_then(|n| u64::try_from(n).ok()).unwrap_or(1 << 30);
        let most = usage.partitions.saturating_mul(bytes_max.saturating_add(segment));
        if most > room {
            let (most, room, partitions) = (size::words(most), size::words(room), usage.partitions);
            findings.warning(
                format!(
                    "{path}: {partitions} partitions may come to {most} before log.retention.bytes \
                     deletes any; there is room for {room}"
                ),
                lower,
            );
        }
        return;
    }
    let Some(age) = usage.oldest_age.filter(|age| *age >= HISTORY_MIN) else { return };
    let per_ms = usage.bytes as f64 / age.as_millis().max(1) as f64;
    match retention(facts) {
        Some(retention) => {
            let expected = per_ms * retention as f64;
            // What is older than is kept was deleted: the size of now is the size that stays.
            if retention as f64 > age.as_millis() as f64 && expected > room as f64 * 0.9 {
                let (expected, room) = (size::words(expected as u64), size::words(room));
                findings.warning(
                    format!(
                        "{path}: at the pace so far it comes to {expected} before the retention \
                         time deletes any; there is room for {room}"
                    ),
                    lower,
                );
            }
        }
        None => {
            let days = mount.available_bytes as f64 / per_ms.max(f64::MIN_POSITIVE) / 86_400_000.0;
            let what = format!("{path}: nothing is ever deleted; at this pace it is full in");
            findings.warning(format!("{what} {days:.0} days"), "set log.retention.bytes");
        }
    }
}

fn shared(facts: &Facts, findings: &mut Findings<'_>) {
    let mut dirs: Vec<(&str, &LogDir)> = Vec::new();
    for dir in &facts.dirs {
        let Some(mount) = &dir.mount else { continue };
        match dirs.iter().find(|(device, _)| *device == mount.device) {
            Some((_, other)) => findings.note(
                format!("{} and {} share a disk", other.path.display(), dir.path.display()),
                "one directory is enough: a second one on the same disk adds neither room nor \
                 speed",
            ),
            None => dirs.push((&mount.device, dir)),
        }
    }
}
