//! Runs commands as a user does in a shell.

use std::{
    env,
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::Value;

use crate::{binary::binary, home::Home, processes, waiting::within};

/// A shell in a [`Home`]: commands use the data directory of that home. Processes that are still running end when it is
/// dropped.
#[derive(Debug)]
pub struct CommandLine {
    home: Home,
    env: Vec<(String, String)>,
}

/// A finished command.
#[derive(Clone, Debug)]
pub struct Typed {
    /// Exit code.
    pub code: Option<i32>,
    /// Captured stdout.
    pub stdout: String,
    /// Captured stderr.
    pub stderr: String,
}

// === impl CommandLine ===

impl CommandLine {
    /// Creates a shell in this home.
    #[must_use]
    pub fn new(home: &Home) -> Self {
        Self { home: home.clone(), env: Vec::new() }
    }

    /// Sets an environment variable for all commands.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs `api-server` with these arguments, without a terminal, and waits for its end.
    pub async fn api_server(&self, words: &[&str]) -> Typed {
        Self::ended("api-server", words, self.begin(words)).await
    }

    /// Runs `provider-router` with these arguments, without a terminal, and waits for its end.
    pub async fn provider_router(&self, words: &[&str]) -> Typed {
        let child = self.command("provider-router", words).spawn().expect("provider-router starts");
        Self::ended("provider-router", words, child).await
    }

    async fn ended(program: &str, words: &[&str], child: Child) -> Typed {
        let what = format!("the end of `{program} {}`", words.join(" "));
        // Reads while it waits: completions are longer than a pipe holds.
        let output = tokio::task::spawn_blocking(move || child.wait_with_output());
        let output = within(&what, output).await.expect("the thread ends").expect("the output of the child");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Typed { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Starts `api-server` with these arguments and does not wait.
    ///
    /// # Panics
    /// Panics if it does not start.
    #[must_use]
    pub fn begin(&self, words: &[&str]) -> Child {
        self.command("api-server", words).spawn().expect("api-server starts")
    }

    /// Builds the command, for tests that need further settings.
    #[must_use]
    pub fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(binary(program));
        command.env_clear().env("DATA_DIR", self.home.data()).env("HOME", self.home.path());
        command.envs(["PATH", "TMPDIR"].iter().filter_map(|name| Some((name, env::var_os(name)?))));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Drop for CommandLine {
    fn drop(&mut self) {
        for orphan in processes::of(&self.home) {
            // The process may have ended in the meantime.
            let _ = i32::try_from(orphan).map(|pid| signal::kill(Pid::from_raw(pid), Signal::SIGKILL));
        }
    }
}

// === impl Typed ===

impl Typed {
    /// Returns the command itself if it ended with this code.
    ///
    /// # Panics
    /// Panics if it ended otherwise.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Returns the rest of the first line of stdout that begins with `prefix`.
    ///
    /// # Panics
    /// Panics if there is no such line.
    #[track_caller]
    #[must_use]
    pub fn after(&self, prefix: &str) -> &str {
        let found = self.stdout.lines().find_map(|line| line.strip_prefix(prefix));
        found.unwrap_or_else(|| panic!("no line `{prefix}…` in\n{}{}", self.stdout, self.stderr))
    }

    /// Parses stdout as JSON.
    ///
    /// # Panics
    /// Panics if it is not valid JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}
