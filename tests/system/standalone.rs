//! Each service also runs alone, and reports clearly why it cannot start.

use nix::sys::signal::Signal;
use serde_json::json;
use signalbox_core::schema::RequestStatus;
use signalbox_harness::{Home, Launch, QwenProxy, Router, eventually};
use signalbox_store::{
    Store,
    requests::{self, RequestKey},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::gateway::{CHAT, error_of};

#[tokio::test]
async fn the_router_alone_answers_and_ends_cleanly() {
    let mut router = Router::start(Launch::default()).await;
    let request = json!({"model": "echo", "messages": [{"role": "user", "content": "alone"}]});
    let answer = router.client.post(CHAT, &request).await.expect(200).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "alone");
    router.process.signal(Signal::SIGTERM);
    assert!(router.process.wait_exit().await.success(), "{}", router.process.stderr());
}

#[tokio::test]
async fn requests_over_the_unix_socket_are_answered_and_logged_like_any_other() {
    const KEY: &str = "sk-open-sesame-0123456789";
    let home = Home::new();
    let path = home.path().join("router.sock");
    let launch = Launch::default().home(&home).arg("--unix-socket").arg(path.to_str().unwrap());
    let mut router = Router::start(launch.env("CLIENT_KEYS", KEY)).await;
    let ask = async |key: &str, stream: bool| {
        let messages = json!([{"role": "user", "content": "over the socket"}]);
        let body = json!({"model": "echo", "messages": messages, "stream": stream}).to_string();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut socket = UnixStream::connect(&path).await.unwrap();
        socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let refused = ask("sk-wrong-0123456789abcdef", false).await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "a key is needed there, too: {refused}");
    let store = Store::open(&format!("sqlite://{}", home.data().join("signalbox.db").display())).await.unwrap();
    for stream in [false, true] {
        let answer = ask(KEY, stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("socket"), "{answer}");
        assert_eq!(answer.contains("data: [DONE]"), stream, "{answer}");
        let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
        let key = RequestKey::Uuid(id.to_owned());
        eventually("the request in the log", async || {
            let (row, _) = requests::get(&store, &key).await.ok()?;
            (row.status == RequestStatus::Completed).then_some(())
        })
        .await;
    }
    store.close().await;
    router.process.signal(Signal::SIGTERM);
    assert!(router.process.wait_exit().await.success(), "{}", router.process.stderr());
    assert!(!path.exists());
}

#[tokio::test]
async fn qwen_proxy_alone_is_healthy_and_reports_a_missing_login() {
    let mut qwen = QwenProxy::start(Launch::default()).await;
    qwen.client.get("/health").await.expect(200);
    let request = json!({"model": "qwen3-max", "messages": [{"role": "user", "content": "hello"}]});
    let error = error_of(&qwen.client.post(CHAT, &request).await, 401);
    assert_eq!(error["code"], "missing_credentials");
    qwen.process.signal(Signal::SIGTERM);
    assert!(qwen.process.wait_exit().await.success(), "{}", qwen.process.stderr());
}

#[tokio::test]
async fn a_local_program_can_shut_a_service_down() {
    let mut router = Router::start(Launch::default()).await;
    let mut qwen = QwenProxy::start(Launch::default()).await;
    for (client, process) in [(router.client, &mut router.process), (qwen.client, &mut qwen.process)] {
        // A page of an allowed origin may call other routes, but not this one.
        let request = "POST /v1/admin/shutdown HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost:3002\r\nconnection: close\r\n\r\n";
        let answer = String::from_utf8(client.raw(request.as_bytes()).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("not_local"), "{answer}");
        let looked = client.get("/v1/admin/shutdown").await;
        assert!(matches!(looked.status, 404 | 405) && process.is_running(), "{}", looked.text());
        let answer = client.post("/v1/admin/shutdown", &json!({})).await.expect(200).json();
        assert_eq!(answer["success"], true);
        assert!(process.wait_exit().await.success(), "{}", process.stderr());
    }
    // If client keys are configured, one is required.
    let guarded = Router::start(Launch::default().env("CLIENT_KEYS", "sk-open-sesame-0123456789")).await;
    guarded.client.post("/v1/admin/shutdown", &json!({})).await.expect(401);
}

#[tokio::test]
async fn a_port_in_use_is_reported_with_its_process() {
    let router = Router::start(Launch::default()).await;
    let port = router.client.port().to_string();
    for program in ["provider-router", "qwen-proxy", "api-server"] {
        let (code, said) = Launch::default().arg("--port").arg(&port).run_to_exit(program).await;
        assert_eq!(code, Some(98), "{program}: {said}");
        assert!(said.contains(&port) && said.contains("provider-router"), "{program}: {said}");
    }
}

#[tokio::test]
async fn mistakes_in_flags_and_files_are_reported() {
    for program in ["provider-router", "qwen-proxy", "api-server"] {
        let (code, said) = Launch::default().arg("--no-such-flag").run_to_exit(program).await;
        assert_eq!(code, Some(64), "{program}: {said}");
        assert!(said.contains("--no-such-flag"), "{program}: {said}");
        let launch = Launch::default().config(program, "[server]\nprto = 1\n");
        let (code, said) = launch.run_to_exit(program).await;
        assert_eq!(code, Some(78), "{program}: {said}");
        assert!(said.contains("prto"), "{program}: {said}");
    }
}

#[tokio::test]
async fn a_wrong_database_url_is_the_same_exit_code_everywhere() {
    for program in ["provider-router", "qwen-proxy", "api-server"] {
        let launch = Launch::default().env("DATABASE_URL", "sqlite:///tmp/no.db?mode=ro");
        let (code, said) = launch.run_to_exit(program).await;
        assert_eq!(code, Some(78), "{program}: {said}");
        assert!(said.contains("a SQLite URL takes no parameters"), "{program}: {said}");
    }
}

#[tokio::test]
async fn fc_78_a_public_address_requires_a_client_key() {
    for program in ["provider-router", "qwen-proxy"] {
        let launch = Launch::default().arg("--host").arg("0.0.0.0").arg("--port").arg("0");
        let (code, said) = launch.run_to_exit(program).await;
        assert_eq!(code, Some(78), "{program}: {said}");
        assert!(said.contains("--insecure-no-auth"), "{program}: {said}");
    }
}

#[tokio::test]
async fn configured_client_keys_are_required() {
    let router = Router::start(Launch::default().env("CLIENT_KEYS", "sk-open-sesame-0123456789")).await;
    let request = json!({"model": "echo", "messages": [{"role": "user", "content": "knock"}]}).to_string();
    assert_eq!(error_of(&router.client.post(CHAT, &json!({})).await, 401)["code"], "invalid_api_key");
    for (key, status) in [("sk-open-sesame-0123456789", "200"), ("sk-wrong", "401")] {
        let head =
            format!("POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {key}\r\n");
        let answer =
            router.client.raw(format!("{head}content-length: {}\r\n\r\n{request}", request.len()).as_bytes()).await;
        assert!(answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{}", String::from_utf8_lossy(&answer));
    }
    let said = router.process.stderr();
    assert!(!said.contains("sesame"), "a secret in the output: {said}");
}
