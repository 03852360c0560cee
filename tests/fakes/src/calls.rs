//! Log of the requests that a fake received and of how each answer ended.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

use crate::http::Request;

/// Maximum number of calls kept; the oldest are dropped.
pub const MAX_KEPT_CALLS: usize = 4096;
/// Maximum total size of the kept bodies in bytes; the oldest calls are dropped first.
pub const KEPT_BYTES: usize = 256 << 20;

/// Snapshot of one request that the fake received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Sequence number of its arrival, from the counter shared by all events of the fake.
    pub arrived: u64,
    /// Method, such as `POST`.
    pub method: String,
    /// Path and query, as the client sent them.
    pub path: String,
    /// Header names in lower case and values, in the order received.
    pub headers: Vec<(String, String)>,
    /// Body, without its transfer encoding.
    pub body: Bytes,
    /// `model` of the body; empty if missing.
    pub model: String,
    /// Number of events written completely; 1 for a whole body.
    pub events_sent: u64,
    /// Set once the answer is over: the sequence number of its end, and how it ended.
    pub ended: Option<(u64, End)>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Everything in the script was written.
    Completed,
    /// The fake broke the answer off, as scripted.
    Broken,
    /// The client closed the connection before the end of the answer.
    ClientLeft,
}

/// The call log of one fake.
#[derive(Debug)]
pub(crate) struct CallLog {
    order: AtomicU64,
    kept: Mutex<Kept>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
}

/// A call in the log, updated by its connection.
#[derive(Debug)]
pub(crate) struct Entry {
    arrived: u64,
    request: Request,
    model: String,
    events_sent: AtomicU64,
    ended: Mutex<Option<(u64, End)>>,
}

// === impl Call ===

impl Call {
    /// Returns the first value of the header `name`, which must be given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns how the answer ended, or `None` while it is in flight.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.ended.map(|(_, end)| end)
    }
}

// === impl CallLog ===

impl Default for CallLog {
    fn default() -> Self {
        Self { order: AtomicU64::new(0), kept: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl CallLog {
    /// Returns the next sequence number.
    pub(crate) fn tick(&self) -> u64 {
        self.order.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn begin(&self, request: Request, model: String) -> Arc<Entry> {
        let (events_sent, ended) = (AtomicU64::new(0), Mutex::new(None));
        let entry = Arc::new(Entry { arrived: self.tick(), request, model, events_sent, ended });
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.bytes += entry.request.body.len();
            kept.entries.push_back(Arc::clone(&entry));
            while kept.entries.len() > MAX_KEPT_CALLS || (kept.bytes > KEPT_BYTES && kept.entries.len() > 1) {
                let oldest = kept.entries.pop_front().map_or(0, |oldest| oldest.request.body.len());
                kept.bytes -= oldest;
            }
        }
        self.changed.send_replace(());
        entry
    }

    pub(crate) fn sent(&self, entry: &Entry) {
        entry.events_sent.fetch_add(1, Ordering::SeqCst);
        self.changed.send_replace(());
    }

    pub(crate) fn end(&self, entry: &Entry, end: End) {
        *entry.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some((self.tick(), end));
        self.changed.send_replace(());
    }

    /// Wakes all tasks that wait for a change of the log or of the state that belongs to it.
    pub(crate) fn touch(&self) {
        self.changed.send_replace(());
    }

    pub(crate) fn clear(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
        self.changed.send_replace(());
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entries.iter().map(|entry| entry.call()).collect()
    }

    /// Returns a receiver that is notified at every change of the log.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

// === impl Entry ===

impl Entry {
    fn call(&self) -> Call {
        Call {
            arrived: self.arrived,
            method: self.request.method.clone(),
            path: self.request.path.clone(),
            headers: self.request.headers.clone(),
            body: self.request.body.clone(),
            model: self.model.clone(),
            events_sent: self.events_sent.load(Ordering::SeqCst),
            ended: *self.ended.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}
