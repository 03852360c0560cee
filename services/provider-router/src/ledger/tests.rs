use std::sync::atomic::{AtomicU32, AtomicU64};

use proptest::prelude::*;
use signalbox_core::schema::{KeyBudget, KeyGrant, Priority};

use super::*;

mod queue;

const DOLLAR: i64 = 1_000_000_000;
const DAY: i64 = 86_400_000;
/// Place of a request that does not wait.
const NEXT: Place = Place { priority: Priority::Normal, number: 0 };
const START: Now = Now { monotonic_ms: 0, unix_ms: 0 };

fn key(id: &str, grant: KeyGrant) -> ApiKey {
    ApiKey {
        id: id.to_owned(),
        name: format!("name of {id}"),
        hint: String::new(),
        digest: String::new(),
        previous_digest: None,
        previous_expires_at: None,
        grant,
        expires_at: None,
        revoked_at: None,
        created_at: 0,
        updated_at: 0,
    }
}

/// Returns a time at which no wait of a test ends.
fn never() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}

fn limits(rpm: Option<u32>, tpm: Option<u64>, concurrency: Option<u32>) -> KeyGrant {
    KeyGrant { limits: KeyLimits { rpm, tpm, concurrency, queue: None }, ..KeyGrant::default() }
}

fn budget(amount_usd: f64) -> KeyGrant {
    KeyGrant { budget: Some(day(amount_usd)), ..KeyGrant::default() }
}

fn day(amount_usd: f64) -> KeyBudget {
    KeyBudget { amount_usd, period: BudgetPeriod::Day }
}

fn ledger(keys: &[ApiKey], budgets: &Budgets) -> Arc<Ledger> {
    let ledger = Arc::new(Ledger::new(usize::MAX));
    ledger.update(keys, budgets, &[]);
    ledger
}

fn one(grant: KeyGrant) -> (Arc<Ledger>, Selected) {
    let key = key("k", grant);
    let ledger = ledger(std::slice::from_ref(&key), &Budgets::default());
    let selected = ledger.select(Some(&Caller::issued(&key)), None).unwrap();
    (ledger, selected)
}

fn estimate(tokens: u64, nanos: i64) -> Estimate {
    Estimate { tokens, nanos, is_unpriced: false }
}

/// Reserves at this time, in milliseconds of both clocks.
fn at(ledger: &Arc<Ledger>, selected: &Selected, estimate: &Estimate, ms: u64) -> Result<Reservation, Denial> {
    let now = Now { monotonic_ms: ms, unix_ms: i64::try_from(ms).unwrap() };
    ledger.reserve(selected, estimate, now, NEXT).map_err(|(denial, _)| denial)
}

#[test]
fn without_limits_there_is_nothing_to_reserve() {
    let plain = key("k", KeyGrant::default());
    let ledger = ledger(std::slice::from_ref(&plain), &Budgets::default());
    assert!(ledger.select(None, None).is_none());
    assert!(ledger.select(Some(&Caller::issued(&plain)), None).is_none());
    assert!(ledger.select(Some(&Caller::configured(1, None)), None).is_none());
    assert!(!ledger.has_budgets());
    assert_eq!((ledger.name_of("k").as_deref(), ledger.name_of("x")), (Some("name of k"), None));
}

#[test]
fn requests_in_flight_are_limited() {
    let (ledger, selected) = one(limits(None, None, Some(2)));
    let first = at(&ledger, &selected, &estimate(0, 0), 0).unwrap();
    let second = at(&ledger, &selected, &estimate(0, 0), 0).unwrap();
    assert_eq!(
        at(&ledger, &selected, &estimate(0, 0), 0).unwrap_err(),
        Denial::Concurrency { scope: Scope::Key, limit: 2 }
    );
    first.settle(0, 0);
    let _third = at(&ledger, &selected, &estimate(0, 0), 0).unwrap();
    drop(second);
    at(&ledger, &selected, &estimate(0, 0), 0).unwrap();
}

#[test]
fn a_denied_request_uses_nothing() {
    let (ledger, selected) = one(limits(Some(3), Some(100), Some(1)));
    let held = at(&ledger, &selected, &estimate(60, 0), 0).unwrap();
    at(&ledger, &selected, &estimate(60, 0), 0).unwrap_err();
    held.settle(60, 0);
    let denied = at(&ledger, &selected, &estimate(60, 0), 0).unwrap_err();
    let quotas = denied.quotas().unwrap();
    assert_eq!((quotas.requests.unwrap().remaining, quotas.tokens.unwrap().remaining), (2, 40));
    assert!(matches!(denied, Denial::Tokens { limit: 100, .. }), "{denied:?}");
    at(&ledger, &selected, &estimate(40, 0), 0).unwrap().settle(40, 0);
    // A request that never began is taken back.
    drop(at(&ledger, &selected, &estimate(0, 0), 0).unwrap());
    at(&ledger, &selected, &estimate(0, 0), 0).unwrap().settle(0, 0);
    assert!(matches!(at(&ledger, &selected, &estimate(0, 0), 0).unwrap_err(), Denial::Requests { limit: 3, .. }));
}

#[test]
fn tokens_are_settled_by_what_was_used() {
    let (ledger, selected) = one(limits(None, Some(100), None));
    at(&ledger, &selected, &estimate(100, 0), 0).unwrap().settle(10, 0);
    let held = at(&ledger, &selected, &estimate(90, 0), 0).unwrap();
    at(&ledger, &selected, &estimate(1, 0), 0).unwrap_err();
    held.settle(500, 0);
    at(&ledger, &selected, &estimate(1, 0), 0).unwrap_err();
    // More than the limit is possible in an empty window.
    at(&ledger, &selected, &estimate(5_000, 0), 120_000).unwrap();
}

#[test]
fn budgets_of_key_owner_and_gateway_all_apply() {
    let of_ann = |id: &str, budget: Option<KeyBudget>| {
        key(id, KeyGrant { owner: Some("ann".to_owned()), budget, ..KeyGrant::default() })
    };
    let keys = [of_ann("k1", Some(day(10.0))), of_ann("k2", None), key("k3", KeyGrant::default())];
    let budgets =
        Budgets { global: Some(day(20.0)), owners: [("ann".to_owned(), day(15.0))].into(), refuses_unpriced: false };
    let ledger = ledger(&keys, &budgets);
    let select = |key: &ApiKey| ledger.select(Some(&Caller::issued(key)), None).unwrap();
    let spend = |key: &ApiKey, dollars: i64| {
        at(&ledger, &select(key), &estimate(0, dollars * DOLLAR), 0)
            .map(|held| held.settle_at(START, 0, dollars * DOLLAR))
    };
    let scope = |denied: Result<(), Denial>| match denied.unwrap_err() {
        Denial::Spent { scope, resets_at: Some(DAY), .. } => scope,
        other => panic!("{other:?}"),
    };
    spend(&keys[0], 10).unwrap();
    assert_eq!(scope(spend(&keys[0], 1)), Scope::Key);
    spend(&keys[1], 5).unwrap();
    assert_eq!(scope(spend(&keys[1], 1)), Scope::Owner("ann".into()));
    spend(&keys[2], 5).unwrap();
    assert_eq!(scope(spend(&keys[2], 1)), Scope::Global);
    let anyone = ledger.select(None, None).unwrap();
    assert!(matches!(at(&ledger, &anyone, &estimate(0, 1), 0), Err(Denial::Spent { scope: Scope::Global, .. })));
    let tomorrow = u64::try_from(DAY).unwrap();
    at(&ledger, &select(&keys[0]), &estimate(0, DOLLAR), tomorrow).unwrap();
}

#[test]
fn unknown_prices_are_refused_only_where_a_budget_applies_and_the_setting_says_so() {
    let keys = [key("k1", budget(1.0)), key("k2", limits(Some(9), None, None))];
    let unpriced = Estimate { is_unpriced: true, ..Estimate::default() };
    for (refuses_unpriced, expected) in [(false, true), (true, false)] {
        let ledger = ledger(&keys, &Budgets { refuses_unpriced, ..Budgets::default() });
        let admitted = |key: &ApiKey| {
            let selected = ledger.select(Some(&Caller::issued(key)), None).unwrap();
            match at(&ledger, &selected, &unpriced, 0) {
                Ok(_) => true,
                Err(denial) => {
                    assert_eq!(denial, Denial::Unpriced);
                    false
                }
            }
        };
        assert_eq!((admitted(&keys[0]), admitted(&keys[1])), (expected, true));
    }
}

#[test]
fn what_was_used_survives_a_change_of_the_limits() {
    let (ledger, selected) = one(KeyGrant { budget: Some(day(10.0)), ..limits(Some(2), None, None) });
    assert!(ledger.take_stale(), "a new budget needs the sums of the database");
    at(&ledger, &selected, &estimate(0, 0), 0).unwrap().settle_at(START, 0, 4 * DOLLAR);
    ledger.update(
        &[key("k", KeyGrant { budget: Some(day(5.0)), ..limits(Some(1), None, None) })],
        &Budgets::default(),
        &[],
    );
    assert!(!ledger.take_stale());
    assert!(matches!(at(&ledger, &selected, &estimate(0, 0), 0).unwrap_err(), Denial::Requests { limit: 1, .. }));
    at(&ledger, &selected, &estimate(0, 0), 120_000).unwrap().settle_at(START, 0, DOLLAR);
    assert!(matches!(at(&ledger, &selected, &estimate(0, 0), 300_000).unwrap_err(), Denial::Spent { .. }));
    ledger.update(&[key("k", KeyGrant { budget: Some(day(6.0)), ..KeyGrant::default() })], &Budgets::default(), &[]);
    at(&ledger, &selected, &estimate(0, 0), 300_000).unwrap();
}

#[test]
fn sums_of_the_database_are_taken_over() {
    let owned = KeyGrant { owner: Some("ann".to_owned()), ..budget(10.0) };
    let keys = [key("k1", owned.clone()), key("k2", KeyGrant { budget: None, ..owned })];
    let budgets =
        Budgets { global: Some(day(100.0)), owners: [("ann".to_owned(), day(50.0))].into(), ..Budgets::default() };
    let ledger = ledger(&keys, &budgets);
    let now_ms = ledger.now().unix_ms;
    let sums = |sums: [(&str, i64); 3]| sums.map(|(key, dollars)| (key.to_owned(), [dollars * DOLLAR; 4])).into();
    ledger.reconcile(now_ms, &sums([("k1", 4), ("k2", 8), ("", 16)]));
    let accounts = ledger.accounts.load();
    let spent = || {
        let key = accounts.keys["k1"].account.as_ref().unwrap().spent();
        [key, accounts.owners["ann"].spent(), accounts.global.as_ref().unwrap().spent()].map(|nanos| nanos / DOLLAR)
    };
    assert_eq!(spent(), [4, 12, 28]);
    let selected = ledger.select(Some(&Caller::issued(&keys[0])), None).unwrap();
    ledger.reserve(&selected, &estimate(0, 0), ledger.now(), NEXT).unwrap().settle(0, DOLLAR);
    assert_eq!(spent(), [5, 13, 29]);
    // Once it is loaded, it is in the sums, and counts once.
    ledger.note_loaded(Some("k1"), ledger.now().unix_ms, DOLLAR);
    assert_eq!(spent(), [5, 13, 29]);
    ledger.reconcile(now_ms, &sums([("k1", 5), ("k2", 8), ("", 16)]));
    assert_eq!(spent(), [5, 13, 29]);
}

#[tokio::test(start_paused = true)]
async fn the_start_waits_for_the_sums() {
    let ledger = ledger(&[key("k", budget(1.0))], &Budgets::default());
    assert!(!ledger.seeded(Duration::from_secs(10)).await);
    ledger.reconcile(0, &Sums::new());
    assert!(ledger.seeded(Duration::from_secs(10)).await);
}

/// Sends 200 requests at the same time, each of which costs a dollar and takes up to this time, on a budget of 50
/// dollars.
async fn served(estimated: i64, longest: Duration) -> (u32, Vec<Denial>) {
    let (ledger, selected) = one(budget(50.0));
    let served = Arc::new(AtomicU32::new(0));
    let requests = (0..200_u32).map(|n| {
        let (ledger, selected, served) = (Arc::clone(&ledger), selected.clone(), Arc::clone(&served));
        tokio::spawn(async move {
            let held = ledger.admit(&selected, &estimate(0, estimated), (Priority::Normal, never())).await?;
            tokio::time::sleep(longest * (n % 7 + 1) / 7).await;
            served.fetch_add(1, Ordering::Relaxed);
            held.settle(0, DOLLAR);
            Ok(())
        })
    });
    let mut denied = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        denied.extend(request.await.unwrap().err());
    }
    (served.load(Ordering::Relaxed), denied)
}

#[tokio::test(start_paused = true)]
async fn a_budget_for_fifty_requests_serves_fifty_of_two_hundred() {
    // Whether the estimate is exact or too high, and whether the answers are fast or slow.
    for estimated in [DOLLAR, 3 * DOLLAR, 1_000 * DOLLAR] {
        for longest in [Duration::from_millis(7), Duration::from_secs(90)] {
            let (served, denied) = served(estimated, longest).await;
            assert_eq!((served, denied.len()), (50, 150), "{estimated} {longest:?}");
            assert!(denied.iter().all(|denial| matches!(denial, Denial::Spent { .. })), "{denied:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_reserved_budget_until_its_own_deadline() {
    let (ledger, selected) = one(budget(1.0));
    let held = ledger.admit(&selected, &estimate(0, DOLLAR), (Priority::Normal, never())).await.unwrap();
    let began = Instant::now();
    let latest = began + Duration::from_secs(77);
    let denied = ledger.admit(&selected, &estimate(0, DOLLAR), (Priority::Normal, latest)).await.unwrap_err();
    assert_eq!(denied, Denial::Reserved { scope: Scope::Key });
    assert_eq!(Instant::now(), latest);
    held.settle(0, DOLLAR / 2);
    ledger.admit(&selected, &estimate(0, DOLLAR), (Priority::Normal, never())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_number_of_waiting_requests_is_bounded() {
    let (ledger, selected) = one(budget(1.0));
    let held = ledger.admit(&selected, &estimate(0, DOLLAR), (Priority::Normal, never())).await.unwrap();
    let requests: Vec<_> = (0..account::MAX_WAITING + 7)
        .map(|_| {
            let (ledger, selected) = (Arc::clone(&ledger), selected.clone());
            tokio::spawn(async move {
                ledger.admit(&selected, &estimate(0, DOLLAR), (Priority::Normal, never())).await.map(drop).unwrap_err()
            })
        })
        .collect();
    // Before the time of waiting is over, all but those that wait have been refused.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(requests.iter().filter(|request| request.is_finished()).count(), 7);
    held.settle(0, DOLLAR);
    let mut spent = 0;
    for request in requests {
        spent += u32::from(matches!(request.await.unwrap(), Denial::Spent { .. }));
    }
    assert_eq!(spent, account::MAX_WAITING);
}

#[test]
fn limits_are_exact_when_many_threads_ask() {
    let (ledger, selected) = one(limits(Some(500), Some(100_000), None));
    let (admitted, tokens) = (AtomicU32::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..500 {
                    if let Ok(held) = at(&ledger, &selected, &estimate(100 + n % 200, 0), 0) {
                        held.settle(100, 0);
                        admitted.fetch_add(1, Ordering::Relaxed);
                        tokens.fetch_add(100, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!((admitted.into_inner(), tokens.into_inner()), (500, 50_000));
}

#[test]
fn ten_thousand_keys_share_no_account_and_those_without_limits_have_none() {
    let grant = |n: u32| if n.is_multiple_of(2) { limits(Some(1), None, None) } else { KeyGrant::default() };
    let keys: Vec<ApiKey> = (0..10_000).map(|n| key(&n.to_string(), grant(n))).collect();
    let ledger = ledger(&keys, &Budgets::default());
    for key in &keys {
        let selected = ledger.select(Some(&Caller::issued(key)), None);
        assert_eq!(selected.is_some(), key.id.parse::<u32>().unwrap().is_multiple_of(2));
        if let Some(selected) = selected {
            at(&ledger, &selected, &estimate(0, 0), 0).unwrap().settle(0, 0);
        }
    }
    let before = ledger.accounts.load_full();
    ledger.update(&keys, &Budgets::default(), &[]);
    let after = ledger.accounts.load_full();
    let account = |accounts: &Accounts, key: &ApiKey| accounts.keys[&*key.id].account.clone();
    assert!(keys.iter().all(|key| match (account(&before, key), account(&after, key)) {
        (Some(before), Some(after)) => Arc::ptr_eq(&before, &after),
        (None, None) => true,
        _ => false,
    }));
}

#[test]
fn a_change_of_one_key_leaves_the_others_as_they_are() {
    let limited = |id: &str, rpm| key(id, limits(Some(rpm), None, None));
    let ledger = ledger(&["a", "b", "c"].map(|id| limited(id, 1)), &Budgets::default());
    let before = ledger.accounts.load_full();
    let changes = |rows: Vec<ApiKey>, gone: &[&str]| KeyChanges {
        is_complete: false,
        rows,
        gone: gone.iter().map(|id| (*id).to_owned()).collect(),
    };
    ledger.change(&changes(Vec::new(), &[]), &Budgets::default(), &[]);
    assert!(Arc::ptr_eq(&ledger.accounts.load().keys, &before.keys), "no key has changed");

    ledger.change(&changes(vec![limited("b", 2), limited("d", 3)], &["c"]), &Budgets::default(), &[]);
    let after = ledger.accounts.load_full();
    let mut ids: Vec<&str> = after.keys.keys().map(|id| &**id).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["a", "b", "d"]);
    assert!(Arc::ptr_eq(&after.keys["a"], &before.keys["a"]));
    let account = |accounts: &Accounts| accounts.keys["b"].account.clone().unwrap();
    assert!(Arc::ptr_eq(&account(&before), &account(&after)), "what was used stays");
}

/// A request at some time, with what it may use, what it uses, and how long it takes.
fn request() -> impl Strategy<Value = (u64, u64, u64, u64)> {
    (0_u64..8_000, 1_u64..60, 0_u64..60, 0_u64..30_000)
}

proptest! {
    #[test]
    fn no_minute_has_more_requests_or_tokens_than_allowed(
        rpm in 1_u32..12,
        tpm in 1_u64..200,
        requests in proptest::collection::vec(request(), 1..120),
    ) {
        let (ledger, selected) = one(limits(Some(rpm), Some(tpm), None));
        let (mut now, mut open, mut admitted) = (0, Vec::<(u64, Reservation, u64)>::new(), Vec::new());
        for (pause, reserved, used, duration) in requests {
            now += pause;
            // Settled with no more than was reserved, at the time of the first request after the end.
            let (ended, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|(end, ..)| *end <= now);
            open = rest;
            for (_, reservation, used) in ended {
                reservation.settle_at(Now { monotonic_ms: now, unix_ms: 0 }, used, 0);
            }
            let reserved = reserved.min(tpm);
            if let Ok(reservation) = at(&ledger, &selected, &estimate(reserved, 0), now) {
                let used = used.min(reserved);
                open.push((now + duration, reservation, used));
                admitted.push((now, used));
            }
        }
        for (end, _) in &admitted {
            let within: Vec<u64> =
                admitted.iter().filter(|(at, _)| at <= end && at + 60_000 > *end).map(|(_, used)| *used).collect();
            prop_assert!(within.len() <= rpm as usize);
            prop_assert!(within.iter().sum::<u64>() <= tpm);
        }
    }

    #[test]
    fn a_budget_is_never_overspent_at_the_same_time(
        amount in 1_i64..50,
        requests in proptest::collection::vec((1_i64..20, 0_i64..20, any::<bool>()), 1..100),
    ) {
        let (ledger, selected) = one(budget(amount as f64));
        let (mut open, mut spent) = (Vec::new(), 0);
        for (reserved, used, ends) in requests {
            let alone = open.is_empty();
            if let Ok(reservation) = at(&ledger, &selected, &estimate(0, reserved * DOLLAR), 0) {
                let others: i64 = open.iter().map(|(_, _, reserved)| reserved).sum();
                prop_assert!(spent < amount);
                prop_assert!(alone || spent + others + reserved <= amount);
                open.push((reservation, used.min(reserved), reserved));
            }
            if ends && let Some((reservation, used, _)) = open.pop() {
                reservation.settle_at(START, 0, used * DOLLAR);
                spent += used;
            }
        }
    }
}
