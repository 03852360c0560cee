//! `/api/proxy`: the two services we run.
//!
//! A start answers at once, a stop when both are gone or after [`STOP_ANSWER`]; both go on when the caller does not wait.
//! The state of the processes does not depend on the database, so these routes answer without it: the lists are empty
//! then, and `database` says why.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use signalbox_core::schema::Provider;
use signalbox_store::{Page, models, providers};

use super::models::ModelView;
use super::{App, Error, settings};
use crate::fleet::{Failure, Now, Outcome, Preparation, Summary};
use crate::supervisor::{Phase, Snapshot};

/// How long a stop may keep its caller waiting. Browsers are patient for longer.
const STOP_ANSWER: Duration = Duration::from_secs(15);

/// The answer to every route of this file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusObject {
    /// Commands only.
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    status: Summary,
    provider_router: ChildStatus,
    qwen_proxy: ChildStatus,
    providers: Providers,
    models: Models,
    credentials: Credentials,
    extension_connected: bool,
    database: &'static str,
    message: String,
}

#[derive(Debug, Serialize)]
struct ChildStatus {
    running: bool,
    port: u16,
    pid: Option<u32>,
    /// Seconds.
    uptime: u64,
    state: Phase,
    error: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Providers {
    items: Vec<Provider>,
    total: i64,
    enabled: usize,
}

#[derive(Debug, Default, Serialize)]
struct Models {
    items: Vec<ModelView>,
    total: i64,
}

/// Of chat.qwen.ai. Nothing can store any yet.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    valid: bool,
    /// Seconds since 1970.
    expires_at: Option<i64>,
}

/// `GET /api/proxy/status`.
pub(super) async fn status(State(app): State<App>) -> Json<StatusObject> {
    Json(StatusObject::of(&app).await)
}

/// `POST /api/proxy/start`: answers with the status `starting`, or says that both run already.
pub(super) async fn start(State(app): State<App>) -> Result<Json<StatusObject>, Error> {
    if app.fleet.now().summary() == Summary::Running {
        return Ok(Json(StatusObject::of(&app).await.success("Proxy servers are already running")));
    }
    let outcome = begin(&app).await;
    starting(&app, outcome).await
}

/// `POST /api/proxy/restart`: as a start, but with new processes.
pub(super) async fn restart(State(app): State<App>) -> Result<Json<StatusObject>, Error> {
    let overrides = settings::overrides(&app).await;
    let outcome = app.fleet.restart(overrides).await;
    starting(&app, outcome).await
}

/// `POST /api/proxy/stop`: answers when both are gone.
pub(super) async fn stop(State(app): State<App>) -> Result<Json<StatusObject>, Error> {
    if app.fleet.now().is_stopped() {
        return Ok(Json(StatusObject::of(&app).await.success("Proxy servers are not running")));
    }
    let outcome = app.fleet.stop().await;
    match tokio::time::timeout(STOP_ANSWER, outcome.done()).await {
        Ok(Ok(())) => Ok(Json(StatusObject::of(&app).await.success("Proxy servers stopped successfully"))),
        Ok(Err(failure)) => Err(refusal(&app, &failure)),
        Err(_elapsed) => Ok(Json(StatusObject::of(&app).await.success("Proxy servers are still stopping"))),
    }
}

/// Starts the children with what the settings say about them.
pub(crate) async fn begin(app: &App) -> Outcome {
    app.fleet.start(settings::overrides(app).await).await
}

async fn starting(app: &App, outcome: Outcome) -> Result<Json<StatusObject>, Error> {
    // What comes of it is in the status. Only that nothing can come of it is known for certain now.
    if let Some(Err(failure @ Failure::Closed)) = outcome.known() {
        return Err(refusal(app, &failure));
    }
    let message = "Proxy servers are starting (qwen-proxy started first, provider-router starting now)";
    let mut status = StatusObject::of(app).await.success(message);
    status.status = Summary::Starting;
    Ok(Json(status))
}

fn refusal(app: &App, failure: &Failure) -> Error {
    if let Failure::Superseded = failure {
        return Error::Conflict { code: "superseded", message: failure.to_string() };
    }
    let now = app.fleet.now();
    Error::Lifecycle {
        error: failure.to_string(),
        children: json!({
            "providerRouter": ChildStatus::new(&now.router, now.router_port),
            "qwenProxy": ChildStatus::new(&now.qwen, now.qwen_port),
        }),
    }
}

// === impl StatusObject ===

impl StatusObject {
    async fn of(app: &App) -> Self {
        let lists = Lists::load(app).await;
        // Read last: the lists may have taken their time.
        let now = app.fleet.now();
        let (database, lists) = match lists {
            Ok(lists) => ("ok", lists),
            Err(error) => {
                tracing::warn!(%error, "the status has no lists");
                ("unavailable", Lists::default())
            }
        };
        Self {
            success: None,
            status: now.summary(),
            provider_router: ChildStatus::new(&now.router, now.router_port),
            qwen_proxy: ChildStatus::new(&now.qwen, now.qwen_port),
            providers: lists.providers,
            models: lists.models,
            credentials: Credentials::default(),
            extension_connected: false,
            database,
            message: message(&now),
        }
    }

    fn success(mut self, message: &str) -> Self {
        self.success = Some(true);
        message.clone_into(&mut self.message);
        self
    }
}

fn message(now: &Now) -> String {
    match now.summary() {
        Summary::Running => "All proxy servers are running".to_owned(),
        Summary::Partial => "Some proxy servers are running".to_owned(),
        Summary::Stopped => "Proxy servers are not running".to_owned(),
        Summary::Starting => "Proxy servers are starting".to_owned(),
        Summary::Error => match &now.preparation {
            Preparation::Failed(reason) => reason.to_string(),
            Preparation::Idle | Preparation::Preparing => {
                let causes = [&now.router, &now.qwen].into_iter().filter_map(|child| child.cause.as_ref());
                causes.map(|cause| cause.message.as_str()).collect::<Vec<_>>().join("; ")
            }
        },
    }
}

// === impl ChildStatus ===

impl ChildStatus {
    fn new(child: &Snapshot, port: u16) -> Self {
        Self {
            running: child.is_running(),
            port,
            pid: child.pid,
            uptime: child.uptime(),
            state: child.state,
            error: child.cause.as_ref().map(ToString::to_string),
        }
    }
}

/// What the database adds.
#[derive(Debug, Default)]
struct Lists {
    providers: Providers,
    models: Models,
}

impl Lists {
    async fn load(app: &App) -> Result<Self, signalbox_store::Error> {
        let providers = providers::list(&app.store, &providers::Filter::default(), Page::ALL).await?;
        let models = models::list(&app.store, &models::Filter::default(), Page::ALL).await?;
        let enabled = providers.items.iter().filter(|provider| provider.enabled).count();
        Ok(Self {
            providers: Providers { enabled, total: providers.total, items: providers.items },
            models: Models { total: models.total, items: models.items.into_iter().map(ModelView::from).collect() },
        })
    }
}
