//! Start and stop of the service: assembles the router, serves until shutdown, and closes the journal and the database.

use std::sync::Arc;

use signalbox_daemon::{Context, Entry, Exit, RequestSigner, admin::ShutdownControl, sealing_key, variable};
use signalbox_store::audit::{Actor, with_actor};
use signalbox_store::{Sealer, Store, seal_stored, settings};
use signalbox_upstream::Client;
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    time::{Duration, Instant},
};

use crate::{
    app::App,
    catalog::{Catalog, Refresher, Snapshot},
    cli,
    config::Config,
    entry::RouterPolicy,
    journal::Journal,
    management::Management,
    metrics::Metrics,
    model_lists,
    prices::Prices,
    private_keys::PrivateKeys,
    qwen_proxy::QwenProxy,
    server::Server,
};

/// Maximum time for which shutdown waits until the database has taken the rest of the journal. The remainder is loaded
/// at the next start.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until shutdown.
///
/// # Errors
/// Returns the reason why the router cannot start, with its exit code.
pub async fn run(config: Config, context: Context) -> Result<(), Exit> {
    config.limits.check()?;
    let keys = config.private_keys.all_keys(&context.common.auth)?;
    let key = sealing_key(&context.common.data_dir)?;
    let sealer = Sealer::new(&key);
    let store = Store::open(context.common.database.url.expose())
        .await
        .map_err(|error| Exit::of_database(error.exit_code(), error))?;
    seal_stored(&store, &sealer).await;
    let supervised_in = context.supervised.then_some(&*context.common.data_dir);
    let qwen_proxy = QwenProxy::new(supervised_in, variable)?;
    with_actor(Actor::program(), cli::import_once(&store, &sealer, &config, &context.common, &qwen_proxy)).await;
    let policy = config.upstream.policy();
    let metrics = Arc::new(Metrics::default());
    let rows =
        signalbox_store::catalog::load(&store).await.map_err(|error| Exit::of_database(error.exit_code(), error))?;
    let prices = Prices::shipped().map_err(|mistakes| Exit::Config(format!("the shipped prices: {mistakes}")))?;
    prices.set_overrides(rows.prices.as_deref());
    let snapshot = Snapshot::new(rows, &sealer, &policy, &metrics, qwen_proxy.current().await);
    let catalog = Arc::new(Catalog::new(snapshot));
    let refresher = Arc::new(Refresher::new(
        Arc::clone(&catalog),
        store.clone(),
        sealer.clone(),
        policy,
        Arc::clone(&metrics),
        prices.clone(),
        qwen_proxy,
    ));
    let watch = tokio::spawn({
        let refresher = Arc::clone(&refresher);
        async move { refresher.watch().await }
    });

    let level = tokio::spawn({
        let (store, log, configured) = (store.clone(), context.log.clone(), context.common.log.level);
        async move { settings::watch(&store, ["logging.level"], |[level]| log.set_named(level, configured)).await }
    });

    let shards = Handle::current().metrics().num_workers();
    let (journal, loader) = Journal::open(&context.common.data_dir, &context.instance, shards, config.journal.clone())
        .map_err(|error| {
            Exit::CannotOpen(format!(
                "the request log in {} cannot be opened: {error}",
                context.common.data_dir.display()
            ))
        })?;
    let loader = loader
        .spawn(store.clone(), config.retention, Arc::clone(&metrics), prices, Handle::current())
        .map_err(|error| Exit::Temporary(format!("cannot start the loader of the request log: {error}")))?;

    let client = config.upstream.client(context.listener.addresses());
    let client = client.and_then(|settings| Client::new(&settings)).map_err(|error| Exit::Config(error.to_string()))?;
    let (shown, refreshed) = ((store.clone(), sealer), (Arc::clone(&catalog), Arc::clone(&refresher)));
    let management = Arc::new(Management::new(&config, &context, shown, refreshed, client.clone()));
    let max_in_flight = config.limits.max_in_flight.min(Semaphore::MAX_PERMITS);
    let app = Arc::new(App {
        catalog,
        refresher,
        client,
        journal,
        store: store.clone(),
        control: ShutdownControl::new(&context.common.data_dir, &keys),
        signer: RequestSigner::new(&key),
        entry: Entry::new(Arc::new(context.common.server.host_origin_guard()), Arc::new(keys), RouterPolicy),
        private_keys: PrivateKeys::new(&config.private_keys),
        configured: config.upstream.deadlines(),
        max_preamble: config.upstream.preamble_timeout.get(),
        metrics,
        max_in_flight,
        in_flight: Arc::new(Semaphore::new(max_in_flight)),
        max_body: config.limits.max_body.as_usize(),
        abort_streams: context.shutdown.abort_token(),
        shutdown: context.shutdown.clone(),
        instance: context.instance.clone(),
        started: Instant::now(),
    });
    let lists = tokio::spawn(model_lists::keep_updated(Arc::clone(&app)));
    let server = Server::new(app, management);
    let announce = format!("Server listening on {}", context.url());
    let service = hyper::service::service_fn(move |request| server.answer(request));
    let served = signalbox_daemon::serve(&context, &announce, service).await;

    // All connections are closed, and with them all journal entries, so the loader reaches the end of the journal.
    watch.abort();
    lists.abort();
    level.abort();
    loader.finish(LOAD_TIMEOUT).await;
    store.close().await;
    served
}
