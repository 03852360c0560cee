//! A browser of our own: started, looked into, closed.
//!
//! We talk with it over a pair of pipes and not over a port, because anybody on this machine could ask a port for the
//! cookies. When its end of the pipe closes, the browser leaves: it does not outlive us, however we end.

mod devtools;
mod find;
mod profile;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, geteuid};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use self::devtools::DevTools;
pub(super) use self::find::find;
pub(super) use self::profile::Profile;
use super::cookies::Cookie;

/// How long the browser may take to put its own things away.
const LEAVING: Duration = Duration::from_secs(5);

/// What is started, and how.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) program: &'a Path,
    /// The page it opens.
    pub(super) url: &'a str,
    pub(super) headless: bool,
}

/// Our browser while it runs.
#[derive(Debug)]
pub(super) struct Browser {
    child: Child,
    tools: DevTools,
    profile: Profile,
}

/// Why a browser cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot start the browser {}: {error}: name another one with --browser, or use --paste", program.display())]
    Start { program: PathBuf, error: io::Error },
    #[error("the browser has ended ({status}){}: name another one with --browser, or use --paste", last_words(said))]
    Ended { status: ExitStatus, said: Option<String> },
    #[error("cannot talk with the browser: {0}: name another one with --browser, or use --paste")]
    Talk(#[from] devtools::Failure),
}

#[derive(Deserialize)]
struct Cookies {
    cookies: Vec<Cookie>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    target_infos: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(rename = "type")]
    kind: String,
}

// === impl Browser ===

impl Browser {
    /// Starts it on an empty profile.
    pub(super) async fn start(plan: &Plan<'_>, profile: Profile) -> Result<Self, Failure> {
        match Self::spawn(plan, &profile) {
            Ok((child, tools)) => Ok(Self { child, tools, profile }),
            Err(error) => {
                profile.remove().await;
                Err(Failure::Start { program: plan.program.to_owned(), error })
            }
        }
    }

    fn spawn(plan: &Plan<'_>, profile: &Profile) -> io::Result<(Child, DevTools)> {
        let (its_input, our_output) = io::pipe()?;
        let (our_input, its_output) = io::pipe()?;
        let mut command = std::process::Command::new(plan.program);
        let mut user_data = std::ffi::OsString::from("--user-data-dir=");
        user_data.push(profile.path());
        command.arg("--remote-debugging-pipe").arg(user_data);
        // No questions of a first start; and no keyring, because nothing is left that it could protect.
        command.args(["--no-first-run", "--no-default-browser-check", "--password-store=basic", "--use-mock-keychain"]);
        if plan.headless {
            command.arg("--headless=new");
        }
        if geteuid().is_root() {
            // For root it starts in no other way.
            command.arg("--no-sandbox");
        }
        command.arg(plan.url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(profile.create_log()?);
        // The numbers the browser expects: it reads from 3 and writes to 4.
        let mappings = vec![
            FdMapping { parent_fd: its_input.into(), child_fd: 3 },
            FdMapping { parent_fd: its_output.into(), child_fd: 4 },
        ];
        command.fd_mappings(mappings).map_err(|_| io::Error::other("its pipes collide"))?;
        let mut command = Command::from(command);
        // A group of its own: Ctrl-C is for us, and whoever it starts is found again.
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        Ok((child, DevTools::new(our_input, our_output)?))
    }

    /// All cookies it has, of every site.
    pub(super) async fn cookies(&mut self) -> Result<Vec<Cookie>, Failure> {
        let Cookies { cookies } = self.call("Storage.getCookies").await?;
        Ok(cookies)
    }

    /// How many pages are open, in windows and tabs.
    pub(super) async fn pages(&mut self) -> Result<usize, Failure> {
        let Targets { target_infos } = self.call("Target.getTargets").await?;
        Ok(target_infos.iter().filter(|target| target.kind == "page").count())
    }

    async fn call<R: DeserializeOwned>(&mut self, method: &'static str) -> Result<R, Failure> {
        let error = match self.tools.call(method, json!({})).await {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        // That it has ended is the better explanation of a silent pipe. It closes the pipe a little earlier.
        match error {
            devtools::Failure::HungUp | devtools::Failure::Pipe(_) => match timeout(LEAVING, self.child.wait()).await {
                Ok(Ok(status)) => Err(Failure::Ended { status, said: self.profile.last_words() }),
                _ => Err(Failure::Talk(error)),
            },
            error => Err(Failure::Talk(error)),
        }
    }

    /// Closes it, with everybody it has started, and forgets what it knew.
    pub(super) async fn close(mut self) {
        // One that does not listen any more is closed below.
        let asked = timeout(LEAVING, self.tools.tell("Browser.close")).await;
        let left = matches!(asked, Ok(Ok(()))) && timeout(LEAVING, self.child.wait()).await.is_ok();
        if let Some(group) = self.child.id().and_then(|pid| i32::try_from(pid).ok()).filter(|_| !left) {
            // It may be gone by now.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "cannot see whether the browser has ended");
        }
        self.profile.remove().await;
    }
}

/// What the browser last said about itself.
fn last_words(said: &Option<String>) -> String {
    said.as_ref().map(|said| format!(", saying `{said}`")).unwrap_or_default()
}
