use proptest::prelude::*;
use signalbox_core::{
    overrides::Overrides,
    schema::{self, RoutePlan, RoutePolicy},
};

use super::*;
use crate::{
    catalog::tests::{Row, routed},
    health::Began,
    owners::Owner,
    random::Rng,
};

const ROWS: &[Row<'_>] = &[
    Row { id: "a", models: &[("m", None)], ..Row::ENABLED },
    Row { id: "b", models: &[("m", None)], ..Row::ENABLED },
    Row { id: "c", models: &[("other", None)], ..Row::ENABLED },
    Row { id: "off", enabled: false, ..Row::ENABLED },
];

fn route(model: &str, policy: RoutePolicy, targets: &[(&str, &str)]) -> schema::Route {
    let target = |(provider, model): &(&str, &str)| RouteTarget {
        provider: (*provider).to_owned(),
        model: (*model).to_owned(),
        ..RouteTarget::default()
    };
    let plan = RoutePlan { policy, targets: targets.iter().map(target).collect(), ..RoutePlan::default() };
    schema::Route { id: model.to_owned(), model: model.to_owned(), enabled: true, plan, created_at: 0, updated_at: 0 }
}

fn facts(model: &str) -> RequestFacts<'_> {
    let (session, overrides) = (None, None);
    RequestFacts {
        model: Some(model),
        session,
        body: b"{}",
        unix_ms: 0,
        overrides,
        owner: None,
        stream: true,
        takes_turn: true,
    }
}

fn planned(snapshot: &Snapshot, facts: &RequestFacts<'_>, now: u64) -> Plan {
    plan(snapshot, facts, None, now, &mut Rng::new(1)).unwrap()
}

fn order(plan: &Plan) -> Vec<String> {
    let name =
        |candidate: &Candidate| format!("{}:{}", candidate.provider.id, candidate.model.as_deref().unwrap_or("(none)"));
    plan.candidates.iter().map(name).collect()
}

fn skipped(plan: &Plan) -> Vec<(&str, SkipReason)> {
    plan.skipped.iter().map(|skipped| (&*skipped.provider, skipped.why)).collect()
}

/// Opens the breaker of a target; returns the end of its cool-down.
fn open(snapshot: &Snapshot, provider: &str, model: &str, now: u64) -> u64 {
    let health = snapshot.provider(provider).unwrap().health.of(Some(model));
    for _ in 0..5 {
        health.begin(now).failed(now);
    }
    health.blocked(now).unwrap().until()
}

#[test]
fn names_come_before_providers_and_these_before_wildcards() {
    let mut named = route("fast", RoutePolicy::Priority, &[("b", "m"), ("a", "m")]);
    named.plan.aliases = vec!["quick".into(), "a/special".into()];
    let routes = vec![
        named,
        route("gpt-*", RoutePolicy::Priority, &[("c", "x-*-y")]),
        route("*", RoutePolicy::Priority, &[("b", "any")]),
    ];
    let snapshot = routed(ROWS, None, routes);
    for (model, expected, route) in [
        ("fast", &["b:m", "a:m"][..], Some("fast")),
        ("quick", &["b:m", "a:m"], Some("fast")),
        ("a/special", &["b:m", "a:m"], Some("fast")),
        ("a/gpt-5", &["a:gpt-5"], None),
        ("gpt-5", &["c:x-5-y"], Some("gpt-*")),
        ("vendor/gpt-5", &["b:any"], Some("*")),
    ] {
        let plan = planned(&snapshot, &facts(model), 1);
        assert_eq!(
            (&*order(&plan), plan.route.as_ref().map(|route| &*route.model)),
            (expected.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().as_slice(), route),
            "{model}"
        );
    }
    let listed: Vec<String> = snapshot.models().data.into_iter().map(|model| model.id).collect();
    assert!(
        listed.contains(&"fast".to_owned())
            && listed.contains(&"quick".to_owned())
            && !listed.iter().any(|id| id.contains('*')),
        "{listed:?}"
    );
}

#[test]
fn a_wildcard_that_matches_nothing_leaves_no_target_without_a_name() {
    let mut wild = route("gpt-4*", RoutePolicy::Priority, &[("a", "*"), ("b", "x-*"), ("c", "gpt-4*")]);
    wild.plan.mirror = Some(schema::Mirror { provider: "b".to_owned(), model: "*".to_owned(), percent: 100.0 });
    let snapshot = routed(ROWS, None, vec![wild]);
    let plan = planned(&snapshot, &facts("gpt-4"), 1);
    assert_eq!(order(&plan), ["a:gpt-4", "b:x-", "c:gpt-4"]);
    let mirrored = plan.mirrored("id", 1).unwrap();
    assert_eq!(mirrored.candidates[0].model.as_deref(), Some("gpt-4"));
    assert_eq!(order(&planned(&snapshot, &facts("gpt-4o"), 1)), ["a:o", "b:x-o", "c:gpt-4o"]);
}

#[test]
fn targets_that_cannot_be_asked_are_skipped_with_a_reason() {
    let mut routed_model = route("r", RoutePolicy::Priority, &[("gone", "m"), ("off", "m"), ("a", "m"), ("b", "m")]);
    routed_model.plan.targets[2].context_tokens = Some(10);
    routed_model.plan.targets[3].context_tokens = Some(1_000);
    let only_gone = route("none", RoutePolicy::Priority, &[("gone", "m"), ("off", "m")]);
    let snapshot = routed(ROWS, None, vec![routed_model, only_gone]);
    let prompt = |chars: usize| format!(r#"{{"input":"{}"}}"#, "x".repeat(chars));
    let long = prompt(795);
    let plan = planned(&snapshot, &RequestFacts { body: long.as_bytes(), ..facts("r") }, 1);
    assert_eq!(order(&plan), ["b:m"]);
    let small = SkipReason::ContextTooSmall { holds: 10, needs: 200 };
    assert_eq!(skipped(&plan), [("gone", SkipReason::Missing), ("off", SkipReason::Disabled), ("a", small)]);
    // An estimate must not leave a request without a target.
    let longer = prompt(100_000);
    assert_eq!(order(&planned(&snapshot, &RequestFacts { body: longer.as_bytes(), ..facts("r") }, 1)), ["b:m"]);
    assert_eq!(order(&planned(&snapshot, &facts("r"), 1)), ["a:m", "b:m"]);
    let refused = super::plan(&snapshot, &facts("none"), None, 1, &mut Rng::new(1)).unwrap_err().to_string();
    assert!(
        refused.contains("`gone/m`: there is no such provider")
            && refused.contains("`off/m`: the provider is disabled"),
        "{refused}"
    );
}

#[test]
fn an_open_breaker_is_passed_by_and_tried_again_after_its_cool_down() {
    for snapshot in [
        routed(ROWS, None, vec![route("m", RoutePolicy::Priority, &[("a", "m"), ("b", "m")])]),
        routed(ROWS, None, vec![]),
    ] {
        assert_eq!(order(&planned(&snapshot, &facts("m"), 1)), ["a:m", "b:m"]);
        let until = open(&snapshot, "a", "m", 1);
        let plan = planned(&snapshot, &facts("m"), 2);
        assert_eq!(order(&plan), ["b:m"]);
        assert_eq!(skipped(&plan), [("a", SkipReason::Blocked(Blocked::Open(until)))]);
        assert_eq!(order(&planned(&snapshot, &facts("m"), until)), ["a:m", "b:m"], "half-open");
        let probe = snapshot.provider("a").unwrap().health.of(Some("m")).begin(until);
        assert_eq!(skipped(&planned(&snapshot, &facts("m"), until)), [("a", SkipReason::Blocked(Blocked::Probed))]);
        probe.answered(until + 1, Began::Unknown);
        assert_eq!(order(&planned(&snapshot, &facts("m"), until + 1)), ["a:m", "b:m"]);
    }
}

#[test]
fn if_all_are_out_the_one_that_recovers_first_is_tried() {
    let snapshot = routed(ROWS, None, vec![route("r", RoutePolicy::RoundRobin, &[("a", "m"), ("b", "m")])]);
    open(&snapshot, "a", "m", 5_000);
    open(&snapshot, "b", "m", 1);
    for model in ["r", "m"] {
        let plan = planned(&snapshot, &facts(model), 5_001);
        assert_eq!(order(&plan), ["b:m"], "{model}");
        assert!(matches!(plan.candidates[0].last_resort, Some(Blocked::Open(_))));
        let record = plan.record(5_001);
        assert!(
            record.targets[0].why.contains("all targets are out") && record.skipped[0].why.contains("for another"),
            "{record:?}"
        );
    }
    // A request that names its provider has no other.
    assert_eq!(order(&planned(&snapshot, &facts("a/m"), 5_001)), ["a:m"]);
}

#[test]
fn a_request_that_only_looks_takes_no_turn() {
    let snapshot = routed(ROWS, None, vec![route("r", RoutePolicy::RoundRobin, &[("a", "m"), ("b", "m"), ("c", "m")])]);
    let first = |takes_turn| {
        planned(&snapshot, &RequestFacts { takes_turn, ..facts("r") }, 1).candidates[0].provider.id.clone()
    };
    assert_eq!([false, false, true, true, true, true].map(first), ["a", "a", "a", "b", "c", "a"]);
}

#[test]
fn a_session_stays_at_its_target_until_the_breaker_opens() {
    let mut sticky = route("r", RoutePolicy::RoundRobin, &[("a", "m"), ("b", "m"), ("c", "m")]);
    sticky.plan.sticky = Some(Sticky::Session);
    let snapshot = routed(ROWS, None, vec![sticky]);
    let of = |session: &str, now: u64| planned(&snapshot, &RequestFacts { session: Some(session), ..facts("r") }, now);
    let before = order(&of("s", 1));
    assert_eq!(order(&of("s", 1)), before);
    assert!((0..50).any(|n| order(&of(&format!("s{n}"), 1))[0] != before[0]));
    let provider = of("s", 1).candidates[0].provider.id.clone();
    let until = open(&snapshot, &provider, "m", 1);
    assert_eq!(order(&of("s", 2)), before[1..]);
    assert_eq!(order(&of("s", until)), before);
}

#[test]
fn prices_decide_where_the_policy_says_so() {
    let prices = signalbox_pricing::Layer::from_json(
        signalbox_pricing::LayerKind::Api,
        r#"{"prices":[{"id":"dear","provider_id":"b","match":["dear"],"base":{"in":"9","out":"9"}},{"id":"cheap","provider_id":"c","match":["cheap"],"base":{"in":"1","out":"2"}}]}"#,
    )
    .unwrap();
    let table = Table::shipped().unwrap().with(prices);
    let targets = [("a", "unknown-model-x"), ("b", "dear"), ("c", "cheap")];
    // The echo provider has a price: it is free.
    let rows = ["a", "b", "c"].map(|id| Row { id, kind: "openai", ..Row::ENABLED });
    let snapshot = routed(&rows, None, vec![route("r", RoutePolicy::Cheapest, &targets)]);
    let plan = super::plan(&snapshot, &facts("r"), Some(&table), 1, &mut Rng::new(1)).unwrap();
    assert_eq!(order(&plan), ["c:cheap", "b:dear", "a:unknown-model-x"]);
    let why: Vec<String> = plan.candidates.iter().map(|candidate| candidate.reason.to_string()).collect();
    assert!(why[0].starts_with("cheapest: about $0.002") && why[2].contains("unknown"), "{why:?}");
}

fn asking<'a>(overrides: &'a Overrides, facts: RequestFacts<'a>) -> RequestFacts<'a> {
    RequestFacts { overrides: Some(overrides), ..facts }
}

fn two_prices() -> Table {
    let prices = signalbox_pricing::Layer::from_json(
        signalbox_pricing::LayerKind::Api,
        r#"{"prices":[{"id":"dear","provider_id":"b","match":["dear"],"base":{"in":"9","out":"9000"}},{"id":"cheap","provider_id":"c","match":["cheap"],"base":{"in":"1","out":"2"}}]}"#,
    );
    Table::shipped().unwrap().with(prices.unwrap())
}

#[test]
fn conditions_exclude_targets_and_all_of_them_are_an_error_that_names_each() {
    let mut fit = route("r", RoutePolicy::Priority, &[("a", "m"), ("b", "m"), ("c", "m")]);
    fit.plan.targets[0].can = Some(vec![Ability::Vision]);
    fit.plan.targets[1].can = Some(vec![Ability::Tools, Ability::JsonSchema]);
    let mut none = route("none", RoutePolicy::Weighted, &[("a", "m"), ("off", "m")]);
    none.plan.targets[0].can = Some(vec![]);
    let snapshot = routed(ROWS, None, vec![fit, none]);
    let tools = br#"{"tools":[{}],"response_format":{"type":"json_schema"}}"#;
    let plan = planned(&snapshot, &RequestFacts { body: tools, ..facts("r") }, 1);
    assert_eq!(order(&plan), ["b:m", "c:m"]);
    assert_eq!(skipped(&plan), [("a", SkipReason::Lacks(Ability::Tools))]);
    let image = br#"{"messages":[{"content":[{"type":"image_url"}]}]}"#;
    assert_eq!(order(&planned(&snapshot, &RequestFacts { body: image, ..facts("r") }, 1)), ["a:m", "c:m"]);
    assert_eq!(order(&planned(&snapshot, &facts("none"), 1)), ["a:m"], "a text needs no ability");
    let refused = super::plan(&snapshot, &RequestFacts { body: image, ..facts("none") }, None, 1, &mut Rng::new(1));
    let refused = refused.unwrap_err();
    assert!(matches!(refused, RouteError::NoMatch { .. }));
    let said = refused.to_string();
    assert!(
        said.contains("`a/m`: it cannot see images") && said.contains("`off/m`: the provider is disabled"),
        "{said}"
    );
}

#[test]
fn prices_above_the_limit_of_a_target_or_of_the_request_exclude() {
    let table = two_prices();
    let targets = [("a", "unknown-model-x"), ("b", "dear"), ("c", "cheap")];
    let rows = ["a", "b", "c"].map(|id| Row { id, kind: "openai", ..Row::ENABLED });
    let mut limited = route("r", RoutePolicy::Priority, &targets);
    limited.plan.targets[1].max_price_usd = Some(1.0);
    let snapshot = routed(&rows, None, vec![limited]);
    let plan = |facts: &RequestFacts<'_>| super::plan(&snapshot, facts, Some(&table), 1, &mut Rng::new(1));
    // A thousand tokens are assumed for the answer: nine dollars.
    let made = plan(&facts("r")).unwrap();
    assert_eq!(order(&made), ["a:unknown-model-x", "c:cheap"]);
    assert!(made.record(1).skipped[0].why.contains("would cost about $9"), "{made:?}");
    let short = br#"{"max_tokens":10}"#;
    assert_eq!(order(&plan(&RequestFacts { body: short, ..facts("r") }).unwrap()).len(), 3);
    let asked = Overrides { max_price_usd: Some(0.5), ..Overrides::default() };
    let made = plan(&asking(&asked, RequestFacts { body: short, ..facts("r") })).unwrap();
    assert_eq!(order(&made), ["b:dear", "c:cheap"]);
    assert_eq!(skipped(&made), [("a", SkipReason::PriceUnknown { limit: 500_000_000_000 })]);
    let asked = Overrides { max_price_usd: Some(1e-9), ..Overrides::default() };
    let refused = plan(&asking(&asked, facts("r"))).unwrap_err().to_string();
    assert!(
        refused.contains("`c/cheap`: the request would cost about $0.002") && refused.contains("$0.000000001"),
        "{refused}"
    );
}

#[test]
fn a_request_chooses_among_its_targets_only() {
    let mut regional = route("r", RoutePolicy::Priority, &[("a", "m"), ("b", "m"), ("c", "m")]);
    regional.plan.sticky = Some(Sticky::Prefix);
    regional.plan.targets[1].region = Some("eu".to_owned());
    let snapshot = routed(ROWS, None, vec![regional]);
    let of = |overrides: Overrides, model: &str| {
        super::plan(&snapshot, &asking(&overrides, facts(model)), None, 1, &mut Rng::new(1))
    };
    let only = |provider: &str| Overrides { provider: Some(provider.to_owned()), ..Overrides::default() };
    for model in ["r", "m"] {
        assert_eq!(order(&of(only("b"), model).unwrap()), ["b:m"], "{model}");
        let refused = of(only("nobody"), model).unwrap_err().to_string();
        assert!(refused.contains("`a/m`: the request asks for another provider"), "{refused}");
    }
    assert!(of(only("c"), "m").is_err(), "it does not serve the model");
    let region = Overrides { region: Some("eu".to_owned()), ..Overrides::default() };
    assert_eq!(order(&of(region.clone(), "r").unwrap()), ["b:m"]);
    assert!(of(region, "m").is_err());
    let single = Overrides { fallbacks: Some(false), policy: Some(RoutePolicy::Priority), ..Overrides::default() };
    for model in ["r", "m"] {
        let plan = of(single.clone(), model).unwrap();
        assert_eq!(order(&plan), ["a:m"], "{model}");
        assert!(plan.skipped.iter().all(|skipped| skipped.why == SkipReason::NoFallbacks) && !plan.skipped.is_empty());
        assert_eq!(plan.record(1).overrides["fallbacks"], false);
    }
    let turns = Overrides { policy: Some(RoutePolicy::RoundRobin), ..Overrides::default() };
    let body = br#"{"messages":[{"role":"user","content":"x"}]}"#;
    let plan = |_| {
        let plan =
            super::plan(&snapshot, &asking(&turns, RequestFacts { body, ..facts("r") }), None, 1, &mut Rng::new(1));
        plan.unwrap().candidates[0].provider.id.clone()
    };
    assert_eq!([0, 1, 2].map(plan), ["a", "b", "c"], "the policy of the request replaces stickiness");
    let mut deadlines = Overrides::default();
    deadlines.deadlines.idle_ms = Some(7);
    let plan = of(deadlines, "m").unwrap();
    assert!(plan.candidates.iter().all(|candidate| candidate.deadlines.idle_ms == Some(7)));
}

#[test]
fn an_exhausted_target_comes_behind_the_others_until_its_reset() {
    let snapshot = routed(ROWS, None, vec![route("r", RoutePolicy::Priority, &[("a", "m"), ("b", "m")])]);
    drain(&snapshot, "a", 1);
    for model in ["r", "m"] {
        let plan = planned(&snapshot, &facts(model), 2);
        assert_eq!(order(&plan), ["b:m", "a:m"], "{model}");
        let why = &plan.record(2).targets[1].why;
        assert!(
            why.contains("behind the others: the provider announced that no requests are left for another 1 s"),
            "{why}"
        );
        assert_eq!(order(&planned(&snapshot, &facts(model), 1_001)), ["a:m", "b:m"], "{model}");
    }
}

/// Lets a provider announce that it takes no requests for a second.
fn drain(snapshot: &Snapshot, provider: &str, now: u64) {
    let mut headers = http::HeaderMap::new();
    headers.insert("x-ratelimit-remaining-requests", http::HeaderValue::from_static("0"));
    headers.insert("x-ratelimit-reset-requests", http::HeaderValue::from_static("1s"));
    snapshot.provider(provider).unwrap().health.of(Some("m")).note_limits(&headers, now, 0);
}

proptest! {
    /// For all policies and announcements: all targets stay, and those that are exhausted come last.
    #[test]
    fn announced_limits_exclude_nobody(
        policy in 0_usize..6,
        drained in proptest::collection::vec(any::<bool>(), 4),
        sticky in any::<bool>(),
        seed in any::<u64>(),
    ) {
        const IDS: [&str; 4] = ["a", "b", "c", "d"];
        let rows = IDS.map(|id| Row { id, ..Row::ENABLED });
        let policies = [RoutePolicy::Priority, RoutePolicy::Weighted, RoutePolicy::RoundRobin, RoutePolicy::LeastBusy, RoutePolicy::Latency, RoutePolicy::Cheapest];
        let mut row = route("r", policies[policy], &IDS.map(|id| (id, "m")));
        row.plan.sticky = sticky.then_some(Sticky::Prefix);
        let snapshot = routed(&rows, None, vec![row]);
        for (id, _) in IDS.iter().zip(&drained).filter(|(_, drained)| **drained) {
            drain(&snapshot, id, 1);
        }
        let body = br#"{"messages":[{"role":"user","content":"x"}]}"#;
        let plan = plan(&snapshot, &RequestFacts { body, ..facts("r") }, None, 2, &mut Rng::new(seed)).unwrap();
        prop_assert_eq!(plan.candidates.len(), 4);
        let is_drained: Vec<bool> = plan.candidates.iter().map(|candidate| drained[IDS.iter().position(|id| *id == candidate.provider.id).unwrap()]).collect();
        prop_assert!(is_drained.is_sorted(), "{:?}", is_drained);
    }

    /// For all policies and states of the breakers: each target is planned or skipped, once; none that is out is
    /// planned while another one is well; and one is always planned.
    #[test]
    fn never_are_all_out(
        policy in 0_usize..6,
        out in proptest::collection::vec(any::<bool>(), 4),
        sticky in any::<bool>(),
        seed in any::<u64>(),
    ) {
        const IDS: [&str; 4] = ["a", "b", "c", "d"];
        let rows = IDS.map(|id| Row { id, ..Row::ENABLED });
        let policies = [RoutePolicy::Priority, RoutePolicy::Weighted, RoutePolicy::RoundRobin, RoutePolicy::LeastBusy, RoutePolicy::Latency, RoutePolicy::Cheapest];
        let mut row = route("r", policies[policy], &IDS.map(|id| (id, "m")));
        row.plan.sticky = sticky.then_some(Sticky::Prefix);
        let snapshot = routed(&rows, None, vec![row]);
        for (id, _) in IDS.iter().zip(&out).filter(|(_, out)| **out) {
            open(&snapshot, id, "m", 1);
        }
        let body = br#"{"messages":[{"role":"user","content":"x"}]}"#;
        let plan = plan(&snapshot, &RequestFacts { body, ..facts("r") }, None, 2, &mut Rng::new(seed)).unwrap();
        let well = out.iter().filter(|out| !**out).count();
        prop_assert_eq!(plan.candidates.len(), well.max(1));
        let mut all: Vec<&str> = plan.candidates.iter().map(|candidate| &*candidate.provider.id).chain(plan.skipped.iter().map(|skipped| &*skipped.provider)).collect();
        all.sort_unstable();
        prop_assert_eq!(all, IDS);
        if well > 0 {
            for candidate in &plan.candidates {
                prop_assert!(!out[IDS.iter().position(|id| *id == candidate.provider.id).unwrap()]);
            }
        }
    }
}

#[test]
fn a_continued_answer_goes_to_its_target_first() {
    let targets = [("a", "m"), ("b", "x"), ("b", "m")];
    let snapshot = routed(ROWS, None, vec![route("r", RoutePolicy::Priority, &targets)]);
    let of = |model: &str, provider: &str, made: Option<&str>, keeps_answer: bool| {
        let owner = Owner { provider: provider.into(), model: made.map(str::to_owned), key: None, keeps_answer };
        planned(&snapshot, &RequestFacts { owner: Some(&owner), ..facts(model) }, 1)
    };
    let made = of("r", "b", Some("m"), true);
    assert_eq!(order(&made), ["b:m", "a:m", "b:x"]);
    assert_eq!(made.candidates[0].reason, Reason::Owner);
    let lacking: Vec<bool> = made.candidates.iter().map(|candidate| candidate.lacks_previous).collect();
    assert_eq!(lacking, [false, true, false]);
    // Its model is not known, or not one of the route any more.
    assert_eq!(order(&of("r", "b", None, true)), ["b:x", "a:m", "b:m"]);
    assert_eq!(order(&of("r", "b", Some("old"), true)), ["b:x", "a:m", "b:m"]);
    // The log has the answer, so that every target can continue it.
    let logged = of("r", "b", Some("m"), false);
    assert_eq!(order(&logged)[0], "b:m");
    assert!(logged.candidates.iter().all(|candidate| !candidate.lacks_previous));
    // No target of the route made it.
    let elsewhere = of("r", "c", None, true);
    assert_eq!(order(&elsewhere), ["a:m", "b:x", "b:m"]);
    assert!(elsewhere.candidates.iter().all(|candidate| candidate.lacks_previous));
    // The order of an implied route changes only if it has to.
    assert_eq!(order(&of("m", "b", Some("m"), false)), ["a:m", "b:m"]);
    assert_eq!(order(&of("m", "b", Some("m"), true)), ["b:m", "a:m"]);
}

#[test]
fn the_api_of_a_target_takes_precedence_over_that_of_its_model() {
    let rows = [Row { id: "a", kind: "openai", ..Row::ENABLED }];
    let mut set = route("set", RoutePolicy::Priority, &[("a", "gpt-6-sol")]);
    set.plan.targets[0].api = Some(Api::Chat);
    let mut without = route("without", RoutePolicy::Priority, &[("a", "gpt-6-sol")]);
    without.plan.targets[0].params.insert("reasoning_effort".into(), "none".into());
    let plain = route("plain", RoutePolicy::Priority, &[("a", "gpt-6-sol")]);
    let snapshot = routed(&rows, None, vec![set, without, plain]);
    let envelope = Envelope::parse(Api::Chat, br#"{"messages":[1],"tools":[{}]}"#).unwrap();
    for (model, api) in [("set", Api::Chat), ("without", Api::Chat), ("plain", Api::Responses)] {
        assert_eq!(planned(&snapshot, &facts(model), 1).candidates[0].api_for(&envelope), api, "{model}");
    }
}

mod keys;
