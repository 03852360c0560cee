//! Bounds on new sessions of Socket.IO.
//!
//! The handshake of Engine.IO comes before the token is known, and a session that is never joined is kept for 45 s, the
//! interval of pings. A program that begins one after another would make the server keep all of them.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri, header};
use signalbox_daemon::{AddressThrottle, PeerAddr, Shutdown};
use tokio::time::Instant;

use crate::events;

/// New sessions that an address may begin at once: many tabs that connect again after a restart.
const BURST: u32 = 100;

/// Interval at which an address may begin one more.
const INTERVAL: Duration = Duration::from_millis(200);

/// New sessions that all addresses together may begin at once.
const TOTAL_BURST: u32 = 1_000;

/// Interval at which they may begin one more. With the burst, at most 3,250 sessions are kept for 45 s.
const TOTAL_INTERVAL: Duration = Duration::from_millis(20);

/// Key of the only bucket of the limit for all addresses.
const ALL: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The limits of new sessions.
#[derive(Debug)]
pub(super) struct SocketSessions {
    shutdown: Shutdown,
    of_address: AddressThrottle,
    total: AddressThrottle,
}

// === impl SocketSessions ===

impl SocketSessions {
    pub(super) fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            of_address: AddressThrottle::new(BURST, INTERVAL),
            total: AddressThrottle::new(TOTAL_BURST, TOTAL_INTERVAL),
        }
    }

    /// Counts a new session.
    ///
    /// # Errors
    /// Returns the time until the address may begin one.
    fn begin(&self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        self.of_address.record(peer, now)?;
        if self.total.record(ALL, now)? {
            tracing::warn!("too many new sessions of Socket.IO, further ones are answered with 429");
        }
        Ok(())
    }
}

/// Refuses new sessions beyond the limits, and while the server stops. Connections that are kept alive still reach it
/// then, and a client that is told that the namespace does not exist never tries again.
pub(super) async fn limit(State(sessions): State<Arc<SocketSessions>>, request: Request, next: Next) -> Response {
    if !is_new(request.uri()) {
        return next.run(request).await;
    }
    if sessions.shutdown.is_draining() {
        let headers = [(header::CONNECTION, "close"), (header::RETRY_AFTER, "1")];
        let text = "api-server is stopping. Connect again in a moment.";
        return (StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response();
    }
    let peer = request.extensions().get::<PeerAddr>().map_or(ALL, |PeerAddr(peer)| peer.ip());
    match sessions.begin(peer, Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            let seconds = wait.as_secs().saturating_add(1).to_string();
            let text = "too many connections were begun. Keep one open, and connect again in a moment.";
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], text).into_response()
        }
    }
}

/// Returns whether a request begins a session.
fn is_new(uri: &Uri) -> bool {
    uri.path().starts_with(events::PATH)
        && !uri.query().unwrap_or_default().split('&').any(|parameter| parameter.starts_with("sid="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn an_address_cannot_begin_any_number_of_sessions() {
        let (sessions, start) = (SocketSessions::new(Shutdown::new()), Instant::now());
        let begun = |peer, now| (0..10_000).filter(|_| sessions.begin(peer, now).is_ok()).count();
        assert_eq!(begun(address(1), start), BURST as usize);
        assert_eq!(begun(address(2), start), BURST as usize, "others are not concerned");
        assert_eq!(begun(address(1), start + INTERVAL * 3), 3);
    }

    #[test]
    fn all_addresses_together_cannot_either() {
        let (sessions, start) = (SocketSessions::new(Shutdown::new()), Instant::now());
        let begun = (0..10_000).filter(|n| sessions.begin(address(*n), start).is_ok()).count();
        assert_eq!(begun, TOTAL_BURST as usize);
    }

    #[test]
    fn requests_of_a_session_are_not_counted() {
        for (uri, expected) in [
            ("/socket.io/?EIO=4&transport=polling", true),
            ("/socket.io/", true),
            ("/socket.io/?EIO=4&transport=polling&sid=x", false),
            ("/socket.io/?EIO=4&sid=x&transport=websocket", false),
            ("/api/health", false),
        ] {
            assert_eq!(is_new(&uri.parse().unwrap()), expected, "{uri}");
        }
    }
}
