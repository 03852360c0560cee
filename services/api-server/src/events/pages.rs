//! Pages that may subscribe to events.

use std::sync::Arc;

use http::Request;
use http::header::ORIGIN;
use signalbox_daemon::HostOriginGuard;
use socketioxide::extract::SocketRef;

/// Checks the origins of connections that subscribe.
#[derive(Clone, Debug)]
pub(super) struct PageGuard(Arc<HostOriginGuard>);

// === impl PageGuard ===

impl PageGuard {
    pub(super) const fn new(guard: Arc<HostOriginGuard>) -> Self {
        Self(guard)
    }

    /// Returns whether the origin of the connection, if it has one, may read this path of the API, too: extensions may
    /// only receive the snapshot.
    pub(super) fn admits(&self, socket: &SocketRef, path: &'static str) -> bool {
        let parts = socket.req_parts();
        if !parts.headers.contains_key(ORIGIN) {
            return true;
        }
        let mut request = Request::new(());
        *request.uri_mut() = http::Uri::from_static(path);
        *request.headers_mut() = parts.headers.clone();
        self.0.cors_origin(&request).is_some()
    }
}
