//! Idle connections, waiting to be used again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;
use crate::target::Origin;

/// Keeps idle connections by origin. The one that was used last goes first, so that the others can grow old and leave.
///
/// Nobody polls an idle connection and no task watches it: what happened to it meanwhile is found when it is used, and
/// what is past its time leaves when others come and go, or when somebody asks how many there are.
pub(crate) struct Pool {
    idle: Mutex<Idle>,
    max_per_origin: usize,
    timeout: Duration,
}

struct Idle {
    by_origin: HashMap<Arc<Origin>, Vec<Parked>>,
    next_sweep: Instant,
}

struct Parked {
    connection: Box<Connection>,
    since: Instant,
}

// === impl Pool ===

impl Pool {
    pub(crate) fn new(max_per_origin: usize, timeout: Duration) -> Self {
        let idle = Idle { by_origin: HashMap::new(), next_sweep: Instant::now() };
        Self { idle: Mutex::new(idle), max_per_origin, timeout }
    }

    /// Takes the connection to `origin` that was used last, unless even that one is past its time.
    pub(crate) fn take(&self, origin: &Origin) -> Option<Box<Connection>> {
        let mut idle = self.lock();
        let connections = idle.by_origin.get_mut(origin)?;
        let newest = connections.pop()?;
        let now = Instant::now();
        if newest.is_fresh(now, self.timeout) {
            return Some(newest.connection);
        }
        // The others are older still. Closing sockets is not for the time in which others wait for the lock.
        let expired = std::mem::take(connections);
        drop(idle);
        drop((newest, expired));
        None
    }

    /// Keeps a reusable connection, or closes it when there are enough of them.
    pub(crate) fn put(&self, connection: Box<Connection>) {
        let now = Instant::now();
        let mut idle = self.lock();
        let connections = match idle.by_origin.get_mut(connection.origin()) {
            Some(connections) => connections,
            None => idle.by_origin.entry(Arc::clone(connection.origin())).or_default(),
        };
        let surplus = if connections.len() < self.max_per_origin {
            connections.push(Parked { connection, since: now });
            None
        } else {
            Some(connection)
        };
        let expired = if idle.next_sweep <= now { idle.sweep(now, self.timeout) } else { Vec::new() };
        drop(idle);
        drop((surplus, expired));
    }

    /// How many connections wait. Those past their time are closed first.
    pub(crate) fn len(&self) -> usize {
        let mut idle = self.lock();
        let expired = idle.sweep(Instant::now(), self.timeout);
        let count = idle.by_origin.values().map(Vec::len).sum();
        drop(idle);
        drop(expired);
        count
    }

    /// A panic elsewhere cannot leave the map half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Idle ===

impl Idle {
    /// Removes what is past its time, and origins without connections. The result is for dropping outside the lock.
    fn sweep(&mut self, now: Instant, timeout: Duration) -> Vec<Parked> {
        let mut expired = Vec::new();
        self.by_origin.retain(|_, connections| {
            // Oldest first: they are pushed when they become idle and popped from the end.
            let fresh_from = connections.partition_point(|parked| !parked.is_fresh(now, timeout));
            expired.extend(connections.drain(..fresh_from));
            !connections.is_empty()
        });
        self.next_sweep = now + timeout.min(MAX_SWEEP_INTERVAL);
        expired
    }
}

/// However long connections may idle, origins nobody uses any more are forgotten in time.
const MAX_SWEEP_INTERVAL: Duration = Duration::from_secs(60);

// === impl Parked ===

impl Parked {
    fn is_fresh(&self, now: Instant, timeout: Duration) -> bool {
        now.saturating_duration_since(self.since) < timeout
    }
}
