//! One state of the catalogue, indexed for requests.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use signalbox_core::openai::{Model, ModelList};
use signalbox_core::schema::ProviderConfig;
use signalbox_store::{Sealer, catalog::Catalog, provider_configs};
use signalbox_upstream::AddressPolicy;

use super::Settings;
use crate::{
    metrics::Metrics,
    provider::{Adapter, Config, Provider},
};

/// One state of the catalogue. Disabled providers are not in it.
#[derive(Debug, Default)]
pub struct Snapshot {
    version: i64,
    /// By priority, highest first; then by name.
    providers: Vec<Arc<Provider>>,
    links: HashMap<String, Vec<Link>>,
    open: Vec<Arc<Provider>>,
    active: Option<Arc<Provider>>,
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

impl Snapshot {
    /// Indexes what the database has.
    #[must_use]
    pub fn new(catalog: Catalog, sealer: &Sealer, policy: &AddressPolicy, metrics: &Metrics) -> Self {
        let settings = Settings::read(&catalog.settings);
        let mut snapshot = Self { version: catalog.version, settings, ..Self::default() };
        let mut rows = catalog.providers;
        rows.retain(|(row, ..)| row.enabled);
        rows.sort_by_key(|(row, ..)| (Reverse(row.priority), row.name.clone()));
        for (row, configs, links) in rows {
            let (config, sealed) = read(&configs, sealer);
            let default = links.iter().find(|link| link.is_default);
            let default = default.map(|link| upstream_name(&link.model.id, link.config.as_deref()));
            let mut provider = Provider::new(&row, &config, default, policy, metrics);
            if let Some(reason) = sealed {
                provider.adapter = Adapter::Misconfigured(reason);
            }
            let provider = Arc::new(provider);
            if links.is_empty() {
                snapshot.open.push(Arc::clone(&provider));
            }
            for link in links {
                let upstream_model = upstream_name(&link.model.id, link.config.as_deref());
                let served = snapshot.links.entry(link.model.id.clone()).or_default();
                if served.is_empty() {
                    snapshot.models.push(Model::new(&link.model.id, link.model.created_at / 1000, &row.id));
                }
                served.push(Link { provider: Arc::clone(&provider), upstream_model });
            }
            snapshot.providers.push(provider);
        }
        snapshot.models.sort_by(|a, b| a.id.cmp(&b.id));
        let active = catalog.settings.iter().find(|setting| setting.key == "active_provider");
        snapshot.active = active.and_then(|setting| snapshot.provider(&setting.value).cloned());
        snapshot
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

    /// Who serves a model, in the order in which they are tried.
    #[must_use]
    pub fn linked(&self, model: &str) -> &[Link] {
        self.links.get(model).map_or(&[], Vec::as_slice)
    }

    /// Providers without any linked model.
    #[must_use]
    pub fn open(&self) -> &[Arc<Provider>] {
        &self.open
    }

    /// The name `provider` knows `model` by.
    #[must_use]
    pub fn upstream_name<'a>(&'a self, provider: &Provider, model: &'a str) -> &'a str {
        let link = self.linked(model).iter().find(|link| link.provider.id == provider.id);
        link.map_or(model, |link| &link.upstream_model)
    }

    /// The models that can be asked for by name, as OpenAI lists them.
    #[must_use]
    pub fn models(&self) -> ModelList {
        ModelList::new(self.models.clone())
    }

    /// The models `provider` is linked to, as OpenAI lists them.
    #[must_use]
    pub fn models_of(&self, provider: &Provider) -> ModelList {
        let serves = |model: &&Model| self.linked(&model.id).iter().any(|link| link.provider.id == provider.id);
        ModelList::new(self.models.iter().filter(serves).cloned().collect())
    }

    /// What people have set.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// One of them.
    #[must_use]
    pub fn model(&self, id: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.id == id)
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

/// `upstream_model` of a link's configuration, else the model's own id.
fn upstream_name(model: &str, config: Option<&str>) -> String {
    let config: Option<Config> = config.and_then(|config| serde_json::from_str(config).ok());
    let name = config.as_ref().and_then(|config| config.get("upstream_model")).and_then(serde_json::Value::as_str);
    name.unwrap_or(model).to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use signalbox_core::{schema, secret::Secret};
    use signalbox_store::Store;

    use super::*;
    use crate::journal::Bodies;

    /// A provider of a test: models with the name the provider knows them by; the first is its default.
    pub(crate) struct Row<'a> {
        pub(crate) id: &'a str,
        pub(crate) priority: i64,
        pub(crate) models: &'a [(&'a str, Option<&'a str>)],
        pub(crate) enabled: bool,
    }

    impl Row<'_> {
        pub(crate) const ENABLED: Self = Row { id: "", priority: 0, models: &[], enabled: true };
    }

    pub(crate) fn snapshot(rows: &[Row<'_>], active: Option<&str>) -> Snapshot {
        let providers = rows.iter().map(|row| {
            let provider = schema::Provider {
                id: row.id.into(),
                name: row.id.to_uppercase(),
                kind: "echo".into(),
                enabled: row.enabled,
                priority: row.priority,
                description: None,
                created_at: 0,
                updated_at: 0,
            };
            let links = row.models.iter().enumerate().map(|(n, (id, upstream))| schema::LinkedModel {
                model: schema::Model {
                    id: (*id).into(),
                    name: (*id).into(),
                    description: None,
                    capabilities: vec![],
                    created_at: 7000,
                    updated_at: 0,
                },
                is_default: n == 0,
                config: upstream.map(|name| format!(r#"{{"upstream_model":"{name}"}}"#)),
            });
            (provider, vec![], links.collect())
        });
        let setting =
            |value: &str| schema::Setting { key: "active_provider".into(), value: value.into(), updated_at: 0 };
        let catalog = Catalog {
            version: 3,
            providers: providers.collect(),
            models: vec![],
            settings: active.map(setting).into_iter().collect(),
        };
        Snapshot::new(catalog, &sealer(1), &AddressPolicy::default(), &Metrics::default())
    }

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&Secret::new([byte; 32]))
    }

    #[tokio::test]
    async fn a_secret_of_another_key_costs_its_provider_and_says_what_to_do() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let value = |key: &str, value: &str| schema::ConfigValue {
            key: key.into(),
            value: Secret::new(format!("\"{value}\"")),
            is_sensitive: key == "apiKey",
        };
        let values =
            [value("baseURL", "http://127.0.0.1:1/v1"), value("apiKey", "sk-canary"), value("logBodies", "off")];
        provider_configs::put(&store, &sealer(2), "qwen-proxy-default", &values, 0).await.unwrap();
        for (key, readable) in [(2, true), (1, false)] {
            let rows = signalbox_store::catalog::load(&store).await.unwrap();
            let snapshot = Snapshot::new(rows, &sealer(key), &AddressPolicy::default(), &Metrics::default());
            let provider = snapshot.provider("qwen-proxy-default").unwrap();
            assert_eq!(provider.log_bodies, Bodies::Off);
            match &provider.adapter {
                Adapter::Misconfigured(reason) => assert!(!readable && reason.contains("SIGNALBOX_KEY"), "{reason}"),
                _ => assert!(readable),
            }
            assert!(snapshot.provider("echo").unwrap().is_healthy());
        }
        store.close().await;
    }

    #[test]
    fn a_model_is_listed_once_under_the_provider_that_is_tried_first() {
        let rows = [
            Row { id: "b", priority: 1, models: &[("m", None)], ..Row::ENABLED },
            Row { id: "a", priority: 2, models: &[("m", None)], ..Row::ENABLED },
            Row { id: "off", priority: 3, models: &[("m", None), ("gone", None)], enabled: false },
        ];
        let snapshot = snapshot(&rows, None);
        assert_eq!(snapshot.models(), ModelList::new(vec![Model::new("m", 7, "a")]));
        assert!(snapshot.model("gone").is_none());
    }
}
