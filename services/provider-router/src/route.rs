//! Selects the targets that a request is sent to, and their order. Has no side effects but the turns of a route.
//!
//! A request for `model` goes
//! 1. to the route of the catalogue with this name or alias;
//! 2. for a name of the form `provider/model`, to that provider and no other;
//! 3. to the route with the most specific wildcard that matches;
//! 4. to the [implied] route: the active provider and the providers linked to the model.
//!
//! Targets that do not fit the request are [skipped](Skipped), and so are those that should not be tried now: their
//! breaker is open, or their provider asked to wait. The breakers never leave a request without a target: if all are
//! open, the one that recovers first is tried.

mod conditions;
mod error;
mod explain;
mod facts;
mod implied;
mod keys;
mod policy;

use std::sync::Arc;

pub use error::{NoDefault, RouteError};
pub use facts::RequestFacts;
use policy::Contender;
use serde_json::{Map, Value};
use signalbox_core::{
    Api,
    provider_type::ApiNeeds,
    schema::{Ability, RouteDeadlines, RoutePolicy, RouteTarget, Sticky},
};
use signalbox_pricing::{Table, Tokens};

use crate::{
    catalog::{Absent, Route, Snapshot},
    envelope::Envelope,
    health::{Blocked, Exhausted, TargetHealth},
    owners::Owner,
    provider::{Adapter, Provider},
    random::Rng,
    token_estimate,
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
    /// Overrides that the request asks for; empty without any.
    pub overrides: Map<String, Value>,
    /// Expected tokens of prompt and answer, for the limits of providers; 0 if none has limits.
    pub tokens: u64,
    /// Text that the `*` of the route matched; empty without a route.
    pub matched: String,
    /// Id of the request of which this one is a copy.
    pub mirror_of: Option<String>,
    /// Target that made the answer which the request continues, if it is known.
    pub owner: Option<Owner>,
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
    /// Limit of its provider because of which it comes behind the others.
    pub behind: Option<Exhausted>,
    /// Deadlines that the request asks for; the shorter ones apply.
    pub deadlines: RouteDeadlines,
    /// API that its route sets.
    pub api: Option<Api>,
    /// Region that its route names.
    pub region: Option<String>,
    /// Whether its route sets the effort `none`.
    pub no_effort: bool,
    /// Whether the request continues an answer that another provider keeps.
    pub lacks_previous: bool,
}

/// A target that is not tried.
#[derive(Debug)]
pub struct Skipped {
    /// Id of the provider.
    pub provider: String,
    /// Name of the model at the provider.
    pub model: Option<String>,
    /// Name of the provider's key, if it has several.
    pub key: Option<String>,
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
    /// It made the answer that the request continues.
    Owner,
    /// The mirror of the route of another request.
    Mirror,
}

/// Reason why a target is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The catalogue has no such provider.
    Missing,
    /// The provider is disabled.
    Disabled,
    /// The provider has no key of this name.
    NoKey,
    /// The provider's configuration is invalid.
    Misconfigured,
    /// The target's context holds fewer tokens than the prompt is estimated to have.
    ContextTooSmall {
        /// Tokens that the target holds.
        holds: u64,
        /// Estimated tokens of the prompt.
        needs: u64,
    },
    /// The request asks for another provider.
    OtherProvider,
    /// The request asks for another region.
    OtherRegion,
    /// The model lacks an ability that the request needs.
    Lacks(Ability),
    /// The expected price of the request is above the limit. Both are in pico-dollars.
    TooExpensive {
        /// Expected price.
        price: u128,
        /// Limit of the target or of the request.
        limit: u128,
    },
    /// The price of the request is limited, to these pico-dollars, and that of the target is unknown.
    PriceUnknown {
        /// Limit of the target or of the request.
        limit: u128,
    },
    /// The request asks for no fallbacks.
    NoFallbacks,
    /// A limit of the provider is reached, for so many milliseconds if that is known.
    AtLimit(Option<u64>),
    /// The breaker is open, or the provider asked to wait.
    Blocked(Blocked),
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
    let mut plan = match facts.model.and_then(|model| route_of(snapshot, model)) {
        Some((route, matched)) => Plan::of_route(route, (matched, facts.model.unwrap_or_default())),
        None => Plan::implied(implied::candidates(snapshot, facts.model)?),
    };
    let route = plan.route.clone();
    let has_keys = plan.expand_keys();
    plan.skip_unfit(facts, prices);
    if let Some(route) = &route {
        plan.skip_small(route, facts);
    }
    plan.skip_limited(facts, now);
    if plan.candidates.is_empty() {
        return Err(plan.into_error(facts));
    }
    if plan.candidates.iter().any(|candidate| candidate.health.blocked(now).is_some()) {
        plan.skip_blocked(now);
    }
    let asked = facts.overrides.and_then(|overrides| overrides.policy);
    if has_keys {
        plan.spread_keys(plan.sticky_key(facts).map(|(_, key)| key), facts.stream, now, rng);
    }
    if let Some(policy) = asked.or_else(|| route.as_ref().map(|route| route.plan.policy)) {
        plan.sort((route.as_deref(), policy), facts, prices, now, rng);
    }
    plan.put_owner_first(facts);
    plan.put_behind(facts, now);
    if facts.overrides.is_some_and(|overrides| overrides.fallbacks == Some(false)) {
        let mut is_first = true;
        plan.skip(|_| (!std::mem::replace(&mut is_first, false)).then_some(SkipReason::NoFallbacks));
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

// === impl Plan ===

impl Plan {
    fn implied(candidates: Vec<Candidate>) -> Self {
        let (skipped, overrides) = (Vec::new(), Map::new());
        Self {
            route: None,
            candidates,
            skipped,
            overrides,
            tokens: 0,
            matched: String::new(),
            mirror_of: None,
            owner: None,
        }
    }

    /// Returns the plan of a request for `model`, of which a wildcard of the route matches `matched`.
    fn of_route(route: &Arc<Route>, (matched, model): (&str, &str)) -> Self {
        // A target `*` would have no name where the wildcard matches nothing: it gets the requested one.
        let filled = |name: &str| if name == "*" && matched.is_empty() { model } else { matched };
        let mirrored = route.plan.mirror.as_ref().filter(|_| route.mirror.is_some());
        let matched_text = mirrored.map(|mirror| filled(&mirror.model).to_owned()).unwrap_or_default();
        let mut plan = Self { route: Some(Arc::clone(route)), matched: matched_text, ..Self::implied(Vec::new()) };
        for (n, (target, provider)) in route.plan.targets.iter().zip(&route.providers).enumerate() {
            let model = target.model.replacen('*', filled(&target.model), 1);
            let why = match provider {
                Err(Absent::Missing) => SkipReason::Missing,
                Err(Absent::Disabled) => SkipReason::Disabled,
                Err(Absent::NoKey) => SkipReason::NoKey,
                Ok(provider) if matches!(provider.adapter, Adapter::Misconfigured(_)) => SkipReason::Misconfigured,
                Ok(provider) => {
                    let candidate = Candidate::new(provider, Some(model), Reason::Priority);
                    let no_effort = target.params.get("reasoning_effort").is_some_and(|effort| effort == "none");
                    let region = target.region.clone();
                    plan.candidates.push(Candidate { target: n, api: target.api, region, no_effort, ..candidate });
                    continue;
                }
            };
            let (provider, key) = (target.provider.clone(), target.key.clone());
            plan.skipped.push(Skipped { provider, model: Some(model), key, why });
        }
        plan
    }

    /// Returns whether its route has a cache.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        self.route.as_ref().is_some_and(|route| route.plan.cache.is_some())
    }

    /// Returns whether copies of such requests go to a mirror. One that asks for a provider, a region or a price does not.
    #[must_use]
    pub fn is_mirrored(&self) -> bool {
        self.overrides.is_empty() && self.route.as_ref().is_some_and(|route| route.mirror.is_some())
    }

    /// Returns the plan of a copy of this request for the mirror of its route, if it has one that can be asked now.
    /// `id` is that of the request.
    #[must_use]
    pub fn mirrored(&self, id: &str, now: u64) -> Option<Self> {
        let route = self.route.as_ref()?;
        let (provider, mirror) = (route.mirror.as_ref()?, route.plan.mirror.as_ref()?);
        let model = mirror.model.replacen('*', &self.matched, 1);
        let lacks_previous = self.owner.as_ref().is_some_and(|owner| owner.keeps_answer && !owner.is(provider));
        let candidate = Candidate { lacks_previous, ..Candidate::new(provider, Some(model), Reason::Mirror) };
        let can_be_asked = candidate.health.blocked(now).is_none();
        can_be_asked.then(|| Self { mirror_of: Some(id.to_owned()), ..Self::implied(vec![candidate]) })
    }

    /// Returns the error of a request for which no target is left.
    fn into_error(self, facts: &RequestFacts<'_>) -> RouteError {
        let model = self.route.as_ref().map(|route| &*route.model).or(facts.model).unwrap_or_default().to_owned();
        let reasons = explain::reasons(&self.skipped);
        let is_absent = |why| {
            matches!(why, SkipReason::Missing | SkipReason::Disabled | SkipReason::NoKey | SkipReason::Misconfigured)
        };
        let waits = self.skipped.iter().filter_map(|skipped| match skipped.why {
            SkipReason::AtLimit(wait) => Some(wait.unwrap_or(1_000)),
            _ => None,
        });
        if let Some(wait_ms) = waits.min() {
            RouteError::AtLimit { model, reasons, wait_ms }
        } else if self.skipped.iter().all(|skipped| is_absent(skipped.why)) {
            RouteError::NoTarget { model, reasons }
        } else {
            RouteError::NoMatch { model, reasons }
        }
    }

    fn skip(&mut self, mut why: impl FnMut(&Candidate) -> Option<SkipReason>) {
        for candidate in std::mem::take(&mut self.candidates) {
            match why(&candidate) {
                None => self.candidates.push(candidate),
                Some(why) => {
                    let Candidate { provider, model, .. } = candidate;
                    let key = provider.key.as_deref().map(str::to_owned);
                    self.skipped.push(Skipped { provider: provider.id.clone(), model, key, why });
                }
            }
        }
    }

    /// Puts the targets into the order of a policy. That of the route gives way to stickiness; one that the request asks
    /// for does not.
    fn sort(
        &mut self,
        (route, policy): (Option<&Route>, RoutePolicy),
        facts: &RequestFacts<'_>,
        prices: Option<&Table>,
        now: u64,
        rng: &mut Rng,
    ) {
        let prices = prices.filter(|_| policy == RoutePolicy::Cheapest);
        let tokens = prices.map(|_| facts.expected_tokens());
        let target = |candidate: &Candidate| route.and_then(|route| route.plan.targets.get(candidate.target));
        let contender = |candidate: &Candidate| {
            let weight = target(candidate).and_then(|target| target.weight).unwrap_or(1);
            Contender {
                weight: f64::from(weight.max(1)) * candidate.health.share(now),
                in_flight: candidate.health.in_flight(),
                latency: candidate.health.latency(now, facts.stream),
                price: prices.zip(tokens).and_then(|(table, tokens)| candidate.price(table, tokens, facts.unix_ms)),
                hash: candidate.hash(target(candidate).and_then(|target| target.key.as_deref())),
            }
        };
        let firsts = self.first_of_targets();
        let contenders: Vec<Contender> = firsts.iter().map(|first| contender(&self.candidates[*first])).collect();
        let key = self.sticky_key(facts);
        let order = match key {
            Some((_, key)) => policy::sticky(&contenders, key),
            None => {
                let turn = route.map_or_else(|| rng.below(contenders.len()), |route| route.turn(facts.takes_turn));
                policy::order(policy, &contenders, turn, rng)
            }
        };
        let mut unsorted: Vec<Option<Candidate>> = std::mem::take(&mut self.candidates).into_iter().map(Some).collect();
        for n in order {
            let keys = firsts[n]..firsts.get(n + 1).copied().unwrap_or(unsorted.len());
            let reason = match key {
                Some((sticky, _)) => Reason::Sticky(sticky),
                None => Reason::of(policy, &contenders[n]),
            };
            let keys = unsorted[keys].iter_mut().filter_map(Option::take);
            self.candidates.extend(keys.map(|candidate| Candidate { reason, ..candidate }));
        }
    }

    /// Moves the target that made the answer which the request continues before the others. An implied order stays,
    /// unless no other provider knows the answer: the user has chosen the active provider.
    fn put_owner_first(&mut self, facts: &RequestFacts<'_>) {
        let Some(owner) = facts.owner else { return };
        self.owner = Some(owner.clone());
        let is_owner = |candidate: &Candidate| owner.is(&candidate.provider);
        for candidate in &mut self.candidates {
            candidate.lacks_previous = owner.keeps_answer && !is_owner(candidate);
        }
        if self.route.is_none() && !owner.keeps_answer {
            return;
        }
        let is_model = |candidate: &Candidate| is_owner(candidate) && candidate.model == owner.model;
        let place = self.candidates.iter().position(is_model).or_else(|| self.candidates.iter().position(is_owner));
        if let Some(place) = place.filter(|_| self.candidates.len() > 1) {
            let candidate = self.candidates.remove(place);
            self.candidates.insert(0, Candidate { reason: Reason::Owner, ..candidate });
        }
    }

    /// Moves the targets whose providers announced that a limit is used up behind the others. Only their order
    /// changes: the announcement may be out of date.
    fn put_behind(&mut self, facts: &RequestFacts<'_>, now: u64) {
        let tokens = token_estimate::rough(facts.body);
        let is_any = self.candidates.iter_mut().fold(false, |is_any, candidate| {
            candidate.behind = candidate.health.exhausted(now, tokens);
            is_any | candidate.behind.is_some()
        });
        if is_any {
            self.candidates.sort_by_key(|candidate| candidate.behind.is_some());
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
        let provider = Arc::clone(provider);
        let deadlines = RouteDeadlines::default();
        Self {
            provider,
            model,
            health,
            reason,
            target: 0,
            last_resort: None,
            behind: None,
            deadlines,
            api: None,
            region: None,
            no_effort: false,
            lacks_previous: false,
        }
    }

    /// Returns the API in which a request is sent to the target.
    #[must_use]
    pub fn api_for(&self, envelope: &Envelope) -> Api {
        let needs = ApiNeeds { no_effort: envelope.needs.no_effort || self.no_effort, ..envelope.needs };
        match self.api.filter(|_| matches!(self.provider.adapter, Adapter::Remote(_))) {
            Some(api) => api,
            None => self.provider.api_for(envelope.api, self.model.as_deref(), needs),
        }
    }

    /// Returns whether a request is translated for the target.
    #[must_use]
    pub fn is_translated(&self, envelope: &Envelope) -> bool {
        envelope.is_translated(self.api_for(envelope)) || self.continues_elsewhere(envelope)
    }

    /// Returns whether a request continues an answer by an id that the target does not know, so that the request log
    /// has to add the turns before.
    #[must_use]
    pub fn continues_elsewhere(&self, envelope: &Envelope) -> bool {
        self.lacks_previous && envelope.previous.is_some() && envelope.direct.is_none()
    }

    /// Returns the price of a prompt and an answer of so many tokens, in pico-dollars, if it is known.
    #[must_use]
    pub fn price(&self, prices: &Table, (input, output): (u64, u64), unix_ms: i64) -> Option<u128> {
        let model = self.model.as_deref().unwrap_or_default();
        let price = prices.find(&self.provider.row.kind, &self.provider.id, model, unix_ms)?;
        let tokens = Tokens { input, output, ..Tokens::default() };
        Some(price.cost_in(self.region.as_deref(), &tokens.into()).ok()?.total().picos())
    }
}

#[cfg(test)]
mod tests;
