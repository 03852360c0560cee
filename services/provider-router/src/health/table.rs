//! The targets of the catalogue, kept across its changes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use signalbox_core::schema::KeyLimits;

use super::TargetHealth;
use crate::{alerts::Alerts, ledger::ProviderQuota};

/// All targets. Locked only when the catalogue changes and when operators look at it.
#[derive(Debug, Default)]
pub struct HealthTable {
    /// By the id of the provider, and the name of its key if it has several.
    providers: Mutex<HashMap<(String, Option<String>), ProviderHealth>>,
    alerts: Alerts,
}

/// The targets of one provider.
#[derive(Clone, Debug, Default)]
pub struct ProviderHealth {
    models: HashMap<String, Arc<TargetHealth>>,
    others: Arc<TargetHealth>,
    quota: Arc<ProviderQuota>,
}

// === impl HealthTable ===

impl HealthTable {
    /// Creates a table without targets, whose changes are told to `alerts`.
    #[must_use]
    pub fn new(alerts: Alerts) -> Self {
        Self { alerts, ..Self::default() }
    }

    /// Returns the targets of a provider that has these models, with one of its keys if it has several. Those that it had
    /// before keep their state, and those that it has no longer are forgotten.
    pub fn provider<'a>(&self, id: &str, key: Option<&str>, models: impl Iterator<Item = &'a str>) -> ProviderHealth {
        let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (id.to_owned(), key.map(str::to_owned));
        let new = |model: &str| Arc::new(TargetHealth::told(id, key, model, self.alerts.clone()));
        let before = providers.remove(&place).unwrap_or_else(|| ProviderHealth {
            models: HashMap::new(),
            others: new(""),
            quota: Arc::new(ProviderQuota::new(id)),
        });
        let kept = |model: &str| {
            let known = before.models.get(model).cloned();
            (model.to_owned(), known.unwrap_or_else(|| new(model)))
        };
        let after = ProviderHealth { models: models.map(kept).collect(), others: before.others, quota: before.quota };
        providers.insert(place, after.clone());
        after
    }

    /// Returns all targets.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<TargetHealth>> {
        let providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Arc<TargetHealth>> = providers.values().flat_map(ProviderHealth::all).cloned().collect();
        all.sort_by(|a, b| (a.provider(), a.model(), a.key()).cmp(&(b.provider(), b.model(), b.key())));
        all
    }

    /// Forgets the providers and keys that are not among these.
    pub fn retain(&self, is_known: impl Fn(&str, Option<&str>) -> bool) {
        let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        providers.retain(|(id, key), _| is_known(id, key.as_deref()));
    }
}

// === impl ProviderHealth ===

impl ProviderHealth {
    /// Returns the target for a model, by its name at the provider.
    #[must_use]
    pub fn of(&self, model: Option<&str>) -> &Arc<TargetHealth> {
        model.and_then(|model| self.models.get(model)).unwrap_or(&self.others)
    }

    /// Replaces the limits of the provider. Returns what was used of them; `None` without limits.
    #[must_use]
    pub fn limited(&self, limits: KeyLimits) -> Option<Arc<ProviderQuota>> {
        self.quota.set(limits);
        (!limits.is_empty()).then(|| Arc::clone(&self.quota))
    }

    /// Returns all targets.
    pub fn all(&self) -> impl Iterator<Item = &Arc<TargetHealth>> {
        self.models.values().chain([&self.others])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_survive_changes_of_the_catalogue() {
        let table = HealthTable::default();
        let before = table.provider("p", None, ["a", "b"].into_iter());
        let after = table.provider("p", None, ["b", "c"].into_iter());
        assert!(Arc::ptr_eq(before.of(Some("b")), after.of(Some("b"))));
        assert!(Arc::ptr_eq(after.of(Some("a")), after.of(None)), "unknown models share a state");
        assert!(Arc::ptr_eq(before.of(None), after.of(None)));
        assert_eq!((after.all().count(), after.of(Some("c")).model()), (3, "c"));
        table.retain(|id, _| id != "p");
        assert!(!Arc::ptr_eq(table.provider("p", None, ["b"].into_iter()).of(Some("b")), after.of(Some("b"))));
    }
}
