//! Clients disconnect at any point of an answer: the provider's call is cancelled, all resources are released, and the
//! log has the part received.
//!
//! `DISCONNECTS` sets the number of clients.

use std::collections::HashMap;

use serde_json::json;
use signalbox_core::schema::RequestStatus;
use signalbox_fakes::{End, Turn};
use signalbox_harness::{Client, within};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet, time::Duration};

use crate::{
    dice::{Dice, times},
    gateway::CHAT,
    lone_router::{LoneRouter, text_of},
};

const CONCURRENCY: usize = 50;
/// Words of an answer that no client reads to its end.
const WORDS: usize = 100_000;

/// Reads this number of words of a stream and disconnects; returns the request id and the text.
async fn leaves_a_stream(router: Client, words: usize) -> (String, String) {
    let mut events = router.stream(CHAT, &request("fake/m", true)).await;
    let mut read = String::new();
    for _ in 0..words {
        read.push_str(&events.next_text().await.unwrap());
    }
    (events.header("x-request-id").to_owned(), read)
}

/// Disconnects before there is any answer, after `sent` bytes of the request have been written.
async fn leaves_a_request(router: Client, sent: usize) {
    let body = request("fake/fake-stall", false).to_string();
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
    let bytes = [head, body].concat();
    let mut client = TcpStream::connect(("127.0.0.1", router.port())).await.unwrap();
    client.write_all(&bytes.as_bytes()[..bytes.len().min(sent)]).await.unwrap();
}

fn request(model: &str, stream: bool) -> serde_json::Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "go on"}]})
}

#[tokio::test]
async fn i12_fc_63_fc_64_many_disconnects_leave_no_resources_behind() {
    let mut dice = Dice::new();
    let lone = LoneRouter::configured("").await;
    let text: String = (0..WORDS).map(|number| format!("w{number} ")).collect();
    lone.fake.script("m", Turn::says(text.as_str()).delay(Duration::from_millis(1)));
    let rounds = times("DISCONNECTS", 300).div_ceil(CONCURRENCY);
    for _ in 0..rounds {
        let mut streams = JoinSet::new();
        let mut requests = JoinSet::new();
        for number in 0..CONCURRENCY {
            if number % 5 == 0 {
                requests.spawn(leaves_a_request(lone.client(), dice.below(400)));
            } else {
                streams.spawn(leaves_a_stream(lone.client(), dice.below(20)));
            }
        }
        let read: HashMap<String, String> = streams.join_all().await.into_iter().collect();
        requests.join_all().await;
        lone.becomes_idle().await;
        // Every call was cancelled, and none ran to its end.
        let left = |fake: &signalbox_fakes::FakeProvider| {
            fake.calls().iter().filter(|call| call.method == "POST").all(|call| call.end() == Some(End::ClientLeft))
        };
        within("the provider to receive the request", lone.fake.until(left)).await;
        for call in lone.fake.calls().iter().filter(|call| call.method == "POST") {
            let id = call.header("x-request-id").unwrap();
            let (request, response) = lone.recorded(id).await;
            let recorded = text_of(response.as_ref());
            let Some(read) = read.get(id) else {
                assert_eq!((request.status, recorded.as_str()), (RequestStatus::Cancelled, ""), "{id}");
                continue;
            };
            assert_eq!(request.status, RequestStatus::ClientDisconnected, "{id}");
            assert!(text.starts_with(&recorded), "{id} has another text: {recorded}");
            assert!(recorded.starts_with(read.as_str()), "{id} has less than its client: {recorded}");
            // The first event is the role, without a word.
            let words = recorded.split_inclusive(' ').count() as u64;
            assert!(words < call.events_sent.max(1), "{id} has {words} words of {} events", call.events_sent);
        }
        Client::new(lone.fake.addr().port()).delete("/_fake/calls").await.expect(200);
    }
    assert_eq!(lone.rows(Some(RequestStatus::Pending)).await, 0);
    assert_eq!(lone.metric("signalbox_requests_in_flight").await, 0);
    lone.client()
        .post(CHAT, &json!({"model": "echo", "messages": [{"role": "user", "content": "x"}]}))
        .await
        .expect(200);
}
