//! Serving HTTP/1.1 on our sockets, and ending that in order.
//!
//! # Layout
//! - `accept`: connections out of the sockets.
//! - `places`: how many there may be, in all and per address, and which one goes when another needs room.
//! - `connection`: one connection, from its first byte to its end.
//! - `pace`: how long a client may keep us waiting.
//! - `socket`: the byte stream, telling the pace what happens on it.
//! - `path`: request paths in one spelling.
//! - `exchange`: one request and its answer; a panic ends here.
//! - `arrival`: the body of a request on its way in.
//!
//! # Why an own loop
//! hyper's `header_read_timeout` starts when the previous answer is written, so it also ends idle connections: one value has to be
//! both short (a half-sent head costs a slot) and long (clients reuse connections after a minute). Here the two are two, and there is a
//! limit on connections, a deadline for the drain, and connections that were upgraded count until they are closed.

mod accept;
mod arrival;
mod connection;
mod exchange;
mod pace;
mod path;
mod places;
mod socket;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ServerConfig;
use crate::context::Context;
use crate::descriptors;
use crate::exit::Exit;
use crate::status;

use arrival::Arrivals;
use pace::Timeouts;
use places::Places;

pub use arrival::RequestBody;
pub use exchange::CLIENTS_WAIT;

/// The address of the client, in the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// How long streams have to end themselves after the cut, and connections to close after they were dropped.
const AFTER_CUT: Duration = Duration::from_secs(1);

/// Connections of the supervisor, which asks whether we live when all others are in use, too.
const PROBE_CONNECTIONS: usize = 8;

/// What connections share.
#[derive(Clone)]
struct House {
    server: ServerConfig,
    places: Arc<Places>,
    arrivals: Arc<Arrivals>,
    /// The places that the answers tell about: those of clients, also where the supervisor asks.
    of_clients: Arc<Places>,
    /// Counts open connections, upgraded ones included.
    open: TaskTracker,
    draining: CancellationToken,
    /// Drops the connections that survived the cut. Cancelled only while draining.
    evict: CancellationToken,
}

/// Serves until the process is asked to leave and connections have ended or were dropped. Announces itself with `announce`, such as
/// `Server listening on http://127.0.0.1:3001`, on stdout.
///
/// A connection that `service` upgrades is counted as open until it is closed; ending it at the drain or the cut is up to the service.
///
/// # Errors
/// [`Exit::Temporary`] when the sockets of this context are being served already.
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
        return Err(Exit::Temporary("the sockets are being served already".to_owned()));
    }
    let house = House::new(&context.common.server, context.shutdown.drain_token());
    if !context.shutdown.is_draining() {
        status::announce(context, announce);
    }
    let probes = House { places: Arc::new(Places::new(PROBE_CONNECTIONS, 0)), ..house.clone() };
    tokio::join!(
        accept::until_draining(sockets, &house, &service),
        accept::until_draining(context.listener.take_probes(), &probes, &service),
    );
    drain(context, &house).await;
    Ok(())
}

/// Waits for connections to end: by themselves until the deadline, then cut, then dropped.
async fn drain(context: &Context, house: &House) {
    house.open.close();
    tracing::info!(open = house.open.len(), "no longer accepting connections");
    status::draining();
    tokio::select! {
        () = house.open.wait() => return,
        () = context.shutdown.cut() => {}
        () = tokio::time::sleep(house.server.drain_timeout.get()) => {}
    }
    context.shutdown.trigger_cut();
    if tokio::time::timeout(AFTER_CUT, house.open.wait()).await.is_ok() {
        return;
    }
    tracing::warn!(open = house.open.len(), "dropping connections that did not end in time");
    house.evict.cancel();
    if tokio::time::timeout(AFTER_CUT, house.open.wait()).await.is_err() {
        tracing::warn!(open = house.open.len(), "upgraded connections end with the process");
    }
}

// === impl House ===

impl House {
    fn new(server: &ServerConfig, draining: CancellationToken) -> Self {
        // Without a descriptor left, streams that run could not be written down, and nobody could ask whether we live.
        let room = descriptors::room_for_connections();
        if room < server.max_connections {
            tracing::warn!(
                max_connections = server.max_connections,
                room,
                "the limit of open files leaves room for fewer connections than configured"
            );
        }
        let places = Arc::new(Places::new(server.max_connections.min(room), server.max_connections_per_address));
        Self {
            of_clients: Arc::clone(&places),
            places,
            arrivals: Arc::new(Arrivals::new(server.max_arriving.bytes())),
            server: server.clone(),
            open: TaskTracker::new(),
            draining,
            evict: CancellationToken::new(),
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
