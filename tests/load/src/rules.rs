//! The rules of an installation with many users: client keys with limits and budgets, routes, and prices.
//!
//! Every request is checked against them, and none of them refuses one: all limits are higher than any benchmark
//! reaches.

use std::io;

use signalbox_core::schema::{
    ApiKeyFields, BudgetPeriod, KeyBudget, KeyGrant, KeyLimits, NewApiKey, NewRoute, RoutePlan, RouteTarget,
};
use signalbox_core::secret::Secret;
use signalbox_daemon::{NewKey, key_digest};
use signalbox_store::{Error, Store, api_keys, prices, routes};

/// Number of keys of a full run.
pub const KEYS: usize = 10_000;
/// Number of routes.
pub const ROUTES: usize = 50;
/// Model of the requests, which has a route of its own.
pub const MODEL: &str = "mock-100x0";
/// Id of the provider that serves all requests.
pub const PROVIDER: &str = "mock";
/// Id of the provider that would serve those that [`PROVIDER`] fails to answer.
pub const FALLBACK: &str = "chat";

/// Prices of the models of both providers.
pub const PRICES: &str = r#"{"prices": [
    {"id": "of-mock", "provider_id": "mock", "match": ["mock-*"], "base": {"in": "0.1", "cr": "0.01", "out": "0.4"}},
    {"id": "of-chat", "provider_id": "chat", "match": ["mock-*"], "base": {"in": "0.2", "cr": "0.02", "out": "0.8"}}
]}"#;

/// Number of owners of the keys.
const OWNERS: usize = 100;
const LIMITS: KeyLimits =
    KeyLimits { rpm: Some(100_000_000), tpm: Some(1_000_000_000_000), concurrency: Some(100_000), queue: None };
const BUDGET: KeyBudget = KeyBudget { amount_usd: 1_000_000.0, period: BudgetPeriod::Month };

/// Client keys.
#[derive(Debug)]
pub struct Keys {
    /// The key that requests present: the first one.
    pub key: Secret<String>,
    /// All keys.
    pub rows: Vec<NewApiKey>,
}

// === impl Keys ===

impl Keys {
    /// Creates `count` keys, at least one. Only the first one can be presented.
    ///
    /// # Errors
    /// Fails if the system returns no random bytes.
    pub fn new(count: usize) -> io::Result<Self> {
        let NewKey { key, hint, digest } = NewKey::generate()?;
        let others = (1..count).map(|n| row(n, "sbx-other".to_owned(), key_digest(format!("key {n}").as_bytes())));
        Ok(Self { key, rows: std::iter::once(row(0, hint, digest)).chain(others).collect() })
    }

    /// Writes the keys, the routes and the prices to a database, which has both providers.
    ///
    /// # Errors
    /// Fails if the database cannot be written.
    pub async fn write(&self, store: &Store) -> Result<(), Error> {
        for route in routes() {
            routes::insert(store, &route, 0).await?;
        }
        prices::put(store, prices::PriceSource::Overrides, PRICES, 0).await?;
        api_keys::insert_all(store, &self.rows, 0).await
    }
}

/// Returns the routes: one with two targets and an alias for [`MODEL`], one for all other models of the upstream, and
/// half each with a plain name and an alias, and with a wildcard, for models that no request names.
#[must_use]
pub fn routes() -> Vec<NewRoute> {
    let mut routes = vec![
        route("requested", MODEL, &["mock"], &[(PROVIDER, MODEL), (FALLBACK, MODEL)]),
        route("others", "mock-*", &[], &[(PROVIDER, "mock-*")]),
    ];
    for n in (routes.len()..ROUTES).step_by(2) {
        let (name, alias) = (format!("vendor-{n}/model"), format!("model-{n}"));
        routes.push(route(&format!("named-{n}"), &name, &[&alias], &[(PROVIDER, "mock-1x0"), (FALLBACK, "mock-1x0")]));
        routes.push(route(&format!("wildcard-{n}"), &format!("vendor-{n}/*"), &[], &[(PROVIDER, "*")]));
    }
    routes
}

fn row(n: usize, hint: String, digest: String) -> NewApiKey {
    let owner = format!("owner {}", n % OWNERS);
    let grant = KeyGrant { owner: Some(owner), limits: LIMITS, budget: Some(BUDGET), ..KeyGrant::default() };
    let fields = ApiKeyFields { name: format!("key {n}"), grant, expires_at: None };
    NewApiKey { id: format!("key-{n}"), hint, digest, fields }
}

fn route(id: &str, model: &str, aliases: &[&str], targets: &[(&str, &str)]) -> NewRoute {
    let target = |(provider, model): &(&str, &str)| RouteTarget {
        provider: (*provider).to_owned(),
        model: (*model).to_owned(),
        ..RouteTarget::default()
    };
    let plan = RoutePlan {
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        targets: targets.iter().map(target).collect(),
        retries: Some(1),
        ..RoutePlan::default()
    };
    NewRoute { id: id.to_owned(), model: model.to_owned(), enabled: true, plan }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use provider_router::prices::Prices;

    use super::*;

    #[test]
    fn there_are_as_many_keys_and_routes_as_stated() {
        let keys = Keys::new(250).unwrap();
        assert_eq!(keys.rows.len(), 250);
        assert_eq!(keys.rows[0].digest, key_digest(keys.key.expose().as_bytes()));
        let digests: HashSet<_> = keys.rows.iter().map(|row| &row.digest).collect();
        let names: HashSet<_> = keys.rows.iter().map(|row| &row.fields.name).collect();
        assert_eq!((digests.len(), names.len()), (250, 250));
        let routes = super::routes();
        assert_eq!(routes.len(), ROUTES);
        let names = routes.iter().flat_map(|route| route.plan.aliases.iter().chain([&route.model]));
        let names: Vec<_> = names.collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        assert_eq!(names.iter().filter(|name| name.contains('*')).count(), ROUTES / 2);
    }

    #[test]
    fn the_models_of_both_providers_have_prices() {
        let prices = Prices::shipped().unwrap();
        prices.update(None, Some(PRICES));
        let table = prices.current().unwrap();
        for provider in [PROVIDER, FALLBACK] {
            for model in [MODEL, "mock-1x0"] {
                assert!(table.find("openai", provider, model, 0).is_some(), "{provider} {model}");
            }
        }
    }
}
