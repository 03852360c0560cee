//! Detection of other load on the machine.

use std::time::Duration;

use anyhow::bail;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};
use tokio::time::Instant;

use super::process::Process;

/// A measurement of the machine's load, to be compared with a later one.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    begin: Instant,
    machine: Duration,
    ours: Duration,
}

// === impl Watch ===

impl Watch {
    /// Starts a measurement. This process, its children that end in the meantime, and `ours` do not count as others.
    ///
    /// # Errors
    /// Fails if the operating system does not report the times.
    pub fn begin(ours: &[&Process]) -> anyhow::Result<Self> {
        Ok(Self { begin: Instant::now(), machine: machine()?, ours: used_by(ours)? })
    }

    /// Returns the average number of cores kept busy by others since the start.
    ///
    /// # Errors
    /// Fails if the operating system does not report the times.
    pub fn end(self, ours: &[&Process]) -> anyhow::Result<f64> {
        let now = Self::begin(ours)?;
        let others = (now.machine - self.machine).saturating_sub(now.ours.saturating_sub(self.ours));
        Ok(others.as_secs_f64() / (now.begin - self.begin).as_secs_f64())
    }
}

/// Returns the time that all cores together have spent on programs since boot, including steal time of other virtual
/// machines on the same hardware. Interrupt time cannot be attributed to programs and is left out.
fn machine() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    // user nice system idle iowait irq softirq steal
    let ticks = stat.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1).take(8);
    let ticks = ticks.map(str::parse::<u64>).collect::<Result<Vec<_>, _>>()?;
    let [user, nice, system, _, _, _, _, steal] = ticks[..] else { bail!("/proc/stat is too short") };
    Ok(Duration::from_millis(10 * (user + nice + system + steal)))
}

fn used_by(ours: &[&Process]) -> anyhow::Result<Duration> {
    let mut used = Duration::ZERO;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        for time in [usage.user_time(), usage.system_time()] {
            used += Duration::from_micros(u64::try_from(time.num_microseconds())?);
        }
    }
    for process in ours {
        used += process.cpu()?;
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use tokio::process::Command;

    use super::*;

    #[tokio::test]
    async fn own_cpu_time_is_not_attributed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "while :; do :; done"]);
        let busy = Process::spawn("sh", command, None, dir.path()).unwrap();
        let (mine, theirs) = (Watch::begin(&[&busy]).unwrap(), Watch::begin(&[]).unwrap());
        let before = busy.cpu().unwrap();
        while busy.cpu().unwrap() - before < Duration::from_millis(300) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (mine, theirs) = (mine.end(&[&busy]).unwrap(), theirs.end(&[]).unwrap());
        assert!(theirs > mine, "{theirs} cores with the endless loop, {mine} without it");
    }
}
