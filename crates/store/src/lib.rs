//! The database layer, and the only crate that contains SQL. The three services share one database: a SQLite file, or
//! PostgreSQL if several nodes share it.
//!
//! # Layout
//! - [`Store`]: the open database; everything else is a function that takes one.
//! - One module per table, with the same functions in the same order: list, get, insert, update, delete. The writes
//!   of one user action are one transaction.
//! - [`catalog`]: the configuration tables as one consistent snapshot with a version number.
//! - [`exchanges`]: the request log, written in batches; [`retention`]: deletes old entries in small steps. `erasure`
//!   deletes entries on behalf of a user, with their long bodies.
//! - [`metrics`]: the log as series over time, from sums by minute and by hour with a `histogram` each. `uncount`
//!   subtracts deleted entries from them.
//! - [`audit`]: the log of changes, written by triggers.
//! - [`Sealer`]: encrypts secrets at rest.
//! - Internal: `tables`, the rows and what the modules above share about them. `bodies` stores long requests and
//!   answers, compressed and without duplicates. `statement` (a text and its values), `rows` (many rows at once),
//!   `transaction` and `row` abstract from the database; `store/sqlite` and `store/postgres` open it; `migrations` and
//!   `seed` bring it up to date, `original` imports a database file of the Node.js version.
//!
//! # Theory
//! Both databases use the same SQL text, and the same tests run on both. The SQL is limited to the common subset: four
//! column types (text, 64-bit integers, booleans, bytes), `$1`, `RETURNING`, `ON CONFLICT`. Where the dialects must
//! differ, both texts are next to each other, with the reason.
//!
//! # Invariants
//! - An acknowledged write survives a power failure, except for the request log, which survives the termination of
//!   the process: the router's journal keeps a batch until [`exchanges::record`] has returned, and replaying it changes
//!   nothing.
//! - Writers of SQLite start with `BEGIN IMMEDIATE`, so that their waiting for each other is bounded by the busy
//!   timeout and cannot deadlock.
//! - A database of another program, or of a newer version of this one, is refused and not changed; one of the Node.js
//!   version is copied first and then imported.
//! - This crate does not read the environment.

pub mod activity;
mod actor;
pub mod api_keys;
pub mod audit;
mod bodies;
pub mod catalog;
mod condition;
pub mod credentials;
mod erasure;
mod error;
pub mod errors;
pub mod exchanges;
mod histogram;
mod legacy;
mod linked_file;
pub mod metrics;
mod migrations;
pub mod model_lists;
pub mod models;
mod page;
#[cfg(test)]
mod plans;
pub mod prices;
pub mod provider_configs;
pub mod provider_models;
pub mod providers;
pub mod qwen_turns;
pub mod requests;
pub mod responses;
pub mod retention;
pub mod routes;
mod row;
mod row_keys;
mod rows;
mod sealer;
mod sealing;
mod seed;
pub mod sessions;
pub mod settings;
mod statement;
mod store;
mod tables;
mod transaction;
pub mod turns;
mod uncount;
pub mod usage;

pub use error::{Cause, Class, Error};
pub use page::{ListPage, Page, RowPosition};
pub use sealer::Sealer;
pub use sealing::seal_stored;
pub use store::{Kind, SchemaVersion, Store};
