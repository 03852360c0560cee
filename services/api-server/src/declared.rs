//! The catalogue as a declarative document, for use under version control.
//!
//! # Layout
//! - [`read`]: parses a text into a [`Document`], or lists everything that is wrong with it.
//! - `reference`: references to secrets stored elsewhere.
//! - [`compare`](fn@compare): the changes that make the catalogue match the document.
//! - [`write`](fn@write): the catalogue as a document.
//! - [`format`](mod@format): TOML, YAML, JSON.
//!
//! # Theory
//! ```toml
//! [providers.openai]
//! type = "openai"                          # and name, enabled, priority, description
//! config.apiKey = "${env:OPENAI_API_KEY}"  # or ${file:…}; $${ is a plain ${
//! models.gpt-5 = { default = true }        # and config
//!
//! [models.gpt-5]
//! capabilities = ["chat"]                  # and name, description
//!
//! [settings]
//! active_provider = "openai"
//!
//! [[routes]]                               # by model; see `route_document`
//! model = "fast"
//! targets = [{ provider = "openai", model = "gpt-5" }]
//!
//! [[keys]]                                 # by name; see `key_document`
//! name = "ci"
//! limits = { rpm = 60 }
//!
//! [prices]                                 # the overrides of the shipped prices; empty: none
//! prices = []
//! ```
//! An entry is declared completely: a missing field has its default value. Entries that are not declared stay
//! unchanged, unless pruning is requested, which deletes them in the sections that are present.
//!
//! # Invariants
//! - A secret is never exported: the mask takes its place, and means "unchanged" when it is imported. Keys of clients are
//!   exported without secret and digest: one that does not exist is issued anew, and its secret is told once.
//! - A document is applied only if all of it is valid; then it is written in one transaction, based on the state that
//!   was compared.
//! - Applying a document a second time changes nothing.

pub mod compare;
pub mod format;
pub mod read;
mod reference;
pub mod write;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use signalbox_core::schema::{ApiKeyFields, NewModel, NewProvider, NewRoute};
use signalbox_daemon::listener::check_host;
use signalbox_store::{Sealer, Store, catalog};

pub use self::compare::{FieldChange, Issued, Plan, compare};
pub use self::format::Format;
pub use self::reference::References;
pub use self::write::write;

/// Declared entries; `None` for a missing section.
#[derive(Debug, Default)]
pub struct Document {
    /// Providers by id.
    pub providers: Option<BTreeMap<String, Provider>>,
    /// Models by id.
    pub models: Option<BTreeMap<String, NewModel>>,
    /// Settings by key, as they are stored.
    pub settings: Option<BTreeMap<String, String>>,
    /// Routes, without ids: the model identifies them.
    pub routes: Option<Vec<NewRoute>>,
    /// Keys: the name identifies them.
    pub keys: Option<Vec<ApiKeyFields>>,
    /// Overrides of the shipped prices; `Some(None)` for an empty section, which removes them.
    pub prices: Option<Option<Map<String, Value>>>,
}

/// A declared provider.
#[derive(Debug)]
pub struct Provider {
    /// Row in the table of providers.
    pub row: NewProvider,
    /// Configuration by key.
    pub config: BTreeMap<String, Declared>,
    /// Models it serves, by id.
    pub models: BTreeMap<String, Link>,
}

/// A value of a provider's configuration. `Debug` does not show it.
pub enum Declared {
    /// A new value; secret if it came from a reference.
    Value {
        /// Value.
        value: Value,
        /// Whether it came from a reference.
        by_reference: bool,
    },
    /// The stored value stays unchanged.
    Unchanged,
}

/// Link between a provider and a model it serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether the model is the provider's default; see [`signalbox_core::schema::ProviderModel::is_default`].
    pub is_default: bool,
    /// Configuration of the model at this provider; see [`signalbox_core::schema::ProviderModel::config`].
    pub config: Option<Map<String, Value>>,
}

impl Document {
    /// Checks that the router may listen on the host in the settings, as [`check_host`] does. `guarded`: client keys
    /// are configured, or their absence was accepted.
    ///
    /// # Errors
    /// The mistakes, each with its path.
    pub async fn check_host(&self, guarded: bool) -> Result<(), Vec<String>> {
        let Some(host) = self.settings.as_ref().and_then(|settings| settings.get(HOST)) else { return Ok(()) };
        check_host(host, guarded).await.map_err(|error| vec![format!("settings.{HOST}: {error}")])
    }
}

/// Options for applying a document.
#[derive(Clone, Copy, Debug, Default)]
pub struct Apply {
    /// Version of the catalogue for which the document is meant; `None` for any.
    pub base_version: Option<i64>,
    /// Whether changes are only reported.
    pub dry_run: bool,
    /// Whether entries that are not declared are deleted.
    pub prune: bool,
}

/// Reason why a document was not applied. The catalogue is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// All mistakes in the document, each with its path.
    #[error("the document is invalid: {}", .0.join("; "))]
    Mistakes(Vec<String>),
    /// The catalogue was changed concurrently in every attempt.
    #[error("the configuration changed during every attempt, and nothing was written; try again")]
    Busy,
    /// The catalogue has another version than the one that the document is meant for.
    #[error("the configuration has changed since version {base}, and nothing was written; plan again")]
    Moved {
        /// The version that was meant.
        base: i64,
        /// The present version.
        present: i64,
    },
    /// The system returns no random bytes for a new key.
    #[error("a key cannot be created, because the system returns no random bytes: {0}; nothing was written, try again")]
    NoRandom(std::io::Error),
    /// Error of the store.
    #[error(transparent)]
    Store(#[from] signalbox_store::Error),
}

/// Setting with the listening host of the router.
const HOST: &str = "server.host";

/// Maximum attempts if the catalogue changes between comparing and writing.
const ATTEMPTS: usize = 5;

/// Applies a document to the catalogue, and returns the changes.
///
/// # Errors
/// [`Error`]; the catalogue is unchanged then.
pub async fn apply(
    store: &Store,
    sealer: &Sealer,
    document: &Document,
    how: Apply,
    now_ms: i64,
) -> Result<Plan, Error> {
    for _ in 0..ATTEMPTS {
        let catalog = catalog::load(store).await?;
        if let Some(base) = how.base_version.filter(|base| *base != catalog.version) {
            return Err(Error::Moved { base, present: catalog.version });
        }
        let mut plan = compare(document, &catalog, sealer, how.prune, now_ms).map_err(Error::Mistakes)?;
        if how.dry_run || plan.is_empty() {
            return Ok(plan);
        }
        let changes = plan.issue().map_err(Error::NoRandom)?;
        if catalog::change(store, sealer, catalog.version, &changes, now_ms).await? {
            return Ok(plan);
        }
    }
    Err(Error::Busy)
}

// === impl Plan ===

impl Plan {
    /// Returns the plan as a JSON response.
    #[must_use]
    pub fn facts(&self) -> Value {
        let updated: Vec<Value> =
            self.updated.iter().map(|(path, what)| json!({ "path": path, "what": what })).collect();
        json!({
            "created": self.created,
            "keys": self.issued,
            "updated": updated,
            "changes": self.fields,
            "base_version": self.base_version,
            "deleted": self.deleted,
            "unchanged": self.unchanged,
        })
    }
}

impl std::fmt::Debug for Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Value { .. } => "Value",
            Self::Unchanged => "Kept",
        })
    }
}
