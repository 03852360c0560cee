//! Tests of the price overrides and of the costs of rows.

use signalbox_core::schema::{AuditEntry, RequestCost};
use signalbox_store::exchanges::{SessionRef, record};
use signalbox_store::prices::PriceSource;
use signalbox_store::requests::{self, Filter, RequestKey};
use signalbox_store::{Page, audit, catalog, prices, responses};

use crate::exchanges::whole;
use crate::fixture::{Database, on_both};

on_both!(
    overrides_are_part_of_the_catalogue_and_audited,
    imported_prices_stand_beside_the_overrides,
    costs_are_read_as_they_were_written
);

async fn overrides_are_part_of_the_catalogue_and_audited(database: &Database) {
    let store = &database.store;
    assert_eq!(prices::get(store, PriceSource::Overrides).await.unwrap(), None);
    assert_eq!(catalog::load(store).await.unwrap().prices, None);
    let mut versions = vec![catalog::version(store).await.unwrap()];
    for document in ["{\"prices\":[]}", "{\"prices\":[1]}"] {
        prices::put(store, PriceSource::Overrides, document, 7).await.unwrap();
        let stored = prices::get(store, PriceSource::Overrides).await.unwrap().unwrap();
        assert_eq!((&*stored.document, stored.updated_at), (document, 7));
        assert_eq!(catalog::load(store).await.unwrap().prices.as_deref(), Some(document));
        versions.push(catalog::version(store).await.unwrap());
    }
    assert!(prices::delete(store, PriceSource::Overrides).await.unwrap());
    versions.push(catalog::version(store).await.unwrap());
    assert!(!prices::delete(store, PriceSource::Overrides).await.unwrap());
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
    assert_eq!(prices::get(store, PriceSource::Overrides).await.unwrap(), None);

    let filter = audit::Filter { resource: Some("prices".to_owned()), ..audit::Filter::default() };
    let entries = audit::list(store, &filter, Page::ALL).await.unwrap().items;
    let told: Vec<_> = entries.iter().map(|entry: &AuditEntry| (&*entry.action, &*entry.resource_id)).collect();
    assert_eq!(told, [("deleted", "api"), ("updated", "api"), ("created", "api")]);
    assert_eq!(entries[1].after.as_ref().unwrap()["document"], "{\"prices\":[1]}");
}

async fn imported_prices_stand_beside_the_overrides(database: &Database) {
    let store = &database.store;
    prices::put(store, PriceSource::Overrides, "{}", 1).await.unwrap();
    prices::put(store, PriceSource::Import, "{\"v\":1}", 2).await.unwrap();
    let loaded = catalog::load(store).await.unwrap();
    assert_eq!((loaded.prices.as_deref(), loaded.imported_prices.as_deref()), (Some("{}"), Some("{\"v\":1}")));
    assert!(prices::delete(store, PriceSource::Import).await.unwrap());
    assert_eq!(prices::get(store, PriceSource::Import).await.unwrap(), None);
    assert!(prices::get(store, PriceSource::Overrides).await.unwrap().is_some());
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
