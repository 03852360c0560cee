//! Live events over Socket.IO: notifies listeners of changes, regardless of their origin.
//!
//! # Layout
//! - [`broadcaster`](Broadcaster): the listeners, and the snapshot each receives first.
//! - `watch`: the tasks that detect changes, one of the children, one of the tables.
//! - `tail`: live log lines.
//! - `room`: events for subscribers only, in a period. `processes`: resources of the services; `metrics`: activity of the
//!   router; `audit`: entries of the audit log.
//! - `alerts`: changes of breakers, and falls of the cached share of prompts, for all. `source`: streams of events of the
//!   router's processes.
//! - `requests`: the beginnings and ends of requests, for subscribers with a `filter`; `pages`: the pages that may subscribe.
//! - `emit`: sending of one event.
//! - `changes`: differences between two states of the tables. Pure.
//! - `payload`: the shapes of the events. Pure.
//!
//! # Theory
//! Events about the children come from the same watch as the responses of `/api/proxy/status`, so they cannot disagree.
//! Events about the tables come from comparing them with their previous state: whether a change was made here, by a
//! command line, by the router or directly in the database makes no difference, and no writer has to announce it.
//!
//! # Invariants
//! - No listener is waited for: one whose queue is full is disconnected, and gets a snapshot when it reconnects.
//! - The browser extension receives the snapshot only, because it has no use for other events.

mod alerts;
mod audit;
mod broadcaster;
mod changes;
mod emit;
mod filter;
mod metrics;
mod pages;
pub(crate) mod payload;
mod processes;
mod requests;
mod room;
mod source;
mod tail;
mod watch;

use std::future::Future;
use std::sync::Arc;

use serde_json::Value;
use signalbox_daemon::{ClientKeys, HostOriginGuard};
use socketioxide::layer::SocketIoLayer;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use self::broadcaster::Broadcaster;
use self::pages::PageGuard;
pub use self::tail::LogTails;
use crate::app::App;
use crate::logs::LogOutput;

/// Path prefix of the protocol; no other route may start with it.
pub(crate) const PATH: &str = "/socket.io";

/// Creates the Socket.IO layer, which handles everything below [`PATH`]; the other values are for [`publish`].
#[must_use]
pub fn open(
    app: &App,
    keys: Arc<ClientKeys>,
    host_origin_guard: Arc<HostOriginGuard>,
) -> (SocketIoLayer, Broadcaster, LogTails) {
    let (layer, io) = broadcaster::server();
    let pages = PageGuard::new(host_origin_guard);
    let (counter, tails) = tail::open(app.logs.clone(), pages.clone());
    let broadcaster = Broadcaster::new(io, &pages);
    broadcaster.admit(app.clone(), keys, counter);
    (layer, broadcaster, tails)
}

/// Sends events to the audience, and log lines to the subscribers, until `closing`.
pub async fn publish(
    app: App,
    broadcaster: Broadcaster,
    tails: LogTails,
    written: broadcast::Receiver<Arc<LogOutput>>,
    closing: CancellationToken,
) {
    let tails = async {
        tails.run(written).await;
        // No further log lines will be written; the other tasks continue.
        std::future::pending::<()>().await;
    };
    let (ticker, audit) = (metrics::Ticker::default(), audit::AuditWatch::default());
    tokio::select! {
        () = watch::children(&app, &broadcaster) => {}
        () = watch::tables(&app, &broadcaster) => {}
        () = tails => {}
        never = broadcaster.processes().publish(|| some(processes::stats(app.clone()))) => match never {},
        never = broadcaster.metrics().publish(|| some(ticker.tick(app.clone()))) => match never {},
        never = broadcaster.audit().publish(|| audit.news(app.clone())) => match never {},
        never = broadcaster.requests().publish(app.clone()) => match never {},
        never = alerts::publish(app.clone(), &broadcaster) => match never {},
        () = closing.cancelled() => {}
    }
    // The HTTP server does not close upgraded connections.
    broadcaster.close().await;
}

async fn some(payload: impl Future<Output = Value>) -> Option<Value> {
    Some(payload.await)
}
