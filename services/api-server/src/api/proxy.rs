//! `/api/proxy`: lifecycle and status of the two services.
//!
//! A start responds as soon as it is under way, a stop or a restart when it is done or after [`RESPONSE_TIMEOUT`]; all
//! continue if the client disconnects. The state of the processes does not depend on the database, so these routes
//! respond without it: the lists are empty then, and `database` holds the reason.

mod command;
mod overrides;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::Extensions;
use tracing::Instrument as _;

use self::command::{ServiceCommand, Start, StartCommand};
use super::error_schemas::{Failure, LifecycleFailure, PortInUse, PortOwner, Refusal};
use super::extract::Body;
use super::query::Query;
use super::{App, Error};
use crate::fleet::{self, Now, Outcome, Summary, Which, kill_port_owner};
use crate::status::{ChildStatus, RouterStatus, StatusObject};
use crate::supervisor::{Fault, Unmet};

/// Maximum time a stop or a restart delays its response. Browsers wait longer than that.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);

/// Returns the status of the services, and the providers and models.
#[utoipa::path(
    get, path = "/api/proxy/status", tag = "proxy",
    params(
        ("view" = Option<String>, Query, pattern = "^(short)?$",
         description = "`short` leaves out the providers and models, which have routes of their own"),
    ),
    responses((status = 200, description = "The status", body = StatusObject)),
)]
pub(super) async fn status(State(app): State<App>, mut query: Query) -> Result<Json<StatusObject>, Error> {
    let is_short = query.word("view", &["short"]).is_some();
    query.finish()?;
    Ok(Json(if is_short { StatusObject::short(&app).await } else { StatusObject::of(&app).await }))
}

/// Starts both services, or one. Responds at once, with the status `starting`, or reports that they are running already.
///
/// 409 `PORT_IN_USE` names the `owner` of a taken port; `force` ends that process if its id still is `expectPid`.
#[utoipa::path(
    post, path = "/api/proxy/start", tag = "proxy", request_body = StartCommand,
    responses(
    (status = 200, description = "The status", body = StatusObject),
    (status = 409, description = "`PORT_IN_USE`, `superseded` or `not_evicted`", body = inline(Refusal)),
    (status = 500, description = "It failed", body = LifecycleFailure),
    ),
)]
pub(super) async fn start(
    State(app): State<App>,
    extensions: Extensions,
    Body(command, form): Body<StartCommand>,
) -> Result<Json<StatusObject>, Error> {
    let Start { which, auto_port, expect_pid } = command.check(form)?;
    let fleet = app.fleet.of_request(&extensions);
    if app.fleet.now().is_running(which) {
        return Ok(Json(StatusObject::of(&app).await.success(&sentence(which, "already running"))));
    }
    let mut overrides = overrides::of(&app).await;
    overrides.auto_port = auto_port;
    let mut outcome = fleet.start(overrides.clone(), which).await;
    let mut begun = outcome.begun().await;
    if let Some(pid) = expect_pid
        && let Some(addr) = begun.as_ref().and_then(|outcome| taken_by(outcome.as_ref().err()?, pid))
    {
        kill_port_owner(pid, addr)
            .instrument(fleet.span("evict", which))
            .await
            .map_err(|refusal| Error::Conflict { code: "not_evicted", message: refusal.to_string() })?;
        outcome = fleet.start(overrides, which).await;
        begun = outcome.begun().await;
    }
    match begun {
        Some(Err(failure)) => Err(refusal(&app, &failure).await),
        // A later failure of either service appears in the status.
        _ => {
            let message = match which {
                Which::Both => "Proxy servers are starting (qwen-proxy started first, provider-router starting now)",
                Which::Router => "provider-router is starting",
                Which::Qwen => "qwen-proxy is starting",
            };
            let mut status = StatusObject::of(&app).await.success(message);
            status.status = Summary::Starting;
            Ok(Json(status))
        }
    }
}

/// Restarts services: new processes take over from the present ones, which serve until then.
#[utoipa::path(
    post, path = "/api/proxy/restart", tag = "proxy", request_body = ServiceCommand,
    responses(
    (status = 200, description = "The status", body = StatusObject),
    (status = 409, description = "`PORT_IN_USE` or `superseded`", body = inline(Refusal)),
    (status = 500, description = "It failed", body = LifecycleFailure),
    ),
)]
pub(super) async fn restart(
    State(app): State<App>,
    extensions: Extensions,
    Body(command, form): Body<ServiceCommand>,
) -> Result<Json<StatusObject>, Error> {
    let which = command.check(form)?;
    let overrides = overrides::of(&app).await;
    let outcome = app.fleet.of_request(&extensions).restart(overrides, which).await;
    finished(&app, outcome, &format!("{} restarted", subject(which)), &sentence(which, "still restarting")).await
}

/// Stops both services, or one, and responds when they are gone.
#[utoipa::path(
    post, path = "/api/proxy/stop", tag = "proxy", request_body = ServiceCommand,
    responses(
    (status = 200, description = "The status", body = StatusObject),
    (status = 409, description = "`superseded`", body = Failure),
    (status = 500, description = "It failed", body = LifecycleFailure),
    ),
)]
pub(super) async fn stop(
    State(app): State<App>,
    extensions: Extensions,
    Body(command, form): Body<ServiceCommand>,
) -> Result<Json<StatusObject>, Error> {
    let which = command.check(form)?;
    if app.fleet.now().is_stopped(which) {
        return Ok(Json(StatusObject::of(&app).await.success(&sentence(which, "not running"))));
    }
    let outcome = app.fleet.of_request(&extensions).stop(which).await;
    finished(&app, outcome, &format!("{} stopped successfully", subject(which)), &sentence(which, "still stopping"))
        .await
}

/// Returns the services as the subject of a message.
const fn subject(which: Which) -> &'static str {
    match which {
        Which::Both => "Proxy servers",
        Which::Router => "provider-router",
        Which::Qwen => "qwen-proxy",
    }
}

/// Returns a message about what the services are.
fn sentence(which: Which, state: &str) -> String {
    let verb = if which == Which::Both { "are" } else { "is" };
    format!("{} {verb} {state}", subject(which))
}

/// Adopts the children of an api-server that was killed, with the router's overrides from the settings.
pub(crate) async fn adopt(app: &App) {
    let outcome = app.fleet.adopt(overrides::of(app).await).await;
    // No other command was given yet, and the outcome is in the status.
    outcome.done().await.ok();
}

/// Restarts running services when their executables have been rebuilt, if `wanted`.
pub(crate) async fn reload(app: App, wanted: bool) -> Infallible {
    if !wanted {
        return std::future::pending().await;
    }
    let mut rebuilds = app.fleet.rebuilds();
    loop {
        let which = rebuilds.next().await;
        let Some(which) = not_stopped(&app.fleet.now(), which) else { continue };
        tracing::info!(?which, "an executable was rebuilt, restarting its service");
        // The outcome is in the log and in the status.
        drop(app.fleet.restart(overrides::of(&app).await, which).await);
    }
}

/// Returns those of the services that are not stopped, because a rebuild starts none.
fn not_stopped(now: &Now, which: Which) -> Option<Which> {
    match (which, now.is_stopped(Which::Router), now.is_stopped(Which::Qwen)) {
        (Which::Both, false, true) => Some(Which::Router),
        (Which::Both, true, false) => Some(Which::Qwen),
        (Which::Both, true, true) | (Which::Router, true, _) | (Which::Qwen, _, true) => None,
        _ => Some(which),
    }
}

/// Starts the services, with the router's overrides from the settings.
pub(crate) async fn begin(app: &App) -> Outcome {
    app.fleet.start(overrides::of(app).await, Which::Both).await
}

async fn finished(app: &App, outcome: Outcome, done: &str, not_yet: &str) -> Result<Json<StatusObject>, Error> {
    match tokio::time::timeout(RESPONSE_TIMEOUT, outcome.done()).await {
        Ok(Ok(())) => Ok(Json(StatusObject::of(app).await.success(done))),
        Ok(Err(failure)) => Err(refusal(app, &failure).await),
        Err(_elapsed) => Ok(Json(StatusObject::of(app).await.success(not_yet))),
    }
}

/// Returns the address that could not be bound because this process holds it.
fn taken_by(failure: &fleet::Failure, pid: u32) -> Option<SocketAddr> {
    match failure {
        fleet::Failure::Child(Unmet::Failed(cause)) => match &cause.fault {
            Fault::PortInUse { holder: Some(holder), .. } if holder.pid == pid => Some(holder.addr),
            _ => None,
        },
        _ => None,
    }
}

/// Returns what to do about a command that was not carried out: the second sentence of the message.
fn advice(failure: &fleet::Failure) -> &'static str {
    match failure {
        fleet::Failure::Superseded | fleet::Failure::Child(Unmet::Superseded) => {
            "Read the status, and give the command again if it is still needed"
        }
        fleet::Failure::Unprepared(_) => "Then give the command again",
        fleet::Failure::Closed | fleet::Failure::Child(Unmet::Closed) => "Start it again first",
        fleet::Failure::Child(Unmet::Failed(cause)) => cause.fault.advice(),
    }
}

async fn refusal(app: &App, failure: &fleet::Failure) -> Error {
    let now = app.fleet.now();
    let stats = app.meter.measure(&now).await;
    let error = failure.to_string();
    let advice = advice(failure);
    let failed = |error, code| {
        // Serialisation can fail only for a map with non-string keys.
        let router = serde_json::to_value(RouterStatus::new(&now, &stats)).unwrap_or_default();
        let qwen = serde_json::to_value(ChildStatus::of_qwen(&now, &stats)).unwrap_or_default();
        LifecycleFailure::new(error, advice, code, [router, qwen])
    };
    match failure {
        fleet::Failure::Superseded | fleet::Failure::Child(Unmet::Superseded) => {
            Error::Conflict { code: "superseded", message: format!("The command was {error}. {advice}") }
        }
        fleet::Failure::Child(Unmet::Failed(cause)) => match &cause.fault {
            Fault::PortInUse { port, holder } => {
                let owner = holder.as_ref().map(|holder| PortOwner { pid: holder.pid, name: holder.name.clone() });
                Error::PortInUse(Box::new(PortInUse::new(failed(error, Some(cause.fault.code())), *port, owner)))
            }
            fault => Error::Lifecycle(Box::new(failed(error, Some(fault.code())))),
        },
        _ => Error::Lifecycle(Box::new(failed(error, None))),
    }
}
