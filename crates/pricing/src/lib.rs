//! Prices of models and the costs of requests.

mod cost;
mod decimal;
mod money;
mod price;
mod rates;
mod tier;
mod tokens;
mod units;

pub use cost::{Cost, Missing, Parts, Priced};
pub use money::{Money, MoneyError, as_number};
pub use price::{Expected, Price};
pub use rates::{Applies, Rates, Schedule, Threshold};
pub use tier::Tier;
pub use tokens::{Class, Tokens};
pub use units::{Unit, UnitPrices, Units, Usage};
