//! The documents of the doctor of provider-router, which prints them, and api-server reads and shows them.

mod checks;
mod scorecard;

pub use self::checks::{Check, CheckState, CheckSummary, DoctorReport};
pub use self::scorecard::{RouteScores, Score, Scorecard, Tally, Verdict};
