//! Providers and their adapters.
//!
//! An adapter has no side effects: it builds requests. Sending, retrying and logging belong to [`crate::dispatch`]. A
//! provider with one of the known APIs needs only a row in [`signalbox_core::provider_type`], no file here.

mod echo;
mod keys;
mod remote;
mod target;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

pub use echo::{Echo, EchoBody};
use http::HeaderValue;
pub use remote::Remote;
use serde::Deserialize as _;
use serde_json::{Map, Value};
use signalbox_core::{
    Api,
    masking::{Masker, NO_SECRETS},
    provider_type::{ApiNeeds, ECHO, provider_type},
    rate_limits,
    schema::{self, KeyLimits},
};
use signalbox_upstream::AddressPolicy;
pub use target::{ClaudeThinking, checks_thinking, claude_thinking, target};

use crate::{
    envelope::Envelope,
    health::ProviderHealth,
    journal::Bodies,
    ledger::ProviderQuota,
    metrics::{Metrics, ProviderMetrics},
};

/// A provider prepared for requests: parsed and checked once per change of the catalogue.
#[derive(Debug)]
pub struct Provider {
    /// Id of the provider.
    pub id: String,
    /// Database row of the provider.
    pub row: schema::Provider,
    /// Configured base URL, or that of the qwen-proxy beside the router, for display; empty if the type's default
    /// applies.
    pub base_url: String,
    /// Model for requests that name none: `defaultModel` of the configuration, or else the default link.
    pub default_model: Option<String>,
    /// Builds the requests to the provider.
    pub adapter: Adapter,
    /// How much of the provider's requests and responses is logged.
    pub log_bodies: Bodies,
    /// Metrics of the provider.
    pub metrics: ProviderMetrics,
    /// State of its targets.
    pub health: ProviderHealth,
    /// Limits of the rate of its requests, from the configuration.
    pub limits: KeyLimits,
    /// Use of its limits; `None` without limits.
    pub quota: Option<Arc<ProviderQuota>>,
    /// Its id as the value of a header.
    pub header: Option<HeaderValue>,
    /// Name of its key, if it has several.
    pub key: Option<Box<str>>,
    /// The same provider with its other keys; empty in these.
    others: Vec<Arc<Self>>,
    healthy: AtomicBool,
}

/// Protocol of a provider.
#[derive(Debug)]
pub enum Adapter {
    /// A server of one or more of the known APIs.
    Remote(Box<Remote>),
    /// Built-in provider that repeats the last user message.
    Echo(Echo),
    /// The configuration is invalid, for the reason given, which is shown to the user.
    Misconfigured(String),
}

/// Configuration of a provider, by key.
pub type Config = Map<String, Value>;

impl Provider {
    /// Parses a provider's row and configuration. `key` is the name of the key in `apiKey`, if there are several.
    fn with_key(
        row: &schema::Provider,
        config: &Config,
        key: Option<Box<str>>,
        default_link: Option<String>,
        policy: &AddressPolicy,
        metrics: &Metrics,
    ) -> Self {
        let log_bodies = match text(config, "logBodies") {
            Ok(None) => Ok(Bodies::Full),
            word => word.ok().flatten().and_then(Bodies::parse).ok_or("`logBodies` must be full, redact or off"),
        };
        let adapter = match row.kind.as_str() {
            ECHO => Echo::new(config).map(Adapter::Echo),
            kind => Remote::new(provider_type(kind), config, policy).map(|remote| Adapter::Remote(Box::new(remote))),
        };
        let (limits, limited) = match limits(config) {
            Ok(limits) => (limits, Ok(())),
            Err(reason) => (KeyLimits::default(), Err(reason)),
        };
        Self {
            id: row.id.clone(),
            row: row.clone(),
            base_url: text(config, "baseURL").ok().flatten().unwrap_or_default().to_owned(),
            default_model: text(config, "defaultModel").ok().flatten().map(str::to_owned).or(default_link),
            // With an invalid `logBodies` it is unknown what to leave out of the log, so nothing is logged and nothing
            // is served.
            adapter: log_bodies.map_err(str::to_owned).and(limited).and(adapter).unwrap_or_else(Adapter::Misconfigured),
            log_bodies: log_bodies.unwrap_or(Bodies::Off),
            metrics: metrics.provider(&row.id),
            health: ProviderHealth::default(),
            limits,
            quota: None,
            header: row.id.parse().ok(),
            key,
            others: Vec::new(),
            healthy: AtomicBool::new(true),
        }
    }

    /// Returns whether the last request succeeded. A provider without requests so far counts as healthy, a
    /// misconfigured one does not.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.any_is_healthy() && !matches!(self.adapter, Adapter::Misconfigured(_))
    }

    /// Returns the API in which a request of `client`'s API for `model` is sent to the provider.
    #[must_use]
    pub fn api_for(&self, client: Api, model: Option<&str>, needs: ApiNeeds) -> Api {
        match &self.adapter {
            Adapter::Remote(remote) => remote.api_for(client, model, needs),
            Adapter::Echo(_) => Api::Chat,
            Adapter::Misconfigured(_) => client,
        }
    }

    /// Returns whether the provider is asked, in `api`, for the token counts of a chat stream whose client did not ask.
    #[must_use]
    pub fn counts_stream(&self, envelope: &Envelope, api: Api) -> bool {
        let Adapter::Remote(remote) = &self.adapter else { return false };
        remote.counts_streams
            && envelope.api == Api::Chat
            && envelope.stream
            && !envelope.include_usage
            && envelope.direct.is_none()
            && !envelope.is_translated(api)
            && !self.refuses_usage()
    }

    /// Returns whether the provider has refused a stream because it was asked for its token counts.
    #[must_use]
    pub fn refuses_usage(&self) -> bool {
        matches!(&self.adapter, Adapter::Remote(remote) if self.health.refuses_usage(remote.account))
    }

    /// Records that the provider refuses streams that are asked for their token counts.
    pub fn note_usage_refused(&self) {
        if let Adapter::Remote(remote) = &self.adapter {
            self.health.note_usage_refused(remote.account);
        }
    }

    /// Returns the masker that removes the provider's credentials from its responses.
    #[must_use]
    pub fn masker(&self) -> &Masker {
        match &self.adapter {
            Adapter::Remote(remote) => &remote.masker,
            Adapter::Echo(_) | Adapter::Misconfigured(_) => &NO_SECRETS,
        }
    }

    /// Records whether the last request succeeded.
    pub fn note(&self, healthy: bool) {
        self.healthy.store(healthy, Ordering::Relaxed);
    }
}

/// Reads `limits`.
fn limits(config: &Config) -> Result<KeyLimits, String> {
    let given = match config.get("limits") {
        None | Some(Value::Null) => return Ok(KeyLimits::default()),
        Some(Value::Object(given)) => Some(given.clone()),
        Some(Value::String(text)) if text.is_empty() => return Ok(KeyLimits::default()),
        Some(Value::String(text)) => serde_json::from_str(text).ok(),
        Some(_) => None,
    };
    let wrong = || "`limits` must be an object with rpm, tpm and concurrency".to_owned();
    let checked = rate_limits::of_provider("limits".to_owned(), given.ok_or_else(wrong)?).map_err(|_| wrong())?;
    KeyLimits::deserialize(checked).map_err(|_| wrong())
}

/// Returns a text value of a configuration; an empty one counts as absent.
fn text<'a>(config: &'a Config, key: &str) -> Result<Option<&'a str>, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then_some(text)),
        Some(_) => Err(format!("`{key}` must be text")),
    }
}

/// Returns a number of milliseconds from a configuration. Numeric text is accepted, as in the Node.js version.
fn millis(config: &Config, key: &str) -> Result<Option<std::time::Duration>, String> {
    let number = match config.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    number
        .filter(|number| (1..=86_400_000).contains(number))
        .map(|number| Some(std::time::Duration::from_millis(number)))
        .ok_or_else(|| format!("`{key}` must be a number of milliseconds between 1 and 86400000"))
}
