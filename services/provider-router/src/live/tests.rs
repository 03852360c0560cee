use super::*;

fn begin(model: &str) -> Begin {
    let (path, model) = ("/v1/chat/completions".to_owned(), model.to_owned());
    Begin { received_at: 7, path, model, stream: true, session: None, previous: None, key: Some("k".to_owned()) }
}

fn ended(status: RequestStatus) -> Ended<'static> {
    let (duration, usage) = (Duration::from_millis(30), Some(Usage::new(2, 3)));
    Ended { status, status_code: Some(200), duration, usage, error: None }
}

#[tokio::test]
async fn a_request_is_listed_until_it_ends() {
    let live = Arc::new(LiveRequests::default());
    let mut entries: Vec<LiveEntry> = (0..40).map(|_| live.enter(Uuid::now_v7(), begin("m"), Instant::now())).collect();
    assert_eq!((live.count(), live.list().len()), (40, 40));
    entries[0].answering(Duration::from_millis(5));
    entries[0].add_bytes(9);
    let id = entries[0].request.id.to_string();
    let shown = live.list().into_iter().find(|request| request.request_id == id).unwrap();
    assert_eq!((shown.phase, shown.first_byte_ms, shown.response_bytes), (Phase::Answering, Some(5), 9));
    assert_eq!((shown.timestamp, &*shown.model, shown.key_id.as_deref()), (7, "m", Some("k")));
    entries[0].end(&ended(RequestStatus::Completed));
    entries[0].end(&ended(RequestStatus::Completed));
    assert_eq!(live.count(), 39);
    drop(entries);
    assert_eq!(live.count(), 0);
    assert_eq!(live.totals().now().ended, 1, "an end counts once");
}

#[tokio::test]
async fn a_request_that_waits_for_a_limit_is_listed_but_has_not_begun() {
    let live = Arc::new(LiveRequests::default());
    let mut events = live.listen();
    let [refused, admitted] = [(); 2].map(|()| live.queue(Uuid::now_v7(), begin("m"), Instant::now()));
    assert!(live.list().iter().all(|request| request.phase == Phase::Queued));
    assert_eq!((live.count(), live.totals().now().requests), (2, 0));
    assert!(events.try_recv().is_err(), "nothing has begun");
    drop(refused);
    let admitted = admitted.begun();
    assert_eq!(live.list().iter().map(|request| request.phase).collect::<Vec<_>>(), [Phase::Waiting]);
    assert!(matches!(&*events.recv().await.unwrap(), LiveEvent::Started(_)));
    assert_eq!(live.totals().now().requests, 1);
    let waiting = live.queue(Uuid::now_v7(), begin("m"), Instant::now());
    assert_eq!(live.cancel(waiting.request.id), Cancellation::Cancelled, "it can be cancelled while it waits");
    assert!(waiting.is_cancelled() && waiting.stop().is_cancelled() && !admitted.is_cancelled());
}

#[tokio::test]
async fn only_the_cancelled_request_stops() {
    let live = Arc::new(LiveRequests::default());
    let [first, second] = [(); 2].map(|()| live.enter(Uuid::now_v7(), begin("m"), Instant::now()));
    assert_eq!(live.cancel(first.request.id), Cancellation::Cancelled);
    assert!(first.is_cancelled() && first.stop().is_cancelled());
    assert!(!second.is_cancelled() && !second.stop().is_cancelled());
    assert_eq!(live.cancel(Uuid::now_v7()), Cancellation::Unknown);
    live.abort.cancel();
    assert!(second.stop().is_cancelled() && !second.is_cancelled(), "a shutdown is no cancellation");
}

#[tokio::test]
async fn a_request_that_has_just_ended_is_remembered() {
    let live = Arc::new(LiveRequests::default());
    let [mut cancelled, mut completed] = [(); 2].map(|()| live.enter(Uuid::now_v7(), begin("m"), Instant::now()));
    let (one, other) = (cancelled.request.id, completed.request.id);
    live.cancel(one);
    cancelled.end(&ended(RequestStatus::Cancelled));
    completed.end(&ended(RequestStatus::Completed));
    assert_eq!((live.cancel(one), live.cancel(one)), (Cancellation::Cancelled, Cancellation::Cancelled));
    assert_eq!(live.cancel(other), Cancellation::Ended);
    // The memory is bounded.
    for _ in 0..SHARDS * MAX_ENDED * 4 {
        drop(live.enter(Uuid::now_v7(), begin("m"), Instant::now()));
    }
    assert!(live.shards.iter().all(|shard| shard.lock().unwrap().ended.len() <= MAX_ENDED));
    assert_eq!(live.cancel(one), Cancellation::Unknown);
}

#[tokio::test]
async fn events_are_told_to_listeners() {
    let live = Arc::new(LiveRequests::default());
    let unheard = live.enter(Uuid::now_v7(), begin("before"), Instant::now());
    let mut events = live.listen();
    let mut entry = live.enter(Uuid::now_v7(), begin("m"), Instant::now());
    assert!(unheard.is_watched());
    entry.end(&ended(RequestStatus::Completed));
    let LiveEvent::Started(started) = &*events.recv().await.unwrap() else { panic!("not the beginning") };
    assert_eq!((&*started.model, started.provider_id.as_deref()), ("m", None));
    let LiveEvent::Ended(last) = &*events.recv().await.unwrap() else { panic!("not the end") };
    assert_eq!((last.status.as_str(), last.duration_ms, last.completion_tokens), ("completed", 30, Some(3)));
    assert_eq!(last.request.request_id, started.request_id);
    let json = serde_json::to_value(LiveEvent::Ended(last.clone())).unwrap();
    assert_eq!(json["ended"]["model"], "m", "the fields of the request are flat: {json}");
    assert_eq!(serde_json::from_value::<LiveEvent>(json).unwrap(), LiveEvent::Ended(last.clone()));
}
