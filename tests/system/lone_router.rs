//! provider-router alone, with a fake provider and without a supervisor, so that tests can kill and restart it.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use signalbox_core::{
    schema::{ConfigValue, NewProvider, Request, RequestStatus, Response},
    secret::Secret,
};
use signalbox_daemon::sealing_key;
use signalbox_fakes::FakeProvider;
use signalbox_harness::{Client, Home, Launch, Process, Router, eventually, steadily};
use signalbox_store::{
    Page, Sealer, Store, providers,
    requests::{self, Filter, RequestKey},
};

/// The router, its database, and a fake provider named `fake`: its model `m` is requested as `fake/m`.
pub(crate) struct LoneRouter {
    launch: Launch,
    database: String,
    /// `None` between a kill and the next start.
    router: Option<Router>,
    /// The log, opened independently of the router.
    pub(crate) store: Store,
    pub(crate) fake: FakeProvider,
}

// === impl LoneRouter ===

impl LoneRouter {
    /// Starts it on SQLite in the home of `launch`.
    pub(crate) async fn launch(launch: Launch) -> Self {
        let database = format!("sqlite://{}", launch.home_dir().data().join("signalbox.db").display());
        Self::begin(launch, database).await
    }

    /// Starts it on PostgreSQL.
    pub(crate) async fn launch_on(database: String, launch: Launch) -> Self {
        Self::begin(launch.database(&database), database).await
    }

    /// Starts it on SQLite with this configuration (TOML).
    pub(crate) async fn configured(toml: &str) -> Self {
        Self::launch(Launch::default().config("provider-router", toml)).await
    }

    async fn begin(launch: Launch, database: String) -> Self {
        let fake = FakeProvider::start().await.unwrap();
        // The router is started first so that its user owns the database files.
        let router = Router::start(launch.clone()).await;
        let store = Store::open(&database).await.unwrap();
        let lone = Self { launch, database, router: Some(router), store, fake };
        lone.add_provider("fake", &lone.fake.url()).await;
        lone
    }

    /// Kills the router with SIGKILL.
    pub(crate) async fn kill9(&mut self) {
        // Drop the handle as well: dropped later, it would end the next process in this home.
        if let Some(mut router) = self.router.take() {
            router.process.kill9().await;
        }
    }

    /// Ends the router with a signal and waits until it has ended.
    pub(crate) async fn stop(&mut self, signal: Signal) {
        if let Some(mut router) = self.router.take() {
            router.process.signal(signal);
            router.process.wait_exit().await;
        }
    }

    /// Starts the router again with the present contents of its directory.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.router.is_none(), "it runs");
        self.router = Some(Router::start(self.launch.clone()).await);
        self.store.close().await;
        self.store = Store::open(&self.database).await.unwrap();
    }

    /// Adds a provider and waits until the router has it.
    pub(crate) async fn add_provider(&self, id: &str, base_url: &str) {
        let provider = NewProvider {
            id: id.into(),
            name: id.into(),
            kind: "openai".into(),
            enabled: true,
            priority: 50,
            description: None,
        };
        let config = |key: &str, value: &str, is_sensitive| ConfigValue {
            key: key.into(),
            value: Secret::new(json!(value).to_string()),
            is_sensitive,
        };
        let configs = [config("baseURL", base_url, false), config("apiKey", "sk-test-0123456789abcdef", true)];
        let sealer = Sealer::new(&sealing_key(&self.home().data()).unwrap());
        providers::insert(&self.store, &sealer, &provider, &configs, 1).await.unwrap();
        eventually("the router to load the provider", async || {
            let known = self.health().await["registeredProviders"].clone();
            known.as_array()?.iter().any(|known| known == id).then_some(())
        })
        .await;
    }

    pub(crate) fn home(&self) -> &Home {
        self.launch.home_dir()
    }

    pub(crate) fn client(&self) -> Client {
        self.running().client
    }

    pub(crate) fn process(&self) -> &Process {
        &self.running().process
    }

    fn running(&self) -> &Router {
        self.router.as_ref().unwrap()
    }

    pub(crate) async fn health(&self) -> Value {
        self.client().get("/health").await.expect(200).json()
    }

    /// Returns the value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.client().get("/metrics").await.expect(200).text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no metric {name} in\n{text}")).parse().unwrap()
    }

    /// Waits until no request holds any resource: neither a permit nor a connection to a provider in use.
    pub(crate) async fn becomes_idle(&self) {
        eventually("an idle router", async || {
            let connections = self.health().await["connections"].clone();
            let idle = connections["open"] == connections["idle"];
            (idle && self.metric("signalbox_requests_in_flight").await == 0).then_some(())
        })
        .await;
    }

    /// Returns a request from the log; `None` if it is missing or unfinished.
    pub(crate) async fn ended(&self, id: &str) -> Option<(Request, Option<Response>)> {
        match requests::get(&self.store, &RequestKey::Uuid(id.to_owned())).await {
            Ok(found) => Some(found).filter(|(request, _)| request.status != RequestStatus::Pending),
            Err(signalbox_store::Error::NotFound { .. }) => None,
            Err(error) => panic!("cannot read the log: {error}"),
        }
    }

    /// Waits until a request has ended in the log and returns it.
    pub(crate) async fn recorded(&self, id: &str) -> (Request, Option<Response>) {
        eventually(&format!("the end of request {id} in the log"), async || self.ended(id).await).await
    }

    /// Returns the number of rows in the log: all, or those with a status.
    pub(crate) async fn rows(&self, status: Option<RequestStatus>) -> usize {
        let filter = Filter { statuses: status.into_iter().collect(), ..Filter::default() };
        let page = Page { limit: 0, offset: 0 };
        usize::try_from(requests::list(&self.store, &filter, page).await.unwrap().total).unwrap()
    }

    /// Waits until the journals of all killed routers are loaded and removed. After many kills they may be large.
    pub(crate) async fn inherits_everything(&self) {
        let journal = self.home().data().join("journal");
        steadily("the journals left behind to be loaded", async || {
            let entries = std::fs::read_dir(&journal).unwrap().map(Result::unwrap);
            // Each router has a directory; the clock of the retention is a file.
            let left_behind = entries.filter(|entry| entry.path().is_dir()).count() - 1;
            let loaded = self.health().await["journal"]["loaded"].as_u64();
            if left_behind == 0 { Ok(()) } else { Err((left_behind, loaded)) }
        })
        .await;
    }
}

/// Returns the text of the first choice of a recorded answer; empty if the answer is missing or incomplete.
pub(crate) fn text_of(response: Option<&Response>) -> String {
    let json = response.and_then(|response| response.response_body.as_deref()).unwrap_or("null");
    let answer: Value = serde_json::from_str(json).unwrap_or_default();
    answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
}
