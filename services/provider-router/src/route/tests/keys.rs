//! Providers with several keys.

use std::collections::BTreeMap;

use super::*;

const KEYS: &[&str] = &["a", "b", "c"];
const SEVERAL: &[Row<'_>] = &[
    Row { id: "one", kind: "openai", models: &[("m", None)], ..Row::ENABLED },
    Row { id: "many", kind: "openai", models: &[("m", None)], keys: KEYS, ..Row::ENABLED },
];

/// Returns the targets in their order, as `provider:key`.
fn tried(plan: &Plan) -> Vec<String> {
    let name = |candidate: &Candidate| match &candidate.provider.key {
        Some(key) => format!("{}:{key}", candidate.provider.id),
        None => candidate.provider.id.clone(),
    };
    plan.candidates.iter().map(name).collect()
}

fn keyed(targets: &[(&str, Option<&str>)]) -> schema::Route {
    let names: Vec<(&str, &str)> = targets.iter().map(|(provider, _)| (*provider, "m")).collect();
    let mut route = route("fast", RoutePolicy::Priority, &names);
    for (target, (_, key)) in route.plan.targets.iter_mut().zip(targets) {
        target.key = key.map(str::to_owned);
    }
    route
}

#[test]
fn an_unnamed_target_is_spread_over_all_keys_and_a_named_one_is_not() {
    let snapshot = routed(SEVERAL, None, vec![keyed(&[("many", None), ("one", None), ("many", Some("c"))])]);
    let mut firsts: BTreeMap<String, u32> = BTreeMap::new();
    let mut rng = Rng::new(7);
    for _ in 0..600 {
        let order = tried(&plan(&snapshot, &facts("fast"), None, 1, &mut rng).unwrap());
        let mut keys = order[..3].to_vec();
        keys.sort();
        assert_eq!(keys, ["many:a", "many:b", "many:c"], "the keys of a target follow each other: {order:?}");
        assert_eq!(order[3..], ["one", "many:c"]);
        *firsts.entry(order[0].clone()).or_default() += 1;
    }
    assert!(firsts.len() == 3 && firsts.values().all(|count| (140..260).contains(count)), "{firsts:?}");
}

#[test]
fn the_key_with_the_fewest_requests_in_flight_is_first() {
    let snapshot = routed(SEVERAL, None, vec![keyed(&[("many", None)])]);
    let of = |plan: &Plan, n: usize| Arc::clone(&plan.candidates[n].health);
    let first = planned(&snapshot, &facts("fast"), 1);
    let busy = [of(&first, 0).begin(1), of(&first, 1).begin(1)];
    let free = of(&first, 2);
    assert!(Arc::ptr_eq(&of(&planned(&snapshot, &facts("fast"), 1), 0), &free));
    drop(busy);
}

#[test]
fn the_breaker_of_a_key_leaves_the_others_in_use() {
    let snapshot = routed(SEVERAL, None, vec![keyed(&[("many", None)])]);
    let provider = snapshot.provider("many").unwrap();
    let b = provider.with_name("b").unwrap().health.of(Some("m"));
    (0..5).for_each(|_| b.begin(1).failed(1));
    let plan = planned(&snapshot, &facts("fast"), 1);
    let mut order = tried(&plan);
    order.sort();
    assert_eq!(order, ["many:a", "many:c"]);
    let record = plan.record(1);
    assert_eq!((record.skipped.len(), record.skipped[0].key.as_deref()), (1, Some("b")));
    assert!(record.targets.iter().all(|target| target.key.is_some()));
    assert_eq!(provider.targets().filter(|target| target.blocked(1).is_some()).count(), 1);
}

#[test]
fn a_session_stays_at_its_key() {
    let mut route = keyed(&[("many", None), ("one", None)]);
    route.plan.sticky = Some(Sticky::Session);
    let snapshot = routed(SEVERAL, None, vec![route]);
    let order = |session: &str, seed| {
        let facts = RequestFacts { session: Some(session), ..facts("fast") };
        tried(&plan(&snapshot, &facts, None, 1, &mut Rng::new(seed)).unwrap())
    };
    let sessions: Vec<String> = (0..60).map(|n| format!("session-{n}")).collect();
    assert!(sessions.iter().all(|session| order(session, 1) == order(session, 2)));
    let used: std::collections::BTreeSet<String> =
        sessions.iter().map(|session| order(session, 1)[0].clone()).collect();
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["many:a", "many:b", "many:c", "one"]);
}

#[test]
fn implied_routes_use_all_keys_and_unknown_names_none() {
    let snapshot = routed(SEVERAL, None, vec![keyed(&[("many", Some("gone")), ("one", None)])]);
    let mut implied = tried(&planned(&snapshot, &facts("m"), 1));
    implied.sort();
    assert_eq!(implied, ["many:a", "many:b", "many:c", "one"]);
    let plan = planned(&snapshot, &facts("fast"), 1);
    assert_eq!((tried(&plan), skipped(&plan)), (vec!["one".to_owned()], vec![("many", SkipReason::NoKey)]));
    let only = routed(SEVERAL, None, vec![keyed(&[("many", Some("gone"))])]);
    let error = super::super::plan(&only, &facts("fast"), None, 1, &mut Rng::new(1)).unwrap_err();
    assert!(matches!(error, RouteError::NoTarget { .. }) && error.to_string().contains("gone"), "{error}");
}

#[test]
fn an_answer_is_continued_with_the_key_that_made_it() {
    let snapshot = routed(SEVERAL, None, vec![keyed(&[("one", None), ("many", None)])]);
    let owner = Owner { provider: "many".into(), model: Some("m".into()), key: Some("b".into()), keeps_answer: true };
    let facts = RequestFacts { owner: Some(&owner), ..facts("fast") };
    let plan = planned(&snapshot, &facts, 1);
    assert_eq!(tried(&plan)[0], "many:b");
    let lacking: Vec<bool> = plan.candidates.iter().map(|candidate| candidate.lacks_previous).collect();
    assert_eq!(lacking, [false, true, true, true], "other keys may be of other accounts");
}
