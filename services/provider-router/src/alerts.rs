//! Changes that operators are told: of the breakers of targets, and of what providers had cached of prompts.
//!
//! api-server listens to each router process and passes them on as events. They are built only while it does.

use std::sync::Arc;

use signalbox_management::live::Alert;
use tokio::sync::broadcast;

/// Alerts that a slow listener may be behind.
const MAX_BEHIND: usize = 1_024;

/// Sender of the alerts of this process. Clones share their listeners.
#[derive(Clone, Debug)]
pub struct Alerts(broadcast::Sender<Arc<Alert>>);

impl Default for Alerts {
    fn default() -> Self {
        Self(broadcast::Sender::new(MAX_BEHIND))
    }
}

impl Alerts {
    /// Sends an alert to the listeners. `build` is not called if there are none.
    pub fn tell(&self, build: impl FnOnce() -> Alert) {
        if self.0.receiver_count() > 0 {
            // The last listener may have gone in the meantime.
            let _ = self.0.send(Arc::new(build()));
        }
    }

    /// Returns the alerts from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Alert>> {
        self.0.subscribe()
    }
}
