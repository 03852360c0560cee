//! Runs the same tests on both databases, and tests of features that only one of them has.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod api_keys;
mod audit;
mod bodies;
mod catalog;
mod changes;
mod credentials;
mod erasure;
mod errors;
mod exchanges;
mod fixture;
mod large;
mod legacy;
mod links;
mod metrics;
mod model_lists;
mod models;
mod open;
mod outage;
mod prices;
mod providers;
mod qwen_turns;
mod replaced;
mod requests;
mod responses;
mod retention;
mod routes;
mod search;
mod sessions;
mod settings;
mod throughput;
mod turns;
mod usage;
