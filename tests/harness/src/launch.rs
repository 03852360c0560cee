//! What can be set when a service is started.

use std::{env, os::unix::process::CommandExt as _, process::Command};

use crate::{binary::binary, home::Home, process::Process};

/// What of the test's own environment a service may see. Everything else would make a test depend on who runs it.
const INHERITED: [&str; 4] = ["PATH", "TMPDIR", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// How to start a service. Without settings: SQLite in a new [`Home`], as the user that runs the test.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    home: Home,
    database_url: Option<String>,
    configs: Vec<(String, String)>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    uid: Option<u32>,
}

// === impl Launch ===

impl Launch {
    /// Starts in a directory that may already have been used.
    #[must_use]
    pub fn home(mut self, home: &Home) -> Self {
        self.home = home.clone();
        self
    }

    /// Uses this database, `postgres://…` or `sqlite:…`, instead of a SQLite file in the data directory.
    #[must_use]
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database_url = Some(url.into());
        self
    }

    /// Puts this text (TOML) where `program` looks for its configuration: the program itself, or a child of it.
    #[must_use]
    pub fn config(mut self, program: &str, toml: impl Into<String>) -> Self {
        self.configs.push((format!("{program}.toml"), toml.into()));
        self
    }

    /// Adds a command-line argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs as this user; the home is given to it.
    #[must_use]
    pub const fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Where it starts.
    #[must_use]
    pub const fn home_dir(&self) -> &Home {
        &self.home
    }

    /// Starts `program`, which is expected to end by itself: its exit code, and what it wrote to stderr.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn run_to_exit(self, program: &'static str) -> (Option<i32>, String) {
        let mut process = Process::spawn(program, self.command(program), &self.home);
        let exit = process.wait_exit().await;
        (exit.code(), process.stderr())
    }

    /// The command that starts a program, for tests that have more to say about its start.
    ///
    /// # Panics
    /// When the program was not built.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(binary(name));
        command.env_clear();
        command.envs(INHERITED.iter().filter_map(|name| Some((name, env::var_os(name)?))));
        command.env("HOME", self.home.path());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.arg("--data-dir").arg(self.home.data());
        if let Some(url) = &self.database_url {
            command.arg("--database-url").arg(url);
        }
        for (file, toml) in &self.configs {
            std::fs::write(self.home.data().join(file), toml).expect("a file in the home");
        }
        command.args(&self.args);
        if let Some(uid) = self.uid {
            self.home.give_to(uid);
            command.uid(uid).gid(uid);
        }
        command
    }
}
