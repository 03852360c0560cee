//! `service`: installs Signalbox in the service manager of the machine, and removes it.
//!
//! The generated files are those of `deploy/`, with the paths of this machine.

mod launchd;
mod nssm;
mod pm2;
mod systemd;

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::installation::Installation;
use super::output::{CommandResult, Output};
use crate::config::Args;

#[derive(Debug, clap::Args)]
pub(super) struct Service {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write the files of the service manager, and have it start Signalbox now and at boot
    Install(Choice),
    /// Stop Signalbox, and remove it from the service manager
    Uninstall(Choice),
}

#[derive(Debug, clap::Args)]
struct Choice {
    /// Service manager to use
    #[arg(long, value_enum)]
    manager: Manager,
    /// Print the files and commands without applying them
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Manager {
    /// Linux; for the whole machine if run by root, otherwise for this user
    Systemd,
    /// macOS, for this user
    Launchd,
    /// PM2, for this user
    Pm2,
    /// Windows
    Nssm,
}

/// Properties of the machine on which the files depend.
#[derive(Clone, Debug)]
struct Machine {
    /// Executable of api-server; the other two are in the same directory.
    program: PathBuf,
    /// Data directory of Signalbox.
    data_dir: PathBuf,
    /// Whether the data directory was given explicitly.
    data_dir_named: bool,
    home: PathBuf,
    user_id: u32,
    /// Whether the plan is only printed.
    dry_run: bool,
}

/// Steps of a command, in this order: commands, file, commands.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    before: Vec<Vec<String>>,
    /// Written if there is a text, removed otherwise.
    file: PathBuf,
    text: Option<String>,
    after: Vec<Vec<String>>,
}

// === impl Service ===

impl Service {
    pub(super) const fn json(&self) -> bool {
        match &self.action {
            Action::Install(choice) | Action::Uninstall(choice) => choice.json,
        }
    }
}

pub(super) async fn service(command: &Service, args: &Args, out: &mut Output) -> anyhow::Result<CommandResult> {
    let (Action::Install(choice) | Action::Uninstall(choice)) = &command.action;
    let machine = Machine::this(args, choice.dry_run).await?;
    let plan = match (&command.action, choice.manager) {
        (Action::Install(_), Manager::Systemd) => systemd::install(&machine)?,
        (Action::Install(_), Manager::Launchd) => launchd::install(&machine)?,
        (Action::Install(_), Manager::Pm2) => pm2::install(&machine)?,
        (Action::Install(_), Manager::Nssm) => nssm::install(&machine)?,
        (Action::Uninstall(_), Manager::Systemd) => systemd::uninstall(&machine),
        (Action::Uninstall(_), Manager::Launchd) => launchd::uninstall(&machine),
        (Action::Uninstall(_), Manager::Pm2) => pm2::uninstall(&machine),
        (Action::Uninstall(_), Manager::Nssm) => nssm::uninstall(&machine)?,
    };
    let commands: Vec<String> = plan.before.iter().chain(&plan.after).map(|words| words.join(" ")).collect();
    let facts = json!({ "dryRun": choice.dry_run, "file": plan.file, "text": plan.text, "commands": commands });
    if choice.dry_run {
        plan.print(out);
    } else {
        plan.carry_out(out).await?;
    }
    Ok(CommandResult::done(facts))
}

// === impl Machine ===

impl Machine {
    async fn this(args: &Args, dry_run: bool) -> anyhow::Result<Self> {
        let installation = Installation::read(args).await?;
        let program = std::env::current_exe().context("cannot find the executable of api-server")?;
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).unwrap_or_else(|| OsString::from("/"));
        #[cfg(unix)]
        let user_id = nix::unistd::geteuid().as_raw();
        #[cfg(not(unix))]
        let user_id = 0;
        Ok(Self {
            program,
            data_dir: installation.common.data_dir,
            data_dir_named: args.common.data_dir.is_some(),
            home: home.into(),
            user_id,
            dry_run,
        })
    }
}

/// Returns a path as text, for use in a file.
fn text_of(path: &Path) -> anyhow::Result<&str> {
    let text = path.to_str().with_context(|| format!("{} is not valid UTF-8", path.display()))?;
    ensure!(!text.contains(['\n', '\r']), "the path contains a line break and cannot be used: {text:?}");
    Ok(text)
}

// === impl Plan ===

impl Plan {
    fn print(&self, out: &mut Output) {
        self.before.iter().for_each(|words| out.line(format!("# run: {}", words.join(" "))));
        match &self.text {
            Some(text) => {
                out.line(format!("# write: {}", self.file.display()));
                out.line(text.trim_end());
            }
            None => out.line(format!("# remove: {}", self.file.display())),
        }
        self.after.iter().for_each(|words| out.line(format!("# run: {}", words.join(" "))));
    }

    async fn carry_out(&self, out: &mut Output) -> anyhow::Result<()> {
        for words in &self.before {
            // A partly removed installation has to be removable as well.
            if let Err(error) = run(words).await {
                out.line(format!("Ignored: {error:#}"));
            }
        }
        let file = self.file.display();
        match &self.text {
            Some(text) => {
                let directory = self.file.parent().context("the file has no parent directory")?;
                let refused = || format!("cannot write {file}; for the whole machine, run this as root");
                fs::create_dir_all(directory).with_context(refused)?;
                fs::write(&self.file, text).with_context(refused)?;
                out.line(format!("Wrote {file}"));
            }
            None => match fs::remove_file(&self.file) {
                Ok(()) => out.line(format!("Removed {file}")),
                Err(error) if error.kind() == ErrorKind::NotFound => out.line(format!("{file} does not exist")),
                Err(error) => return Err(error).with_context(|| format!("cannot remove {file}")),
            },
        }
        for words in &self.after {
            run(words).await?;
            out.line(format!("Ran {}", words.join(" ")));
        }
        Ok(())
    }
}

async fn run(words: &[String]) -> anyhow::Result<()> {
    let [program, arguments @ ..] = words else { return Ok(()) };
    let line = words.join(" ");
    let output = tokio::process::Command::new(program).args(arguments).stdin(Stdio::null()).output().await;
    let output = output.with_context(|| format!("cannot run `{line}`; check that {program} is installed"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed ({}): {}", output.status, said.trim());
    }
    Ok(())
}

/// Splits a command into words. Paths, the only words that may contain spaces, are appended separately.
fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn machine(user_id: u32) -> Machine {
        Machine {
            program: "/opt/signal box/api-server".into(),
            data_dir: "/home/me/100% & <more>".into(),
            data_dir_named: true,
            home: "/home/me".into(),
            user_id,
            dry_run: false,
        }
    }

    #[test]
    fn a_line_break_in_a_path_is_rejected() {
        assert!(text_of(Path::new("/a\nExecStart=evil")).is_err());
    }

    #[tokio::test]
    async fn a_failed_command_reports_its_exit_code() {
        let error = run(&words("/bin/sh -c exit_7")).await.unwrap_err().to_string();
        assert!(error.starts_with("`/bin/sh -c exit_7` failed"), "{error}");
        let error = run(&words("/nonexistent x")).await.unwrap_err().to_string();
        assert!(error.contains("check that /nonexistent is installed"), "{error}");
    }
}
