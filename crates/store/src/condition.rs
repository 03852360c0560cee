//! A condition for the writes of a task. A task-local variable holds it, so that it need not be passed through all
//! functions.

use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static VERSION: i64;
}

/// Runs `work`, whose writes fail with [`Error::Stale`](crate::Error::Stale) unless the catalogue has this
/// [`version`](crate::catalog::version). The check and the write are one transaction.
pub fn only_at<F: Future>(version: i64, work: F) -> TaskLocalFuture<i64, F> {
    VERSION.scope(version, work)
}

/// Returns the version that the catalogue must have for writes of the current task, if any.
pub(crate) fn expected() -> Option<i64> {
    VERSION.try_with(|version| *version).ok()
}
