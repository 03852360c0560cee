//! Tests of streams that break off, in front of scripted targets.

mod typed;

use std::{sync::Arc, task::Waker};

use serde_json::{Map, Value};
use signalbox_daemon::{RequestContext, config::AccessLog};
use tokio::time::Duration;
use tracing::Span;

use super::*;
use crate::{
    catalog::tests::{Row, snapshot},
    envelope::Envelope,
    exchange::InFlight,
    health::{self, TargetHealth},
    relay::tests::Script,
    route::{Candidate, Reason},
};

/// Targets that answer with these scripts, one after the other; `None` fails.
pub(in crate::relay) struct Scripted {
    pub(in crate::relay) scripts: Vec<Option<Script>>,
    pub(in crate::relay) health: Arc<TargetHealth>,
}

impl Scripted {
    fn of(scripts: Vec<Option<Script>>) -> Self {
        Self { scripts, health: Arc::new(TargetHealth::new("other", "m")) }
    }
}

impl Resume for Scripted {
    fn resume(self: Box<Self>) -> Pin<Box<dyn Future<Output = Resumed> + Send>> {
        let Self { scripts: mut left, health } = *self;
        let mut failed = Vec::new();
        while !left.is_empty() {
            let Some(script) = left.remove(0) else {
                let error = Some(format!("quoted {}", "\u{e9}".repeat(1_000)));
                failed.push(AttemptRecord { provider: "other".to_owned(), error, ..AttemptRecord::default() });
                continue;
            };
            let rows = [Row { id: "other", ..Row::ENABLED }];
            let provider = Arc::clone(snapshot(&rows, None).provider("other").unwrap());
            let trial = health.begin(health::now());
            trial.answered(health::now(), health::Began::Unknown);
            let attempt = InFlight { trial, span: Span::none(), began: Duration::ZERO };
            let envelope = Envelope::parse(Api::Chat, br#"{"messages":[1]}"#).unwrap();
            let target = NewTarget {
                candidate: Candidate::new(&provider, None, Reason::Named),
                place: 1,
                params: Map::new(),
                envelope: Arc::new(envelope),
                context: RequestContext::new(AccessLog::Off),
                attempt,
            };
            let is_last = left.is_empty();
            let next = (!is_last).then(|| Box::new(Self { scripts: left, health }) as Box<dyn Resume>);
            let answer = NewAnswer { begun: Vec::new(), rest: Source::Scripted(script), target, next };
            return Box::pin(std::future::ready(Resumed { failed, answer: Some(answer) }));
        }
        Box::pin(std::future::ready(Resumed { failed, answer: None }))
    }
}

/// Returns what the client receives, whether the stream ended without an error, and the number of changes of the
/// target.
fn received(api: Api, first: Script, others: Vec<Option<Script>>) -> (String, bool, usize) {
    let mut stream = ResumableStream::new(api, Vec::new(), Source::Scripted(first), Box::new(Scripted::of(others)));
    let (mut all, mut switches, mut cx) = (Vec::new(), 0, Context::from_waker(Waker::noop()));
    loop {
        let next = stream.poll_data(&mut cx);
        while let Some(switch) = stream.take_switch() {
            switches += usize::from(switch.target.is_some());
        }
        match next {
            Poll::Ready(Some(Ok(bytes))) => all.extend_from_slice(&bytes),
            Poll::Ready(Some(Err(_))) => return (String::from_utf8(all).unwrap(), false, switches),
            Poll::Ready(None) => return (String::from_utf8(all).unwrap(), true, switches),
            Poll::Pending => panic!("nothing waits here"),
        }
    }
}

/// Returns the events of a chat stream that says these words, without an end.
fn chat(id: &str, words: &[&str]) -> String {
    let word = |word: &&str| {
        format!(
            "data: {{\"id\":\"{id}\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    words.iter().map(word).collect()
}

const CHAT_END: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn said(stream: &str) -> String {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| {
        let event: Value = serde_json::from_str(data).ok()?;
        let text = [&event["choices"][0]["delta"]["content"], &event["delta"]["text"], &event["delta"]];
        text.into_iter().find_map(Value::as_str).map(str::to_owned)
    })
    .collect()
}

#[test]
fn a_chat_stream_is_continued_where_it_broke_off() {
    let first = chat("a", &["one ", "two "]);
    for other in [&["one ", "two ", "three ", "four"][..], &["one two th", "ree four"], &["o", "ne two ", "three four"]]
    {
        let other = format!("{}{CHAT_END}", chat("b", other));
        for end in [Script::breaking(&first), Script::texts([first.clone()])] {
            let (all, ended, switches) = received(Api::Chat, end, vec![Some(Script::texts([other.clone()]))]);
            assert_eq!((said(&all).as_str(), ended, switches), ("one two three four", true, 1), "{all}");
            assert!(all.starts_with(&first) && all.ends_with(CHAT_END), "{all}");
        }
    }
}

#[test]
fn an_error_event_counts_as_a_break() {
    let first = format!("{}data: {{\"error\":{{\"message\":\"busy\"}}}}\n\n", chat("a", &["one "]));
    let other = format!("{}{CHAT_END}", chat("b", &["one ", "two"]));
    let (all, ended, _) = received(Api::Chat, Script::texts([first.clone()]), vec![Some(Script::texts([other]))]);
    assert_eq!((said(&all).as_str(), ended), ("one two", true));
    assert!(!all.contains("busy"));
    // Without another target, the client receives the error.
    let (all, ended, _) = received(Api::Chat, Script::texts([first.clone()]), vec![None]);
    assert_eq!((all, ended), (first, true));
}

#[test]
fn the_stream_ends_as_it_broke_off_at_the_first_difference() {
    let first = chat("a", &["one ", "two "]);
    for other in [chat("b", &["one ", "too "]), format!("{}{CHAT_END}", chat("b", &["one "])), chat("b", &[])] {
        let (all, ended, switches) =
            received(Api::Chat, Script::breaking(&first), vec![Some(Script::texts([other.clone()]))]);
        assert_eq!((all.as_str(), ended, switches), (first.as_str(), false, 0), "{other}");
    }
}

#[test]
fn targets_that_fail_or_break_are_followed_by_the_next_one() {
    let first = chat("a", &["one ", "two "]);
    let whole = format!("{}{CHAT_END}", chat("c", &["one two three ", "four"]));
    // A target that breaks off before it says anything new never goes on with the stream.
    for (broken, expected) in [(chat("b", &["one "]), 1), (chat("b", &["one ", "two ", "three "]), 2)] {
        let others = vec![None, Some(Script::breaking(&broken)), Some(Script::texts([whole.clone()]))];
        let (all, ended, switches) = received(Api::Chat, Script::breaking(&first), others);
        assert_eq!((said(&all).as_str(), ended, switches), ("one two three four", true, expected), "{all}");
    }
    let (all, ended, switches) = received(Api::Chat, Script::breaking(&first), vec![None, None]);
    assert_eq!((all, ended, switches), (first, false, 0));
}

#[test]
fn an_answer_with_a_tool_call_or_a_finish_is_not_continued() {
    let call = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\"}}]}}]}\n\n";
    let finish = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    for more in [call, finish] {
        let first = format!("{}{more}", chat("a", &["one "]));
        let other = format!("{first}{CHAT_END}");
        let (all, ended, switches) = received(Api::Chat, Script::breaking(&first), vec![Some(Script::texts([other]))]);
        assert_eq!((all, ended, switches), (first, false, 0));
    }
}

fn messages(id: &str, words: &[&str]) -> String {
    let mut events = format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"{id}\"}}}}\n\nevent: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{{\"type\":\"text\",\"text\":\"\"}}}}\n\n"
    );
    for word in words {
        events.push_str(&format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{word}\"}}}}\n\n"));
    }
    events
}

const MESSAGES_END: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n";
const MESSAGE_STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

#[test]
fn a_message_is_continued_and_begins_once() {
    let first = messages("a", &["one ", "tw"]);
    let other = format!("{}{MESSAGES_END}{MESSAGE_STOP}", messages("b", &["one two ", "three"]));
    let (all, ended, _) = received(Api::Messages, Script::breaking(&first), vec![Some(Script::texts([other]))]);
    assert_eq!((said(&all).as_str(), ended), ("one two three", true), "{all}");
    assert_eq!(
        (all.matches("event: message_start").count(), all.matches("event: content_block_start").count()),
        (1, 1)
    );
    assert!(all.ends_with(&format!("{MESSAGES_END}{MESSAGE_STOP}")), "{all}");
}

#[test]
fn a_message_that_lacks_only_its_last_event_is_complete() {
    let first = format!("{}{MESSAGES_END}", messages("a", &["one"]));
    let (all, ended, switches) = received(Api::Messages, Script::texts([first.clone()]), vec![None]);
    assert_eq!((all, ended, switches), (format!("{first}{MESSAGE_STOP}"), true, 0));
}

fn responses(id: &str, from: u64, words: &[&str]) -> (String, u64) {
    let mut number = from;
    let mut event = |kind: &str, rest: &str| {
        number += 1;
        format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{number},{rest}}}\n\n")
    };
    let item = format!("\"item_id\":\"msg_{id}\",\"output_index\":0,\"content_index\":0");
    let mut events = event("response.created", &format!("\"response\":{{\"id\":\"resp_{id}\"}}"));
    events += &event(
        "response.output_item.added",
        &format!("\"output_index\":0,\"item\":{{\"id\":\"msg_{id}\",\"type\":\"message\"}}"),
    );
    events += &event("response.content_part.added", &format!("{item},\"part\":{{}}"));
    for word in words {
        events += &event("response.output_text.delta", &format!("{item},\"delta\":\"{word}\""));
    }
    (events, number)
}

#[test]
fn a_response_keeps_its_names_and_numbers() {
    let (first, last) = responses("a", 0, &["one ", "two "]);
    let (mut other, _) = responses("b", 50, &["one ", "two three ", "four"]);
    other += "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"sequence_number\":57,\"item_id\":\"msg_b\",\"output_index\":0,\"content_index\":0,\"text\":\"one two three four\"}\n\n";
    other += "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":58,\"response\":{\"id\":\"resp_b\",\"output\":[{\"id\":\"msg_b\"}]}}\n\n";
    let (all, ended, _) = received(Api::Responses, Script::breaking(&first), vec![Some(Script::texts([other]))]);
    assert!(ended && all.starts_with(&first), "{all}");
    let rest: Vec<Value> =
        all[first.len()..].lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let deltas: Vec<&str> = rest.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(deltas, ["three ", "four"]);
    for (event, n) in rest.iter().zip(last + 1..) {
        assert_eq!(event["sequence_number"], n, "{event}");
        assert!(!event.to_string().contains("_b\""), "{event}");
    }
    assert_eq!(rest.last().unwrap()["response"]["output"][0]["id"], "msg_a");
}

#[test]
fn events_that_are_not_understood_end_the_memory() {
    let word = |word: &str| format!("{{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}");
    let joined = format!("data: {}\ndata: {}\n\n", word("two "), word("three "));
    let whole = "data: {\"choices\":[{\"index\":0,\"message\":{\"content\":\"two \"}}]}\n\n".to_owned();
    let several = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"two \"}},{\"index\":1,\"delta\":{}}]}\n\n";
    let unread = "data: {\"broken\": tru\n\n".to_owned();
    for odd in [joined, whole, several.to_owned(), unread] {
        // Such an event is passed on, and the answer is not continued.
        let first = format!("{}{odd}", chat("a", &["one "]));
        let other = format!("{}{CHAT_END}", chat("b", &["one ", "two ", "three ", "four"]));
        let (all, ended, switches) = received(Api::Chat, Script::breaking(&first), vec![Some(Script::texts([other]))]);
        assert_eq!((all.as_str(), ended, switches), (first.as_str(), false, 0), "{odd}");
        // It is not dropped from an answer that is compared.
        let first = chat("a", &["one ", "two "]);
        let other = format!("{odd}{}{CHAT_END}", chat("b", &["one ", "two ", "three"]));
        let (all, ended, switches) = received(Api::Chat, Script::breaking(&first), vec![Some(Script::texts([other]))]);
        assert_eq!((all.as_str(), ended, switches), (first.as_str(), false, 0), "{odd}");
        // Nothing is lost where the answer goes on with it.
        let other = format!("{first}{odd}{CHAT_END}");
        let (all, ended, switches) = received(Api::Chat, Script::breaking(&first), vec![Some(Script::texts([other]))]);
        assert_eq!((all, ended, switches), (format!("{first}{odd}{CHAT_END}"), true, 1), "{odd}");
    }
}

#[test]
fn the_end_of_a_stream_that_cannot_be_read_is_passed_on_unless_another_target_is_asked() {
    let half = "data: {\"odd\":[{\"index\":0,\"del";
    let call = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n";
    let first = format!("{}{call}{half}", chat("a", &["one "]));
    let (all, ended, _) = received(Api::Chat, Script::texts([first.clone()]), vec![None]);
    assert_eq!((all, ended), (first, true));
    let first = chat("a", &["one "]);
    let other = format!("{}{CHAT_END}", chat("b", &["one ", "two"]));
    let cut = Script::texts([format!("{first}{half}")]);
    let (all, ended, _) = received(Api::Chat, cut, vec![Some(Script::texts([other]))]);
    assert_eq!((said(&all).as_str(), ended, all.contains("odd")), ("one two", true, false), "{all}");
}

#[test]
fn a_refusal_of_the_content_is_the_answer() {
    let refusal = "data: {\"error\":{\"message\":\"no\",\"code\":\"content_policy_violation\"}}\n\n";
    let first = format!("{}{refusal}", chat("a", &["one "]));
    let other = format!("{}{CHAT_END}", chat("b", &["one ", "two"]));
    let (all, ended, switches) =
        received(Api::Chat, Script::texts([first.clone()]), vec![Some(Script::texts([other]))]);
    assert_eq!((all, ended, switches), (first, true, 0));
}

#[test]
fn a_stream_of_which_the_client_has_the_end_asks_no_other_target() {
    let others = Scripted::of(vec![Some(Script::texts([format!("{}{CHAT_END}", chat("b", &["one ", "two"]))]))]);
    let first = Source::Scripted(Script::breaking(&chat("a", &["one "])));
    let mut stream = ResumableStream::new(Api::Chat, Vec::new(), first, Box::new(others));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(stream.poll_data(&mut cx), Poll::Ready(Some(Ok(_)))));
    stream.stop_resuming();
    assert!(matches!(stream.poll_data(&mut cx), Poll::Ready(Some(Err(_)))));
    assert!(matches!(stream.poll_data(&mut cx), Poll::Ready(None)) && stream.take_switch().is_none());
}

#[test]
fn an_event_that_is_too_long_ends_the_stream() {
    let first = chat("a", &["one "]);
    let long = (0..=MAX_EVENT >> 20).map(|_| "x".repeat(1 << 20));
    let end = format!("\n\n{}{CHAT_END}", chat("a", &["two"]));
    let pieces = [format!("{first}data: ")].into_iter().chain(long).chain([end]);
    let other = format!("{}{CHAT_END}", chat("b", &["one ", "two"]));
    let (all, ended, switches) = received(Api::Chat, Script::texts(pieces), vec![Some(Script::texts([other]))]);
    assert_eq!((all, ended, switches), (first, true, 0));
}
