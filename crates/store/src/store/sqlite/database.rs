//! A SQLite file while it is used: opened again when another file takes its place.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::courtesy::Courtesy;
use super::linked::{Look, Lost};
use super::{Pools, backup, open_file};
use crate::Error;

/// Between two looks at the names of the files by those who read; who writes always looks.
const LOOK: Duration = Duration::from_millis(500);
/// How long calls on a file that is left may take to end.
const LEAVE: Duration = Duration::from_secs(5);

/// An open database. Clones share it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// How the file is opened; `None` in memory.
    options: Option<SqliteConnectOptions>,
    pools: RwLock<Arc<Pools>>,
    courtesy: Courtesy,
    origin: Instant,
    /// When the names were looked at last, in milliseconds after `origin`.
    looked: AtomicU64,
    /// The open file is not the one of that name.
    is_lost: AtomicBool,
    /// Closed for good.
    closed: AtomicBool,
    /// How often it was.
    reopened: AtomicU64,
    /// Held by who opens it again; the file that was found there the last time.
    turn: Mutex<Option<Look>>,
}

// === impl Database ===

impl Database {
    pub(super) fn new(options: Option<SqliteConnectOptions>, pools: Pools, courtesy: Courtesy) -> Self {
        Self(Arc::new(Inner {
            options,
            pools: RwLock::new(Arc::new(pools)),
            courtesy,
            origin: Instant::now(),
            looked: AtomicU64::new(0),
            is_lost: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            reopened: AtomicU64::new(0),
            turn: Mutex::default(),
        }))
    }

    /// The connections as they are.
    pub(in crate::store) fn pools(&self) -> Arc<Pools> {
        Arc::clone(&self.0.pools.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The connections for who reads: where the file is gone, what is open still answers.
    pub(in crate::store) async fn for_reading(&self) -> Arc<Pools> {
        let now = u64::try_from(self.0.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked = self.0.looked.load(Ordering::Relaxed);
        let due = u128::from(now.saturating_sub(looked)) >= LOOK.as_millis();
        if due && self.0.looked.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            // What is wrong has been logged, and who writes is told.
            let _ = self.for_writing().await;
        }
        self.pools()
    }

    /// The connections for who writes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while the file is not the one of its name.
    pub(in crate::store) async fn for_writing(&self) -> Result<Arc<Pools>, Error> {
        let pools = self.pools();
        let Some(lost) = pools.linked.as_ref().and_then(|linked| linked.lost()) else {
            self.0.is_lost.store(false, Ordering::Relaxed);
            return Ok(pools);
        };
        self.note_lost(&pools, lost);
        self.reopen().await?;
        Ok(self.pools())
    }

    /// Whether the open file was not the one of its name when that was looked up last.
    pub(in crate::store) fn is_lost(&self) -> bool {
        self.0.is_lost.load(Ordering::Relaxed)
    }

    /// How often another file was opened instead.
    pub(in crate::store) fn reopened(&self) -> u64 {
        self.0.reopened.load(Ordering::Acquire)
    }

    /// See [`crate::Store::give_way`].
    pub(in crate::store) fn give_way(&self, span: Duration) {
        self.0.courtesy.last(span);
    }

    /// See [`crate::Store::backup`].
    pub(in crate::store) async fn backup(&self, path: &Path) -> Result<(), Error> {
        backup::backup(&self.for_reading().await.read, path).await
    }

    pub(in crate::store) async fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
        // Who is opening it again ends first.
        let _turn = self.0.turn.lock().await;
        let pools = self.pools();
        pools.close().await;
        // The next process would take the log for that of the file which is there now.
        if let Some(linked) = &pools.linked
            && linked.lost() == Some(Lost::Replaced)
            && let Err(error) = linked.move_log_aside()
        {
            tracing::warn!(%error, path = %linked.path().display(), "the log of a replaced database cannot be moved aside");
        }
    }

    #[cfg(test)]
    pub(super) fn courtesy(&self) -> &Courtesy {
        &self.0.courtesy
    }

    fn note_lost(&self, pools: &Pools, lost: Lost) {
        if self.0.is_lost.swap(true, Ordering::Relaxed) {
            return;
        }
        let Some(linked) = &pools.linked else { return };
        tracing::error!(
            path = %linked.path().display(),
            "{}; nothing is written until the file of that name can be opened, which is tried by itself",
            linked.error(lost)
        );
    }

    /// Opens the file that has taken the place of ours.
    async fn reopen(&self) -> Result<(), Error> {
        let (Some(options), old) = (&self.0.options, self.pools()) else { return Ok(()) };
        let mut turn = self.0.turn.lock().await;
        if !Arc::ptr_eq(&old, &self.pools()) {
            // Somebody else has done it meanwhile.
            return Ok(());
        }
        let Some(linked) = &old.linked else { return Ok(()) };
        let Some(lost) = linked.lost() else { return Ok(()) };
        if self.0.closed.load(Ordering::Relaxed) {
            return Err(linked.error(lost));
        }
        // A file that is still being copied there changes from look to look.
        let look = Look::at(linked.path()).map_err(|_| linked.error(lost))?;
        if turn.replace(look) != Some(look) {
            return Err(linked.error(lost));
        }
        let pools = match open_instead(options.clone(), self.0.courtesy.clone(), Arc::clone(&old), lost).await {
            Ok(pools) => pools,
            Err(error) => {
                *turn = None;
                tracing::warn!(%error, path = %linked.path().display(), "the file that has replaced the database cannot be used");
                return Err(Error::Unavailable(format!("{}; it cannot be used: {error}", linked.error(lost)).into()));
            }
        };
        *turn = None;
        *self.0.pools.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pools);
        self.0.reopened.fetch_add(1, Ordering::Release);
        self.0.is_lost.store(false, Ordering::Relaxed);
        tracing::warn!(path = %linked.path().display(), "the database was opened again: another file has its name");
        if timeout(LEAVE, old.close()).await.is_err() {
            tracing::warn!("calls on the database that was replaced do not end; they are left to themselves");
        }
        Ok(())
    }
}

/// Opens a file on a thread of its own: the future of a migration cannot be moved between threads.
async fn open_instead(
    options: SqliteConnectOptions,
    courtesy: Courtesy,
    old: Arc<Pools>,
    lost: Lost,
) -> Result<Pools, Error> {
    let runtime = Handle::current();
    let opening = spawn_blocking(move || runtime.block_on(open_file(options, &courtesy, Some((&old, lost)))));
    opening.await.map_err(|error| Error::Unavailable(error.into()))?
}
