//! Providers: who answers, and how to speak to them.
//!
//! An adapter is pure: it builds a request, and says what an answer means. Sending, retrying and logging belong to
//! [`crate::dispatch`]. A provider that speaks OpenAI's API is a row of
//! [`signalbox_core::provider_type`], not a file.

mod echo;
mod openai;

use std::sync::atomic::{AtomicBool, Ordering};

pub use echo::{Echo, EchoBody};
pub use openai::OpenAi;
use serde_json::{Map, Value};
use signalbox_core::{
    masking::{Masker, NO_SECRETS},
    provider_type::{ECHO, provider_type},
    schema,
};
use signalbox_upstream::AddressPolicy;

use crate::{
    journal::Bodies,
    metrics::{Metrics, ProviderMetrics},
};

/// A provider as requests meet it: everything parsed and checked, once per change of the catalogue.
#[derive(Debug)]
pub struct Provider {
    /// Its id.
    pub id: String,
    /// The row it was made of.
    pub row: schema::Provider,
    /// The address people recognise it by; empty for a built-in one.
    pub base_url: String,
    /// The model that is meant when a request names none: `defaultModel` of the configuration, else the default link.
    pub default_model: Option<String>,
    /// How to speak to it.
    pub adapter: Adapter,
    /// How much of what goes to it is logged.
    pub log_bodies: Bodies,
    /// What is counted of it.
    pub metrics: ProviderMetrics,
    healthy: AtomicBool,
}

/// How to speak to a provider.
#[derive(Debug)]
pub enum Adapter {
    /// Over HTTP, in OpenAI's words.
    OpenAi(Box<OpenAi>),
    /// Built in: repeats the last user message.
    Echo(Echo),
    /// Its configuration makes no sense; the reason is for the user.
    Misconfigured(String),
}

/// A provider's configuration: key to value.
pub type Config = Map<String, Value>;

impl Provider {
    /// Reads a provider's row and configuration.
    #[must_use]
    pub fn new(
        row: &schema::Provider,
        config: &Config,
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
            kind => OpenAi::new(provider_type(kind), config, policy).map(|openai| Adapter::OpenAi(Box::new(openai))),
        };
        Self {
            id: row.id.clone(),
            row: row.clone(),
            base_url: text(config, "baseURL").ok().flatten().unwrap_or_default().to_owned(),
            default_model: text(config, "defaultModel").ok().flatten().map(str::to_owned).or(default_link),
            // Who wants something left out of the log, and we do not know what, gets nothing logged and nothing served.
            adapter: log_bodies.map_err(str::to_owned).and(adapter).unwrap_or_else(Adapter::Misconfigured),
            log_bodies: log_bodies.unwrap_or(Bodies::Off),
            metrics: metrics.provider(&row.id),
            healthy: AtomicBool::new(true),
        }
    }

    /// Whether its last request went well; a provider nobody has asked yet counts as healthy.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed) && !matches!(self.adapter, Adapter::Misconfigured(_))
    }

    /// What keeps its credentials out of what it says.
    #[must_use]
    pub fn masker(&self) -> &Masker {
        match &self.adapter {
            Adapter::OpenAi(openai) => &openai.masker,
            Adapter::Echo(_) | Adapter::Misconfigured(_) => &NO_SECRETS,
        }
    }

    /// Notes how a request went.
    pub fn note(&self, healthy: bool) {
        self.healthy.store(healthy, Ordering::Relaxed);
    }
}

/// A text value of a configuration; empty counts as absent.
fn text<'a>(config: &'a Config, key: &str) -> Result<Option<&'a str>, String> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then_some(text)),
        Some(_) => Err(format!("`{key}` must be text")),
    }
}

/// A number of milliseconds in a configuration; text that is a number is accepted, as the original did.
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
