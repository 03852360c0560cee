//! Everything that was asked of the fake, and how it ended.

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

/// How many calls are kept; older ones are forgotten.
pub const KEPT: usize = 4096;
/// How many bytes of bodies are kept; the oldest calls are forgotten first.
pub const KEPT_BYTES: usize = 256 << 20;

/// One request that the fake got, as it is known at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The number of its arrival in the order of everything that happened.
    pub arrived: u64,
    /// `POST`.
    pub method: String,
    /// With the query, as the client sent it.
    pub path: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// As it came, without its transfer encoding.
    pub body: Bytes,
    /// `model` of the body; empty when there is none.
    pub model: String,
    /// How many events have been written completely; 1 for a whole body.
    pub events_sent: u64,
    /// Set once the answer is over: its number in the order of everything that happened, and how it ended.
    pub ended: Option<(u64, End)>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Everything that the script says was written.
    Completed,
    /// The fake broke it off, as the script says.
    Broken,
    /// The client closed the connection before the end.
    ClientLeft,
}

/// The log of one fake.
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

/// A call in the log, which its connection keeps up to date.
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
    /// The first value of the header `name`, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// How it ended, if it has.
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
    /// The next number of the order of everything that happens.
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
            while kept.entries.len() > KEPT || (kept.bytes > KEPT_BYTES && kept.entries.len() > 1) {
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

    /// Wakes whoever waits for a change, of the log or of what belongs to it.
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

    /// Wakes at every change of the log.
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
