//! Tests of `/api/playground`.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::log::{answered, failed, now, record};
use crate::site::Site;

const PATH: &str = "/api/playground/chat/completions";

fn chat(body: &str, kind: &str) -> Request<Body> {
    let request = Request::post(PATH).header("host", "127.0.0.1:3002").header("content-type", kind);
    request.body(Body::from(body.to_owned())).unwrap()
}

/// Accepts a connection, and returns it with the request that was read from it.
async fn accept(listener: &TcpListener, end: &str) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = String::new();
    let mut bytes = [0; 4096];
    while !request.ends_with(end) {
        let length = stream.read(&mut bytes).await.unwrap();
        assert!(length > 0, "{request}");
        request.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    (stream, request)
}

#[tokio::test]
async fn a_stream_is_relayed_and_ends_with_its_reader() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = Site::beside(listener.local_addr().unwrap().port(), "sk-own").await;
    let body = r#"{"model":"echo","stream":true,"messages":[]}"#;
    let router = tokio::spawn(async move {
        let (mut stream, request) = accept(&listener, body).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: 12ab\r\nset-cookie: a=b\r\n\
            transfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"9\r\ndata: 1\n\n\r\n").await.unwrap();
        // Returns when the connection is closed.
        let after = stream.read(&mut [0; 16]).await.unwrap_or_default();
        (request, after)
    });
    let mut answer = site.open(chat(body, "application/json")).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    assert_eq!(answer.headers()["x-signalbox-request-id"], "12ab");
    assert!(!answer.headers().contains_key("set-cookie"));
    let first = answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&first[..], b"data: 1\n\n");
    drop(answer);
    let (request, after) = router.await.unwrap();
    assert_eq!(after, 0);
    let request = request.to_lowercase();
    assert!(request.starts_with("post /v1/chat/completions http/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: bearer sk-own\r\n"), "{request}");
    site.close().await;
}

#[tokio::test]
async fn a_logged_request_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = Site::beside(listener.local_addr().unwrap().port(), "sk-own").await;
    record(&site, &[answered("r1", now()), failed("r2", now())]).await;
    let router = tokio::spawn(async move {
        let (mut stream, request) = accept(&listener, "}").await;
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: new\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    let changes = json!({"provider": "qwen-proxy-default", "changes": {"temperature": 0}});
    let answer = site.post("/api/requests/r1/replay", changes).await;
    let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
    assert_eq!(
        (answer.status, header("x-signalbox-request-id"), header("x-signalbox-replay-of")),
        (200, "new".to_owned(), "r1".to_owned())
    );
    let request = router.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
    let expected = json!({"model": "qwen-proxy-default/echo", "messages": [], "temperature": 0});
    assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap(), expected);
    // The new request is logged by the router, before or after.
    record(&site, &[answered("new", now())]).await;
    assert_eq!(site.get("/api/requests/new?view=short").await.expect(200)["replay_of"], "r1");
    site.delete("/api/requests/new").await.expect(200);
    record(&site, &[answered("new", now())]).await;
    assert_eq!(site.get("/api/requests/new?view=short").await.expect(200)["replay_of"], json!(null));

    assert_eq!(site.post("/api/requests/r2/replay", json!({})).await.code(409), "not_replayable");
    assert_eq!(site.post("/api/requests/none/replay", json!({})).await.code(404), "request_not_found");
    let unknown = site.post("/api/requests/r1/replay", json!({"provider": "none"})).await;
    assert_eq!(unknown.code(404), "provider_not_found");
    assert_eq!(site.post("/api/requests/r1/replay", json!({})).await.code(503), "router_unavailable");
    site.close().await;
}

#[tokio::test]
async fn a_request_is_sent_several_times_and_the_outcomes_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = Site::beside(listener.local_addr().unwrap().port(), "sk-own").await;
    record(&site, &[answered("r1", now())]).await;
    let router = tokio::spawn(async move {
        for (id, status, length) in [("n1", "200 OK", 2), ("n2", "429 Too Many Requests", 2), ("n3", "200 OK", 9)] {
            let (mut stream, _) = accept(&listener, "}").await;
            let head = format!("HTTP/1.1 {status}\r\nx-request-id: {id}\r\ncontent-length: {length}\r\n\r\n{{}}");
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    });
    let told = site.post("/api/requests/r1/replay", json!({"times": 4})).await.expect(200);
    router.await.unwrap();
    assert_eq!(told["replay_of"], "r1");
    let replays = told["replays"].as_array().unwrap();
    let outcomes: Vec<_> =
        replays.iter().map(|one| (&one["request_id"], &one["status_code"], &one["complete"])).collect();
    let (yes, no, none) = (json!(true), json!(false), json!(null));
    let expected = [
        (&json!("n1"), &json!(200), &yes),
        (&json!("n2"), &json!(429), &yes),
        (&json!("n3"), &json!(200), &no),
        // The router is gone, so nothing more is sent.
        (&none, &none, &no),
    ];
    assert_eq!(outcomes, expected, "{told}");
    assert!(replays[3]["error"].is_string() && replays.iter().all(|one| one["duration_ms"].is_u64()), "{told}");
    assert_eq!(
        site.post("/api/requests/r1/replay", json!({"times": 0})).await.mistakes(),
        ["times must be between 1 and 20"]
    );
    site.close().await;
}

#[tokio::test]
async fn an_error_of_the_router_is_passed_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = Site::beside(listener.local_addr().unwrap().port(), "sk-own").await;
    tokio::spawn(async move {
        let (mut stream, _) = accept(&listener, "{\"model\":").await;
        let answer = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 22\r\n\r\n\
            {\"error\":{\"code\":\"x\"}}";
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let answer = site.send(chat("{\"model\":", "application/json")).await;
    assert_eq!((answer.status, answer.body), (400, json!({"error": {"code": "x"}})));
    site.close().await;
}

#[tokio::test]
async fn nothing_is_sent_while_the_router_is_stopped() {
    let site = Site::new().await;
    let answer = site.send(chat("{}", "application/json")).await;
    let message = answer.body["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("nothing was sent; start it and send the message again"), "{message}");
    assert_eq!(answer.code(503), "router_unavailable");
    assert_eq!(site.send(chat("{}", "text/plain")).await.status, 415);
    assert_eq!(site.send(chat(" ", "application/json")).await.mistakes(), ["body must be a JSON object"]);
    site.close().await;
}
