//! Tests of the webhook, with real processes and a local receiver.

use std::time::Duration;

use api_server::fleet::{self, Overrides, Which};
use api_server::notify::{self, Kind, sign};
use api_server::supervisor::Phase;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use signalbox_core::secret::Secret;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::site::{fleet_config, test_children};

const SECRET: &str = "a secret of sixteen or more";

/// Receives one message, responds with `status`, and returns its signature and its body.
async fn take(receiver: &TcpListener, status: &str) -> (String, Vec<u8>) {
    let (stream, _) = tokio::time::timeout(Duration::from_secs(30), receiver.accept()).await.unwrap().unwrap();
    let mut stream = BufReader::new(stream);
    let (mut length, mut signature) = (0, String::new());
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("x-signalbox-signature", value)) => value.clone_into(&mut signature),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    (signature, body)
}

fn verified((signature, body): (String, Vec<u8>)) -> Value {
    let seconds = signature.strip_prefix("t=").and_then(|rest| rest.split_once(',')).unwrap().0.parse().unwrap();
    assert_eq!(signature, sign(SECRET, seconds, &body));
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn a_crash_and_its_recovery_are_sent_signed_and_retried() {
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (fleet, closer) = fleet::launch(fleet_config(&dir, test_children()));
    let config = notify::Config {
        webhook_url: Secret::new(format!("http://{}/hook", receiver.local_addr().unwrap())),
        secret: Secret::new(SECRET.to_owned()),
        events: vec![Kind::Crashed, Kind::Recovered],
        attempts: 3,
        timeout: "5s".parse().unwrap(),
    };
    let notifier = notify::launch(&config, &fleet.services()).unwrap();
    fleet.start(Overrides::default(), Which::Both).await.done().await.unwrap();
    let pid = fleet.now().router.pid.unwrap();
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();

    let first = verified(take(&receiver, "503 Busy").await);
    assert_eq!((&first["event"], &first["service"]), (&"crashed".into(), &"provider-router".into()));
    assert!(first["message"].as_str().unwrap().contains("signal 9"), "{first}");
    let again = verified(take(&receiver, "204 Taken").await);
    assert_eq!(again, first, "an unaccepted message is sent again with the same id");

    if fleet.now().router.state == Phase::Error {
        fleet.start(Overrides::default(), Which::Both).await.done().await.unwrap();
    }
    let recovered = verified(take(&receiver, "200 OK").await);
    assert_eq!(
        (&recovered["event"], &recovered["message"]),
        (&"recovered".into(), &"provider-router is running again".into())
    );
    closer.close().await;
    notifier.close().await;
}
