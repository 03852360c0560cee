//! Streams whose clients lose the connection and fetch the rest: no event is lost or sent twice, and no provider is
//! asked again.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use signalbox_core::{schema::RequestStatus, sse::Frame};
use signalbox_fakes::{End, FakeProvider, Turn};
use signalbox_harness::{Client, Events, Launch, Stack, eventually, within};

use crate::{
    apis::{APIS, Api},
    gateway::{CHAT, Gateway, chat},
    lone_router::{LoneRouter, text_of},
    manner::rudely,
};

const WORDS: usize = 20;

/// Returns an answer of so many words.
fn words(number: usize) -> String {
    (1..=number).map(|word| format!("word{word}")).collect::<Vec<_>>().join(" ")
}

/// Returns a request for a stream that can be resumed.
fn request(api: Api) -> Value {
    let mut request = api.request("fake/m", true, "Say the words.");
    request["signalbox"] = json!({"resumable": true});
    request
}

/// Returns the id of an event; `None` for a comment.
fn id_of(event: &Frame) -> Option<String> {
    let text = String::from_utf8(event.raw().to_vec()).unwrap();
    let id = text.lines().rev().find_map(|line| line.strip_prefix("id: ").map(str::to_owned));
    assert!(id.is_some() || event.data().is_none(), "an event without an id: {text}");
    id
}

/// Reads so many events, and returns them with the id of the last one.
async fn events(stream: &mut Events, number: usize) -> (String, String) {
    let (mut text, mut last) = (String::new(), Vec::new());
    while last.len() < number {
        let event = stream.next().await.unwrap();
        text.push_str(std::str::from_utf8(event.raw()).unwrap());
        last.extend(id_of(&event));
    }
    (text, last.pop().unwrap())
}

/// Returns a client that has received the event with this id.
fn after(client: &Client, id: &str) -> Client {
    client.with_header("last-event-id", id.to_owned().leak())
}

/// Returns the numbers of the events in a stream.
fn numbers(stream: &str) -> Vec<u64> {
    let ids = stream.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.rsplit('-').next().unwrap().parse().unwrap()).collect()
}

fn path_of(stream: &Events) -> String {
    let id = stream.header("x-signalbox-stream");
    assert_eq!(id, stream.header("x-request-id"), "a stream is named after its request");
    format!("/v1/streams/{id}")
}

#[tokio::test]
async fn every_api_is_resumed_in_the_middle_both_ways() {
    let lone = LoneRouter::configured("").await;
    let client = lone.client();
    for api in APIS {
        for is_repeated in [false, true] {
            let gate = lone.fake.script("m", Turn::says(words(WORDS)).gated());
            gate.release(10);
            let calls = lone.fake.calls_of("m").len();
            let mut stream = client.stream(api.path(), &request(api)).await;
            let (path, request_id) = (path_of(&stream), stream.header("x-request-id").to_owned());
            let (mut text, last) = events(&mut stream, 4).await;
            assert_eq!(last, format!("{request_id}-4"), "{api:?}");
            drop(stream);
            gate.open();
            let again = after(&client, &last);
            let rest = match is_repeated {
                true => again.post(api.path(), &request(api)).await,
                false => again.get(&path).await,
            };
            let rest = rest.expect(200);
            assert_eq!(rest.header("x-signalbox-stream"), request_id);
            assert!(rest.header("content-type").starts_with("text/event-stream") && rest.complete, "{api:?}");
            text.push_str(&rest.text());
            assert_eq!(api.streamed(&text), (words(WORDS), true), "{api:?}: {text}");
            let expected: Vec<u64> = (1..=numbers(&text).len() as u64).collect();
            assert_eq!(numbers(&text), expected, "{api:?}");
            assert_eq!(lone.fake.calls_of("m").len(), calls + 1, "{api:?}");
            let (row, _) = lone.recorded(&request_id).await;
            assert_eq!(row.status, RequestStatus::Completed, "{api:?}");
        }
    }
    assert_eq!(lone.rows(None).await, 2 * APIS.len(), "a resumed stream is one request");
}

#[tokio::test]
async fn a_finished_stream_is_read_again_and_then_forgotten() {
    let lone = LoneRouter::configured("[streams]\nreconnect_timeout = \"2s\"\n").await;
    lone.fake.script("m", Turn::says(words(WORDS)));
    let stream = lone.client().stream(CHAT, &request(Api::Chat)).await;
    let (path, id) = (path_of(&stream), stream.header("x-request-id").to_owned());
    let whole = stream.finish().await;
    assert!(whole.complete && whole.folded.done);
    // The end is in the journal before the last event is sent to any reader.
    let (row, response) = lone.recorded(&id).await;
    assert_eq!((row.status, text_of(response.as_ref())), (RequestStatus::Completed, words(WORDS)));
    let without_comments = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).replace("\r\n", "\n");
        let events = text.split("\n\n").filter(|event| event.contains("data"));
        events.map(|event| event.lines().filter(|line| !line.starts_with(':')).collect()).collect::<Vec<String>>()
    };
    for from in ["", "?after=0", &format!("?after={id}-0")] {
        let again = lone.client().get(&format!("{path}{from}")).await.expect(200);
        assert_eq!(without_comments(&again.body), without_comments(&whole.raw), "{from}");
    }
    let middle = lone.client().get(&format!("{path}?after=5")).await.expect(200).text();
    assert_eq!(numbers(&middle).first(), Some(&6));
    // Each visit begins the time anew.
    eventually("the stream to be forgotten", async || {
        let metrics = lone.client().get("/metrics").await.text();
        metrics.lines().any(|line| line == "signalbox_resumable_streams 0").then_some(())
    })
    .await;
    let forgotten = lone.client().get(&path).await.expect(404).text();
    assert!(forgotten.contains("request log"), "{forgotten}");
    assert_eq!(lone.rows(None).await, 1);
}

#[tokio::test]
async fn an_answer_longer_than_the_buffer_waits_for_its_client() {
    let lone = LoneRouter::configured("[streams]\nmax_bytes = \"32KiB\"\n").await;
    let gate = lone.fake.script("m", Turn::says(words(2_000)).gated());
    gate.release(10);
    let mut stream = lone.client().stream(CHAT, &request(Api::Chat)).await;
    let path = path_of(&stream);
    let (mut text, last) = events(&mut stream, 5).await;
    drop(stream);
    gate.open();
    // The events without a reader fill half of the buffer, and the rest waits at the provider.
    eventually("the buffer to be filled", async || {
        (lone.metric("signalbox_resumable_stream_bytes").await > 15_000).then_some(())
    })
    .await;
    let rest = after(&lone.client(), &last).get(&path).await.expect(200);
    text.push_str(&rest.text());
    assert_eq!(Api::Chat.streamed(&text), (words(2_000), true));
    let gone = lone.client().get(&path).await.expect(410).json();
    assert_eq!(gone["error"]["code"], "stream_events_gone", "{gone}");
    let last = *numbers(&text).last().unwrap();
    let end = lone.client().get(&format!("{path}?after={}", last - 1)).await.expect(200).text();
    assert_eq!(numbers(&end), [last]);
}

#[tokio::test]
async fn the_newest_reader_takes_over_and_the_first_one_ends_unfinished() {
    let lone = LoneRouter::configured("").await;
    for api in APIS {
        let gate = lone.fake.script("m", Turn::says(words(WORDS)).gated());
        gate.release(10);
        let mut first = lone.client().stream(api.path(), &request(api)).await;
        let (begun, last) = events(&mut first, 4).await;
        let second = after(&lone.client(), &last).get_stream(&path_of(&first)).await;
        assert_eq!(second.status, 200);
        assert!(!first.finish().await.complete, "{api:?}: the first reader has not got the whole stream");
        gate.open();
        let rest = second.finish().await;
        assert!(rest.complete, "{api:?}");
        let text = begun + &String::from_utf8_lossy(&rest.raw);
        assert_eq!(api.streamed(&text), (words(WORDS), true), "{api:?}");
    }
}

#[tokio::test]
async fn bad_ids_and_other_keys_are_refused() {
    let (own, other) = ("sk-first-0123456789abcdef", "sk-second-0123456789abcdef");
    let lone = LoneRouter::launch(Launch::default().env("CLIENT_KEYS", format!("{own},{other}"))).await;
    let (own, other) = (lone.client().with_key(Some(own)), lone.client().with_key(Some(other)));
    lone.fake.script("m", Turn::says(words(WORDS)));
    let stream = own.stream(CHAT, &request(Api::Chat)).await;
    let (path, id) = (path_of(&stream), stream.header("x-request-id").to_owned());
    let length = numbers(&String::from_utf8_lossy(&stream.finish().await.raw)).len();
    let calls = lone.fake.calls_of("m").len();
    let unknown = "01920000-0000-7000-8000-000000000000";

    // A stranger cannot tell a stream of another key from none.
    let missing = other.get(&format!("/v1/streams/{unknown}")).await.expect(404).text();
    assert_eq!(other.get(&path).await.expect(404).text(), missing.replace(unknown, &id));
    after(&other, &format!("{id}-1")).post(CHAT, &request(Api::Chat)).await.expect(404);
    lone.client().get(&path).await.expect(401);

    let refused = async |client: Client, path: &str, status: u16, code: &str, param: &str| {
        let error = client.get(path).await.expect(status).json()["error"].clone();
        assert_eq!((&error["code"], error["param"].as_str().unwrap_or_default()), (&json!(code), param), "{error}");
    };
    for nonsense in ["nonsense", unknown, "a%20b"] {
        refused(own, &format!("/v1/streams/{nonsense}"), 404, "stream_not_found", "").await;
    }
    for text in ["x", "-1", "", &format!("{unknown}-1")] {
        refused(own, &format!("{path}?after={text}"), 400, "invalid_value", "after").await;
    }
    for text in ["7", "x", &format!("{unknown}-1"), &format!("{id}-x")] {
        refused(after(&own, text), &path, 400, "invalid_value", "Last-Event-ID").await;
    }
    refused(own, &format!("{path}?after={}", length + 1), 400, "invalid_value", "Last-Event-ID").await;
    own.request("HEAD".parse().unwrap(), &path, "").await.expect(405);
    own.post(&path, &json!({})).await.expect(405);

    // The form of the error is that of the client's API.
    let anthropic = own.with_header("anthropic-version", "2023-06-01");
    let error = anthropic.get(&format!("/v1/streams/{unknown}")).await.expect(404).json();
    assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("not_found_error")), "{error}");

    // A request is continued only if it is the same.
    let mut changed = request(Api::Chat);
    changed["temperature"] = json!(1);
    let first = format!("{id}-1");
    for (event, path, body, status) in [
        (&*first, CHAT, &changed, 400),
        (&*first, Api::Responses.path(), &request(Api::Chat), 400),
        (&*format!("{id}-x"), CHAT, &request(Api::Chat), 400),
        (&*format!("{unknown}-1"), CHAT, &request(Api::Chat), 404),
    ] {
        after(&own, event).post(path, body).await.expect(status);
    }
    assert_eq!(lone.fake.calls_of("m").len(), calls, "nothing of this asks a provider");
    // Ids of other servers mean nothing.
    after(&own, "1742-3").post(CHAT, &request(Api::Chat)).await.expect(200);
    assert_eq!(lone.fake.calls_of("m").len(), calls + 1);
    own.get(&path).await.expect(200);
}

fn client_left(fake: &FakeProvider) -> bool {
    fake.calls_of("m").last().and_then(|call| call.end()) == Some(End::ClientLeft)
}

#[tokio::test]
async fn a_client_that_stays_away_cancels_the_request() {
    let lone = LoneRouter::configured("[streams]\nreconnect_timeout = \"300ms\"\n").await;
    let gate = lone.fake.script("m", Turn::says(words(WORDS)).gated());
    gate.release(10);
    let mut stream = lone.client().stream(CHAT, &request(Api::Chat)).await;
    let (path, id) = (path_of(&stream), stream.header("x-request-id").to_owned());
    events(&mut stream, 3).await;
    assert_eq!(lone.metric("signalbox_requests_in_flight").await, 1);
    drop(stream);
    within("the provider's call to be cancelled", lone.fake.until(client_left)).await;
    let (row, _) = lone.recorded(&id).await;
    assert_eq!(row.status, RequestStatus::ClientDisconnected);
    lone.becomes_idle().await;
    assert_eq!(lone.metric("signalbox_resumable_streams").await, 0);
    assert_eq!(lone.metric("signalbox_resumable_stream_bytes").await, 0);
    assert!(lone.client().get(&path).await.expect(404).text().contains("send the request again"));
}

#[tokio::test]
async fn a_request_that_is_cancelled_meanwhile_ends_unfinished() {
    let lone = LoneRouter::configured("").await;
    let gate = lone.fake.script("m", Turn::says(words(WORDS)).gated());
    gate.release(10);
    let mut stream = lone.client().stream(CHAT, &request(Api::Chat)).await;
    let (path, id) = (path_of(&stream), stream.header("x-request-id").to_owned());
    let (_, last) = events(&mut stream, 3).await;
    drop(stream);
    lone.client().post(&format!("/v1/requests/{id}/cancel"), &json!({})).await.expect(200);
    within("the provider's call to be cancelled", lone.fake.until(client_left)).await;
    let rest = after(&lone.client(), &last).get(&path).await.expect(200);
    assert!(!rest.complete && rest.text().contains("request_cancelled"), "{}", rest.text());
    let (row, _) = lone.recorded(&id).await;
    assert_eq!(row.status, RequestStatus::Cancelled);
}

#[tokio::test]
async fn routes_and_headers_say_what_is_resumable() {
    let lone = LoneRouter::configured("").await;
    let client = lone.client();
    let route = json!({"model": "kept", "targets": [{"provider": "fake", "model": "m"}], "resumable": true});
    client.post("/v1/routes", &route).await.expect(201);
    eventually("the route", async || (client.get("/v1/models/kept").await.status == 200).then_some(())).await;
    let is_resumable = async |client: Client, model: &str, stream: bool| {
        let answer = client.post(CHAT, &chat(model, stream)).await.expect(200);
        let is_named = !answer.header("x-signalbox-stream").is_empty();
        assert_eq!(is_named, answer.text().contains("\nid: "), "{}", answer.text());
        is_named
    };
    let asking = |value| client.with_header("x-signalbox-resumable", value);
    assert!(is_resumable(client, "kept", true).await);
    assert!(!is_resumable(asking("false"), "kept", true).await);
    assert!(!is_resumable(client, "kept", false).await, "whole answers are unaffected");
    assert!(!is_resumable(client, "fake/m", true).await, "it is off by default");
    assert!(is_resumable(asking("true"), "fake/m", true).await);
    let refused = asking("perhaps").post(CHAT, &chat("fake/m", true)).await.expect(400).json();
    assert_eq!(refused["error"]["param"], "x-signalbox-resumable", "{refused}");

    let off = LoneRouter::configured("[streams]\nmax_total_bytes = \"0B\"\n").await;
    let answer = off.client().post(CHAT, &request(Api::Chat)).await.expect(200);
    assert_eq!(answer.header("x-signalbox-stream"), "", "without room it is a stream like any other");
    assert!(answer.complete && !answer.text().contains("\nid: "), "{}", answer.text());
}

#[tokio::test]
async fn an_answer_without_a_client_ends_before_the_router_stops() {
    let mut lone = LoneRouter::configured("").await;
    let gate = lone.fake.script("m", Turn::says(words(WORDS)).gated());
    gate.release(10);
    let mut stream = lone.client().stream(CHAT, &request(Api::Chat)).await;
    let (path, id) = (path_of(&stream), stream.header("x-request-id").to_owned());
    let (_, last) = events(&mut stream, 3).await;
    drop(stream);
    tokio::join!(lone.stop(Signal::SIGTERM), async { gate.open() });
    let (row, response) = lone.recorded(&id).await;
    assert_eq!((row.status, text_of(response.as_ref())), (RequestStatus::Completed, words(WORDS)));
    lone.start_again().await;
    after(&lone.client(), &last).get(&path).await.expect(404);
}

#[tokio::test]
async fn a_new_api_server_does_not_matter() {
    let mut gateway = Gateway::start().await;
    let gate = gateway.fake.script("m", Turn::says(words(WORDS)).gated());
    gate.release(10);
    let mut stream = gateway.router.stream(CHAT, &request(Api::Chat)).await;
    let path = path_of(&stream);
    let (begun, last) = events(&mut stream, 3).await;
    drop(stream);
    gateway.stack.process.kill9().await;
    let next = Stack::builder().launch(Launch::default().home(&gateway.stack.home)).start().await;
    gate.open();
    let rest = after(&gateway.router, &last).get(&path).await.expect(200);
    assert_eq!(Api::Chat.streamed(&(begun + &rest.text())), (words(WORDS), true));
    assert!(rest.complete);
    next.recorded(path.rsplit('/').next().unwrap()).await;
}

rudely! {
    every_api_is_resumed_in_the_middle_both_ways,
    a_finished_stream_is_read_again_and_then_forgotten,
    an_answer_longer_than_the_buffer_waits_for_its_client,
    the_newest_reader_takes_over_and_the_first_one_ends_unfinished,
}
