use super::*;

const WAF: &str = r#"<!doctypehtml><html><body><textarea id="renderData" style="display:none">{"_waf_bd8ce2ce37":"x"}</textarea><script>/* a challenge */</script></body></html>"#;
const LOGIN_PAGE: &str = r#"<!DOCTYPE html><html><head><title>Qwen Chat</title></head><body><script>window.location.href="/auth?action=signin"</script></body></html>"#;
const CAPTCHA: &str = r#"{"ret":["FAIL_SYS_USER_VALIDATE","RGV587_ERROR::SM"],"data":{"url":"https://chat.qwen.ai/_____tmd_____/punish?x5secdata=1"}}"#;

fn refusal(code: &str, details: &str) -> String {
    format!(r#"{{"success":false,"request_id":"1","data":{{"code":"{code}","details":"{details}","num":17}}}}"#)
}

#[test]
fn every_known_failure_is_recognised() {
    for (status, content_type, body, code, shown) in [
        (200, "text/html; charset=utf-8", WAF.to_owned(), "waf_challenge", 401),
        (405, "text/html", WAF.to_owned(), "waf_challenge", 401),
        (200, "application/json", WAF.to_owned(), "waf_challenge", 401),
        (200, "text/html", "<html>whatever</html>".to_owned(), "waf_challenge", 401),
        (200, "text/html", LOGIN_PAGE.to_owned(), "invalid_credentials", 401),
        (302, "", String::new(), "invalid_credentials", 401),
        (200, "application/json", CAPTCHA.to_owned(), "captcha_required", 401),
        (403, "application/json", CAPTCHA.to_owned(), "captcha_required", 401),
        (401, "application/json", "{}".to_owned(), "invalid_credentials", 401),
        (403, "application/json", "{}".to_owned(), "forbidden", 403),
        (404, "text/html", "<html>nginx</html>".to_owned(), "upstream_not_found", 404),
        (404, "application/json", refusal("Not_Found", "The chat x is not exist."), "chat_lost", 502),
        (429, "text/plain", String::new(), "rate_limit_exceeded", 429),
        (418, "text/plain", "short and stout".to_owned(), "upstream_rejected", 418),
        (400, "application/json", refusal("Bad_Request", "no such model"), "upstream_rejected", 400),
        (500, "text/html", "<html>nginx</html>".to_owned(), "upstream_server_error", 500),
        (503, "application/json", refusal("internal_error", "x"), "upstream_server_error", 503),
        (200, "application/json", refusal("RateLimited", "You have reached the limit."), "insufficient_quota", 429),
        (200, "application/json", refusal("Unauthorized", "Token expired"), "invalid_credentials", 401),
        (200, "application/json", refusal("Bad_Request", "Internal error, try later"), "qwen_api_error", 502),
        (
            200,
            "application/json",
            refusal("Bad_Request", "Invalid input chat parent_id x is not exist."),
            "chat_lost",
            502,
        ),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let failure = classify_response(status, content_type, None, body.as_bytes()).expect(code);
        assert_eq!((failure.code(), failure.status().as_u16()), (code, shown), "{body}");
        assert!(failure.to_string().contains("chat.qwen.ai") && failure.to_string().contains("; "), "{failure}");
    }
}

#[test]
fn an_event_stream_is_not_a_failure() {
    for (content_type, body) in [
        ("application/json", r#"{"success":true,"data":{"id":"x"}}"#),
        ("application/json", r#"{"data":[]}"#),
        ("application/json", r#"{"ret":["SUCCESS::ok"],"data":{}}"#),
        ("text/event-stream;charset=UTF-8", "data: {\"response.created\":{}}\n\n"),
        ("", ""),
    ] {
        assert_eq!(classify_response(StatusCode::OK, content_type, None, body.as_bytes()), None, "{body}");
    }
}

#[test]
fn an_error_event_is_parsed() {
    let failure = of_json(br#"{"error":{"code":"internal_error","details":"Oops"},"response_id":"r"}"#).unwrap();
    assert_eq!(failure, Failure::Refused("Oops".into()));
    assert_eq!(of_json(br#"{"error":"plain"}"#), Some(Failure::Refused("plain".into())));
}

#[test]
fn a_rate_limit_has_its_wait_time() {
    let quota = of_json(refusal("RateLimited", "limit").as_bytes()).unwrap();
    assert_eq!((quota.retry_after(), quota.cool_down()), (Some(Duration::from_secs(17 * 3600)), None));
    assert!(quota.to_string().contains("wait 17 hours"), "{quota}");
    let asked = Some(Duration::from_secs(7));
    let limited = classify_response(StatusCode::TOO_MANY_REQUESTS, "", asked, b"").unwrap();
    assert!(limited.cool_down() == asked && limited.to_string().contains("wait 7 seconds"), "{limited}");
    assert_eq!(
        classify_response(StatusCode::TOO_MANY_REQUESTS, "", None, b"").unwrap().cool_down(),
        Some(Duration::from_secs(60))
    );
    assert_eq!(Failure::Captcha.cool_down(), None);
}

#[test]
fn error_texts_of_the_site_are_truncated() {
    let long = "x".repeat(5000);
    let failure =
        classify_response(StatusCode::IM_A_TEAPOT, "text/plain", None, format!("a\u{7}{long}").as_bytes()).unwrap();
    assert!(failure.to_string().len() < 500 && !failure.to_string().contains('\u{7}'));
}
