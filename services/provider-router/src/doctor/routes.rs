//! Checks of the routes: whether they can answer, whether requests reach them, and what their targets lack.

use std::collections::{HashMap, HashSet};

use signalbox_core::schema::{Route, RoutePolicy, RouteTarget};

use super::{Check, subject::Subject};
use crate::{
    clock::unix_ms,
    provider::Adapter,
    random::Rng,
    route::{RequestFacts, plan},
};

const LINK: &str = "docs/routing.md#how-a-target-is-chosen";
/// Text that stands for the `*` of a name.
const SAMPLE: &str = "doctor-sample";
/// Maximum number of names in a finding.
const MAX_NAMED: usize = 4;

/// Checks the routes. `listed` has the models that the providers list.
pub(super) fn checks(subject: &Subject, listed: &HashMap<String, HashSet<String>>) -> Vec<Check> {
    if subject.rows.routes.is_empty() {
        return vec![implied(subject)];
    }
    let mut checks = Vec::new();
    for route in &subject.rows.routes {
        if !route.enabled {
            checks.push(disabled(subject, route));
            continue;
        }
        checks.extend([targets(subject, route), reached(subject, route), prices(subject, route)]);
        checks.push(models(subject, route, listed));
    }
    checks
}

fn implied(subject: &Subject) -> Check {
    let finding = "there are no routes; the links and priorities of the providers decide";
    if subject.snapshot.is_empty() { Check::skipped("routes.any", finding) } else { Check::ok("routes.any", finding) }
        .link("docs/providers.md#which-provider-answers")
}

/// Returns the reason why a target cannot be asked.
fn unusable(subject: &Subject, target: &RouteTarget) -> Option<&'static str> {
    let provider = subject.snapshot.provider(&target.provider);
    let lacks_key = |name: &str| provider.is_some_and(|provider| provider.with_name(name).is_none());
    match provider.map(|provider| &provider.adapter) {
        Some(Adapter::Misconfigured(_)) => Some("is misconfigured"),
        Some(_) if target.key.as_deref().is_some_and(lacks_key) => Some("has no key of the name in the target"),
        Some(Adapter::Remote(_) | Adapter::Echo(_)) => None,
        None if subject.rows.providers.iter().any(|(row, ..)| row.id == target.provider) => Some("is disabled"),
        None => Some("does not exist"),
    }
}

fn targets(subject: &Subject, route: &Route) -> Check {
    let id = format!("route.{}.targets", route.model);
    let count = route.plan.targets.len();
    let unusable: Vec<String> = route
        .plan
        .targets
        .iter()
        .filter_map(|target| Some(format!("`{}` {}", target.provider, unusable(subject, target)?)))
        .collect();
    let remedy =
        format!("enable or correct the providers, or change the route: `provider-router route show {}`", route.model);
    let check = match unusable.len() {
        0 if count == 1 => Check::ok(id, "its only target can be asked; a second one would be its fallback"),
        0 => Check::ok(id, format!("its {count} targets can be asked")),
        broken if broken == count => {
            Check::fail(id, format!("it can never answer: {}", named(&unusable))).remedy(remedy)
        }
        broken => {
            Check::warn(id, format!("{broken} of {count} targets cannot be asked: {}", named(&unusable))).remedy(remedy)
        }
    };
    check.link(LINK)
}

/// Checks that requests for the names of the route go to it.
fn reached(subject: &Subject, route: &Route) -> Check {
    let id = format!("route.{}.reached", route.model);
    let elsewhere: Vec<String> = std::iter::once(&route.model)
        .chain(&route.plan.aliases)
        .filter_map(|name| Some(format!("`{name}` goes to {}", other(subject, route, name)?)))
        .collect();
    if elsewhere.is_empty() {
        return Check::ok(id, "requests for its names go to it").link(LINK);
    }
    Check::fail(id, format!("it is shadowed: a request for {}", named(&elsewhere)))
        .remedy("rename the route, or what is named in its place")
        .link(LINK)
}

/// Returns what a request for a name goes to, if that is not the route.
fn other(subject: &Subject, route: &Route, name: &str) -> Option<String> {
    let asked = name.replacen('*', SAMPLE, 1);
    let facts = RequestFacts {
        model: Some(&asked),
        session: None,
        body: b"{}",
        unix_ms: unix_ms(),
        overrides: None,
        owner: None,
        stream: true,
        takes_turn: false,
    };
    // A route without usable targets is an error of its own.
    let plan = plan(&subject.snapshot, &facts, None, crate::health::now(), &mut Rng::new(1)).ok()?;
    match plan.route {
        Some(found) => (found.id != route.id).then(|| format!("the route `{}`", found.model)),
        None => plan.candidates.first().map(|first| format!("the provider `{}`", first.provider.id)),
    }
}

fn disabled(subject: &Subject, route: &Route) -> Check {
    let id = format!("route.{}.reached", route.model);
    let served = |name: &&String| {
        let asked = name.replacen('*', SAMPLE, 1);
        crate::route::candidates(&subject.snapshot, Some(&asked)).is_ok()
            || subject.snapshot.routes().named(&asked).is_some()
    };
    let dead: Vec<String> =
        route.plan.aliases.iter().filter(|alias| !served(alias)).map(|alias| format!("`{alias}`")).collect();
    if dead.is_empty() {
        return Check::skipped(id, "it is disabled").link(LINK);
    }
    Check::warn(id, format!("it is disabled, and nothing else answers its aliases {}", named(&dead)))
        .remedy("enable the route, or give the aliases to another one")
        .link(LINK)
}

fn prices(subject: &Subject, route: &Route) -> Check {
    let id = format!("route.{}.prices", route.model);
    let now = unix_ms();
    let unpriced: Vec<String> = route
        .plan
        .targets
        .iter()
        .filter(|target| !target.model.contains('*') && unusable(subject, target).is_none())
        .filter(|target| !subject.is_priced(&target.provider, &target.model, now))
        .map(|target| format!("`{}/{}`", target.provider, target.model))
        .collect();
    if unpriced.is_empty() {
        return Check::ok(id, "the prices of its targets are known").link("docs/costs.md#how-a-cost-is-found");
    }
    let effect = match route.plan.policy {
        RoutePolicy::Cheapest => "they are tried last, whatever they cost",
        _ => "their costs are shown as unknown, and budgets do not count them",
    };
    Check::warn(id, format!("no price is known for {}; {effect}", named(&unpriced)))
        .remedy("add prices of your own: `provider-router price set FILE`")
        .link("docs/costs.md#prices-of-your-own")
}

fn models(subject: &Subject, route: &Route, listed: &HashMap<String, HashSet<String>>) -> Check {
    let id = format!("route.{}.models", route.model);
    let targets = || route.plan.targets.iter().filter(|target| unusable(subject, target).is_none());
    let known = || targets().filter(|target| !target.model.contains('*') && listed.contains_key(&target.provider));
    let missing: Vec<String> = known()
        .filter(|target| listed.get(&target.provider).is_some_and(|models| !lists(models, &target.model)))
        .map(|target| format!("`{}` does not list `{}`", target.provider, target.model))
        .collect();
    let check = match (known().count(), missing.is_empty()) {
        (0, _) => Check::skipped(id, "no list of models of its providers is known"),
        (_, true) => Check::ok(id, "its providers list the models of its targets"),
        (_, false) => Check::warn(id, named(&missing))
            .remedy("correct the model's name, or ignore this if the provider does not list all of its models"),
    };
    check.link("docs/providers.md#the-list-of-models")
}

/// Returns whether a list has a model, also as Google and Ollama write it.
fn lists(models: &HashSet<String>, model: &str) -> bool {
    models.contains(model)
        || models.contains(&format!("models/{model}"))
        || models.contains(&format!("{model}:latest"))
        || model.strip_prefix("models/").is_some_and(|bare| models.contains(bare))
}

/// Joins the first few texts.
pub(super) fn named(texts: &[String]) -> String {
    let shown = texts.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(MAX_NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
