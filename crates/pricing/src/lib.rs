//! Prices of models and the costs of requests.
//!
//! # Layout
//! - [`Tokens`], [`Class`]: the classes of tokens, shared by all crates. [`Units`], [`Unit`]: everything else that is
//!   charged. [`Usage`]: both, with the service tier.
//! - [`Money`]: an exact amount of dollars. [`Cost`]: the amounts of one request by class. [`Priced`]: a cost with its
//!   origin, or what is missing to compute it.
//! - [`litellm`]: a converter of LiteLLM's price map to a document of prices.
//! - [`Price`]: the price of one model. [`Table`]: the shipped prices and the operator's overrides, in [`Layer`]s.
//!
//! # Invariants
//! - Amounts are whole pico-dollars (10⁻¹² dollars). No arithmetic uses floats, and none wraps or saturates: an amount
//!   that cannot be represented is an error.
//! - An unknown price is never zero. A price of zero is in the table, for free models and subscriptions.
//! - A table is immutable, and a document with a mistake does not become a layer.
//! - Nothing here performs I/O or reads a clock. [`Table::find`], [`Price::cost`] and [`Price::estimate`] do not
//!   allocate.

mod cost;
mod date;
mod decimal;
mod hours;
mod layer;
pub mod litellm;
mod mistake;
mod money;
mod multiplier;
mod name;
mod price;
mod rates;
mod read;
mod table;
mod tier;
mod tokens;
mod units;

pub use cost::{Cost, Missing, Parts, Priced};
pub use layer::{Layer, LayerKind};
pub use mistake::{Mistake, Mistakes};
pub use money::{Money, MoneyError, as_number};
pub use multiplier::{Condition, Multiplier};
pub use name::MAX_NAME_BYTES;
pub use price::{Expected, Price};
pub use rates::{Applies, Rates, Schedule, Threshold};
pub use table::Table;
pub use tier::Tier;
pub use tokens::{Class, Tokens};
pub use units::{Unit, UnitPrices, Units, Usage};
