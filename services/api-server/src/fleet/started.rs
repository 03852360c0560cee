//! The address that the router was started with, to tell which settings wait for a restart.

use std::sync::{Arc, Mutex, PoisonError};

use signalbox_management::live::StartedWith;

use super::{Fleet, Overrides, Which};

/// The overrides of the last start or restart of the router. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct LastStart(Arc<Mutex<Option<Overrides>>>);

// === impl LastStart ===

impl LastStart {
    pub(super) fn note(&self, overrides: &Overrides, which: Which) {
        if which != Which::Qwen {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(overrides.clone());
        }
    }
}

// === impl Fleet ===

impl Fleet {
    /// Returns what the running router was started with. Of an adopted one, only the address on which it answers is
    /// known.
    #[must_use]
    pub fn router_start(&self) -> Option<StartedWith> {
        let router = self.now().router;
        router.pid?;
        let last = self.last_start.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let actual_port = router.addr.map(|addr| addr.port());
        if let Some(Overrides { router_host, router_port, .. }) = last {
            let host = router_host.unwrap_or_else(|| self.router_host.clone());
            return Some(StartedWith { host, port: router_port.unwrap_or(self.router_port), actual_port });
        }
        let addr = router.addr?;
        Some(StartedWith { host: addr.ip().to_string(), port: addr.port(), actual_port })
    }
}
