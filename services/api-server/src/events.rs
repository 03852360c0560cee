//! Socket.IO: whoever listens is told what happens, whoever made it happen.
//!
//! # Layout
//! - [`audience`](Audience): who listens, and the snapshot everybody begins with.
//! - `watch`: the tasks that notice: one looks at the children, one at the tables.
//! - `changes`: what differs between two states of the tables. Pure. - `payload`: the shapes of the events. Pure.
//!
//! # Theory
//! Events about the children come from the same watch as the answers of `/api/proxy/status`, so they cannot disagree.
//! Events about the tables come from comparing them with what they were: that the change was made here, by a command
//! line, by the router or by hand makes no difference, and no writer can forget to tell.
//!
//! # Invariants
//! - Nobody is waited for: a listener whose queue is full is disconnected, and gets a snapshot when it comes back.
//! - The browser extension is not told of anything but the snapshot; it would not know what to do with it.

mod audience;
mod changes;
mod payload;
mod watch;

use std::sync::Arc;

use signalbox_daemon::ClientKeys;
use socketioxide::layer::SocketIoLayer;
use tokio_util::sync::CancellationToken;

pub use self::audience::{Audience, Extensions};
use crate::api::App;

/// The path of the protocol, below which no route of ours may be.
pub(crate) const PATH: &str = "/socket.io";

/// Opens the doors. The layer answers everything below [`PATH`]; the audience is for [`publish`].
#[must_use]
pub fn open(app: &App, keys: Arc<ClientKeys>) -> (SocketIoLayer, Audience) {
    let (layer, io) = audience::server();
    audience::admit(&io, app.clone(), keys);
    (layer, Audience::new(io))
}

/// Tells the audience what happens, until `closing`.
pub async fn publish(app: App, audience: Audience, closing: CancellationToken) {
    tokio::select! {
        () = watch::children(&app, &audience) => {}
        () = watch::tables(&app, &audience) => {}
        () = closing.cancelled() => {}
    }
    // Upgraded connections are nobody else's to end.
    audience.close().await;
}
