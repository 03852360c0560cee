//! The document of the checks.

use serde::Serialize;

/// Outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing is wrong.
    Ok,
    /// Something may be wrong, or will be.
    Warn,
    /// Something is wrong.
    Fail,
    /// The check was not made.
    Skipped,
}

/// A check and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Area, subject and aspect, separated by dots: `provider.openai.key`.
    pub id: String,
    /// Outcome.
    pub state: State,
    /// Finding, in one sentence.
    pub finding: String,
    /// Remedy; `None` if none is needed.
    pub remedy: Option<String>,
    /// Page and section of the documentation.
    pub link: Option<&'static str>,
}

/// All checks of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Time of the run in Unix milliseconds.
    pub checked_at: i64,
    /// Version of the program.
    pub version: &'static str,
    /// Whether the providers were left alone.
    pub offline: bool,
    /// Number of checks by outcome.
    pub summary: Summary,
    /// The checks, grouped by area.
    pub checks: Vec<Check>,
}

/// Number of checks by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Nothing is wrong.
    pub ok: usize,
    /// Something may be wrong.
    pub warn: usize,
    /// Something is wrong.
    pub fail: usize,
    /// Not made.
    pub skipped: usize,
}

// === impl State ===

impl State {
    /// Returns the word for the state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}

// === impl Check ===

impl Check {
    /// Creates a check that found nothing wrong.
    pub fn ok(id: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(id, State::Ok, finding)
    }

    /// Creates a check that found something that may be wrong.
    pub fn warn(id: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(id, State::Warn, finding)
    }

    /// Creates a check that found something wrong.
    pub fn fail(id: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(id, State::Fail, finding)
    }

    /// Creates a check that was not made.
    pub fn skipped(id: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(id, State::Skipped, finding)
    }

    fn new(id: impl Into<String>, state: State, finding: impl Into<String>) -> Self {
        Self { id: id.into(), state, finding: finding.into(), remedy: None, link: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Adds the page of the documentation.
    #[must_use]
    pub fn link(self, link: &'static str) -> Self {
        Self { link: Some(link), ..self }
    }

    /// Returns the first word of the id.
    #[must_use]
    pub fn area(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }
}

// === impl Report ===

impl Report {
    /// Counts the outcomes.
    #[must_use]
    pub fn new(checks: Vec<Check>, offline: bool, checked_at: i64) -> Self {
        let mut summary = Summary::default();
        for check in &checks {
            *match check.state {
                State::Ok => &mut summary.ok,
                State::Warn => &mut summary.warn,
                State::Fail => &mut summary.fail,
                State::Skipped => &mut summary.skipped,
            } += 1;
        }
        Self { checked_at, version: env!("CARGO_PKG_VERSION"), offline, summary, checks }
    }

    /// Returns whether no check failed.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        self.summary.fail == 0
    }
}
