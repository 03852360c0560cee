//! The rows of the tables, and the reads and writes of them that several modules share.
//!
//! These functions work within a transaction and do not know the store. The public modules named like the tables wrap
//! them for users of the crate; [`crate::catalog`], the seed and the import of an earlier database compose them.

pub(crate) mod api_keys;
pub(crate) mod models;
pub(crate) mod provider_configs;
pub(crate) mod provider_models;
pub(crate) mod providers;
pub(crate) mod requests;
pub(crate) mod responses;
pub(crate) mod routes;
pub(crate) mod usage_hours;
pub(crate) mod usage_minutes;

/// Setting: the provider that requests are sent to first.
pub const ACTIVE_PROVIDER: &str = "active_provider";
