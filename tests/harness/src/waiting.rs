//! Waiting with a deadline instead of fixed times.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep, timeout};

/// Longer than any operation takes on a busy machine; only failing tests reach it.
const DEADLINE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(10);

/// Repeats `check` until it returns `Some`.
///
/// # Panics
/// Panics if it has not after 30 seconds; `what` completes "timed out waiting for …".
pub async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "timed out after {DEADLINE:?} waiting for {what}");
        sleep(INTERVAL).await;
    }
}

/// Repeats `check` until it returns `Ok`, without a total deadline as long as there is progress: `Err` holds the state
/// reached so far.
///
/// # Panics
/// Panics if that state has not changed for 30 seconds; `what` completes "timed out waiting for …".
pub async fn steadily<T, P: PartialEq + Debug>(what: &str, mut check: impl AsyncFnMut() -> Result<T, P>) -> T {
    let mut reached = None;
    let mut deadline = Instant::now() + DEADLINE;
    loop {
        let now = match check().await {
            Ok(found) => return found,
            Err(now) => Some(now),
        };
        if now != reached {
            (reached, deadline) = (now, Instant::now() + DEADLINE);
        }
        assert!(Instant::now() < deadline, "no progress for {DEADLINE:?} at {reached:?} while waiting for {what}");
        sleep(INTERVAL).await;
    }
}

/// Waits for `event`.
///
/// # Panics
/// Panics if it does not complete within 30 seconds.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, event).await {
        Ok(done) => done,
        Err(_) => panic!("timed out after {DEADLINE:?} waiting for {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_value_is_awaited() {
        let mut asked = 0;
        let found = eventually("the third answer", async || {
            asked += 1;
            (asked == 3).then_some("it")
        });
        assert_eq!(found.await, "it");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "timed out after 30s waiting for rain")]
    async fn a_condition_that_never_holds_fails_the_test() {
        eventually("rain", async || None::<()>).await;
    }

    #[tokio::test(start_paused = true)]
    async fn progress_extends_the_deadline() {
        let start = Instant::now();
        let found = steadily("the fifth minute", async || match start.elapsed().as_secs() / 20 {
            15.. => Ok("it"),
            so_far => Err(so_far),
        });
        assert_eq!(found.await, "it");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "no progress for 30s at Some(7) while waiting for rain")]
    async fn missing_progress_fails_the_test() {
        steadily("rain", async || Err::<(), _>(7)).await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "timed out after 30s waiting for rain")]
    async fn a_future_that_never_completes_fails_the_test() {
        within("rain", std::future::pending::<()>()).await;
    }
}
