//! A running binary.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use crate::{home::Home, processes, waiting::eventually};

/// Maximum time for a process to end after SIGTERM when its handle is dropped. Short, because a destructor blocks the
/// test's runtime and with it the fakes that the process may be waiting for; SIGKILL loses nothing after a test.
const GRACE: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_millis(10);

/// A started binary. Its output goes to files in its home; they are printed, with the logs of its children, if the test
/// panics.
///
/// Dropping it sends SIGTERM, then SIGKILL after [`GRACE`], and finally kills its remaining descendants.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    home: Home,
    stdout: PathBuf,
    stderr: PathBuf,
}

// === impl Process ===

impl Process {
    pub(crate) fn spawn(name: &'static str, mut command: Command, home: &Home) -> Self {
        // A service may be started several times in one home: each start gets its own files.
        let number = fs::read_dir(home.output()).expect("the home has a directory for output").count() / 2;
        let file = |kind: &str| home.output().join(format!("{number}-{name}.{kind}"));
        let (stdout, stderr) = (file("stdout"), file("stderr"));
        let create = |path| File::create(path).expect("a file in the home");
        command.stdin(Stdio::null()).stdout(create(&stdout)).stderr(create(&stderr));
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name, child, home: home.clone(), stdout, stderr }
    }

    /// Returns the process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the output on stdout so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        fs::read(&self.stdout).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Returns the output on stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        fs::read(&self.stderr).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits for a line of stdout that begins with `prefix` and returns the rest of it.
    ///
    /// # Panics
    /// Panics if the process ends without such a line.
    pub async fn line_after(&mut self, prefix: &str) -> String {
        let what = format!("a line `{prefix}…` of {}", self.name);
        eventually(&what, async || {
            let exited = self.child.try_wait().expect("the state of the child is available");
            let stdout = self.stdout();
            // The last line may be incomplete until its line end is written.
            let complete = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
            if let Some(found) = complete.lines().find_map(|line| line.strip_prefix(prefix)) {
                return Some(found.to_owned());
            }
            assert!(exited.is_none(), "{} ended ({exited:?}) without a line `{prefix}…`\n{}", self.name, self.stderr());
            None
        })
        .await
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// Panics if the process has ended.
    pub fn signal(&self, signal: Signal) {
        signal::kill(pid(self.pid()), signal).expect("the process is there");
    }

    /// Kills the process with SIGKILL and waits until it has ended.
    ///
    /// # Panics
    /// Panics if it cannot be killed.
    pub async fn kill9(&mut self) {
        self.child.kill().expect("the child can be killed");
        self.wait_exit().await;
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// Panics if it does not end.
    pub async fn wait_exit(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        eventually(&what, async || self.child.try_wait().expect("the state of the child is available")).await
    }

    /// Returns whether the process is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    #[expect(clippy::disallowed_methods, reason = "a destructor cannot await")]
    fn end(&mut self) {
        if self.is_running() {
            // It may end before the signal arrives; only the result matters.
            let _ = signal::kill(pid(self.pid()), Signal::SIGTERM);
            for _ in 0..GRACE.as_millis() / INTERVAL.as_millis() {
                if !self.is_running() {
                    break;
                }
                std::thread::sleep(INTERVAL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Requires two empty lists in a row, because a process in the middle of `exec` has no command line for a
        // moment.
        let mut nobody = 0;
        for _ in 0..GRACE.as_millis() / INTERVAL.as_millis() {
            if nobody == 2 {
                break;
            }
            let orphans = processes::of(&self.home);
            nobody = if orphans.is_empty() { nobody + 1 } else { 0 };
            for orphan in orphans {
                let _ = signal::kill(pid(orphan), Signal::SIGKILL);
            }
            std::thread::sleep(INTERVAL);
        }
    }

    fn print_output(&self) {
        let mut out = std::io::stderr().lock();
        // A failing test must not panic again while printing.
        let _ = writeln!(out, "--- {} (pid {}), stdout\n{}", self.name, self.pid(), self.stdout());
        let _ = writeln!(out, "--- {} (pid {}), stderr\n{}", self.name, self.pid(), self.stderr());
        for log in fs::read_dir(self.home.data().join("logs")).into_iter().flatten().flatten() {
            let text = fs::read(log.path()).unwrap_or_default();
            let _ = writeln!(out, "--- {}\n{}", log.path().display(), String::from_utf8_lossy(&text));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            self.print_output();
        }
    }
}

fn pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("a process id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, home: &Home) -> Process {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).env("HOME", home.path());
        Process::spawn("sh", command, home)
    }

    #[tokio::test]
    async fn dropping_the_handle_kills_the_process_and_its_descendants() {
        let home = Home::new();
        let mut shell = shell("sleep 1000 & echo ready; wait", &home);
        assert_eq!(shell.line_after("rea").await, "dy");
        assert_eq!(processes::of(&home).len(), 2);
        drop(shell);
        eventually("the exit of both processes", async || processes::of(&home).is_empty().then_some(())).await;
    }

    #[tokio::test]
    async fn the_exit_code_and_both_outputs_are_kept() {
        let home = Home::new();
        let mut shell = shell("echo out; echo err >&2; exit 7", &home);
        assert_eq!(shell.wait_exit().await.code(), Some(7));
        assert_eq!((shell.stdout().as_str(), shell.stderr().as_str()), ("out\n", "err\n"));
    }

    #[tokio::test]
    #[should_panic(expected = "ended (Some(ExitStatus(unix_wait_status(256)))) without a line `ready…`\nno luck")]
    async fn an_exit_without_the_expected_line_shows_stderr() {
        shell("echo no luck >&2; exit 1", &Home::new()).line_after("ready").await;
    }

    #[tokio::test]
    async fn a_zombie_is_not_alive() {
        let mut child = Command::new("/bin/true").spawn().expect("a child");
        eventually("the end of the child", async || (!processes::is_alive(child.id())).then_some(())).await;
        child.wait().expect("it can still be awaited");
        assert!(processes::is_alive(std::process::id()));
    }
}
