//! Streams of events of the router's processes.

use std::net::SocketAddr;

use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, SelectAll, unfold};

use crate::app::App;
use crate::router_client::{LiveEvents, RouterEvent};

/// Events of type `E` of all processes of the router.
pub(super) struct Source<E> {
    addresses: Vec<SocketAddr>,
    pub(super) events: SelectAll<BoxStream<'static, E>>,
    /// Number of streams at the beginning.
    begun_with: usize,
}

// === impl Source ===

impl<E: RouterEvent> Source<E> {
    /// Opens the streams of the processes that answer.
    pub(super) async fn open(app: &App) -> Self {
        let addresses = app.router.addresses();
        let mut events = SelectAll::new();
        for addr in &addresses {
            match app.router.events(*addr).await {
                Ok(stream) => {
                    let next = async |mut stream: LiveEvents<E>| Some((stream.next().await?, stream));
                    events.push(unfold(stream, next).boxed());
                }
                Err(error) => tracing::debug!(%addr, error, "the router does not send its events"),
            }
        }
        Self { addresses, begun_with: events.len(), events }
    }

    /// Returns whether a stream has ended, or the processes are others than at the beginning: a process whose stream has
    /// ended is replaced by another one.
    pub(super) fn has_changed(&self, app: &App) -> bool {
        self.events.len() < self.begun_with || self.addresses != app.router.addresses()
    }
}
