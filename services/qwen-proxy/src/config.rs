//! The service's own configuration sections; the common ones are provided by the daemon crate.

use http::HeaderValue;
use serde::Deserialize;
use signalbox_core::secret::Secret;
use signalbox_daemon::{
    Exit,
    config::{Duration, Size},
};
use signalbox_upstream::{AddressPolicy, Deadlines, Target};
use toml::{Table, Value};

use crate::qwen::Access;

/// Defaults of the sections, with their documentation.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// All sections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Access to chat.qwen.ai.
    pub upstream: Upstream,
    /// Login at chat.qwen.ai.
    pub login: LoginConfig,
    /// Conversations.
    pub sessions: Sessions,
    /// Limits for clients.
    pub api: Api,
}

/// Section `[upstream]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    base_url: String,
    timeout: Duration,
    connect_timeout: Duration,
    total_timeout: Duration,
    user_agent: String,
    max_retries: u32,
    retry_base_delay: Duration,
    retry_max_delay: Duration,
    /// Time for which the list of models is cached.
    pub models_cache: Duration,
}

/// Section `[login]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginConfig {
    /// Value of the header `bx-umidtoken`.
    pub token: Secret<String>,
    /// Value of the header `Cookie`.
    pub cookies: Secret<String>,
    /// Whether to call the site as a guest if there is no login.
    pub guest: bool,
}

/// Section `[sessions]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// Time after its last turn for which a conversation can be continued.
    pub idle_timeout: Duration,
    /// Interval at which expired conversations are deleted.
    pub cleanup_interval: Duration,
}

/// Section `[api]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Maximum size of a request body.
    pub max_body: Size,
    /// Maximum number of requests in flight, including streams.
    pub max_in_flight: usize,
}

/// Parser of a variable's text.
type Read = fn(&str) -> Option<Value>;

/// Environment variables of the Node.js version: name, section, key, parser, and accepted values.
const VARIABLES: [(&str, &str, &str, Read, &str); 11] = [
    ("QWEN_BASE_URL", "upstream", "base_url", text, "a URL"),
    ("QWEN_TIMEOUT", "upstream", "timeout", milliseconds, "milliseconds"),
    ("USER_AGENT", "upstream", "user_agent", text, "a text"),
    ("MAX_RETRIES", "upstream", "max_retries", number, "a number"),
    ("RETRY_BASE_DELAY", "upstream", "retry_base_delay", milliseconds, "milliseconds"),
    ("RETRY_MAX_DELAY", "upstream", "retry_max_delay", milliseconds, "milliseconds"),
    ("QWEN_TOKEN", "login", "token", text, "a text"),
    ("QWEN_COOKIES", "login", "cookies", text, "a text"),
    ("SESSION_TIMEOUT", "sessions", "idle_timeout", milliseconds, "milliseconds"),
    ("SESSION_CLEANUP_INTERVAL", "sessions", "cleanup_interval", milliseconds, "milliseconds"),
    ("CORS_ORIGIN", "server", "allowed_origins", origins, "an origin or *"),
];

/// Returns the settings from the environment in the form of a configuration file. An empty variable counts as unset.
///
/// # Errors
/// Returns an error that names an invalid variable, but not its value.
pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Table, Exit> {
    let mut table = Table::new();
    for (name, section, key, read, takes) in VARIABLES {
        let Some(given) = variable(name).filter(|given| !given.is_empty()) else { continue };
        let value = read(&given).ok_or_else(|| Exit::Config(format!("{name} takes {takes}")))?;
        if let Value::Table(section) = table.entry(section).or_insert_with(|| Value::Table(Table::new())) {
            section.insert(key.to_owned(), value);
        }
    }
    Ok(table)
}

fn text(given: &str) -> Option<Value> {
    Some(Value::from(given))
}

/// Converts a single origin, because the Node.js version accepted only one.
fn origins(given: &str) -> Option<Value> {
    Some(Value::Array(vec![Value::from(given)]))
}

fn number(given: &str) -> Option<Value> {
    given.parse::<u32>().ok().map(|number| Value::from(i64::from(number)))
}

fn milliseconds(given: &str) -> Option<Value> {
    given.parse::<u32>().ok().map(|millis| Value::from(format!("{millis}ms")))
}

// === impl Upstream ===

impl Upstream {
    /// Returns the base URL of chat.qwen.ai.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns the validated access settings.
    ///
    /// # Errors
    /// Returns [`Exit::Config`] for an invalid base URL or user agent.
    pub fn access(&self) -> Result<Access, Exit> {
        let wrong = |key: &str, why: String| Exit::Config(format!("upstream.{key}: {why}"));
        let target = Target::parse(&self.base_url, &AddressPolicy::default())
            .map_err(|error| wrong("base_url", error.to_string()))?;
        let user_agent = HeaderValue::from_str(&self.user_agent)
            .map_err(|_| wrong("user_agent", "must be a valid header value".to_owned()))?;
        let deadlines = Deadlines {
            connect: self.connect_timeout.get(),
            headers: self.timeout.get(),
            idle: self.timeout.get(),
            total: self.total_timeout.get(),
        };
        Ok(Access {
            target,
            user_agent,
            deadlines,
            max_retries: self.max_retries,
            retry_delay: self.retry_base_delay.get(),
            max_retry_delay: self.retry_max_delay.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_defaults_are_valid() {
        let config: Config = toml::from_str(DEFAULTS).unwrap();
        let access = config.upstream.access().unwrap();
        assert_eq!((access.target.authority(), access.max_retries), ("chat.qwen.ai", 1));
        assert!(!config.login.guest && config.login.token.expose().is_empty());
    }

    #[test]
    fn environment_variables_of_the_nodejs_version_still_apply() {
        let table = of_environment(|name| match name {
            "QWEN_TOKEN" => Some("canary".to_owned()),
            "SESSION_TIMEOUT" => Some("1800000".to_owned()),
            "CORS_ORIGIN" => Some("*".to_owned()),
            "QWEN_COOKIES" => Some(String::new()),
            _ => None,
        });
        let expected: Table = toml::from_str(
            "login = {token=\"canary\"}\nserver = {allowed_origins=[\"*\"]}\nsessions = {idle_timeout=\"1800000ms\"}",
        )
        .unwrap();
        assert_eq!(table, Ok(expected));
        let refused = of_environment(|name| (name == "QWEN_TIMEOUT").then(|| "canary".to_owned())).unwrap_err();
        assert!(refused.to_string() == "QWEN_TIMEOUT takes milliseconds", "{refused}");
    }
}
