//! Tests of the price overrides and of the costs of rows.

use signalbox_core::schema::{AuditEntry, RequestCost};
use signalbox_store::exchanges::{SessionRef, record};
use signalbox_store::requests::{self, Filter, RequestKey};
use signalbox_store::{Page, audit, catalog, prices, responses};

use crate::exchanges::whole;
use crate::fixture::{Database, on_both};

on_both!(overrides_are_part_of_the_catalogue_and_audited, costs_are_read_as_they_were_written);

async fn overrides_are_part_of_the_catalogue_and_audited(database: &Database) {
    let store = &database.store;
    assert_eq!(prices::get(store).await.unwrap(), None);
    assert_eq!(catalog::load(store).await.unwrap().prices, None);
    let mut versions = vec![catalog::version(store).await.unwrap()];
    for document in ["{\"prices\":[]}", "{\"prices\":[1]}"] {
        prices::put(store, document, 7).await.unwrap();
        let stored = prices::get(store).await.unwrap().unwrap();
        assert_eq!((&*stored.document, stored.updated_at), (document, 7));
        assert_eq!(catalog::load(store).await.unwrap().prices.as_deref(), Some(document));
        versions.push(catalog::version(store).await.unwrap());
    }
    assert!(prices::delete(store).await.unwrap());
    versions.push(catalog::version(store).await.unwrap());
    assert!(!prices::delete(store).await.unwrap());
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
    assert_eq!(prices::get(store).await.unwrap(), None);

    let filter = audit::Filter { resource: Some("prices".to_owned()), ..audit::Filter::default() };
    let entries = audit::list(store, &filter, Page::ALL).await.unwrap().items;
    let told: Vec<_> = entries.iter().map(|entry: &AuditEntry| (&*entry.action, &*entry.resource_id)).collect();
    assert_eq!(told, [("deleted", "api"), ("updated", "api"), ("created", "api")]);
    assert_eq!(entries[1].after.as_ref().unwrap()["document"], "{\"prices\":[1]}");
}

async fn costs_are_read_as_they_were_written(database: &Database) {
    let store = &database.store;
    let cost = |nanos, origin: &str, version: Option<&str>| {
        Some(RequestCost { nanos, origin: origin.to_owned(), price_version: version.map(str::to_owned) })
    };
    let costs = [
        cost(Some(1_234_567), "computed", Some("2026-11-29+api.0a1b2c3d4e5f")),
        cost(Some(0), "computed", Some("2026-11-29")),
        cost(Some(5), "reported", None),
        cost(None, "unknown: price", Some("2026-11-29")),
        None,
    ];
    for (number, cost) in costs.iter().enumerate() {
        let mut exchange = whole(&number.to_string(), 1, SessionRef::Opens);
        exchange.ended.as_mut().unwrap().cost.clone_from(cost);
        record(store, &[exchange]).await.unwrap();
    }
    let listed = requests::list(store, &Filter::default(), Page::ALL).await.unwrap().items;
    let responses = responses::list(store, &responses::Filter::default(), Page::ALL).await.unwrap().items;
    for (number, cost) in costs.iter().enumerate() {
        let (_, response) = requests::get(store, &RequestKey::Uuid(number.to_string())).await.unwrap();
        assert_eq!(response.unwrap().cost, *cost);
        let (_, summary) = &listed[costs.len() - 1 - number];
        assert_eq!(summary.as_ref().unwrap().cost_nanos, cost.as_ref().and_then(|cost| cost.nanos));
        assert_eq!(responses[costs.len() - 1 - number].cost, *cost);
    }
}
