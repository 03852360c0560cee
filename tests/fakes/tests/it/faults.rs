//! Each fault appears on the wire as specified.

use std::io::ErrorKind;

use signalbox_fakes::{ClosedPort, End, FakeProvider, Script, Turn, script::FaultKind};
use tokio::net::TcpStream;

use crate::client::{Client, ask};

#[tokio::test]
async fn a_reset_delivers_the_bytes_sent_before_it() {
    let fake = FakeProvider::start().await.unwrap();
    let mut client = Client::connect(&fake).await;
    client.ask("fake-reset", true).await;
    let (came, over) = client.until("\r\n").await.unwrap_err();
    assert_eq!((came.as_slice(), over.unwrap_err().kind()), (b"".as_slice(), ErrorKind::ConnectionReset));

    let gate = fake.script("m", Turn::echo().gated().after(2, FaultKind::Reset));
    let mut client = Client::connect(&fake).await;
    client.ask("m", true).await;
    client.head().await;
    for _ in 0..2 {
        gate.release(1);
        assert!(client.chunk().await.unwrap().starts_with(b"data: {"));
    }
    let (came, over) = client.until("\r\n").await.unwrap_err();
    assert_eq!((came.as_slice(), over.unwrap_err().kind()), (b"".as_slice(), ErrorKind::ConnectionReset));
    assert_eq!(fake.calls_of("m")[0].end(), Some(End::Broken));
}

#[tokio::test]
async fn an_early_close_ends_without_a_terminator() {
    let fake = FakeProvider::start().await.unwrap();
    let mut client = Client::connect(&fake).await;
    client.ask("fake-close", true).await;
    assert_eq!(client.end().await.unwrap(), 0);
    let answer = ask(&fake, "fake-close-3", true).await;
    assert_eq!((answer.chunks.len(), answer.whole), (3, false));
    assert!(!answer.text().contains("[DONE]"));
    // The fault is after more events than the stream has: it still occurs.
    assert!(!ask(&fake, "fake-close-99", true).await.whole);
    // Not streamed: only the head is sent, without the announced body.
    let answer = ask(&fake, "fake-close-0", false).await;
    assert_eq!((answer.body().len(), answer.whole), (0, false));
}

#[tokio::test]
async fn an_error_event_ends_a_stream_properly_but_without_done() {
    let fake = FakeProvider::start().await.unwrap();
    for (model, events) in [("fake-error", 1), ("fake-error-2", 3)] {
        let answer = ask(&fake, model, true).await;
        let folded = answer.folded();
        assert_eq!((answer.chunks.len(), answer.whole), (events, true));
        assert!(folded.error.is_some() && !folded.done);
    }
    assert!(ask(&fake, "fake-error", false).await.folded().error.is_some());
    let answer = ask(&fake, "fake-nodone", true).await;
    assert!(answer.whole && !answer.folded().done && answer.folded().finish_reason.is_some());
}

#[tokio::test]
async fn a_wrong_content_length_has_the_requested_error() {
    let fake = FakeProvider::start().await.unwrap();
    let usual = ask(&fake, "m", false).await.text().len() + "fake-short".len() - "m".len();
    let mut client = Client::connect(&fake).await;
    client.ask("fake-short", false).await;
    let short = client.answer().await;
    assert_eq!(short.body().len(), usual - 10);
    assert_eq!(client.until("never").await.unwrap_err().0.len(), 10);
    let long = ask(&fake, "fake-long", false).await;
    assert_eq!((long.body().len(), long.whole), (usual - 1, false));
}

#[tokio::test]
async fn invalid_answers_are_sent_as_requested() {
    let fake = FakeProvider::start().await.unwrap();
    for (model, content_type, begins) in [
        ("fake-html", "text/html", "<!doctype html>"),
        ("fake-badjson", "application/json", "{\"id\""),
        ("fake-empty", "application/json", ""),
        ("fake-plain", "text/plain", "{\"id\""),
    ] {
        let answer = ask(&fake, model, true).await;
        assert!(answer.head.starts_with("HTTP/1.1 200 ") && answer.head.contains(content_type), "{}", answer.head);
        assert!(answer.text().starts_with(begins) && answer.whole, "{model}");
    }
}

#[tokio::test]
async fn error_statuses_have_the_error_body_of_the_api() {
    let fake = FakeProvider::start().await.unwrap();
    for status in [400, 401, 404, 429, 500, 503] {
        let answer = ask(&fake, &format!("fake-{status}"), true).await;
        assert!(answer.head.starts_with(&format!("HTTP/1.1 {status} ")));
        assert_eq!(answer.head.contains("\r\nretry-after: 2\r\n"), status == 429);
        serde_json::from_slice::<signalbox_core::openai::ErrorBody>(&answer.body()).unwrap();
    }
}

#[tokio::test]
async fn the_first_calls_fail_and_the_next_succeed() {
    let fake = FakeProvider::start().await.unwrap();
    fake.script("m", Script::first(2, Turn::error(503)).then(Turn::says("up again")));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(ask(&fake, "m", false).await.head.split(' ').nth(1).unwrap().to_owned());
    }
    assert_eq!(statuses, ["503", "503", "200", "200"]);
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let closed = ClosedPort::take().unwrap();
    let url = closed.url().unwrap();
    let addr = url.strip_prefix("http://").unwrap().strip_suffix("/v1").unwrap();
    assert_eq!(TcpStream::connect(addr).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn an_idle_close_meets_reused_connections_only() {
    let fake = FakeProvider::start().await.unwrap();
    let mut client = Client::connect(&fake).await;
    for stream in [false, true] {
        client.ask("fake-echo", stream).await;
        assert!(client.answer().await.whole);
    }
    client.ask("fake-idleclose", true).await;
    assert_eq!(client.end().await.unwrap(), 0);
    assert!(ask(&fake, "fake-idleclose", true).await.whole);
}
