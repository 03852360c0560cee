//! Tests of failures and their error bodies.

use signalbox_core::secret::MASK;

use super::*;

fn refused(body: &'static [u8]) -> AttemptError {
    let headers = HeaderMap::from_iter([
        (HeaderName::from_static("request-id"), HeaderValue::from_static("key sk-canary-1")),
        (HeaderName::from_static("retry-after"), HeaderValue::from_static("5")),
    ]);
    AttemptError::Status {
        status: StatusCode::UNAUTHORIZED,
        headers: Box::new(headers),
        body: Bytes::from_static(body),
    }
}

#[test]
fn a_key_echoed_by_a_provider_is_masked() {
    let masker = Masker::new(["sk-canary-1".to_owned(), "second-canary".to_owned()]);
    let body = br#"{"error":{"message":"no: sk-canary-1, sk\u002dcanary-1 and second-canary"}}"#;
    let AttemptError::Status { headers, body, .. } = refused(body).masked(&masker) else { panic!("another failure") };
    assert_eq!(body, format!(r#"{{"error":{{"message":"no: {MASK}, {MASK} and {MASK}"}}}}"#));
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["retry-after"]);
    let invalid = AttemptError::Invalid { reason: "odd: sk-canary-1".into() }.masked(&masker);
    assert!(matches!(invalid, AttemptError::Invalid { reason } if reason == format!("odd: {MASK}")));
    for body in [
        r#"{"error":"sk-canary-1"}"#,
        r#"{"error":{"message":"m","code":"sk-canary-1"}}"#,
        r#"{"error":{"message":"m","type":"sk-canary-1"}}"#,
        r#"{"error":{"message":"m","param":"sk-canary-1"}}"#,
        r#"{"type":"error","code":"sk-canary-1","message":"m"}"#,
    ] {
        let body = Bytes::from(body);
        let error = Box::new(provider_error(&body).unwrap());
        let reported = AttemptError::Reported { error, body }.masked(&masker);
        assert!(!format!("{reported:?} {reported}").contains("canary"), "{reported:?}");
    }
}

#[test]
fn other_errors_are_passed_on_unchanged() {
    let masker = Masker::new(["sk-canary-2".to_owned()]);
    let AttemptError::Status { headers, body, .. } = refused(b"\xff sk-other").masked(&masker) else {
        panic!("another failure")
    };
    assert_eq!((headers.len(), &*body), (2, &b"\xff sk-other"[..]));
}

#[test]
fn the_status_of_an_error_with_status_200_is_taken_from_its_body() {
    for (body, status, another) in [
        (r#"{"error":{"message":"slow down","code":429}}"#, 429, true),
        (r#"{"error":{"message":"too long","code":400}}"#, 400, false),
        (r#"{"error":{"message":"pay","code":402}}"#, 402, true),
        (r#"{"error":{"message":"odd","code":200}}"#, 502, true),
        (r#"{"error":{"message":"odd","code":999}}"#, 502, true),
        (r#"{"error":"plain"}"#, 502, true),
    ] {
        let body = Bytes::from(body);
        let failure = AttemptError::Reported { error: Box::new(provider_error(&body).unwrap()), body: body.clone() };
        assert_eq!(failure.status().unwrap().as_u16(), status, "{body:?}");
        assert_eq!(failure.may_try_next(), another, "{body:?}");
    }
}

#[test]
fn errors_of_any_shape_are_converted_to_the_openai_shape() {
    let own = Bytes::from_static(br#"{"error":{"message":"own","x":1}}"#);
    assert_eq!(error_body(Api::Chat, StatusCode::BAD_REQUEST, own.clone(), provider_error(&own).as_ref(), "1"), own);
    for body in [
        r#"{"message":"words"}"#,
        r#"{"error":"words"}"#,
        r#"[{"error":{"message":"words"}}]"#,
        r#"{"detail":"words"}"#,
        r#"{"choices":[{"index":0,"finish_reason":"error","error":{"message":"words"}}]}"#,
    ] {
        let body = Bytes::from(body);
        let shown = error_body(Api::Chat, StatusCode::BAD_REQUEST, body.clone(), message_of(&body).as_ref(), "1");
        let shown: ErrorBody = serde_json::from_slice(&shown).unwrap();
        assert_eq!(shown.error.message, "words", "{body:?}");
    }
    let shown = error_body(Api::Chat, StatusCode::BAD_GATEWAY, Bytes::from_static(b"<html>busy"), None, "1");
    assert!(String::from_utf8_lossy(&shown).contains("502 Bad Gateway: <html>busy"));
}

#[test]
fn errors_are_converted_between_the_apis() {
    let of_messages = Bytes::from_static(
        br#"{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"req_1"}"#,
    );
    let of_chat = Bytes::from_static(br#"{"error":{"message":"slow","type":"requests","code":"rate_limit_exceeded"}}"#);
    let shown = |api, status: u16, body: &Bytes| {
        let status = StatusCode::from_u16(status).unwrap();
        String::from_utf8(error_body(api, status, body.clone(), message_of(body).as_ref(), "id").to_vec()).unwrap()
    };
    // The client's own form passes unchanged.
    assert_eq!(shown(Api::Messages, 529, &of_messages), String::from_utf8_lossy(&of_messages));
    assert_eq!(shown(Api::Responses, 429, &of_chat), String::from_utf8_lossy(&of_chat));
    let body = shown(Api::Chat, 529, &of_messages);
    assert!(body.contains(r#""code":"overloaded""#) && body.contains("busy"), "{body}");
    assert_eq!(
        shown(Api::Messages, 429, &of_chat),
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"},"request_id":"id"}"#
    );
    let body = shown(Api::Messages, 502, &Bytes::from_static(b"<html>busy"));
    assert!(body.contains("502 Bad Gateway: <html>busy") && body.contains("api_error"), "{body}");
    let timeout = AttemptError::Misconfigured { provider: "p".into(), reason: "r".into() };
    let (status, _, body, _) = timeout.client_message(Api::Messages, "id");
    assert!(status == 502 && body.starts_with(br#"{"type":"error","error":{"type":"api_error""#), "{body:?}");
}

#[test]
fn binary_errors_are_described_by_their_size() {
    let shown =
        error_body(Api::Chat, StatusCode::BAD_GATEWAY, Bytes::from_static(b"\x1f\x9d\x90\x00 noise"), None, "1");
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("10 bytes of binary data") && !shown.contains("noise"), "{shown}");
    // Latin-1 counts as text.
    let shown = error_body(Api::Chat, StatusCode::BAD_GATEWAY, Bytes::from_static(b"gest\xf6rt"), None, "1");
    assert!(String::from_utf8_lossy(&shown).contains("gest\u{fffd}rt"));
}

#[test]
fn an_invalid_status_becomes_502() {
    for (from, to) in [
        (400, 400),
        (418, 418),
        (429, 429),
        (499, 499),
        (500, 500),
        (529, 529),
        (599, 599),
        (600, 502),
        (999, 502),
        (101, 502),
        (304, 502),
        (307, 502),
    ] {
        let status = StatusCode::from_u16(from).unwrap();
        let failure = AttemptError::Status { status, headers: Box::default(), body: Bytes::new() };
        assert_eq!(failure.client_message(Api::Chat, "1").0, to, "{from}");
    }
}

#[test]
fn an_unregistered_status_has_a_reason_phrase() {
    let of_provider = Some("Provider Error");
    for (status, reason) in
        [(499, Some("Request Cancelled")), (529, of_provider), (599, of_provider), (404, None), (502, None)]
    {
        let response = response_of(StatusCode::from_u16(status).unwrap(), HeaderMap::new(), Bytes::new());
        let phrase = response.extensions().get::<ReasonPhrase>();
        assert_eq!(phrase.map(ReasonPhrase::as_bytes), reason.map(str::as_bytes), "{status}");
    }
}

#[test]
fn a_refusal_of_the_token_counts_is_recognised() {
    let status = |status: u16, body: &'static str| AttemptError::Status {
        status: StatusCode::from_u16(status).unwrap(),
        headers: Box::default(),
        body: Bytes::from_static(body.as_bytes()),
    };
    for (failure, refuses) in [
        (status(400, r#"{"error":{"message":"Unrecognized request argument: stream_options"}}"#), true),
        (status(422, r#"{"detail":[{"loc":["body","stream_options"],"type":"extra_forbidden"}]}"#), true),
        (status(400, r#"{"error":{"param":"include_usage"}}"#), true),
        (status(400, r#"{"error":{"message":"too long"}}"#), false),
        (status(500, "stream_options"), false),
        (AttemptError::NoCandidate, false),
    ] {
        assert_eq!(failure.refuses_usage(), refuses, "{failure:?}");
    }
}
