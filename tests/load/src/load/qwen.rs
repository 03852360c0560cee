//! A turn with chat.qwen.ai itself: the calls that qwen-proxy makes for its clients.
//!
//! As in qwen-proxy, a turn that begins a conversation consists of two calls: one creates a chat, one sends the prompt.

use std::time::Duration;

use memchr::memmem;

use super::{
    Worker,
    exchange::read_chunks,
    grammar::{STAMP, stamp},
};
use crate::{
    clock::monotonic_ns,
    wire::{Framing, Head, Peer, Wire},
};

/// Headers of a browser with a login, as required by the fake site.
const HEADERS: &str = "host: 127.0.0.1\r\nuser-agent: Mozilla/5.0\r\ncookie: a=b\r\nbx-umidtoken: any\r\ncontent-type: application/json\r\n";
/// The fake requires a time and accepts any.
const SECONDS: u32 = 1_700_000_000;

/// Creates a chat, sends the prompt and reads the complete answer; keeps the connection if it can be reused.
pub(super) async fn exchange(worker: &mut Worker) -> Result<(), String> {
    let mut wire = match worker.kept.take() {
        Some(wire) => wire,
        None => Wire::connect(worker.load.port).await.map_err(|error| format!("connect: {error}"))?,
    };
    let (model, text) = worker.prompts.ticking();
    let chat = format!(
        r#"{{"title":"API Chat","models":["{model}"],"chat_mode":"normal","chat_type":"t2t","timestamp":{SECONDS}000}}"#
    );
    let opened = post(&mut wire, "/api/v2/chats/new", &chat).await?;
    let Framing::Length(len) = opened.framing else { return Err("a new chat is not a stream".to_owned()) };
    let body = wire.body(len).await.map_err(|error| format!("body: {error}"))?;
    let chat_id = id(body).ok_or_else(|| format!("no chat: {}", String::from_utf8_lossy(body)))?;
    wire.consume(len);
    let turn = turn(&model, &chat_id, &text);
    let head = post(&mut wire, &format!("/api/v2/chat/completions?chat_id={chat_id}"), &turn).await?;
    let Framing::Chunked = head.framing else { return Err(format!("{}: no stream", head.status)) };
    let complete = read_chunks(&mut wire, FINISHED, |chunk| {
        let now = monotonic_ns();
        for sent in memmem::find_iter(chunk, STAMP).filter_map(|at| stamp(&chunk[at..])) {
            worker.tally.borrow_mut().chunk_came(Duration::from_nanos(now.saturating_sub(sent)));
        }
    });
    let complete = complete.await.map_err(|error| format!("body: {error}"))?;
    if !complete || head.status != 200 {
        return Err(format!("{}: incomplete answer", head.status));
    }
    worker.kept = Some(wire);
    Ok(())
}

/// End of a complete answer.
const FINISHED: &[u8] = b"\"status\":\"finished\"}}]}\n\n";

async fn post(wire: &mut Wire, path: &str, body: &str) -> Result<Head, String> {
    let len = body.len();
    let request = format!("POST {path} HTTP/1.1\r\n{HEADERS}content-length: {len}\r\n\r\n{body}");
    wire.write(request.as_bytes()).await.map_err(|error| format!("send: {error}"))?;
    let head = wire.head(Peer::Server).await.map_err(|error| format!("head: {error}"))?;
    head.ok_or_else(|| "closed instead of responding".to_owned())
}

/// Returns the id of the new chat.
fn id(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(body["data"]["id"].as_str()?.to_owned())
}

fn turn(model: &str, chat_id: &str, text: &str) -> String {
    format!(
        concat!(
            r#"{{"stream":true,"incremental_output":true,"chat_id":"{chat_id}","chat_mode":"normal","model":"{model}","#,
            r#""parent_id":null,"timestamp":{seconds},"messages":[{{"fid":"0199a3f0-0000-7000-8000-000000000001","#,
            r#""parentId":null,"parent_id":null,"childrenIds":[],"role":"user","content":"{text}","user_action":"chat","#,
            r#""files":[],"timestamp":{seconds},"models":["{model}"],"chat_type":"t2t","sub_chat_type":"t2t","#,
            r#""feature_config":{{"thinking_enabled":false,"output_schema":"phase"}},"#,
            r#""extra":{{"meta":{{"subChatType":"t2t"}}}}}}]}}"#
        ),
        chat_id = chat_id,
        model = model,
        text = text,
        seconds = SECONDS,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_json_and_a_new_chat_has_an_id() {
        let turn: serde_json::Value = serde_json::from_str(&turn("m", "c", "so long\\n\\nticks 3")).unwrap();
        assert_eq!(turn["messages"][0]["content"], "so long\n\nticks 3");
        assert_eq!(id(br#"{"success":true,"data":{"id":"c"}}"#).as_deref(), Some("c"));
        assert_eq!(id(br#"{"success":false,"data":{"code":"x"}}"#), None);
    }
}
