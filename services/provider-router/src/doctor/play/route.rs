//! The routes that are played: those of the user, with providers that can be replaced.

use serde_json::Value;
use signalbox_core::{
    Api,
    provider_type::{ECHO, GENERIC, provider_type},
    schema::{RouteDeadlines, RoutePlan, RoutePolicy, RouteTarget},
};

use super::super::subject::Subject;
use crate::{
    provider::{Adapter, Config},
    route::candidates,
};

/// Divisor of all deadlines.
pub(super) const DIVISOR: u32 = 10;
/// Shortest deadline of a run, in milliseconds.
const MIN_DEADLINE: u64 = 100;
/// Text that stands for the `*` of a name.
const SAMPLE: &str = "doctor-sample";

/// A route and its providers.
#[derive(Clone, Debug)]
pub(super) struct Played {
    /// Model name; `None` for requests that name no model.
    pub(super) model: Option<String>,
    pub(super) is_implied: bool,
    /// Targets that can be asked; the providers are the places in `providers`.
    pub(super) plan: RoutePlan,
    pub(super) providers: Vec<Replaced>,
    /// The targets, as the user knows them.
    pub(super) targets: Vec<String>,
}

/// A provider whose address and key are replaced.
#[derive(Clone, Debug)]
pub(super) struct Replaced {
    pub(super) kind: String,
    /// Values that are kept: its APIs, how its tokens are counted, and its timeout.
    pub(super) config: Vec<(&'static str, Value)>,
    pub(super) apis: Vec<Api>,
}

/// Returns the routes to play: those with these names, or all that are enabled, or the implied one. Also returns those
/// that cannot be played, with the reason.
///
/// # Errors
/// Returns the names that no enabled route has.
pub(super) fn played(subject: &Subject, wanted: &[String]) -> Result<(Vec<Played>, Vec<String>), String> {
    let (mut routes, mut not_played) = (Vec::new(), Vec::new());
    let enabled: Vec<_> = subject.rows.routes.iter().filter(|route| route.enabled).collect();
    let has_name = |route: &signalbox_core::schema::Route, name: &String| {
        route.model == *name || route.id == *name || route.plan.aliases.contains(name)
    };
    let unknown: Vec<&str> =
        wanted.iter().filter(|name| !enabled.iter().any(|route| has_name(route, name))).map(String::as_str).collect();
    if !unknown.is_empty() {
        let known: Vec<&str> = enabled.iter().map(|route| &*route.model).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(format!("no enabled route has the name {}. Enabled routes: {known}", unknown.join(", ")));
    }
    for route in &enabled {
        if !wanted.is_empty() && !wanted.iter().any(|name| has_name(route, name)) {
            continue;
        }
        match of(subject, Some(route.model.clone()), false, &route.plan) {
            Some(played) => routes.push(played),
            None => not_played.push(format!("{}: it has no target that can be asked", route.model)),
        }
    }
    if enabled.is_empty() {
        match implied(subject) {
            Ok(route) => routes.push(route),
            Err(reason) => not_played.push(format!("(implied): {reason}")),
        }
    }
    Ok((routes, not_played))
}

/// Returns the implied route of the default model, or of the first model that is served.
fn implied(subject: &Subject) -> Result<Played, String> {
    let snapshot = &subject.snapshot;
    let first = snapshot.models().data.into_iter().next().map(|model| model.id);
    let (model, found) = match candidates(snapshot, None) {
        Ok(found) => (None, found),
        Err(error) => {
            let model = first.ok_or_else(|| error.to_string())?;
            let found = candidates(snapshot, Some(&model)).map_err(|error| error.to_string())?;
            (Some(model), found)
        }
    };
    let target = |candidate: &crate::route::Candidate| RouteTarget {
        provider: candidate.provider.id.clone(),
        model: candidate.model.clone().unwrap_or_else(|| SAMPLE.to_owned()),
        ..RouteTarget::default()
    };
    let plan = RoutePlan {
        policy: RoutePolicy::Priority,
        targets: found.iter().map(target).collect(),
        ..RoutePlan::default()
    };
    of(subject, model, true, &plan).ok_or_else(|| "it has no target that can be asked".to_owned())
}

fn of(subject: &Subject, model: Option<String>, is_implied: bool, plan: &RoutePlan) -> Option<Played> {
    let (mut ids, mut providers): (Vec<&str>, Vec<Replaced>) = (Vec::new(), Vec::new());
    let (mut targets, mut names) = (Vec::new(), Vec::new());
    for target in &plan.targets {
        let Some((row, config, _)) = subject.rows.providers.iter().find(|(row, ..)| row.id == target.provider) else {
            continue;
        };
        let adapter = subject.snapshot.provider(&row.id).map(|provider| &provider.adapter);
        if matches!(adapter, None | Some(Adapter::Misconfigured(_))) {
            continue;
        }
        let place = ids.iter().position(|id| *id == row.id).unwrap_or_else(|| {
            ids.push(&row.id);
            providers.push(Replaced::new(&row.kind, &subject.opened(config)));
            ids.len() - 1
        });
        let asked = target.model.replacen('*', SAMPLE, 1);
        names.push(format!("{}/{asked}", row.id));
        // The fakes take one key per provider.
        targets.push(RouteTarget { provider: place.to_string(), model: asked, key: None, ..target.clone() });
    }
    if targets.is_empty() {
        return None;
    }
    // An answer from the cache would call no target, and the hook of the guardrails belongs to the installation.
    let plan = RoutePlan {
        aliases: Vec::new(),
        targets,
        deadlines: scaled(plan.deadlines),
        cache: None,
        guard: None,
        // Copies and second attempts reach fakes that no scene expects.
        hedge: None,
        mirror: None,
        ..plan.clone()
    };
    Some(Played { model, is_implied, plan, providers, targets: names })
}

/// Divides deadlines, except that of the connection: a connection to a fake is not faster than another one.
fn scaled(deadlines: RouteDeadlines) -> RouteDeadlines {
    let tenth = |millis: Option<u64>| millis.map(divided);
    RouteDeadlines {
        connect_ms: deadlines.connect_ms,
        headers_ms: tenth(deadlines.headers_ms),
        first_token_ms: tenth(deadlines.first_token_ms),
        idle_ms: tenth(deadlines.idle_ms),
        total_ms: tenth(deadlines.total_ms),
    }
}

/// Divides a number of milliseconds.
pub(super) fn divided(millis: u64) -> u64 {
    (millis / u64::from(DIVISOR)).max(MIN_DEADLINE)
}

// === impl Replaced ===

impl Replaced {
    fn new(kind: &str, config: &Config) -> Self {
        // The built-in echo has no address that could be replaced.
        let kind = if kind == ECHO { GENERIC.value } else { kind };
        let given = |key: &str| config.get(key).filter(|value| !value.is_null() && **value != "");
        let mut kept: Vec<(&str, Value)> = Vec::new();
        kept.extend(given("streamUsage").map(|counts| ("streamUsage", counts.clone())));
        kept.extend(given("apis").map(|apis| ("apis", apis.clone())));
        let timeout = config.get("timeout");
        let millis = timeout.and_then(|given| given.as_u64().or_else(|| given.as_str()?.parse().ok()));
        kept.extend(millis.map(|millis| ("timeout", divided(millis).into())));
        let listed = config.get("apis").and_then(Value::as_str).and_then(|apis| Api::parse_list(apis).ok());
        let apis = listed.unwrap_or_else(|| provider_type(kind).apis.to_vec());
        Self { kind: kind.to_owned(), config: kept, apis }
    }
}

// === impl Played ===

impl Played {
    /// Returns the number of different targets.
    pub(super) fn distinct(&self) -> usize {
        let mut names = self.targets.clone();
        names.sort_unstable();
        names.dedup();
        names.len()
    }

    /// Returns the API in which the first target is asked by clients of Chat Completions.
    pub(super) fn first_api(&self) -> Api {
        let provider = self.plan.targets.first().and_then(|target| target.provider.parse::<usize>().ok());
        let apis = provider.and_then(|place| self.providers.get(place)).map(|provider| &*provider.apis);
        let apis = apis.unwrap_or_default();
        if apis.contains(&Api::Chat) { Api::Chat } else { apis.first().copied().unwrap_or(Api::Chat) }
    }
}
