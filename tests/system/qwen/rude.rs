//! A site with unusual formats: the text still arrives, and errors are reported in the site's own words.

use serde_json::{Value, json};
use signalbox_fakes::qwen::{Content, Endpoint, Reply, Turn};

use super::{LoneQwen, request};
use crate::gateway::{CHAT, error_of};

const TEXT: &str = "één, 二 and \u{1F600}\u{1F480}; done";

/// Returns the events of an answer as one text.
fn events(words: &[&str]) -> String {
    let mut stream =
        format!("data: {}\n\n", json!({"response.created": {"chat_id": "c", "parent_id": "p", "response_id": "r"}}));
    for word in words {
        let delta = json!({"role": "assistant", "content": word, "phase": "answer", "status": "typing"});
        let usage = json!({"input_tokens": 1, "output_tokens": words.len(), "total_tokens": 1 + words.len()});
        stream.push_str(&format!("data: {}\n\n", json!({"choices": [{"delta": delta}], "usage": usage})));
    }
    let finished = json!({"role": "assistant", "content": "", "phase": "answer", "status": "finished"});
    stream + &format!("data: {}\n\n", json!({"choices": [{"delta": finished}]}))
}

/// Requests `text` in both modes; both times it has to arrive and to be logged as complete.
async fn arrives(lone: &LoneQwen, what: &str, text: &str, asked: &str) {
    let streamed = lone.client().stream(CHAT, &request("qwen3-max", true, asked)).await;
    assert_eq!(streamed.status, 200, "{what}");
    let streamed = streamed.finish().await.folded;
    assert!(streamed.error.is_none(), "{what}: {:?}", streamed.error);
    assert_eq!((streamed.text.as_str(), streamed.done), (text, true), "{what}, streamed");
    assert_eq!(streamed.finish_reason.as_deref(), Some("stop"), "{what}");
    let whole = lone.ask("qwen3-max", asked).await.expect(200).json();
    assert_eq!(whole["choices"][0]["message"]["content"], text, "{what}, whole");
    let logged = lone.client().get("/v1/requests?limit=2").await.expect(200).json();
    for row in logged["data"].as_array().unwrap() {
        let id = &row["id"];
        let answer = lone.client().get(&format!("/v1/requests/{id}/response")).await.expect(200).json();
        assert_eq!(row["status"], "completed", "{what}: {row}");
        assert_eq!(answer["openai_response"]["choices"][0]["message"]["content"], text, "{what}, in the log");
    }
}

#[tokio::test]
async fn events_may_be_joined_and_split_anywhere() {
    let lone = LoneQwen::start().await;
    let words = ["one ", "two ", "three ", "four ", "five"];
    let stream = events(&words);
    let event = stream.len() / (words.len() + 2);
    // All in one write; several events and part of the next; about one; less than one; one byte.
    for size in [stream.len(), 3 * event, 2 * event - 7, event, event / 2, 1] {
        for (ends, stream) in [("lf", stream.clone()), ("crlf", stream.replace('\n', "\r\n"))] {
            lone.site.script(Endpoint::Completion, Turn::raw("text/event-stream", stream).split(size));
            arrives(&lone, &format!("{ends} in writes of {size}"), &words.concat(), "hello").await;
        }
    }
}

#[tokio::test]
async fn unusual_event_forms_do_not_lose_text() {
    let lone = LoneQwen::start().await;
    let with_usage = |usage: Value| Reply { usage: Some(usage), ..Reply::default() };
    let content = |content| Reply { content, ..Reply::default() };
    let odd = [
        ("null usage", with_usage(Value::Null)),
        ("float usage", with_usage(json!({"input_tokens": 1.0, "output_tokens": 2.5, "total_tokens": 3e0}))),
        ("text usage", with_usage(json!({"input_tokens": "1", "output_tokens": "two"}))),
        ("list usage", with_usage(json!([1, 2]))),
        ("parts", content(Content::Parts)),
        ("texts", content(Content::Texts)),
        ("halves", Reply { halves: true, ..Reply::default() }),
        ("halves of characters", Reply { halves: true, pieces: Some(1), ..Reply::default() }),
        ("all of it", Reply { halves: true, usage: Some(Value::Null), content: Content::Parts, ..Reply::default() }),
    ];
    for (what, reply) in odd {
        for turn in [Turn::from(reply.clone()), Turn::from(reply).split(1)] {
            lone.site.script(Endpoint::Completion, turn);
            arrives(&lone, what, TEXT, TEXT).await;
        }
    }
    lone.is_content();
}

#[tokio::test]
async fn an_answer_is_recognised_by_content_not_media_type() {
    let lone = LoneQwen::start().await;
    for media_type in ["text/plain", "application/json", "application/octet-stream", "text/html; charset=utf-8", "x"] {
        let stream = format!("\u{feff}: hello\n\nid: 1\n{}", events(&["one ", "two"]));
        lone.site.script(Endpoint::Completion, Turn::raw(media_type, stream));
        arrives(&lone, media_type, "one two", "hello").await;
    }
    let message = json!({"role": "assistant", "content": TEXT});
    let data = json!({"chat_id": "", "parent_id": "p", "message_id": "m", "choices": [{"message": message}]});
    let whole = json!({"success": true, "request_id": "x", "data": data}).to_string();
    for media_type in ["application/json", "text/event-stream"] {
        lone.site.script(Endpoint::Completion, Turn::raw(media_type, whole.clone()));
        arrives(&lone, "an answer that is not a stream", TEXT, "hello").await;
    }
}

#[tokio::test]
async fn a_line_of_megabytes_is_relayed() {
    let lone = LoneQwen::start().await;
    let long = "0123456789abcdef".repeat(3 << 16);
    lone.site.script(Endpoint::Completion, Turn::raw("text/event-stream", events(&["one ", &long, " two"])));
    let streamed = lone.client().stream(CHAT, &request("qwen3-max", true, "hello")).await.finish().await.folded;
    assert!(streamed.text == format!("one {long} two") && streamed.done, "{} bytes", streamed.text.len());
}

#[tokio::test]
async fn an_error_in_a_200_is_reported_with_status_and_message() {
    let lone = LoneQwen::start().await;
    let words = "the model is on holiday";
    let errors = [
        (json!({"choices": [], "error": {"message": words, "type": "server_error"}}), 502),
        (json!({"error": words}), 502),
        (json!({"error": {"message": words, "code": 400}}), 400),
        (json!({"error": {"message": words, "code": "503"}}), 503),
        (json!({"object": "error", "message": words, "code": 422}), 422),
        (json!([{"error": {"code": 404, "message": words, "status": "NOT_FOUND"}}]), 404),
        (json!({"code": "InvalidParameter", "message": words, "request_id": "x"}), 502),
        (json!({"detail": words}), 502),
        (json!({"error_message": words}), 502),
        (json!({"base_resp": {"status_code": 1004, "status_msg": words}}), 502),
        (json!({"choices": [{"finish_reason": "error", "error": {"code": 502, "message": words}}]}), 502),
        (json!({"success": false, "data": {"code": "Bad", "details": words}}), 502),
        // Must be last, because it puts the login into its back-off period.
        (json!({"choices": null, "error": {"message": words, "code": 429}}), 429),
    ];
    for (what, turn) in [
        ("an event named error", Turn::raw("text/event-stream", format!("event: error\ndata: {words}\n\n"))),
        ("bare words", Turn::raw("text/plain", words)),
    ] {
        lone.site.script(Endpoint::Completion, turn);
        let told = error_of(&lone.ask("qwen3-max", "hello").await, 502);
        assert!(told["message"].as_str().unwrap().contains(words), "{what}: {told}");
    }
    for (error, status) in errors {
        let as_event = Turn::raw("text/event-stream", format!("data: {error}\n\ndata: [DONE]\n\n"));
        for turn in
            [as_event, Turn::raw("application/json", error.to_string()), Turn::raw("text/plain", error.to_string())]
        {
            lone.site.script(Endpoint::Completion, turn);
            for stream in [false, true] {
                let told = error_of(&lone.client().post(CHAT, &request("qwen3-max", stream, "hello")).await, status);
                let message = told["message"].as_str().unwrap();
                assert!(status == 429 || message.contains(words), "{error}: {message}");
            }
        }
    }
}

#[tokio::test]
async fn text_before_an_error_is_relayed_and_the_answer_is_incomplete() {
    let lone = LoneQwen::start().await;
    let words = ["one ", "two "];
    let cut = events(&words).rsplit_once("data: ").unwrap().0.to_owned();
    let error = json!({"error": {"message": "gone", "code": 500}});
    for last in [format!("data: {error}\n\n"), "event: error\ndata: gone\n\n".to_owned()] {
        for size in [usize::MAX, 11] {
            let turn = Turn::raw("text/event-stream", format!("{cut}{last}data: [DONE]\n\n")).split(size);
            lone.site.script(Endpoint::Completion, turn);
            let streamed = lone.client().stream(CHAT, &request("qwen3-max", true, "hello")).await.finish().await.folded;
            assert_eq!(streamed.text, "one two ");
            assert!(streamed.error.is_some() && !streamed.done && streamed.finish_reason.is_none(), "{streamed:?}");
        }
    }
}
