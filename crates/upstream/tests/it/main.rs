//! Tests the client against servers that write every byte explicitly, so that faults are exact.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod chunking;
mod codings;
mod deadlines;
mod faults;
mod load;
mod messages;
mod proxies;
mod reuse;
mod server;
#[cfg(unix)]
mod sockets;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use signalbox_upstream::{Body, Client, ClientConfig, Deadlines, Error, Target};

/// Deadlines that no test reaches; each test shortens single ones.
const NEVER: Deadlines =
    Deadlines { connect: Duration::MAX, headers: Duration::MAX, idle: Duration::MAX, total: Duration::MAX };

/// A complete response after which the connection stays open.
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn client() -> Client {
    Client::new(&ClientConfig::default()).unwrap()
}

fn get(target: &Target, path: &str) -> Request<Bytes> {
    Request::get(target.path(path).unwrap().as_str()).body(Bytes::new()).unwrap()
}

fn post(target: &Target, path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post(target.path(path).unwrap().as_str()).body(body.into()).unwrap()
}

/// Reads a body to its end; returns its bytes and how it ended.
async fn read(mut body: Body) -> (Vec<u8>, Result<(), Error>) {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
            Err(error) => return (bytes, Err(error)),
        }
    }
    (bytes, Ok(()))
}

/// Reads a body that must be complete.
async fn read_all(body: Body) -> Vec<u8> {
    let (bytes, end) = read(body).await;
    end.unwrap();
    bytes
}
