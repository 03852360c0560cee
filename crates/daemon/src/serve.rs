//! The HTTP server: accepts connections, serves their requests, and drains them on shutdown.
//!
//! # Layout
//! - `accept`: the accept loop.
//! - `connection_slots`: limits on the number of connections, in total and per address, and eviction of idle ones when
//!   the limit is reached.
//! - `tls_connection`: the TLS handshake, and the choice between HTTP/1.1 and HTTP/2.
//! - `connection`: the life of one connection; `http2`: one that carries several requests at the same time.
//! - `connection_timeouts`: timeouts of a connection.
//! - `socket`: the byte stream, which reports its activity to `connection_timeouts`.
//! - `path`: normalisation of request paths.
//! - `response_guard`: one request and its response; a panic in the service is caught here.
//! - `request_body`: the request body while it arrives.
//!
//! # Why not hyper's own timeouts
//! hyper's `header_read_timeout` starts when the previous response is written, so it also closes idle connections: a
//! single value would have to be short (a half-sent head occupies a slot) and long (clients reuse connections after a
//! minute). Here the two timeouts are separate. In addition there is a connection limit and a drain deadline, and
//! upgraded connections count as open until they are closed.

mod accept;
mod connection;
mod connection_slots;
mod connection_timeouts;
mod http2;
mod path;
mod request_body;
mod response_guard;
mod socket;
mod tls_connection;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{AccessLog, Common, ServerConfig};
use crate::context::Context;
use crate::descriptors;
use crate::exit::Exit;
use crate::proxies::TrustedProxies;
use crate::status;
use crate::tls::Tls;

use connection_slots::ConnectionSlots;
use connection_timeouts::Timeouts;
use request_body::ArrivalBudget;

pub use request_body::RequestBody;
pub use response_guard::CLIENTS_WAITING;

/// Time for streams to end themselves after the cut, and for connections to close after they were dropped.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// Maximum connections for the supervisor's health checks, which must succeed even when all others are in use.
const PROBE_CONNECTIONS: usize = 8;

/// State shared by all connections.
#[derive(Clone)]
struct ServerState {
    server: ServerConfig,
    access: AccessLog,
    /// Whether the spans of requests are exported.
    is_traced: bool,
    /// TLS identity; `None` for plain HTTP.
    tls: Option<Arc<Tls>>,
    slots: Arc<ConnectionSlots>,
    /// Reverse proxies that name their clients.
    proxies: Arc<TrustedProxies>,
    arrivals: Arc<ArrivalBudget>,
    /// Connection slots reported in responses: those of clients, even on the sockets of the supervisor.
    client_slots: Arc<ConnectionSlots>,
    /// Tracks open connections, including upgraded ones.
    open: TaskTracker,
    draining: CancellationToken,
    /// Drops the connections that are still open after the cut. Cancelled only while draining.
    force_close: CancellationToken,
}

/// Serves requests until a shutdown is triggered and all connections have ended or were dropped. Prints `announce`,
/// such as `Server listening on http://127.0.0.1:3001`, to stdout when it is ready.
///
/// A connection that `service` upgrades counts as open until it is closed; `service` has to end it at the drain or the
/// cut.
///
/// # Errors
/// Returns [`Exit::Temporary`] when the sockets of this context are already being served.
pub async fn serve<S, B>(context: &Context, announce: &str, service: S) -> Result<(), Exit>
where
    S: hyper::service::Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let sockets = context.listener.take();
    if sockets.is_empty() {
        return Err(Exit::Temporary("the sockets are already being served".to_owned()));
    }
    let state =
        ServerState { tls: context.tls.clone(), ..ServerState::new(&context.common, context.shutdown.drain_token()) };
    if !context.shutdown.is_draining() {
        status::announce(context, announce);
    }
    let probes = ServerState {
        tls: None,
        slots: Arc::new(ConnectionSlots::new(PROBE_CONNECTIONS, 0)),
        access: AccessLog::Off,
        is_traced: false,
        ..state.clone()
    };
    let accepting = async {
        #[cfg(unix)]
        let unix = accept::unix_until_draining(context.listener.take_unix_socket(), &state, &service);
        #[cfg(not(unix))]
        let unix = std::future::ready(());
        tokio::join!(
            unix,
            accept::until_draining(sockets, &state, &service),
            accept::until_draining(context.listener.take_probes(), &probes, &service),
        )
    };
    let watching = async {
        match &context.tls {
            Some(tls) => tls.watch().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = accepting => {}
        () = watching => {}
    }
    drain(context, &state).await;
    Ok(())
}

/// Waits for connections to end by themselves until the deadline, then triggers the cut, then drops the rest.
async fn drain(context: &Context, state: &ServerState) {
    state.open.close();
    tracing::info!(open = state.open.len(), "no longer accepting connections");
    status::draining();
    tokio::select! {
        () = state.open.wait() => return,
        () = context.shutdown.aborting() => {}
        () = tokio::time::sleep(state.server.drain_timeout.get()) => {}
    }
    context.shutdown.trigger_abort();
    if tokio::time::timeout(ABORT_GRACE, state.open.wait()).await.is_ok() {
        return;
    }
    tracing::warn!(open = state.open.len(), "dropping connections that did not end in time");
    state.force_close.cancel();
    if tokio::time::timeout(ABORT_GRACE, state.open.wait()).await.is_err() {
        tracing::warn!(open = state.open.len(), "upgraded connections will end with the process");
    }
}

// === impl ServerState ===

impl ServerState {
    fn new(common: &Common, draining: CancellationToken) -> Self {
        let server = &common.server;
        // Connections must not use up all descriptors: journal files and health checks need some, too.
        let room = descriptors::room_for_connections();
        if room < server.max_connections {
            tracing::warn!(
                max_connections = server.max_connections,
                room,
                "the limit of open files leaves room for fewer connections than configured"
            );
        }
        let proxies = Arc::new(TrustedProxies::new(&server.trusted_proxies));
        let slots = ConnectionSlots::new(server.max_connections.min(room), server.max_connections_per_address);
        let slots = Arc::new(slots.with_proxies(Arc::clone(&proxies)));
        Self {
            client_slots: Arc::clone(&slots),
            slots,
            proxies,
            arrivals: Arc::new(ArrivalBudget::new(server.max_arriving.bytes())),
            server: server.clone(),
            access: common.log.access,
            is_traced: !common.log.otlp_endpoint.is_empty(),
            tls: None,
            open: TaskTracker::new(),
            draining,
            force_close: CancellationToken::new(),
        }
    }

    const fn timeouts(&self) -> Timeouts {
        let server = &self.server;
        Timeouts {
            header: server.header_timeout.get(),
            idle: server.idle_timeout.get(),
            write: server.write_timeout.get(),
            body: server.body_timeout.get(),
            body_rate: server.min_body_rate.bytes(),
        }
    }
}

#[cfg(test)]
mod tests;
