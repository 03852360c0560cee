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

fn activity() -> Arc<ConnectionActivity> {
    Arc::new(ConnectionActivity::new(TIMEOUTS))
}

/// Polls like the connection's task for `time`, and returns whether the connection was overdue within it.
async fn is_overdue_after(activity: &ConnectionActivity, time: Duration) -> bool {
    let mut timer = pin!(activity.timer());
    timeout(time, poll_fn(|cx| activity.poll_overdue(timer.as_mut(), cx))).await.is_ok()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[tokio::test(start_paused = true)]
async fn a_silent_body_is_late_after_the_timeout() {
    let activity = activity();
    let busy = activity.begin_request();
    activity.on_body_wait();
    assert!(!is_overdue_after(&activity, secs(29)).await && !activity.is_late());
    assert!(!is_overdue_after(&activity, secs(2)).await);
    assert!(activity.is_late() && busy.is_last(), "the service is notified first");
    drop(busy);
    assert!(!activity.is_late() && !activity.is_busy());
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_late_body_closes_the_connection() {
    let activity = activity();
    let _busy = activity.begin_request();
    activity.on_body_wait();
    assert!(!is_overdue_after(&activity, secs(30) + LATE_BODY_RESPONSE_TIMEOUT - Duration::from_millis(10)).await);
    assert!(is_overdue_after(&activity, Duration::from_millis(20)).await);
}

#[tokio::test(start_paused = true)]
async fn a_dripping_body_extends_its_deadline_by_its_bytes() {
    for (per_second, ends) in [(1, true), (1000, true), (1024, false), (4096, false)] {
        let activity = activity();
        let _busy = activity.begin_request();
        let mut seconds = 0;
        while !activity.is_late() && seconds < 2000 {
            activity.on_body_wait();
            assert!(!is_overdue_after(&activity, secs(1)).await);
            if !activity.is_late() {
                activity.on_body_read(per_second);
            }
            seconds += 1;
        }
        assert_eq!(activity.is_late(), ends, "{per_second} bytes a second");
        if per_second == 1 {
            assert!((30..=31).contains(&seconds), "{seconds}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fast_bytes_do_not_allow_a_longer_silence() {
    let activity = activity();
    let _busy = activity.begin_request();
    activity.on_body_wait();
    activity.on_body_read(64 << 20);
    activity.on_body_wait();
    assert!(!is_overdue_after(&activity, secs(29)).await && !activity.is_late());
    assert!(!is_overdue_after(&activity, secs(2)).await && activity.is_late());
}

#[tokio::test(start_paused = true)]
async fn time_without_a_reader_does_not_count_against_the_client() {
    let activity = activity();
    let busy = activity.begin_request();
    activity.on_body_wait();
    activity.on_body_read(1);
    assert!(!is_overdue_after(&activity, secs(3600)).await);
    activity.on_body_wait();
    assert!(!is_overdue_after(&activity, secs(29)).await && !activity.is_late());
    activity.on_body_read(0);
    assert!(!is_overdue_after(&activity, secs(3600)).await && !activity.is_late());
    drop(busy);
}

#[tokio::test(start_paused = true)]
async fn each_request_of_a_connection_has_the_full_timeout() {
    let activity = activity();
    for _ in 0..3 {
        let busy = activity.begin_request();
        activity.on_body_wait();
        assert!(!is_overdue_after(&activity, secs(29)).await && !activity.is_late());
        activity.on_body_read(1);
        drop(busy);
    }
}

#[tokio::test(start_paused = true)]
async fn only_waiting_connections_are_evicted_idle_ones_first() {
    let now = Instant::now;
    let activity = activity();
    assert_eq!(activity.waiting(now()), None, "its head is arriving");
    advance(EVICTION_GRACE).await;
    assert_eq!(activity.waiting(now()).unwrap().0, WaitKind::Head);
    let busy = activity.begin_request();
    advance(secs(60)).await;
    assert_eq!(activity.waiting(now()), None);
    for waiting in [WaitKind::Request, WaitKind::Head, WaitKind::Body] {
        assert!(!activity.try_evict(waiting));
    }
    activity.on_write_blocked();
    assert_eq!(activity.waiting(now()), None);
    activity.on_write();
    drop(busy);
    let idle = now();
    advance(secs(1)).await;
    assert_eq!(activity.waiting(now()), Some((WaitKind::Request, idle)));
    activity.on_read();
    assert!(!activity.try_evict(WaitKind::Request), "a head has begun to arrive");
    assert!(activity.try_evict(WaitKind::Head) && is_overdue_after(&activity, Duration::ZERO).await);
    assert!(WaitKind::Request < WaitKind::Head && WaitKind::Head < WaitKind::Body);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_arrives_during_eviction_is_answered_as_the_last() {
    let activity = activity();
    drop(activity.begin_request());
    assert!(activity.try_evict(WaitKind::Request));
    activity.on_read();
    let busy = activity.begin_request();
    assert!(busy.is_last() && !is_overdue_after(&activity, secs(60)).await);
    drop(busy);
    assert!(!activity.begin_request().is_last());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_missing_after_its_connection_was_evicted_is_late_soon() {
    for waiting in [WaitKind::Head, WaitKind::Request] {
        let activity = activity();
        if waiting == WaitKind::Request {
            drop(activity.begin_request());
        }
        assert!(activity.try_evict(waiting));
        let busy = activity.begin_request();
        assert!(activity.is_busy() && !activity.is_late(), "a request without a body is answered");
        activity.on_body_wait();
        assert!(!is_overdue_after(&activity, LAST_BODY - Duration::from_millis(2)).await && !activity.is_late());
        activity.on_body_read(1);
        assert!(!is_overdue_after(&activity, secs(60)).await && !activity.is_late(), "it did arrive");
        activity.on_body_wait();
        assert!(!is_overdue_after(&activity, LAST_BODY).await);
        assert!(activity.is_late() && busy.is_last());
        assert!(!is_overdue_after(&activity, LATE_BODY_RESPONSE_TIMEOUT - secs(1)).await, "the service is told first");
        assert!(is_overdue_after(&activity, secs(2)).await);
        drop(busy);
        let _next = activity.begin_request();
        activity.on_body_wait();
        assert!(!is_overdue_after(&activity, secs(29)).await && !activity.is_late(), "it concerns that request only");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waiting_for_its_body_is_answered_before_eviction() {
    let activity = activity();
    let busy = activity.begin_request();
    activity.on_body_wait();
    assert!(!is_overdue_after(&activity, secs(1)).await);
    assert_eq!(activity.waiting(Instant::now()).unwrap().0, WaitKind::Body);
    assert!(activity.try_evict(WaitKind::Body) && activity.is_late() && busy.is_last());
    assert!(!is_overdue_after(&activity, LATE_BODY_RESPONSE_TIMEOUT - secs(1)).await);
    assert!(is_overdue_after(&activity, secs(2)).await);
}

#[tokio::test(start_paused = true)]
async fn eviction_wakes_the_connection() {
    let activity = activity();
    drop(activity.begin_request());
    let waits = tokio::spawn({
        let activity = Arc::clone(&activity);
        async move {
            let begun = Instant::now();
            assert!(is_overdue_after(&activity, secs(80)).await);
            begun.elapsed()
        }
    });
    tokio::time::sleep(secs(5)).await;
    assert!(activity.try_evict(WaitKind::Request));
    assert_eq!(waits.await.unwrap(), secs(5));
}

proptest! {
    /// The total wait for a body is bounded by the timeout plus the time earned by its bytes, and each single wait by
    /// the timeout, for any sequence of steps.
    #[test]
    fn the_waits_for_a_body_are_bounded(steps in prop::collection::vec((0_u64..34_000, 0_u64..100_000), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let activity = activity();
            let _busy = activity.begin_request();
            let (mut waited, mut bytes) = (0_u64, 0_u64);
            for (wait, arrives) in steps {
                activity.on_body_wait();
                let overdue = is_overdue_after(&activity, Duration::from_millis(wait)).await;
                waited += wait;
                let allowed = 30_000 + bytes * 1000 / 1024;
                // The connection ends only after the service had time to answer.
                assert!(!overdue || activity.is_late() && (wait >= 34_990 || waited + 10 >= allowed + 5000), "{waited} of {allowed}");
                if activity.is_late() {
                    assert!(wait >= 30_000 || waited + 2 >= allowed, "{waited} of {allowed} ms, the last {wait}");
                    return;
                }
                assert!(wait <= 30_001 && waited <= allowed + 60, "{waited} of {allowed} ms, the last {wait}");
                activity.on_body_read(arrives);
                bytes += arrives;
            }
        });
    }
}
