//! Routes of `/api/prices`: the price table in effect, and the operator's overrides of it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use signalbox_daemon::clock::unix_ms;
use signalbox_pricing::{Layer, LayerKind, Table};
use signalbox_store::prices::{self, PriceSource};
use utoipa::ToSchema;

use super::bodies::PricesToPut;
use super::done::Done;
use super::extract::Body;
use super::form::{Form, document_of};
use super::{App, Error};

/// The price table in effect.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PriceTable {
    /// The version that is logged with each cost: that of the shipped prices, with digests of the
    /// imported prices and of the overrides.
    version: String,
    /// When the overrides were written; null if there are none.
    updated_at: Option<i64>,
    /// All rows. Those of the overrides come first, because they win.
    prices: Vec<PriceRow>,
    /// The document of the overrides; null if there are none.
    #[schema(value_type = Option<Value>)]
    overrides: Option<Value>,
}

/// A row of the table.
#[derive(Debug, Serialize, ToSchema)]
struct PriceRow {
    id: String,
    /// `shipped` with the program, `file`: imported, or `api`: an override.
    source: &'static str,
    /// A digest that changes with every field of the row.
    digest: String,
    /// Whether the row was compared with the vendor's own price page.
    verified: bool,
    /// The row as it is in its document.
    #[schema(value_type = Value)]
    price: Value,
}

/// Returns the price table in effect.
#[utoipa::path(
    get, path = "/api/prices", tag = "prices",
    responses((status = 200, description = "The table", body = PriceTable)),
)]
pub(super) async fn get(State(app): State<App>) -> Result<Json<PriceTable>, Error> {
    shown(&app).await.map(Json)
}

/// Replaces the overrides. Costs of requests that end within a second may still be computed with the former prices;
/// costs that are logged do not change.
#[utoipa::path(
    put, path = "/api/prices", tag = "prices", request_body = PricesToPut,
    responses((status = 200, description = "The table with the new overrides", body = PriceTable)),
)]
pub(super) async fn put(
    State(app): State<App>,
    Body(given, mut form): Body<PricesToPut>,
) -> Result<Json<PriceTable>, Error> {
    let document = document(given);
    check(&document, &mut form);
    form.finish()?;
    prices::put(&app.store, PriceSource::Overrides, &document.to_string(), unix_ms()).await?;
    shown(&app).await.map(Json)
}

/// Removes the overrides, so that the shipped prices are in effect.
#[utoipa::path(
    delete, path = "/api/prices", tag = "prices",
    responses((status = 200, description = "There are no overrides now", body = Done)),
)]
pub(super) async fn delete(State(app): State<App>) -> Result<Json<Done>, Error> {
    prices::delete(&app.store, PriceSource::Overrides).await?;
    Ok(Json(Done::new("Price overrides deleted")))
}

/// Reports every mistake of a document.
fn check(document: &Value, form: &mut Form) {
    if let Err(mistakes) = Layer::from_value(LayerKind::Api, document) {
        form.mistakes(&mistakes.0);
    }
}

/// Returns the fields of a body as one document.
fn document(given: PricesToPut) -> Value {
    let PricesToPut { v, version, as_of, source, note, resellers, prices } = given;
    Value::Object(document_of([
        ("v", v),
        ("version", version),
        ("as_of", as_of),
        ("source", source),
        ("note", note),
        ("resellers", resellers),
        ("prices", prices),
    ]))
}

/// Returns the table in effect, and the stored overrides with the time at which they were written.
pub(super) async fn in_effect(app: &App) -> Result<(Table, Option<Value>, Option<i64>), Error> {
    let imported = prices::get(&app.store, PriceSource::Import).await?;
    let stored = prices::get(&app.store, PriceSource::Overrides).await?;
    let updated_at = stored.as_ref().map(|layer| layer.updated_at);
    let overrides: Option<Value> = stored.and_then(|layer| serde_json::from_str(&layer.document).ok());
    let mut table = Table::shipped().map_err(|mistakes| Error::Prices(mistakes.to_string()))?;
    let imported = imported.map(|layer| Layer::from_json(LayerKind::File, &layer.document));
    let overriding = overrides.as_ref().map(|document| Layer::from_value(LayerKind::Api, document));
    for layer in imported.into_iter().chain(overriding) {
        match layer {
            Ok(layer) => table = table.with(layer),
            Err(mistakes) => tracing::warn!(%mistakes, "stored prices cannot be read and are not in effect"),
        }
    }
    Ok((table, overrides, updated_at))
}

async fn shown(app: &App) -> Result<PriceTable, Error> {
    let (table, overrides, updated_at) = in_effect(app).await?;
    let rows = |layer: &Layer| {
        let source = source(layer.kind());
        let row = |price: &signalbox_pricing::Price| PriceRow {
            id: price.id().to_owned(),
            source,
            digest: price.digest().to_owned(),
            verified: price.is_verified(),
            price: price.row().clone(),
        };
        layer.prices().iter().map(row).collect::<Vec<_>>()
    };
    let prices = table.layers().flat_map(rows).collect();
    Ok(PriceTable { version: table.version().to_owned(), updated_at, prices, overrides })
}

/// Returns the name of a layer.
const fn source(kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::Shipped => "shipped",
        LayerKind::File => "file",
        LayerKind::Api => "api",
    }
}
