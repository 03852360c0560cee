//! Tests of the whole crate: costs by the usage of each provider, properties of the arithmetic, the price table and the
//! mistakes of documents.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bounds;
mod golden;
mod layers;
mod litellm;
mod mistakes;
mod money;
mod multipliers;
mod properties;
mod units;

use serde_json::{Value, json};
use signalbox_pricing::{Layer, LayerKind, Price, Table};

/// 2026-11-29, in Unix milliseconds.
const NOW: i64 = 1_795_910_400_000;

/// Reads a layer of rows that must be right.
fn layer(kind: LayerKind, rows: &Value) -> Layer {
    Layer::from_value(kind, &json!({"prices": rows})).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// Reads the price of one row that must be right.
fn price(row: &Value) -> Price {
    layer(LayerKind::File, &json!([row])).prices()[0].clone()
}

/// Returns the shipped table.
fn shipped() -> Table {
    Table::shipped().unwrap_or_else(|mistakes| panic!("{mistakes}"))
}
