//! Waiting without guessing how long.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep, timeout};

/// Longer than anything takes on a busy machine; only a failing test ever waits so long.
const DEADLINE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(10);

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none after 30 seconds; `what` is the end of the sentence "… did not happen".
pub async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {DEADLINE:?}");
        sleep(INTERVAL).await;
    }
}

/// Asks again and again until there is an answer, however long that takes, as long as it comes nearer: meanwhile `check`
/// says how far it is.
///
/// # Panics
/// When that has not changed for 30 seconds; `what` is the end of the sentence "… did not happen".
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
        assert!(Instant::now() < deadline, "{what} did not happen: nothing moves since {DEADLINE:?} at {reached:?}");
        sleep(INTERVAL).await;
    }
}

/// Waits for `event`.
///
/// # Panics
/// When it has not come after 30 seconds.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, event).await {
        Ok(done) => done,
        Err(_) => panic!("{what} did not happen within {DEADLINE:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_waited_for() {
        let mut asked = 0;
        let found = eventually("the third answer", async || {
            asked += 1;
            (asked == 3).then_some("it")
        });
        assert_eq!(found.await, "it");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "rain did not happen within 30s")]
    async fn what_never_happens_fails_the_test() {
        eventually("rain", async || None::<()>).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_nearer_is_waited_for_however_long_it_takes() {
        let start = Instant::now();
        let found = steadily("the fifth minute", async || match start.elapsed().as_secs() / 20 {
            15.. => Ok("it"),
            so_far => Err(so_far),
        });
        assert_eq!(found.await, "it");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "rain did not happen: nothing moves since 30s at Some(7)")]
    async fn what_stands_still_fails_the_test() {
        steadily("rain", async || Err::<(), _>(7)).await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "rain did not happen within 30s")]
    async fn what_never_ends_fails_the_test() {
        within("rain", std::future::pending::<()>()).await;
    }
}
