//! Memory of the machine, or of the container or service within it.

use std::fs;

/// Returns the bytes of memory that this process may use; `None` where the system does not tell. Only Linux does.
pub(super) fn memory() -> Option<u64> {
    memory_of(|path| fs::read_to_string(path).ok())
}

/// Returns the least of the machine's memory and the limits of the control groups of this process. `read` returns the
/// content of a file.
fn memory_of(read: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let total = read("/proc/meminfo").and_then(|text| total(&text));
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let files = groups.lines().flat_map(limit_files);
    // A group without a limit says `max`, or a number that exceeds every memory.
    let limits = files.filter_map(|file| read(&file)?.trim().parse().ok());
    limits.chain(total).filter(|bytes| *bytes > 0).min()
}

/// Reads the line `MemTotal`, which has kibibytes.
fn total(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1 << 10)
}

/// Returns the files with the limits of a control group and of those around it, of either version. A container sees its
/// own group as the root.
fn limit_files(line: &str) -> Vec<String> {
    let mut parts = line.splitn(3, ':');
    let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return Vec::new();
    };
    let (root, name) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        list if list.split(',').any(|controller| controller == "memory") => {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return Vec::new(),
    };
    let mut path = path.trim_end_matches('/');
    let mut files = Vec::new();
    loop {
        files.push(format!("{root}{path}/{name}"));
        match path.rfind('/') {
            Some(end) => path = &path[..end],
            None => return files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       16384000 kB\nMemFree:         1234 kB\n";

    fn of(files: &[(&str, &str)]) -> Option<u64> {
        memory_of(|path| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn the_least_limit_counts() {
        let whole = Some(16_384_000 << 10);
        let group = ("/proc/self/cgroup", "0::/system.slice/router.service\n");
        for (files, expected) in [
            (&[("/proc/meminfo", MEMINFO)][..], whole),
            (&[("/proc/meminfo", MEMINFO), ("/proc/self/cgroup", "0::/\n")], whole),
            (
                &[("/proc/meminfo", MEMINFO), ("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "max\n")],
                whole,
            ),
            (
                &[("/proc/meminfo", MEMINFO), ("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "1000\n")],
                Some(1_000),
            ),
            (&[group, ("/sys/fs/cgroup/system.slice/router.service/memory.max", "500\n")], Some(500)),
            (
                &[
                    group,
                    ("/sys/fs/cgroup/system.slice/router.service/memory.max", "500\n"),
                    ("/sys/fs/cgroup/system.slice/memory.max", "400\n"),
                ],
                Some(400),
            ),
            (
                &[
                    ("/proc/meminfo", MEMINFO),
                    ("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/1\n0::/\n"),
                    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "700\n"),
                ],
                Some(700),
            ),
            (
                &[
                    ("/proc/meminfo", MEMINFO),
                    ("/proc/self/cgroup", "4:memory:/\n"),
                    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ],
                whole,
            ),
            (&[("/proc/meminfo", "MemTotal: many\n"), ("/proc/self/cgroup", "x")], None),
            (&[], None),
        ] {
            assert_eq!(of(files), expected, "{files:?}");
        }
    }
}
