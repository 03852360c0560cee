use super::*;

/// (body, message, status, code, kind)
type Case = (&'static str, &'static str, Option<u16>, Option<&'static str>, Option<&'static str>);

const CASES: [Case; 31] = [
    (
        r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}"#,
        "no",
        Some(400),
        None,
        Some("invalid_request_error"),
    ),
    (
        r#"{"error":{"message":"no","type":"invalid_request_error","code":"invalid_api_key"}}"#,
        "no",
        Some(401),
        Some("invalid_api_key"),
        Some("invalid_request_error"),
    ),
    (
        r#"{"error":{"message":"no","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        "no",
        Some(429),
        Some("insufficient_quota"),
        Some("insufficient_quota"),
    ),
    (
        r#"{"error":{"message":"no","code":429,"metadata":{"error_type":"rate_limit"}},"user_id":"u"}"#,
        "no",
        Some(429),
        Some("429"),
        None,
    ),
    (
        r#"{"id":"g","choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502,"message":"no"}}"#,
        "no",
        Some(502),
        Some("502"),
        None,
    ),
    (
        r#"{"object":"error","message":"no","type":"BadRequestError","param":null,"code":400}"#,
        "no",
        Some(400),
        Some("400"),
        Some("BadRequestError"),
    ),
    (
        r#"{"error":{"message":"no","type":"NotFoundError","param":null,"code":404}}"#,
        "no",
        Some(404),
        Some("404"),
        Some("NotFoundError"),
    ),
    (r#"{"detail":"no"}"#, "no", None, None, None),
    (
        r#"{"detail":[{"loc":["body","messages",0],"msg":"field required","type":"value_error.missing"}]}"#,
        "body.messages.0: field required",
        None,
        None,
        None,
    ),
    (r#"{"detail":{"error":"no"}}"#, "no", None, None, None),
    (r#"{"code":"InvalidApiKey","message":"no","request_id":"r"}"#, "no", Some(401), Some("InvalidApiKey"), None),
    (
        r#"{"code":"Throttling.RateQuota","message":"no","request_id":"r"}"#,
        "no",
        Some(429),
        Some("Throttling.RateQuota"),
        None,
    ),
    (
        r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
        "insufficient balance",
        Some(402),
        Some("1008"),
        None,
    ),
    (
        r#"{"id":"x","choices":null,"base_resp":{"status_code":2013,"status_msg":"no"}}"#,
        "no",
        Some(400),
        Some("2013"),
        None,
    ),
    (
        r#"{"error":{"code":429,"message":"no","status":"RESOURCE_EXHAUSTED","details":[]}}"#,
        "no",
        Some(429),
        Some("RESOURCE_EXHAUSTED"),
        None,
    ),
    (
        r#"[{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}]"#,
        "no",
        Some(400),
        Some("INVALID_ARGUMENT"),
        None,
    ),
    (r#"{"error_message":"no"}"#, "no", None, None, None),
    (r#"{"error_code":17,"error_msg":"no"}"#, "no", None, Some("17"), None),
    (r#"{"error":"no"}"#, "no", None, None, None),
    (r#"{"error":"Unauthorized","message":"no","statusCode":401}"#, "Unauthorized", Some(401), None, None),
    (r#"{"error":true,"message":"no","code":503}"#, "no", Some(503), Some("503"), None),
    (r#"{"error":"invalid_grant","error_description":"no"}"#, "invalid_grant", None, None, None),
    (r#"{"message":"no"}"#, "no", None, None, None),
    (r#"{"msg":"no","code":"500"}"#, "no", Some(500), Some("500"), None),
    (
        r#"{"type":"error","error":{"type":"overloaded_error","message":"no"},"request_id":"r"}"#,
        "no",
        Some(529),
        None,
        Some("overloaded_error"),
    ),
    (
        r#"{"error":{"error":{"message":"no","code":"rate_limit_exceeded"}}}"#,
        "no",
        Some(429),
        Some("rate_limit_exceeded"),
        None,
    ),
    (r#"{"success":false,"errors":[{"code":7003,"message":"no"}],"result":null}"#, "no", None, None, None),
    (
        r#"{"type":"about:blank","title":"Bad","status":403,"detail":"no"}"#,
        "no",
        Some(403),
        Some("403"),
        Some("about:blank"),
    ),
    (r#"{"error":{}}"#, r#"{"error":{}}"#, None, None, None),
    (
        r#"{"error":{"code":"model_not_found"}}"#,
        r#"{"error":{"code":"model_not_found"}}"#,
        Some(404),
        Some("model_not_found"),
        None,
    ),
    (
        r#"{"error":{"message":{"en":"no"},"code":"400.0"}}"#,
        r#"{"error":{"code":"400.0","message":{"en":"no"}}}"#,
        None,
        Some("400.0"),
        None,
    ),
];

#[test]
fn every_shape_yields_its_message_and_status() {
    for (body, message, status, code, kind) in CASES {
        let error = provider_error(body.as_bytes());
        let error = error.as_ref().map(|e| (e.message.as_str(), e.status, e.code.as_deref(), e.kind.as_deref()));
        assert_eq!(error, Some((message, status, code, kind)), "{body}");
    }
}

#[test]
fn answers_and_other_documents_are_not_errors() {
    for body in [
        r#"{"choices":[{"message":{"content":"hi"}}],"error":null}"#,
        r#"{"choices":[{"message":{"content":"hi"}}],"error":{},"message":"fine","code":500}"#,
        r#"{"choices":[{}],"base_resp":{"status_code":0,"status_msg":"success"}}"#,
        r#"{"id":"x","message":"hello"}"#,
        r#"{"model":"m","message":{"role":"assistant","content":"hi"},"done":false}"#,
        r#"{"data":[],"object":"list"}"#,
        r#"{"error":null}"#,
        r#"{"error":false}"#,
        r#"{"code":200,"msg":"ok"}"#,
        "{}",
        "[]",
        "7",
        "no",
        "<html>",
        "",
    ] {
        assert_eq!(provider_error(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn binary_and_long_values_are_quoted() {
    assert_eq!(provider_error(b"\xEF\xBB\xBF {\"error\":{\"message\":\"n\xFFo\"}}").unwrap().message, "n\u{FFFD}o");
    assert_eq!(provider_error(br#"{"error":{"message":"\ud83d!"}}"#).unwrap().message, "\u{FFFD}!");
    let long = format!(r#"{{"error":[{}7]}}"#, "7,".repeat(1 << 20));
    assert!(provider_error(long.as_bytes()).unwrap().message.len() <= MAX_PARSED_VALUE);
}

#[test]
fn the_error_also_has_the_openai_shape() {
    let object = provider_error(br#"{"error":{"message":"no","code":429}}"#).unwrap().to_object();
    assert_eq!((object.kind.as_ref(), object.code.as_deref()), ("upstream_error", Some("429")));
}
