//! What the log keeps of requests and answers: two settings, obeyed within a second.

use signalbox_store::{
    exchanges::Exchange,
    settings::{self, LOG_REQUESTS, LOG_RESPONSES, is_on},
};
use tokio::sync::watch;

/// The settings, in their order in a change.
pub const KEYS: [&str; 2] = [LOG_REQUESTS, LOG_RESPONSES];

/// What the settings say at the moment.
#[derive(Debug)]
pub struct Keeping(watch::Sender<Kept>);

/// What is kept of one exchange. Asked for once, when it ends: what all tables have of it fits together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What people ask.
    pub requests: bool,
    /// What they are answered.
    pub responses: bool,
}

// === impl Keeping ===

impl Keeping {
    /// What the settings say now; while they cannot be read, nothing is kept.
    pub async fn of(store: &signalbox_store::Store) -> Self {
        let keeping = Self(watch::Sender::new(Kept { requests: false, responses: false }));
        match settings::list(store).await {
            Ok(rows) => {
                keeping.set(KEYS.map(|key| rows.iter().find(|row| row.key == key).map(|row| &*row.value)));
            }
            Err(error) => tracing::warn!("no text of requests is kept until the settings can be read: {error}"),
        }
        keeping
    }

    /// Takes over the values of [`KEYS`].
    pub fn set(&self, [requests, responses]: [Option<&str>; 2]) {
        self.0
            .send_replace(Kept { requests: is_on(LOG_REQUESTS, requests), responses: is_on(LOG_RESPONSES, responses) });
    }

    /// What is kept of an exchange that ends now.
    #[must_use]
    pub fn now(&self) -> Kept {
        *self.0.borrow()
    }
}

impl Default for Keeping {
    fn default() -> Self {
        Self(watch::Sender::new(Kept::ALL))
    }
}

// === impl Kept ===

impl Kept {
    /// Everything.
    pub const ALL: Self = Self { requests: true, responses: true };

    /// Takes out of an exchange what is not to be kept. Figures, names and the reason for its end stay.
    pub fn prune(self, exchange: &mut Exchange) {
        if !self.requests {
            exchange.begun.openai_request = "null".into();
            exchange.begun.first_user_message.clear();
        }
        let Some(ended) = &mut exchange.ended else { return };
        if !self.requests {
            ended.upstream_request = None;
        }
        if !self.responses {
            ended.openai_response = None;
        }
        // The site quotes what it was sent in its errors.
        if self != Self::ALL && ended.error.is_some() {
            ended.error = Some("not kept".to_owned());
        }
    }
}
