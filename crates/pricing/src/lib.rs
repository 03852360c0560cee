//! Prices of models and the costs of requests.

mod tier;
mod tokens;
mod units;

pub use tier::Tier;
pub use tokens::{Class, Tokens};
pub use units::{Unit, UnitPrices, Units, Usage};
