use proptest::prelude::*;

use super::*;

/// The result of relaying a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Relayed {
    out: Vec<u8>,
    done: bool,
    failed: Option<ProviderError>,
    ending: Ending,
}

/// Scans and forwards `pieces` as the relay does.
fn relay(pieces: &[&[u8]]) -> Relayed {
    let (mut scanner, mut held, mut seen) = (EndScanner::default(), Vec::new(), Relayed::default());
    for piece in pieces {
        let piece = [std::mem::take(&mut held).as_slice(), piece].concat();
        match scanner.scan(&piece) {
            Scan::Pass => seen.out.extend_from_slice(&piece),
            Scan::Hold(at) => {
                seen.out.extend_from_slice(&piece[..at]);
                held = piece[at..].to_vec();
            }
            Scan::Done(at) => {
                seen.out.extend_from_slice(&piece[..at]);
                seen.done = true;
            }
            Scan::Failed(failed) => {
                seen.out.extend_from_slice(&piece[..failed.end]);
                seen.failed = Some(failed.error);
            }
        }
        if seen.done || seen.failed.is_some() {
            seen.ending = scanner.ending().clone();
            return seen;
        }
    }
    seen.failed = scanner.end(&held).map(|failed| failed.error);
    seen.out.extend(held);
    seen.ending = scanner.ending().clone();
    seen
}

fn ending(stream: &str) -> (Option<String>, bool) {
    let Ending { finish_reason, failure, .. } = relay(&[stream.as_bytes()]).ending;
    (finish_reason, failure.is_some())
}

fn chunk(fields: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"x\"}}{fields}}}]}}\n\n")
}

#[test]
fn finds_the_end_event_only_at_the_start_of_a_line() {
    let seen = relay(&[b"data: {\"text\":\"data: [DONE]\"}\n\ndata: [DONE]\n\n"]);
    assert_eq!((seen.out.as_slice(), seen.done), (b"data: {\"text\":\"data: [DONE]\"}\n\n".as_slice(), true));
}

#[test]
fn does_not_delay_other_bytes() {
    let mut scanner = EndScanner::default();
    assert_eq!(scanner.scan(b"data: {\"a\":1}\n\n"), Scan::Pass);
    assert_eq!(scanner.scan(b"data: {\"a\":"), Scan::Pass);
    assert_eq!(scanner.scan(b"2}\n\nda"), Scan::Hold(4));
}

#[test]
fn counts_the_bytes_of_an_endless_event() {
    let mut scanner = EndScanner::default();
    scanner.scan(b"data: 1\n\ndata: 23");
    scanner.scan(b"456");
    assert_eq!(scanner.event_len(), 11);
    scanner.scan(&[b'x'; 1 << 20]);
    assert_eq!(scanner.event_len(), 11 + (1 << 20));
    assert!(scanner.buffered.capacity() <= MAX_BUFFERED_EVENT);
}

#[test]
fn a_finish_reason_is_found_in_unusual_chunks() {
    for odd in [
        r#","finish_reason":"stop""#,
        r#","finish_reason" : "stop""#,
        r#","finish_reason":"stop","logprobs":null"#,
        r#","finish_reason":null},{"index":1,"finish_reason":"stop""#,
    ] {
        assert_eq!(ending(&chunk(odd)), (Some("stop".to_owned()), false), "{odd}");
    }
    for odd in [
        r#"{"id":null,"choices":[{"delta":null,"finish_reason":"stop"}]}"#,
        r#"{"usage":{"prompt_tokens":1.5},"choices":[{"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"delta":{"content":"\ud83d"},"finish_reason":"stop"}],"usage":null}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":null}]},"finish_reason":"stop"}]}"#,
    ] {
        for line in [format!("data: {odd}\n\n"), format!("data:{odd}"), format!("event: x\r\ndata: {odd}\r\n\r\n")] {
            assert_eq!(ending(&line), (Some("stop".to_owned()), false), "{line}");
        }
    }
}

#[test]
fn other_events_have_no_finish_reason() {
    for none in [
        String::new(),
        chunk(r#","finish_reason":"""#),
        chunk(r#","finish_reason":null"#),
        chunk(r#","x":{"finish_reason":"stop"}"#),
        chunk("").replace('x', r#"\"finish_reason\":\"stop\""#),
        "data: {\"choices\":[]}\n\n".to_owned(),
        ": \"finish_reason\":\"stop\"\n\n".to_owned(),
        format!("x{}", chunk(r#","finish_reason":"stop""#)),
    ] {
        assert_eq!(ending(&none), (None, false), "{none}");
    }
}

#[test]
fn failures_are_detected_in_every_shape() {
    let failing = [
        (r#"{"error":{"message":"no"}}"#, true),
        (r#"{"choices":[{"delta":{},"finish_reason":"error"}],"error":{"code":502,"message":"no"}}"#, true),
        (r#"{"choices":[],"error":"no"}"#, true),
        (r#"{"choices":null,"error":{"message":"no"}}"#, true),
        (r#"{"object":"error","message":"no","code":400}"#, false),
        (r#"{"detail":"no"}"#, false),
        (r#"{"code":"Throttling","message":"no","request_id":"r"}"#, false),
        (r#"{"choices":null,"base_resp":{"status_code":1002,"status_msg":"no"}}"#, false),
        (r#"[{"error":{"message":"no"}}]"#, false),
        (r#"{"error_message":"no"}"#, false),
    ];
    for (event, is_plain) in failing {
        let mut scanner = EndScanner::default();
        let stream = format!("{}data: {event}\n\ndata: [DONE]\n\n", chunk(r#","finish_reason":null"#));
        let Scan::Failed(failed) = scanner.scan(stream.as_bytes()) else { panic!("{event}") };
        assert_eq!((failed.error.message.as_str(), failed.is_plain), ("no", is_plain), "{event}");
        assert_eq!(&stream[failed.end..], "data: [DONE]\n\n", "{event}");
        assert_eq!(scanner.ending().failure.as_deref(), Some("no"));
    }
    let named = relay(&[b"event: error\r\ndata: overloaded\r\n\r\ndata: x\r\n\r\n"]);
    assert_eq!(named.failed.unwrap().message, "overloaded");
    assert_eq!(named.out, b"event: error\r\ndata: overloaded\r\n\r");
    assert_eq!(relay(&[br#"data: {"error":"no"}"#]).failed.unwrap().message, "no", "without a blank line");
}

#[test]
fn a_failed_choice_does_not_end_the_stream() {
    for failing in [
        chunk(r#","finish_reason":"error""#),
        chunk(r#","error":{"message":"no"}"#),
        chunk(r#","error":{"message":"no"},"finish_reason":"error""#),
    ] {
        let seen = relay(&[failing.as_bytes(), b"data: [DONE]\n\n"]);
        assert!(seen.done && seen.failed.is_none() && seen.ending.failure.is_some(), "{failing}");
    }
    for fine in [chunk(r#","error":null,"finish_reason":"stop""#), chunk("").replace('x', r#"{\"error\":\"no\"}"#)] {
        assert!(!ending(&fine).1, "{fine}");
    }
}

#[test]
fn token_counts_come_with_the_finish_reason_or_later() {
    let usage = r#""usage":{"prompt_tokens":1,"completion_tokens":"2"}"#;
    let with = format!(r#"data: {{"choices":[{{"finish_reason":"stop"}}],{usage}}}"#);
    let after = format!("{}data: {{\"choices\":[],{usage}}}\n\n", chunk(r#","finish_reason":"stop""#));
    for stream in [with, after] {
        assert_eq!(relay(&[stream.as_bytes()]).ending.usage.map(|usage| usage.total_tokens), Some(3), "{stream}");
    }
}

#[test]
fn every_answer_that_begins_has_to_finish() {
    let of = |index: u32, fields: &str| chunk(fields).replace("\"index\":0", &format!("\"index\":{index}"));
    let finish = r#","finish_reason":"stop""#;
    for (n, stream, complete) in [
        (1, chunk(finish), true),
        (1, chunk(""), false),
        (1, chunk(finish) + &of(1, ""), false),
        (1, chunk(finish) + &of(1, "").replace("\"content\":\"x\"", ""), true),
        (2, of(1, "") + &chunk(finish), false),
        (2, of(1, "") + &chunk(finish) + &of(1, finish), true),
        (2, of(1, "") + &chunk(finish) + "data: \t[DONE]\n\n", true),
        // The other answer has not begun.
        (2, chunk(finish), false),
        (2, chunk(finish) + "data: \t[DONE]\n\n", true),
        (3, chunk(finish) + &of(1, finish), false),
        (3, chunk(finish) + &of(1, finish) + &of(2, finish), true),
    ] {
        let mut scanner = EndScanner::new(n);
        assert_eq!(scanner.scan(stream.as_bytes()), Scan::Pass);
        assert_eq!(scanner.is_complete(), complete, "{n} {stream}");
    }
    // More than can be tracked, and one that was not requested.
    let mut scanner = EndScanner::new(u32::MAX);
    for index in 0..128 {
        assert!(!scanner.is_complete(), "{index}");
        scanner.scan(of(index, finish).as_bytes());
    }
    assert!(scanner.is_complete());
    let mut scanner = EndScanner::new(1).thorough();
    scanner.scan((of(1, "") + &chunk(finish)).as_bytes());
    assert!(!scanner.is_complete());
}

#[test]
fn an_unfinished_event_is_measured() {
    let mut scanner = EndScanner::default();
    for (piece, len) in [
        ("data: 1\n\ndata: 23", 8),
        ("45", 10),
        ("\n", 11),
        ("\n", 0),
        ("data: 6", 7),
        ("\r", 8),
        ("\nx", 10),
        ("\n\n", 0),
        // A comment is no part of the event after it.
        (": alive", 7),
        ("\nx", 1),
    ] {
        assert_eq!(scanner.scan(piece.as_bytes()), Scan::Pass);
        assert_eq!(scanner.event_len(), len, "{piece:?}");
    }
    scanner.scan(b"\n\ndata: 1\ndata: 23");
    assert_eq!((scanner.event_len(), scanner.unfinished_line()), (16, 8));
    scanner.scan(b"\n\n");
    scanner.scan(&vec![b'x'; MAX_BUFFERED_EVENT]);
    assert_eq!((scanner.event_len(), scanner.is_long()), (MAX_BUFFERED_EVENT, false));
    scanner.scan(b"x");
    assert_eq!((scanner.event_len(), scanner.is_long()), (MAX_BUFFERED_EVENT + 1, true));
}

#[test]
fn events_that_may_quote_a_secret_are_located() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    for (stream, quotations) in [
        (text.to_owned(), vec![]),
        (format!("{text}: alive\n\n{text}"), vec![": alive\n"]),
        (format!("{text}oops\n\n{text}"), vec!["oops\n\n"]),
        (format!("{text}event: x\nfoo: y\n\n{text}"), vec!["event: x\nfoo: y\n\n"]),
        (format!("{text}data: oops\n\n{text}"), vec!["data: oops\n\n"]),
    ] {
        for cut in 0..stream.len() {
            let (first, second) = stream.split_at(cut);
            let mut scanner = EndScanner::default();
            let (mut found, mut before) = (Vec::new(), 0);
            for piece in [first, second] {
                let piece =
                    &stream[before..before.max(piece.as_ptr() as usize - stream.as_ptr() as usize) + piece.len()];
                let scan = scanner.scan(piece.as_bytes());
                for Quotation { end, len } in scanner.take_quotations() {
                    found.push(stream[before + end - len..before + end].trim_start_matches('\n').to_owned());
                }
                before += match scan {
                    // The rest begins the next piece.
                    Scan::Hold(at) => at,
                    _ => piece.len(),
                };
            }
            assert_eq!(found, quotations, "{stream:?} {cut}");
        }
    }
}

#[test]
fn a_long_event_is_scanned() {
    let image = "A".repeat(MAX_BUFFERED_EVENT);
    for (tail, reason, failure, failed) in [
        (
            r#","finish_reason":"stop"}],"usage":{"prompt_tokens":1,"details":{"a":[1,2]}},"x":1"#,
            Some("stop"),
            None,
            false,
        ),
        (r#","finish_reason":""}]"#, None, None, false),
        (r#","finish_reason":null}],"error":null"#, None, None, false),
        (r#","finish_reason":null}],"error":{"message":"n\"o"},"x":{"error":1}"#, None, Some("n\"o"), true),
        (r#","error":{"message":"no","a":[{}]},"finish_reason":"stop"}]"#, Some("stop"), Some("no"), false),
    ] {
        let stream = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"\\\"finish_reason\\\":\\\"no\\\"{image}\",\"finish_reason\":\"inner\"}}{tail}}}\n\n"
        );
        for size in [1, 1000, MAX_BUFFERED_EVENT + 7, stream.len()] {
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            let seen = relay(&pieces);
            let Ending { finish_reason, failure: said, usage } = seen.ending;
            assert_eq!((finish_reason.as_deref(), said.as_deref()), (reason, failure), "{tail} {size}");
            assert_eq!((seen.failed.is_some(), usage.is_some()), (failed, tail.contains("usage")), "{tail} {size}");
        }
    }
}

/// Events of every kind, some of them cut off or without an end.
fn events() -> impl Strategy<Value = Vec<String>> {
    let long = chunk(r#","finish_reason":"length""#).replace('x', &"long".repeat(MAX_BUFFERED_EVENT / 4));
    let event = prop_oneof![
        4 => Just(chunk(r#","finish_reason":null"#)),
        1 => Just("data: [DONE]\n\n".to_owned()),
        1 => Just("data:[DONE]\r\n\r\n".to_owned()),
        1 => Just(chunk(r#","finish_reason":"stop""#)),
        1 => Just(chunk(r#","finish_reason":"stop""#).replace("\n\n", "\r\n\r\n")),
        1 => Just(chunk(r#","finish_reason":"stop""#).replace("\n\n", "\r\r")),
        1 => Just(chunk(r#","finish_reason":"error""#)),
        1 => Just("data: {\"error\":{\"message\":\"no\"}}\n\n".to_owned()),
        1 => Just("event: error\ndata: no\n\n".to_owned()),
        1 => Just("data: {\"choices\":\ndata: [{\"finish_reason\":\"stop\"}]}\n\n".to_owned()),
        1 => Just(": ping\n\n".to_owned()),
        1 => Just("da\n".to_owned()),
        1 => Just("data: [DO\n".to_owned()),
        1 => Just("\n".to_owned()),
        1 => Just(long),
    ];
    prop::collection::vec(event, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn chunk_boundaries_do_not_change_the_end(
        events in events(), size in prop_oneof![1_usize..9, 9_usize..200, Just(MAX_BUFFERED_EVENT)],
    ) {
        let stream = events.concat().into_bytes();
        let whole = relay(&[&stream]);
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        prop_assert_eq!(&relay(&pieces), &whole);
        let each: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
        prop_assert_eq!(&relay(&each), &whole);
    }

    #[test]
    fn a_long_event_is_read_like_a_short_one(event in "[\\{\\}\\[\\],: a\"\\\\]{0,40}", reason in "[a-z]{0,3}", at in 0_usize..4) {
        let text = serde_json::to_string(&event).unwrap();
        let mut fields = [format!("\"delta\":{{\"content\":{text}}}"), format!("\"finish_reason\":\"{reason}\""), format!("\"x\":[{text}]")];
        fields.rotate_left(at % 3);
        let json = format!("{{\"y\":{{\"choices\":{text}}},\"choices\":[{{{}}}],\"error\":{{\"message\":{text}}}}}", fields.join(","));
        let mut long = LongEvent::default();
        long.push(format!("data: {json}").as_bytes());
        let chunk = ChunkView::read(json.as_bytes()).unwrap();
        let reason = chunk.finish_reason();
        prop_assert_eq!(long.finish_reason(), reason.as_deref());
        prop_assert_eq!(long.error().and_then(of_field), chunk.error.and_then(of_field));
    }
}

#[test]
fn an_incomplete_event_may_quote_a_secret_until_it_proves_to_be_a_chunk() {
    for (begun, may) in [
        ("data: {", true),
        ("data: {\"id\":\"c\",\"choices\":[{\"index\":0,", true),
        ("data: {\"choices\":[{\"delta\":{", false),
        ("data: {\"choices\":[{\"delta\":{}}],\"error\":\"", true),
        ("data: {\"choices\":[{\"delta\":{\"content\":\"\\\"error\\\"", false),
        ("event: error\r\ndata: {\"mes", true),
        ("event: error\n", true),
        (": here", true),
        (": here\ndata: {\"error\"", true),
        ("data: {}\n\n", false),
    ] {
        let mut whole = EndScanner::default();
        whole.scan(begun.as_bytes());
        assert_eq!(whole.may_quote(), may, "{begun}");
        for cut in (6..begun.len()).filter(|&cut| begun.is_char_boundary(cut)) {
            let mut apart = EndScanner::default();
            if apart.scan(&begun.as_bytes()[..cut]) == Scan::Pass {
                apart.may_quote();
                apart.scan(&begun.as_bytes()[cut..]);
                assert_eq!(apart.may_quote(), may, "{begun} {cut}");
            }
        }
    }
}
