//! Correct answers have the format that clients of the API expect.

use serde_json::Value;
use signalbox_fakes::{
    FakeProvider, Turn,
    script::{Coding, Dialect, FaultKind, Usage},
};

use crate::client::{Client, ask};

#[tokio::test]
async fn an_echo_streams_word_by_word() {
    let fake = FakeProvider::start().await.unwrap();
    let answer = ask(&fake, "any", true).await;
    assert!(answer.head.starts_with("HTTP/1.1 200 "), "{}", answer.head);
    assert_eq!(answer.chunks.len(), 6, "role, three words, finish, done: {}", answer.text());
    let folded = answer.folded();
    assert_eq!((folded.text.as_str(), folded.finish_reason.as_deref()), ("one two three", Some("stop")));
    assert!(folded.done && folded.usage.is_none() && answer.whole);
}

#[tokio::test]
async fn a_whole_echo_reports_usage() {
    let fake = FakeProvider::start().await.unwrap();
    let folded = ask(&fake, "any", false).await.folded();
    assert_eq!(folded.text, "one two three");
    assert_eq!(folded.usage.unwrap().completion_tokens, 3);
}

#[tokio::test]
async fn text_parts_are_echoed_and_images_are_not() {
    let fake = FakeProvider::start().await.unwrap();
    let mut client = Client::connect(&fake).await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:x"}}]}]}"#;
    client.post("/v1/chat/completions", body).await;
    assert_eq!(client.answer().await.folded().text, "look");
}

#[tokio::test]
async fn n_choices_usage_and_tools_are_streamed_on_request() {
    let fake = FakeProvider::start().await.unwrap();
    let mut client = Client::connect(&fake).await;
    let body = r#"{"model":"fake-tool","n":2,"stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    client.post("/v1/chat/completions", body).await;
    let folded = client.answer().await.folded();
    let json: Value = serde_json::from_str(&folded.json.unwrap()).unwrap();
    for (index, choice) in json["choices"].as_array().unwrap().iter().enumerate() {
        assert_eq!(choice["index"], index);
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert_eq!(choice["message"]["tool_calls"][0]["function"]["arguments"], r#"{"city":"Oslo"}"#);
    }
    assert_eq!(json["choices"].as_array().unwrap().len(), 2);
    assert!(folded.usage.is_some());
}

#[tokio::test]
async fn streamed_and_whole_answers_are_equal() {
    let fake = FakeProvider::start().await.unwrap();
    for model in ["fake-echo", "fake-reasoning", "fake-length", "fake-tool"] {
        let (streamed, whole) = (ask(&fake, model, true).await.folded(), ask(&fake, model, false).await.folded());
        let choices = |json: Option<String>| {
            let mut json: Value = serde_json::from_str(&json.unwrap()).unwrap();
            json["choices"][0].as_object_mut().unwrap().remove("logprobs");
            json["choices"].take()
        };
        assert_eq!(choices(streamed.json), choices(whole.json), "{model}");
    }
}

#[tokio::test]
async fn chunking_line_endings_and_comments_change_no_event() {
    let fake = FakeProvider::start().await.unwrap();
    let usual = ask(&fake, "m", true).await.text();
    let split = ask(&fake, "m/fake-split", true).await;
    assert!(split.chunks.iter().all(|chunk| chunk.len() == 1));
    assert_eq!(split.text(), usual.replace(r#""model":"m""#, r#""model":"m/fake-split""#));
    let crlf = ask(&fake, "fake-crlf", true).await;
    assert_eq!(crlf.text().matches("\r\n\r\n").count(), 6);
    assert_eq!(crlf.folded().text, "one two three");
    let comments = ask(&fake, "fake-comments", true).await;
    assert_eq!(comments.text().matches(": keep-alive\n\n").count(), 6);
    assert_eq!(comments.folded().text, "one two three");
}

#[tokio::test]
async fn words_of_a_timed_stream_are_send_times() {
    let fake = FakeProvider::start().await.unwrap();
    let text = ask(&fake, "fake-3x0", true).await.folded().text;
    let times: Vec<u64> =
        text.split_whitespace().map(|word| word.strip_prefix("t=").unwrap().parse().unwrap()).collect();
    assert!(times.len() == 3 && times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let fake = FakeProvider::start().await.unwrap();
    let mut client = Client::connect(&fake).await;
    for stream in [true, false, true] {
        client.ask("m", stream).await;
        assert!(client.answer().await.whole);
    }
    // Sent together, answered in order.
    client.ask("first", false).await;
    client.ask("second", false).await;
    assert!(client.answer().await.text().contains("first"));
    assert!(client.answer().await.text().contains("second"));
    assert_eq!((fake.calls().len(), fake.connections()), (5, 1));
}

#[tokio::test]
async fn bodies_of_any_transfer_encoding_and_size_are_read() {
    let fake = FakeProvider::start().await.unwrap();
    let mut client = Client::connect(&fake).await;
    client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 100 "));
    client.send(b"a;x=1\r\n{\"model\":\"\r\n3\r\nm\"}\r\n0\r\n\r\n").await;
    assert!(client.answer().await.whole);
    assert_eq!(fake.calls()[0].body, r#"{"model":"m"}"#);

    let long = format!(r#"{{"model":"long","messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(5 << 20));
    client.post("/v1/chat/completions", &long).await;
    assert_eq!(client.answer().await.folded().text.len(), 5 << 20);
    assert_eq!(fake.calls_of("long")[0].body, long);
}

#[tokio::test]
async fn models_health_and_unknown_paths() {
    let fake = FakeProvider::start().await.unwrap();
    let mut client = Client::connect(&fake).await;
    for (path, status) in [("/v1/models", "200"), ("/health", "200"), ("/v1/nothing", "404")] {
        client.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        let answer = client.answer().await;
        assert_eq!(answer.head.split(' ').nth(1), Some(status), "{path}");
        serde_json::from_slice::<Value>(&answer.body()).unwrap();
    }
    client.post("/v1/chat/completions", "{broken").await;
    assert!(client.answer().await.head.starts_with("HTTP/1.1 400 "));
    client.send(b"nonsense\r\n\r\n").await;
    assert!(client.answer().await.head.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_fixed_answer_with_headers() {
    let fake = FakeProvider::start().await.unwrap();
    fake.script("m", Turn::says("Hello.").header("x-ratelimit-remaining", "7"));
    let answer = ask(&fake, "m", false).await;
    assert!(answer.head.contains("\r\nx-ratelimit-remaining: 7\r\n"));
    assert_eq!(answer.folded().text, "Hello.");
}

#[tokio::test]
async fn write_boundaries_change_no_byte_of_the_body() {
    let fake = FakeProvider::start().await.unwrap();
    let usual = ask(&fake, "m/fake-echo", true).await.text();
    let joined = ask(&fake, "m/fake-joined", true).await;
    assert_eq!((joined.chunks.len(), fake.calls_of("m/fake-joined")[0].events_sent), (1, 6));
    assert_eq!(joined.text().replace("fake-joined", "fake-echo"), usual);
    let cut = ask(&fake, "m/fake-cut-7", true).await;
    assert!(cut.chunks[..cut.chunks.len() - 1].iter().all(|chunk| chunk.len() == 7), "{:?}", cut.chunks);
    assert_eq!(cut.text().replace("fake-cut-7", "fake-echo"), usual);
}

#[tokio::test]
async fn joined_events_before_a_fault_are_sent() {
    let fake = FakeProvider::start().await.unwrap();
    fake.script("m", Turn::echo().join(usize::MAX).after(3, FaultKind::Close));
    let answer = ask(&fake, "m", true).await;
    assert_eq!((answer.chunks.len(), answer.text().matches("data: ").count(), answer.whole), (1, 3, false));
}

#[tokio::test]
async fn compressed_answers_declare_their_encoding() {
    let fake = FakeProvider::start().await.unwrap();
    for (coding, name) in Coding::ALL.into_iter().zip(["gzip", "deflate", "deflate", "br", "zstd"]) {
        fake.script("m", Turn::echo().coded(coding));
        for stream in [true, false] {
            let answer = ask(&fake, "m", stream).await;
            assert!(answer.head.contains(&format!("content-encoding: {name}\r\n")), "{}", answer.head);
            let body = answer.body();
            assert!(
                !body.is_empty() && !body.windows(9).any(|bytes| bytes == b"\"content\""),
                "{coding:?} leaves the text as it is"
            );
            assert!(answer.whole);
        }
    }
}

#[tokio::test]
async fn a_scripted_content_type_replaces_the_default() {
    let fake = FakeProvider::start().await.unwrap();
    fake.script("m", Turn::echo().typed("text/plain"));
    assert!(ask(&fake, "m", true).await.head.contains("content-type: text/plain\r\n"));
    fake.script("m", Turn::echo().typed(""));
    assert!(!ask(&fake, "m", true).await.head.contains("content-type"));
}

#[tokio::test]
async fn a_dialect_changes_every_chunk_but_no_text() {
    let fake = FakeProvider::start().await.unwrap();
    let turn = || Turn::calls("read", r#"{"path":"a"}"#).chat(|chat| chat.usage = Usage::Always);
    fake.script("m", turn());
    let usual = ask(&fake, "m", true).await.text();
    for dialect in Dialect::ALL {
        fake.script("m", turn().chat(|chat| chat.dialect = dialect));
        let text = ask(&fake, "m", true).await.text();
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        assert_eq!(text == usual, dialect == Dialect::Standard, "{dialect:?}: {text}");
        for chunk in text.lines().filter_map(|line| line.strip_prefix("data: {")) {
            assert!(serde_json::from_str::<Value>(&format!("{{{chunk}")).is_ok(), "{dialect:?}: {chunk}");
        }
    }
}
