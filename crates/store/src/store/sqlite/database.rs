//! A SQLite file in use, which is reopened if another file replaces it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::yielder::Yielder;
use super::{Pools, backup, open_file};
use crate::Error;
use crate::linked_file::{FileMetadata, Lost};

/// Interval at which readers check the names of the files; writers always check.
const NAME_CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// Maximum time for calls on an abandoned file to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// An open database. Clones share it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The options for opening the file; `None` for a database in memory.
    options: Option<SqliteConnectOptions>,
    pools: RwLock<Arc<Pools>>,
    yielder: Yielder,
    origin: Instant,
    /// When the names were last checked, in milliseconds after `origin`.
    checked: AtomicU64,
    /// Whether the open file no longer has its name.
    is_lost: AtomicBool,
    /// Whether the database was closed permanently.
    closed: AtomicBool,
    /// How often the database was reopened.
    reopened: AtomicU64,
    /// Serialises reopening; holds the state of the file found at the last attempt.
    turn: Mutex<Option<FileMetadata>>,
}

// === impl Database ===

impl Database {
    pub(super) fn new(options: Option<SqliteConnectOptions>, pools: Pools, yielder: Yielder) -> Self {
        Self(Arc::new(Inner {
            options,
            pools: RwLock::new(Arc::new(pools)),
            yielder,
            origin: Instant::now(),
            checked: AtomicU64::new(0),
            is_lost: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            reopened: AtomicU64::new(0),
            turn: Mutex::default(),
        }))
    }

    /// Returns the current connections.
    pub(in crate::store) fn pools(&self) -> Arc<Pools> {
        Arc::clone(&self.0.pools.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the connections for a reader: if the file was deleted, open connections still work.
    pub(in crate::store) async fn for_reading(&self) -> Arc<Pools> {
        let now = u64::try_from(self.0.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let checked = self.0.checked.load(Ordering::Relaxed);
        let due = u128::from(now.saturating_sub(checked)) >= NAME_CHECK_INTERVAL.as_millis();
        if due && self.0.checked.compare_exchange(checked, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            // The failure has been logged, and writers receive it.
            let _ = self.for_writing().await;
        }
        self.pools()
    }

    /// Returns the connections for a writer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while the open file does not have its name.
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

    /// Returns whether the open file no longer had its name when this was last checked.
    pub(in crate::store) fn is_lost(&self) -> bool {
        self.0.is_lost.load(Ordering::Relaxed)
    }

    /// Returns how often another file was opened in its place.
    pub(in crate::store) fn reopened(&self) -> u64 {
        self.0.reopened.load(Ordering::Acquire)
    }

    /// See [`crate::Store::yield_for`].
    pub(in crate::store) fn yield_for(&self, span: Duration) {
        self.0.yielder.yield_for(span);
    }

    /// See [`crate::Store::backup`].
    pub(in crate::store) async fn backup(&self, path: &Path) -> Result<(), Error> {
        backup::backup(&self.for_reading().await.read, path).await
    }

    pub(in crate::store) async fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
        // Waits for a concurrent attempt to reopen the file.
        let _turn = self.0.turn.lock().await;
        let pools = self.pools();
        if pools.linked.as_ref().and_then(|linked| linked.lost()).is_some_and(Lost::is_outdated) {
            pools.abandon().await;
        } else {
            pools.close().await;
        }
        // Otherwise the next process would use the log for the file that has this name now.
        if let Some(linked) = &pools.linked
            && linked.lost() == Some(Lost::Replaced)
            && let Err(error) = linked.move_log_aside()
        {
            tracing::warn!(
                %error,
                path = %linked.path().display(),
                "cannot move the WAL file of a replaced database aside"
            );
        }
    }

    #[cfg(test)]
    pub(super) fn yielder(&self) -> &Yielder {
        &self.0.yielder
    }

    fn note_lost(&self, pools: &Pools, lost: Lost) {
        if self.0.is_lost.swap(true, Ordering::Relaxed) {
            return;
        }
        let Some(linked) = &pools.linked else { return };
        tracing::error!(
            path = %linked.path().display(),
            "{}; nothing is written until the file can be opened, which is retried automatically",
            linked.error(lost)
        );
    }

    /// Opens the file that has replaced the open one.
    async fn reopen(&self) -> Result<(), Error> {
        let (Some(options), old) = (&self.0.options, self.pools()) else { return Ok(()) };
        let mut turn = self.0.turn.lock().await;
        if !Arc::ptr_eq(&old, &self.pools()) {
            // Another task has reopened it in the meantime.
            return Ok(());
        }
        let Some(linked) = &old.linked else { return Ok(()) };
        let Some(lost) = linked.lost() else { return Ok(()) };
        if self.0.closed.load(Ordering::Relaxed) {
            return Err(linked.error(lost));
        }
        // A file that is still being copied differs from one check to the next.
        let look = FileMetadata::at(linked.path()).map_err(|_| linked.error(lost))?;
        if turn.replace(look) != Some(look) {
            return Err(linked.error(lost));
        }
        let pools = match open_instead(options.clone(), self.0.yielder.clone(), Arc::clone(&old), lost).await {
            Ok(pools) => pools,
            Err(error) => {
                *turn = None;
                tracing::warn!(
                    %error,
                    path = %linked.path().display(),
                    "cannot use the file that replaced the database"
                );
                return Err(Error::Unavailable(format!("{}; it cannot be used: {error}", linked.error(lost)).into()));
            }
        };
        *turn = None;
        *self.0.pools.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pools);
        self.0.reopened.fetch_add(1, Ordering::Release);
        self.0.is_lost.store(false, Ordering::Relaxed);
        tracing::warn!(path = %linked.path().display(), "database reopened, a file of it was deleted or replaced");
        if timeout(CLOSE_TIMEOUT, old.close()).await.is_err() {
            tracing::warn!("calls on the replaced database did not end in time and are no longer awaited");
        }
        Ok(())
    }
}

/// Opens a file on a blocking thread, because the future of a migration is not `Send`.
async fn open_instead(
    options: SqliteConnectOptions,
    yielder: Yielder,
    old: Arc<Pools>,
    lost: Lost,
) -> Result<Pools, Error> {
    let runtime = Handle::current();
    let opening = spawn_blocking(move || runtime.block_on(open_file(options, &yielder, Some((&old, lost)))));
    opening.await.map_err(|error| Error::Unavailable(error.into()))?
}
