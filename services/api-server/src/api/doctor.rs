//! `/api/doctor`: what the doctor of provider-router finds.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use signalbox_management::doctor::{DoctorReport, Scorecard};
use signalbox_management::form::Field;
use utoipa::ToSchema;

use super::error_schemas::Failure as Refused;
use super::extract::Body;
use super::{App, Error};
use crate::doctor::{Failure, Options, Results};

/// Maximum number of routes, and of characters of a name, in a command.
const MAX_ROUTES: usize = 6;
const MAX_NAME: usize = 256;

/// The last results of the doctor.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DoctorResults {
    /// Whether a run is in progress.
    running: bool,
    /// The last checks; null before the first run.
    checks: Option<DoctorReport>,
    /// The last scorecard of the routes; null before the first run.
    scorecard: Option<Scorecard>,
}

/// Options of a run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DoctorCommand {
    /// Play faults against the routes instead of the checks, with all providers replaced by fakes.
    #[serde(default)]
    #[schema(value_type = bool)]
    against_fakes: Field<bool>,
    /// Do not call the providers; not with `against_fakes`.
    #[serde(default)]
    #[schema(value_type = bool)]
    offline: Field<bool>,
    /// Model names of the routes to play, 6 at most; only with `against_fakes`.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 6)]
    routes: Field<Vec<Value>>,
}

/// Returns the last results of the doctor.
#[utoipa::path(
    get, path = "/api/doctor", tag = "doctor",
    responses((status = 200, description = "The last results", body = DoctorResults)),
)]
pub(super) async fn last(State(app): State<App>) -> Result<Json<DoctorResults>, Error> {
    shown(app.doctor.results()).map(Json)
}

/// Runs the doctor of provider-router, and returns all results. It takes some seconds; up to a minute with
/// `against_fakes`. A run goes on if the client leaves.
#[utoipa::path(
    post, path = "/api/doctor/run", tag = "doctor", request_body = DoctorCommand,
    responses(
        (status = 200, description = "All results, with those of this run", body = DoctorResults),
        (status = 409, description = "`doctor_running`: another run is in progress; or `doctor_refused`: nothing can be \
            played, with the reason", body = Refused),
        (status = 503, description = "`doctor_failed`: the command of provider-router cannot be run", body = Refused),
    ),
)]
pub(super) async fn run(
    State(app): State<App>,
    Body(command, mut form): Body<DoctorCommand>,
) -> Result<Json<DoctorResults>, Error> {
    let against_fakes = form.boolean("against_fakes", command.against_fakes).unwrap_or(false);
    let offline = form.boolean("offline", command.offline).unwrap_or(false);
    let given = form.valid(command.routes, "routes must be a list of model names").unwrap_or_default();
    let is_name = |name: &&str| !name.is_empty() && name.chars().count() <= MAX_NAME && !name.contains('\0');
    let routes: Vec<String> = given.iter().filter_map(Value::as_str).filter(is_name).map(str::to_owned).collect();
    if routes.len() != given.len() {
        form.mistake(format!("routes must be names of 1 to {MAX_NAME} characters"));
    }
    if given.len() > MAX_ROUTES {
        form.mistake(format!("routes must be {MAX_ROUTES} at most"));
    }
    if !given.is_empty() && !against_fakes {
        form.mistake("routes need against_fakes");
    }
    if offline && against_fakes {
        form.mistake("offline and against_fakes exclude each other");
    }
    form.finish()?;
    let results = app.doctor.run(Options { offline, against_fakes, routes }).await.map_err(|failure| {
        let message = failure.to_string();
        match failure {
            Failure::Running => Error::Conflict { code: "doctor_running", message },
            Failure::Refused(_) => Error::Conflict { code: "doctor_refused", message },
            Failure::Command(_) => Error::Doctor(message),
        }
    })?;
    shown(results).map(Json)
}

fn shown(results: Results) -> Result<DoctorResults, Error> {
    let unreadable =
        |error: serde_json::Error| Error::Doctor(format!("the result of the doctor cannot be read: {error}"));
    let Results { is_running, checks, scorecard } = results;
    Ok(DoctorResults {
        running: is_running,
        checks: checks.map(serde_json::from_value).transpose().map_err(unreadable)?,
        scorecard: scorecard.map(serde_json::from_value).transpose().map_err(unreadable)?,
    })
}
