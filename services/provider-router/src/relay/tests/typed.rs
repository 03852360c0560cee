//! Streams of Messages and Responses.

use super::*;

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{\"input_tokens\":3}}}\n\n";
const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n";
const STOPPED: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"created_at\":5,\"model\":\"m\"}}\n\n";
const TEXT: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"a\"}\n\n";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[]}}\n\n";

fn client(api: Api, steps: impl IntoIterator<Item = Step>) -> Client {
    let script = Source::Scripted(Script(steps.into_iter().collect()));
    Client::of(script, api, "1MiB", Bodies::Full, 1)
}

fn pieces(stream: &str, cut: usize) -> Vec<Step> {
    vec![Step::Text(stream[..cut].to_owned()), Wait, Step::Text(stream[cut..].to_owned())]
}

/// Streams of each API, and their events.
fn streams() -> [(Api, String); 2] {
    [
        (Api::Messages, [START, DELTA, ": alive\n\n", DELTA, STOPPED, STOP].concat()),
        (Api::Responses, [CREATED, TEXT, ": alive\n\n", TEXT, COMPLETED].concat()),
    ]
}

#[tokio::test]
async fn every_byte_passes_wherever_the_stream_is_cut() {
    for (api, stream) in streams() {
        for line_end in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', line_end);
            for cut in 1..stream.len() {
                let mut client = client(api, pieces(&stream, cut));
                assert_eq!(client.text(), (stream.clone(), Seen::End), "{api} {cut}");
                assert_eq!(client.statuses(), ["completed"]);
            }
        }
        let mut client = client(api, stream.chars().map(|char| Step::Text(char.into())));
        assert_eq!(client.text(), (stream, Seen::End));
    }
}

#[tokio::test]
async fn whole_events_pass_without_a_copy_and_the_last_one_waits_for_the_log() {
    let mut client = client(Api::Messages, [B(START.as_bytes()), Wait, Step::Text([DELTA, STOPPED, STOP].concat())]);
    assert_eq!(client.poll(), bytes(START));
    assert_eq!(client.poll(), Seen::Pending);
    assert_eq!(client.poll(), bytes(&[DELTA, STOPPED].concat()));
    assert_eq!(client.statuses(), ["completed"], "logged before the last event");
    assert_eq!(client.poll(), bytes(STOP));
    assert_eq!(client.poll(), Seen::End);
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_the_error_of_its_api() {
    for (api, stream) in streams() {
        let last = stream.rfind("event: ").unwrap();
        for cut in 1..last + 20 {
            for end in [None, Some(Fail)] {
                let steps = [Step::Text(stream[..cut].to_owned())].into_iter().chain(end);
                let mut client = client(api, steps);
                let (text, seen) = client.text();
                assert_eq!(seen, Seen::Broken, "{api} {cut}");
                // Only whole events precede the error.
                let whole = stream[..cut].rfind("\n\n").map_or(0, |at| at + 2);
                let error = text.strip_prefix(&stream[..whole]).unwrap_or_else(|| panic!("{api} {cut}: {text}"));
                match api {
                    Api::Messages => assert!(
                        error.starts_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"")
                            && error.ends_with("\"}\n\n"),
                        "{error}"
                    ),
                    Api::Responses | Api::Chat => {
                        let id = if whole == 0 { "resp_" } else { "resp_1\"" };
                        let begins = "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":";
                        assert!(error.starts_with(begins) && error.contains(&format!("\"id\":\"{id}")), "{error}");
                    }
                }
                assert_eq!(client.statuses(), ["truncated"]);
            }
        }
    }
}

#[tokio::test]
async fn an_error_of_the_provider_is_the_last_event() {
    for (api, event) in [
        (
            Api::Messages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n",
        ),
        (
            Api::Responses,
            "data: {\"type\":\"response.failed\",\"response\":{\"id\":\"r\",\"error\":{\"code\":\"c\",\"message\":\"busy\"}}}\n\n",
        ),
        (Api::Responses, "event: error\ndata: {\"type\":\"error\",\"code\":\"c\",\"message\":\"busy\"}\n\n"),
    ] {
        let first = if api == Api::Messages { DELTA } else { TEXT };
        let mut client = client(api, [Step::Text([first, event, first].concat())]);
        assert_eq!(client.text(), ([first, event].concat(), Seen::End));
        assert_eq!(client.statuses(), ["failed"]);
        assert!(client.written().contains("\"error\":\"busy\""), "{}", client.written());
    }
}

#[tokio::test]
async fn an_error_of_another_form_is_followed_by_one_of_the_api() {
    for (api, own) in
        [(Api::Messages, "event: error\ndata: {\"type\":\"error\","), (Api::Responses, "event: response.failed\n")]
    {
        let first = if api == Api::Messages { DELTA } else { TEXT };
        for event in [
            "data: {\"error\":{\"message\":\"busy\"}}\n\n",
            "data: {\"error\":\"busy\"}\n\n",
            "event: error\ndata: busy\n\n",
            "data: {\"detail\":\"busy\"}\n\n",
        ] {
            let mut client = client(api, [Step::Text([first, event].concat())]);
            let (text, seen) = client.text();
            let rest = text.strip_prefix(&*[first, event].concat()).unwrap_or_else(|| panic!("{event}: {text}"));
            assert!(rest.starts_with(own) && rest.contains("busy"), "{event}: {rest}");
            assert_eq!((seen, client.statuses()), (Seen::End, vec!["failed".to_owned()]), "{event}");
        }
    }
}

#[tokio::test]
async fn half_a_last_event_is_dropped_even_if_its_name_is_known() {
    for (api, event) in [
        (Api::Messages, "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"bad key sk-can"),
        (Api::Messages, "event: message_stop\ndata: {\"type\":\"message_s"),
        (Api::Responses, "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"err"),
        (Api::Responses, "event: response.completed\ndata: {\"type\":\"response.com"),
        (Api::Responses, "event: response.completed\n"),
    ] {
        let first = if api == Api::Messages { DELTA } else { TEXT };
        let mut client = client(api, [Step::Text([first, event].concat())]);
        let (text, seen) = client.text();
        assert_eq!((seen, client.statuses()), (Seen::Broken, vec!["truncated".to_owned()]), "{event}: {text}");
        assert!(!text.contains("sk-can") && !client.written().contains("sk-can"), "{text}");
    }
}

#[tokio::test]
async fn the_last_blank_line_may_be_missing() {
    for (api, stream) in streams() {
        let mut client = client(api, [Step::Text(stream.trim_end().to_owned())]);
        let (text, seen) = client.text();
        assert_eq!((text.trim_end(), seen), (stream.trim_end(), Seen::End));
        assert!(text.ends_with("\n\n"));
        assert_eq!(client.statuses(), ["completed"]);
    }
}

#[tokio::test]
async fn a_client_that_leaves_after_the_reason_has_the_answer() {
    let mut client = client(Api::Messages, [Step::Text([DELTA, STOPPED].concat()), Wait]);
    assert_eq!(client.poll(), bytes(&[DELTA, STOPPED].concat()));
    drop(std::mem::replace(&mut client.relay, super::Client::new([]).relay));
    assert_eq!(client.statuses(), ["completed"]);
}
