//! CPU and memory usage of processes, where the operating system tells.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::supervisor::resident;

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
        memory: resident(*pid),
    };
    pids.iter().zip(before).map(usage).collect()
}

/// Returns the CPU seconds used since the start of the process.
#[cfg(target_os = "linux")]
fn cpu_time(pid: u32) -> Option<f64> {
    use procfs::{FromRead as _, process::Stat};

    let stat = Stat::from_file(format!("/proc/{pid}/stat")).ok()?;
    let ticks = f64::from(u32::try_from(stat.utime + stat.stime).ok()?);
    let per_second = f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).ok()?);
    Some(ticks / per_second)
}

#[cfg(not(target_os = "linux"))]
fn cpu_time(_pid: u32) -> Option<f64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_running_process_has_a_measurable_usage() {
        let usage = of(&[std::process::id(), u32::MAX]).await;
        assert!(usage[0].memory.unwrap() > 1024 * 1024 && usage[0].cpu_percent.unwrap() >= 0.0);
        assert_eq!(usage[1], Usage::default());
    }
}
