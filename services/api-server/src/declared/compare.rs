//! Comparison of a document with the catalogue: determines the required changes.

mod routes;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use signalbox_core::id::request_id;
use signalbox_core::provider_type::provider_type;
use signalbox_core::schema::{
    ApiKeyFields, ConfigValue, LinkedModel, Model, NewApiKey, NewModel, Provider, ProviderConfig,
};
use signalbox_core::secret::{MASK, Secret, is_sensitive_key};
use signalbox_daemon::NewKey;
use signalbox_store::catalog::{Catalog, Change};
use signalbox_store::provider_models::NewLink;
use signalbox_store::settings::ACTIVE_PROVIDER;
use signalbox_store::{Sealer, provider_configs};
use utoipa::ToSchema;

use super::{Declared, Document, Link};
use signalbox_management::settings::{no_such_provider, typed};

/// Changes to make, and their description for the user. `Debug` shows no secrets.
#[derive(Debug, Default)]
pub struct Plan {
    /// Changes for the store, without those for new keys, which have a secret once they are applied.
    pub changes: Vec<Change>,
    /// Keys to create.
    pub new_keys: Vec<ApiKeyFields>,
    /// The keys that were created, with their secrets. Empty if nothing was written.
    pub issued: Vec<Issued>,
    /// Paths of new entries.
    pub created: Vec<String>,
    /// Paths of changed entries, each with its changed fields.
    pub updated: Vec<(String, Vec<String>)>,
    /// The changed fields of these entries, with their values.
    pub fields: Vec<FieldChange>,
    /// The version of the catalogue that was compared.
    pub base_version: i64,
    /// Paths of deleted entries.
    pub deleted: Vec<String>,
    /// Paths of entries that match the document already.
    pub unchanged: Vec<String>,
    mistakes: Vec<String>,
}

/// A key that was created. It is told only once.
#[derive(Debug, Serialize, ToSchema)]
pub struct Issued {
    id: String,
    name: String,
    /// The key. It is shown only here.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    key: Secret<String>,
}

fn exposed<S: serde::Serializer>(key: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.expose())
}

/// A change of a field. Secrets are masked.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FieldChange {
    /// Path of the entry, such as `providers.openai`.
    path: String,
    /// Name of the field, such as `priority` or `config.timeout`.
    field: String,
    /// The present value; null if there is none.
    before: Value,
    /// The value after the change; null if there is none.
    after: Value,
}

/// A provider with its configuration and its models.
type Row = (Provider, Vec<ProviderConfig>, Vec<LinkedModel>);

/// Compares a document with the catalogue. With `prune`, entries that are not declared are deleted in the sections that
/// are present. An expiry of a key before `now_ms` is refused, unless it is stored already or the key is new.
///
/// # Errors
/// All contradictions, each with its path.
pub fn compare(
    document: &Document,
    catalog: &Catalog,
    sealer: &Sealer,
    prune: bool,
    now_ms: i64,
) -> Result<Plan, Vec<String>> {
    let mut plan = Plan { base_version: catalog.version, ..Plan::default() };
    plan.providers(document, catalog, sealer, prune);
    plan.models(document, catalog, prune);
    plan.settings(document, catalog, prune);
    plan.routes(document, catalog, prune);
    plan.keys(document, catalog, prune, now_ms);
    plan.prices(document, catalog);
    if plan.mistakes.is_empty() { Ok(plan) } else { Err(plan.mistakes) }
}

// === impl Issued ===

impl Issued {
    /// Returns the name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the key itself.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.key.expose()
    }
}

// === impl Plan ===

impl Plan {
    /// Returns whether the catalogue matches the document already.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.new_keys.is_empty()
    }

    /// Issues the new keys, and returns all changes for the store.
    ///
    /// # Errors
    /// Returns an error if the system returns no random bytes.
    pub(super) fn issue(&mut self) -> std::io::Result<Vec<Change>> {
        let mut changes = self.changes.clone();
        for fields in &self.new_keys {
            let NewKey { key, hint, digest } = NewKey::generate()?;
            let id = request_id().to_string();
            self.issued.push(Issued { id: id.clone(), name: fields.name.clone(), key });
            changes.push(Change::NewKey(NewApiKey { id, hint, digest, fields: fields.clone() }));
        }
        Ok(changes)
    }

    fn providers(&mut self, document: &Document, catalog: &Catalog, sealer: &Sealer, prune: bool) {
        let Some(declared) = &document.providers else { return };
        self.names(declared, catalog, prune);
        for (id, provider) in declared {
            let path = format!("providers.{id}");
            let row = catalog.providers.iter().find(|(row, ..)| row.id == *id);
            let mut what = Vec::new();
            if let Some((row, ..)) = row {
                let new = &provider.row;
                what.extend(self.differing(
                    &path,
                    [
                        ("name", json!(row.name), json!(new.name)),
                        ("type", json!(row.kind), json!(new.kind)),
                        ("enabled", json!(row.enabled), json!(new.enabled)),
                        ("priority", json!(row.priority), json!(new.priority)),
                        ("description", json!(described(row.description.as_deref())), json!(new.description)),
                    ],
                ));
            }
            if row.is_none() || !what.is_empty() {
                self.changes.push(Change::Provider(provider.row.clone()));
            }
            let rows = row.map_or(&[][..], |row| &row.1);
            what.extend(self.config(&path, id, &provider.config, rows, sealer, prune));
            // Stored providers may stay incomplete, so that an export can always be applied.
            if row.is_none() || !what.is_empty() {
                self.complete(&path, provider, if prune { &[] } else { rows });
            }
            self.note(path.clone(), row.is_none(), what);
            self.links(&path, id, &provider.models, row, document, catalog, prune);
        }
        for (row, ..) in catalog.providers.iter().filter(|(row, ..)| prune && !declared.contains_key(&row.id)) {
            self.deleted.push(format!("providers.{}", row.id));
            self.changes.push(Change::DeleteProvider(row.id.clone()));
        }
    }

    /// Checks that names of providers are unique.
    fn names(&mut self, declared: &BTreeMap<String, super::Provider>, catalog: &Catalog, prune: bool) {
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        if !prune {
            let kept = catalog.providers.iter().filter(|(row, ..)| !declared.contains_key(&row.id));
            names.extend(kept.map(|(row, ..)| (row.name.as_str(), row.id.as_str())));
        }
        for (id, provider) in declared {
            if let Some(other) = names.insert(&provider.row.name, id) {
                self.mistakes.push(format!("providers.{id}.name: the provider {other} already has this name"));
            }
        }
    }

    /// Checks that a provider has the keys without which it can never work. `kept` are the stored values that stay.
    fn complete(&mut self, path: &str, provider: &super::Provider, kept: &[ProviderConfig]) {
        let kind = &provider.row.kind;
        let has = |key: &str| provider.config.contains_key(key) || kept.iter().any(|row| row.key == key);
        for field in provider_type(kind).missing(has) {
            self.mistakes.push(format!("{path}.config.{}: is required for providers of type {kind}", field.name));
        }
    }

    /// Compares the configuration of a provider, and returns the changed keys.
    fn config(
        &mut self,
        path: &str,
        id: &str,
        declared: &BTreeMap<String, Declared>,
        rows: &[ProviderConfig],
        sealer: &Sealer,
        prune: bool,
    ) -> Vec<String> {
        let mut what = Vec::new();
        for (key, declared) in declared {
            let row = rows.iter().find(|row| row.key == *key);
            let (value, by_reference) = match (declared, row) {
                (Declared::Unchanged, Some(_)) => continue,
                (Declared::Unchanged, None) => {
                    let how = "no secret is stored that could be kept; use ${env:NAME} or ${file:PATH}";
                    self.mistakes.push(format!("{path}.config.{key}: {how}"));
                    continue;
                }
                (Declared::Value { value, by_reference }, _) => (value, *by_reference),
            };
            let is_sensitive = is_sensitive_key(key) || by_reference || row.is_some_and(|row| row.is_sensitive);
            // A stored value that cannot be unsealed counts as different.
            let stored = row.and_then(|row| provider_configs::json(sealer, row).ok());
            let same = row.is_some_and(|row| row.is_sensitive == is_sensitive)
                && stored.is_some_and(|stored| same(&stored, value, is_sensitive));
            if !same {
                let after = if is_sensitive { MASK.into() } else { value.clone() };
                what.push(self.field(path, format!("config.{key}"), masked(row, sealer), after));
                let value = ConfigValue { key: key.clone(), value: Secret::new(value.to_string()), is_sensitive };
                self.changes.push(Change::Config { provider_id: id.to_owned(), value });
            }
        }
        for row in rows.iter().filter(|row| prune && !declared.contains_key(&row.key)) {
            what.push(self.field(path, format!("config.{}", row.key), masked(Some(row), sealer), Value::Null));
            self.changes.push(Change::DeleteConfig { provider_id: id.to_owned(), key: row.key.clone() });
        }
        what
    }

    #[expect(clippy::too_many_arguments, reason = "both sides of the comparison, with their path and id")]
    fn links(
        &mut self,
        path: &str,
        id: &str,
        declared: &BTreeMap<String, Link>,
        row: Option<&Row>,
        document: &Document,
        catalog: &Catalog,
        prune: bool,
    ) {
        let rows = row.map_or(&[][..], |(.., links)| links);
        let new_default = declared.values().any(|link| link.is_default);
        for (model, link) in declared {
            let path = format!("{path}.models.{model}");
            let named = document.models.as_ref().is_some_and(|models| models.contains_key(model));
            let pruned = prune && document.models.is_some();
            if !named && (pruned || catalog.models.iter().all(|row| row.id != *model)) {
                self.mistakes.push(format!("{path}: the model does not exist; declare it in the section models"));
            }
            let row = rows.iter().find(|row| row.model.id == *model);
            let mut what = Vec::new();
            if let Some(row) = row {
                let config = config_of(row.config.as_deref());
                what.extend(self.differing(
                    &path,
                    [
                        ("default", json!(row.is_default), json!(link.is_default)),
                        ("config", json!(config), json!(link.config)),
                    ],
                ));
            }
            if row.is_none() || !what.is_empty() {
                let config = link.config.clone().map(|config| Value::Object(config).to_string());
                let (provider_id, model_id) = (id.to_owned(), model.clone());
                self.changes.push(Change::Link(NewLink { provider_id, model_id, is_default: link.is_default, config }));
            }
            self.note(path, row.is_none(), what);
        }
        for row in rows.iter().filter(|row| !declared.contains_key(&row.model.id)) {
            let path = format!("{path}.models.{}", row.model.id);
            if prune {
                self.deleted.push(path);
                let (provider_id, model_id) = (id.to_owned(), row.model.id.clone());
                self.changes.push(Change::DeleteLink { provider_id, model_id });
            } else if row.is_default && new_default {
                // The store changes the default of the other links itself.
                let what = self.differing(&path, [("default", json!(true), json!(false))]);
                self.updated.push((path, what));
            }
        }
    }

    fn models(&mut self, document: &Document, catalog: &Catalog, prune: bool) {
        let Some(declared) = &document.models else { return };
        for (id, model) in declared {
            let row = catalog.models.iter().find(|row| row.id == *id);
            let path = format!("models.{id}");
            let what = row.map(|row| self.differing(&path, model_fields(row, model))).unwrap_or_default();
            if row.is_none() || !what.is_empty() {
                self.changes.push(Change::Model(model.clone()));
            }
            self.note(path, row.is_none(), what);
        }
        for row in catalog.models.iter().filter(|row| prune && !declared.contains_key(&row.id)) {
            self.deleted.push(format!("models.{}", row.id));
            self.changes.push(Change::DeleteModel(row.id.clone()));
        }
    }

    fn settings(&mut self, document: &Document, catalog: &Catalog, prune: bool) {
        let Some(declared) = &document.settings else { return };
        for (key, value) in declared {
            let row = catalog.settings.iter().find(|row| row.key == *key);
            let differs = row.is_none_or(|row| row.value != *value);
            if differs && key == ACTIVE_PROVIDER && !has_provider(value, document, catalog, prune) {
                self.mistakes.push(format!("settings.{key}: {}", no_such_provider(value)));
            }
            if differs {
                self.changes.push(Change::Setting { key: key.clone(), value: value.clone() });
            }
            let path = format!("settings.{key}");
            let shown = |text: &String| if is_sensitive_key(key) { MASK.into() } else { typed(key, text.clone()) };
            let mut what = Vec::new();
            if differs {
                let before = row.map_or(Value::Null, |row| shown(&row.value));
                what.push(self.field(&path, "value".to_owned(), before, shown(value)));
            }
            self.note(path, row.is_none(), what);
        }
        for row in catalog.settings.iter().filter(|row| prune && !declared.contains_key(&row.key)) {
            self.deleted.push(format!("settings.{}", row.key));
            self.changes.push(Change::ResetSetting(row.key.clone()));
        }
    }

    /// Adds the fields that differ, and returns their names.
    fn differing<const N: usize>(&mut self, path: &str, fields: [(&str, Value, Value); N]) -> Vec<String> {
        let differing = fields.into_iter().filter(|(_, before, after)| before != after);
        differing.map(|(field, before, after)| self.field(path, field.to_owned(), before, after)).collect()
    }

    /// Adds a field, and returns its name.
    fn field(&mut self, path: &str, field: String, before: Value, after: Value) -> String {
        self.fields.push(FieldChange { path: path.to_owned(), field: field.clone(), before, after });
        field
    }

    fn note(&mut self, path: String, is_new: bool, what: Vec<String>) {
        if is_new {
            // All of its fields are new.
            self.fields.retain(|change| change.path != path);
        }
        match (is_new, what.is_empty()) {
            (true, _) => self.created.push(path),
            (false, false) => self.updated.push((path, what)),
            (false, true) => self.unchanged.push(path),
        }
    }
}

/// Returns whether there will be a provider of this id.
fn has_provider(id: &str, document: &Document, catalog: &Catalog, prune: bool) -> bool {
    let declared = document.providers.as_ref();
    let is_kept = !(prune && declared.is_some()) && catalog.providers.iter().any(|(row, ..)| row.id == id);
    is_kept || declared.is_some_and(|declared| declared.contains_key(id))
}

fn model_fields(row: &Model, new: &NewModel) -> [(&'static str, Value, Value); 3] {
    [
        ("name", json!(row.name), json!(new.name)),
        ("description", json!(described(row.description.as_deref())), json!(new.description)),
        ("capabilities", json!(row.capabilities), json!(new.capabilities)),
    ]
}

/// Returns a stored value as it is shown; null if there is none, or if it cannot be unsealed.
fn masked(row: Option<&ProviderConfig>, sealer: &Sealer) -> Value {
    match row {
        Some(row) if row.is_sensitive || is_sensitive_key(&row.key) => MASK.into(),
        Some(row) => provider_configs::json(sealer, row).unwrap_or_default(),
        None => Value::Null,
    }
}

/// Treats an empty description as a missing one.
fn described(description: Option<&str>) -> Option<&str> {
    description.filter(|text| !text.trim().is_empty())
}

fn config_of(text: Option<&str>) -> Option<Map<String, Value>> {
    text.and_then(|text| serde_json::from_str(text).ok())
}

/// Compares two values. A secret that looks like a number was declared as one, but is stored and read back as text.
fn same(stored: &Value, declared: &Value, is_sensitive: bool) -> bool {
    let written = declared.to_string();
    stored == declared || (is_sensitive && stored.as_str() == Some(&written))
}
