//! Mutual exclusion of the turns in a chat.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// Locks of the sessions in which a turn runs.
#[derive(Debug, Default)]
pub struct SessionLocks(Mutex<HashMap<String, Lock>>);

/// Permission to run a turn in a session, released on drop.
#[derive(Debug)]
pub struct SessionLock {
    _guard: OwnedMutexGuard<()>,
}

// === impl SessionLocks ===

impl SessionLocks {
    /// Locks the session, if it is free.
    pub fn try_acquire(&self, session_id: &str) -> Option<SessionLock> {
        self.lock(session_id).try_lock_owned().ok().map(|guard| SessionLock { _guard: guard })
    }

    /// Locks the session, waiting in FIFO order. Cancel-safe; a cancelled waiter loses its position.
    pub async fn acquire(&self, session_id: &str) -> SessionLock {
        let lock = self.lock(session_id);
        SessionLock { _guard: lock.lock_owned().await }
    }

    fn lock(&self, session_id: &str) -> Lock {
        let mut locks = self.map();
        // Remove locks that are neither held nor awaited.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(session_id.to_owned()).or_default())
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Lock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_has_one_lock() {
        let locks = SessionLocks::default();
        let session_lock = locks.try_acquire("a").unwrap();
        assert!(locks.try_acquire("a").is_none() && locks.try_acquire("b").is_some());
        let (next, ()) = tokio::join!(locks.acquire("a"), async { drop(session_lock) });
        assert!(locks.try_acquire("a").is_none());
        drop(next);
        assert!(locks.try_acquire("a").is_some());
        assert_eq!(locks.map().len(), 1, "unused locks are removed");
    }
}
