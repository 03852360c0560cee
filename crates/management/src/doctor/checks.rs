//! The document of the checks.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// State of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// Nothing is wrong.
    Ok,
    /// Something may be wrong, or will be.
    Warn,
    /// Something is wrong.
    Fail,
    /// The check was not made.
    Skipped,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Area, subject and aspect, separated by dots: `provider.openai.key`.
    pub id: String,
    /// Finding, in one word.
    pub state: CheckState,
    /// Finding, in one sentence.
    pub finding: String,
    /// Remedy; null if none is needed.
    pub remedy: Option<String>,
    /// Page and section of the documentation; null if none fits.
    #[schema(value_type = Option<String>)]
    pub link: Option<Cow<'static, str>>,
}

/// Checks of the installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorReport {
    /// Time of the run, Unix milliseconds.
    pub checked_at: i64,
    /// Version of provider-router.
    pub version: String,
    /// Whether the providers were left alone.
    pub offline: bool,
    /// Number of checks by state.
    pub summary: CheckSummary,
    /// The checks, grouped by area.
    pub checks: Vec<Check>,
}

/// Number of checks by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckSummary {
    /// Nothing is wrong.
    pub ok: u32,
    /// Something may be wrong.
    pub warn: u32,
    /// Something is wrong.
    pub fail: u32,
    /// Not made.
    pub skipped: u32,
}

// === impl CheckState ===

impl CheckState {
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
        Self::new(id, CheckState::Ok, finding)
    }

    /// Creates a check that found something that may be wrong.
    pub fn warn(id: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(id, CheckState::Warn, finding)
    }

    /// Creates a check that found something wrong.
    pub fn fail(id: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(id, CheckState::Fail, finding)
    }

    /// Creates a check that was not made.
    pub fn skipped(id: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(id, CheckState::Skipped, finding)
    }

    fn new(id: impl Into<String>, state: CheckState, finding: impl Into<String>) -> Self {
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
        Self { link: Some(link.into()), ..self }
    }

    /// Returns the first word of the id.
    #[must_use]
    pub fn area(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }
}

// === impl DoctorReport ===

impl DoctorReport {
    /// Counts the states. Both programs have the same version.
    #[must_use]
    pub fn new(checks: Vec<Check>, offline: bool, checked_at: i64) -> Self {
        let mut summary = CheckSummary::default();
        for check in &checks {
            *match check.state {
                CheckState::Ok => &mut summary.ok,
                CheckState::Warn => &mut summary.warn,
                CheckState::Fail => &mut summary.fail,
                CheckState::Skipped => &mut summary.skipped,
            } += 1;
        }
        Self { checked_at, version: env!("CARGO_PKG_VERSION").to_owned(), offline, summary, checks }
    }

    /// Returns whether no check failed.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        self.summary.fail == 0
    }
}
