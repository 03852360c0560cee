//! What the log keeps of requests and answers: two settings, obeyed within a second.

use std::sync::atomic::{AtomicBool, Ordering};

use signalbox_store::{
    exchanges::Exchange,
    settings::{self, LOG_REQUESTS, LOG_RESPONSES, is_on},
};

/// The settings, in their order in a change.
pub const KEYS: [&str; 2] = [LOG_REQUESTS, LOG_RESPONSES];

/// Whether what people ask, and what they are answered, is kept.
#[derive(Debug)]
pub struct Keeping {
    requests: AtomicBool,
    responses: AtomicBool,
}

// === impl Keeping ===

impl Keeping {
    /// What the settings say now; while they cannot be read, nothing is kept.
    pub async fn of(store: &signalbox_store::Store) -> Self {
        let keeping = Self { requests: AtomicBool::new(false), responses: AtomicBool::new(false) };
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
        self.requests.store(is_on(LOG_REQUESTS, requests), Ordering::Relaxed);
        self.responses.store(is_on(LOG_RESPONSES, responses), Ordering::Relaxed);
    }

    /// Whether what people ask is kept.
    #[must_use]
    pub fn requests(&self) -> bool {
        self.requests.load(Ordering::Relaxed)
    }

    /// Takes out of an exchange what is not to be kept. Figures, names and the reason for its end stay.
    pub fn prune(&self, exchange: &mut Exchange) {
        let (requests, responses) = (self.requests(), self.responses.load(Ordering::Relaxed));
        if !requests {
            "null".clone_into(&mut exchange.begun.openai_request);
            exchange.begun.first_user_message.clear();
        }
        let Some(ended) = &mut exchange.ended else { return };
        if !requests {
            ended.upstream_request = None;
        }
        if !responses {
            ended.openai_response = None;
        }
        // The site quotes what it was sent in its errors.
        if !(requests && responses) && ended.error.is_some() {
            ended.error = Some("not kept".to_owned());
        }
    }
}

impl Default for Keeping {
    fn default() -> Self {
        Self { requests: AtomicBool::new(true), responses: AtomicBool::new(true) }
    }
}
