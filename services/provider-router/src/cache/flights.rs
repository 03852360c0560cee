//! Requests that are being answered, for which equal ones wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use super::Key;

/// Maximum number of requests that wait for the same one.
const MAX_WAITING: usize = 64;

/// The requests that others wait for.
#[derive(Debug, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Key, watch::Sender<()>>>>);

/// A request that others wait for. Dropping it releases them.
#[derive(Debug)]
pub(super) struct Flight {
    key: Key,
    flights: Flights,
}

/// Place of a request among equal ones.
#[derive(Debug)]
pub(super) enum Joined {
    /// It is the first one.
    First(Flight),
    /// It waits for the first one; the receiver is closed when that one has ended.
    Next(watch::Receiver<()>),
    /// It does not wait, because too many do already.
    Crowded,
}

// === impl Flights ===

impl Flights {
    /// Joins the requests with this key.
    pub(super) fn join(&self, key: Key) -> Joined {
        // A panic cannot leave the map inconsistent.
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = flights.get(&key) {
            return if first.receiver_count() < MAX_WAITING {
                Joined::Next(first.subscribe())
            } else {
                Joined::Crowded
            };
        }
        flights.insert(key, watch::Sender::new(()));
        drop(flights);
        Joined::First(Flight { key, flights: Self(Arc::clone(&self.0)) })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
