//! `requests:started` and `requests:ended`: the requests of the router, for listeners that send `requests:subscribe`.
//!
//! A subscription may have a filter. The router's processes stream their events only while there are subscribers. The
//! events of a quarter of a second go out together, so that a busy router does not flood slow listeners.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};
use signalbox_management::live::{EndedRequest, InFlightRequest, LiveEvent};
use socketioxide::extract::SocketRef;
use socketioxide::socket::Sid;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::emit::emit;
use super::filter::RequestFilter;
use super::pages::PageGuard;
use super::payload;
use super::source::Source;
use crate::app::App;

const SUBSCRIBED: &str = "requests:subscribed";
const STARTED: &str = "requests:started";
const ENDED: &str = "requests:ended";
const ERROR: &str = "requests:error";

/// Path of the API that shows the same.
const PATH: &str = "/api/requests/inflight";
/// Time in which events are collected.
const COLLECT: Duration = Duration::from_millis(250);
/// Maximum requests named in one event; its `count` has all.
const MAX_NAMED: usize = 100;
/// Pause before a router that does not answer is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// Subscribers of the events. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct RequestSubscribers {
    pages: PageGuard,
    all: Arc<Mutex<HashMap<Sid, Subscriber>>>,
    joined: Arc<Notify>,
}

#[derive(Debug)]
struct Subscriber {
    socket: SocketRef,
    filter: RequestFilter,
}

/// Events that have not been sent yet.
#[derive(Debug, Default)]
struct Batch {
    started: Vec<InFlightRequest>,
    ended: Vec<EndedRequest>,
    missed: u64,
}

// === impl RequestSubscribers ===

impl RequestSubscribers {
    pub(super) fn new(pages: PageGuard) -> Self {
        Self { pages, all: Arc::default(), joined: Arc::default() }
    }

    /// Handles `requests:subscribe`; a later subscription of the same listener replaces an earlier one.
    pub(super) fn begin(&self, socket: SocketRef, asked: Option<Value>) {
        let filter = match RequestFilter::read(asked) {
            Ok(filter) => filter,
            Err(mistakes) => return emit(&socket, ERROR, &json!({ "error": mistakes })),
        };
        if !self.pages.admits(&socket, PATH) {
            let why = "the origin of this page is not allowed to subscribe to these events";
            return emit(&socket, ERROR, &json!({ "error": why }));
        }
        emit(&socket, SUBSCRIBED, &json!({ "filter": filter, "timestamp": payload::timestamp() }));
        self.subscribers().insert(socket.id, Subscriber { socket, filter });
        self.joined.notify_one();
    }

    /// Handles `requests:unsubscribe`.
    pub(super) fn end(&self, socket: &SocketRef) {
        self.subscribers().remove(&socket.id);
    }

    fn subscribers(&self) -> MutexGuard<'_, HashMap<Sid, Subscriber>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether there are no subscribers any more; removes those that have disconnected.
    fn is_empty(&self) -> bool {
        let mut all = self.subscribers();
        all.retain(|_, subscriber| subscriber.socket.connected());
        all.is_empty()
    }

    /// Forwards the events of the router while there are subscribers.
    pub(super) async fn publish(&self, app: App) -> Infallible {
        loop {
            while self.is_empty() {
                self.joined.notified().await;
            }
            let source = Source::open(&app).await;
            if source.events.is_empty() {
                sleep(RETRY).await;
            } else {
                self.forward(&app, source).await;
            }
        }
    }

    /// Forwards events until there are no subscribers, or the processes of the router have changed.
    async fn forward(&self, app: &App, mut source: Source<LiveEvent>) {
        let mut ticks = interval(COLLECT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Batch::default();
        loop {
            tokio::select! {
                event = source.events.next() => match event {
                    Some(event) => batch.add(event),
                    None => {
                        self.send(&mut batch);
                        return sleep(RETRY).await;
                    }
                },
                _ = ticks.tick() => {
                    self.send(&mut batch);
                    if source.has_changed(app) || self.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// Sends each subscriber the events that match its filter.
    fn send(&self, batch: &mut Batch) {
        let Batch { started, ended, missed } = std::mem::take(batch);
        if started.is_empty() && ended.is_empty() && missed == 0 {
            return;
        }
        for Subscriber { socket, filter } in self.subscribers().values() {
            let begun: Vec<Value> =
                started.iter().filter(|request| filter.matches_begun(request)).map(|request| json!(request)).collect();
            let over: Vec<Value> =
                ended.iter().filter(|request| filter.matches_ended(request)).map(|request| json!(request)).collect();
            if !begun.is_empty() {
                emit(socket, STARTED, &event(begun, 0));
            }
            // Events that the router could not keep may have been of either kind.
            if !over.is_empty() || missed > 0 {
                emit(socket, ENDED, &event(over, missed));
            }
        }
    }
}

/// Builds an event of the newest of these requests.
fn event(mut requests: Vec<Value>, missed: u64) -> Value {
    let count = requests.len();
    requests.drain(..count.saturating_sub(MAX_NAMED));
    let fields = [
        ("count", json!(count)),
        ("requests", requests.into()),
        ("missed", missed.into()),
        ("timestamp", payload::timestamp().into()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

// === impl Batch ===

impl Batch {
    fn add(&mut self, event: LiveEvent) {
        match event {
            LiveEvent::Started(request) => self.started.push(*request),
            LiveEvent::Ended(request) => self.ended.push(*request),
            LiveEvent::Missed(count) => self.missed += count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_the_newest_requests_and_counts_all() {
        let event = event((0..150).map(Value::from).collect(), 3);
        assert_eq!((&event["count"], &event["missed"]), (&json!(150), &json!(3)));
        let named = event["requests"].as_array().unwrap();
        assert_eq!((named.len(), &named[0], &named[99]), (100, &json!(50), &json!(149)));
    }
}
