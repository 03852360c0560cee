//! Messages and Responses: the log has what a strict parser makes of the client's bytes.
//!
//! Each client is in front of a provider of each API, polite and rude: where the APIs are the same, the bytes are the
//! provider's, otherwise those of the translation.

use serde_json::Value;
use signalbox_fakes::{Turn, script::rudely};
use signalbox_grammar::{self as grammar, Said};

use super::logged;
use crate::{
    apis::{APIS, Api},
    gateway::Gateway,
};

/// Returns answers of every kind that all three APIs have.
fn answers() -> Vec<(&'static str, Turn)> {
    let text = "\u{e9}\u{e9}n, \u{4e8c} and \u{1F600}; \"quoted\"\\n done";
    let arguments = r#"{"path":"a/b.txt","lines":[1,2],"note":"\u00e9 \ud83d\ude00"}"#;
    vec![
        ("text", Turn::says(text)),
        ("nothing", Turn::says("")),
        ("thoughts", Turn::says(text).thinks("hm, let me \u{1F914} see")),
        ("call", Turn::calls("read_file", arguments)),
        ("calls", Turn::says("let me look").and_calls("read_file", arguments).and_calls("list", "{}")),
        ("everything", Turn::says(text).thinks("first the file").and_calls("read_file", arguments)),
        ("length", Turn::says(text).chat(|chat| chat.finish_reason = Some("length".into()))),
    ]
}

/// Parses a stream by the grammar of its API. Line ends and comments of a provider may be of any kind, so they are
/// removed first.
fn in_stream(api: Api, raw: &[u8]) -> Said {
    let text = std::str::from_utf8(raw).unwrap().replace("\r\n", "\n");
    let lines: Vec<&str> = text.split('\n').filter(|line| !line.starts_with(':')).collect();
    let frames = grammar::frames(lines.join("\n").as_bytes());
    let mut said = match api {
        Api::Chat => grammar::chat(&frames, false),
        Api::Messages => grammar::messages(&frames),
        Api::Responses => grammar::responses(&frames),
    };
    for (_, _, input) in &mut said.calls {
        *input = same_json(input);
    }
    said
}

/// Reads the whole answer in the log: a message or a response.
fn in_log(api: Api, answer: &Value) -> Said {
    let mut said = Said::default();
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value} in {answer}")).to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    match api {
        Api::Chat => panic!("chat is compared elsewhere"),
        Api::Messages => {
            for block in list(&answer["content"]) {
                match block["type"].as_str() {
                    Some("text") => said.text.push_str(&text(&block["text"])),
                    Some("thinking") => said.thinking.push_str(&text(&block["thinking"])),
                    Some("tool_use") => {
                        said.calls.push((text(&block["id"]), text(&block["name"]), block["input"].to_string()));
                    }
                    _ => panic!("{block}"),
                }
            }
            said.end = answer["stop_reason"].as_str().map(str::to_owned);
        }
        Api::Responses => {
            for item in list(&answer["output"]) {
                match item["type"].as_str() {
                    Some("message") => list(&item["content"]).iter().for_each(|part| said.text += &text(&part["text"])),
                    Some("reasoning") => {
                        let parts = list(&item["content"]).into_iter().chain(list(&item["summary"]));
                        parts.for_each(|part| said.thinking += &text(&part["text"]));
                    }
                    Some("function_call") => {
                        let arguments = same_json(&text(&item["arguments"]));
                        said.calls.push((text(&item["call_id"]), text(&item["name"]), arguments));
                    }
                    _ => panic!("{item}"),
                }
            }
            said.end = answer["status"].as_str().map(str::to_owned);
        }
    }
    said
}

/// Returns JSON in one form, whatever its spaces and escapes; a block without input has an empty object.
fn same_json(text: &str) -> String {
    if text.is_empty() { "{}".to_owned() } else { serde_json::from_str::<Value>(text).unwrap().to_string() }
}

async fn compare(provider: Api, gateway: &Gateway) {
    for (name, turn) in answers() {
        gateway.fake.script("m", turn);
        for client in [Api::Messages, Api::Responses] {
            let what = format!("{name}: {client:?} to {provider:?}");
            let events = gateway.router.stream(client.path(), &client.request("fake/m", true, "hi")).await;
            let id = events.header("x-request-id").to_owned();
            let finished = events.finish().await;
            let raw = String::from_utf8_lossy(&finished.raw);
            assert!(finished.complete, "{what}: {raw}");
            let got = in_stream(client, &finished.raw);
            assert!(got.end.is_some(), "{what}: {raw}");
            let (answer, row) = logged(gateway, &id).await;
            assert_eq!(row["status"], "completed", "{what}: {row}");
            assert_eq!(in_log(client, &answer), got, "{what}: {answer}\n{raw}");
        }
    }
}

#[tokio::test]
async fn the_log_equals_what_a_strict_parser_reads_in_every_api() {
    for provider in APIS {
        compare(provider, &provider.gateway().await).await;
    }
}

#[test]
fn the_log_equals_what_a_strict_parser_reads_of_rude_providers() {
    rudely(the_log_equals_what_a_strict_parser_reads_in_every_api);
}
