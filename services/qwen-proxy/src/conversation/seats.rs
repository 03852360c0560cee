//! Mutual exclusion of the turns in a chat.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// Locks of the sessions in which a turn runs.
#[derive(Debug, Default)]
pub struct Seats(Mutex<HashMap<String, Lock>>);

/// Permission to run a turn in a session, released on drop.
#[derive(Debug)]
pub struct Seat {
    _guard: OwnedMutexGuard<()>,
}

// === impl Seats ===

impl Seats {
    /// Takes the seat of the session, if it is free.
    pub fn try_take(&self, session_id: &str) -> Option<Seat> {
        self.lock(session_id).try_lock_owned().ok().map(|guard| Seat { _guard: guard })
    }

    /// Takes the seat of the session, waiting in FIFO order. Cancel-safe; a cancelled waiter loses its position.
    pub async fn take(&self, session_id: &str) -> Seat {
        let lock = self.lock(session_id);
        Seat { _guard: lock.lock_owned().await }
    }

    fn lock(&self, session_id: &str) -> Lock {
        let mut locks = self.locks();
        // Remove locks that are neither held nor awaited.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(session_id.to_owned()).or_default())
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<String, Lock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_has_one_lock() {
        let seats = Seats::default();
        let seat = seats.try_take("a").unwrap();
        assert!(seats.try_take("a").is_none() && seats.try_take("b").is_some());
        let (next, ()) = tokio::join!(seats.take("a"), async { drop(seat) });
        assert!(seats.try_take("a").is_none());
        drop(next);
        assert!(seats.try_take("a").is_some());
        assert_eq!(seats.locks().len(), 1, "unused locks are removed");
    }
}
