//! Reads the facts: `/proc`, `/sys`, file systems, log directories, a file of settings. What cannot
//! be read is left out; the rules say what that means.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::facts::{Clock, Facts, Limits, LogDir, Memory, Mount, SettingsFile, Usage};
use crate::{CannotRun, time};

/// Where a broker keeps its logs that is not told.
const DEFAULT_DIR: &str = "/tmp/kafka-logs";

/// Reads a file of settings.
///
/// # Errors
/// It cannot be read, or has a malformed escape.
pub(super) fn settings(path: &Path) -> Result<SettingsFile, CannotRun> {
    let file = path.display();
    let bytes = fs::read(path).map_err(|error| CannotRun(format!("{file}: {error}")))?;
    let properties = ottla_properties::parse(&bytes).map_err(|bad| {
        let line = bad.line;
        CannotRun(format!("{file}, line {line}: no four hexadecimal digits after \\u"))
    })?;
    Ok(SettingsFile { path: path.to_owned(), properties })
}

/// The machine's facts. `root` is `/`, but in tests.
pub(super) fn facts(root: &Path, settings: Option<SettingsFile>, dirs: &[PathBuf]) -> Facts {
    let mut dirs = dirs.to_vec();
    if let (true, Some(settings)) = (dirs.is_empty(), &settings) {
        let named = settings.get("log.dirs").or(settings.get("log.dir")).unwrap_or(DEFAULT_DIR);
        dirs =
            named.split(',').map(str::trim).filter(|dir| !dir.is_empty()).map(Into::into).collect();
    }
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let mounts = read("proc/self/mountinfo").unwrap_or_default();
    Facts {
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        limits: limits(&read),
        memory: memory(&read),
        clock: clock(root, &read),
        dirs: dirs.iter().map(|dir| log_dir(dir, &mounts)).collect(),
        settings,
        cluster: None,
    }
}

fn number(read: &dyn Fn(&str) -> Option<String>, path: &str) -> Option<u64> {
    read(path)?.trim().parse().ok()
}

fn limits(read: &dyn Fn(&str) -> Option<String>) -> Limits {
    Limits {
        nofile_hard: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard),
        max_map_count: number(read, "proc/sys/vm/max_map_count"),
        somaxconn: number(read, "proc/sys/net/core/somaxconn"),
        rmem_max: number(read, "proc/sys/net/core/rmem_max"),
        wmem_max: number(read, "proc/sys/net/core/wmem_max"),
    }
}

fn memory(read: &dyn Fn(&str) -> Option<String>) -> Memory {
    let info = read("proc/meminfo").unwrap_or_default();
    let field = |name: &str| -> Option<u64> {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    Memory {
        total: field("MemTotal"),
        available: field("MemAvailable"),
        swap_total: field("SwapTotal"),
        swap_free: field("SwapFree"),
        swappiness: number(read, "proc/sys/vm/swappiness"),
        overcommit: number(read, "proc/sys/vm/overcommit_memory"),
        dirty_ratio: number(read, "proc/sys/vm/dirty_ratio"),
        // Version 2, then version 1 of control groups; "max" is no number.
        container_max: number(read, "sys/fs/cgroup/memory.max")
            .or_else(|| number(read, "sys/fs/cgroup/memory/memory.limit_in_bytes")),
    }
}

/// Services that keep a clock in step, by the names of their processes.
const SERVICES: [&str; 6] = ["chronyd", "ntpd", "systemd-timesyn", "openntpd", "ptp4l", "phc2sys"];

fn clock(root: &Path, read: &dyn Fn(&str) -> Option<String>) -> Clock {
    let source = read("sys/devices/system/clocksource/clocksource0/current_clocksource");
    let service = processes(root).find(|name| SERVICES.contains(&&**name));
    let is_synchronized = match service.as_deref() {
        Some("systemd-timesyn") => Some(root.join("run/systemd/timesync/synchronized").exists()),
        _ => None,
    };
    let groups = read("proc/1/cgroup").unwrap_or_default();
    let first = read("proc/1/comm").unwrap_or_default();
    Clock {
        now_ms: time::now(),
        is_synchronized,
        service: service.map(|name| match &*name {
            "systemd-timesyn" => "systemd-timesyncd".to_owned(),
            _ => name,
        }),
        source: source.map(|source| source.trim().to_owned()),
        is_container: ["docker", "kubepods", "containerd", "lxc"]
            .iter()
            .any(|word| groups.contains(word))
            || root.join(".dockerenv").exists()
            || root.join("run/.containerenv").exists()
            || !["systemd", "init", "runit", "openrc-init"].contains(&first.trim()),
    }
}

/// The names of all processes, of which the kernel keeps 15 characters.
fn processes(root: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(root.join("proc")).into_iter().flatten().flatten();
    let is_process = |name: &OsStr| name.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit);
    entries.filter(move |entry| is_process(&entry.file_name())).filter_map(|entry| {
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        Some(name.trim().to_owned())
    })
}

fn log_dir(path: &Path, mounts: &str) -> LogDir {
    let exists = path.is_dir();
    // A directory that is not there would be made on the file system of what is.
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let mount = there.canonicalize().ok().and_then(|real| mount(&real, mounts));
    LogDir {
        path: path.to_owned(),
        exists,
        mount,
        usage: if exists { usage(path) } else { Usage::default() },
    }
}

/// The file system of a path, and how full it is.
fn mount(path: &Path, mounts: &str) -> Option<Mount> {
    let mut mount = mounted(path, mounts)?;
    if let Ok(full) = statvfs(path) {
        let unit = full.fragment_size();
        mount.total_bytes = full.blocks().saturating_mul(unit);
        mount.available_bytes = full.blocks_available().saturating_mul(unit);
        mount.inodes = full.files();
        mount.inodes_available = full.files_available();
    }
    Some(mount)
}

/// The last line of `mountinfo` whose mount point has the path in it: later ones lie over earlier
/// ones, and longer ones within shorter ones.
fn mounted(path: &Path, mounts: &str) -> Option<Mount> {
    let mut best: Option<Mount> = None;
    for line in mounts.lines() {
        // 36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue
        let Some((front, back)) = line.split_once(" - ") else { continue };
        let front: Vec<&str> = front.split(' ').collect();
        let back: Vec<&str> = back.split(' ').collect();
        let (Some(device), Some(point), Some(own)) = (front.get(2), front.get(4), front.get(5))
        else {
            continue;
        };
        let (Some(kind), Some(shared)) = (back.first(), back.get(2)) else { continue };
        let point = PathBuf::from(unescaped(point));
        let is_nearer = best
            .as_ref()
            .is_none_or(|best| point.components().count() >= best.point.components().count());
        if path.starts_with(&point) && is_nearer {
            let mut options: Vec<String> = own.split(',').map(str::to_owned).collect();
            for option in shared.split(',') {
                // Of a file system that can be written to a mount may still be read-only.
                if !options.iter().any(|own| own == option) && option != "rw" {
                    options.push(option.to_owned());
                }
            }
            best = Some(Mount {
                point,
                kind: (*kind).to_owned(),
                options,
                device: (*device).to_owned(),
                ..Mount::default()
            });
        }
    }
    best
}

/// A blank is `\040` in mountinfo.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn usage(dir: &Path) -> Usage {
    let mut usage = Usage::default();
    let mut oldest: Option<SystemTime> = None;
    let unreadable = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            usage.unreadable.push(unreadable(dir, error));
            return usage;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if !path.is_dir() || !is_partition(&entry.file_name()) {
            continue;
        }
        usage.partitions += 1;
        let files = match fs::read_dir(&path) {
            Ok(files) => files,
            Err(error) => {
                usage.unreadable.push(unreadable(&path, error));
                continue;
            }
        };
        for file in files.flatten() {
            let Ok(about) = file.metadata() else { continue };
            usage.bytes += about.len();
            if file.path().extension() == Some(OsStr::new("log")) {
                usage.segments += 1;
                let written = about.modified().ok().filter(|_| about.len() > 0);
                oldest = written.into_iter().chain(oldest).min();
            }
        }
    }
    usage.oldest_age = oldest.map(|oldest| oldest.elapsed().unwrap_or(Duration::ZERO));
    usage
}

/// `orders-3`, and what is on its way out too, since it takes room until it is gone.
fn is_partition(name: &OsStr) -> bool {
    let Some((_, number)) = name.to_str().and_then(|name| name.rsplit_once('-')) else {
        return false;
    };
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        || number == "delete"
        || number == "future"
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/root rw,discard
30 27 8:1 / /data rw,noatime shared:1 master:2 - xfs /dev/sda1 rw,attr2
31 30 8:2 / /data/with\\040blank ro,relatime - ext4 /dev/sdb1 rw
";

    #[test]
    fn the_nearest_mount_counts() {
        for (path, point, kind) in [
            ("/data/logs", "/data", "xfs"),
            ("/database", "/", "ext4"),
            ("/data/with blank/x", "/data/with blank", "ext4"),
            ("/", "/", "ext4"),
        ] {
            let mount = mounted(Path::new(path), MOUNTS).unwrap();
            assert_eq!((mount.point.as_path(), &*mount.kind), (Path::new(point), kind), "{path}");
        }
        let root = mounted(Path::new("/x"), MOUNTS).unwrap();
        assert_eq!(root.options, ["rw", "relatime", "discard"]);
        let read_only = mounted(Path::new("/data/with blank"), MOUNTS).unwrap();
        assert_eq!(read_only.options, ["ro", "relatime"]);
        assert_eq!(mounted(Path::new("/x"), "nonsense\n1 2 - ext4\n"), None);
    }

    #[test]
    fn a_system_is_read_from_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/meminfo", "MemTotal:       2048 kB\nSwapTotal:         0 kB\nX: y\n");
        write("proc/sys/vm/max_map_count", "65530\n");
        write("proc/sys/vm/swappiness", "nonsense\n");
        write("sys/fs/cgroup/memory.max", "max\n");
        write("proc/1/comm", "systemd\n");
        write("proc/77/comm", "systemd-timesyn\n");
        write("run/systemd/timesync/synchronized", "");
        write("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
        let facts = facts(root, None, &[]);
        assert_eq!(facts.memory.total, Some(2 << 20));
        assert_eq!(facts.memory.swap_total, Some(0));
        assert_eq!((facts.memory.swappiness, facts.memory.container_max), (None, None));
        assert_eq!(facts.limits.max_map_count, Some(65_530));
        assert_eq!(facts.clock.service.as_deref(), Some("systemd-timesyncd"));
        assert_eq!(facts.clock.is_synchronized, Some(true));
        assert_eq!(facts.clock.source.as_deref(), Some("tsc"));
        assert!(!facts.clock.is_container);
    }

    #[test]
    fn a_log_directory_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let partition = dir.path().join("orders-3");
        fs::create_dir_all(&partition).unwrap();
        fs::create_dir_all(dir.path().join("lost+found")).unwrap();
        fs::write(dir.path().join("meta.properties"), "x").unwrap();
        fs::write(partition.join("00000000000000000000.log"), [0; 100]).unwrap();
        fs::write(partition.join("00000000000000000000.index"), [0; 8]).unwrap();
        let usage = usage(dir.path());
        assert_eq!((usage.partitions, usage.segments, usage.bytes), (1, 1, 108));
        assert!(usage.oldest_age.unwrap() < Duration::from_secs(60));
        let missing = log_dir(&dir.path().join("a/b"), "1 1 0:1 / / rw - ext4 x rw\n");
        assert!(!missing.exists);
        assert!(missing.mount.unwrap().total_bytes > 0);
    }
}
