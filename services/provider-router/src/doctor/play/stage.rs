//! The stage of a route: a router process of its own, with a temporary data directory in which each scene has a copy of
//! the route and of its providers, so that no scene sees the breakers of another one.

use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::{Value, json};
use signalbox_core::{
    schema::{
        ApiKeyFields, BudgetPeriod, ConfigValue, KeyBudget, KeyGrant, NewApiKey, NewProvider, NewRoute, RouteTarget,
    },
    secret::Secret,
};
use signalbox_daemon::{NewKey, control_token, sealing_key, variable};
use signalbox_store::{
    Sealer, Store, api_keys,
    catalog::{self, Change},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::Mutex as AsyncMutex,
    task::JoinSet,
    time::{Duration, timeout},
};

use super::{
    client::Caller,
    directory::Directory,
    fake::{Fakes, Serving},
    route::{Played, divided},
};
use crate::{clock::unix_ms, config::Config};

/// Maximum time for the start of the router.
const START: Duration = Duration::from_secs(15);
/// Beginning of the key of all fakes, which must never be seen by a client or in a log.
pub(super) const CANARY: &str = "sk-doctor-canary-";
/// Budget of the second key in dollars, and the price of an answer of a fake in it.
pub(super) const BUDGET_USD: f64 = 0.31;
pub(super) const ANSWER_USD: f64 = 0.06;
/// Requests that fill the budget of repeated attempts, which all scenes share, and how many of them are sent at once.
const WARM_UP: usize = 950;
const AT_ONCE: usize = 32;
/// Variables that the router inherits. Others could lead it out of the stage.
const INHERITED: [&str; 5] = ["PATH", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT"];
/// Variable with the key for secrets, with which the temporary database is written.
const KEY_VARIABLE: &str = "SIGNALBOX_KEY";

/// A router with its fakes.
pub(super) struct Stage {
    pub(super) route: Played,
    pub(super) caller: Caller,
    /// A key with a budget of [`BUDGET_USD`].
    pub(super) poor: Caller,
    pub(super) store: Store,
    pub(super) sealer: Sealer,
    pub(super) fakes: Arc<Fakes>,
    pub(super) pid: Option<u32>,
    /// Ids of the requests whose answers clients have seen to the end.
    seen: Mutex<Vec<String>>,
    child: AsyncMutex<Child>,
    dir: Directory,
    _serving: Serving,
}

// === impl Stage ===

impl Stage {
    /// Starts a router for these scenes.
    ///
    /// # Errors
    /// Returns the reason why it cannot be started.
    pub(super) async fn start(
        route: Played,
        scenes: &[&str],
        config: &Config,
        timeouts: Option<&str>,
    ) -> anyhow::Result<Self> {
        let dir = Directory::create().context("no temporary directory")?;
        let (fakes, serving) = Fakes::start().await.context("no port on loopback")?;
        let sealer = Sealer::new(&sealing_key(dir.path())?);
        let store = Store::open(&database_url(dir.path())).await?;
        let version = catalog::version(&store).await?;
        let mut changes = changes(&route, scenes, &fakes);
        changes.extend(timeouts.map(|timeout| setting("server.timeout", timeout)));
        if !catalog::change(&store, &sealer, version, &changes, unix_ms()).await? {
            bail!("the temporary database was changed by another process");
        }
        let key = add_key(&store, "doctor", None).await?;
        let budget = KeyBudget { amount_usd: BUDGET_USD, period: BudgetPeriod::Total };
        let poor = add_key(&store, "budget", Some(budget)).await?;
        // The token has to exist before the router is asked to stop.
        control_token(dir.path())?;
        std::fs::write(dir.path().join("provider-router.toml"), settings(config))?;
        let (child, addr) = spawn(dir.path()).await?;
        Ok(Self {
            caller: Caller { addr, key },
            poor: Caller { addr, key: poor },
            store,
            sealer,
            fakes,
            pid: child.id(),
            seen: Mutex::default(),
            child: AsyncMutex::new(child),
            dir,
            route,
            _serving: serving,
        })
    }

    /// Sends requests to the built-in echo, until repeated attempts have their largest budget.
    pub(super) async fn warm_up(&self) {
        if self.route.plan.retries.is_none_or(|retries| retries == 0) {
            return;
        }
        let body = json!({"model": "echo/echo", "messages": [{"role": "user", "content": "x"}]}).to_string();
        for _ in 0..WARM_UP.div_ceil(AT_ONCE) {
            let mut sent = JoinSet::new();
            for _ in 0..AT_ONCE {
                let (caller, body) = (self.caller.clone(), Bytes::from(body.clone()));
                sent.spawn(async move {
                    caller.send("/v1/chat/completions", body, START).await;
                });
            }
            sent.join_all().await;
        }
    }

    /// Remembers a request whose answer has been seen to the end.
    pub(super) fn saw(&self, id: String) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// Returns the ids of the requests whose answers have been seen to the end.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the output of the router so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr.log")).unwrap_or_default()
    }

    /// Returns the files of the database.
    pub(super) fn database_files(&self) -> Vec<PathBuf> {
        ["", "-wal"].iter().map(|end| self.dir.path().join(format!("signalbox.db{end}"))).collect()
    }

    /// Asks the router to stop, and waits until it has ended.
    pub(super) async fn stop(&self, limit: Duration) -> Option<ExitStatus> {
        let (token, _) = control_token(self.dir.path()).ok()?;
        let caller = Caller { addr: self.caller.addr, key: token.expose().clone() };
        caller.send("/v1/admin/shutdown", Bytes::from_static(b"{}"), limit).await;
        timeout(limit, self.child.lock().await.wait()).await.ok()?.ok()
    }

    /// Ends the router, however it is.
    pub(super) async fn clear(self) {
        let mut child = self.child.into_inner();
        // It has ended already if it was asked to.
        let _ = child.kill().await;
        self.store.close().await;
    }
}

fn database_url(dir: &Path) -> String {
    let path = dir.join("signalbox.db").display().to_string().replace('\\', "/");
    if path.starts_with('/') { format!("sqlite://{path}") } else { format!("sqlite:///{path}") }
}

fn setting(key: &str, value: &str) -> Change {
    Change::Setting { key: key.to_owned(), value: value.to_owned() }
}

/// Returns the providers, routes and prices of all scenes.
fn changes(route: &Played, scenes: &[&str], fakes: &Fakes) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut prices = Vec::new();
    for scene in scenes {
        for (place, provider) in route.providers.iter().enumerate() {
            let id = provider_id(scene, &place.to_string());
            changes.push(Change::Provider(NewProvider {
                id: id.clone(),
                name: id.clone(),
                kind: provider.kind.clone(),
                enabled: true,
                priority: 0,
                description: None,
            }));
            let own = [("baseURL", fakes.url(scene, place).into()), ("apiKey", format!("{CANARY}{id}").into())];
            for (key, value) in provider.config.iter().cloned().chain(own) {
                changes.push(config(&id, key, &value));
            }
            // An answer of the usual length costs `ANSWER_USD`; the numbers of the scene about costs are smaller.
            let base = if *scene == "p15" {
                json!({"in": "0.001", "out": "1000"})
            } else {
                json!({"in": "1", "cr": "0.1", "out": "2"})
            };
            prices.push(json!({"id": format!("doctor-{id}"), "provider_id": id, "match": ["*"], "base": base}));
        }
        changes.push(Change::Route(new_route(route, scene, scene)));
    }
    changes.push(Change::Prices(json!({ "prices": prices }).to_string()));
    changes
}

fn config(provider: &str, key: &str, value: &Value) -> Change {
    let value =
        ConfigValue { key: key.to_owned(), value: Secret::new(value.to_string()), is_sensitive: key == "apiKey" };
    Change::Config { provider_id: provider.to_owned(), value }
}

/// Returns the id of a provider in a scene.
fn provider_id(scene: &str, place: &str) -> String {
    format!("{scene}-{place}")
}

/// Returns the route of a scene, with the id and the model name of the scene.
pub(super) fn new_route(route: &Played, scene: &str, id: &str) -> NewRoute {
    let mut plan = route.plan.clone();
    for target in &mut plan.targets {
        let RouteTarget { provider, .. } = target;
        *provider = provider_id(scene, provider);
    }
    NewRoute { id: id.to_owned(), model: scene.to_owned(), enabled: true, plan }
}

async fn add_key(store: &Store, name: &str, budget: Option<KeyBudget>) -> anyhow::Result<String> {
    let NewKey { key, hint, digest } = NewKey::generate()?;
    let fields =
        ApiKeyFields { name: name.to_owned(), grant: KeyGrant { budget, ..KeyGrant::default() }, expires_at: None };
    let id = uuid::Uuid::now_v7().to_string();
    api_keys::insert(store, &NewApiKey { id, hint, digest, fields }, unix_ms()).await?;
    Ok(key.expose().clone())
}

/// Returns the configuration file of the router: the deadlines of the user's, divided.
fn settings(config: &Config) -> String {
    let deadlines = config.upstream.deadlines();
    let millis = |span: Duration| divided(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    format!(
        "[upstream]\nconnect_timeout = \"{}ms\"\nheaders_timeout = \"{}ms\"\nidle_timeout = \"{}ms\"\n\
         total_timeout = \"{}ms\"\npreamble_timeout = \"{}ms\"\n",
        deadlines.connect.as_millis().max(1_000),
        millis(deadlines.headers),
        millis(deadlines.idle),
        millis(deadlines.total),
        millis(config.upstream.preamble_timeout.get()),
    )
}

/// Starts this program as a router, and waits until it listens.
async fn spawn(dir: &Path) -> anyhow::Result<(Child, std::net::SocketAddr)> {
    let program = std::env::current_exe().context("the path of this program is unknown")?;
    let log = std::fs::File::create(dir.join("stderr.log"))?;
    let mut command = Command::new(program);
    let inherited = INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    command.env_clear().envs(inherited).env("HOME", dir);
    command.envs(variable(KEY_VARIABLE).map(|key| (KEY_VARIABLE, key)));
    command.args(["--port", "0", "--log-level", "warn"]).arg("--data-dir").arg(dir);
    // It ends with its standard input, which the child holds: so it does not outlive this process, however that ends.
    command.env("SIGNALBOX_SUPERVISED", "1").stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
    let mut child = command.spawn().context("the router of the run cannot be started")?;
    let Some(stdout) = child.stdout.take() else { bail!("the router of the run has no output") };
    let mut lines = BufReader::new(stdout).lines();
    let line = timeout(START, lines.next_line()).await.unwrap_or_else(|elapsed| Err(io::Error::from(elapsed)));
    let Some(addr) = line.ok().flatten().and_then(|line| address(&line)) else {
        let log = std::fs::read_to_string(dir.join("stderr.log")).unwrap_or_default();
        bail!("the router of the run does not listen: {}", log.lines().last().unwrap_or("it said nothing"));
    };
    // Its output is read until it ends, so that it never waits for a reader.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, addr))
}

/// Returns the address in the status line of a supervised service.
fn address(line: &str) -> Option<std::net::SocketAddr> {
    serde_json::from_str::<Value>(line).ok()?["addr"].as_str()?.parse().ok()
}
