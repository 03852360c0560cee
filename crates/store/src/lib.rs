//! The only crate that knows SQL. State lives in one database, shared by the three services: a SQLite file, or a
//! PostgreSQL when several nodes share it.
//!
//! # Layout
//! - [`Store`]: the open database; everything else is a function that takes one.
//! - One module per table, with the same functions in the same order: list, get, insert, update, delete. What belongs
//!   to one act of a user is one transaction.
//! - [`catalog`]: the tables of configuration as one consistent snapshot, with a number that tells when it is stale.
//! - [`exchanges`]: the request log, written in batches; [`retention`]: what is forgotten of it, a little at a time.
//! - [`audit`]: who changed what, written by triggers.
//! - [`Sealer`]: how secrets are encrypted at rest.
//! - Inside: `bodies` keeps long requests and answers, once and compressed. `statement` (a text and its values), `rows`
//!   (many of them at once), `transaction` and `row` hide which database it is; `store/sqlite` and `store/postgres` open
//!   it; `migrations` and `seed` bring it up to date, `original` takes over a file of the program we come after.
//!
//! # Theory
//! There is one SQL text for both databases, and the same tests run it on both. It is limited to what both understand:
//! four column types (text, 64-bit integers, booleans, bytes), `$1`, `RETURNING`, `ON CONFLICT`. Where the dialects must
//! differ, both texts stand side by side with the reason.
//!
//! # Invariants
//! - A write that was acknowledged survives a power cut, but for the request log, which survives the end of the process:
//!   the router's journal holds a batch until [`exchanges::record`] has returned, and replaying it changes nothing.
//! - Writers of SQLite start with `BEGIN IMMEDIATE`, so that waiting for each other is bounded by the busy timeout and
//!   never ends in a deadlock.
//! - A database of another program, or of a newer version of this one, is refused and left as it is; one of the original is
//!   copied first, and then taken over.
//! - Nothing here reads the environment.

pub mod activity;
pub mod audit;
mod bodies;
pub mod catalog;
pub mod credentials;
mod error;
pub mod errors;
pub mod exchanges;
mod migrations;
pub mod model_lists;
pub mod models;
mod original;
mod page;
#[cfg(test)]
mod plans;
pub mod provider_configs;
pub mod provider_models;
pub mod providers;
pub mod qwen_turns;
pub mod requests;
pub mod responses;
pub mod retention;
mod row;
mod rows;
mod sealer;
mod seed;
pub mod sessions;
pub mod settings;
mod statement;
mod store;
mod transaction;

pub use error::{Cause, Class, Error};
pub use page::{After, Listed, Page};
pub use sealer::Sealer;
pub use store::{Kind, Store};
