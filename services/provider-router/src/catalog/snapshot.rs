//! One state of the catalogue, indexed for requests.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use signalbox_core::openai::{Model, ModelList};
use signalbox_core::provider_type::provider_type;
use signalbox_core::schema::{self, LinkedModel, ProviderConfig};
use signalbox_store::{Sealer, catalog::Catalog, model_lists, provider_configs, settings::ACTIVE_PROVIDER};
use signalbox_upstream::AddressPolicy;

use super::Settings;
use crate::{
    metrics::Metrics,
    provider::{Adapter, Config, Provider},
};

/// One state of the catalogue. Requests see enabled providers only.
#[derive(Debug, Default)]
pub struct Snapshot {
    version: i64,
    /// The rows of all providers, disabled ones too, by priority, highest first; then by name.
    rows: Vec<schema::Provider>,
    /// The enabled ones, in the same order.
    providers: Vec<Arc<Provider>>,
    links: HashMap<String, Vec<Link>>,
    open: Vec<Arc<Provider>>,
    /// By provider.
    lists: HashMap<String, OwnList>,
    /// By model: the providers whose own list names it, in the order in which they are tried.
    offers: HashMap<String, Vec<Arc<Provider>>>,
    active: Option<Arc<Provider>>,
    /// The setting `active_provider`, whatever it names.
    chosen: Option<String>,
    models: Vec<Model>,
    settings: Settings,
}

/// A provider that serves a model.
#[derive(Clone, Debug)]
pub struct Link {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The name it knows the model by.
    pub upstream_model: String,
}

/// What an enabled provider says of its models.
#[derive(Debug)]
struct OwnList {
    /// Changes with everything that its list may depend on.
    fingerprint: u64,
    /// The last good list; `None` while it has never answered at this address.
    models: Option<Vec<Model>>,
}

impl Snapshot {
    /// Indexes what the database has.
    #[must_use]
    pub fn new(catalog: Catalog, sealer: &Sealer, policy: &AddressPolicy, metrics: &Metrics) -> Self {
        let settings = Settings::read(&catalog.settings);
        let mut snapshot = Self { version: catalog.version, settings, ..Self::default() };
        let mut lists: HashMap<String, model_lists::ModelList> =
            catalog.lists.into_iter().map(|list| (list.provider_id.clone(), list)).collect();
        let mut rows = catalog.providers;
        rows.sort_by_key(|(row, ..)| (Reverse(row.priority), row.name.clone()));
        for (row, configs, links) in rows {
            snapshot.rows.push(row.clone());
            if !row.enabled {
                continue;
            }
            let (config, sealed) = read(&configs, sealer);
            let default = links.iter().find(|link| link.is_default).map(|link| link.model.id.clone());
            let mut provider = Provider::new(&row, &config, default, policy, metrics);
            if let Some(reason) = sealed {
                provider.adapter = Adapter::Misconfigured(reason);
            }
            let provider = Arc::new(provider);
            let list = lists.remove(&row.id).filter(|list| list.base_url == address(&provider));
            snapshot.offer(&provider, fingerprint(&row, &configs), list);
            snapshot.link(&provider, links);
            snapshot.providers.push(provider);
        }
        snapshot.models.sort_by(|a, b| a.id.cmp(&b.id));
        let chosen = catalog.settings.into_iter().find(|setting| setting.key == ACTIVE_PROVIDER);
        snapshot.chosen = chosen.map(|setting| setting.value);
        snapshot.active = snapshot.chosen.as_deref().and_then(|id| snapshot.provider(id)).cloned();
        snapshot
    }

    fn offer(&mut self, provider: &Arc<Provider>, fingerprint: u64, list: Option<model_lists::ModelList>) {
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
            }
            served.push(Link { provider: Arc::clone(provider), upstream_model });
        }
    }

    /// The version of the catalogue it was made from.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The enabled providers, in the order in which they are tried.
    #[must_use]
    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// How many providers are enabled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.providers.len()
    }

    /// Whether no provider is enabled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// An enabled provider.
    #[must_use]
    pub fn provider(&self, id: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.id == id)
    }

    /// The provider of the setting `active_provider`, if it is enabled.
    #[must_use]
    pub fn active(&self) -> Option<&Arc<Provider>> {
        self.active.as_ref()
    }

    /// The id that the setting `active_provider` names, whether or not such a provider is enabled.
    #[must_use]
    pub fn chosen(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// The rows of all providers, disabled ones too, in the order in which they are tried.
    #[must_use]
    pub fn rows(&self) -> &[schema::Provider] {
        &self.rows
    }

    /// The providers linked to a model, in the order in which they are tried.
    #[must_use]
    pub fn linked(&self, model: &str) -> &[Link] {
        self.links.get(model).map_or(&[], Vec::as_slice)
    }

    /// Providers without any linked model.
    #[must_use]
    pub fn open(&self) -> &[Arc<Provider>] {
        &self.open
    }

    /// The providers whose own list names `model`, in the order in which they are tried.
    #[must_use]
    pub fn offering(&self, model: &str) -> &[Arc<Provider>] {
        self.offers.get(model).map_or(&[], Vec::as_slice)
    }

    /// Whether `provider` is linked to `model`, or lists it itself.
    #[must_use]
    pub fn serves(&self, provider: &Provider, model: &str) -> bool {
        self.linked(model).iter().any(|link| link.provider.id == provider.id)
            || self.offering(model).iter().any(|offering| offering.id == provider.id)
    }

    /// Whether `provider` has no linked model, so that it may serve any.
    #[must_use]
    pub fn is_open(&self, provider: &Provider) -> bool {
        self.open.iter().any(|open| open.id == provider.id)
    }

    /// A number that changes with everything that the own list of `provider` may depend on.
    #[must_use]
    pub fn fingerprint(&self, provider: &Provider) -> Option<u64> {
        self.lists.get(&provider.id).map(|list| list.fingerprint)
    }

    /// The last good list that `provider` has answered with.
    #[must_use]
    pub fn own_list(&self, provider: &Provider) -> Option<&[Model]> {
        self.lists.get(&provider.id)?.models.as_deref()
    }

    /// The name `provider` knows `model` by.
    #[must_use]
    pub fn upstream_name<'a>(&'a self, provider: &Provider, model: &'a str) -> &'a str {
        let link = self.linked(model).iter().find(|link| link.provider.id == provider.id);
        link.map_or(model, |link| &link.upstream_model)
    }

    /// Returns the models that can be asked for by name, as OpenAI lists them: those of the active provider first, as it lists
    /// them itself, then the others of the catalogue by id.
    #[must_use]
    pub fn models(&self) -> ModelList {
        let mut seen = HashSet::new();
        let own = self.active.iter().flat_map(|active| self.own_list(active).unwrap_or_default());
        let linked = self.active.iter().flat_map(|active| self.links_of(active));
        let all = own.chain(linked).chain(&self.models).filter(|model| seen.insert(&*model.id));
        ModelList::new(all.cloned().collect())
    }

    /// Returns the models that `provider` lists itself, then the others it is linked to, as OpenAI lists them.
    #[must_use]
    pub fn models_of(&self, provider: &Provider) -> ModelList {
        let mut seen = HashSet::new();
        let own = self.own_list(provider).unwrap_or_default().iter();
        ModelList::new(own.chain(self.links_of(provider)).filter(|model| seen.insert(&*model.id)).cloned().collect())
    }

    /// Returns the models that `provider` is linked to, by id.
    pub fn links_of(&self, provider: &Provider) -> impl Iterator<Item = &Model> {
        let linked = |model: &&Model| self.linked(&model.id).iter().any(|link| link.provider.id == provider.id);
        self.models.iter().filter(linked)
    }

    /// Returns what is known of a model that `provider` serves.
    #[must_use]
    pub fn model(&self, provider: &Provider, id: &str) -> Option<&Model> {
        let own = self.own_list(provider).and_then(|list| list.iter().find(|model| model.id == id));
        own.or_else(|| self.links_of(provider).find(|model| model.id == id))
    }

    /// What people have set.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }
}

/// What can be read, and why the rest cannot. One provider whose secrets are lost does not keep the others away.
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

/// Returns where a provider is asked: as it is configured, or as its kind says.
pub(super) fn address(provider: &Provider) -> &str {
    let of_kind = provider_type(&provider.row.kind).base_url.unwrap_or_default();
    if provider.base_url.is_empty() { of_kind } else { &provider.base_url }
}

/// Hashes a provider's row and its configuration as it is stored, secrets sealed.
fn fingerprint(row: &schema::Provider, configs: &[ProviderConfig]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&row.kind, row.updated_at).hash(&mut hasher);
    for config in configs {
        (&config.key, config.value.expose(), config.updated_at).hash(&mut hasher);
    }
    hasher.finish()
}

/// `upstream_model` of a link's configuration, else the model's own id.
fn upstream_name(model: &str, config: Option<&str>) -> String {
    let config: Option<Config> = config.and_then(|config| serde_json::from_str(config).ok());
    let name = config.as_ref().and_then(|config| config.get("upstream_model")).and_then(serde_json::Value::as_str);
    name.unwrap_or(model).to_owned()
}

#[cfg(test)]
pub(crate) mod tests;
