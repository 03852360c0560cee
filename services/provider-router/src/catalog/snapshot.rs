//! One state of the catalogue, indexed for request routing.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use signalbox_core::openai::{Model, ModelList};
use signalbox_core::provider_type::provider_type;
use signalbox_core::schema::{self, LinkedModel, ProviderConfig};
use signalbox_daemon::IssuedKeys;
use signalbox_store::{Sealer, catalog::Catalog, model_lists, provider_configs, settings::ACTIVE_PROVIDER};
use signalbox_upstream::AddressPolicy;

use super::{Absent, Routes, Settings};
use crate::{
    metrics::Metrics,
    provider::{Adapter, Config, Provider},
    qwen_proxy::complete,
};

/// Immutable state of the catalogue. Requests see enabled providers only.
#[derive(Debug, Default)]
pub struct Snapshot {
    version: i64,
    /// Rows of all providers, including disabled ones, by descending priority, then by name.
    rows: Vec<schema::Provider>,
    /// Enabled providers, in the same order.
    providers: Vec<Arc<Provider>>,
    links: HashMap<String, Vec<Link>>,
    open: Vec<Arc<Provider>>,
    /// Lists of models that the providers return themselves, by provider id.
    lists: HashMap<String, OwnList>,
    /// Providers whose own list contains the model, by model id, in routing order.
    offers: HashMap<String, Vec<Arc<Provider>>>,
    active: Option<Arc<Provider>>,
    /// Value of the setting `active_provider`, whatever it names.
    chosen: Option<String>,
    models: Vec<Model>,
    /// Descriptions of its models, by id.
    described: HashMap<String, Description>,
    settings: Settings,
    client_keys: Arc<IssuedKeys>,
    routes: Routes,
    /// Base URL of the qwen-proxy beside the router, if known.
    qwen_proxy: Option<String>,
    /// Reason why a secret of an enabled provider cannot be read, if there is any.
    unreadable: Option<String>,
}

/// A provider linked to a model.
#[derive(Clone, Debug)]
pub struct Link {
    /// The linked provider.
    pub provider: Arc<Provider>,
    /// Name of the model at the provider.
    pub upstream_model: String,
}

/// Description of a model in the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Name that is shown to users.
    pub name: String,
    /// `chat`, `vision`, `tool-call` and others.
    pub capabilities: Vec<String>,
}

/// List of models that an enabled provider returns itself.
#[derive(Debug)]
struct OwnList {
    /// Changes with everything that the list may depend on.
    fingerprint: u64,
    /// Last list that was read successfully; `None` if there has been none from the current address.
    models: Option<Vec<Model>>,
}

impl Snapshot {
    /// Indexes the rows of the database. `qwen_proxy` is the base URL of the qwen-proxy beside the router, if known.
    #[must_use]
    pub fn new(
        catalog: Catalog,
        sealer: &Sealer,
        policy: &AddressPolicy,
        metrics: &Metrics,
        qwen_proxy: Option<String>,
    ) -> Self {
        let client_keys = Arc::new(IssuedKeys::new(&catalog.keys));
        Self::with_keys(catalog, client_keys, sealer, policy, metrics, qwen_proxy)
    }

    /// Indexes the rows of the database except its keys, which have been indexed already.
    #[must_use]
    pub fn with_keys(
        catalog: Catalog,
        client_keys: Arc<IssuedKeys>,
        sealer: &Sealer,
        policy: &AddressPolicy,
        metrics: &Metrics,
        qwen_proxy: Option<String>,
    ) -> Self {
        let settings = Settings::read(&catalog.settings);
        let mut snapshot = Self { version: catalog.version, settings, client_keys, qwen_proxy, ..Self::default() };
        let mut lists: HashMap<String, model_lists::ModelList> =
            catalog.lists.into_iter().map(|list| (list.provider_id.clone(), list)).collect();
        let mut rows = catalog.providers;
        rows.sort_by_key(|(row, ..)| (Reverse(row.priority), row.name.clone()));
        for (row, configs, links) in rows {
            snapshot.rows.push(row.clone());
            if !row.enabled {
                continue;
            }
            let (mut config, sealed) = read(&configs, sealer);
            complete(&row.kind, &mut config, snapshot.qwen_proxy.as_deref());
            let default = links.iter().find(|link| link.is_default).map(|link| link.model.id.clone());
            let mut provider = Provider::new(&row, &config, default, policy, metrics);
            if let Some(reason) = sealed {
                snapshot.unreadable.get_or_insert_with(|| reason.clone());
                provider.adapter = Adapter::Misconfigured(reason);
            }
            let list = lists.remove(&row.id).filter(|list| list.base_url == address(&provider));
            let names = names_at(&row.id, &links, list.as_ref(), &catalog.routes);
            provider.take_health(&metrics.targets, &names);
            let provider = Arc::new(provider);
            let fingerprint = fingerprint(&row, address(&provider), &configs);
            snapshot.index_list(&provider, fingerprint, list);
            snapshot.link(&provider, links);
            snapshot.providers.push(provider);
        }
        metrics.targets.retain(|id, key| snapshot.provider(id).is_some_and(|provider| provider.has_key(key)));
        snapshot.add_routes(catalog.routes);
        snapshot.models.sort_by(|a, b| a.id.cmp(&b.id));
        let chosen = catalog.settings.into_iter().find(|setting| setting.key == ACTIVE_PROVIDER);
        snapshot.chosen = chosen.map(|setting| setting.value);
        snapshot.active = snapshot.chosen.as_deref().and_then(|id| snapshot.provider(id)).cloned();
        snapshot
    }

    fn add_routes(&mut self, rows: Vec<schema::Route>) {
        let created: HashMap<String, i64> = rows.iter().map(|row| (row.id.clone(), row.created_at / 1000)).collect();
        let provider = |id: &str| {
            let is_known = || self.rows.iter().any(|row| row.id == id);
            self.provider(id).cloned().ok_or_else(|| if is_known() { Absent::Disabled } else { Absent::Missing })
        };
        let routes = Routes::new(rows, provider);
        for (name, route) in routes.listed().filter(|(name, _)| !self.links.contains_key(*name)) {
            let owner = route.providers.iter().flatten().next().map_or("", |provider| &provider.id);
            self.models.push(Model::new(name, created.get(&route.id).copied().unwrap_or_default(), owner));
        }
        self.routes = routes;
    }

    fn index_list(&mut self, provider: &Arc<Provider>, fingerprint: u64, list: Option<model_lists::ModelList>) {
        let models = list.map(|list| list.models);
        for model in models.iter().flatten() {
            self.offers.entry(model.id.clone()).or_default().push(Arc::clone(provider));
        }
        self.lists.insert(provider.id.clone(), OwnList { fingerprint, models });
    }

    fn link(&mut self, provider: &Arc<Provider>, links: Vec<LinkedModel>) {
        if links.is_empty() {
            self.open.push(Arc::clone(provider));
        }
        for link in links {
            let upstream_model = upstream_name(&link.model.id, link.config.as_deref());
            let served = self.links.entry(link.model.id.clone()).or_default();
            if served.is_empty() {
                self.models.push(Model::new(&link.model.id, link.model.created_at / 1000, &provider.id));
                let described = Description { name: link.model.name, capabilities: link.model.capabilities };
                self.described.insert(link.model.id, described);
            }
            served.push(Link { provider: Arc::clone(provider), upstream_model });
        }
    }

    /// Returns the version of the catalogue that this snapshot was built from.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Returns the base URL of the qwen-proxy beside the router that this snapshot was built with.
    #[must_use]
    pub fn qwen_proxy(&self) -> Option<&str> {
        self.qwen_proxy.as_deref()
    }

    /// Returns the enabled providers, in routing order.
    #[must_use]
    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// Returns the number of enabled providers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.providers.len()
    }

    /// Returns whether no provider is enabled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// Returns the enabled provider with this id.
    #[must_use]
    pub fn provider(&self, id: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.id == id)
    }

    /// Returns the provider named by the setting `active_provider`, if it is enabled.
    #[must_use]
    pub fn active(&self) -> Option<&Arc<Provider>> {
        self.active.as_ref()
    }

    /// Returns the id in the setting `active_provider`, whether or not an enabled provider has it.
    #[must_use]
    pub fn chosen(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// Returns the rows of all providers, including disabled ones, in routing order.
    #[must_use]
    pub fn rows(&self) -> &[schema::Provider] {
        &self.rows
    }

    /// Returns the providers linked to `model`, in routing order.
    #[must_use]
    pub fn linked(&self, model: &str) -> &[Link] {
        self.links.get(model).map_or(&[], Vec::as_slice)
    }

    /// Returns the enabled providers without any linked model.
    #[must_use]
    pub fn open(&self) -> &[Arc<Provider>] {
        &self.open
    }

    /// Returns the providers whose own list contains `model`, in routing order.
    #[must_use]
    pub fn listing(&self, model: &str) -> &[Arc<Provider>] {
        self.offers.get(model).map_or(&[], Vec::as_slice)
    }

    /// Returns whether `provider` is linked to `model` or contains it in its own list.
    #[must_use]
    pub fn serves(&self, provider: &Provider, model: &str) -> bool {
        self.linked(model).iter().any(|link| link.provider.id == provider.id)
            || self.listing(model).iter().any(|listing| listing.id == provider.id)
    }

    /// Returns whether `provider` has no linked model, in which case it may serve any model.
    #[must_use]
    pub fn is_open(&self, provider: &Provider) -> bool {
        self.open.iter().any(|open| open.id == provider.id)
    }

    /// Returns a number that changes with everything that the own list of `provider` may depend on.
    #[must_use]
    pub fn fingerprint(&self, provider: &Provider) -> Option<u64> {
        self.lists.get(&provider.id).map(|list| list.fingerprint)
    }

    /// Returns the last list that was read successfully from `provider`.
    #[must_use]
    pub fn own_list(&self, provider: &Provider) -> Option<&[Model]> {
        self.lists.get(&provider.id)?.models.as_deref()
    }

    /// Returns the name of `model` at `provider`.
    #[must_use]
    pub fn upstream_name<'a>(&'a self, provider: &Provider, model: &'a str) -> &'a str {
        let link = self.linked(model).iter().find(|link| link.provider.id == provider.id);
        link.map_or(model, |link| &link.upstream_model)
    }

    /// Returns the models that can be requested by name, in OpenAI's list format: those of the active provider first,
    /// in the order of its own list, then the remaining models of the catalogue by id.
    #[must_use]
    pub fn models(&self) -> ModelList {
        let mut seen = HashSet::new();
        let own = self.active.iter().flat_map(|active| self.own_list(active).unwrap_or_default());
        let linked = self.active.iter().flat_map(|active| self.links_of(active));
        let all = own.chain(linked).chain(&self.models).filter(|model| seen.insert(&*model.id));
        ModelList::new(all.cloned().collect())
    }

    /// Returns the models of the provider's own list, then the remaining ones linked to it, in OpenAI's list format.
    #[must_use]
    pub fn models_of(&self, provider: &Provider) -> ModelList {
        let mut seen = HashSet::new();
        let own = self.own_list(provider).unwrap_or_default().iter();
        ModelList::new(own.chain(self.links_of(provider)).filter(|model| seen.insert(&*model.id)).cloned().collect())
    }

    /// Returns the models linked to `provider`, by id.
    pub fn links_of(&self, provider: &Provider) -> impl Iterator<Item = &Model> {
        let linked = |model: &&Model| self.linked(&model.id).iter().any(|link| link.provider.id == provider.id);
        self.models.iter().filter(linked)
    }

    /// Returns the entry of a model that `provider` serves; its own list takes precedence.
    #[must_use]
    pub fn model(&self, provider: &Provider, id: &str) -> Option<&Model> {
        let own = self.own_list(provider).and_then(|list| list.iter().find(|model| model.id == id));
        own.or_else(|| self.links_of(provider).find(|model| model.id == id))
    }

    /// Returns what the catalogue says about a linked model.
    #[must_use]
    pub fn description(&self, model: &str) -> Option<&Description> {
        self.described.get(model)
    }

    /// Returns the client keys of the table `api_keys`.
    #[must_use]
    pub fn client_keys(&self) -> Arc<IssuedKeys> {
        Arc::clone(&self.client_keys)
    }

    /// Returns the routes.
    #[must_use]
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Returns the entry of a model that has a route of its own.
    #[must_use]
    pub fn routed_model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.id == name)
    }

    /// Returns the reason why a secret of an enabled provider cannot be read, if there is any.
    #[must_use]
    pub fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }

    /// Returns the settings that apply to requests.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }
}

/// Unseals the configuration. Returns the readable values, and the error of an unreadable one: a provider whose secrets
/// are lost becomes misconfigured, without affecting the other providers.
fn read(configs: &[ProviderConfig], sealer: &Sealer) -> (Config, Option<String>) {
    let (mut config, mut sealed) = (Config::new(), None);
    for row in configs {
        match provider_configs::json(sealer, row) {
            Ok(value) => drop(config.insert(row.key.clone(), value)),
            Err(error) => sealed = Some(error.to_string()),
        }
    }
    (config, sealed)
}

/// Returns the names of the models that the catalogue knows at a provider.
fn names_at<'a>(
    id: &str,
    links: &'a [LinkedModel],
    list: Option<&'a model_lists::ModelList>,
    routes: &'a [schema::Route],
) -> HashSet<Cow<'a, str>> {
    let linked = links.iter().map(|link| Cow::Owned(upstream_name(&link.model.id, link.config.as_deref())));
    let listed = list.into_iter().flat_map(|list| &list.models).map(|model| Cow::Borrowed(&*model.id));
    let targets = routes.iter().flat_map(|route| &route.plan.targets).map(|target| (&target.provider, &target.model));
    let mirrors = routes.iter().filter_map(|route| route.plan.mirror.as_ref());
    let all = targets.chain(mirrors.map(|mirror| (&mirror.provider, &mirror.model)));
    let of_provider = all.filter(|(provider, _)| *provider == id).map(|(_, model)| model);
    let named = of_provider.filter(|name| !name.contains('*')).map(|name| Cow::Borrowed(&**name));
    linked.chain(listed).chain(named).collect()
}

/// Returns the base URL of a provider: the configured one, or else the default of its type.
pub(super) fn address(provider: &Provider) -> &str {
    let of_kind = provider_type(&provider.row.kind).base_url.unwrap_or_default();
    if provider.base_url.is_empty() { of_kind } else { &provider.base_url }
}

/// Hashes a provider's row, its address and its stored configuration, with the secrets still sealed.
fn fingerprint(row: &schema::Provider, address: &str, configs: &[ProviderConfig]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&row.kind, row.updated_at, address).hash(&mut hasher);
    for config in configs {
        (&config.key, config.value.expose(), config.updated_at).hash(&mut hasher);
    }
    hasher.finish()
}

/// Returns `upstream_model` of the link's configuration, or else the model's own id.
fn upstream_name(model: &str, config: Option<&str>) -> String {
    let config: Option<Config> = config.and_then(|config| serde_json::from_str(config).ok());
    let name = config.as_ref().and_then(|config| config.get("upstream_model")).and_then(serde_json::Value::as_str);
    name.unwrap_or(model).to_owned()
}

#[cfg(test)]
pub(crate) mod tests;
