//! Selects the targets that a request is sent to, and their order. Has no side effects but the turns of a route.
//!
//! A request for `model` goes
//! 1. to the route of the catalogue with this name or alias;
//! 2. for a name of the form `provider/model`, to that provider and no other;
//! 3. to the route with the most specific wildcard that matches;
//! 4. to the [implied] route: the active provider and the providers linked to the model.
//!
//! Targets that should not be tried now are [skipped](Skipped): their breaker is open, their provider asked to wait,
//! or their context is too small. The breakers never leave a request without a target: if all are open, the one that
//! recovers first is tried.

mod explain;
mod facts;
mod implied;
mod policy;

use std::sync::Arc;

pub use facts::RequestFacts;
use policy::Contender;
use signalbox_core::schema::{RouteTarget, Sticky};
use signalbox_pricing::{Table, Tokens};

use crate::{
    catalog::{Absent, Route, Snapshot},
    health::{Blocked, TargetHealth},
    provider::{Adapter, Provider},
    random::{Rng, mixed},
};

/// The targets of a request, in the order in which they are tried.
#[derive(Debug)]
pub struct Plan {
    /// Route of the catalogue; `None` for an implied one.
    pub route: Option<Arc<Route>>,
    /// Targets to try; never empty.
    pub candidates: Vec<Candidate>,
    /// Targets that are not tried.
    pub skipped: Vec<Skipped>,
}

/// A provider to try, and the model name to send to it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The provider to try.
    pub provider: Arc<Provider>,
    /// Value of `model` in the request to the provider; `None` sends the request unchanged, without a name.
    pub model: Option<String>,
    /// State of the target.
    pub health: Arc<TargetHealth>,
    /// Reason for its place in the order.
    pub reason: Reason,
    /// Number of the target in its route.
    pub target: usize,
    /// Reason why it would not be tried if another one could be.
    pub last_resort: Option<Blocked>,
}

/// A target that is not tried.
#[derive(Debug)]
pub struct Skipped {
    /// Id of the provider.
    pub provider: String,
    /// Name of the model at the provider.
    pub model: Option<String>,
    /// Reason why it is not tried.
    pub why: SkipReason,
}

/// Reason for the place of a target in the order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// The request names the provider.
    Named,
    /// The provider is the active one.
    Active,
    /// The provider is linked to the model.
    Linked,
    /// The provider lists the model.
    Listing,
    /// The provider may serve any model.
    Open,
    /// Its place among the targets of the route.
    Priority,
    /// A random choice by weight.
    Weighted(f64),
    /// Its turn.
    RoundRobin,
    /// The number of its requests in flight.
    LeastBusy(u32),
    /// Its time to the first token in milliseconds, if known.
    Latency(Option<f64>),
    /// Its price for the request in pico-dollars, if known.
    Cheapest(Option<u128>),
    /// The hash of the request's session or prefix.
    Sticky(Sticky),
}

/// Reason why a target is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The catalogue has no such provider.
    Missing,
    /// The provider is disabled.
    Disabled,
    /// The provider's configuration is invalid.
    Misconfigured,
    /// The target's context holds fewer tokens than the prompt is estimated to have.
    ContextTooSmall {
        /// Tokens that the target holds.
        holds: u64,
        /// Estimated tokens of the prompt.
        needs: u64,
    },
    /// The breaker is open, or the provider asked to wait.
    Blocked(Blocked),
}

/// Reason why no provider can serve a request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No enabled provider serves the model.
    #[error(
        "The model `{0}` does not exist: no enabled provider serves it. `GET /v1/models` lists the available models."
    )]
    UnknownModel(String),
    /// The request names no model, and there is no default.
    #[error("`model` is missing, and {0}.")]
    MissingModel(NoDefault),
    /// No target of the route can be used.
    #[error("The route `{model}` has no usable target: {reasons}. Change the route, or enable its providers.")]
    NoTarget {
        /// Name of the route.
        model: String,
        /// The targets, with the reasons why they cannot be used.
        reasons: String,
    },
}

/// Reason why there is no default model, with advice for the user.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDefault {
    /// The setting `active_provider` is not set.
    #[error("no provider is active. Name a model, or set `active_provider` to the id of a provider")]
    NoneActive,
    /// The setting names a provider that is disabled or does not exist.
    #[error(
        "the active provider `{0}` is not enabled. Name a model, enable it, or set `active_provider` to another one"
    )]
    NotEnabled(String),
    /// The active provider has no default model.
    #[error("the active provider `{0}` has no default. Name a model, or set `defaultModel` in its configuration")]
    NotSet(String),
}

/// Returns the targets of a request. `prices` are those in effect, `now` is the time of [`crate::health::now`].
///
/// # Errors
/// Returns a [`RouteError`] if there are none.
pub fn plan(
    snapshot: &Snapshot,
    facts: &RequestFacts<'_>,
    prices: Option<&Table>,
    now: u64,
    rng: &mut Rng,
) -> Result<Plan, RouteError> {
    if let Some((route, matched)) = facts.model.and_then(|model| route_of(snapshot, model)) {
        return of_route(route, matched, facts, prices, now, rng);
    }
    let candidates = implied::candidates(snapshot, facts.model)?;
    let mut plan = Plan { route: None, candidates, skipped: Vec::new() };
    if plan.candidates.iter().any(|candidate| candidate.health.blocked(now).is_some()) {
        plan.skip_blocked(now);
    }
    Ok(plan)
}

/// Returns the candidates of an implied route, whatever their state.
///
/// # Errors
/// Returns a [`RouteError`] if there are none.
pub fn candidates(snapshot: &Snapshot, model: Option<&str>) -> Result<Vec<Candidate>, RouteError> {
    implied::candidates(snapshot, model)
}

/// Returns the route of the catalogue for a model, and the text that its wildcard matches.
fn route_of<'a>(snapshot: &'a Snapshot, model: &'a str) -> Option<(&'a Arc<Route>, &'a str)> {
    let routes = snapshot.routes();
    if routes.is_empty() {
        return None;
    }
    if let Some(route) = routes.named(model) {
        return Some((route, model));
    }
    if implied::named(snapshot, model).is_some() { None } else { routes.matching(model) }
}

fn of_route(
    route: &Arc<Route>,
    matched: &str,
    facts: &RequestFacts<'_>,
    prices: Option<&Table>,
    now: u64,
    rng: &mut Rng,
) -> Result<Plan, RouteError> {
    let mut plan = Plan { route: Some(Arc::clone(route)), candidates: Vec::new(), skipped: Vec::new() };
    for (n, (target, provider)) in route.plan.targets.iter().zip(&route.providers).enumerate() {
        let model = target.model.replacen('*', matched, 1);
        let why = match provider {
            Err(Absent::Missing) => SkipReason::Missing,
            Err(Absent::Disabled) => SkipReason::Disabled,
            Ok(provider) if matches!(provider.adapter, Adapter::Misconfigured(_)) => SkipReason::Misconfigured,
            Ok(provider) => {
                let candidate = Candidate::new(provider, Some(model), Reason::Priority);
                plan.candidates.push(Candidate { target: n, ..candidate });
                continue;
            }
        };
        plan.skipped.push(Skipped { provider: target.provider.clone(), model: Some(model), why });
    }
    plan.skip_small(route, facts);
    if plan.candidates.is_empty() {
        return Err(RouteError::NoTarget { model: route.model.clone(), reasons: explain::reasons(&plan.skipped) });
    }
    plan.skip_blocked(now);
    plan.sort(route, facts, prices, now, rng);
    Ok(plan)
}

// === impl Plan ===

impl Plan {
    /// Removes the targets whose context is too small, unless none would be left: the size is an estimate.
    fn skip_small(&mut self, route: &Route, facts: &RequestFacts<'_>) {
        let holds = |candidate: &Candidate| route.plan.targets.get(candidate.target)?.context_tokens;
        if !self.candidates.iter().any(|candidate| holds(candidate).is_some()) {
            return;
        }
        let Some(needs) = facts.prompt_tokens() else { return };
        let is_small = |candidate: &Candidate| holds(candidate).is_some_and(|holds| holds < needs);
        if self.candidates.iter().all(is_small) {
            let largest = self.candidates.iter().filter_map(holds).max();
            self.skip(|candidate| {
                let holds = holds(candidate).filter(|holds| Some(*holds) != largest)?;
                Some(SkipReason::ContextTooSmall { holds, needs })
            });
        } else {
            self.skip(|candidate| {
                let holds = holds(candidate).filter(|holds| *holds < needs)?;
                Some(SkipReason::ContextTooSmall { holds, needs })
            });
        }
    }

    /// Removes the targets that should not be tried now, unless none would be left: then the one stays that may be
    /// tried first.
    fn skip_blocked(&mut self, now: u64) {
        let blocked: Vec<Option<Blocked>> =
            self.candidates.iter().map(|candidate| candidate.health.blocked(now)).collect();
        let mut first = None;
        if blocked.iter().all(Option::is_some) {
            first = (0..blocked.len()).min_by_key(|n| blocked[*n].map(Blocked::until));
        }
        let mut n = 0;
        self.skip(|_| {
            n += 1;
            blocked[n - 1].filter(|_| first != Some(n - 1)).map(SkipReason::Blocked)
        });
        if let (Some(first), [candidate]) = (first, &mut self.candidates[..]) {
            candidate.last_resort = blocked[first];
        }
    }

    fn skip(&mut self, mut why: impl FnMut(&Candidate) -> Option<SkipReason>) {
        for candidate in std::mem::take(&mut self.candidates) {
            match why(&candidate) {
                None => self.candidates.push(candidate),
                Some(why) => {
                    let Candidate { provider, model, .. } = candidate;
                    self.skipped.push(Skipped { provider: provider.id.clone(), model, why });
                }
            }
        }
    }

    /// Puts the targets into the order of the route's policy.
    fn sort(&mut self, route: &Route, facts: &RequestFacts<'_>, prices: Option<&Table>, now: u64, rng: &mut Rng) {
        let policy = route.plan.policy;
        let is_priced = policy == signalbox_core::schema::RoutePolicy::Cheapest;
        let prices = prices.filter(|_| is_priced);
        let tokens = prices.map(|_| (facts.body.len() as u64 / 5, facts.output_tokens()));
        let contender = |candidate: &Candidate| {
            let weight = route.plan.targets.get(candidate.target).and_then(|target| target.weight).unwrap_or(1);
            Contender {
                weight: f64::from(weight.max(1)) * candidate.health.share(now),
                in_flight: candidate.health.in_flight(),
                latency: candidate.health.latency(now),
                price: prices.zip(tokens).and_then(|(table, tokens)| candidate.price(table, tokens, facts.unix_ms)),
                hash: candidate.hash(),
            }
        };
        let contenders: Vec<Contender> = self.candidates.iter().map(contender).collect();
        let key = route.plan.sticky.and_then(|sticky| Some((sticky, facts.key(sticky)?)));
        let order = match key {
            Some((_, key)) => policy::sticky(&contenders, key),
            None => policy::order(policy, &contenders, route.turn(facts.takes_turn), rng),
        };
        let mut unsorted: Vec<Option<Candidate>> = std::mem::take(&mut self.candidates).into_iter().map(Some).collect();
        for n in order {
            let Some(candidate) = unsorted.get_mut(n).and_then(Option::take) else { continue };
            let reason = match key {
                Some((sticky, _)) => Reason::Sticky(sticky),
                None => Reason::of(policy, &contenders[n]),
            };
            self.candidates.push(Candidate { reason, ..candidate });
        }
    }

    /// Returns the target of the route that a candidate stands for.
    #[must_use]
    pub fn target(&self, candidate: &Candidate) -> Option<&RouteTarget> {
        self.route.as_ref()?.plan.targets.get(candidate.target)
    }
}

// === impl Candidate ===

impl Candidate {
    /// Creates a candidate with the state of its target.
    #[must_use]
    pub fn new(provider: &Arc<Provider>, model: Option<String>, reason: Reason) -> Self {
        let health = Arc::clone(provider.health.of(model.as_deref()));
        Self { provider: Arc::clone(provider), model, health, reason, target: 0, last_resort: None }
    }

    /// Returns the price of a prompt and an answer of so many tokens, in pico-dollars, if it is known.
    #[must_use]
    pub fn price(&self, prices: &Table, (input, output): (u64, u64), unix_ms: i64) -> Option<u128> {
        let model = self.model.as_deref().unwrap_or_default();
        let price = prices.find(&self.provider.row.kind, &self.provider.id, model, unix_ms)?;
        Some(price.cost(&Tokens { input, output, ..Tokens::default() }.into()).ok()?.total().picos())
    }

    fn hash(&self) -> u64 {
        let text = self.provider.id.bytes().chain([0]).chain(self.model.as_deref().unwrap_or_default().bytes());
        text.fold(0, |hash, byte| mixed(hash ^ u64::from(byte).wrapping_add(1)))
    }
}

#[cfg(test)]
mod tests;
