//! Socket.IO: whoever listens is told what happens, whoever made it happen.
//!
//! # Layout
//! - [`audience`](Audience): who listens, and the snapshot everybody begins with.
//! - `watch`: the tasks that notice: one looks at the children, one at the tables.
//! - `tail`: the logs as they grow.
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
mod tail;
mod watch;

use std::sync::Arc;

use signalbox_daemon::{ClientKeys, Doors};
use socketioxide::layer::SocketIoLayer;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use self::audience::{Audience, Extensions};
pub use self::tail::Tails;
use crate::api::App;
use crate::logs::Written;

/// The path of the protocol, below which no route of ours may be.
pub(crate) const PATH: &str = "/socket.io";

/// Opens the doors. The layer answers everything below [`PATH`]; the rest is for [`publish`].
#[must_use]
pub fn open(app: &App, keys: Arc<ClientKeys>, doors: Arc<Doors>) -> (SocketIoLayer, Audience, Tails) {
    let (layer, io) = audience::server();
    let (counter, tails) = tail::open(app.logs.clone(), doors);
    audience::admit(&io, app.clone(), keys, counter);
    (layer, Audience::new(io), tails)
}

/// Tells the audience what happens, and those who read along what is written, until `closing`.
pub async fn publish(
    app: App,
    audience: Audience,
    tails: Tails,
    written: broadcast::Receiver<Arc<Written>>,
    closing: CancellationToken,
) {
    let tails = async {
        tails.run(written).await;
        // Nothing is written any more; the rest goes on.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = watch::children(&app, &audience) => {}
        () = watch::tables(&app, &audience) => {}
        () = tails => {}
        () = closing.cancelled() => {}
    }
    // Upgraded connections are nobody else's to end.
    audience.close().await;
}
