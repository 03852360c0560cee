//! The control server: runs the two other services, and serves their configuration and their logs.
//!
//! # Layout
//! - [`serve`](fn@serve): assembles the process.
//! - [`config`]: flags, and the configuration sections of api-server.
//! - [`cli`]: the server manager, which also starts `serve`.
//! - [`server`]: the middleware stack, layer by layer.
//! - [`api`]: all routes; those that only need the tables are in `signalbox-management`.
//! - [`app`]: the state that handlers and event publishers share.
//! - [`audit`]: the audit log.
//! - [`events`]: live events over Socket.IO.
//! - [`extensions`]: the connected browser extensions.
//! - [`declared`]: the catalogue as a document. [`doctor`]: the command that examines the installation.
//! - `status`: the status of the services, as responses and events show it.
//! - [`router_client`]: client of provider-router's API.
//! - [`instance`]: the lock that permits one api-server per data directory.
//! - [`logs`]: the log files of the three services.
//! - [`process_stats`]: CPU time, memory, open files and threads of the services.
//! - [`notify`]: a webhook for events of the services.
//! - [`console`]: the web console, and its signed-in browsers.
//! - `welcome`: the message on a terminal after a manual start.
//! - [`fleet`]: the child services, and the order of their starts and stops.
//! - [`supervisor`]: keeps one child process in the requested state.
//!
//! # Theory
//! A lifecycle command goes from a route to the fleet's task, and from there to the task of each child; these publish
//! their state, from which every response about a child is read. Configuration is written to the tables only: the
//! router picks up a change within a second.
//!
//! # Invariants
//! - However this process ends, the children end as well: in order on a graceful shutdown, killed with the runtime
//!   after a panic, and by themselves after it was killed, unless another api-server adopts them in time.
//! - Reading and changing the tables never waits for a child or a provider, and commanding a child never waits for the
//!   tables.

pub mod api;
pub mod app;
pub mod audit;
pub mod cli;
pub mod config;
pub mod console;
pub mod declared;
pub mod doctor;
pub mod events;
pub mod extensions;
pub mod fleet;
pub mod logs;
pub mod notify;
pub mod process_stats;
pub mod router_client;
pub mod server;
mod status;
pub mod supervisor;
mod welcome;

pub use signalbox_daemon::instance;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use hyper_util::service::TowerToHyperService;
use signalbox_core::secret::Secret;
use signalbox_daemon::admin::ShutdownControl;
use signalbox_daemon::adoption::Key;
use signalbox_daemon::clock::unix_ms;
use signalbox_daemon::identity::Identity;
use signalbox_daemon::variables::{FORWARDED, Variable};
use signalbox_daemon::{
    CONTROL_TOKEN_FILE, ClientKeys, Context, Exit, ServiceSigner, TokenRequirement, control_token, service_sealing_key,
    variable,
};
use signalbox_store::{Page, Sealer, Store, api_keys, seal_stored, settings};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use self::app::{About, App};
use self::config::Config;
use self::console::Sessions;
use self::doctor::Doctor;
use self::extensions::Extensions;
use self::fleet::{Fleet, ProgramLocation, Programs};
use self::instance::{Instance, InstanceRecord};
use self::logs::{LogDir, LogOutput};
use self::process_stats::ProcessMeter;
use self::router_client::RouterClient;
use self::server::ServerLayers;
use self::supervisor::Limits;

/// Timeout for the last notes of the audit log.
const AUDIT_FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs the service until a shutdown is requested.
///
/// # Errors
/// [`Exit::CannotOpen`] or [`Exit::Temporary`] when the database cannot be opened; otherwise the error of the daemon.
pub async fn serve(config: Config, context: Context) -> Result<(), Exit> {
    let sealing_key = service_sealing_key(&context).await?;
    let sealer = Sealer::new(&sealing_key);
    let signer = ServiceSigner::new(&sealing_key);
    config.check_with(&context.common)?;
    let data_dir = &context.common.data_dir;
    let mut instance = Instance::acquire(data_dir, &record(&config, &context)).await?;
    let key = adoption_key(data_dir)?;
    let store = Store::open(context.common.database.url.expose())
        .await
        .map_err(|error| Exit::of_database(error.exit_code(), error))?;
    #[cfg(unix)]
    let _reaper = supervisor::orphans::become_subreaper().map_err(|error| {
        Exit::Temporary(format!(
            "cannot become a subreaper of orphaned \
            processes: {error}"
        ))
    })?;
    seal_stored(&store, &sealer).await;
    let children = fleet_config(&config, &context, key);
    let doctor = Doctor::of(&children);
    let (fleet, closer) = fleet::launch(children);
    let writers = std::iter::once(config::SPEC.name).chain(fleet.services().into_iter().map(|(name, _)| name));
    let log_rotator = logs::start_rotator(&LogDir::of(data_dir), writers, config.logs.retention());
    let notifier = notify::launch(&config.notify, &fleet.services())?;
    // The children are stopped in every case, also after a panic; normally while the last requests are served.
    let (of_children, written) = ((fleet, doctor.clone()), log_rotator.subscribe());
    let served = async {
        let app = state(&config, &context, store.clone(), (sealer, signer), of_children)?;
        work(app, &config, &context, written).await
    };
    let served = AssertUnwindSafe(served).catch_unwind();
    let leave = async {
        context.shutdown.draining().await;
        tokio::join!(closer.close(), doctor.close());
    };
    let served = async {
        let served = served.await;
        context.shutdown.trigger();
        served
    };
    let (served, ()) = tokio::select! {
        ended = async { tokio::join!(served, leave) } => ended,
        never = instance.keep() => match never {},
    };
    notifier.close().await;
    store.close().await;
    log_rotator.close().await;
    drop(instance);
    served.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Builds the state that handlers and event publishers share.
fn state(
    config: &Config,
    context: &Context,
    store: Store,
    (sealer, signer): (Sealer, ServiceSigner),
    (fleet, doctor): (Fleet, Doctor),
) -> Result<App, Exit> {
    let common = &context.common;
    let router = RouterClient::new(
        fleet.clone(),
        &common.server.host,
        config.services.router_port,
        common.auth.client_keys.first().cloned(),
        signer,
    );
    let management = signalbox_management::App {
        store: store.clone(),
        sealer: sealer.clone(),
        runtime: Arc::new(router.clone()),
        router_host: common.server.host.clone(),
        router_port: config.services.router_port,
        body_limit: config.api.body_limit.as_usize(),
        guarded: !common.auth.client_keys.is_empty() || common.auth.insecure_no_auth,
    };
    let keys = Arc::new(control_keys(config, context)?);
    Ok(App {
        management,
        store,
        router,
        fleet,
        meter: ProcessMeter::default(),
        sealer,
        reloads: broadcast::Sender::new(16),
        extensions: Extensions::default(),
        doctor,
        logs: LogDir::of(&common.data_dir),
        sessions: Sessions::new(context.tls.is_some()),
        about: Arc::new(About { instance: host_name(), boot_id: uuid::Uuid::now_v7().to_string() }),
        control: ShutdownControl::with_tokens(
            TokenRequirement::of(&common.data_dir, !keys.is_empty(), false),
            ClientKeys::clone(&keys),
        ),
        keys,
        shutdown: context.shutdown.clone(),
    })
}

/// Starts the services if they are wanted, and serves until shutdown.
async fn work(
    app: App,
    config: &Config,
    context: &Context,
    written: broadcast::Receiver<Arc<LogOutput>>,
) -> Result<(), Exit> {
    let common = &context.common;
    let listen = &common.server;
    let (auditor, writer) = audit::open(app.store.clone(), config.audit.keep.get(), &common.data_dir);
    let audited = CancellationToken::new();
    let writer = tokio::spawn(writer.run(audited.clone()));
    let layers = ServerLayers {
        host_origin_guard: Arc::new(server::host_origin_guard(
            &listen.host,
            &listen.allowed_hosts,
            &listen.allowed_origins,
        )?),
        keys: Arc::clone(&app.keys),
        auditor,
    };
    let fleet = app.fleet.clone();
    api::proxy::adopt(&app).await;
    let mut started = None;
    if config.services.autostart {
        // The outcome is in the log and in the status.
        started = Some(api::proxy::begin(&app).await);
    } else {
        tracing::info!(
            "the services are not running; start them with `POST /api/proxy/start`, or use `--autostart true`"
        );
    }
    let watched = app.store.clone();
    let rebuilt = api::proxy::reload(app.clone(), config.services.reload);
    let (sockets, broadcaster, tails) =
        events::open(&app, Arc::clone(&layers.keys), Arc::clone(&layers.host_origin_guard));
    let publish = Box::pin(events::publish(app.clone(), broadcaster, tails, written, context.shutdown.drain_token()));
    let announce = format!("API Server listening on {}", context.url());
    let service = TowerToHyperService::new(server::app(app, &layers, sockets));
    let welcome = async {
        if let Some(started) = started.filter(|_| config.services.welcome) {
            // Without an answer of the database, the message is that for an installation without keys.
            let issued = api_keys::list(&watched, Page { limit: 0, offset: 0 }).await.map_or(0, |keys| keys.total);
            let needed = welcome::Needed {
                client_key: issued > 0 || !common.auth.client_keys.is_empty(),
                control_token: requires_token(config, context),
            };
            welcome::print(context.scheme(), context.listener.local_addr(), &fleet, started, needed).await;
        }
        std::future::pending::<Result<(), Exit>>().await
    };
    let level = async {
        let set = |[level]: [Option<&str>; 1]| context.log.set_named(level, common.log.level);
        settings::watch(&watched, ["logging.level"], set).await;
        std::future::pending::<Result<(), Exit>>().await
    };
    let events = async {
        publish.await;
        std::future::pending::<Result<(), Exit>>().await
    };
    let served = tokio::select! {
        served = signalbox_daemon::serve(context, &announce, service) => served,
        never = rebuilt => match never {},
        never = welcome => never,
        never = events => never,
        never = level => never,
    };
    audited.cancel();
    if tokio::time::timeout(AUDIT_FLUSH_TIMEOUT, writer).await.is_err() {
        tracing::warn!("the last requests are missing in the audit log, because the database is slow");
    }
    served
}

/// Returns the control token of this API, if one is required. Client keys do not open it: they permit the use of
/// models, but not changing where the providers' keys are sent.
fn control_keys(config: &Config, context: &Context) -> Result<ClientKeys, Exit> {
    let Context { common, .. } = context;
    if !requires_token(config, context) {
        return Ok(ClientKeys::of(&[]));
    }
    if !config.api.token.expose().is_empty() {
        return Ok(ClientKeys::of(std::slice::from_ref(&config.api.token)));
    }
    let (token, made) = control_token(&common.data_dir)?;
    if made {
        welcome::print_token(&token);
    }
    tracing::info!(file = CONTROL_TOKEN_FILE, "clients need the control token; `api-server token` prints it");
    Ok(ClientKeys::of(&[token]))
}

/// Returns the name of this machine, or an empty text if it has none.
fn host_name() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = || ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
    told.or_else(named).unwrap_or_default().trim().to_owned()
}

/// Returns whether clients need the control token.
fn requires_token(config: &Config, context: &Context) -> bool {
    config.api.require_token || !context.common.auth.client_keys.is_empty()
}

/// Returns the record by which other processes find this server.
fn record(config: &Config, context: &Context) -> InstanceRecord {
    InstanceRecord {
        identity: Identity::own(),
        addr: context.listener.local_addr(),
        version: context.version.to_owned(),
        started_at: unix_ms(),
        args: std::env::args().skip(1).collect(),
        requires_token: requires_token(config, context),
        tls: context.tls.is_some(),
    }
}

/// Returns the key that authenticates us to children of an earlier api-server.
#[cfg(unix)]
fn adoption_key(data_dir: &Path) -> Result<Option<Key>, Exit> {
    Key::load(&signalbox_daemon::adoption::run_dir(data_dir)).map(Some)
}

/// Returns `None`: children are not adopted on this platform.
#[cfg(not(unix))]
const fn adoption_key(_: &Path) -> Result<Option<Key>, Exit> {
    Ok(None)
}

fn fleet_config(config: &Config, context: &Context, key: Option<Key>) -> fleet::Config {
    let common = &context.common;
    let services = &config.services;
    let mut args: Vec<OsString> = vec![
        "--log-level".into(),
        common.log.level.as_str().into(),
        "--log-format".into(),
        common.log.format.as_str().into(),
    ];
    if common.auth.insecure_no_auth {
        args.push("--insecure-no-auth".into());
    }
    if context.tls.is_some() {
        let tls = [("--tls-cert", &common.tls.cert), ("--tls-key", &common.tls.key)];
        args.extend(tls.into_iter().flat_map(|(flag, path)| [flag.into(), path.clone().into_os_string()]));
    }
    let lists = [
        ("ALLOWED_HOSTS", common.server.allowed_hosts.join(",")),
        ("ALLOWED_ORIGINS", common.server.allowed_origins.join(",")),
        ("TRUSTED_PROXIES", common.server.trusted_proxies.join(",")),
        ("LOG_ACCESS", common.log.access.as_str().to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", common.log.otlp_endpoint.clone()),
    ];
    let mut env: Vec<(OsString, OsString)> =
        lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name.into(), list.into())).collect();
    let keys: Vec<&str> = common.auth.client_keys.iter().map(|key| key.expose().as_str()).collect();
    // The URL may contain a password.
    let mut secrets = vec![("DATABASE_URL".to_owned(), common.database.url.clone())];
    if !keys.is_empty() {
        secrets.push(("CLIENT_KEYS".to_owned(), Secret::new(keys.join(","))));
    }
    for Variable { name, is_secret } in FORWARDED {
        match variable(name) {
            Some(value) if is_secret => secrets.push((name.to_owned(), Secret::new(value))),
            Some(value) => env.push((name.into(), value.into())),
            None => {}
        }
    }
    fleet::Config {
        programs: programs(services),
        host: common.server.host.clone(),
        router_port: services.router_port,
        qwen_port: services.qwen_port,
        workers: services.workers,
        guarded: !common.auth.client_keys.is_empty() || common.auth.insecure_no_auth,
        auto_port: services.auto_port,
        data_dir: common.data_dir.clone(),
        args,
        env,
        secrets,
        limits: Limits {
            startup: services.startup_timeout.get(),
            grace: services.stop_grace.get(),
            restart_delay: services.restart_delay.get(),
            restart_delay_max: services.restart_delay_max.get(),
            restart_limit: services.restart_limit.get(),
            restart_reset: services.restart_reset.get(),
            probe_interval: services.probe_interval.get(),
            probe_failures: services.probe_failures.get(),
            memory_patience: services.memory_patience.get(),
            ..Limits::default()
        },
        router_resources: services.router.resources(),
        qwen_resources: services.qwen.resources(),
        orphan_grace: services.orphan_grace.get(),
        key,
    }
}

fn programs(services: &config::Services) -> Programs {
    let named = |path: &str| if path.is_empty() { None } else { Some(path.into()) };
    Programs {
        router: named(&services.router_program),
        qwen: named(&services.qwen_program),
        location: ProgramLocation::detect(),
    }
}
