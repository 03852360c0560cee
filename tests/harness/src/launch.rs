//! Settings for starting a service.

use std::{env, os::unix::process::CommandExt as _, process::Command};

use crate::{binary::binary, home::Home, process::Process};

/// Environment variables that a service inherits from the test. Others would make a test depend on who runs it.
const INHERITED: [&str; 4] = ["PATH", "TMPDIR", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// Settings for starting a service. Default: SQLite in a new [`Home`], as the user that runs the test.
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
    /// Starts in a directory that may have been used before.
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

    /// Adds a configuration file (TOML) for `program`: the started program itself or one of its child processes.
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

    /// Returns whether this command-line argument was added.
    pub(crate) fn has_arg(&self, arg: &str) -> bool {
        self.args.iter().any(|added| added == arg)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs as this user, who becomes the owner of the home.
    #[must_use]
    pub const fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Returns the home in which the service starts.
    #[must_use]
    pub const fn home_dir(&self) -> &Home {
        &self.home
    }

    /// Starts `program`, waits until it ends by itself, and returns its exit code and stderr.
    ///
    /// # Panics
    /// Panics if it does not end.
    pub async fn run_to_exit(self, program: &'static str) -> (Option<i32>, String) {
        let mut process = Process::spawn(program, self.command(program), &self.home);
        let exit = process.wait_exit().await;
        (exit.code(), process.stderr())
    }

    /// Builds the command that starts a program, for tests that need further settings.
    ///
    /// # Panics
    /// Panics if the program was not built.
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
