//! Error reports for the operators of the service, in the table `errors`.

use std::sync::Arc;

use serde_json::Value;
use signalbox_core::{id, secret::MASK};
use signalbox_store::{
    Store,
    errors::{self, NewReport},
};
use tokio::time::{Duration, timeout};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::{
    api::error::{ApiError, ReportedRequest},
    clock,
    log_policy::{LogPolicy, LoggedTexts, NOT_KEPT},
};

/// Maximum time a report waits for the database.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum characters of a request body in a report.
const MAX_BODY_CHARS: usize = 1000;

/// Parts of key names whose values are masked.
const SECRET_KEY_PARTS: [&str; 8] =
    ["password", "token", "api_key", "apikey", "secret", "authorization", "auth", "cookie"];

/// Writer of error reports in background tasks.
#[derive(Clone, Debug)]
pub struct ErrorLog {
    store: Store,
    tasks: TaskTracker,
    log_policy: Arc<LogPolicy>,
}

// === impl ErrorLog ===

impl ErrorLog {
    /// Creates a log in this database; its writes run as `tasks`.
    #[must_use]
    pub const fn new(store: Store, tasks: TaskTracker, log_policy: Arc<LogPolicy>) -> Self {
        Self { store, tasks, log_policy }
    }

    /// Reports an error and returns the response body, which contains the id of the report.
    #[must_use]
    pub fn report(&self, error: &ApiError, reported_request: &ReportedRequest) -> String {
        let error_id = id::request_id().to_string();
        let body = error.body(Some(&error_id));
        let kept = self.log_policy.now().at_most(reported_request.kept);
        // The site quotes the request in its error messages.
        let is_kept = kept == LoggedTexts::ALL || !error.may_quote();
        let message = if is_kept { error.to_string() } else { NOT_KEPT.to_owned() };
        self.put(NewReport {
            error_id,
            timestamp: clock::unix_ms(),
            error_type: error.class(),
            error_code: Some(error.code().to_owned()),
            error_message: message,
            endpoint: Some(reported_request.path.clone()),
            method: Some(reported_request.method.clone()),
            user_agent: reported_request.user_agent.clone(),
            request_payload: redacted(&reported_request.body).filter(|_| kept.requests),
            severity: error.severity(),
        });
        body
    }

    fn put(&self, report: NewReport) {
        tracing::info!(
            error_id = report.error_id,
            code = report.error_code.as_deref(),
            endpoint = report.endpoint.as_deref(),
            "{}",
            report.error_message
        );
        let store = self.store.clone();
        let put = async move {
            match timeout(DATABASE_TIMEOUT, errors::put(&store, &[report])).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!("cannot store the error: {error}"),
                Err(_) => {
                    tracing::warn!("cannot store the error: the database did not respond within {DATABASE_TIMEOUT:?}")
                }
            }
        };
        self.tasks.spawn(put.in_current_span());
    }
}

/// Returns a JSON request body with secrets masked, truncated for the log; `None` if it is not JSON.
#[must_use]
pub fn redacted(body: &[u8]) -> Option<String> {
    let mut body: Value = serde_json::from_slice(body).ok()?;
    redact(&mut body);
    Some(body.to_string().chars().take(MAX_BODY_CHARS).collect())
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = key.to_ascii_lowercase();
                // A number under such a key is a limit (`max_tokens`), never a secret.
                if SECRET_KEY_PARTS.iter().any(|word| key.contains(word)) && !value.is_number() {
                    *value = MASK.into();
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_removed_and_token_limits_kept() {
        let body = br#"{"max_tokens":7,"Authorization":"canary","messages":[{"content":"hi","api_key":["canary"]}]}"#;
        let redacted = redacted(body).unwrap();
        assert!(!redacted.contains("canary") && redacted.contains(r#""max_tokens":7"#), "{redacted}");
        assert!(redacted.contains(r#""content":"hi""#));
    }

    #[test]
    fn bodies_that_are_not_json_are_dropped_and_others_truncated() {
        assert_eq!(redacted(b"canary"), None);
        let long = format!(r#"{{"a":"{}"}}"#, "\u{e9}".repeat(5000));
        assert_eq!(redacted(long.as_bytes()).unwrap().chars().count(), MAX_BODY_CHARS);
    }
}
