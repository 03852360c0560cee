use signalbox_core::{
    openai::Usage,
    schema::{CacheOutcome, CacheRecord},
};

use super::{super::record::Summary, *};

fn transcript(request: &str) -> Transcript {
    let begin = Begin {
        received_at: 5,
        path: "/v1/chat/completions".into(),
        model: "m".into(),
        stream: true,
        session: None,
        previous: None,
        key: None,
    };
    Transcript::new(Uuid::from_u128(1), begin, request.as_bytes())
}

fn end(transcript: &Transcript, status: RequestStatus) -> End {
    End { status, error: None, ..transcript.interrupted() }
}

const FIRST: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

#[test]
fn the_second_turn_joins_the_session_of_the_first() {
    let first = transcript(FIRST);
    let answer = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let end = end(&first, RequestStatus::Completed);
    let row = first.ended(end, answer.to_vec(), None);
    assert_eq!(row.begun.session, SessionRef::Opens);
    let hash = row.ended.unwrap().opening_hash.unwrap();
    let second = transcript(
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"},{"role":"user","content":"more"}]}"#,
    );
    assert_eq!(second.begun().begun.session, SessionRef::Continues(hash));
}

#[test]
fn a_request_that_continues_an_answer_follows_its_request() {
    let id = Uuid::from_u128(7);
    let next = |previous: &str, session: Option<&str>| {
        let mut next = transcript(
            r#"{"model":"m","input":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}"#,
        );
        next.begin.path = "/v1/responses".into();
        (next.begin.previous, next.begin.session) = (Some(previous.to_owned()), session.map(str::to_owned));
        next.begun().begun.session
    };
    let own = format!("resp_{}", id.simple());
    assert_eq!(next(&own, None), SessionRef::Follows(id.to_string()));
    assert_eq!(next(&own, Some("named")), SessionRef::Named("named".into()));

    // The provider's own id is known by the end of the exchange that has it.
    let hash = conversation::answer_hash("resp_of_provider");
    assert_eq!(next("resp_of_provider", None), SessionRef::Continues(hash.clone()));
    let kept = |request: &str, answered: &str, path: &str| {
        let mut first = transcript(request);
        (first.begin.path, first.begin.stream) = (path.into(), false);
        let end = end(&first, RequestStatus::Completed);
        let body = format!(r#"{{"id":"{answered}","object":"response","status":"completed","output":[]}}"#);
        first.ended(end, body.into_bytes(), None).ended.unwrap().answer_hash
    };
    let path = "/v1/responses";
    assert_eq!(kept(r#"{"input":"hi"}"#, "resp_of_provider", path), Some(hash.clone()));
    assert_eq!(kept(r#"{"input":"hi","store":true}"#, "resp_of_provider", path), Some(hash));
    assert_eq!(kept(r#"{"input":"hi","store":false}"#, "resp_of_provider", path), None);
    assert_eq!(kept(r#"{"input":"hi"}"#, &own, path), None);
    assert_eq!(kept(FIRST, "resp_of_provider", "/v1/chat/completions"), None);
}

#[test]
fn a_client_that_disconnects_after_the_finish_reason_is_complete() {
    let cut = |bytes: &[u8]| {
        let first = transcript(FIRST);
        let end = end(&first, RequestStatus::ClientDisconnected);
        first.ended(end, bytes.to_vec(), None).ended.unwrap().status
    };
    assert_eq!(cut(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"), RequestStatus::ClientDisconnected);
    assert_eq!(cut(b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"), RequestStatus::Completed);
    // The log has a whole answer before its client has.
    let first = transcript(FIRST);
    let end = End { streamed: false, ..end(&first, RequestStatus::ClientDisconnected) };
    let whole = r#"{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let row = first.ended(end, whole.into(), None).ended.unwrap();
    assert_eq!((row.status, row.finish_reason.as_deref()), (RequestStatus::ClientDisconnected, Some("stop")));
}

#[test]
fn a_truncated_answer_keeps_its_token_counts() {
    let usage = Usage::new(1, 2);
    for (streamed, cut) in [(true, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\nda"), (false, "{\"choi")] {
        let first = transcript(FIRST);
        let summary = Some(Box::new(Summary { usage: Some(usage), finish_reason: Some("stop".into()) }));
        let end = End { streamed, summary, truncated: true, ..end(&first, RequestStatus::Completed) };
        let row = first.ended(end, cut.as_bytes().to_vec(), None).ended.unwrap();
        assert_eq!((row.usage, row.finish_reason.as_deref()), (Some(usage), Some("stop")));
        assert!(row.response_body.is_some() && row.truncated);
    }
}

#[test]
fn bodies_that_are_not_json_are_stored_as_valid_text() {
    let broken = transcript("\0not json");
    let end = End { streamed: false, ..end(&broken, RequestStatus::Failed) };
    let row = broken.ended(end, b"<html>\0\xFF".to_vec(), None);
    assert_eq!(&*row.begun.request_body, "\u{FFFD}not json");
    assert_eq!(row.ended.unwrap().response_body.unwrap(), "<html>\u{FFFD}\u{FFFD}");
}

#[test]
fn fields_that_the_target_set_and_the_plan_are_in_the_row() {
    let first = transcript(FIRST);
    let params = serde_json::from_str(r#"{"temperature":0}"#).unwrap();
    let plan = RoutingRecord { route: Some("r".into()), ..RoutingRecord::default() };
    let ended = End {
        params: Some(Box::new(params)),
        plan: Some(Box::new(plan.clone())),
        ..end(&first, RequestStatus::Completed)
    };
    // In the form in which the journal has it.
    let ended: End = serde_json::from_slice(&serde_json::to_vec(&ended).unwrap()).unwrap();
    let row = first.ended(ended, Vec::new(), None).ended.unwrap();
    assert!(row.upstream_request.unwrap().starts_with(r#"{"temperature":0,"model":"m""#));
    assert_eq!(serde_json::from_str::<RoutingRecord>(&row.plan.unwrap()).unwrap(), plan);
}

#[test]
fn an_answer_that_was_given_again_costs_nothing_and_has_no_tokens() {
    let first = transcript(FIRST);
    let cache = CacheRecord { outcome: CacheOutcome::Hit, request_id: Some("r".into()), age_ms: Some(7) };
    let plan = Some(Box::new(RoutingRecord { cache: Some(cache), ..RoutingRecord::default() }));
    let whole = r#"{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
    let ended = End { plan, streamed: false, status_code: Some(200), ..end(&first, RequestStatus::Completed) };
    let row = first.ended(ended, whole.as_bytes().to_vec(), None).ended.unwrap();
    assert_eq!((row.cost, row.usage), (Some(RequestCost::of_cache()), None));
    assert_eq!((row.status, row.finish_reason.as_deref()), (RequestStatus::Completed, Some("stop")));
}

#[test]
fn records_without_a_plan_are_read_and_written_as_before() {
    let first = transcript(FIRST);
    let old = serde_json::to_string(&end(&first, RequestStatus::Completed)).unwrap();
    assert!(!old.contains("plan") && !old.contains("params"), "{old}");
    assert_eq!(serde_json::from_str::<End>(&old).unwrap(), end(&first, RequestStatus::Completed));
}

#[test]
fn a_renamed_model_is_shown_as_sent_upstream() {
    let first = transcript(FIRST);
    let ended = End { upstream_model: Some("other".into()), ..end(&first, RequestStatus::Completed) };
    let row = first.ended(ended, Vec::new(), None).ended.unwrap();
    assert_eq!(row.upstream_request.unwrap(), r#"{"model":"other","messages":[{"role":"user","content":"hi"}]}"#);
    let first = transcript(FIRST);
    let ended = End { counted: true, ..end(&first, RequestStatus::Completed) };
    let row = first.ended(ended, Vec::new(), None).ended.unwrap();
    assert!(row.upstream_request.unwrap().contains(r#""stream_options":{"include_usage":true}"#));
}
