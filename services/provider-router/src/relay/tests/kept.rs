//! Events of answers that a provider has kept.

use http_body::Body as _;
use signalbox_core::masking::Masker;

use super::{super::kept::KeptEvents, *};

const KEY: &str = "sk-canary-0123456789abcdef";
const DELTA: &str =
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n";
const COMPLETED: &str =
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n";

/// Reads to the end. Returns the bytes, and whether the stream broke.
fn read(steps: impl IntoIterator<Item = Step>) -> (String, bool) {
    let source = Source::Scripted(Script(steps.into_iter().collect()));
    let mut body = KeptEvents::new(source, Api::Responses, Masker::new([KEY.to_owned()]));
    let mut text = String::new();
    loop {
        match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => text += std::str::from_utf8(frame.data_ref().unwrap()).unwrap(),
            Poll::Ready(Some(Err(_))) => return (text, true),
            Poll::Ready(None) => return (text, false),
            Poll::Pending => {}
        }
    }
}

#[test]
fn kept_events_pass_wherever_they_are_cut() {
    let stream = [DELTA, ": alive\n\n", DELTA, COMPLETED].concat();
    for cut in 1..stream.len() {
        let steps = [Step::Text(stream[..cut].to_owned()), Wait, Step::Text(stream[cut..].to_owned())];
        assert_eq!(read(steps), (stream.clone(), false), "{cut}");
    }
    assert_eq!(read([Step::Text(stream.trim_end().to_owned())]), (stream, false), "the last one lacks its blank line");
}

#[test]
fn kept_errors_and_unknown_events_do_not_quote_the_key() {
    for event in [
        format!("event: error\ndata: {{\"type\":\"error\",\"message\":\"Incorrect API key: {KEY}\"}}\n\n"),
        format!(
            "data: {{\"type\":\"response.failed\",\"response\":{{\"error\":{{\"message\":\"refused {KEY}\"}}}}}}\n\n"
        ),
        format!("data: {{\"error\":{{\"message\":\"Bearer {KEY}\"}}}}\n\n"),
        format!("data: {{\"type\":\"newer\",\"note\":\"{KEY}\"}}\n\n"),
    ] {
        let stream = format!("{DELTA}{event}");
        for cut in [1, DELTA.len(), DELTA.len() + event.len() / 2, stream.len() - 3] {
            let steps = [Step::Text(stream[..cut].to_owned()), Step::Text(stream[cut..].to_owned())];
            let (text, is_broken) = read(steps);
            assert_eq!(text, stream.replace(KEY, "***MASKED***"), "{cut}");
            assert!(!is_broken, "{text}");
        }
    }
}

#[test]
fn half_an_event_is_not_passed_on_and_a_broken_connection_is_told() {
    let half = format!("{DELTA}data: {{\"type\":\"error\",\"message\":\"{}", &KEY[..20]);
    assert_eq!(read([Step::Text(half.clone())]), (DELTA.to_owned(), false));
    assert_eq!(read([Step::Text(half), Fail]), (DELTA.to_owned(), true));
}
