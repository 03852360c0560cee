//! CPU time, memory, open files and threads of the service processes.
//!
//! Nothing is measured in the background: a measurement is made for each status and each event that shows it. The
//! operating system counts CPU time from the start of a process, so that a percentage needs two measurements; the first
//! one shows the average since the start.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::fleet::Now;

/// Minimum time between the two measurements of a percentage. The system counts CPU time in steps of 10 ms.
const MIN_INTERVAL: Duration = Duration::from_millis(500);

/// Resources that a process uses. A value is null if there is no process, or if the operating system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct ProcessStats {
    /// CPU time since the previous measurement, in percent of one core; since the start of the process in the first
    /// measurement.
    cpu_percent: Option<f64>,
    /// Bytes of resident memory.
    rss_bytes: Option<u64>,
    /// Open files and sockets.
    open_files: Option<u64>,
    threads: Option<u64>,
}

/// Measures processes. Clones share the previous measurements.
#[derive(Clone, Debug, Default)]
pub struct ProcessMeter(Arc<Mutex<HashMap<u32, Baseline>>>);

/// Measurements by process id.
#[derive(Debug, Default)]
pub(crate) struct Measured(HashMap<u32, ProcessStats>);

/// The measurement to which the next one is compared.
#[derive(Clone, Copy, Debug)]
struct Baseline {
    /// Start of the process, in the clock of the operating system: its id may be used again.
    started: u64,
    cpu: Duration,
    at: Instant,
    percent: f64,
}

/// One look at a process.
#[derive(Clone, Copy, Debug)]
struct Look {
    started: u64,
    /// CPU time since the start.
    cpu: Duration,
    /// Time since the start, if it is known.
    age: Option<Duration>,
    stats: ProcessStats,
}

// === impl ProcessMeter ===

impl ProcessMeter {
    /// Measures the processes of both services, and this one.
    pub(crate) async fn measure(&self, now: &Now) -> Measured {
        let own = std::process::id();
        let workers = now.workers.iter().filter_map(|worker| worker.snapshot.pid);
        let pids: Vec<u32> = workers.chain(now.qwen.pid).chain([own]).collect();
        let meter = self.clone();
        // Listing the open files of a busy process takes milliseconds.
        let measured = tokio::task::spawn_blocking(move || meter.look_at(&pids, look)).await;
        measured.unwrap_or_default()
    }

    fn look_at(&self, pids: &[u32], look: impl Fn(u32) -> Option<Look>) -> Measured {
        let looks: Vec<(u32, Look)> = pids.iter().filter_map(|pid| Some((*pid, look(*pid)?))).collect();
        let now = Instant::now();
        let mut baselines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        baselines.retain(|pid, _| pids.contains(pid));
        let measured = looks.into_iter().map(|(pid, look)| {
            let before = baselines.get(&pid).filter(|before| before.started == look.started).copied();
            let percent = match before {
                Some(before) if now.saturating_duration_since(before.at) < MIN_INTERVAL => Some(before.percent),
                Some(before) => percent(look.cpu.saturating_sub(before.cpu), now.saturating_duration_since(before.at)),
                None => look.age.and_then(|age| percent(look.cpu, age)),
            };
            if before.is_none_or(|before| now.saturating_duration_since(before.at) >= MIN_INTERVAL) {
                let percent = percent.unwrap_or_default();
                baselines.insert(pid, Baseline { started: look.started, cpu: look.cpu, at: now, percent });
            }
            (pid, ProcessStats { cpu_percent: percent, ..look.stats })
        });
        Measured(measured.collect())
    }
}

// === impl Measured ===

impl Measured {
    /// Returns the measurement of a process; all values are absent if there is none.
    pub(crate) fn of(&self, pid: Option<u32>) -> ProcessStats {
        pid.and_then(|pid| self.0.get(&pid)).copied().unwrap_or_default()
    }

    /// Returns the sums of several processes.
    pub(crate) fn sum(&self, pids: impl Iterator<Item = Option<u32>>) -> ProcessStats {
        pids.map(|pid| self.of(pid)).fold(ProcessStats::default(), ProcessStats::plus)
    }
}

// === impl ProcessStats ===

impl ProcessStats {
    /// Adds the values that are known.
    fn plus(self, other: Self) -> Self {
        fn sum<T: std::ops::Add<Output = T>>(first: Option<T>, second: Option<T>) -> Option<T> {
            match (first, second) {
                (Some(first), Some(second)) => Some(first + second),
                (first, second) => first.or(second),
            }
        }
        Self {
            cpu_percent: sum(self.cpu_percent, other.cpu_percent),
            rss_bytes: sum(self.rss_bytes, other.rss_bytes),
            open_files: sum(self.open_files, other.open_files),
            threads: sum(self.threads, other.threads),
        }
    }
}

/// Returns the share of one core with one decimal; `None` if no time has passed.
fn percent(cpu: Duration, elapsed: Duration) -> Option<f64> {
    (!elapsed.is_zero()).then(|| (cpu.as_secs_f64() / elapsed.as_secs_f64() * 1_000.0).round() / 10.0)
}

#[cfg(target_os = "linux")]
fn look(pid: u32) -> Option<Look> {
    use procfs::{FromRead as _, Uptime, process::Stat, ticks_per_second};

    let stat = Stat::from_file(format!("/proc/{pid}/stat")).ok()?;
    let ticks = |count: u64| Duration::from_millis(count.saturating_mul(1_000) / ticks_per_second().max(1));
    let booted = Uptime::from_file("/proc/uptime").ok().map(|uptime| uptime.uptime_duration());
    // Another user's process hides them.
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok();
    Some(Look {
        started: stat.starttime,
        cpu: ticks(stat.utime.saturating_add(stat.stime)),
        age: booted.map(|booted| booted.saturating_sub(ticks(stat.starttime))),
        stats: ProcessStats {
            cpu_percent: None,
            rss_bytes: crate::supervisor::resident(pid),
            open_files: files.map(|files| files.count() as u64),
            threads: u64::try_from(stat.num_threads).ok(),
        },
    })
}

#[cfg(not(target_os = "linux"))]
fn look(_: u32) -> Option<Look> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(started: u64, cpu_ms: u64) -> Look {
        Look {
            started,
            cpu: Duration::from_millis(cpu_ms),
            age: Some(Duration::from_secs(10)),
            stats: ProcessStats { rss_bytes: Some(7), ..ProcessStats::default() },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_percentage_is_that_of_the_time_between_two_measurements() {
        let meter = ProcessMeter::default();
        let percent = |started, cpu_ms| meter.look_at(&[1], |_| Some(looked(started, cpu_ms))).of(Some(1)).cpu_percent;
        assert_eq!(percent(5, 1_000), Some(10.0), "the average since the start");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(percent(5, 4_000), Some(150.0), "more than one core");
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(percent(5, 4_100), Some(150.0), "too short a time says nothing");
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(percent(5, 4_100), Some(20.0));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(percent(6, 500), Some(5.0), "another process with the same id");
    }

    #[tokio::test]
    async fn processes_that_are_gone_are_unknown_and_forgotten() {
        let meter = ProcessMeter::default();
        let measured = meter.look_at(&[1, 2], |pid| (pid == 1).then(|| looked(1, 10)));
        assert_eq!(measured.of(Some(2)), ProcessStats::default());
        assert_eq!(measured.of(None), ProcessStats::default());
        assert_eq!(measured.sum([Some(1), Some(1), Some(2)].into_iter()).rss_bytes, Some(14));
        assert_eq!(meter.0.lock().unwrap().len(), 1);
        meter.look_at(&[3], |_| None);
        assert!(meter.0.lock().unwrap().is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_everything_about_this_process() {
        let look = look(std::process::id()).unwrap();
        let ProcessStats { rss_bytes, open_files, threads, .. } = look.stats;
        assert!(rss_bytes > Some(1 << 20) && open_files >= Some(3) && threads >= Some(1), "{look:?}");
        assert!(look.age.is_some_and(|age| age < Duration::from_secs(3_600)), "{look:?}");
        assert!(super::look(u32::MAX).is_none());
    }
}
