//! Progress of commands.

use tokio::sync::watch;

use super::Failure;

/// Progress of a command. Dropping it cancels nothing.
#[derive(Debug)]
pub struct Outcome(pub(super) watch::Receiver<Progress>);

/// Stages of a command.
#[derive(Clone, Debug)]
pub(super) enum Progress {
    /// Accepted, but not started.
    Accepted,
    /// All steps have been started, without a failure so far.
    Begun,
    /// Fulfilled, or can no longer be.
    Done(Result<(), Failure>),
}

// === impl Outcome ===

impl Outcome {
    /// Waits until all steps have been started; returns the outcome if it is known by then.
    pub async fn begun(&mut self) -> Option<Result<(), Failure>> {
        match self.0.wait_for(|progress| !matches!(progress, Progress::Accepted)).await.as_deref() {
            Ok(Progress::Done(outcome)) => Some(outcome.clone()),
            Ok(_) => None,
            Err(_) => Some(Err(Failure::Closed)),
        }
    }

    /// Waits until the command has been fulfilled or can no longer be.
    ///
    /// # Errors
    /// [`Failure`] holds the reason why it was not fulfilled.
    pub async fn done(mut self) -> Result<(), Failure> {
        match self.0.wait_for(|progress| matches!(progress, Progress::Done(_))).await.as_deref() {
            Ok(Progress::Done(outcome)) => outcome.clone(),
            _ => Err(Failure::Closed),
        }
    }
}
