use http::{HeaderName, HeaderValue, header::CONTENT_TYPE};
use signalbox_core::{Api, schema::CacheScope};
use tokio::time::{Duration as Time, sleep};

use super::*;

const WHOLE: &str =
    r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
const TRANSLATION: HeaderName = HeaderName::from_static("x-signalbox-translation");

fn cache(max_bytes: u64) -> Arc<AnswerCache> {
    let max_wait = serde_json::from_str(r#""5s""#).unwrap();
    Arc::new(AnswerCache::new(&CacheConfig { max_bytes: Size::from_bytes(max_bytes), max_wait }))
}

fn ask(byte: u8) -> Ask {
    Ask {
        key: Key::of(byte),
        terms: RouteCache { ttl_ms: 1_000, scope: CacheScope::Key, max_answer_bytes: None },
        control: RequestControl { looks_up: true, stores: true, max_age_ms: None },
        api: Api::Chat,
        is_direct: false,
    }
}

async fn missed(cache: &Arc<AnswerCache>, ask: &Ask, now: u64) -> Box<Recorder> {
    match cache.ask(ask, || now).await {
        Found::Miss(recorder) => recorder,
        Found::Hit(..) => panic!("a hit"),
    }
}

async fn hit(cache: &Arc<AnswerCache>, ask: &Ask, now: u64) -> Option<(Arc<StoredAnswer>, u64)> {
    match cache.ask(ask, || now).await {
        Found::Hit(answer, age) => Some((answer, age)),
        Found::Miss(_) => None,
    }
}

fn answered(mut recorder: Box<Recorder>, body: &str, now: u64) {
    recorder.head(200, false);
    recorder.push(body.as_bytes());
    recorder.finish(&Recorded { request: Uuid::from_u128(1), provider: Some("p"), model: None, now });
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_given_again_until_its_time_is_over() {
    let cache = cache(1 << 20);
    let mut recorder = missed(&cache, &ask(1), 0).await;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("set-cookie", HeaderValue::from_static("no"));
    recorder.headers(&headers, &TRANSLATION);
    answered(recorder, WHOLE, 100);
    let (answer, age) = hit(&cache, &ask(1), 600).await.unwrap();
    assert_eq!((&answer.body[..], age), (WHOLE.as_bytes(), 500));
    assert_eq!((answer.headers.len(), answer.provider.as_deref()), (1, Some("p")));
    assert!(hit(&cache, &ask(2), 600).await.is_none(), "another key");
    assert!(hit(&cache, &ask(1), 1_099).await.is_some());
    assert!(hit(&cache, &ask(1), 1_100).await.is_none(), "expired");
    assert_eq!(cache.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_wishes_of_the_client_count() {
    let cache = cache(1 << 20);
    let wish = |control: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static(control));
        Ask { control: RequestControl::read(&headers), ..ask(1) }
    };
    answered(missed(&cache, &wish("no-store"), 0).await, WHOLE, 0);
    assert!(hit(&cache, &ask(1), 0).await.is_none(), "not stored");
    answered(missed(&cache, &wish("no-cache"), 0).await, WHOLE, 0);
    assert!(hit(&cache, &ask(1), 0).await.is_some(), "stored");
    assert!(hit(&cache, &wish("no-cache"), 0).await.is_none());
    let ask = Ask { control: RequestControl { max_age_ms: Some(300), ..ask(1).control }, ..ask(1) };
    assert!(hit(&cache, &ask, 300).await.is_some());
    drop(missed(&cache, &ask, 301).await);
    assert!(hit(&cache, &self::ask(1), 301).await.is_some(), "still there for others");
}

#[tokio::test(start_paused = true)]
async fn what_is_incomplete_failed_or_too_long_is_not_stored() {
    let cache = cache(1 << 20);
    answered(missed(&cache, &ask(1), 0).await, &WHOLE.replace("stop", "length"), 0);
    assert!(hit(&cache, &ask(1), 0).await.is_none());
    let mut recorder = missed(&cache, &ask(1), 0).await;
    recorder.head(500, false);
    recorder.push(WHOLE.as_bytes());
    recorder.finish(&Recorded { request: Uuid::nil(), provider: None, model: None, now: 0 });
    assert!(hit(&cache, &ask(1), 0).await.is_none());
    let short = Ask { terms: RouteCache { max_answer_bytes: Some(10), ..ask(1).terms }, ..ask(1) };
    answered(missed(&cache, &short, 0).await, WHOLE, 0);
    assert!(hit(&cache, &ask(1), 0).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn equal_requests_wait_for_the_first() {
    let cache = cache(1 << 20);
    let first = missed(&cache, &ask(1), 0).await;
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move { hit(&cache, &ask(1), 0).await.is_some() })
        })
        .collect();
    sleep(Time::from_secs(1)).await;
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    answered(first, WHOLE, 0);
    for waiting in waiting {
        assert!(waiting.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_first_fails_or_is_slow_each_asks_for_itself() {
    let cache = cache(1 << 20);
    for fails in [true, false] {
        let first = missed(&cache, &ask(1), 0).await;
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let cache = Arc::clone(&cache);
                tokio::spawn(async move { hit(&cache, &ask(1), 0).await.is_none() })
            })
            .collect();
        let begun = tokio::time::Instant::now();
        sleep(Time::from_millis(10)).await;
        let first = (!fails).then_some(first);
        for waiting in waiting {
            assert!(waiting.await.unwrap());
        }
        let waited = begun.elapsed();
        assert!(if fails { waited < Time::from_secs(1) } else { waited >= Time::from_secs(5) }, "{waited:?}");
        drop(first);
    }
}

/// Returns an answer of Chat of about this length.
fn long(bytes: usize) -> String {
    WHOLE.replace("hi", &"x".repeat(bytes))
}

#[tokio::test(start_paused = true)]
async fn the_largest_permitted_answer_is_kept_on_any_number_of_cores() {
    for max_bytes in [64_u64 << 20, 200 << 20, 1 << 30] {
        let largest = Ask { terms: RouteCache { max_answer_bytes: Some(MAX_CACHED_ANSWER), ..ask(1).terms }, ..ask(1) };
        let (cache, len) = (cache(max_bytes), MAX_CACHED_ANSWER.min(max_bytes / 100 * 96));
        answered(missed(&cache, &largest, 0).await, &long(usize::try_from(len).unwrap() - 200), 0);
        assert!(hit(&cache, &ask(1), 0).await.is_some(), "{max_bytes}");
    }
    let shards = |max_bytes| cache(max_bytes).answers.num_shards();
    assert_eq!((shards(64 << 20), shards(1 << 30), shards(1 << 40)), (1, 8, 64));
    assert_eq!((shards(0), shards(1)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_bytes_that_recorders_hold_are_bounded_together() {
    let cache = cache(1 << 20);
    let half = "x".repeat(600 << 10);
    let mut first = missed(&cache, &ask(1), 0).await;
    first.push(half.as_bytes());
    let mut second = missed(&cache, &ask(2), 0).await;
    second.head(200, false);
    second.push(half.as_bytes());
    assert_eq!(cache.recorded.load(Ordering::Relaxed), 600 << 10);
    second.push(WHOLE.as_bytes());
    second.finish(&Recorded { request: Uuid::nil(), provider: None, model: None, now: 0 });
    assert!(hit(&cache, &ask(2), 0).await.is_none(), "an answer without room is not kept");
    drop(first);
    assert_eq!(cache.recorded.load(Ordering::Relaxed), 0);
    answered(missed(&cache, &ask(2), 0).await, WHOLE, 0);
    assert!(hit(&cache, &ask(2), 0).await.is_some(), "there is room again");
    assert_eq!(cache.recorded.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_answer_is_forgotten() {
    const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[]}"#;

    let cache = cache(1 << 20);
    let responses = |byte| Ask { api: Api::Responses, ..ask(byte) };
    answered(missed(&cache, &responses(1), 0).await, RESPONSE, 0);
    answered(missed(&cache, &responses(2), 0).await, &RESPONSE.replace("resp_1", "resp_2"), 0);
    answered(missed(&cache, &ask(3), 0).await, WHOLE, 0);
    cache.forget("resp_1");
    let kept = (1..=3).map(|byte| cache.answers.get(&Key::of(byte)).is_some()).collect::<Vec<_>>();
    assert_eq!(kept, [false, true, true]);
    let (answer, _) = hit(&cache, &responses(2), 0).await.unwrap();
    assert_eq!(answer.response_id.as_deref(), Some("resp_2"));
    cache.remove(&Key::of(2), &StoredAnswer { request: Uuid::from_u128(9), ..copy(&answer) });
    assert!(hit(&cache, &responses(2), 0).await.is_some(), "a newer answer stays");
    cache.remove(&Key::of(2), &answer);
    assert!(hit(&cache, &responses(2), 0).await.is_none());
}

fn copy(answer: &StoredAnswer) -> StoredAnswer {
    StoredAnswer {
        request: answer.request,
        stored_at: answer.stored_at,
        headers: answer.headers.clone(),
        provider: answer.provider.clone(),
        model: answer.model.clone(),
        streamed: answer.streamed,
        response_id: answer.response_id.clone(),
        body: answer.body.clone(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_bytes_are_bounded() {
    let cache = cache(100 << 10);
    for byte in 0..=255 {
        answered(missed(&cache, &ask(byte), 0).await, WHOLE, 0);
        assert!(cache.bytes() <= 100 << 10, "{}", cache.bytes());
    }
    let kept = (0..=255).filter(|byte| cache.answers.get(&Key::of(*byte)).is_some()).count();
    assert!((100..250).contains(&kept), "{kept}");
    assert_eq!(cache.clear(), kept);
    assert_eq!(cache.bytes(), 0);
    let nothing = self::cache(0);
    answered(missed(&nothing, &ask(1), 0).await, WHOLE, 0);
    assert!(hit(&nothing, &ask(1), 0).await.is_none());
}
