//! Tests of error events that are withheld until a key in them can be found.

use signalbox_core::{schema::Provider, secret::MASK};
use signalbox_upstream::AddressPolicy;

use super::*;
use crate::{
    envelope::Envelope,
    metrics::Metrics,
    provider,
    route::{Candidate, Reason},
};

pub(super) const KEY: &str = "sk-canary-0123456789";

/// Returns a provider with an API key, and a request.
pub(super) fn candidate() -> (Candidate, Envelope) {
    let config = serde_json::from_str(&format!(r#"{{"baseURL":"http://127.0.0.1:9","apiKey":"{KEY}"}}"#)).unwrap();
    let row = Provider {
        id: "p".into(),
        name: "P".into(),
        kind: "openai".into(),
        enabled: true,
        priority: 0,
        description: None,
        created_at: 0,
        updated_at: 0,
    };
    let provider = provider::Provider::new(&row, &config, None, &AddressPolicy::default(), &Metrics::default());
    let envelope = Envelope::parse(Api::Chat, br#"{"messages":[1]}"#).unwrap();
    (Candidate::new(&Arc::new(provider), None, Reason::Named), envelope)
}

/// Creates a client of a provider with an API key.
fn keyed(pieces: impl IntoIterator<Item = String>) -> Client {
    let mut client = Client::new(pieces.into_iter().flat_map(|piece| [Step::Text(piece), Wait]));
    let (candidate, envelope) = candidate();
    let _span = client.relay.exchange.attempt(&candidate, 0, None, &envelope);
    client
}

#[tokio::test]
async fn a_key_in_an_error_event_is_masked_at_any_chunk_boundaries() {
    let chunk = "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let escaped = KEY.replace('-', "\\u002d");
    for event in [
        format!("data: {{\"error\":{{\"message\":\"wrong key {KEY}\"}}}}\n\n"),
        format!("event: error\r\ndata: {{\"message\":\"wrong key {escaped}\"}}\r\n\r\n"),
        format!("data: {{\"id\":\"c\",\"choices\":[],\"error\":\"{KEY}\"}}\n\n"),
        format!("data: {{\"choices\":[{{\"delta\":{{}}}}],\"error\":{{\"message\":\"{KEY}\"}}}}\n\n"),
        format!("data: {{\"error\":{{\"message\":\"no end: {KEY}\"}}}}"),
    ] {
        let stream = format!("{chunk}{event}");
        for cut in (1..stream.len()).step_by(5) {
            let pieces = [stream[..cut].to_owned(), stream[cut..].to_owned()];
            let mut client = keyed(pieces);
            let (text, _) = client.text();
            assert!(text.starts_with(chunk) && text.contains(MASK), "{cut}: {text}");
            for seen in [text, client.written()] {
                assert!(!seen.contains("canary") && !seen.contains("0123456789"), "{cut}: {seen}");
            }
            assert_eq!(client.statuses(), ["failed"]);
        }
        let bytes = stream.chars().map(String::from);
        let (text, _) = keyed(bytes).text();
        assert!(text.starts_with(chunk) && text.contains(MASK) && !text.contains("0123456789"), "{text}");
    }
}

#[tokio::test]
async fn a_key_in_an_unusual_event_or_line_is_masked_at_any_chunk_boundaries() {
    let chunk = "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let escaped = KEY.replace('-', "\\u002d");
    for unusual in [
        format!(r#"data: {{"choices":[{{"delta":{{}},"finish_reason":"error","error":{{"message":"{KEY}"}}}}]}}"#),
        format!(r#"data: {{"choices":[{{"delta":{{}},"error":{{"message":"{escaped}"}}}}]}}"#),
        format!(r#"data: {{"choices":[{{"delta":{{}},"error":"{KEY}"}}]}}"#),
        format!(r#"data: {{"choices":[{{"delta":{{"error":{{"message":"{KEY}"}}}}}}]}}"#),
        format!(r#"data: {{"choices":[{{"delta":{{}},"finish_reason":"error","native_finish_reason":"{KEY}"}}]}}"#),
        format!(r#"data: {{"choices":[{{"delta":{{"refusal":"{KEY}"}},"finish_reason":"error"}}]}}"#),
        format!("data: Error: {KEY}"),
        format!(": error {KEY}"),
        format!(": error {KEY}\nevent: x\ndata: {{\"choices\":[]}}"),
        format!(r#"{{"error":{{"message":"{KEY}"}}}}"#),
        format!("Internal Server Error: {KEY}"),
    ] {
        for line_end in ["\n", "\r\n", "\r"] {
            let unusual = format!("{unusual}\n\n").replace('\n', line_end);
            let stream = format!("{chunk}{unusual}{chunk}");
            for cut in (1..stream.len()).step_by(6) {
                let mut client = keyed([stream[..cut].to_owned(), stream[cut..].to_owned()]);
                let (text, _) = client.text();
                assert!(text.starts_with(chunk) && text.contains(MASK), "{unusual:?} {cut}: {text}");
                for seen in [text, client.written()] {
                    assert!(!seen.contains("canary") && !seen.contains("0123456789"), "{unusual:?} {cut}: {seen}");
                }
            }
            let (text, _) = keyed(stream.chars().map(String::from)).text();
            assert!(text.starts_with(chunk) && text.contains(MASK) && !text.contains("0123456789"), "{text}");
            // The stream may also end within it.
            let begun = unusual.len() - 4;
            let mut client = keyed([format!("{chunk}{}", &unusual[..begun])]);
            for seen in [client.text().0, client.written()] {
                assert!(!seen.contains("0123456789"), "{unusual:?}: {seen}");
            }
        }
    }
}

#[tokio::test]
async fn text_of_the_model_is_never_masked() {
    let chunk = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{KEY}\"}}}}]}}\n\n");
    for other in ["", ": alive\n\n", "retry: 5\n\n", "event: ping\ndata: {}\n\n", "foo: x\n\n", "data: odd\n\n"] {
        let stream = format!("{chunk}{other}{chunk}{other}{FINISH}data: [DONE]\n\n");
        for cut in (0..stream.len()).step_by(7) {
            let pieces = [stream[..cut].to_owned(), stream[cut..].to_owned()];
            assert_eq!(keyed(pieces).text().0, stream, "{cut}");
        }
    }
    // Nor beside an error.
    for error in [
        format!("data: {{\"error\":{{\"message\":\"{KEY}\"}}}}\n\n"),
        format!("data: {{\"error\":{{\"message\":\"{KEY}\"}}}}"),
    ] {
        let (text, _) = keyed([format!("{chunk}{error}")]).text();
        let rest = text.strip_prefix(&chunk).unwrap();
        assert!(rest.contains(MASK) && !rest.contains("canary"), "{rest}");
    }
}

#[tokio::test]
async fn half_a_key_of_an_error_that_breaks_off_is_dropped() {
    let chunk = "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    for event in ["event: error\ndata: ", "data: ", "", ": "] {
        for error in [format!("{{\"error\":{{\"message\":\"bad key {KEY}\"}}}}"), format!("bad key {KEY}")] {
            let error = format!("{event}{error}");
            let begun = error.find("sk-").unwrap() + 4;
            for cut in begun..begun + KEY.len() - 4 {
                let mut client = keyed([format!("{chunk}{}", &error[..cut])]);
                for seen in [client.text().0, client.written()] {
                    assert!(!seen.contains("sk-c") && !seen.contains("bad key s"), "{event:?} {cut}: {seen}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_key_in_an_error_of_any_length_is_masked() {
    let chunk = "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    for before in [10, 70_000, 700_000, 1_500_000] {
        for after in [10, 70_000, 1_500_000] {
            let (before, after) = ("x".repeat(before), "y".repeat(after));
            let event = format!("data: {{\"error\":{{\"message\":\"{before} {KEY} {after}\"}}}}\n\n");
            let whole = format!("{chunk}{event}");
            for size in [1 << 20, 65_537, 16_384] {
                let pieces = whole.as_bytes().chunks(size).map(|piece| String::from_utf8(piece.to_vec()).unwrap());
                let mut client = keyed(pieces);
                let (text, _) = client.text();
                let place = (before.len(), after.len(), size);
                assert!(text.starts_with(chunk) && text.contains(MASK), "{place:?}");
                for seen in [text, client.written()] {
                    assert!(!seen.contains("canary") && !seen.contains("0123456789"), "{place:?}");
                }
                if whole.len() < 1 << 20 {
                    assert_eq!(client.statuses(), ["failed"], "{place:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn only_possible_errors_are_withheld_within_a_limit() {
    // A chunk is passed on once its line is complete.
    let mut client = keyed(["data: {\"choices\":[{\"del", "ta\":{\"content\":\"a", "b\"}}]}\n\n"].map(str::to_owned));
    let mut seen: Vec<Seen> = (0..5).map(|_| client.poll()).collect();
    seen.retain(|seen| *seen != Seen::Pending);
    assert_eq!(seen, [bytes("data: {\"choices\":[{\"delta\":{\"content\":\"a"), bytes("b\"}}]}\n\n")]);

    // A comment is not an event, and is passed on at once.
    let mut client = keyed([": still here\n".to_owned()]);
    assert_eq!(client.poll(), bytes(": still here\n"));

    // Unrecognised events arrive complete and in order.
    let long = format!("data: {{\"x\":\"{}\"}}\n\n{FINISH}", "y".repeat(3_000_000));
    for size in [10_000, 600_000, 1_100_000] {
        let pieces = long.as_bytes().chunks(size).map(|piece| String::from_utf8(piece.to_vec()).unwrap());
        let mut client = keyed(pieces);
        let (mut text, mut most) = (String::new(), 0);
        loop {
            match client.poll() {
                Seen::Bytes(bytes) => text.push_str(&bytes),
                Seen::Pending => most = most.max(client.relay.withheld.len()),
                end => break assert_eq!(end, Seen::End),
            }
        }
        assert_eq!(text, long, "{size}");
        assert!(most <= 1 << 20, "{size}: {most}");
    }

    // A key in an event that became too long to be withheld is masked as well.
    let error = format!("data: {{\"error\":{{\"message\":\"{KEY} {}\"}}}}\n\n", "y".repeat(100_000));
    let pieces = error.as_bytes().chunks(20_000).map(|piece| String::from_utf8(piece.to_vec()).unwrap());
    let (text, _) = keyed(pieces).text();
    assert!(text.contains(MASK) && !text.contains("canary"));
}
