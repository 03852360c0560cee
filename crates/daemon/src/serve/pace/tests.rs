//! Tests of the state machine in isolation, with the clock paused.

use std::future::poll_fn;
use std::pin::pin;

use proptest::prelude::*;
use tokio::time::{advance, timeout};

use super::*;

const TIMEOUTS: Timeouts = Timeouts {
    header: Duration::from_secs(10),
    idle: Duration::from_secs(90),
    write: Duration::from_secs(60),
    body: Duration::from_secs(30),
    body_rate: 1024,
};

fn pace() -> Arc<Pace> {
    Arc::new(Pace::new(TIMEOUTS))
}

/// Polls like the connection's task for `time`, and returns whether the connection was overdue within it.
async fn is_overdue_after(pace: &Pace, time: Duration) -> bool {
    let mut timer = pin!(pace.timer());
    timeout(time, poll_fn(|cx| pace.poll_overdue(timer.as_mut(), cx))).await.is_ok()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[tokio::test(start_paused = true)]
async fn a_silent_body_is_late_after_the_timeout() {
    let pace = pace();
    let busy = pace.busy();
    pace.waits_for_body();
    assert!(!is_overdue_after(&pace, secs(29)).await && !pace.is_late());
    assert!(!is_overdue_after(&pace, secs(2)).await);
    assert!(pace.is_late() && busy.is_last(), "the service is notified first");
    drop(busy);
    assert!(!pace.is_late() && !pace.is_busy());
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_late_body_closes_the_connection() {
    let pace = pace();
    let _busy = pace.busy();
    pace.waits_for_body();
    assert!(!is_overdue_after(&pace, secs(30) + TO_ANSWER - Duration::from_millis(10)).await);
    assert!(is_overdue_after(&pace, Duration::from_millis(20)).await);
}

#[tokio::test(start_paused = true)]
async fn a_dripping_body_extends_its_deadline_by_its_bytes() {
    for (per_second, ends) in [(1, true), (1000, true), (1024, false), (4096, false)] {
        let pace = pace();
        let _busy = pace.busy();
        let mut seconds = 0;
        while !pace.is_late() && seconds < 2000 {
            pace.waits_for_body();
            assert!(!is_overdue_after(&pace, secs(1)).await);
            if !pace.is_late() {
                pace.body_arrived(per_second);
            }
            seconds += 1;
        }
        assert_eq!(pace.is_late(), ends, "{per_second} bytes a second");
        if per_second == 1 {
            assert!((30..=31).contains(&seconds), "{seconds}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fast_bytes_do_not_allow_a_longer_silence() {
    let pace = pace();
    let _busy = pace.busy();
    pace.waits_for_body();
    pace.body_arrived(64 << 20);
    pace.waits_for_body();
    assert!(!is_overdue_after(&pace, secs(29)).await && !pace.is_late());
    assert!(!is_overdue_after(&pace, secs(2)).await && pace.is_late());
}

#[tokio::test(start_paused = true)]
async fn time_without_a_reader_does_not_count_against_the_client() {
    let pace = pace();
    let busy = pace.busy();
    pace.waits_for_body();
    pace.body_arrived(1);
    assert!(!is_overdue_after(&pace, secs(3600)).await);
    pace.waits_for_body();
    assert!(!is_overdue_after(&pace, secs(29)).await && !pace.is_late());
    pace.body_arrived(0);
    assert!(!is_overdue_after(&pace, secs(3600)).await && !pace.is_late());
    drop(busy);
}

#[tokio::test(start_paused = true)]
async fn each_request_of_a_connection_has_the_full_timeout() {
    let pace = pace();
    for _ in 0..3 {
        let busy = pace.busy();
        pace.waits_for_body();
        assert!(!is_overdue_after(&pace, secs(29)).await && !pace.is_late());
        pace.body_arrived(1);
        drop(busy);
    }
}

#[tokio::test(start_paused = true)]
async fn only_waiting_connections_are_evicted_idle_ones_first() {
    let now = Instant::now;
    let pace = pace();
    assert_eq!(pace.waiting(now()), None, "its head is arriving");
    advance(SPARED).await;
    assert_eq!(pace.waiting(now()).unwrap().0, Waiting::Head);
    let busy = pace.busy();
    advance(secs(60)).await;
    assert_eq!(pace.waiting(now()), None);
    for waiting in [Waiting::Request, Waiting::Head, Waiting::Body] {
        assert!(!pace.make_room(waiting));
    }
    pace.stalled();
    assert_eq!(pace.waiting(now()), None);
    pace.wrote();
    drop(busy);
    let idle = now();
    advance(secs(1)).await;
    assert_eq!(pace.waiting(now()), Some((Waiting::Request, idle)));
    pace.heard();
    assert!(!pace.make_room(Waiting::Request), "a head has begun to arrive");
    assert!(pace.make_room(Waiting::Head) && is_overdue_after(&pace, Duration::ZERO).await);
    assert!(Waiting::Request < Waiting::Head && Waiting::Head < Waiting::Body);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_arrives_during_eviction_is_answered_as_the_last() {
    let pace = pace();
    drop(pace.busy());
    assert!(pace.make_room(Waiting::Request));
    pace.heard();
    let busy = pace.busy();
    assert!(busy.is_last() && !is_overdue_after(&pace, secs(60)).await);
    drop(busy);
    assert!(!pace.busy().is_last());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_missing_after_its_connection_was_evicted_is_late_soon() {
    for waiting in [Waiting::Head, Waiting::Request] {
        let pace = pace();
        if waiting == Waiting::Request {
            drop(pace.busy());
        }
        assert!(pace.make_room(waiting));
        let busy = pace.busy();
        assert!(pace.is_busy() && !pace.is_late(), "a request without a body is answered");
        pace.waits_for_body();
        assert!(!is_overdue_after(&pace, LAST_BODY - Duration::from_millis(2)).await && !pace.is_late());
        pace.body_arrived(1);
        assert!(!is_overdue_after(&pace, secs(60)).await && !pace.is_late(), "it did arrive");
        pace.waits_for_body();
        assert!(!is_overdue_after(&pace, LAST_BODY).await);
        assert!(pace.is_late() && busy.is_last());
        assert!(!is_overdue_after(&pace, TO_ANSWER - secs(1)).await, "the service is told first");
        assert!(is_overdue_after(&pace, secs(2)).await);
        drop(busy);
        let _next = pace.busy();
        pace.waits_for_body();
        assert!(!is_overdue_after(&pace, secs(29)).await && !pace.is_late(), "it concerns that request only");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waiting_for_its_body_is_answered_before_eviction() {
    let pace = pace();
    let busy = pace.busy();
    pace.waits_for_body();
    assert!(!is_overdue_after(&pace, secs(1)).await);
    assert_eq!(pace.waiting(Instant::now()).unwrap().0, Waiting::Body);
    assert!(pace.make_room(Waiting::Body) && pace.is_late() && busy.is_last());
    assert!(!is_overdue_after(&pace, TO_ANSWER - secs(1)).await);
    assert!(is_overdue_after(&pace, secs(2)).await);
}

#[tokio::test(start_paused = true)]
async fn eviction_wakes_the_connection() {
    let pace = pace();
    drop(pace.busy());
    let waits = tokio::spawn({
        let pace = Arc::clone(&pace);
        async move {
            let begun = Instant::now();
            assert!(is_overdue_after(&pace, secs(80)).await);
            begun.elapsed()
        }
    });
    tokio::time::sleep(secs(5)).await;
    assert!(pace.make_room(Waiting::Request));
    assert_eq!(waits.await.unwrap(), secs(5));
}

proptest! {
    /// The total wait for a body is bounded by the timeout plus the time earned by its bytes, and each single wait by
    /// the timeout, for any sequence of steps.
    #[test]
    fn the_waits_for_a_body_are_bounded(steps in prop::collection::vec((0_u64..34_000, 0_u64..100_000), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let pace = pace();
            let _busy = pace.busy();
            let (mut waited, mut bytes) = (0_u64, 0_u64);
            for (wait, arrives) in steps {
                pace.waits_for_body();
                let overdue = is_overdue_after(&pace, Duration::from_millis(wait)).await;
                waited += wait;
                let allowed = 30_000 + bytes * 1000 / 1024;
                // The connection ends only after the service had time to answer.
                assert!(!overdue || pace.is_late() && (wait >= 34_990 || waited + 10 >= allowed + 5000), "{waited} of {allowed}");
                if pace.is_late() {
                    assert!(wait >= 30_000 || waited + 2 >= allowed, "{waited} of {allowed} ms, the last {wait}");
                    return;
                }
                assert!(wait <= 30_001 && waited <= allowed + 60, "{waited} of {allowed} ms, the last {wait}");
                pace.body_arrived(arrives);
                bytes += arrives;
            }
        });
    }
}
