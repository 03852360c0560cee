//! What the product promises, asked of the three real binaries.
//!
//! Each room is one promise. Build the binaries first: `cargo build -p api-server -p provider-router -p qwen-proxy`.
//! Names that begin with `fc_` and a number are cases of the fault catalogue.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod catalog;
mod durability;
mod fallback;
mod faults;
mod first_run;
mod gateway;
mod lifecycle;
mod outage;
mod sdk;
mod standalone;
mod streaming;
