//! Prices of models and the costs of requests.

mod decimal;
mod money;
mod tier;
mod tokens;
mod units;

pub use money::{Money, MoneyError, as_number};
pub use tier::Tier;
pub use tokens::{Class, Tokens};
pub use units::{Unit, UnitPrices, Units, Usage};
