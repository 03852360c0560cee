//! CPU and memory usage of processes, where the operating system tells.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Sampling time of the CPU usage: long enough for a meaningful figure, short enough for a command.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// Resource usage of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// Per cent of one core, over a quarter of a second.
    pub(super) cpu_percent: Option<f64>,
    /// Resident memory in bytes.
    pub(super) memory: Option<u64>,
}

/// Measures the usage of these processes; unknown on platforms other than Linux.
pub(super) async fn of(pids: &[u32]) -> Vec<Usage> {
    let before: Vec<_> = pids.iter().map(|pid| cpu_time(*pid)).collect();
    let since = Instant::now();
    if before.iter().any(Option::is_some) {
        sleep(SAMPLE_INTERVAL).await;
    }
    let elapsed = since.elapsed().as_secs_f64();
    let usage = |(pid, before): (&u32, Option<f64>)| Usage {
        cpu_percent: before.zip(cpu_time(*pid)).map(|(before, after)| (after - before) / elapsed * 100.0),
        memory: memory(*pid),
    };
    pids.iter().zip(before).map(usage).collect()
}

/// Returns the CPU seconds used since the start of the process.
#[cfg(target_os = "linux")]
fn cpu_time(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks = f64::from(u32::try_from(cpu_ticks(&stat)?).ok()?);
    let per_second = f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).ok()?);
    Some(ticks / per_second)
}

#[cfg(not(target_os = "linux"))]
fn cpu_time(_pid: u32) -> Option<f64> {
    None
}

/// Parses user and system time from the text of `/proc/<pid>/stat`, whose name in parentheses may contain any
/// characters.
#[cfg(target_os = "linux")]
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn cpu_times_are_parsed_after_any_process_name() {
        assert_eq!(cpu_ticks("7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 30 12 0 0 20 0"), Some(42));
        assert_eq!(cpu_ticks("7 (a"), None);
    }

    #[tokio::test]
    async fn a_running_process_has_a_measurable_usage() {
        let usage = of(&[std::process::id(), u32::MAX]).await;
        assert!(usage[0].memory.unwrap() > 1024 * 1024 && usage[0].cpu_percent.unwrap() >= 0.0);
        assert_eq!(usage[1], Usage::default());
    }
}
