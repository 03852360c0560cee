//! The settings that control which texts of requests and responses are logged. Changes take effect within a second.

use signalbox_daemon::KeptTexts;
use signalbox_store::{
    exchanges::Exchange,
    settings::{self, LOG_REQUESTS, LOG_RESPONSES, is_on},
};
use tokio::sync::watch;

/// Keys of the settings, in the order [`LogPolicy::set`] expects them.
pub const KEYS: [&str; 2] = [LOG_REQUESTS, LOG_RESPONSES];

/// Message in place of one that may quote a text that must not be logged.
pub const NOT_KEPT: &str = "not kept";

/// Current values of the settings.
#[derive(Debug)]
pub struct LogPolicy(watch::Sender<LoggedTexts>);

/// Texts that are logged of an exchange. Read once at its end, so that all tables are consistent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedTexts {
    /// Whether request texts are logged.
    pub requests: bool,
    /// Whether response texts are logged.
    pub responses: bool,
}

// === impl LogPolicy ===

impl LogPolicy {
    /// Reads the settings from the database; if they cannot be read, no texts are logged.
    pub async fn of(store: &signalbox_store::Store) -> Self {
        let log_policy = Self(watch::Sender::new(LoggedTexts { requests: false, responses: false }));
        match settings::list(store).await {
            Ok(rows) => {
                log_policy.set(KEYS.map(|key| rows.iter().find(|row| row.key == key).map(|row| &*row.value)));
            }
            Err(error) => tracing::warn!(
                "cannot read the settings, logging requests without their text until they are \
                readable: {error}"
            ),
        }
        log_policy
    }

    /// Sets the values of [`KEYS`].
    pub fn set(&self, [requests, responses]: [Option<&str>; 2]) {
        self.0.send_replace(LoggedTexts {
            requests: is_on(LOG_REQUESTS, requests),
            responses: is_on(LOG_RESPONSES, responses),
        });
    }

    /// Returns the current settings, for an exchange that is ending.
    #[must_use]
    pub fn now(&self) -> LoggedTexts {
        *self.0.borrow()
    }
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self(watch::Sender::new(LoggedTexts::ALL))
    }
}

// === impl LoggedTexts ===

impl LoggedTexts {
    /// Setting under which all texts are logged.
    pub const ALL: Self = Self { requests: true, responses: true };

    /// Returns the texts that are logged of an exchange of which the sender of the request allows `kept`.
    #[must_use]
    pub const fn at_most(self, kept: KeptTexts) -> Self {
        Self { requests: self.requests && kept.request, responses: self.responses && kept.answer }
    }

    /// Removes texts from an exchange that must not be logged. Numbers, names and the finish reason remain.
    pub fn prune(self, exchange: &mut Exchange) {
        if !self.requests {
            exchange.begun.request_body = "null".into();
            exchange.begun.first_user_message.clear();
        }
        let Some(ended) = &mut exchange.ended else { return };
        if !self.requests {
            ended.upstream_request = None;
        }
        if !self.responses {
            ended.response_body = None;
        }
        // The site quotes the request in its error messages.
        if self != Self::ALL && ended.error.is_some() {
            ended.error = Some(NOT_KEPT.to_owned());
        }
    }
}
