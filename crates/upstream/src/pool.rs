//! Keeps idle connections for reuse.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;
use crate::target::Origin;

/// Idle connections by origin. The most recently used one is reused first, so that the others can expire.
///
/// Idle connections are not polled, and no task watches them: their state is checked when they are used, and expired
/// ones are removed when other connections are taken or put back, or when they are counted.
pub(crate) struct Pool {
    idle: Mutex<Idle>,
    max_per_origin: usize,
    timeout: Duration,
}

struct Idle {
    by_origin: HashMap<Arc<Origin>, Vec<IdleConnection>>,
    next_sweep: Instant,
}

struct IdleConnection {
    connection: Box<Connection>,
    since: Instant,
}

// === impl Pool ===

impl Pool {
    pub(crate) fn new(max_per_origin: usize, timeout: Duration) -> Self {
        let idle = Idle { by_origin: HashMap::new(), next_sweep: Instant::now() };
        Self { idle: Mutex::new(idle), max_per_origin, timeout }
    }

    /// Takes the most recently used connection to `origin`, unless it has expired.
    pub(crate) fn take(&self, origin: &Origin) -> Option<Box<Connection>> {
        let mut idle = self.lock();
        let connections = idle.by_origin.get_mut(origin)?;
        let newest = connections.pop()?;
        let now = Instant::now();
        if newest.is_fresh(now, self.timeout) {
            return Some(newest.connection);
        }
        // The other connections are even older. They are dropped after the lock is released, because closing sockets
        // takes time.
        let expired = std::mem::take(connections);
        drop(idle);
        drop((newest, expired));
        None
    }

    /// Keeps a reusable connection, or closes it if there are enough of them.
    pub(crate) fn put(&self, connection: Box<Connection>) {
        let now = Instant::now();
        let mut idle = self.lock();
        let connections = match idle.by_origin.get_mut(connection.origin()) {
            Some(connections) => connections,
            None => idle.by_origin.entry(Arc::clone(connection.origin())).or_default(),
        };
        let surplus = if connections.len() < self.max_per_origin {
            connections.push(IdleConnection { connection, since: now });
            None
        } else {
            Some(connection)
        };
        let expired = if idle.next_sweep <= now { idle.sweep(now, self.timeout) } else { Vec::new() };
        drop(idle);
        drop((surplus, expired));
    }

    /// Returns the number of idle connections, after closing expired ones.
    pub(crate) fn len(&self) -> usize {
        let mut idle = self.lock();
        let expired = idle.sweep(Instant::now(), self.timeout);
        let count = idle.by_origin.values().map(Vec::len).sum();
        drop(idle);
        drop(expired);
        count
    }

    /// Locks the pool, ignoring poisoning: a panic cannot leave the map in an inconsistent state.
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Idle ===

impl Idle {
    /// Removes expired connections, and origins without connections. The caller drops the result outside of the lock.
    fn sweep(&mut self, now: Instant, timeout: Duration) -> Vec<IdleConnection> {
        let mut expired = Vec::new();
        self.by_origin.retain(|_, connections| {
            // Ordered by age, the oldest first: connections are pushed when they become idle and popped from the end.
            let fresh_from = connections.partition_point(|parked| !parked.is_fresh(now, timeout));
            expired.extend(connections.drain(..fresh_from));
            !connections.is_empty()
        });
        self.next_sweep = now + timeout.min(MAX_SWEEP_INTERVAL);
        expired
    }
}

/// Maximum interval between sweeps, so that unused origins are removed even if connections may stay idle for long.
const MAX_SWEEP_INTERVAL: Duration = Duration::from_secs(60);

// === impl IdleConnection ===

impl IdleConnection {
    fn is_fresh(&self, now: Instant, timeout: Duration) -> bool {
        now.saturating_duration_since(self.since) < timeout
    }
}
