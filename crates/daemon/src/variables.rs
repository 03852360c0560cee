//! Environment variables that individual services read, and their transfer from a supervisor to its children.
//!
//! The settings that all programs share have their own variables, which api-server converts to flags and variables of
//! its children. The others are listed in [`FORWARDED`]. Services read them through [`variable`], which accepts no
//! other name, so a variable that works for a standalone service also works under api-server.
//!
//! Secret variables are not put into the environment of a child, because other processes of the same user can read it
//! and the child's own children inherit it. They are sent over its standard input, as one line before all commands.

pub(crate) mod received;

use std::collections::BTreeMap;

use signalbox_core::secret::Secret;

pub use self::received::SECRETS;
use crate::environment::Environment;

/// Maximum bytes of the line with the secrets. Pipes of all supported operating systems buffer at least this much, so
/// the write does not block.
pub const MAX_SECRETS: usize = 60 << 10;

/// Environment variable that a service reads itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Name of the variable.
    pub name: &'static str,
    /// Whether the value must be kept secret.
    pub is_secret: bool,
}

/// All variables that a supervisor passes on.
pub const FORWARDED: [Variable; 24] = [
    Variable::secret("SIGNALBOX_KEY"),
    Variable::plain("DENY_PRIVATE_UPSTREAMS"),
    // The URL of a proxy may contain a password.
    Variable::secret("https_proxy"),
    Variable::secret("HTTPS_PROXY"),
    Variable::secret("http_proxy"),
    Variable::secret("HTTP_PROXY"),
    Variable::secret("all_proxy"),
    Variable::secret("ALL_PROXY"),
    Variable::plain("no_proxy"),
    Variable::plain("NO_PROXY"),
    // Usually the key of the collector.
    Variable::secret("OTEL_EXPORTER_OTLP_HEADERS"),
    Variable::plain("USE_LEGACY_CONFIG"),
    Variable::plain("QWEN_PROXY_PORT"),
    Variable::plain("QWEN_BASE_URL"),
    Variable::plain("QWEN_TIMEOUT"),
    Variable::secret("QWEN_TOKEN"),
    Variable::secret("QWEN_COOKIES"),
    Variable::plain("USER_AGENT"),
    Variable::plain("MAX_RETRIES"),
    Variable::plain("RETRY_BASE_DELAY"),
    Variable::plain("RETRY_MAX_DELAY"),
    Variable::plain("SESSION_TIMEOUT"),
    Variable::plain("SESSION_CLEANUP_INTERVAL"),
    Variable::plain("CORS_ORIGIN"),
];

/// Returns the value of one of the [`FORWARDED`] variables, as set in the environment or sent by the supervisor.
/// Returns `None` if it is unset, empty or not valid UTF-8, and for any name that is not in the list.
///
/// # Panics
/// In debug builds, panics if `name` is not in the list.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    let known = FORWARDED.iter().any(|variable| variable.name == name);
    debug_assert!(known, "{name} is missing in the list of forwarded variables");
    let environment = known.then(Environment::of_process)?;
    environment.get(name).ok().flatten().map(str::to_owned)
}

/// Returns the line with which a supervisor sends these variables; `None` for an empty list.
///
/// # Errors
/// Returns an error when the line is longer than [`MAX_SECRETS`].
pub fn secrets_line(secrets: &[(String, Secret<String>)]) -> std::io::Result<Option<Vec<u8>>> {
    if secrets.is_empty() {
        return Ok(None);
    }
    let table: BTreeMap<&str, &str> =
        secrets.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
    let mut line = serde_json::to_vec(&table)?;
    line.push(b'\n');
    if line.len() > MAX_SECRETS {
        return Err(std::io::Error::other(format!("the secrets for a service are longer than {MAX_SECRETS} bytes")));
    }
    Ok(Some(line))
}

// === impl Variable ===

impl Variable {
    const fn plain(name: &'static str) -> Self {
        Self { name, is_secret: false }
    }

    const fn secret(name: &'static str) -> Self {
        Self { name, is_secret: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_with_any_content_are_one_line() {
        let secrets = [("A".to_owned(), Secret::new("x\n\"y\u{2028}".to_owned())), ("B".to_owned(), Secret::default())];
        let line = secrets_line(&secrets).unwrap().unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let read: BTreeMap<String, String> = serde_json::from_slice(&line).unwrap();
        assert_eq!((read["A"].as_str(), read["B"].as_str()), ("x\n\"y\u{2028}", ""));
        assert_eq!(secrets_line(&[]).unwrap(), None);
        assert!(secrets_line(&[("A".to_owned(), Secret::new("x".repeat(MAX_SECRETS)))]).is_err());
    }

    #[test]
    fn only_forwarded_variables_are_read() {
        assert!(variable("QWEN_TOKEN").is_none_or(|token| !token.is_empty()));
        assert!(std::panic::catch_unwind(|| variable("PATH")).is_err(), "tests must find it");
    }
}
