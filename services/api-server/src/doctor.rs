//! The doctor of provider-router: its command, and the last results.
//!
//! The command holds the end of a pipe as its standard input. When the pipe is closed, because the run takes too long or
//! because this process ends, however that is, the command ends its processes and removes its temporary files.

use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use signalbox_core::secret::Secret;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::fleet::{self, Programs};
use crate::supervisor::inherited_env;

/// Maximum time of a run: a minute, and the starts and ends of its processes.
const LIMIT: Duration = Duration::from_secs(90);
/// Maximum time in which a run ends that was told to. Then it is killed, and its temporary files are left to the next run.
const END_LIMIT: Duration = Duration::from_secs(8);

/// Runs the doctor, one run at a time. Clones share its results.
#[derive(Clone, Debug)]
pub struct Doctor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    programs: Programs,
    data_dir: PathBuf,
    env: Vec<(OsString, OsString)>,
    secrets: Vec<(String, Secret<String>)>,
    permit: Arc<Semaphore>,
    /// Cancelled when this process ends.
    closing: CancellationToken,
    results: Mutex<Results>,
}

/// The last result of each kind, as the command printed it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// Whether a run is in progress.
    pub is_running: bool,
    /// The checks.
    pub checks: Option<Value>,
    /// The scorecard of the routes.
    pub scorecard: Option<Value>,
}

/// Options of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether the providers are left alone.
    pub offline: bool,
    /// Whether faults are played against the routes, instead of the checks.
    pub against_fakes: bool,
    /// The routes to play; all if empty.
    pub routes: Vec<String>,
}

/// Reason why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Another run is in progress.
    #[error("the doctor is running already; wait for its result")]
    Running,
    /// The command could not be run, or printed no result.
    #[error("the doctor cannot be run: {0}; run `provider-router doctor` to see more")]
    Command(String),
    /// The command refused to run, with its reason.
    #[error("{0}")]
    Refused(String),
}

// === impl Doctor ===

impl Doctor {
    /// Creates the doctor of the router that these settings start.
    #[must_use]
    pub fn of(config: &fleet::Config) -> Self {
        Self(Arc::new(Inner {
            programs: config.programs.clone(),
            data_dir: config.data_dir.clone(),
            env: config.env.clone(),
            secrets: config.secrets.clone(),
            permit: Arc::new(Semaphore::new(1)),
            closing: CancellationToken::new(),
            results: Mutex::default(),
        }))
    }

    /// Returns the last results.
    #[must_use]
    pub fn results(&self) -> Results {
        self.0.results().clone()
    }

    /// Runs the doctor, and returns all results. The run goes on if the caller leaves.
    ///
    /// # Errors
    /// [`Failure::Running`] if another run is in progress; the other reasons why there is no result.
    pub async fn run(&self, options: Options) -> Result<Results, Failure> {
        let permit = Arc::clone(&self.0.permit).try_acquire_owned().map_err(|_| Failure::Running)?;
        let inner = Arc::clone(&self.0);
        inner.results().is_running = true;
        let run = tokio::spawn(async move {
            let done = inner.run(&options).await;
            let mut results = inner.results();
            results.is_running = false;
            let done = done.map(|document| {
                let place = if options.against_fakes { &mut results.scorecard } else { &mut results.checks };
                *place = Some(document);
                results.clone()
            });
            drop(results);
            drop(permit);
            done
        });
        run.await.unwrap_or_else(|error| Err(Failure::Command(error.to_string())))
    }

    /// Ends a run in progress, and waits until its command has ended. No other one begins.
    pub async fn close(&self) {
        self.0.closing.cancel();
        // Never released, so that no run begins.
        match timeout(END_LIMIT + Duration::from_secs(1), Arc::clone(&self.0.permit).acquire_owned()).await {
            Ok(Ok(permit)) => permit.forget(),
            Ok(Err(_)) => {}
            Err(_elapsed) => tracing::warn!("the doctor has not ended; its next run removes its temporary files"),
        }
    }
}

// === impl Inner ===

impl Inner {
    fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, options: &Options) -> Result<Value, Failure> {
        let program = self.programs.router_program().map_err(Failure::Command)?;
        let mut command = tokio::process::Command::new(program);
        command.env_clear().envs(inherited_env()).envs(self.env.iter().cloned());
        command.envs(self.secrets.iter().map(|(name, value)| (name, value.expose())));
        command.args(arguments(options)).arg("--data-dir").arg(&self.data_dir).args(["--log-level", "error"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| Failure::Command(error.to_string()))?;
        let lifeline = child.stdin.take();
        let mut ended = pin!(child.wait_with_output());
        let broken_off = tokio::select! {
            biased;
            ended = timeout(LIMIT, &mut ended) => ended.map_err(|_elapsed| format!("it has not ended within {} s", LIMIT.as_secs())),
            () = self.closing.cancelled() => Err("api-server is stopping; run it again when it is back".to_owned()),
        };
        let output = match broken_off {
            Ok(ended) => ended.map_err(|error| Failure::Command(error.to_string()))?,
            Err(reason) => {
                drop(lifeline);
                // Its output is not complete, so it is not read.
                let _ = timeout(END_LIMIT, ended).await;
                return Err(Failure::Command(reason));
            }
        };
        read(&output.stdout).map_err(|failure| match failure {
            Failure::Command(reason) => {
                let said = String::from_utf8_lossy(&output.stderr);
                Failure::Command(said.lines().last().map_or(reason, str::to_owned))
            }
            failure => failure,
        })
    }
}

fn arguments(options: &Options) -> Vec<String> {
    let mut words = vec!["doctor".to_owned(), "--json".to_owned(), "--lifeline".to_owned()];
    if options.offline {
        words.push("--offline".to_owned());
    }
    if options.against_fakes {
        words.push("--against-fakes".to_owned());
    }
    // One word, because a name may begin with a dash.
    words.extend(options.routes.iter().map(|route| format!("--route={route}")));
    words
}

/// Reads what the command printed: a result, or the reason why there is none.
fn read(stdout: &[u8]) -> Result<Value, Failure> {
    let document: Value =
        serde_json::from_slice(stdout).map_err(|error| Failure::Command(format!("its output is no JSON: {error}")))?;
    match document.get("error").and_then(Value::as_str) {
        Some(reason) => Err(Failure::Refused(reason.to_owned())),
        None => Ok(document),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_arguments() {
        let options = Options { offline: false, against_fakes: true, routes: vec!["-x".to_owned(), "fast".to_owned()] };
        assert_eq!(
            arguments(&options),
            ["doctor", "--json", "--lifeline", "--against-fakes", "--route=-x", "--route=fast"]
        );
        let offline = Options { offline: true, ..Options::default() };
        assert_eq!(arguments(&offline), ["doctor", "--json", "--lifeline", "--offline"]);
    }

    #[test]
    fn a_refusal_is_told_from_a_result() {
        assert!(matches!(read(br#"{"success":false,"checks":[]}"#), Ok(document) if document["checks"].is_array()));
        assert!(
            matches!(read(br#"{"error":"no route","success":false}"#), Err(Failure::Refused(told)) if told == "no route")
        );
        assert!(matches!(read(b""), Err(Failure::Command(_))));
    }
}
