//! A running program and its resource usage.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::cores::on_core;

/// Maximum time to stop: ten seconds for draining, and a few more for loading the journal.
const GRACE: Duration = Duration::from_secs(20);
/// The unit of times in `/proc`: a hundredth of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);
/// Maximum characters of a program's output in an error.
const TOLD: usize = 600;
/// Maximum number of reported log lines.
const COMPLAINTS: usize = 5;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    pid: i32,
    log: PathBuf,
}

// === impl Process ===

impl Process {
    /// Starts `command` on `core`; its output goes to a file in `dir`.
    ///
    /// # Errors
    /// Fails if it cannot be started.
    pub fn spawn(name: &'static str, mut command: Command, core: Option<usize>, dir: &Path) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let child = on_core(core, || command.spawn())?.with_context(|| format!("{name} does not start"))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).context("the child has no process id")?;
        Ok(Self { name, child, pid, log })
    }

    /// Returns the exit status, or `None` while the program is running.
    ///
    /// # Errors
    /// Fails if the operating system does not report it.
    pub fn exited(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Returns the end of the output.
    #[must_use]
    pub fn last_words(&self) -> String {
        let output = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&output[output.len().saturating_sub(TOLD)..]).trim().to_owned()
    }

    /// Returns the first few warnings and errors in the output, in the log format of this project's programs.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let output = fs::read(&self.log).unwrap_or_default();
        let output = String::from_utf8_lossy(&output);
        let complaints = output.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR "));
        complaints.take(COMPLAINTS).map(|line| line.chars().take(TOLD).collect()).collect()
    }

    /// Returns the processor time used so far, in user and kernel mode.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = self.proc("stat")?;
        // The program name, in brackets, may contain anything.
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>();
        Ok(TICK * ticks.with_context(|| format!("/proc has no CPU time of {}", self.name))?)
    }

    /// Returns the resident memory in KB.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn resident_kb(&self) -> anyhow::Result<f64> {
        self.status("VmRSS:")
    }

    /// Returns the peak of resident memory since [`Self::reset_peak`] in KB.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn peak_kb(&self) -> anyhow::Result<f64> {
        self.status("VmHWM:")
    }

    /// Resets the peak of resident memory.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn reset_peak(&self) -> anyhow::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.pid), "5").with_context(|| format!("{} is gone", self.name))
    }

    /// Stops the process with SIGSTOP, so that it takes no time from the target being measured.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Continues the process after [`Self::pause`]. Has no effect on a running process.
    ///
    /// # Errors
    /// Fails if the process has ended.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Sends SIGTERM and waits; kills the process if it does not end.
    ///
    /// # Errors
    /// Fails if the process had to be killed.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if self.exited()?.is_none() {
            self.signal(Signal::SIGTERM)?;
            self.resume()?;
        }
        if let Ok(ended) = timeout(GRACE, self.child.wait()).await {
            ended?;
            return Ok(());
        }
        self.child.kill().await?;
        Err(anyhow!("{} did not exit within {} s and was killed", self.name, GRACE.as_secs()))
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        signal::kill(Pid::from_raw(self.pid), signal).with_context(|| format!("{} is gone", self.name))
    }

    fn status(&self, key: &str) -> anyhow::Result<f64> {
        let status = self.proc("status")?;
        let value = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        let value = value.trim().trim_end_matches(" kB").parse();
        value.with_context(|| format!("/proc has no {key} of {}", self.name))
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).with_context(|| format!("{} is gone", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &Path) -> Process {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Process::spawn("sh", command, None, dir).unwrap()
    }

    #[tokio::test]
    async fn cpu_time_and_memory_are_measured() {
        let dir = tempfile::tempdir().unwrap();
        let busy = shell("while :; do :; done", dir.path());
        let busy_for = async {
            while busy.cpu().unwrap() < TICK * 3 {
                tokio::time::sleep(TICK).await;
            }
        };
        timeout(Duration::from_secs(30), busy_for).await.expect("an endless loop uses CPU time");
        busy.pause().unwrap();
        busy.reset_peak().unwrap();
        assert!(busy.peak_kb().unwrap() >= busy.resident_kb().unwrap() && busy.resident_kb().unwrap() > 100.0);
        busy.stop().await.unwrap();
    }

    #[tokio::test]
    async fn the_first_error_lines_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell(
            "echo now INFO fine; for n in 1 2 3 4 5 6 7; do echo now ERROR the disk is full $n; done",
            dir.path(),
        );
        process.child.wait().await.unwrap();
        let complaints = process.complaints();
        assert_eq!((complaints.len(), complaints[0].as_str()), (COMPLAINTS, "now ERROR the disk is full 1"));
    }

    #[tokio::test]
    async fn the_last_stderr_lines_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell("echo no luck >&2; exit 3", dir.path());
        assert_eq!(process.child.wait().await.unwrap().code(), Some(3));
        assert_eq!(process.last_words(), "no luck");
        assert_eq!(process.complaints(), [""; 0]);
        assert_eq!(process.exited().unwrap().unwrap().code(), Some(3));
    }
}
