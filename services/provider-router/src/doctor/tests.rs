use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use signalbox_core::{
    schema::{
        ApiKey, BudgetPeriod, KeyBudget, KeyGrant, Provider, ProviderConfig, Route, RoutePlan, RoutePolicy,
        RouteTarget, Setting,
    },
    secret::Secret,
};
use signalbox_store::{Sealer, catalog::Catalog};

use super::*;
use crate::config::DEFAULTS;

const NOW: i64 = 1_796_000_000_000;

fn catalog() -> Catalog {
    Catalog {
        version: 1,
        providers: vec![],
        models: vec![],
        lists: vec![],
        settings: vec![],
        prices: None,
        imported_prices: None,
        routes: vec![],
        keys: vec![],
    }
}

fn subject(rows: Catalog) -> Subject {
    let config: Config = toml::from_str(DEFAULTS).unwrap();
    Subject::new(rows, Sealer::new(&Secret::new([1; 32])), &config, None)
}

fn provider(
    id: &str,
    kind: &str,
    enabled: bool,
    config: &Value,
) -> (Provider, Vec<ProviderConfig>, Vec<signalbox_core::schema::LinkedModel>) {
    let row = Provider {
        id: id.into(),
        name: id.into(),
        kind: kind.into(),
        enabled,
        priority: 0,
        description: None,
        created_at: 0,
        updated_at: 0,
    };
    let config = config.as_object().unwrap().iter().map(|(key, value)| ProviderConfig {
        provider_id: id.into(),
        key: key.clone(),
        value: Secret::new(value.to_string()),
        is_sensitive: false,
        updated_at: 0,
    });
    (row, config.collect(), vec![])
}

fn route(model: &str, targets: &[(&str, &str)]) -> Route {
    let target = |(provider, model): &(&str, &str)| RouteTarget {
        provider: (*provider).into(),
        model: (*model).into(),
        ..RouteTarget::default()
    };
    let plan = RoutePlan { targets: targets.iter().map(target).collect(), ..RoutePlan::default() };
    Route { id: format!("id-{model}"), model: model.into(), enabled: true, plan, created_at: 0, updated_at: 0 }
}

fn key(name: &str, grant: KeyGrant, expires_at: Option<i64>) -> ApiKey {
    ApiKey {
        id: name.into(),
        name: name.into(),
        hint: "sbx-".into(),
        digest: String::new(),
        previous_digest: None,
        previous_expires_at: None,
        grant,
        expires_at,
        revoked_at: None,
        created_at: 0,
        updated_at: 0,
    }
}

/// Providers that are usable, disabled and misconfigured.
fn providers() -> Vec<(Provider, Vec<ProviderConfig>, Vec<signalbox_core::schema::LinkedModel>)> {
    let openai = json!({"apiKey": "sk-0123456789abcdefghij"});
    vec![
        provider("openai", "openai", true, &openai),
        provider("off", "openai", false, &openai),
        provider("bad", "openai-compatible", true, &json!({"baseURL": "ftp://x"})),
        provider("local", "openai-compatible", true, &json!({"baseURL": "http://127.0.0.1:9"})),
    ]
}

fn states(checks: &[Check]) -> HashMap<&str, State> {
    checks.iter().map(|check| (&*check.id, check.state)).collect()
}

fn of<'a>(checks: &'a [Check], id: &str) -> &'a Check {
    checks.iter().find(|check| check.id == id).unwrap_or_else(|| panic!("no {id} in {checks:?}"))
}

#[test]
fn an_empty_installation_has_no_provider() {
    let checks = catalogue::checks(&subject(catalog()));
    let states = states(&checks);
    assert_eq!(states["providers.enabled"], State::Fail);
    assert_eq!(states["providers.default"], State::Warn);
    assert_eq!(states["prices.overrides"], State::Ok);
    assert_eq!(routes::checks(&subject(catalog()), &HashMap::new())[0].state, State::Skipped);
}

#[test]
fn providers_are_judged_one_by_one() {
    let setting = |value: &str| Setting { key: "active_provider".into(), value: value.into(), updated_at: 0 };
    for (active, state) in [("openai", State::Ok), ("off", State::Warn), ("gone", State::Warn)] {
        let rows = Catalog {
            providers: providers(),
            settings: vec![setting(active)],
            prices: Some(r#"{"prices":[{"id":"a"}]}"#.into()),
            ..catalog()
        };
        let checks = catalogue::checks(&subject(rows));
        let states = states(&checks);
        assert_eq!(states["providers.active"], state, "{active}");
        assert_eq!(states["provider.openai.config"], State::Ok);
        assert_eq!(states["provider.bad.config"], State::Fail);
        assert_eq!(states["prices.overrides"], State::Fail);
        assert!(!states.contains_key("provider.off.config"), "it is disabled");
    }
}

#[test]
fn routes_that_never_answer_are_found() {
    let rows = Catalog {
        providers: providers(),
        routes: vec![
            route("good", &[("openai", "gpt-4o-mini"), ("local", "m")]),
            route("half", &[("openai", "gpt-4o-mini"), ("gone", "m")]),
            route("dead", &[("gone", "m"), ("off", "m"), ("bad", "m")]),
            route("openai/*", &[("local", "*")]),
            route("free-*", &[("openai", "*")]),
            Route {
                enabled: false,
                plan: RoutePlan { aliases: vec!["nick".into()], ..RoutePlan::default() },
                ..route("sleeping", &[("gone", "m")])
            },
        ],
        ..catalog()
    };
    let listed = HashMap::from([("openai".to_owned(), HashSet::from(["gpt-4o".to_owned()]))]);
    let checks = routes::checks(&subject(rows), &listed);
    let states = states(&checks);
    for (id, state) in [
        ("route.good.targets", State::Ok),
        ("route.good.reached", State::Ok),
        ("route.half.targets", State::Warn),
        ("route.dead.targets", State::Fail),
        ("route.openai/*.reached", State::Fail),
        ("route.free-*.reached", State::Ok),
        ("route.good.models", State::Warn),
        ("route.free-*.models", State::Skipped),
        // Nothing knows the price of a local model.
        ("route.good.prices", State::Warn),
        ("route.half.prices", State::Ok),
    ] {
        assert_eq!(states[id], state, "{:?}", of(&checks, id));
    }
    let dead = &of(&checks, "route.dead.targets").finding;
    assert!(
        ["`gone` does not exist", "`off` is disabled", "`bad` is misconfigured"].iter().all(|part| dead.contains(part)),
        "{dead}"
    );
    assert!(of(&checks, "route.openai/*.reached").finding.contains("goes to the provider `openai`"), "{checks:?}");
    // `local` has no links, so it may serve any name, the alias too.
    assert_eq!(states["route.sleeping.reached"], State::Skipped);
    for check in checks.iter().filter(|check| matches!(check.state, State::Warn | State::Fail)) {
        assert!(check.remedy.is_some() && check.link.is_some(), "{check:?}");
    }
}

#[test]
fn keys_that_expire_or_escape_their_budget_are_found() {
    const DAY: i64 = 86_400_000;
    let budget = |amount_usd| Some(KeyBudget { amount_usd, period: BudgetPeriod::Month });
    let grant = |models: Option<&[&str]>, budget| KeyGrant {
        models: models.map(|models| models.iter().map(|model| (*model).to_owned()).collect()),
        budget,
        ..KeyGrant::default()
    };
    let keys = vec![
        key("old", KeyGrant::default(), Some(NOW - 2 * DAY)),
        key("soon", KeyGrant::default(), Some(NOW + 2 * DAY)),
        key("later", KeyGrant::default(), Some(NOW + 90 * DAY)),
        ApiKey { revoked_at: Some(1), ..key("gone", KeyGrant::default(), Some(1)) },
        key("wide", grant(None, budget(5.0)), None),
        key("priced", grant(Some(&["good"]), budget(5.0)), None),
        key("empty", grant(Some(&[]), budget(0.0)), None),
    ];
    let rows = |settings| Catalog {
        providers: providers()[..1].to_vec(),
        routes: vec![route("good", &[("openai", "gpt-4o-mini")]), route("odd", &[("openai", "unknown-model-x")])],
        keys: keys.clone(),
        settings,
        ..catalog()
    };
    let checks = keys::checks(&subject(rows(vec![])), NOW);
    let found = states(&checks);
    for (id, state) in [
        ("key.old.expiry", State::Warn),
        ("key.soon.expiry", State::Warn),
        ("key.later.expiry", State::Ok),
        ("key.wide.budget", State::Warn),
        ("key.priced.budget", State::Ok),
        ("key.priced.models", State::Ok),
        ("key.empty.models", State::Warn),
        ("key.empty.budget", State::Warn),
    ] {
        assert_eq!(found[id], state, "{:?}", of(&checks, id));
    }
    assert!(!checks.iter().any(|check| check.id.starts_with("key.gone")));
    let refuse = Setting { key: "budget.unpriced".into(), value: "refuse".into(), updated_at: 0 };
    assert_eq!(of(&keys::checks(&subject(rows(vec![refuse])), NOW), "key.wide.budget").state, State::Ok);
}

#[test]
fn policies_that_depend_on_prices_say_so() {
    let mut cheapest = route("r", &[("local", "m")]);
    cheapest.plan.policy = RoutePolicy::Cheapest;
    let rows = Catalog { providers: providers(), routes: vec![cheapest], ..catalog() };
    let checks = routes::checks(&subject(rows), &HashMap::new());
    assert!(of(&checks, "route.r.prices").finding.contains("tried last"), "{checks:?}");
}

#[test]
fn the_summary_counts_the_states() {
    let checks = vec![Check::ok("a.b", ""), Check::warn("a.c", ""), Check::fail("a.d", ""), Check::skipped("a.e", "")];
    let report = Report::new(checks, true, 7);
    let shown = serde_json::to_value(&report).unwrap();
    assert_eq!(shown["summary"], json!({"ok": 1, "warn": 1, "fail": 1, "skipped": 1}));
    assert_eq!(shown["checks"][2], json!({"id": "a.d", "state": "fail", "finding": "", "remedy": null, "link": null}));
    assert!(!report.is_well() && Report::new(vec![Check::warn("a.b", "")], true, 7).is_well());
}
