//! Providers with several API keys: one [`Provider`] per key, with a state and limits of its own.
//!
//! The first key, that of `apiKey` or else the first one by name, is that of the provider in the catalogue. So whatever
//! does not choose a key, such as reading its list of models, uses that one.

use std::{
    borrow::Cow,
    collections::HashSet,
    iter::once,
    sync::{Arc, atomic::Ordering},
};

use serde_json::Value;
use signalbox_core::{
    provider_config::{API_KEYS, DEFAULT_KEY, check_key_name},
    schema,
};
use signalbox_upstream::AddressPolicy;

use super::{Adapter, Config, Provider, text};
use crate::{
    health::{HealthTable, TargetHealth},
    metrics::Metrics,
};

/// Reads `apiKeys`, by name, and `apiKey` before them; empty without any `apiKeys`.
///
/// # Errors
/// Returns a message for the user if they are no object of texts.
fn read(config: &Config) -> Result<Vec<(String, String)>, String> {
    let wrong = || format!("`{API_KEYS}` must be an object of names and keys");
    let named = match config.get(API_KEYS) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => return Ok(Vec::new()),
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| wrong())?,
        Some(Value::Object(named)) => named.clone(),
        Some(_) => return Err(wrong()),
    };
    let mut keys = Vec::with_capacity(named.len() + 1);
    for (name, key) in named {
        check_key_name(&name).map_err(|_| wrong())?;
        keys.push((name, key.as_str().filter(|key| !key.is_empty()).ok_or_else(wrong)?.to_owned()));
    }
    keys.sort();
    if let Some(key) = text(config, "apiKey")?.filter(|_| !keys.is_empty()) {
        keys.insert(0, (DEFAULT_KEY.to_owned(), key.to_owned()));
    }
    Ok(keys)
}

/// Returns all keys of the configuration of one key, which are masked in every response of the provider.
pub(super) fn secrets(config: &Config) -> impl Iterator<Item = String> {
    let named = config.get(API_KEYS).and_then(Value::as_object).into_iter().flatten();
    named.filter_map(|(_, key)| key.as_str()).map(|key| key.trim().to_owned())
}

// === impl Provider ===

impl Provider {
    /// Parses a provider's row and configuration. With several keys, the others are [`Self::keys`].
    #[must_use]
    pub fn new(
        row: &schema::Provider,
        config: &Config,
        default_link: Option<String>,
        policy: &AddressPolicy,
        metrics: &Metrics,
    ) -> Self {
        let keys = match read(config) {
            Ok(keys) => keys,
            Err(reason) => {
                let plain = Self::with_key(row, config, None, default_link, policy, metrics);
                return Self { adapter: Adapter::Misconfigured(reason), ..plain };
            }
        };
        let all: Config = keys.iter().map(|(name, key)| (name.clone(), key.as_str().into())).collect();
        let mut each = keys.into_iter().map(|(name, key)| {
            let mut own = config.clone();
            own.insert(API_KEYS.to_owned(), all.clone().into());
            own.insert("apiKey".to_owned(), key.into());
            Self::with_key(row, &own, Some(name.into()), default_link.clone(), policy, metrics)
        });
        let Some(first) = each.next() else {
            drop(each);
            return Self::with_key(row, config, None, default_link, policy, metrics);
        };
        Self { others: each.map(Arc::new).collect(), ..first }
    }

    /// Returns this provider once for each of its keys, this one first; only itself if it has one key.
    pub fn keys(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        once(self).chain(&self.others)
    }

    /// Returns this provider with the key of this name.
    #[must_use]
    pub fn with_name<'a>(self: &'a Arc<Self>, name: &str) -> Option<&'a Arc<Self>> {
        self.keys().find(|provider| provider.key.as_deref() == Some(name))
    }

    /// Returns whether it has a key of this name; `None` is the key of a provider that has only one.
    #[must_use]
    pub fn has_key(&self, name: Option<&str>) -> bool {
        once(self).chain(self.others.iter().map(|other| &**other)).any(|provider| provider.key.as_deref() == name)
    }

    /// Returns the targets of all of its keys.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<TargetHealth>> {
        once(self).chain(self.others.iter().map(|other| &**other)).flat_map(|provider| provider.health.all())
    }

    /// Returns whether the last request with one of its keys succeeded.
    pub(super) fn any_is_healthy(&self) -> bool {
        let mut all = once(self).chain(self.others.iter().map(|other| &**other));
        all.any(|provider| provider.healthy.load(Ordering::Relaxed))
    }

    /// Takes over the state of its targets, which have these models, from before the change of the catalogue.
    pub(crate) fn take_health(&mut self, table: &HealthTable, models: &HashSet<Cow<'_, str>>) {
        self.health = table.provider(&self.id, self.key.as_deref(), models.iter().map(|name| &**name));
        self.quota = self.health.limited(self.limits);
        for other in &mut self.others {
            // Nothing else refers to it before the provider is in the catalogue.
            if let Some(other) = Arc::get_mut(other) {
                other.take_health(table, models);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use signalbox_core::Api;

    use super::*;

    fn provider(config: Value) -> Arc<Provider> {
        let row = schema::Provider {
            id: "p".to_owned(),
            name: "p".to_owned(),
            kind: "openai".to_owned(),
            enabled: true,
            priority: 0,
            description: None,
            created_at: 0,
            updated_at: 0,
        };
        let Value::Object(config) = config else { panic!("an object") };
        Arc::new(Provider::new(&row, &config, None, &AddressPolicy::default(), &Metrics::default()))
    }

    /// Returns the names of the keys, and what each sends.
    fn sent(provider: &Arc<Provider>) -> Vec<(Option<&str>, String)> {
        let each = |provider: &'_ Provider| {
            let Adapter::Remote(remote) = &provider.adapter else { panic!("{:?}", provider.adapter) };
            let caller = http::HeaderMap::new();
            let request = remote.inference(Api::Chat, Api::Chat, "{}".into(), false, &caller, "id");
            request.headers()["authorization"].to_str().unwrap().to_owned()
        };
        provider.keys().map(|provider| (provider.key.as_deref(), each(provider))).collect()
    }

    fn bearer(name: Option<&'static str>, key: &str) -> (Option<&'static str>, String) {
        (name, format!("Bearer {key}"))
    }

    #[test]
    fn each_key_is_sent_by_a_provider_of_its_own() {
        let one = provider(json!({"apiKey": "sk-one"}));
        assert_eq!(sent(&one), [bearer(None, "sk-one")]);
        assert_eq!(sent(&provider(json!({"apiKey": "sk-one", "apiKeys": {}}))), [bearer(None, "sk-one")]);
        let several = provider(json!({"apiKey": "sk-one", "apiKeys": {"b": "sk-three", "a": "sk-two"}}));
        let expected = [bearer(Some("default"), "sk-one"), bearer(Some("a"), "sk-two"), bearer(Some("b"), "sk-three")];
        assert_eq!(sent(&several), expected);
        assert!(Arc::ptr_eq(several.with_name("default").unwrap(), &several));
        assert_eq!(several.with_name("b").and_then(|provider| provider.key.as_deref()), Some("b"));
        assert!(several.with_name("c").is_none() && several.has_key(Some("a")) && !several.has_key(None));
        let named = provider(json!({"apiKeys": {"only": "sk-one"}}));
        assert_eq!(sent(&named), [bearer(Some("only"), "sk-one")]);
    }

    #[test]
    fn the_keys_of_all_are_masked_in_the_answers_to_each() {
        let several = provider(json!({"apiKey": "sk-one-secret", "apiKeys": {"a": "sk-two-secret"}}));
        for provider in several.keys() {
            let masked = provider.masker().mask_text("sk-one-secret, sk-two-secret").into_owned();
            assert!(!masked.contains("secret"), "{masked}");
        }
        assert!(!format!("{several:?}").contains("sk-two-secret"), "also where it is printed");
    }

    #[test]
    fn keys_have_targets_and_limits_of_their_own() {
        let table = HealthTable::default();
        let several = provider(json!({"apiKeys": {"a": "sk-1", "b": "sk-2"}, "limits": {"rpm": 1}}));
        let mut several = Arc::into_inner(several).unwrap();
        let models = HashSet::from([Cow::Borrowed("m")]);
        several.take_health(&table, &models);
        let several = Arc::new(several);
        let [a, b] = ["a", "b"].map(|name| several.with_name(name).unwrap());
        assert!(!Arc::ptr_eq(a.health.of(Some("m")), b.health.of(Some("m"))));
        assert_eq!((b.health.of(Some("m")).key(), several.targets().count()), (Some("b"), 4));
        let taken = a.quota.as_ref().unwrap().take(1, 0).unwrap();
        assert!(a.quota.as_ref().unwrap().take(1, 0).is_err(), "the limit of one key");
        assert!(b.quota.as_ref().unwrap().take(1, 0).is_ok(), "is not that of another one");
        drop(taken);
        table.retain(|id, key| id == "p" && several.has_key(key));
        assert_eq!(table.all().len(), 4);
        table.retain(|_, key| key == Some("a"));
        assert_eq!(table.all().len(), 2);
    }

    #[test]
    fn keys_that_are_none_make_the_provider_unusable() {
        for keys in [json!(["sk-1"]), json!({"a": 1}), json!({"a": ""}), json!({"a b": "sk-1"}), json!("sk-1")] {
            let wrong = provider(json!({"apiKey": "sk-one", "apiKeys": keys}));
            let Adapter::Misconfigured(reason) = &wrong.adapter else { panic!("{keys}") };
            assert!(reason.contains("apiKeys") && !reason.contains("sk-1"), "{reason}");
        }
    }
}
