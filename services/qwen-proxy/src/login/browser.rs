//! A browser process controlled by this program: start, queries, close.
//!
//! It is controlled over a pair of pipes instead of a port, because every process on this machine could query a port
//! for the cookies. When its end of the pipe is closed, the browser exits, so it never outlives this process.

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

/// Maximum time the browser may take to shut down.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Parameters of the browser process.
#[derive(Debug)]
pub(super) struct BrowserOptions<'a> {
    pub(super) program: &'a Path,
    /// Page to open.
    pub(super) url: &'a str,
    pub(super) headless: bool,
}

/// A running browser.
#[derive(Debug)]
pub(super) struct Browser {
    child: Child,
    tools: DevTools,
    profile: Profile,
}

/// Reason why a browser cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrowserError {
    #[error(
        "cannot start the browser {}: {error}; specify another one with --browser, or use --paste",
        program.display()
    )]
    Start { program: PathBuf, error: io::Error },
    #[error("the browser exited ({status}){}; specify another one with --browser, or use --paste", last_log_line(said))]
    Ended { status: ExitStatus, said: Option<String> },
    #[error("cannot communicate with the browser: {0}; specify another one with --browser, or use --paste")]
    Talk(#[from] devtools::DevToolsError),
}

#[derive(Deserialize)]
struct Cookies {
    cookies: Vec<Cookie>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageTargets {
    target_infos: Vec<PageTarget>,
}

#[derive(Deserialize)]
struct PageTarget {
    #[serde(rename = "type")]
    kind: String,
}

// === impl Browser ===

impl Browser {
    /// Starts the browser with an empty profile.
    pub(super) async fn start(options: &BrowserOptions<'_>, profile: Profile) -> Result<Self, BrowserError> {
        match Self::spawn(options, &profile) {
            Ok((child, tools)) => Ok(Self { child, tools, profile }),
            Err(error) => {
                profile.remove().await;
                Err(BrowserError::Start { program: options.program.to_owned(), error })
            }
        }
    }

    fn spawn(options: &BrowserOptions<'_>, profile: &Profile) -> io::Result<(Child, DevTools)> {
        let (its_input, our_output) = io::pipe()?;
        let (our_input, its_output) = io::pipe()?;
        let mut command = std::process::Command::new(options.program);
        let mut user_data = std::ffi::OsString::from("--user-data-dir=");
        user_data.push(profile.path());
        command.arg("--remote-debugging-pipe").arg(user_data);
        // Skip first-start dialogues, and use no keyring, because the profile is deleted afterwards.
        command.args(["--no-first-run", "--no-default-browser-check", "--password-store=basic", "--use-mock-keychain"]);
        if options.headless {
            command.arg("--headless=new");
        }
        if geteuid().is_root() {
            // As root the browser starts only without its sandbox.
            command.arg("--no-sandbox");
        }
        command.arg(options.url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(profile.create_log()?);
        // File descriptors defined by the browser: it reads from 3 and writes to 4.
        let mappings = vec![
            FdMapping { parent_fd: its_input.into(), child_fd: 3 },
            FdMapping { parent_fd: its_output.into(), child_fd: 4 },
        ];
        command.fd_mappings(mappings).map_err(|_| io::Error::other("the descriptors of its pipes conflict"))?;
        let mut command = Command::from(command);
        // A process group of its own: Ctrl-C does not reach it, and its child processes can be killed with it.
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        Ok((child, DevTools::new(our_input, our_output)?))
    }

    /// Returns all cookies of the browser, of every site.
    pub(super) async fn cookies(&mut self) -> Result<Vec<Cookie>, BrowserError> {
        let Cookies { cookies } = self.call("Storage.getCookies").await?;
        Ok(cookies)
    }

    /// Returns the number of open pages, in windows and tabs.
    pub(super) async fn pages(&mut self) -> Result<usize, BrowserError> {
        let PageTargets { target_infos } = self.call("Target.getTargets").await?;
        Ok(target_infos.iter().filter(|target| target.kind == "page").count())
    }

    async fn call<R: DeserializeOwned>(&mut self, method: &'static str) -> Result<R, BrowserError> {
        let error = match self.tools.call(method, json!({})).await {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        // If the browser has ended, that explains a closed pipe better. It closes the pipe slightly before it exits.
        match error {
            devtools::DevToolsError::HungUp | devtools::DevToolsError::Pipe(_) => {
                match timeout(CLOSE_TIMEOUT, self.child.wait()).await {
                    Ok(Ok(status)) => Err(BrowserError::Ended { status, said: self.profile.last_log_line() }),
                    _ => Err(BrowserError::Talk(error)),
                }
            }
            error => Err(BrowserError::Talk(error)),
        }
    }

    /// Closes the browser and its child processes, and deletes the profile.
    pub(super) async fn close(mut self) {
        // If it does not respond, it is killed below.
        let asked = timeout(CLOSE_TIMEOUT, self.tools.tell("Browser.close")).await;
        let left = matches!(asked, Ok(Ok(()))) && timeout(CLOSE_TIMEOUT, self.child.wait()).await.is_ok();
        if let Some(group) = self.child.id().and_then(|pid| i32::try_from(pid).ok()).filter(|_| !left) {
            // The group may have ended meanwhile.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "cannot query the state of the browser");
        }
        self.profile.remove().await;
    }
}

/// Formats the last line of the browser's log for an error message.
fn last_log_line(said: &Option<String>) -> String {
    said.as_ref().map(|said| format!(", saying `{said}`")).unwrap_or_default()
}
