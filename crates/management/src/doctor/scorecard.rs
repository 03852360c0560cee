//! The scorecard, as a document.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a scene ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It ended as it should.
    Pass,
    /// It ended safely, but another configuration of the route would do more.
    Partial,
    /// It ended with a wrong answer, did not end, or did harm.
    Fail,
    /// The scene was not played.
    Skipped,
}

/// A scene and its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Score {
    /// `S01` to `S16` are the faults of Failover Bench, `P01` to `P25` the pains of gateways.
    #[schema(value_type = String)]
    pub id: Cow<'static, str>,
    /// Name of the scene.
    #[schema(value_type = String)]
    pub name: Cow<'static, str>,
    /// Actions of the fake providers and of the client.
    #[schema(value_type = String)]
    pub done: Cow<'static, str>,
    /// Expected observation.
    #[schema(value_type = String)]
    pub expected: Cow<'static, str>,
    /// Observation.
    pub seen: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Change that leads to a better end; null if none is needed.
    #[schema(value_type = Option<String>)]
    pub remedy: Option<Cow<'static, str>>,
}

/// Scores of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteScores {
    /// Model name of the route; null for the implied route of requests that name no model.
    pub route: Option<String>,
    /// Whether the providers' links and priorities imply it.
    pub is_implied: bool,
    /// Policy of the route.
    pub policy: String,
    /// The targets, as `provider/model`.
    pub targets: Vec<String>,
    /// Number of scenes by verdict.
    pub summary: Tally,
    /// The scenes, in the order of their ids.
    pub scores: Vec<Score>,
}

/// Scores of the routes against the faults of providers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scorecard {
    /// Time of the run, Unix milliseconds.
    pub played_at: i64,
    /// Version of provider-router.
    pub version: String,
    /// Divisor of all deadlines and of the times of the fakes.
    pub time_divisor: u32,
    /// Number of scenes by verdict, over all routes.
    pub summary: Tally,
    /// The routes that were played.
    pub routes: Vec<RouteScores>,
    /// The routes that were not, with the reason.
    pub not_played: Vec<String>,
}

/// Number of scenes by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tally {
    /// Ended as they should.
    pub pass: u32,
    /// Ended safely.
    pub partial: u32,
    /// Ended badly.
    pub fail: u32,
    /// Not played.
    pub skipped: u32,
}

// === impl Verdict ===

impl Verdict {
    /// Returns the word for the verdict.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Partial => "partial",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}

// === impl Tally ===

impl Tally {
    /// Counts verdicts.
    #[must_use]
    pub fn of<'a>(scores: impl IntoIterator<Item = &'a Score>) -> Self {
        let mut tally = Self::default();
        for score in scores {
            *match score.verdict {
                Verdict::Pass => &mut tally.pass,
                Verdict::Partial => &mut tally.partial,
                Verdict::Fail => &mut tally.fail,
                Verdict::Skipped => &mut tally.skipped,
            } += 1;
        }
        tally
    }
}

// === impl Scorecard ===

impl Scorecard {
    /// Returns whether no scene failed, and at least one was played.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.summary.fail == 0 && !self.routes.is_empty()
    }
}
