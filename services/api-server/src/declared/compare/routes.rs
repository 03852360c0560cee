//! Comparison of routes, keys and prices.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};
use signalbox_core::id::request_id;
use signalbox_core::schema::{ApiKey, NewRoute, Route};
use signalbox_core::text::quoted;
use signalbox_core::{key_document, route_document};
use signalbox_store::catalog::{Catalog, Change};

use super::{Document, Plan, has_provider};

impl Plan {
    pub(super) fn routes(&mut self, document: &Document, catalog: &Catalog, prune: bool) {
        let Some(declared) = &document.routes else { return };
        let mut positions: HashMap<&str, usize> = HashMap::new();
        for (at, route) in declared.iter().enumerate() {
            if let Some(first) = positions.insert(&route.model, at) {
                self.mistakes.push(format!("routes[{at}].model: is the model of routes[{first}] already"));
            }
            let row = catalog.routes.iter().find(|row| row.model == route.model);
            let path = format!("routes.{}", route.model);
            let what = row.map(|row| self.differences(&path, &written_row(row), &written(route))).unwrap_or_default();
            if row.is_none() || !what.is_empty() {
                // A stored route may name a provider that was deleted, so that an export can always be applied.
                self.targets(at, route, document, catalog, prune);
                let id = row.map_or_else(|| request_id().to_string(), |row| row.id.clone());
                self.changes.push(Change::Route(NewRoute { id, ..route.clone() }));
            }
            self.note(path, row.is_none(), what);
        }
        for row in catalog.routes.iter().filter(|row| prune && !positions.contains_key(&*row.model)) {
            self.deleted.push(format!("routes.{}", row.model));
            self.changes.push(Change::DeleteRoute(row.id.clone()));
        }
        self.aliases(declared, catalog, prune);
    }

    /// Adds the fields that differ, and returns their names.
    fn differences(&mut self, path: &str, stored: &Map<String, Value>, declared: &Map<String, Value>) -> Vec<String> {
        let mut names: Vec<&String> = stored.keys().chain(declared.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let value = |fields: &Map<String, Value>, name: &String| fields.get(name).cloned().unwrap_or_default();
        let differing = names.into_iter().filter(|name| stored.get(*name) != declared.get(*name));
        differing.map(|name| self.field(path, name.clone(), value(stored, name), value(declared, name))).collect()
    }

    fn targets(&mut self, at: usize, route: &NewRoute, document: &Document, catalog: &Catalog, prune: bool) {
        for (target_at, target) in route.plan.targets.iter().enumerate() {
            if !has_provider(&target.provider, document, catalog, prune) {
                let what = route_document::no_such_provider(&target.provider);
                self.mistakes.push(format!("routes[{at}].targets[{target_at}].provider: {what}"));
            }
        }
        if let Some(mirror) = &route.plan.mirror
            && !has_provider(&mirror.provider, document, catalog, prune)
        {
            let what = route_document::no_such_provider(&mirror.provider);
            self.mistakes.push(format!("routes[{at}].mirror.provider: {what}"));
        }
    }

    /// Checks that no name belongs to two routes.
    fn aliases(&mut self, declared: &[NewRoute], catalog: &Catalog, prune: bool) {
        let mut owners: BTreeMap<&str, &str> = declared.iter().map(|route| (&*route.model, &*route.model)).collect();
        let kept = catalog.routes.iter().filter(|row| !prune && declared.iter().all(|route| route.model != row.model));
        for row in kept {
            for name in row.plan.aliases.iter().chain([&row.model]) {
                if let Some(at) = declared.iter().position(|route| route.model == *name) {
                    let owner = quoted(&row.model);
                    self.mistakes.push(format!("routes[{at}].model: is an alias of the route for {owner} already"));
                }
                owners.insert(name, &row.model);
            }
        }
        for (at, route) in declared.iter().enumerate() {
            for (alias_at, alias) in route.plan.aliases.iter().enumerate() {
                // Two aliases of the same route are different, and none is its model.
                if let Some(owner) = owners.insert(alias, &route.model) {
                    let (path, owner) = (format!("routes[{at}].aliases[{alias_at}]"), quoted(owner));
                    self.mistakes.push(format!("{path}: is a name of the route for {owner} already"));
                }
            }
        }
    }

    /// Compares the keys. One that was revoked is neither exported nor deleted: it stays as a record of its end.
    pub(super) fn keys(&mut self, document: &Document, catalog: &Catalog, prune: bool, now_ms: i64) {
        let Some(declared) = &document.keys else { return };
        let mut names: HashMap<&str, usize> = HashMap::new();
        for (at, key) in declared.iter().enumerate() {
            if let Some(first) = names.insert(&key.name, at) {
                self.mistakes.push(format!("keys[{at}].name: is the name of keys[{first}] already"));
            }
            let path = format!("keys.{}", key.name);
            let Some(row) = catalog.keys.iter().find(|row| row.name == key.name) else {
                // One that has expired is created, too, so that an export can always be applied.
                self.new_keys.push(key.clone());
                self.note(path, true, Vec::new());
                continue;
            };
            if key.expires_at != row.expires_at && key.expires_at.is_some_and(|at| at <= now_ms) {
                self.mistakes
                    .push(format!("keys[{at}].expires_at: must be in the future; to end a key now, revoke it"));
            }
            let stored = key_document::write(&row.name, &row.grant, row.expires_at);
            let declared = key_document::write(&key.name, &key.grant, key.expires_at);
            let what = self.differences(&path, &stored, &declared);
            if !what.is_empty() {
                self.changes.push(Change::Key { id: row.id.clone(), fields: key.clone() });
            }
            self.note(path, false, what);
        }
        let is_left_out = |row: &&ApiKey| row.revoked_at.is_none() && !names.contains_key(&*row.name);
        for row in catalog.keys.iter().filter(|row| prune && is_left_out(row)) {
            self.deleted.push(format!("keys.{}", row.name));
            self.changes.push(Change::DeleteKey(row.id.clone()));
        }
    }

    pub(super) fn prices(&mut self, document: &Document, catalog: &Catalog) {
        let Some(declared) = &document.prices else { return };
        let stored: Option<Value> = catalog.prices.as_deref().and_then(|text| serde_json::from_str(text).ok());
        match (declared, stored) {
            (None, None) if catalog.prices.is_none() => {}
            (None, _) => {
                self.deleted.push("prices".to_owned());
                self.changes.push(Change::DeletePrices);
            }
            (Some(declared), stored) => {
                let what = match &stored {
                    Some(Value::Object(stored)) => self.differences("prices", stored, declared),
                    _ => Vec::new(),
                };
                if stored.is_none() || !what.is_empty() {
                    self.changes.push(Change::Prices(Value::Object(declared.clone()).to_string()));
                }
                self.note("prices".to_owned(), catalog.prices.is_none(), what);
            }
        }
    }
}

fn written(route: &NewRoute) -> Map<String, Value> {
    route_document::write(&route.model, route.enabled, &route.plan)
}

fn written_row(row: &Route) -> Map<String, Value> {
    route_document::write(&row.model, row.enabled, &row.plan)
}
