//! The words of a plan, for explanations and errors.

use signalbox_core::schema::{Ability, PlannedTarget, RoutePolicy, RoutingRecord, SkippedTarget, Sticky};
use signalbox_pricing::Money;

use super::{Candidate, Plan, Reason, SkipReason, Skipped, policy::Contender};
use crate::health::Blocked;

// === impl Plan ===

impl Plan {
    /// Returns the plan as it is stored and shown. `now` is the time of [`crate::health::now`].
    #[must_use]
    pub fn record(&self, now: u64) -> RoutingRecord {
        RoutingRecord {
            route: self.route.as_ref().map(|route| route.model.clone()),
            policy: self.route.as_ref().map(|route| route.plan.policy),
            targets: self.candidates.iter().map(|candidate| candidate.record(now)).collect(),
            skipped: self.skipped.iter().map(|skipped| skipped.record(now)).collect(),
            overrides: self.overrides.clone(),
            mirror_of: self.mirror_of.clone(),
            attempts: Vec::new(),
            cache: None,
            guard: Vec::new(),
        }
    }
}

// === impl Candidate ===

impl Candidate {
    fn record(&self, now: u64) -> PlannedTarget {
        let mut why = self.reason.to_string();
        if let Some(blocked) = self.last_resort {
            why = format!("{why}; all targets are out, and this one may be tried first ({})", words(blocked, now));
        }
        if let Some(exhausted) = self.behind {
            why = format!("{why}; behind the others: {}", exhausted.words(now));
        }
        let key = self.provider.key.as_deref().map(str::to_owned);
        let (provider, region) = (self.provider.id.clone(), self.region.clone());
        PlannedTarget { provider, model: self.model.clone(), key, region, why }
    }
}

// === impl Skipped ===

impl Skipped {
    fn record(&self, now: u64) -> SkippedTarget {
        let why = match self.why {
            SkipReason::Blocked(blocked) => words(blocked, now),
            ref why => why.to_string(),
        };
        SkippedTarget { provider: self.provider.clone(), model: self.model.clone(), key: self.key.clone(), why }
    }
}

/// Returns the skipped targets with their reasons.
pub(super) fn reasons(skipped: &[Skipped]) -> String {
    let reason = |skipped: &Skipped| {
        let model = skipped.model.as_deref().unwrap_or_default();
        match &skipped.key {
            Some(key) => format!("`{}/{model}` with the key {key}: {}", skipped.provider, skipped.why),
            None => format!("`{}/{model}`: {}", skipped.provider, skipped.why),
        }
    };
    skipped.iter().map(reason).collect::<Vec<_>>().join(", ")
}

fn words(blocked: Blocked, now: u64) -> String {
    let seconds = |until: u64| until.saturating_sub(now).div_ceil(1_000);
    match blocked {
        Blocked::Open(until) => format!("the breaker is open for another {} s", seconds(until)),
        Blocked::Probed => "the breaker is half-open, and another request tries the target".to_owned(),
        Blocked::Aside(until) => format!("the provider asked to wait another {} s", seconds(until)),
    }
}

// === impl Reason ===

impl Reason {
    /// Returns the reason for the place that a policy gave to a target.
    pub(super) fn of(policy: RoutePolicy, contender: &Contender) -> Self {
        match policy {
            RoutePolicy::Priority => Self::Priority,
            RoutePolicy::Weighted => Self::Weighted(contender.weight),
            RoutePolicy::RoundRobin => Self::RoundRobin,
            RoutePolicy::LeastBusy => Self::LeastBusy(contender.in_flight),
            RoutePolicy::Latency => Self::Latency(contender.latency),
            RoutePolicy::Cheapest => Self::Cheapest(contender.price),
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named => f.write_str("the request names the provider"),
            Self::Active => f.write_str("the active provider"),
            Self::Linked => f.write_str("linked to the model, by priority of the provider"),
            Self::Listing => f.write_str("the provider lists the model"),
            Self::Open => f.write_str("the provider may serve any model"),
            Self::Priority => f.write_str("priority: the order of the route"),
            Self::Weighted(weight) => write!(f, "weighted: drawn with weight {weight:.2}"),
            Self::RoundRobin => f.write_str("round-robin: its turn"),
            Self::LeastBusy(in_flight) => write!(f, "least-busy: {in_flight} requests in flight"),
            Self::Latency(Some(millis)) => write!(f, "latency: {millis:.0} ms are expected"),
            Self::Latency(None) => f.write_str("latency: not measured yet"),
            Self::Cheapest(Some(picos)) => {
                write!(f, "cheapest: about ${}", Money::from_picos(*picos))
            }
            Self::Cheapest(None) => f.write_str("cheapest: the price is unknown"),
            Self::Sticky(Sticky::Session) => f.write_str("sticky: the hash of the session"),
            Self::Owner => f.write_str("it made the answer that the request continues"),
            Self::Mirror => f.write_str("a copy for the mirror of the route"),
            Self::Sticky(Sticky::Prefix) => f.write_str("sticky: the hash of the beginning of the prompt"),
        }
    }
}

impl std::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such provider"),
            Self::Disabled => f.write_str("the provider is disabled"),
            Self::NoKey => f.write_str("the provider has no key of this name"),
            Self::Misconfigured => f.write_str("the configuration of the provider is invalid"),
            Self::ContextTooSmall { holds, needs } => {
                write!(f, "its context holds {holds} tokens, the prompt has about {needs}")
            }
            Self::OtherProvider => f.write_str("the request asks for another provider"),
            Self::OtherRegion => f.write_str("the request asks for another region"),
            Self::Lacks(Ability::Tools) => f.write_str("it cannot call tools"),
            Self::Lacks(Ability::Vision) => f.write_str("it cannot see images"),
            Self::Lacks(Ability::JsonSchema) => f.write_str("it cannot follow a JSON schema"),
            Self::TooExpensive { price, limit } => {
                let (price, limit) = (Money::from_picos(*price), Money::from_picos(*limit));
                write!(f, "the request would cost about ${price} there, and the limit is ${limit}")
            }
            Self::PriceUnknown { limit } => {
                write!(f, "its price is unknown, and the limit is ${}", Money::from_picos(*limit))
            }
            Self::AtLimit(Some(wait)) => {
                write!(f, "a limit of the provider is reached for about {} s", wait.div_ceil(1_000))
            }
            Self::AtLimit(None) => f.write_str("a limit of the provider is reached"),
            Self::NoFallbacks => f.write_str("the request asks for no fallbacks"),
            Self::Blocked(Blocked::Open(_)) => f.write_str("the breaker is open"),
            Self::Blocked(Blocked::Probed) => f.write_str("another request tries the target"),
            Self::Blocked(Blocked::Aside(_)) => f.write_str("the provider asked to wait"),
        }
    }
}
