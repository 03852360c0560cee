//! Queues of limits, on a paused clock.

use std::sync::Mutex;

use signalbox_core::schema::{LimitQueue, RoutePlan};
use tokio::{sync::oneshot, task::JoinHandle};

use super::*;

fn queued(rpm: Option<u32>, concurrency: Option<u32>, max_waiting: u32, timeout_ms: u64) -> KeyGrant {
    let queue = Some(LimitQueue { max_waiting, timeout_ms });
    KeyGrant { limits: KeyLimits { rpm, tpm: None, concurrency, queue }, ..KeyGrant::default() }
}

/// Lets the tasks that can run do so.
async fn settle_down() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Asks for admission in a task of its own, which writes down its name when it is admitted and holds the reservation
/// until it is released.
fn ask(
    ledger: &Arc<Ledger>,
    selected: &Selected,
    (name, priority): (&'static str, Priority),
    admitted: &Arc<Mutex<Vec<&'static str>>>,
) -> (JoinHandle<Result<(), Denial>>, oneshot::Sender<()>) {
    let (ledger, selected, admitted) = (Arc::clone(ledger), selected.clone(), Arc::clone(admitted));
    let (release, released) = oneshot::channel();
    let task = tokio::spawn(async move {
        let held = ledger.admit(&selected, &Estimate::default(), (priority, never())).await?;
        admitted.lock().unwrap().push(name);
        let _ = released.await;
        held.settle(0, 0);
        Ok(())
    });
    (task, release)
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_the_rate_in_the_order_of_their_arrival() {
    let (ledger, selected) = one(queued(Some(1), None, 8, 300_000));
    let started = Instant::now();
    let mut times = Vec::new();
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let (ledger, selected) = (Arc::clone(&ledger), selected.clone());
            tokio::spawn(async move {
                ledger.admit(&selected, &Estimate::default(), (Priority::Normal, never())).await.unwrap().settle(0, 0);
                started.elapsed().as_secs()
            })
        })
        .collect();
    for task in tasks {
        times.push(task.await.unwrap());
    }
    assert_eq!(times, [0, 61, 122]);
}

#[tokio::test(start_paused = true)]
async fn urgent_requests_come_first_and_newcomers_do_not_overtake() {
    let (ledger, selected) = one(queued(None, Some(1), 8, 60_000));
    let admitted = Arc::default();
    let asked = |name, priority| ask(&ledger, &selected, (name, priority), &admitted);
    let mut waiting = vec![asked("first", Priority::Normal)];
    settle_down().await;
    for (name, priority) in [
        ("low", Priority::Low),
        ("normal 1", Priority::Normal),
        ("high 1", Priority::High),
        ("normal 2", Priority::Normal),
        ("high 2", Priority::High),
    ] {
        waiting.push(asked(name, priority));
        settle_down().await;
    }
    let expected = ["first", "high 1", "high 2", "normal 1", "normal 2", "low"];
    let order = [0, 3, 5, 2, 4, 1];
    let mut waiting: Vec<_> = waiting.into_iter().map(Some).collect();
    for (n, at) in order.into_iter().enumerate() {
        assert_eq!(*admitted.lock().unwrap(), expected[..=n]);
        let (task, release) = waiting[at].take().unwrap();
        release.send(()).unwrap();
        task.await.unwrap().unwrap();
        settle_down().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once_and_a_long_wait_ends() {
    let (ledger, selected) = one(queued(None, Some(1), 2, 5_000));
    let admitted = Arc::default();
    let asked = |name| ask(&ledger, &selected, (name, Priority::Normal), &admitted);
    let (_first, release) = asked("first");
    settle_down().await;
    let started = Instant::now();
    let (waiting, _held) = asked("waiting");
    let (gone, _held) = asked("gone");
    settle_down().await;
    let (refused, _held) = asked("refused");
    assert!(matches!(refused.await.unwrap(), Err(Denial::Concurrency { limit: 1, .. })));
    assert_eq!(started.elapsed(), Duration::ZERO);
    // A client that leaves makes room.
    gone.abort();
    settle_down().await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let (late, _held) = asked("late");
    assert!(matches!(waiting.await.unwrap(), Err(Denial::Concurrency { limit: 1, .. })));
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    release.send(()).unwrap();
    settle_down().await;
    assert!(!late.is_finished());
    assert_eq!(*admitted.lock().unwrap(), ["first", "late"]);
}

#[tokio::test(start_paused = true)]
async fn all_queues_together_have_a_bound() {
    let keys = ["k", "l", "m"].map(|id| key(id, queued(None, Some(1), 8, 60_000)));
    let ledger = Arc::new(Ledger::new(2));
    ledger.update(&keys, &Budgets::default(), &[]);
    let select = |key: usize| ledger.select(Some(&Caller::issued(&keys[key])), None).unwrap();
    let admitted = Arc::default();
    let asked = |name, key| ask(&ledger, &select(key), (name, Priority::Normal), &admitted);
    let (_k, release) = asked("k", 0);
    let _others = [asked("l", 1), asked("m", 2)];
    settle_down().await;
    let waiting = [asked("k waits", 0), asked("l waits", 1)];
    settle_down().await;
    let started = Instant::now();
    let (refused, _held) = asked("refused", 2);
    assert!(matches!(refused.await.unwrap(), Err(Denial::Concurrency { limit: 1, .. })));
    assert_eq!(started.elapsed(), Duration::ZERO, "its own queue is empty, but too many requests wait in others");
    release.send(()).unwrap();
    settle_down().await;
    let (late, _held) = asked("late", 2);
    settle_down().await;
    assert!(!late.is_finished() && !waiting[1].0.is_finished(), "the one that was admitted has made room");
    assert_eq!(*admitted.lock().unwrap(), ["k", "l", "m", "k waits"]);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_request_ends_the_wait() {
    for grant in [queued(None, Some(1), 8, 60_000), budget(1.0)] {
        let (ledger, selected) = one(grant);
        let _held = ledger.admit(&selected, &estimate(0, DOLLAR), (Priority::Normal, never())).await.unwrap();
        let (started, wait) = (Instant::now(), Duration::from_secs(3));
        let denied = ledger.admit(&selected, &estimate(0, DOLLAR), (Priority::Normal, started + wait)).await;
        assert!(matches!(denied, Err(Denial::Concurrency { .. } | Denial::Reserved { .. })));
        assert_eq!(started.elapsed(), wait);
        ledger.admit(&selected, &estimate(0, DOLLAR), (Priority::Normal, started)).await.unwrap_err();
        assert_eq!(started.elapsed(), wait, "a deadline that is over leaves no wait");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_nobody_waits() {
    let (ledger, selected) = one(limits(None, None, Some(1)));
    let _held = ledger.admit(&selected, &Estimate::default(), (Priority::High, never())).await.unwrap();
    let denied = ledger.admit(&selected, &Estimate::default(), (Priority::High, never())).await.unwrap_err();
    assert_eq!(
        denied.to_string(),
        "this API key is limited to 1 requests in flight; try again when one of them has ended"
    );
}

#[tokio::test(start_paused = true)]
async fn a_route_has_limits_and_a_queue_of_its_own() {
    let keys = [key("k", limits(Some(5), None, None)), key("l", KeyGrant::default())];
    let limits = KeyLimits { rpm: Some(2), ..KeyLimits::default() };
    let plan = RoutePlan { limits, ..RoutePlan::default() };
    let mut route = Route { id: "r".into(), model: "fast".into(), enabled: true, plan, created_at: 0, updated_at: 0 };
    let ledger = Arc::new(Ledger::new(usize::MAX));
    ledger.update(&keys, &Budgets::default(), std::slice::from_ref(&route));
    let select = |key: usize, route| ledger.select(Some(&Caller::issued(&keys[key])), route);
    assert!(select(1, None).is_none() && select(1, Some("other")).is_none());
    let admit = async |selected: Option<Selected>| {
        ledger.admit(&selected.unwrap(), &Estimate::default(), (Priority::Normal, never())).await
    };
    admit(select(0, Some("r"))).await.unwrap().settle(0, 0);
    admit(select(1, Some("r"))).await.unwrap().settle(0, 0);
    let denied = admit(select(0, Some("r"))).await.unwrap_err();
    assert!(denied.to_string().starts_with("the route `fast` is limited to 2 requests per minute; try again in 61 s"));
    assert_eq!(select(0, Some("r")).unwrap().quotas(ledger.now()).requests.unwrap().remaining, 4, "nothing was used");
    assert_eq!(select(1, Some("r")).unwrap().quotas(ledger.now()).requests.unwrap().limit, 2);
    // The used share stays when the limits change.
    route.plan.limits.queue = Some(LimitQueue { max_waiting: 1, timeout_ms: 100_000 });
    ledger.update(&keys, &Budgets::default(), std::slice::from_ref(&route));
    let started = Instant::now();
    admit(select(1, Some("r"))).await.unwrap().settle(0, 0);
    assert_eq!(started.elapsed().as_secs(), 61);
    ledger.update(&keys, &Budgets::default(), &[]);
    assert!(select(1, Some("r")).is_none());
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_in_two_queues_do_not_wait_for_each_other() {
    let keys = ["k", "l"].map(|id| key(id, queued(None, Some(1), 50, 600_000)));
    let queue = Some(LimitQueue { max_waiting: 100, timeout_ms: 600_000 });
    let limits = KeyLimits { concurrency: Some(1), queue, ..KeyLimits::default() };
    let plan = RoutePlan { limits, ..RoutePlan::default() };
    let route = Route { id: "r".into(), model: "fast".into(), enabled: true, plan, created_at: 0, updated_at: 0 };
    let ledger = Arc::new(Ledger::new(usize::MAX));
    ledger.update(&keys, &Budgets::default(), &[route]);
    let tasks: Vec<_> = (0..60)
        .map(|n| {
            let selected = ledger.select(Some(&Caller::issued(&keys[n % 2])), Some("r")).unwrap();
            let ledger = Arc::clone(&ledger);
            let priority = [Priority::High, Priority::Normal, Priority::Low][n % 3];
            tokio::spawn(async move {
                let held = ledger.admit(&selected, &Estimate::default(), (priority, never())).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
                held.settle(0, 0);
            })
        })
        .collect();
    let started = Instant::now();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(started.elapsed().as_secs(), 60, "one after the other, without a pause");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_its_key_holds_back_does_not_hold_back_the_route() {
    let keys = [key("k", queued(Some(1), None, 50, 600_000)), key("l", KeyGrant::default())];
    let queue = Some(LimitQueue { max_waiting: 100, timeout_ms: 600_000 });
    let limits = KeyLimits { concurrency: Some(1), queue, ..KeyLimits::default() };
    let plan = RoutePlan { limits, ..RoutePlan::default() };
    let route = Route { id: "r".into(), model: "fast".into(), enabled: true, plan, created_at: 0, updated_at: 0 };
    let ledger = Arc::new(Ledger::new(usize::MAX));
    ledger.update(&keys, &Budgets::default(), &[route]);
    let select = |key: usize, route| ledger.select(Some(&Caller::issued(&keys[key])), route).unwrap();
    let admitted = Arc::default();
    let asked = |name, key, route| ask(&ledger, &select(key, route), (name, Priority::Normal), &admitted);
    let first = asked("first", 1, Some("r"));
    settle_down().await;
    // It waits for the route; meanwhile another request of its key uses up the rate.
    let held_back = asked("held back", 0, Some("r"));
    settle_down().await;
    let behind = asked("behind", 1, Some("r"));
    let elsewhere = asked("elsewhere", 0, None);
    settle_down().await;
    first.1.send(()).unwrap();
    settle_down().await;
    assert_eq!(*admitted.lock().unwrap(), ["first", "elsewhere", "behind"]);
    for request in [behind, elsewhere, held_back] {
        request.1.send(()).unwrap();
        request.0.await.unwrap().unwrap();
    }
}
