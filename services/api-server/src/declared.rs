//! The catalogue as a document: what a person keeps under version control, and says once for all.
//!
//! # Layout
//! - [`read`]: a text becomes a [`Document`], or a list of everything that is wrong with it. - `reference`: secrets that
//!   stand elsewhere. - [`compare`](fn@compare): what has to be changed so that the catalogue is as the document says. - [`write`](fn@write): the
//!   catalogue as a document. - [`format`](mod@format): TOML, YAML, JSON. `once`: no name is given twice.
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
//! ```
//! What is declared is said whole: a field that is missing is at its default. What is not declared stays as it is, unless it is
//! to be pruned; and then only in the sections that are there.
//!
//! # Invariants
//! - A secret does not leave: in its place stands the mask, which coming back means "as it is".
//! - Nothing is written unless everything is right; and then all of it is written in one transaction, on the state that was
//!   compared.
//! - Applying a document a second time changes nothing.

pub mod compare;
pub mod format;
mod once;
pub mod read;
mod reference;
pub mod write;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use signalbox_core::schema::{NewModel, NewProvider};
use signalbox_daemon::listener::check_host;
use signalbox_store::{Sealer, Store, catalog};

pub use self::compare::{Plan, compare};
pub use self::format::Format;
pub use self::reference::References;
pub use self::write::write;

/// What is declared; `None` where a section is missing.
#[derive(Debug, Default)]
pub struct Document {
    /// By id.
    pub providers: Option<BTreeMap<String, Provider>>,
    /// By id.
    pub models: Option<BTreeMap<String, NewModel>>,
    /// By key, as they are stored.
    pub settings: Option<BTreeMap<String, String>>,
}

/// A provider.
#[derive(Debug)]
pub struct Provider {
    /// Its row.
    pub row: NewProvider,
    /// Its configuration, by key.
    pub config: BTreeMap<String, Declared>,
    /// The models it serves, by id.
    pub models: BTreeMap<String, Link>,
}

/// A value of a configuration. No `Debug` shows it.
pub enum Declared {
    /// It is to be this; secret, if it came by reference.
    Value {
        /// The value.
        value: Value,
        /// Whether it came by reference.
        by_reference: bool,
    },
    /// It is to stay as it is.
    Kept,
}

/// That a provider serves a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// See [`signalbox_core::schema::ProviderModel::is_default`].
    pub is_default: bool,
    /// See [`signalbox_core::schema::ProviderModel::config`].
    pub config: Option<Map<String, Value>>,
}

impl Document {
    /// Checks that the router could listen where the settings say, as [`check_host`] does. `guarded`: client keys are configured,
    /// or their absence was accepted.
    ///
    /// # Errors
    /// What is wrong, with its path.
    pub async fn check_host(&self, guarded: bool) -> Result<(), Vec<String>> {
        let Some(host) = self.settings.as_ref().and_then(|settings| settings.get(HOST)) else { return Ok(()) };
        check_host(host, guarded).await.map_err(|error| vec![format!("settings.{HOST}: {error}")])
    }
}

/// How a document is to be applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Apply {
    /// Only say what would change.
    pub dry_run: bool,
    /// Delete what is not declared.
    pub prune: bool,
}

/// Why a document was not applied. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Everything that is wrong with it, each with its path.
    #[error("the document has mistakes: {}", .0.join("; "))]
    Mistakes(Vec<String>),
    /// The catalogue never stood still.
    #[error("somebody else changes the configuration all the time; try again")]
    Busy,
    /// The store's word.
    #[error(transparent)]
    Store(#[from] signalbox_store::Error),
}

/// The setting that says where the router listens.
const HOST: &str = "server.host";

/// How often the catalogue may change between looking and writing.
const ATTEMPTS: usize = 5;

/// Makes the catalogue as the document says; answers what was to be changed.
///
/// # Errors
/// [`Error`]; nothing was changed then.
pub async fn apply(
    store: &Store,
    sealer: &Sealer,
    document: &Document,
    how: Apply,
    now_ms: i64,
) -> Result<Plan, Error> {
    for _ in 0..ATTEMPTS {
        let catalog = catalog::load(store).await?;
        let plan = compare(document, &catalog, sealer, how.prune).map_err(Error::Mistakes)?;
        if how.dry_run || plan.changes.is_empty() {
            return Ok(plan);
        }
        if catalog::change(store, sealer, catalog.version, &plan.changes, now_ms).await? {
            return Ok(plan);
        }
    }
    Err(Error::Busy)
}

// === impl Plan ===

impl Plan {
    /// As an answer.
    #[must_use]
    pub fn facts(&self) -> Value {
        let updated: Vec<Value> =
            self.updated.iter().map(|(path, what)| json!({ "path": path, "what": what })).collect();
        json!({
            "created": self.created,
            "updated": updated,
            "deleted": self.deleted,
            "unchanged": self.unchanged,
        })
    }
}

impl std::fmt::Debug for Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Value { .. } => "Value",
            Self::Kept => "Kept",
        })
    }
}
