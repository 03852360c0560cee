//! Tests of streams that break off, before and after the answer is complete.

use signalbox_management::live::Cancellation;

use super::*;

const A: &str = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";

/// Returns the data of the events that a client parses.
fn events(text: &str) -> Vec<String> {
    let mut splitter = signalbox_core::sse::Splitter::new(usize::MAX);
    splitter.push(text.to_owned().into());
    let mut events = Vec::new();
    while let Some(frame) = splitter.finish() {
        events.extend(frame.data().map(|data| String::from_utf8(data.into_owned()).unwrap()));
    }
    events
}

fn texts(pieces: &[&str], end: Option<Step>) -> Vec<Step> {
    pieces.iter().map(|piece| Step::Text((*piece).to_owned())).chain(end).collect()
}

#[tokio::test(start_paused = true)]
async fn an_http2_stream_is_reset_only_after_its_last_event_had_time_to_leave() {
    for end in [Some(Fail), None] {
        let mut client = Client::new(texts(&[A], end));
        client.relay = client.relay.over(http::Version::HTTP_2);
        let (first, error) = (client.poll(), client.poll());
        assert!(matches!((first, error), (Seen::Bytes(_), Seen::Bytes(_))));
        for _ in 0..3 {
            assert_eq!(client.poll(), Seen::Pending);
        }
        tokio::time::advance(FLUSH_PAUSE).await;
        assert_eq!((client.poll(), client.poll()), (Seen::Pending, Seen::Broken));
    }
}

#[tokio::test]
async fn a_stream_is_broken_off_only_after_sockets_could_write_its_last_event() {
    for end in [Some(Fail), None] {
        let mut client = Client::new(texts(&[A], end));
        let (first, error) = (client.poll(), client.poll());
        assert!(matches!((first, error), (Seen::Bytes(_), Seen::Bytes(_))));
        // Reading the stream has used up what a task may do in one poll.
        while has_budget_remaining() {
            let mut used = std::pin::pin!(tokio::task::consume_budget());
            let _ = used.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
        }
        for _ in 0..3 {
            assert_eq!(client.poll(), Seen::Pending);
        }
        tokio::task::yield_now().await;
        assert_eq!((client.poll(), client.poll()), (Seen::Pending, Seen::Broken));
    }
}

#[tokio::test]
async fn the_error_is_the_next_event_wherever_the_stream_breaks() {
    for line_end in ["\n", "\r\n", "\r"] {
        let (first, second) = (A.replace('\n', line_end), A.replace("\"a\"", "\"\u{e9}\"").replace('\n', line_end));
        for cut in (1..second.len()).filter(|&cut| second.is_char_boundary(cut)) {
            let half = &second[..cut];
            let joined = [first.as_str(), half].concat();
            for pieces in
                [vec![joined.as_str()], vec![first.as_str(), half], vec![first.as_str(), &half[..1], &half[1..]]]
            {
                for end in [None, Some(Fail)] {
                    let mut client = Client::new(texts(&pieces, end));
                    let (text, end) = client.text();
                    let seen = events(&text);
                    let (error, chunks) = seen.split_last().unwrap();
                    assert!(error.starts_with("{\"error\":{"), "{half:?}: {text}");
                    assert!((1..=2).contains(&chunks.len()), "{half:?}: {text}");
                    for chunk in chunks {
                        assert!(serde_json::from_str::<serde_json::Value>(chunk).is_ok(), "{half:?}: {text}");
                    }
                    assert_eq!((end, client.statuses()), (Seen::Broken, vec!["truncated".to_owned()]), "{half:?}");
                    assert!(client.written().contains(half), "the log has all bytes: {half:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn half_a_line_of_data_is_dropped_after_other_lines_of_its_event() {
    for line_end in ["\n", "\r\n", "\r"] {
        for lines in ["event: x\n", "id: 3\n", "retry: 5\n", ": hello\n", "event: x\nid: 3\n"] {
            let first = A.replace('\n', line_end);
            let second = format!("{lines}{A}").replace('\n', line_end);
            for cut in 1..second.len() {
                for end in [None, Some(Fail)] {
                    let mut client = Client::new(texts(&[&first, &second[..cut]], end));
                    let (text, _) = client.text();
                    for event in events(&text) {
                        assert!(serde_json::from_str::<serde_json::Value>(&event).is_ok(), "{lines:?} {cut}: {text}");
                    }
                    assert!(events(&text).last().unwrap().starts_with("{\"error\":{"), "{lines:?} {cut}: {text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_complete_does_not_wait() {
    let mut client = Client::new([B(b"data: 1\n\ndata: {\"a"), Wait, B(b"\":1}\n"), Wait, B(b"\nda"), B(b"ta: 2\n\n")]);
    let seen: Vec<Seen> = (0..9).map(|_| client.poll()).collect();
    assert_eq!(seen[0], bytes("data: 1\n\n"));
    assert_eq!(seen[1], Seen::Pending);
    assert_eq!(&seen[2..5], [bytes("data: {\"a"), bytes("\":1}\n"), Seen::Pending]);
    assert_eq!(&seen[5..7], [bytes("\n"), bytes("data: 2\n\n")]);
}

#[tokio::test]
async fn a_stream_that_breaks_after_its_finish_is_complete() {
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
    for (tail, rest) in
        [("", ""), (usage, usage), ("data: {\"choices\":[],\"us", ""), (&usage[..usage.len() - 2], usage)]
    {
        let stream = format!("{A}{FINISH}{tail}");
        for end in [None, Some(Fail)] {
            let mut client = Client::new(texts(&[&stream], end));
            let (text, end) = client.text();
            assert_eq!((text.trim_end(), end), (format!("{A}{FINISH}{rest}").trim_end(), Seen::End), "{tail}");
            assert_eq!(client.statuses(), ["completed"], "{tail}");
        }
        let mut client = Client::new(texts(&[&stream], Some(Wait)));
        client.abort.cancel();
        assert_eq!((client.text().1, client.statuses()), (Seen::End, vec!["completed".to_owned()]));
    }
    let error = FINISH.replace("\"delta\"", "\"error\":{\"message\":\"no\"},\"delta\"");
    let mut client = Client::new(texts(&[&error], Some(Fail)));
    assert_eq!((client.text().1, client.statuses()), (Seen::End, vec!["failed".to_owned()]));
}

#[tokio::test]
async fn every_answer_of_several_has_to_finish() {
    let of = |index: u32, event: &str| event.replace("\"index\":0", &format!("\"index\":{index}"));
    let (done, open) = (("completed", Seen::End), ("truncated", Seen::Broken));
    for (stream, choices, expected) in [
        ([A, &of(1, A), FINISH].concat(), 2, &open),
        ([FINISH, &of(1, A)].concat(), 2, &open),
        ([FINISH, &of(1, A)].concat(), 1, &open),
        ([A, &of(1, A), FINISH, &of(1, FINISH)].concat(), 2, &done),
        ([A, &of(1, A), FINISH, "data: [DONE]\n\n"].concat(), 2, &done),
        // The second answer has not begun.
        ([A, FINISH].concat(), 2, &open),
        ([A, FINISH, "data: [DONE]\n\n"].concat(), 2, &done),
        // Some providers repeat the finished answer with the usage.
        ([A, FINISH, A].concat(), 1, &done),
    ] {
        for end in [None, Some(Fail)] {
            let mut client = Client::with(texts(&[&stream], end), "1MiB", Bodies::Full, choices);
            let (_, end) = client.text();
            if !stream.contains("[DONE]") || end == Seen::End {
                assert_eq!((client.statuses(), &end), (vec![expected.0.to_owned()], &expected.1), "{stream}");
            }
        }
    }
}

#[tokio::test]
async fn an_odd_value_in_the_last_event_does_not_hide_the_end() {
    for odd in ["NaN", "-Infinity", &format!("{}{}", "[".repeat(300), "]".repeat(300)), "\"\t\""] {
        let finish = FINISH.replace("}]}", &format!("}}],\"q\":{odd}}}"));
        let mut client = Client::new(texts(&[A, &finish], None));
        assert_eq!(client.text(), (format!("{A}{finish}"), Seen::End));
        assert_eq!(client.statuses(), ["completed"], "{odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_event_behind_a_backlog_has_time_to_be_written() {
    let piece = A.repeat(100);
    for (pieces, waits) in [(20, true), (1, false)] {
        let steps = std::iter::repeat_n(Step::Text(piece.clone()), pieces).chain([Step::Expire]);
        let mut client = Client::new(steps);
        for _ in 0..pieces {
            assert_eq!(client.poll(), bytes(&piece));
        }
        let Seen::Bytes(event) = client.poll() else { panic!("no error event") };
        assert!(event.contains("upstream_timeout"), "{event}");
        assert_eq!(client.poll(), Seen::Pending);
        assert_eq!(client.poll(), if waits { Seen::Pending } else { Seen::Broken });
        tokio::time::sleep(FLUSH_PAUSE).await;
        while client.poll() == Seen::Pending {}
        assert_eq!((client.poll(), client.statuses()), (Seen::End, vec!["truncated".to_owned()]));
    }
}

#[tokio::test]
async fn events_without_blank_lines_end_too() {
    let lines = [A, FINISH].map(|event| event.replace("\n\n", "\n")).concat();
    for (end, status) in [("data: [DONE]\n", "completed"), ("", "completed"), ("data: {\"error\":\"no\"}\n", "failed")]
    {
        let mut client = Client::new(texts(&[&format!("{lines}{end}")], None));
        let (text, seen) = client.text();
        assert!(text.starts_with(&lines) && text.ends_with("\n\n"), "{text}");
        assert_eq!((seen, client.statuses()), (Seen::End, vec![status.to_owned()]), "{end}");
    }
}

#[tokio::test]
async fn a_whole_answer_that_the_log_cuts_keeps_its_counts() {
    let mut client = Client::logged([], "10B", Bodies::Full);
    let exchange = &mut client.relay.exchange;
    exchange.head(200, false);
    exchange.answer(br#"{"id":null,"choices":[{"message":{"content":"hi"},"finish_reason":"length"}],"usage":{"prompt_tokens":"7","completion_tokens":1.0}}"#);
    exchange.finish(RequestStatus::Completed, None).await;
    let written = client.written();
    let summary =
        r#""summary":{"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8},"finish_reason":"length"}"#;
    assert!(written.contains(summary), "{written}");
}

#[tokio::test]
async fn a_cancelled_stream_ends_in_an_error_and_not_as_if_it_were_complete() {
    for source in [vec![Step::Text(A.to_owned()), Wait, Wait], vec![Step::Text(A.to_owned()), B(b"data: [DONE]\n\n")]] {
        let mut client = Client::new(source);
        assert_eq!(client.poll(), bytes(A));
        let id = client.live.list()[0].request_id.parse().unwrap();
        assert_eq!(client.live.cancel(id), Cancellation::Cancelled);
        let (text, end) = client.text();
        assert_eq!(end, Seen::Broken);
        assert!(text.contains("\"code\":\"request_cancelled\"") && !text.contains("[DONE]"), "{text}");
        assert!(text.contains("\"type\":\"invalid_request_error\""), "{text}");
        assert_eq!(client.statuses(), ["cancelled"]);
        assert!(client.written().contains("cancelled by an operator"));
        assert_eq!(client.live.count(), 0);
    }
}

#[tokio::test]
async fn a_cancelled_stream_of_another_api_ends_in_its_own_error_event() {
    let begun =
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"x\"}}\n\n";
    let script = Source::Scripted(Script([Step::Text(begun.to_owned()), Wait, Wait].into()));
    let mut client = Client::of(script, Api::Messages, "1MiB", Bodies::Full, 1);
    assert_eq!(client.poll(), bytes(begun));
    let id = client.live.list()[0].request_id.parse().unwrap();
    assert_eq!(client.live.cancel(id), Cancellation::Cancelled);
    let (text, end) = client.text();
    assert_eq!(end, Seen::Broken);
    assert!(text.starts_with("event: error\n") && text.contains("cancelled by an operator"), "{text}");
    assert_eq!(client.statuses(), ["cancelled"]);
}
