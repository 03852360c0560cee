//! One turn at a time in a chat.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// The sessions in which a turn runs.
#[derive(Debug, Default)]
pub struct Seats(Mutex<HashMap<String, Lock>>);

/// The right to run a turn, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    _guard: OwnedMutexGuard<()>,
}

// === impl Seats ===

impl Seats {
    /// A seat in the session, if nobody has it.
    pub fn try_take(&self, session_id: &str) -> Option<Seat> {
        self.lock(session_id).try_lock_owned().ok().map(|guard| Seat { _guard: guard })
    }

    /// A seat in the session, as soon as those who came before are done.
    pub async fn take(&self, session_id: &str) -> Seat {
        let lock = self.lock(session_id);
        Seat { _guard: lock.lock_owned().await }
    }

    fn lock(&self, session_id: &str) -> Lock {
        let mut locks = self.locks();
        // Those that nobody holds or waits for are not needed any more.
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
    async fn a_session_has_one_seat() {
        let seats = Seats::default();
        let seat = seats.try_take("a").unwrap();
        assert!(seats.try_take("a").is_none() && seats.try_take("b").is_some());
        let (next, ()) = tokio::join!(seats.take("a"), async { drop(seat) });
        assert!(seats.try_take("a").is_none());
        drop(next);
        assert!(seats.try_take("a").is_some());
        assert_eq!(seats.locks().len(), 1, "nothing is left of the others");
    }
}
