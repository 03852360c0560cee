//! Start-up and shutdown of the service.

use std::sync::Arc;

use http::Request;
use signalbox_daemon::{
    ClientKeys, Context, Entry, EntryLayer, Exit, RequestBody, RequestSigner, TokenRequirement, admin::ShutdownControl,
    service_sealing_key,
};
use signalbox_store::{Sealer, Store, errors, qwen_turns, settings};
use signalbox_upstream::{Client, ClientConfig, EnvironmentProxies};
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::{
    api,
    app::App,
    clock,
    config::Config,
    conversation::Conversations,
    credentials::Logins,
    error_log::ErrorLog,
    log_access::LogAccess,
    log_policy::{self, LogPolicy},
    metrics::Metrics,
    model_cache::ModelCache,
    qwen::Qwen,
    record::Log,
    server::QwenPolicy,
};

/// Maximum time to wait at shutdown for log entries and reports to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum rows deleted per statement.
const DELETE_BATCH: i64 = 500;

/// Retention of error reports in milliseconds: 30 days.
const REPORT_RETENTION_MS: i64 = 30 * 24 * 3_600_000;

/// Runs the service until shutdown.
///
/// # Errors
/// Returns the reason why the service cannot start, with its exit code.
pub async fn run(config: Config, context: Context) -> Result<(), Exit> {
    let access = config.upstream.access()?;
    let key = service_sealing_key(&context).await?;
    let store = Store::open(context.common.database.url.expose())
        .await
        .map_err(|error| Exit::of_database(error.exit_code(), error))?;
    let client = EnvironmentProxies::from_variables(signalbox_daemon::variable)
        .and_then(|proxies| Client::new(&ClientConfig { proxies, ..ClientConfig::default() }))
        .map_err(|error| Exit::Config(error.to_string()))?;
    let metrics = Arc::new(Metrics::default());
    let counted = Arc::clone(&metrics);
    let tasks = TaskTracker::new();
    let qwen = Arc::new(Qwen::new(client, access, Arc::clone(&metrics)));
    let log_policy = Arc::new(LogPolicy::of(&store).await);
    let (log, writer) = Log::new(store.clone(), Arc::clone(&metrics));
    let writer = tokio::spawn(writer);
    let keys = ClientKeys::new(&context.common.auth);
    let app = Arc::new(App {
        log,
        logins: Logins::new(store.clone(), Sealer::new(&key), &config.login),
        conversations: Conversations::new(store.clone(), Arc::clone(&qwen), config.sessions.idle_timeout.get()),
        models: ModelCache::new(config.upstream.models_cache.get()),
        errors: ErrorLog::new(store.clone(), tasks.clone(), Arc::clone(&log_policy)),
        log_access: LogAccess::new(&context, !context.common.auth.client_keys.is_empty()),
        log_policy: Arc::clone(&log_policy),
        qwen,
        metrics,
        tasks: tasks.clone(),
        control: ShutdownControl::new(TokenRequirement::new(&context, !keys.is_empty())),
        signer: RequestSigner::new(&key),
        max_body: config.api.max_body.as_usize(),
        in_flight: Arc::new(Semaphore::new(config.api.max_in_flight.min(Semaphore::MAX_PERMITS))),
        abort_streams: context.shutdown.abort_token(),
        shutdown: context.shutdown.clone(),
        instance: context.instance.clone(),
        started: Instant::now(),
        store: store.clone(),
    });
    let forgetting = tokio::spawn(delete_expired(store.clone(), counted, config.sessions.cleanup_interval.get()));

    let hot = tokio::spawn({
        let (store, log, configured) = (store.clone(), context.log.clone(), context.common.log.level);
        async move {
            let [requests, responses] = log_policy::KEYS;
            let changed = |[level, requests, responses]: [Option<&str>; 3]| {
                log.set_named(level, configured);
                log_policy.set([requests, responses]);
            };
            settings::watch(&store, ["logging.level", requests, responses], changed).await;
        }
    });

    let port = context.listener.local_addr().port();
    let guard = Arc::new(context.common.server.host_origin_guard());
    let router = api::router(app, EntryLayer::new(Entry::new(guard, Arc::new(keys), QwenPolicy)));
    let service = hyper::service::service_fn(move |request: Request<RequestBody>| {
        router.clone().oneshot(request.map(axum::body::Body::new))
    });
    let served = signalbox_daemon::serve(&context, &format!("✓ Server running on port {port}"), service).await;

    forgetting.abort();
    hot.abort();
    tasks.close();
    // The log's writer ends when the last sender is dropped.
    let written = async { tokio::join!(tasks.wait(), writer) };
    if timeout(FLUSH_TIMEOUT, written).await.is_err() {
        tracing::warn!("some log entries could not be written before the shutdown");
    }
    store.close().await;
    served
}

/// Periodically deletes expired conversations and old reports. Logged requests and responses are kept.
async fn delete_expired(store: Store, metrics: Arc<Metrics>, every: Duration) {
    let mut ticks = interval(every.max(Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = clock::unix_ms();
        let forgotten = async {
            loop {
                let forgotten = qwen_turns::delete_expired(&store, now, DELETE_BATCH).await?;
                metrics.forgotten(forgotten);
                if forgotten == 0 {
                    break;
                }
            }
            while errors::delete_before(&store, now.saturating_sub(REPORT_RETENTION_MS), DELETE_BATCH).await? > 0 {}
            Ok::<_, signalbox_store::Error>(())
        };
        if let Err(error) = forgotten.await {
            tracing::warn!("cannot delete expired conversations: {error}");
        }
    }
}
