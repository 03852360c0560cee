//! Start and stop of the service: assembles the router, serves until shutdown, and closes the journal and the database.

use std::sync::Arc;

use signalbox_daemon::{
    ClientKeys, Context, Entry, Exit, RequestSigner, ServiceSigner, TokenRequirement, admin::ShutdownControl,
    config::Size, listener::exposed, service_sealing_key, variable,
};
use signalbox_store::audit::{Actor, with_actor};
use signalbox_store::catalog::{KnownKeys, load_since};
use signalbox_store::{Sealer, Store, seal_stored, settings};
use signalbox_upstream::Client;
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    task::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    api::mirror::MAX_COPIES,
    app::App,
    body_memory::BodyMemory,
    cache::AnswerCache,
    catalog::{Catalog, Refresher, Snapshot},
    cli,
    config::Config,
    entry::RouterPolicy,
    guard::{self, Guard},
    journal::{self, Journal},
    ledger::{Budgets, Ledger},
    live::LiveRequests,
    management::Management,
    metrics::Metrics,
    model_lists,
    prices::Prices,
    qwen_proxy::QwenProxy,
    random::Seeds,
    retry_budget::RetryBudget,
    server::Server,
    streams::Streams,
};

/// Maximum time for which shutdown waits until the database has taken the rest of the journal. The remainder is loaded
/// at the next start.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time for the end of the copies of requests for mirrors, and of streams without a client, after the cut.
const REST_TIMEOUT: Duration = Duration::from_secs(2);

/// Divisor of `limits.max_in_flight`: so many of the requests in flight may wait for limits and budgets at the same time.
/// The rest is left to requests that need not wait.
const WAITING_SHARE: usize = 2;
/// Maximum time for which the start waits until budgets know what was spent before: the loader first writes what an
/// earlier process has left in its journal.
const SEED_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until shutdown.
///
/// # Errors
/// Returns the reason why the router cannot start, with its exit code.
pub async fn run(config: Config, context: Context) -> Result<(), Exit> {
    config.limits.check()?;
    config.streams.check()?;
    let keys = config.private_keys.all_keys(&context.common.auth)?;
    let key = service_sealing_key(&context).await?;
    let sealer = Sealer::new(&key);
    let (store, qwen_proxy) = open_store(&config, &context, &sealer).await?;
    let policy = config.upstream.policy();
    let metrics = Arc::new(Metrics::default());
    let reading = Instant::now();
    let read = load_since(&store, &KnownKeys::default()).await;
    let (mut rows, issued, known) = read.map_err(|error| Exit::of_database(error.exit_code(), error))?;
    rows.keys = issued.rows;
    let prices = Prices::shipped().map_err(|mistakes| Exit::Config(format!("the shipped prices: {mistakes}")))?;
    prices.update(rows.imported_prices.as_deref(), rows.prices.as_deref());
    let max_in_flight = config.limits.max_in_flight.min(Semaphore::MAX_PERMITS);
    let ledger = Arc::new(Ledger::new(max_in_flight / WAITING_SHARE));
    ledger.update(&rows.keys, &Budgets::read(&rows.settings), &rows.routes);
    let keys = guarded(keys, rows.keys.len(), &context)?.with_services(ServiceSigner::new(&key));
    let asking = guard::asking(&rows.routes, &rows.keys);
    let snapshot = Snapshot::new(rows, &sealer, &policy, &metrics, qwen_proxy.current().await);
    let catalog = Arc::new(Catalog::new(snapshot));
    metrics.catalog_reloaded(reading.elapsed());
    let refresher = Refresher::new(
        Arc::clone(&catalog),
        store.clone(),
        sealer.clone(),
        policy,
        Arc::clone(&metrics),
        prices.clone(),
        Arc::clone(&ledger),
        qwen_proxy,
    );
    let refresher = Arc::new(refresher.with_known(known));
    let watched = Arc::clone(&refresher);
    let watch = tokio::spawn(async move { watched.watch().await });
    let level = watch_level(&store, &context);
    let kept = (Arc::clone(&metrics), prices.clone(), Arc::clone(&ledger));
    let (journal, loader) = open_journal(&config, &context, &store, kept)?;

    let client = client(&config, &context)?;
    let guard = Guard::new(&config.guard, client.clone()).map_err(Exit::Config)?;
    guard.warn_of(&asking);
    let cache = Arc::new(AnswerCache::new(&config.cache));
    let services = ServiceSigner::new(&key);
    let shown = (store.clone(), sealer, services.clone());
    let refreshed = (Arc::clone(&catalog), Arc::clone(&refresher));
    let live = Arc::new(LiveRequests::new(Arc::clone(&metrics.totals), context.shutdown.abort_token()));
    let of_requests = (client.clone(), Arc::clone(&cache));
    let management = Management::new(&config, &context, shown, (refreshed, Arc::clone(&live)), of_requests);
    if ledger.has_budgets() && !ledger.seeded(SEED_TIMEOUT).await {
        tracing::warn!("what was spent before the start cannot be read yet, budgets begin with what is known");
    }
    let app = Arc::new(App {
        catalog: Arc::clone(&catalog),
        refresher,
        client,
        retries: RetryBudget::default(),
        seeds: Seeds::default(),
        journal,
        store: store.clone(),
        control: ShutdownControl::new(TokenRequirement::new(
            &context,
            config.management.require_token || !keys.is_empty(),
        )),
        signer: RequestSigner::new(&key),
        services,
        entry: Entry::new(
            Arc::new(context.common.server.host_origin_guard()),
            Arc::new(keys),
            RouterPolicy { catalog: Some(Arc::clone(&catalog)) },
        ),
        ledger: Arc::clone(&ledger),
        guard,
        cache,
        reasoning: Arc::default(),
        owners: Arc::default(),
        streams: Arc::new(Streams::new(&config.streams, context.shutdown.drain_token())),
        prices,
        configured: config.upstream.deadlines(),
        max_preamble: config.upstream.preamble_timeout.get(),
        metrics,
        max_in_flight,
        in_flight: Arc::new(Semaphore::new(max_in_flight)),
        mirrors: Arc::new(Semaphore::new(MAX_COPIES)),
        live,
        max_body: config.limits.max_body.as_usize(),
        body_memory: BodyMemory::new(config.limits.max_body_memory.map(Size::bytes)),
        abort_streams: context.shutdown.abort_token(),
        shutdown: context.shutdown.clone(),
        instance: context.instance.clone(),
        started: Instant::now(),
    });
    let served = serve(app, management, &context).await;
    // All connections are closed, and with them all journal entries, so the loader reaches the end of the journal.
    watch.abort();
    level.abort();
    loader.finish(LOAD_TIMEOUT).await;
    store.close().await;
    served
}

/// Opens the database, and imports what an installation of the Node.js version has left. Returns the qwen-proxy beside
/// the router as well, which an imported provider may mean.
async fn open_store(config: &Config, context: &Context, sealer: &Sealer) -> Result<(Store, QwenProxy), Exit> {
    let store = Store::open(context.common.database.url.expose())
        .await
        .map_err(|error| Exit::of_database(error.exit_code(), error))?;
    seal_stored(&store, sealer).await;
    let supervised_in = context.supervised.then_some(&*context.common.data_dir);
    let qwen_proxy = QwenProxy::new(supervised_in, variable)?;
    with_actor(Actor::program(), cli::import_once(&store, sealer, config, &context.common, &qwen_proxy)).await;
    Ok((store, qwen_proxy))
}

/// Sets the log level whenever its setting is changed.
fn watch_level(store: &Store, context: &Context) -> JoinHandle<()> {
    let (store, log, configured) = (store.clone(), context.log.clone(), context.common.log.level);
    tokio::spawn(async move {
        settings::watch(&store, ["logging.level"], |[level]| log.set_named(level, configured)).await;
    })
}

/// Opens the journal, and starts the thread that loads it into the database.
fn open_journal(
    config: &Config,
    context: &Context,
    store: &Store,
    (metrics, prices, ledger): (Arc<Metrics>, Prices, Arc<Ledger>),
) -> Result<(Journal, journal::Running), Exit> {
    let (data_dir, runtime) = (&context.common.data_dir, Handle::current());
    let shards = runtime.metrics().num_workers();
    let opened = Journal::open(data_dir, &context.instance, shards, config.journal.clone());
    let (journal, loader) = opened.map_err(|error| {
        Exit::CannotOpen(format!("the request log in {} cannot be opened: {error}", data_dir.display()))
    })?;
    let loader = loader
        .spawn(store.clone(), config.retention, metrics, prices, ledger, runtime)
        .map_err(|error| Exit::Temporary(format!("cannot start the loader of the request log: {error}")))?;
    Ok((journal, loader))
}

/// Creates the client of all providers.
fn client(config: &Config, context: &Context) -> Result<Client, Exit> {
    let settings = config.upstream.client(context.listener.addresses());
    settings.and_then(|settings| Client::new(&settings)).map_err(|error| Exit::Config(error.to_string()))
}

/// Serves until shutdown, and waits within bounds for answers that no connection reads.
async fn serve(app: Arc<App>, management: Management, context: &Context) -> Result<(), Exit> {
    let (streams, mirrors) = (Arc::clone(&app.streams), Arc::clone(&app.mirrors));
    let abort = context.shutdown.abort_token();
    let lists = tokio::spawn(model_lists::keep_updated(Arc::clone(&app)));
    let server = Server::new(app, Arc::new(management));
    let announce = format!("Server listening on {}", context.url());
    let service = hyper::service::service_fn(move |request| server.answer(request));
    let drained = tokio::spawn({
        let (shutdown, drain_timeout) = (context.shutdown.clone(), context.common.server.drain_timeout.get());
        async move {
            shutdown.draining().await;
            tokio::time::sleep(drain_timeout).await;
        }
    });
    let served = signalbox_daemon::serve(context, &announce, service).await;

    // Answers whose clients are away get a bounded time to end, within that of all requests.
    tokio::select! {
        () = streams.finished() => {}
        _ = drained => {}
        () = abort.cancelled() => {}
    }
    // No client waits for the copies for mirrors.
    abort.cancel();
    let copies = mirrors.acquire_many(u32::try_from(MAX_COPIES).unwrap_or_default());
    let rest = async { tokio::join!(copies, streams.finished()) };
    tokio::time::timeout(REST_TIMEOUT, rest).await.ok();
    lists.abort();
    served
}

/// Checks that keys guard an address that other machines can reach, and says whether keys are needed. `issued` is the
/// number of keys in the table `api_keys`.
///
/// # Errors
/// Returns [`Exit::Config`] if other machines could send requests without a key.
fn guarded(keys: ClientKeys, issued: usize, context: &Context) -> Result<ClientKeys, Exit> {
    let is_open = context.common.auth.insecure_no_auth;
    if keys.is_empty() && issued > 0 {
        tracing::info!(keys = issued, "requests need a client key, because keys have been created");
    }
    match context.listener.beyond_loopback() {
        Some(addr) if !is_open && keys.is_empty() && issued == 0 => Err(Exit::Config(exposed(addr.ip()))),
        // Also when the last key has been deleted.
        Some(_) if !is_open => Ok(keys.always_needed()),
        Some(addr) if keys.is_empty() && issued == 0 => {
            tracing::warn!(ip = %addr.ip(), "other machines can reach this port, and no client key is required");
            Ok(keys)
        }
        _ => Ok(keys),
    }
}
