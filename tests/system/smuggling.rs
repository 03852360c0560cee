//! Request smuggling is impossible: requests with ambiguous framing are refused, and requests to providers always have
//! the same framing.

use serde_json::json;
use signalbox_harness::{Client, Stack};

use crate::gateway::{CHAT, Gateway, chat};

/// Bytes that form one request with another hidden behind or inside it.
struct Case {
    name: String,
    bytes: Vec<u8>,
}

/// Invalid, repeated or contradictory lengths.
const LENGTHS: [&str; 24] = [
    "content-length: 5\r\ncontent-length: LEN",
    "content-length: LEN\r\ncontent-length: 5",
    "content-length: 5, LEN",
    "content-length: 5,LEN",
    "content-length: +LEN",
    "content-length: -1",
    "content-length: -0",
    "content-length: 0x10",
    "content-length: 1e2",
    "content-length: 5 5",
    "content-length: 5.0",
    "content-length: ",
    "content-length: a",
    "content-length: 5;",
    "content-length: \"5\"",
    "content-length: 99999999999999999999999",
    "content-length: 18446744073709551616",
    "content-length: -18446744073709551611",
    "content-length : 5",
    "content-length\t: 5",
    "x: y\r\n content-length: 5",
    "content-length: 5\r\n : x",
    "content-length: 5\0",
    "content-length\0: 5",
];

/// Invalid transfer codings, or codings that contradict a length.
const CODINGS: [&str; 34] = [
    "content-length: 5\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ncontent-length: 5",
    "content-length: LEN\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ncontent-length: LEN",
    "content-length: 5\r\ntransfer-encoding: CHUNKED",
    "content-length: 5\r\ntransfer-encoding: xchunked",
    "content-length: 5\r\ntransfer-encoding: chunkedx",
    "content-length: 5\r\ntransfer-encoding: chunked, identity",
    "content-length: 5\r\ntransfer-encoding: identity, chunked",
    "content-length: 5\r\ntransfer-encoding: identity",
    "content-length: 5\r\ntransfer-encoding: gzip",
    "content-length: 5\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity",
    "content-length: 5\r\ntransfer-encoding: identity\r\ntransfer-encoding: chunked",
    "content-length: 5\r\ntransfer-encoding: chunked\r\ntransfer-encoding: x",
    "content-length: 5\r\ntransfer-encoding : chunked",
    "content-length: 5\r\ntransfer-encoding\t: chunked",
    "content-length: 5\r\n transfer-encoding: chunked",
    "content-length: 5\r\ntransfer-encoding:\r\n chunked",
    "content-length: 5\r\ntransfer-encoding: \x0bchunked",
    "content-length: 5\r\ntransfer-encoding: chunked\x0b",
    "content-length: 5\r\ntransfer-encoding: \"chunked\"",
    "content-length: 5\r\ntransfer-encoding: 'chunked'",
    "content-length: 5\r\ntransfer-encoding: chunked;q=1",
    "content-length: 5\r\ntransfer-encoding: ,chunked",
    "content-length: 5\r\ntransfer-encoding: chunked,",
    "content-length: 5\r\ntransfer-encoding: chunk",
    "content-length: 5\r\ntransfer-encoding: \0chunked",
    "content-length: 5\r\ntransfer-encoding\0: chunked",
    "content-length: 5\r\nx: y\rtransfer-encoding: chunked",
    "content-length: 5\r\nx: y\ntransfer-encoding: chunked\r\nz: z",
    "transfer-encoding: identity",
    "transfer-encoding: gzip",
    "transfer-encoding: chunked, gzip",
    "transfer-encoding: xchunked",
];

/// Invalid chunks in an otherwise valid request; `HIDDEN` stands for the hidden request.
const CHUNKS: [&str; 25] = [
    "0x5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "+5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "-5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "5 5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "\r\n5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "g\r\nhello\r\n0\r\n\r\nHIDDEN",
    "5.0\r\nhello\r\n0\r\n\r\nHIDDEN",
    "5\r\nhelloHIDDEN",
    "5\r\nhello0\r\n\r\nHIDDEN",
    "5\r\nhelloX\r\n0\r\n\r\nHIDDEN",
    "5\r\nhello\r0\r\n\r\nHIDDEN",
    "5\nhello\r\n0\r\n\r\nHIDDEN",
    "5\r\nhello\n0\n\nHIDDEN",
    "5\rhello\r\n0\r\n\r\nHIDDEN",
    "FFFFFFFFFFFFFFFF0\r\nhello\r\n0\r\n\r\nHIDDEN",
    "10000000000000005\r\nhello\r\n0\r\n\r\nHIDDEN",
    "5;a\nb\r\nhello\r\n0\r\n\r\nHIDDEN",
    "5;a\rb\r\nhello\r\n0\r\n\r\nHIDDEN",
    "\t5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "\x0b5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "5,5\r\nhello\r\n0\r\n\r\nHIDDEN",
    "0,\r\n\r\nHIDDEN",
    "0\r\nbad trailer\r\n\r\nHIDDEN",
    "0\r\n: x\r\n\r\nHIDDEN",
    "0\r\na\0b: x\r\n\r\nHIDDEN",
];

/// Invalid request lines before an otherwise valid request.
const LINES: [&str; 19] = [
    "POST  PATH HTTP/1.1\r\n",
    "POST\tPATH\tHTTP/1.1\r\n",
    "POST PATH  HTTP/1.1\r\n",
    "POST PATH HTTP/1.1 \r\n",
    "POST PATH HTTP/2.0\r\n",
    "POST PATH HTTP/1.2\r\n",
    "POST PATH HTTP/0.9\r\n",
    "POST PATH http/1.1\r\n",
    "POST PATH HTTP/1,1\r\n",
    "POST PATH HTTP/11\r\n",
    "POST PATH\r\n",
    "POST\r\n",
    " POST PATH HTTP/1.1\r\n",
    "PO ST PATH HTTP/1.1\r\n",
    "POST PATH\0 HTTP/1.1\r\n",
    "POST PATH\r HTTP/1.1\r\n",
    "POST(x) PATH HTTP/1.1\r\n",
    "POST PA TH HTTP/1.1\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/// Returns all cases: a harmless request to `outer`, with `hidden` where only a lenient parser sees a request.
fn cases(outer: &str, hidden: &str) -> Vec<Case> {
    let start = format!("POST {outer} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
    let mut cases = Vec::new();
    let mut add = |name: &str, text: String| cases.push(Case { name: name.to_owned(), bytes: text.into_bytes() });
    for framing in LENGTHS.iter().chain(&CODINGS) {
        // Read by its chunks it ends before the hidden request; read by its length, inside or after it.
        let body = format!("0\r\n\r\n{hidden}");
        let framing = framing.replace("LEN", &body.len().to_string());
        add(&framing, format!("{start}{framing}\r\n\r\n{body}"));
    }
    for chunks in CHUNKS {
        add(chunks, format!("{start}transfer-encoding: chunked\r\n\r\n{}", chunks.replace("HIDDEN", hidden)));
    }
    for line in LINES {
        let line = line.replace("PATH", outer);
        add(&line, format!("{line}host: localhost\r\ncontent-length: 2\r\n\r\n{{}}{hidden}"));
    }
    for extra in [
        "upgrade: websocket\r\nconnection: upgrade",
        "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: x",
    ] {
        // The header must be ignored: the following bytes are the body of the first request.
        let length = hidden.len();
        add(extra, format!("{start}{extra}\r\ncontent-length: {length}\r\n\r\n{hidden}"));
    }
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let head =
            format!("POST {outer} {version}\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n");
        add(version, format!("{head}connection: keep-alive\r\n\r\n0\r\n\r\n{hidden}"));
    }
    cases
}

/// Sends all cases, 16 at a time, each on its own connection.
async fn send(client: Client, cases: Vec<Case>) -> String {
    let mut wrong = String::new();
    let mut cases = cases.into_iter().peekable();
    while cases.peek().is_some() {
        let batch: Vec<_> = cases.by_ref().take(16).collect();
        let sent = batch.into_iter().map(|case| {
            tokio::spawn(async move {
                let mut bytes = case.bytes;
                // Completes the request for parsers that wait for more.
                bytes.extend_from_slice(b"\r\n\r\n");
                let answer = client.raw_and_close(&bytes).await;
                let answers = String::from_utf8_lossy(&answer).matches("HTTP/1.").count();
                (answers > 1 && String::from_utf8_lossy(&answer).matches(" 200 ").count() > 1).then_some(case.name)
            })
        });
        for one in sent.collect::<Vec<_>>() {
            if let Some(name) = one.await.unwrap() {
                wrong.push_str(&format!("{name:?} was answered as two requests\n"));
            }
        }
    }
    wrong
}

#[tokio::test]
async fn i17_no_request_is_smuggled_to_a_provider() {
    let gateway = Gateway::start().await;
    let body = chat("fake/m", false).to_string();
    let hidden = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let cases = cases("/v1/providers/echo/test", &hidden);
    assert!(cases.len() > 100, "{}", cases.len());
    let wrong = send(gateway.router, cases).await;
    assert!(wrong.is_empty(), "{wrong}");
    assert!(gateway.fake.calls().is_empty(), "{:?}", gateway.fake.calls());

    // All valid requests are forwarded with the same framing, however they were framed.
    let chunked = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close, x-mine\r\nx-mine: 1\r\n\r\n{:x};ext=1\r\n{body}\r\n0\r\nx-trailer: 1\r\n\r\n",
        body.len()
    );
    let answer = gateway.router.raw(chunked.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    let calls = gateway.fake.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].header("transfer-encoding"), None);
    assert!(calls[0].header("content-length").is_some());
    for dropped in ["x-mine", "x-trailer", "connection", "te", "trailer"] {
        assert!(calls[0].header(dropped).is_none_or(|value| value == "keep-alive"), "{dropped}");
    }
}

#[tokio::test]
async fn i17_no_request_is_smuggled_to_the_control_api() {
    let stack = Stack::builder().autostart(false).start().await;
    let hidden = "POST /api/providers/echo/disable HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";
    let wrong = send(stack.api, cases("/api/models", hidden)).await;
    assert!(wrong.is_empty(), "{wrong}");
    let echo = stack.api.get("/api/providers/echo").await.expect(200).json();
    assert_eq!(echo["enabled"], json!(true));
    let audited =
        stack.api.get("/api/audit?resource=provider&resource_id=echo&action=updated").await.expect(200).json();
    assert_eq!(audited["total"], 0, "{audited}");
}
