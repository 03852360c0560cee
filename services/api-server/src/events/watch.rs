//! Detection of changes.

use std::collections::BTreeMap;
use std::time::Duration;

use signalbox_core::schema::{ApiKey, Provider, Route, Setting};
use signalbox_daemon::clock::unix_s;
use signalbox_management::ModelView;
use signalbox_management::settings::requires_restart;
use signalbox_store::{Error, Page, Store, catalog, credentials, models, requests};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};

use super::changes::{Action, State, between};
use super::payload::NamedRequest;
use super::{Broadcaster, payload};
use crate::app::App;
use crate::fleet::Change;
use crate::status::status_value;

/// Polling interval of the tables. The router uses the same, so that a change is in effect when its event arrives.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum requests named in one event.
const MAX_NAMED_REQUESTS: i64 = 20;
/// Polls between two events about requests: at most one event per second.
const POLLS_PER_REQUEST_EVENT: u32 = 4;

/// Publishes changes of the children.
pub(super) async fn children(app: &App, broadcaster: &Broadcaster) {
    let mut fleet = app.fleet.clone();
    loop {
        let change = fleet.changed().await;
        if broadcaster.is_empty() {
            continue;
        }
        let status = status_value(app).await;
        broadcaster.emit_with_status(payload::LIFECYCLE, &payload::lifecycle(status.clone(), change == Change::Router));
        broadcaster.emit_with_status(payload::PROXY_STATUS, &payload::proxy_status(status));
    }
}

/// Publishes changes of the tables.
pub(super) async fn tables(app: &App, broadcaster: &Broadcaster) {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first state, from which changes are told.
    let mut known = loop {
        ticks.tick().await;
        if let Some(tables) = look(app, None, true).await {
            break tables;
        }
    };
    let mut reloads = app.reloads.subscribe();
    for count in 1_u32.. {
        tokio::select! {
            _ = ticks.tick() => {
                if let Some(tables) = look(app, Some(&known), count.is_multiple_of(POLLS_PER_REQUEST_EVENT)).await {
                    tables.emit(&known, broadcaster);
                    known = tables;
                }
            }
            reloaded = reloads.recv() => match reloaded {
                Ok(id) => {
                    broadcaster.emit(payload::PROVIDERS, &payload::providers(Action::Reloaded, &id, &known.rows()));
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

/// Reads the tables. Returns `None` if that fails: the status shows the failure already, and changes made meanwhile are
/// published when the database is back.
async fn look(app: &App, seen: Option<&Tables>, with_requests: bool) -> Option<Tables> {
    let read = Tables::load_changes(&app.store, seen, with_requests).await;
    read.inspect_err(|error| tracing::debug!(%error, "cannot watch the tables")).ok()
}

/// One state of the tables.
#[derive(Clone, Debug)]
struct Tables {
    catalog_version: i64,
    /// Provider ids in display order.
    order: Vec<String>,
    providers: State<Watched>,
    models: Vec<signalbox_core::schema::Model>,
    settings: State<String>,
    routes: State<Route>,
    keys: State<ApiKey>,
    /// The operator's document of prices.
    prices: Option<String>,
    credentials: Vec<credentials::Credential>,
    newest_request: i64,
    /// Requests since the last poll.
    requests: Vec<NamedRequest>,
}

/// A provider with its related rows, as far as their changes are published.
#[derive(Clone, Debug, PartialEq)]
struct Watched {
    row: Provider,
    config: Vec<(String, i64)>,
    models: Vec<(String, bool, Option<String>)>,
}

// === impl Tables ===

impl Tables {
    /// Reads the parts that may have changed since `seen`. Requests are read only if `with_requests`.
    async fn load_changes(store: &Store, seen: Option<&Self>, with_requests: bool) -> Result<Self, Error> {
        let version = catalog::version(store).await?;
        let mut tables = match seen {
            Some(seen) if seen.catalog_version == version => seen.clone(),
            _ => Self::load(store, seen).await?,
        };
        tables.credentials = credentials::list(store).await?;
        tables.requests = Vec::new();
        if with_requests {
            let newer = requests::newer_than(store, seen.map(|seen| seen.newest_request), MAX_NAMED_REQUESTS).await?;
            tables.newest_request = newer.last;
            tables.requests = newer.requests.iter().map(NamedRequest::from).collect();
        }
        Ok(tables)
    }

    async fn load(store: &Store, seen: Option<&Self>) -> Result<Self, Error> {
        let catalog = catalog::load(store).await?;
        let models = models::list(store, &models::Filter::default(), Page::ALL).await?.items;
        let order = catalog.providers.iter().map(|(row, ..)| row.id.clone()).collect();
        let providers = catalog.providers.into_iter().map(|(row, configs, links)| {
            let config = configs.into_iter().map(|config| (config.key, config.updated_at)).collect();
            let models = links.into_iter().map(|link| (link.model.id, link.is_default, link.config)).collect();
            (row.id.clone(), Watched { row, config, models })
        });
        let setting = |row: Setting| (row.key, row.value);
        Ok(Self {
            catalog_version: catalog.version,
            order,
            providers: providers.collect(),
            models,
            settings: catalog.settings.into_iter().map(setting).collect(),
            routes: catalog.routes.into_iter().map(|route| (route.id.clone(), route)).collect(),
            keys: catalog.keys.into_iter().map(|key| (key.id.clone(), key)).collect(),
            prices: catalog.prices,
            credentials: Vec::new(),
            newest_request: seen.map_or(0, |seen| seen.newest_request),
            requests: Vec::new(),
        })
    }

    /// Returns the providers in display order.
    fn rows(&self) -> Vec<Provider> {
        self.order.iter().filter_map(|id| self.providers.get(id)).map(|watched| watched.row.clone()).collect()
    }

    /// Publishes the differences from `before`.
    fn emit(&self, before: &Self, broadcaster: &Broadcaster) {
        if broadcaster.is_empty() {
            return;
        }
        if self.catalog_version != before.catalog_version {
            self.emit_catalog(before, broadcaster);
        }
        if self.credentials != before.credentials {
            let action = if self.credentials.is_empty() { Action::Deleted } else { Action::Updated };
            let active = self.credentials.iter().find(|credential| credential.active);
            let now_s = unix_s();
            let valid = active.is_some_and(|credential| !credential.is_expired(now_s));
            let expires_at = active.and_then(|credential| credential.expires_at);
            broadcaster.emit(payload::CREDENTIALS, &payload::credentials(action, valid, expires_at));
        }
        let count = self.newest_request - before.newest_request;
        if !self.requests.is_empty() {
            broadcaster.emit(payload::REQUESTS, &payload::requests(count, &self.requests));
        }
    }

    fn emit_catalog(&self, before: &Self, broadcaster: &Broadcaster) {
        let switched = |old: &Watched, new: &Watched| match (old.row.enabled, new.row.enabled) {
            (false, true) => Action::Enabled,
            (true, false) => Action::Disabled,
            _ => Action::Updated,
        };
        let rows = self.rows();
        for (id, action) in between(&before.providers, &self.providers, switched) {
            broadcaster.emit(payload::PROVIDERS, &payload::providers(action, &id, &rows));
        }
        let by_id = |tables: &Self| -> BTreeMap<_, _> {
            tables.models.iter().map(|model| (model.id.clone(), model.clone())).collect()
        };
        let models: Vec<_> = self.models.iter().cloned().map(ModelView::from).collect();
        for (id, action) in between(&by_id(before), &by_id(self), |_, _| Action::Updated) {
            broadcaster.emit(payload::MODELS, &payload::models(action, &id, &models));
        }
        for (key, action) in between(&before.settings, &self.settings, |_, _| Action::Updated) {
            let value = self.settings.get(&key).map(String::as_str);
            broadcaster.emit(payload::SETTINGS, &payload::setting(action, &key, value, requires_restart(&key)));
        }
        let switched = |old: &Route, new: &Route| match (old.enabled, new.enabled) {
            (false, true) => Action::Enabled,
            (true, false) => Action::Disabled,
            _ => Action::Updated,
        };
        for (id, action) in between(&before.routes, &self.routes, switched) {
            broadcaster.emit(payload::ROUTES, &payload::route(action, &id, self.routes.len()));
        }
        for (id, action) in between(&before.keys, &self.keys, |_, _| Action::Updated) {
            broadcaster.emit(payload::KEYS, &payload::key(action, &id, self.keys.len()));
        }
        let action = match (&before.prices, &self.prices) {
            (old, new) if old == new => return,
            (None, _) => Action::Created,
            (_, None) => Action::Deleted,
            _ => Action::Updated,
        };
        broadcaster.emit(payload::PRICES, &payload::prices(action));
    }
}
