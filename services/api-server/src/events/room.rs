//! Events that are sent only to listeners that subscribe, and computed only while there are any.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::SocketRef;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::emit::emit;
use super::pages::PageGuard;

/// The names of the events of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Topic {
    /// Message by which listeners subscribe.
    pub(super) subscribe: &'static str,
    /// Message by which they end the subscription.
    pub(super) unsubscribe: &'static str,
    /// The event that subscribers get.
    pub(super) event: &'static str,
    /// The event of a refusal.
    pub(super) error: &'static str,
    /// The path of the API that shows the same.
    pub(super) path: &'static str,
    /// The time between two events.
    pub(super) period: Duration,
}

/// The subscribers of a topic. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Room {
    topic: Topic,
    io: SocketIo,
    pages: PageGuard,
    joined: Arc<Notify>,
}

// === impl Room ===

impl Room {
    pub(super) fn new(topic: Topic, io: SocketIo, pages: PageGuard) -> Self {
        Self { topic, io, pages, joined: Arc::default() }
    }

    /// Handles the subscriptions of a listener.
    pub(super) fn serve(&self, socket: &SocketRef) {
        let room = self.clone();
        socket.on(self.topic.subscribe, async move |socket: SocketRef| room.join(&socket));
        let event = self.topic.event;
        socket.on(self.topic.unsubscribe, async move |socket: SocketRef| socket.leave(event));
    }

    fn join(&self, socket: &SocketRef) {
        if !self.pages.admits(socket, self.topic.path) {
            let why = "the origin of this page is not allowed to subscribe to these events";
            emit(socket, self.topic.error, &json!({ "error": why }));
            return;
        }
        // A socket leaves its rooms when it disconnects.
        socket.join(self.topic.event);
        self.joined.notify_one();
    }

    fn subscribers(&self) -> Vec<SocketRef> {
        self.io.to(self.topic.event).sockets()
    }

    /// Sends what `measure` returns, if anything, in each period in which there are subscribers.
    pub(super) async fn publish<F: Future<Output = Option<Value>>>(&self, measure: impl Fn() -> F) -> Infallible {
        loop {
            while self.subscribers().is_empty() {
                self.joined.notified().await;
            }
            let next = Instant::now() + self.topic.period;
            if let Some(payload) = measure().await {
                for socket in self.subscribers() {
                    emit(&socket, self.topic.event, &payload);
                }
            }
            sleep_until(next).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::events::processes::PROCESSES;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_measured_without_subscribers() {
        let (_, io) = SocketIo::builder().build_layer();
        io.ns("/", async || ());
        let guard = crate::server::host_origin_guard("127.0.0.1", &[], &[]).unwrap();
        let room = Room::new(PROCESSES, io, PageGuard::new(Arc::new(guard)));
        let measured = AtomicUsize::new(0);
        let publish = room.publish(|| {
            measured.fetch_add(1, Ordering::Relaxed);
            std::future::ready(None)
        });
        assert!(tokio::time::timeout(Duration::from_secs(60), publish).await.is_err());
        assert_eq!(measured.into_inner(), 0);
    }
}
