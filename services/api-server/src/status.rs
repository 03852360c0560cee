//! Status of the services, as responses and events show it.

use serde::Serialize;
use serde_json::Value;
use signalbox_core::schema::Provider;
use signalbox_daemon::clock::{unix_ms, unix_s};
use signalbox_management::ModelView;
use signalbox_store::{Page, credentials, models, providers};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::app::App;
use crate::fleet::{Now, Preparation, Summary, Worker};
use crate::process_stats::{Measured, ProcessStats};
use crate::supervisor::{Cause, Exit, Phase, Snapshot};

/// Response of every route of `/api/proxy`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusObject {
    /// Present in responses to commands only.
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    pub(crate) status: Summary,
    provider_router: RouterStatus,
    qwen_proxy: ChildStatus,
    /// Absent with `view=short`, as are the models.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    providers: Option<Providers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    models: Option<Models>,
    credentials: Credentials,
    extension_connected: bool,
    database: &'static str,
    message: String,
}

/// Status of provider-router. With several processes, the fields stand for all of them: running if any is; `pid`,
/// `uptime` and `adopted` are those of a running one; counts and `stats` are sums, except `failures`, which is the
/// maximum.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RouterStatus {
    #[serde(flatten)]
    all: ChildStatus,
    /// Its processes, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    workers: Vec<WorkerStatus>,
}

/// Status of one of several processes.
#[derive(Debug, Serialize, ToSchema)]
struct WorkerStatus {
    /// Name, as used for its log and in messages.
    name: &'static str,
    /// Address at which this process alone answers, such as `127.0.0.1:40001`, including its own metrics. Set once it
    /// is ready.
    address: Option<String>,
    #[serde(flatten)]
    process: ChildStatus,
}

/// Status of one service.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChildStatus {
    running: bool,
    port: u16,
    pid: Option<u32>,
    /// Seconds since the start of the process.
    uptime: u64,
    state: Phase,
    /// Reason of the state `error`.
    error: Option<String>,
    /// Whether it runs and answers health checks.
    healthy: bool,
    /// Number of the process, counted since the start of api-server.
    generation: u64,
    /// Number of processes that have replaced the previous one since the service was started by a command.
    restarts: u64,
    /// Failures in a row.
    failures: u32,
    will_restart: bool,
    /// Time of the next start, Unix milliseconds.
    next_retry_at: Option<i64>,
    /// Last failure, also while the service is running again.
    last_failure: Option<LastFailure>,
    /// Whether the process was started by another api-server, which was killed.
    adopted: bool,
    /// Incremented with every change of the fields above.
    seq: u64,
    /// Resources that its processes use.
    stats: ProcessStats,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LastFailure {
    /// `crashed`, `startup_timeout`, `PORT_IN_USE`, …
    code: &'static str,
    message: String,
    exit_code: Option<i32>,
    signal: Option<i32>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = StatusProviders)]
struct Providers {
    items: Vec<Provider>,
    total: i64,
    enabled: usize,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = StatusModels)]
struct Models {
    items: Vec<ModelView>,
    total: i64,
}

/// Active login at chat.qwen.ai.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StatusCredentials)]
struct Credentials {
    valid: bool,
    /// Unix seconds.
    expires_at: Option<i64>,
}

/// Returns the status as JSON.
pub(crate) async fn status_value(app: &App) -> Value {
    // Numbers, strings and lists can always be serialised.
    serde_json::to_value(StatusObject::of(app).await).unwrap_or_default()
}

// === impl StatusObject ===

impl StatusObject {
    /// Returns the status with all providers and models.
    pub(crate) async fn of(app: &App) -> Self {
        Self::with(app, true).await
    }

    /// Returns the status without the lists of providers and models.
    pub(crate) async fn short(app: &App) -> Self {
        Self::with(app, false).await
    }

    async fn with(app: &App, has_catalogue: bool) -> Self {
        let lists = Lists::load(app, has_catalogue).await;
        // Read last, because loading the lists may have taken a while.
        let now = app.fleet.now();
        let stats = app.meter.measure(&now).await;
        let (database, lists) = match lists {
            Ok(lists) => (app.store.problem().unwrap_or("ok"), lists),
            Err(error) => {
                tracing::warn!(%error, "cannot read the lists of the status");
                ("unavailable", Lists::default())
            }
        };
        Self {
            success: None,
            status: now.summary(),
            provider_router: RouterStatus::new(&now, &stats),
            qwen_proxy: ChildStatus::of_qwen(&now, &stats),
            providers: has_catalogue.then_some(lists.providers),
            models: has_catalogue.then_some(lists.models),
            credentials: lists.credentials,
            extension_connected: app.extensions.connected(),
            database,
            message: message(&now),
        }
    }

    pub(crate) fn success(mut self, message: &str) -> Self {
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
                let failed = [&now.router, &now.qwen].into_iter().filter(|child| child.state == Phase::Error);
                let causes = failed.filter_map(|child| child.cause.as_ref());
                causes.map(|cause| cause.message.as_str()).collect::<Vec<_>>().join("; ")
            }
        },
    }
}

// === impl RouterStatus ===

impl RouterStatus {
    pub(crate) fn new(now: &Now, stats: &Measured) -> Self {
        let status = |worker: &Worker| WorkerStatus {
            name: worker.name,
            address: worker.snapshot.own_addr.map(|addr| addr.to_string()),
            process: ChildStatus::new(&worker.snapshot, now.router_port, stats.of(worker.snapshot.pid)),
        };
        let workers = if now.workers.len() > 1 { now.workers.iter().map(status).collect() } else { Vec::new() };
        let all = stats.sum(now.workers.iter().map(|worker| worker.snapshot.pid));
        Self { all: ChildStatus::new(&now.router, now.router_port, all), workers }
    }
}

// === impl ChildStatus ===

impl ChildStatus {
    pub(crate) fn of_qwen(now: &Now, stats: &Measured) -> Self {
        Self::new(&now.qwen, now.qwen_port, stats.of(now.qwen.pid))
    }

    fn new(child: &Snapshot, port: u16, stats: ProcessStats) -> Self {
        Self {
            running: child.is_running(),
            port,
            pid: child.pid,
            uptime: child.uptime(),
            state: child.state,
            error: child.cause.as_ref().filter(|_| child.state == Phase::Error).map(ToString::to_string),
            healthy: child.healthy,
            generation: child.generation,
            restarts: child.restarts,
            failures: child.failures,
            will_restart: child.retry_at.is_some(),
            next_retry_at: child.retry_at.map(wall_clock_ms),
            last_failure: child.cause.as_deref().map(LastFailure::new),
            adopted: child.adopted,
            seq: child.seq,
            stats,
        }
    }
}

// === impl LastFailure ===

impl LastFailure {
    fn new(cause: &Cause) -> Self {
        let (exit_code, signal) = match cause.exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            Some(Exit::Unknown) | None => (None, None),
        };
        Self { code: cause.fault.code(), message: cause.message.clone(), exit_code, signal }
    }
}

/// Converts a moment of the monotonic clock to Unix milliseconds.
fn wall_clock_ms(moment: Instant) -> i64 {
    let ahead = moment.saturating_duration_since(Instant::now()).as_millis();
    unix_ms().saturating_add(i64::try_from(ahead).unwrap_or(i64::MAX))
}

/// Parts of the status that come from the database.
#[derive(Debug, Default)]
struct Lists {
    providers: Providers,
    models: Models,
    credentials: Credentials,
}

impl Lists {
    /// Reads the login and, if asked for, the providers and models.
    async fn load(app: &App, has_catalogue: bool) -> Result<Self, signalbox_store::Error> {
        let login = credentials::list(&app.store).await?.into_iter().find(|login| login.active);
        let credentials = login.map_or_else(Credentials::default, |login| Credentials {
            valid: !login.is_expired(unix_s()),
            expires_at: login.expires_at,
        });
        if !has_catalogue {
            return Ok(Self { credentials, ..Self::default() });
        }
        let providers = providers::list(&app.store, &providers::Filter::default(), Page::ALL).await?;
        let models = models::list(&app.store, &models::Filter::default(), Page::ALL).await?;
        let enabled = providers.items.iter().filter(|provider| provider.enabled).count();
        Ok(Self {
            providers: Providers { enabled, total: providers.total, items: providers.items },
            models: Models { total: models.total, items: models.items.into_iter().map(ModelView::from).collect() },
            credentials,
        })
    }
}
