use signalbox_core::schema::{
    Ability, Hedge, KeyLimits, Mirror, NewRoute, Resume, RouteDeadlines, RoutePlan, RoutePolicy, RouteTarget, Sticky,
};
use signalbox_store::catalog::{Change, change};
use signalbox_store::{Error, Page, audit, catalog, routes};

use crate::fixture::{Database, on_both, sealer};

on_both!(
    a_route_is_kept_as_it_was_given,
    names_belong_to_one_route,
    routes_are_part_of_the_catalogue_and_audited,
    models_are_swapped_in_one_change,
    one_unreadable_row_does_not_hide_the_others,
);

pub(crate) fn new(id: &str, model: &str) -> NewRoute {
    let target = RouteTarget { provider: "echo".into(), model: "echo".into(), ..RouteTarget::default() };
    let plan = RoutePlan { targets: vec![target], ..RoutePlan::default() };
    NewRoute { id: id.into(), model: model.into(), enabled: true, plan }
}

fn is_conflict<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    matches!(result.unwrap_err(), Error::Conflict { .. })
}

async fn a_route_is_kept_as_it_was_given(database: &Database) {
    let store = &database.store;
    let mut given = new("r", "fast-*");
    let params = serde_json::json!({"temperature": 0.5, "stop": ["a"]});
    given.plan = RoutePlan {
        aliases: vec!["quick".into()],
        policy: RoutePolicy::LeastBusy,
        targets: vec![RouteTarget {
            provider: "echo".into(),
            model: "*".into(),
            key: Some("team-b".into()),
            weight: Some(1000),
            params: params.as_object().unwrap().clone(),
            context_tokens: Some(200_000),
            can: Some(vec![Ability::Tools]),
            region: Some("eu".into()),
            max_price_usd: Some(0.5),
            api: Some(signalbox_core::Api::Messages),
        }],
        retries: Some(2),
        deadlines: RouteDeadlines { first_token_ms: Some(10_000), ..RouteDeadlines::default() },
        resume: Resume::Verbatim,
        sticky: Some(Sticky::Prefix),
        strict: true,
        resumable: true,
        cache: serde_json::from_value(serde_json::json!({"ttl_ms": 1_000, "scope": "owner"})).unwrap(),
        guard: serde_json::from_value(serde_json::json!({"answer_secrets": "redact"})).unwrap(),
        limits: KeyLimits { rpm: Some(7), ..KeyLimits::default() },
        hedge: Some(Hedge { quantile: 0.95, min_ms: 5 }),
        mirror: Some(Mirror { provider: "echo".into(), model: "m".into(), percent: 0.5 }),
    };
    let made = routes::insert(store, &given, 5).await.unwrap();
    assert_eq!((&*made.id, &*made.model, made.enabled, &made.plan), ("r", "fast-*", true, &given.plan));
    assert_eq!((made.created_at, made.updated_at), (5, 5));
    assert_eq!(routes::get(store, "r").await.unwrap(), made);
    routes::insert(store, &new("a", "another"), 6).await.unwrap();
    let list = routes::list(store, Page { limit: 1, offset: 1 }).await.unwrap();
    assert_eq!((list.items, list.total), (vec![made], 2));

    given = NewRoute { enabled: false, ..new("r", "slow") };
    let changed = routes::update(store, &given, 7).await.unwrap();
    assert_eq!((&*changed.model, changed.enabled, &changed.plan), ("slow", false, &given.plan));
    assert_eq!((changed.created_at, changed.updated_at), (5, 7));
    routes::delete(store, "r").await.unwrap();
    for missing in [
        routes::get(store, "r").await.map(drop),
        routes::update(store, &given, 8).await.map(drop),
        routes::delete(store, "r").await,
    ] {
        assert!(matches!(missing.unwrap_err(), Error::NotFound { entity: "route" }));
    }
}

async fn names_belong_to_one_route(database: &Database) {
    let store = &database.store;
    let mut first = new("r", "one");
    first.plan.aliases = vec!["two".into()];
    let made = routes::insert(store, &first, 1).await.unwrap();
    assert!(is_conflict(routes::insert(store, &first, 1).await), "the id");
    for model in ["one", "two"] {
        assert!(is_conflict(routes::insert(store, &new("s", model), 1).await), "{model} as model");
        let mut second = new("s", "three");
        second.plan.aliases = vec![model.into()];
        assert!(is_conflict(routes::insert(store, &second, 1).await), "{model} as alias");
    }
    routes::insert(store, &new("s", "three"), 1).await.unwrap();
    assert!(is_conflict(routes::update(store, &new("s", "two"), 2).await));
    assert_eq!(routes::list(store, Page::ALL).await.unwrap().total, 2);
    assert_eq!(routes::get(store, "r").await.unwrap(), made);
}

async fn routes_are_part_of_the_catalogue_and_audited(database: &Database) {
    let store = &database.store;
    let mut versions = vec![catalog::version(store).await.unwrap()];
    routes::insert(store, &new("r", "one"), 1).await.unwrap();
    versions.push(catalog::version(store).await.unwrap());
    routes::update(store, &new("r", "two"), 2).await.unwrap();
    versions.push(catalog::version(store).await.unwrap());
    assert_eq!(catalog::load(store).await.unwrap().routes, routes::list(store, Page::ALL).await.unwrap().items);
    // Only the time changes.
    routes::update(store, &new("r", "two"), 3).await.unwrap();
    routes::delete(store, "r").await.unwrap();
    versions.push(catalog::version(store).await.unwrap());
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");

    let filter = audit::Filter { resource: Some("route".to_owned()), ..audit::Filter::default() };
    let entries = audit::list(store, &filter, Page::ALL).await.unwrap().items;
    let told: Vec<_> = entries.iter().map(|entry| (&*entry.action, &*entry.resource_id)).collect();
    assert_eq!(told, [("deleted", "r"), ("updated", "r"), ("created", "r")]);
    let after = entries[1].after.as_ref().unwrap();
    assert_eq!((&after["model"], &after["enabled"]), (&"two".into(), &true.into()));
    assert!(after["document"].as_str().unwrap().contains("\"provider\":\"echo\""), "{after}");
}

async fn models_are_swapped_in_one_change(database: &Database) {
    let store = &database.store;
    let apply = async |changes: &[Change]| {
        let version = catalog::version(store).await.unwrap();
        change(store, &sealer(), version, changes, 7).await
    };
    let pair = |a: &str, b: &str| [Change::Route(new("a", a)), Change::Route(new("b", b))];
    assert!(apply(&pair("one", "two")).await.unwrap());
    assert!(apply(&pair("two", "one")).await.unwrap());
    let models = async || -> Vec<String> {
        routes::list(store, Page::ALL).await.unwrap().items.into_iter().map(|row| row.id + "=" + &row.model).collect()
    };
    assert_eq!(models().await, ["b=one", "a=two"]);
    let mut third = new("c", "three");
    third.plan.aliases = vec!["one".into()];
    assert!(is_conflict(apply(&[Change::Route(third.clone())]).await));
    assert!(apply(&[Change::Route(third), Change::DeleteRoute("b".into())]).await.unwrap(), "the name is free");
    assert_eq!(models().await, ["c=three", "a=two"]);
}

async fn one_unreadable_row_does_not_hide_the_others(database: &Database) {
    let store = &database.store;
    routes::insert(store, &new("r", "one"), 1).await.unwrap();
    database
        .execute(
            "INSERT INTO routes (id, model, document, created_at, updated_at)
             VALUES ('new', 'two', '{\"policy\":\"from the future\"}', 1, 1)",
        )
        .await;
    let loaded = catalog::load(store).await.unwrap().routes;
    assert_eq!(loaded.iter().map(|route| &*route.id).collect::<Vec<_>>(), ["r"]);
    assert!(matches!(routes::get(store, "new").await.unwrap_err(), Error::Corrupt(_)));
    routes::insert(store, &new("s", "three"), 1).await.unwrap();
    routes::delete(store, "new").await.unwrap();
}
