//! The routes of the catalogue, indexed by the names that clients ask for.

use std::{
    cmp::Reverse,
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use signalbox_core::schema::{self, RoutePlan, RouteTarget};

use crate::provider::Provider;

/// The enabled routes.
#[derive(Debug, Default)]
pub struct Routes {
    /// By model name or alias without a wildcard.
    names: HashMap<String, Arc<Route>>,
    /// Names with a wildcard; the most specific one comes first.
    patterns: Vec<(Pattern, Arc<Route>)>,
}

/// A route whose providers have been looked up.
#[derive(Debug)]
pub struct Route {
    /// Id of the route.
    pub id: String,
    /// Public model name.
    pub model: String,
    /// Policy, retries and deadlines.
    pub plan: RoutePlan,
    /// Providers of its targets, in the same order.
    pub providers: Vec<Result<Arc<Provider>, Absent>>,
    /// Provider of its mirror, if it has one that is enabled.
    pub mirror: Option<Arc<Provider>>,
    /// Number of requests that took their turn.
    turns: AtomicUsize,
    /// See [`Self::version`].
    version: u64,
}

/// Reason why a target has no provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// No provider has this id.
    Missing,
    /// The provider is disabled.
    Disabled,
    /// The provider has no key of the name that the target gives.
    NoKey,
}

/// A name with one `*`.
#[derive(Debug, PartialEq, Eq)]
struct Pattern {
    prefix: String,
    suffix: String,
}

// === impl Routes ===

impl Routes {
    /// Indexes the enabled routes. `provider` finds the provider of a target.
    pub(super) fn new(rows: Vec<schema::Route>, provider: impl Fn(&str) -> Result<Arc<Provider>, Absent>) -> Self {
        let mut routes = Self::default();
        for row in rows.into_iter().filter(|row| row.enabled) {
            let of_target = |target: &RouteTarget| {
                let provider = provider(&target.provider)?;
                let Some(name) = &target.key else { return Ok(provider) };
                provider.with_name(name).cloned().ok_or(Absent::NoKey)
            };
            let providers: Vec<_> = row.plan.targets.iter().map(of_target).collect();
            let mirror = row.plan.mirror.as_ref().and_then(|mirror| provider(&mirror.provider).ok());
            let schema::Route { id, model, plan, .. } = row;
            let version = version(&plan, &providers);
            let route = Arc::new(Route { id, model, plan, providers, mirror, turns: AtomicUsize::new(0), version });
            for name in [&route.model].into_iter().chain(&route.plan.aliases) {
                match name.split_once('*') {
                    None => drop(routes.names.entry(name.clone()).or_insert_with(|| Arc::clone(&route))),
                    Some((prefix, suffix)) => {
                        let pattern = Pattern { prefix: prefix.to_owned(), suffix: suffix.to_owned() };
                        routes.patterns.push((pattern, Arc::clone(&route)));
                    }
                }
            }
        }
        routes.patterns.sort_by_key(|(pattern, _)| Reverse((pattern.len(), pattern.prefix.len())));
        routes
    }

    /// Indexes routes whose providers do not exist.
    #[cfg(test)]
    pub(crate) fn of_plans<const N: usize>(plans: [(&str, RoutePlan); N]) -> Self {
        let row = |(model, plan): (&str, RoutePlan)| schema::Route {
            id: model.to_owned(),
            model: model.to_owned(),
            enabled: true,
            plan,
            created_at: 0,
            updated_at: 0,
        };
        Self::new(plans.into_iter().map(row).collect(), |_| Err(Absent::Missing))
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.patterns.is_empty()
    }

    /// Returns the route with this name or alias.
    #[must_use]
    pub fn named(&self, model: &str) -> Option<&Arc<Route>> {
        self.names.get(model)
    }

    /// Returns the route with the most specific wildcard that matches, and the matched text.
    #[must_use]
    pub fn matching<'a>(&self, model: &'a str) -> Option<(&Arc<Route>, &'a str)> {
        self.patterns.iter().find_map(|(pattern, route)| Some((route, pattern.matched(model)?)))
    }

    /// Returns the routes with a name of their own, by that name; aliases are names, too.
    pub fn listed(&self) -> impl Iterator<Item = (&str, &Arc<Route>)> {
        self.names.iter().map(|(name, route)| (&**name, route))
    }
}

/// Returns the [`Route::version`] of a route with a cache; 0 for others.
fn version(plan: &RoutePlan, providers: &[Result<Arc<Provider>, Absent>]) -> u64 {
    if plan.cache.is_none() {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    // Serialising structures of strings and numbers cannot fail.
    serde_json::to_string(&plan.targets).unwrap_or_default().hash(&mut hasher);
    plan.strict.hash(&mut hasher);
    for provider in providers.iter().flatten() {
        (&provider.row.kind, &provider.base_url).hash(&mut hasher);
    }
    hasher.finish()
}

// === impl Route ===

impl Route {
    /// Returns a number that changes with the targets and the addresses of their providers, so that cached answers of
    /// other targets are not given again. It is not stable across versions of the program.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Returns the next turn, and takes it unless the caller only looks.
    pub fn turn(&self, takes: bool) -> usize {
        if takes { self.turns.fetch_add(1, Ordering::Relaxed) } else { self.turns.load(Ordering::Relaxed) }
    }
}

// === impl Pattern ===

impl Pattern {
    fn len(&self) -> usize {
        self.prefix.len() + self.suffix.len()
    }

    fn matched<'a>(&self, model: &'a str) -> Option<&'a str> {
        model.strip_prefix(&*self.prefix)?.strip_suffix(&*self.suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(names: &[(&str, &[&str])]) -> Routes {
        let row = |(model, aliases): &(&str, &[&str])| schema::Route {
            id: (*model).to_owned(),
            model: (*model).to_owned(),
            enabled: !model.starts_with("off"),
            plan: RoutePlan {
                aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
                ..RoutePlan::default()
            },
            created_at: 0,
            updated_at: 0,
        };
        Routes::new(names.iter().map(row).collect(), |_| Err(Absent::Missing))
    }

    #[test]
    fn the_most_specific_wildcard_matches() {
        let routes = routes(&[
            ("*", &[]),
            ("gpt-*", &["fast"]),
            ("gpt-*-mini", &[]),
            ("*-mini", &[]),
            ("gpt-5", &[]),
            ("off", &["off-*"]),
        ]);
        for (model, route, matched) in [
            ("gpt-4", "gpt-*", "4"),
            ("gpt-4-mini", "gpt-*-mini", "4"),
            ("o-mini", "*-mini", "o"),
            ("x", "*", "x"),
            ("gpt-", "gpt-*", ""),
            ("off-x", "*", "off-x"),
        ] {
            let (found, text) = routes.matching(model).unwrap();
            assert_eq!((found.id.as_str(), text), (route, matched), "{model}");
        }
        assert_eq!(routes.named("fast").unwrap().id, "gpt-*");
        assert_eq!(routes.named("gpt-5").unwrap().id, "gpt-5");
        assert!(routes.named("off").is_none() && routes.named("gpt-4").is_none());
        assert!(!routes.is_empty() && Routes::default().is_empty());
    }

    #[test]
    fn overlapping_ends_of_a_pattern_do_not_match() {
        let routes = routes(&[("aba*aba", &[])]);
        assert!(routes.matching("aba").is_none() && routes.matching("ababa").is_none());
        assert_eq!(routes.matching("abaaba").unwrap().1, "");
    }

    #[test]
    fn a_look_takes_no_turn() {
        let routes = routes(&[("m", &[])]);
        let route = routes.named("m").unwrap();
        assert_eq!([false, true, true, false].map(|takes| route.turn(takes)), [0, 0, 1, 2]);
    }
}
