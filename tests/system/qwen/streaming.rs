//! Streaming without delay: text is sent as soon as it cannot be part of a tool's tag.

use serde_json::{Value, json};
use signalbox_fakes::{
    End,
    qwen::{Endpoint, Extra, Reply, Turn, trouble},
};
use signalbox_harness::{Events, within};

use super::{LoneQwen, request};
use crate::gateway::CHAT;

async fn sent(lone: &LoneQwen, events: u64) {
    let reached = lone
        .site
        .until(|site| site.calls_of(Endpoint::Completion).last().is_some_and(|call| call.events_sent == events));
    within("the event of the site", reached).await;
}

async fn next_chunk(events: &mut Events) -> Option<Value> {
    let frame = events.next().await?;
    serde_json::from_slice(&frame.data()?).ok()
}

#[tokio::test]
async fn each_delta_is_sent_before_the_next_arrives() {
    let lone = LoneQwen::start().await;
    let gate = lone.site.script(Endpoint::Completion, Turn::default().gated());
    // The ids, and the first delta.
    gate.release(2);
    let mut events = lone.client().stream(CHAT, &request("qwen3-max", true, "one two three")).await;
    for (number, word) in ["one ", "two ", "three"].into_iter().enumerate() {
        if number > 0 {
            gate.release(1);
        }
        assert_eq!(events.next_text().await.as_deref(), Some(word));
        // The client has received it, and the site cannot have sent more.
        sent(&lone, 2 + number as u64).await;
    }
    gate.open();
    assert!(events.finish().await.folded.done);
}

#[tokio::test]
async fn only_possible_tags_of_declared_tools_are_held_back() {
    let lone = LoneQwen::start().await;
    let gate = lone.site.script(Endpoint::Completion, Turn::default().gated());
    gate.release(1);
    let mut request = request("qwen3-max", true, "pieces 1\nsay a<b <r.");
    request["tools"] = json!([{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}]);
    // The response head is sent with the first event of any kind.
    gate.release(1);
    let mut events = lone.client().stream(CHAT, &request).await;
    assert_eq!(events.next_text().await.as_deref(), Some("a"));
    // No tool name begins with b, so the held text is sent.
    gate.release(2);
    assert_eq!(events.next_text().await.as_deref(), Some("<b"));
    gate.release(1);
    assert_eq!(events.next_text().await.as_deref(), Some(" "));
    gate.release(3);
    assert_eq!(events.next_text().await.as_deref(), Some("<r."));
    gate.open();
    let finished = events.finish().await;
    assert_eq!((finished.folded.text.as_str(), finished.folded.done), ("a<b <r.", true));
}

#[tokio::test]
async fn the_response_head_does_not_wait_for_a_long_call() {
    let lone = LoneQwen::start().await;
    let gate = lone.site.script(Endpoint::Completion, Turn::default().gated());
    let text = format!("pieces 1\ncall read {}", json!({"path": "x".repeat(1000)}));
    let mut request = request("qwen3-max", true, &text);
    request["tools"] = json!([{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}]);
    gate.release(100);
    let events = lone.client().stream(CHAT, &request).await;
    assert_eq!(events.status, 200);
    gate.open();
    let finished = events.finish().await.folded;
    assert_eq!((finished.finish_reason.as_deref(), finished.done), (Some("tool_calls"), true));
}

#[tokio::test]
async fn a_stream_has_the_shape_that_clients_expect() {
    let lone = LoneQwen::start().await;
    let mut events = lone.client().stream(CHAT, &request("qwen3-max", true, "one two three")).await;
    assert_eq!(events.status, 200);
    assert!(events.header("content-type").starts_with("text/event-stream"));
    assert_eq!(events.header("x-accel-buffering"), "no");
    let mut chunks = Vec::new();
    while let Some(chunk) = next_chunk(&mut events).await {
        chunks.push(chunk);
    }
    for chunk in &chunks {
        assert_eq!((&chunk["object"], &chunk["model"]), (&json!("chat.completion.chunk"), &json!("qwen3-max")));
        assert_eq!(chunk["id"], chunks[0]["id"]);
    }
    assert!(chunks[0]["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let [.., last, usage] = chunks.as_slice() else { panic!("{chunks:?}") };
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 3);
    let finished = events.finish().await;
    assert!(finished.raw.ends_with(b"data: [DONE]\n\n"), "{:?}", finished.raw);
}

#[tokio::test]
async fn usage_is_that_of_the_site_in_both_modes() {
    let lone = LoneQwen::start().await;
    let whole = lone.ask("qwen3-max", "one two three four").await.expect(200).json();
    let streamed = lone.client().stream(CHAT, &request("qwen3-max", true, "one two three four")).await.finish().await;
    assert_eq!((&whole["usage"]["prompt_tokens"], &whole["usage"]["completion_tokens"]), (&json!(4), &json!(4)));
    assert_eq!(whole["usage"]["total_tokens"], 8);
    let usage = streamed.folded.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (4, 4));
    assert_eq!(whole["choices"][0]["message"]["content"], "one two three four");
    assert_eq!(whole["_qwen_metadata"]["parent_id"].as_str().map(str::len), Some(36));
}

#[tokio::test]
async fn thoughts_are_reasoning_content() {
    let lone = LoneQwen::start().await;
    let text = "think let me see\nsay it is so";
    let whole = lone.ask("qwen3-max", text).await.expect(200).json();
    let message = &whole["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("it is so"), &json!("let me see")));
    let streamed = lone.client().stream(CHAT, &request("qwen3-max", true, text)).await.finish().await;
    assert_eq!(streamed.folded.text, "it is so");
    assert!(streamed.raw.windows(17).any(|bytes| bytes == b"reasoning_content"));
}

#[tokio::test]
async fn additional_events_of_the_site_are_ignored() {
    let lone = LoneQwen::start().await;
    let odd = [
        trouble::mixed_with(Extra::Unknown),
        Turn::default().split(1),
        Turn::default().split(7),
        Reply { pieces: Some(1), ..Reply::default() }.into(),
    ];
    for turn in odd {
        lone.site.script(Endpoint::Completion, turn);
        let text = "één, 二 and \u{1F600}; done";
        let streamed = lone.client().stream(CHAT, &request("qwen3-max", true, text)).await.finish().await;
        assert_eq!((streamed.folded.text.as_str(), streamed.folded.done), (text, true));
        let whole = lone.ask("qwen3-max", text).await.expect(200).json();
        assert_eq!(whole["choices"][0]["message"]["content"], text);
    }
}

#[tokio::test]
async fn a_disconnect_cancels_the_call() {
    let lone = LoneQwen::start().await;
    let left = async |calls: usize| {
        let left = lone.site.until(|site| {
            let ends: Vec<_> = site.calls_of(Endpoint::Completion).iter().map(|call| call.end()).collect();
            ends.len() == calls && ends.iter().all(|end| *end == Some(End::ClientLeft))
        });
        within("the call to the site", left).await;
    };
    let mut events = lone.client().stream(CHAT, &request("fake-stall-2", true, "one two")).await;
    assert!(events.next_text().await.is_some());
    drop(events);
    left(1).await;
    let client = lone.client();
    let asked = tokio::spawn(async move { client.post(CHAT, &request("fake-stall-2", false, "one two")).await });
    within("the call", lone.site.until(|site| site.calls_of(Endpoint::Completion).len() == 2)).await;
    asked.abort();
    left(2).await;
}
