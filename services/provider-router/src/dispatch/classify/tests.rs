//! Tests of single attempts against responses sent over a real connection.

use http::Request;
use http_body_util::BodyExt;
use signalbox_upstream::{AddressPolicy, Client, ClientConfig, Deadlines, Target};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::oneshot,
};

use super::*;

const CHUNK: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
const FINISH: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const WHOLE: &str = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;

/// A piece that closes the connection.
const BREAK: &str = "\0";

/// Headers and all bytes of a response that may be passed on to the client.
type Passed = (HeaderMap, Vec<u8>);

/// Checks a response with these headers and pieces; the last piece ends it.
async fn judged(stream: bool, headers: &str, pieces: &[&str]) -> Result<Passed, AttemptError> {
    let (_release, released) = oneshot::channel();
    let (good, rest) = begun(stream, headers, pieces, released, Duration::from_secs(60)).await;
    rest.await.unwrap();
    let (headers, begun, rest) = match good? {
        AcceptedAnswer::Stream { headers, begun, rest, .. } => (headers, begun.concat(), Some(rest)),
        AcceptedAnswer::Whole { headers, body, .. } => (headers, body.to_vec(), None),
    };
    let mut bytes = begun;
    if let Some(Source::Upstream(rest)) = rest {
        bytes.extend_from_slice(&rest.collect().await.unwrap().to_bytes());
    }
    Ok((headers, bytes))
}

/// Checks a response that is kept open until `released` resolves.
async fn begun(
    stream: bool,
    headers: &str,
    pieces: &[&str],
    released: oneshot::Receiver<()>,
    max_preamble: Duration,
) -> (Result<AcceptedAnswer, AttemptError>, tokio::task::JoinHandle<()>) {
    let hold = Hold { comments: max_preamble, first_token: None, awaits_token: false };
    held(stream, headers, pieces, released, hold).await
}

/// Checks a response that is kept open until `released` resolves, and is held back as `hold` says.
async fn held(
    stream: bool,
    headers: &str,
    pieces: &[&str],
    released: oneshot::Receiver<()>,
    hold: Hold,
) -> (Result<AcceptedAnswer, AttemptError>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let status = if headers.starts_with("x-status: ") { &headers[10..13] } else { "200" };
    let head = format!("HTTP/1.1 {status} OK\r\ntransfer-encoding: chunked\r\n{headers}\r\n");
    let pieces: Vec<String> = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect();
    let stays_open = !hold.comments.is_zero() && hold.comments < Duration::from_secs(1);
    let serving = tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(peer.read(&mut request).await.unwrap() > 0);
        peer.set_nodelay(true).unwrap();
        peer.write_all(head.as_bytes()).await.unwrap();
        for piece in pieces {
            if piece.contains(BREAK) {
                return;
            }
            peer.write_all(piece.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        if stays_open {
            let _ = released.await;
        }
        // The client may have closed the connection already.
        let _ = peer.write_all(b"0\r\n\r\n").await;
    });
    let target = Target::parse(&url, &AddressPolicy::default()).unwrap();
    let client = Client::new(&ClientConfig::default()).unwrap();
    let request = Request::get("/").body(Bytes::new()).unwrap();
    let response = client.send(&target, request, &Deadlines::default()).await.unwrap();
    (
        classify_response(
            response,
            (Api::Chat, stream, 1),
            hold,
            ("1", &Masker::new(["sk-canary-0123456789".to_owned()])),
        )
        .await,
        serving,
    )
}

fn message(failure: &AttemptError) -> String {
    match failure {
        AttemptError::Reported { error, .. } => error.message.clone(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn nothing_counts_after_the_last_event_of_a_stream_that_is_read_as_a_whole() {
    const DONE: &str = "data: [DONE]\n\n";
    let events = "content-type: text/event-stream\r\n";
    for pieces in
        [&[CHUNK, FINISH, DONE, BREAK][..], &[CHUNK, FINISH, "data: [DO", "NE]\n\n", BREAK], &[CHUNK, FINISH, BREAK]]
    {
        let (_, body) = judged(false, events, pieces).await.unwrap();
        assert!(String::from_utf8(body).unwrap().contains(r#""content":"hi""#), "{pieces:?}");
    }
    assert!(judged(false, events, &[CHUNK, BREAK]).await.is_err());
    // Nor does it matter that the provider does not end it.
    let (_release, released) = oneshot::channel();
    let (good, _) = begun(false, events, &[CHUNK, FINISH, DONE], released, Duration::from_millis(500)).await;
    assert!(matches!(good, Ok(AcceptedAnswer::Whole { .. })));
}

#[tokio::test]
async fn white_space_before_an_answer_is_bounded() {
    let blank = "\r\n".repeat(1_000);
    for (stream, answer) in [(false, WHOLE), (true, CHUNK)] {
        let some = vec![&*blank; 32];
        let (_, body) = judged(stream, "", &[&some[..], &[answer]].concat()).await.unwrap();
        assert!(String::from_utf8(body).unwrap().contains(r#""content":"hi""#), "{stream}");
        let failure = judged(stream, "", &vec![&*blank; 33]).await.unwrap_err();
        assert!(message(&failure).contains("more than 65536 bytes of white space"), "{}", message(&failure));
    }
}

#[tokio::test]
async fn keys_in_unread_events_of_an_assembled_answer_are_masked() {
    let unread = "data: oops sk-canary-0123456789\n\n";
    let (_, body) = judged(false, "content-type: text/event-stream\r\n", &[CHUNK, unread, FINISH]).await.unwrap();
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains("oops ***MASKED***") && body.contains(r#""content":"hi""#), "{body}");
}

#[tokio::test]
async fn a_stream_of_another_api_is_a_failure() {
    for event in [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n",
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n",
    ] {
        for before in ["", ": ping\n\n"] {
            let begun = format!("{before}{event}");
            let failure = judged(true, "content-type: text/event-stream\r\n", &[&begun]).await.unwrap_err();
            assert!(failure.to_string().contains("not of Chat Completions"), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_large_answer_is_checked_like_a_small_one() {
    let large = format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, "x".repeat(LARGE_BODY));
    let (_, body) = judged(false, "content-type: application/json\r\n", &[&large]).await.unwrap();
    assert_eq!(body.len(), large.len());
    let error = format!(r#"{{"error":{{"message":"{}"}}}}"#, "y".repeat(LARGE_BODY));
    let failure = judged(false, "content-type: application/json\r\n", &[&error]).await.unwrap_err();
    assert!(matches!(failure, AttemptError::Reported { .. }), "{}", failure.code());
}

#[tokio::test]
async fn an_error_that_breaks_off_keeps_its_words() {
    let words = r#"{"error":{"message":"boom words"}}"#;
    for pieces in [&[words, BREAK][..], &[&words[..9], &words[9..], BREAK]] {
        let failure = judged(false, "x-status: 429\r\n", pieces).await.unwrap_err();
        assert!(matches!(&failure, AttemptError::Status { body, .. } if body == words), "{failure:?}");
    }
}

#[tokio::test]
async fn an_error_of_any_shape_before_the_first_chunk_is_a_failure() {
    for error in [
        r#"data: {"error":{"message":"busy","code":503}}"#,
        r#"data: {"choices":null,"error":{"message":"busy"}}"#,
        r#"data: {"choices":[],"error":{"message":"busy"}}"#,
        r#"data: {"error":"busy"}"#,
        r#"data: {"error_message":"busy","error_code":"x"}"#,
        r#"data: {"object":"error","message":"busy","code":400}"#,
        r#"data: [{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}]"#,
        "event: error\ndata: {\"message\":\"busy\"}",
        "event: error\ndata: busy",
    ] {
        for before in ["", ": ping\n\n", "data: {\"choices\":[]}\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n"] {
            for after in ["", "data: [DONE]\n\n", CHUNK] {
                let answer = format!("{before}{error}\n\n{after}");
                let failure = judged(true, "content-type: text/event-stream\r\n", &[&answer]).await.unwrap_err();
                assert_eq!(message(&failure), "busy", "{answer}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_without_a_chunk_is_a_failure() {
    for answer in
        ["data: [DONE]\n\n", "", ": ping\n\n", "data: {\"choices\":[]}\n\ndata: [DONE]\n\n", "data: nonsense\n\n"]
    {
        let failure = judged(true, "content-type: text/event-stream\r\n", &[answer]).await.unwrap_err();
        assert!(failure.may_try_next(), "{answer}: {failure}");
    }
}

#[tokio::test]
async fn a_stream_passes_unchanged_at_any_chunk_boundaries() {
    let answer = format!("\u{feff}: ping\n\ndata: {{\"choices\":[]}}\n\n{CHUNK}{FINISH}data: [DONE]\n\n");
    let at: Vec<usize> = (0..=answer.len()).filter(|at| answer.is_char_boundary(*at)).collect();
    for at in at.into_iter().filter(|at| *at > 0 && *at < answer.len()) {
        let (first, second) = answer.split_at(at);
        let (headers, bytes) =
            judged(true, "content-type: text/event-stream; charset=utf-8\r\n", &[first, second]).await.unwrap();
        assert_eq!(bytes, answer.as_bytes(), "cut at {at}");
        assert_eq!(headers[header::CONTENT_TYPE], "text/event-stream; charset=utf-8");
    }
}

#[tokio::test]
async fn the_bytes_decide_over_the_content_type() {
    for kind in
        ["", "content-type: text/plain\r\n", "content-type: application/octet-stream\r\n", "content-type: x\r\n"]
    {
        for kind in [kind, "content-type: application/json\r\n", "content-type: text/event-stream\r\n"] {
            let events = format!("{CHUNK}{FINISH}data: [DONE]\n\n");
            let (headers, bytes) = judged(true, kind, &[&events]).await.unwrap();
            assert_eq!(
                (&*bytes, &headers[header::CONTENT_TYPE]),
                (events.as_bytes(), &HeaderValue::from_static("text/event-stream"))
            );
            let (headers, bytes) = judged(false, kind, &[WHOLE]).await.unwrap();
            assert_eq!(
                (&*bytes, &headers[header::CONTENT_TYPE]),
                (WHOLE.as_bytes(), &HeaderValue::from_static("application/json"))
            );
            let (headers, bytes) = judged(true, kind, &[WHOLE]).await.unwrap();
            let text = String::from_utf8(bytes).unwrap();
            assert!(
                text.starts_with("data: {") && text.ends_with("data: [DONE]\n\n") && text.contains("\"delta\""),
                "{text}"
            );
            assert_eq!(headers[header::CONTENT_TYPE], "text/event-stream");
            let (headers, bytes) = judged(false, kind, &[&events]).await.unwrap();
            let whole: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(whole["choices"][0]["message"]["content"], "hi");
            assert_eq!(headers[header::CONTENT_TYPE], "application/json");
        }
    }
}

#[tokio::test]
async fn an_error_with_status_200_is_detected_in_every_framing() {
    let error = r#"{"error":{"message":"slow down","code":429}}"#;
    let event = format!("data: {error}\n\n");
    for stream in [false, true] {
        for answer in [error, &event] {
            let failure = judged(stream, "content-type: application/json\r\n", &[answer]).await.unwrap_err();
            assert_eq!(message(&failure), "slow down", "{answer}");
            assert!(matches!(failure, AttemptError::Reported { error, .. } if error.status == Some(429)));
        }
    }
}

#[tokio::test]
async fn an_invalid_answer_is_a_failure_that_allows_failover() {
    for stream in [false, true] {
        for answer in ["<html>busy</html>", "", "  ", "{\"choices\":", "{}", "[]", "busy", CHUNK] {
            if stream && answer == CHUNK {
                continue;
            }
            let failure = judged(stream, "", &[answer]).await.unwrap_err();
            assert!(failure.may_try_next(), "{answer}: {failure}");
        }
    }
}

#[tokio::test]
async fn the_first_token_is_awaited_for_a_limited_time_where_another_attempt_may_follow() {
    const ROLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let kind = "content-type: text/event-stream\r\n";
    let judge = async |pieces: &[&str], awaits_token: bool| {
        let (_release, released) = oneshot::channel();
        let hold = Hold { comments: Duration::from_millis(50), first_token: None, awaits_token };
        let (good, rest) = held(true, kind, pieces, released, hold).await;
        rest.abort();
        match good {
            Ok(AcceptedAnswer::Stream { begun, has_token, .. }) => Ok((begun.concat().len(), has_token)),
            Ok(AcceptedAnswer::Whole { .. }) => panic!("a stream"),
            Err(failure) => Err(message(&failure)),
        }
    };
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    assert_eq!(judge(&[ROLE, CHUNK], true).await, Ok((ROLE.len() + CHUNK.len(), true)));
    assert_eq!(judge(&[ROLE], true).await, Ok((ROLE.len(), false)), "the time is over");
    assert_eq!(judge(&[ROLE, error], true).await, Err("overloaded".to_owned()));
    assert!(matches!(judge(&[ROLE, error], false).await, Ok((_, false))), "it is passed on from its first event");
}

#[tokio::test]
async fn comments_are_withheld_for_a_limited_time() {
    let kind = "content-type: text/event-stream\r\n";
    let (release, released) = oneshot::channel();
    let (good, rest) = begun(true, kind, &[": ping\n\n"], released, Duration::from_millis(50)).await;
    let Ok(AcceptedAnswer::Stream { begun: pieces, .. }) = good else { panic!("a stream") };
    assert_eq!(pieces.concat(), b": ping\n\n");
    release.send(()).unwrap();
    rest.await.unwrap();
    // The limits on bytes and on events apply as well.
    let comment = format!(": {}\n\n", "x".repeat(1000));
    for preamble in [comment.repeat(70), "event: ping\ndata: {}\n\n".repeat(20)] {
        let (_, bytes) = judged(true, kind, &[&format!("{preamble}data: {{\"error\":\"late\"}}\n\n")]).await.unwrap();
        assert!(bytes.starts_with(preamble.as_bytes()));
    }
}

/// Reads a response of these pieces, of which the first `begun` are read already, up to 4 bytes.
async fn read_pieces(begun: &'static str, pieces: &[&'static str]) -> (String, bool) {
    let mut source = Source::Scripted(crate::relay::tests::Script::of(pieces));
    let (bytes, is_complete) = read(Bytes::from_static(begun.as_bytes()), &mut source, 4).await.unwrap();
    (String::from_utf8(bytes.to_vec()).unwrap(), is_complete)
}

#[tokio::test]
async fn no_piece_passes_the_limit() {
    for (begun, pieces, read, is_complete) in [
        ("", &["abcd"][..], "abcd", true),
        ("", &["ab", "cd"], "abcd", true),
        ("abcd", &[], "abcd", true),
        ("", &["abcde"], "abcd", false),
        ("", &["", "abcde"], "abcd", false),
        ("abcde", &[], "abcd", false),
        ("ab", &["cde"], "ab", false),
        ("", &["ab", "cde"], "ab", false),
    ] {
        assert_eq!(read_pieces(begun, pieces).await, (read.to_owned(), is_complete), "{begun:?} {pieces:?}");
    }
}

const SSE: &str = "content-type: text/event-stream\r\n";

#[tokio::test]
async fn nothing_counts_after_the_end_event_of_a_stream_that_becomes_whole() {
    for after in ["data: {\"error\":\"late\"}\n\n", CHUNK, "garbage"] {
        let answer = format!("{CHUNK}{FINISH}data: [DONE]\n\n{after}");
        let (_, bytes) = judged(false, SSE, &[&answer]).await.unwrap();
        let whole: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(whole["choices"][0]["message"]["content"], "hi", "{after}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_left_behind() {
    let marked = format!("\u{feff}{WHOLE}");
    assert_eq!(judged(false, "", &[&marked]).await.unwrap().1, WHOLE.as_bytes());
    let (_, bytes) = judged(true, "", &[&marked]).await.unwrap();
    assert!(bytes.starts_with(b"data: {"));
}

#[tokio::test]
async fn a_whole_answer_may_be_odd() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for odd in ["NaN", "-Infinity", "1e999", &deep, "\"\\ud83d\""] {
        let answer = WHOLE.replace("\"finish_reason\"", &format!("\"q\":{odd},\"finish_reason\""));
        assert_eq!(judged(false, "", &[&answer]).await.unwrap().1, answer.as_bytes(), "{odd}");
        let (_, bytes) = judged(true, "", &[&answer]).await.unwrap();
        assert!(String::from_utf8(bytes).unwrap().contains("\"content\":\"hi\""), "{odd}");
    }
}

#[tokio::test]
async fn an_error_beside_the_choices_is_noted() {
    let error = r#""error":{"message":"no"},"choices""#;
    let failing = [WHOLE.replace("\"choices\"", error), WHOLE.replace("\"stop\"", "\"error\"")];
    let events = [FINISH.replace("\"choices\"", error), FINISH.replace("\"stop\"", "\"error\"")];
    let answers = failing.into_iter().chain(events.into_iter().map(|finish| format!("{CHUNK}{finish}")));
    for answer in answers {
        let (_release, released) = oneshot::channel();
        let (good, rest) = begun(false, "", &[&answer], released, Duration::from_secs(60)).await;
        rest.await.unwrap();
        assert!(matches!(good, Ok(AcceptedAnswer::Whole { failure: Some(_), .. })), "{answer}");
    }
}

#[tokio::test]
async fn unknown_lines_before_the_events_are_passed_over() {
    for before in ["foo: x\n", "INFO: ready\n\n", "[INFO] ready\r\n", "id\n", "foo: x\nbar\n\n"] {
        let answer = format!("{before}{CHUNK}{FINISH}data: [DONE]\n\n");
        for kind in ["", "content-type: application/json\r\n", SSE] {
            let at = before.len() / 2;
            let (_, bytes) = judged(true, kind, &[&answer[..at], &answer[at..]]).await.unwrap();
            assert_eq!(bytes, answer.as_bytes(), "{kind}");
            assert!(judged(false, kind, &[&answer]).await.is_ok(), "{kind}");
        }
    }
}

#[tokio::test]
async fn events_without_blank_lines_are_separated() {
    let lines = [CHUNK, FINISH].map(|event| event.replace("\n\n", "\n")).concat();
    for end in ["", "data: [DONE]\n"] {
        let (_, bytes) = judged(true, SSE, &[&format!("{lines}{end}")]).await.unwrap();
        let end = end.replace('\n', "\n\n");
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("{CHUNK}{FINISH}{end}"));
        let (_, bytes) = judged(false, SSE, &[&format!("{lines}{end}")]).await.unwrap();
        assert!(String::from_utf8(bytes).unwrap().contains("\"content\":\"hi\""));
    }
    let error = judged(true, SSE, &[&format!("{lines}data: {{\"error\":\"busy\"}}\n")]).await.unwrap_err();
    assert_eq!(message(&error), "busy");
}

#[tokio::test]
async fn a_long_error_event_is_a_failure() {
    let event = format!("data: {{\"x\":\"{}\",\"error\":{{\"message\":\"busy\"}}}}\n\n", "y".repeat(200_000));
    let (first, second) = event.split_at(70_000);
    for stream in [false, true] {
        assert_eq!(message(&judged(stream, SSE, &[first, second]).await.unwrap_err()), "busy");
    }
    let long = CHUNK.replace("hi", &"y".repeat(2 << 20));
    assert_eq!(judged(true, SSE, &[&long]).await.unwrap().1, long.as_bytes());
}

#[tokio::test]
async fn an_error_body_may_be_framed_as_events() {
    let error = r#"{"error":{"message":"no","type":"t","param":null,"code":"c"}}"#;
    for answer in [error.to_owned(), format!("\u{feff}{error}"), format!("event: error\ndata: {error}\n\n")] {
        let failure = judged(true, &format!("x-status: 400\r\n{SSE}"), &[&answer]).await.unwrap_err();
        let AttemptError::Status { status, body, .. } = failure else { panic!("another failure") };
        assert_eq!((status.as_u16(), &*body), (400, error.as_bytes()));
    }
}
