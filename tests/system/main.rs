//! System tests: the guarantees of the product, checked on the three real binaries.
//!
//! Each module covers one guarantee. Names that begin with `fc_` and a number are cases of the fault catalogue. Build
//! the binaries first:
//! `cargo build -p api-server -p provider-router -p qwen-proxy`.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod abuse;
mod access_log;
mod adoption;
mod apis;
mod bad_input;
mod cache;
mod canary;
mod catalog;
mod chaos;
mod cli;
mod configuration;
mod costs;
mod damage;
mod deploy;
mod dice;
mod direct;
mod disconnects;
mod doctor;
mod documents;
mod doors;
mod events;
mod failover;
mod fallback;
mod faults;
mod first_run;
mod footprint;
mod gateway;
mod guard;
mod handed_on;
mod held_open;
mod in_flight;
mod kept_answers;
mod keys;
mod large_log;
mod leaving;
mod lifecycle;
mod login;
mod lone_router;
mod management;
mod manner;
mod model_sync;
mod newer_schema;
mod openapi;
mod outage;
mod overload;
mod pains;
mod prompt_cache;
mod provider_cli;
mod qwen;
mod replaced_database;
mod restarts;
mod resumable;
mod rude;
mod sdk;
mod settings;
mod slow_readers;
mod smuggling;
mod soak;
mod standalone;
mod storms;
mod streaming;
mod supervision;
mod switching;
mod takeover;
mod tls;
mod traces;
mod unwritable;
mod workers;
