//! An HTTP client that exposes everything, including broken answers.
//!
//! Each request uses a new connection: nothing is reused, retried or hidden.

mod events;

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::waiting::within;

pub use events::{Events, Finished};
pub use hyper::Method;

/// Sends requests to one service.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    addr: SocketAddr,
    key: Option<&'static str>,
    header: Option<(&'static str, &'static str)>,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, or the part of it that was received.
    pub body: Bytes,
    /// Whether the body ended properly.
    pub complete: bool,
}

// === impl Client ===

impl Client {
    /// Creates a client of the service on this port of 127.0.0.1.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self { addr: ([127, 0, 0, 1], port).into(), key: None, header: None }
    }

    /// Returns the same client, which sends this client key with every request.
    #[must_use]
    pub const fn with_key(mut self, key: Option<&'static str>) -> Self {
        self.key = key;
        self
    }

    /// Returns the same client, which sends this header with every request.
    #[must_use]
    pub const fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Returns the service's port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Returns the base URL of the service, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Sends `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, Bytes::new()).await
    }

    /// Sends `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path, body.to_string()).await
    }

    /// Sends `PUT path` with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::PUT, path, body.to_string()).await
    }

    /// Sends `DELETE path`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path, Bytes::new()).await
    }

    /// Sends a request. A body that is not empty is declared as JSON.
    ///
    /// # Panics
    /// Panics if there is no answer.
    pub async fn request(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        let answer = self.try_request(method.clone(), path, body).await;
        answer.unwrap_or_else(|error| panic!("{method} {}{path} has no answer: {error}", self.url()))
    }

    /// Sends a request. A body that is not empty is declared as JSON.
    ///
    /// # Errors
    /// Returns a description if there is no answer.
    pub async fn try_request(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Result<Answer, String> {
        let response = self.open(method, path, body.into()).await?;
        let (head, mut incoming) = response.into_parts();
        let (mut body, mut complete) = (BytesMut::new(), true);
        while let Some(frame) = within("the next piece of an answer", incoming.frame()).await {
            match frame {
                Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(_) => complete = false,
            }
        }
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.freeze(), complete })
    }

    /// Sends `POST path` with a JSON body; the answer is read event by event.
    ///
    /// # Panics
    /// Panics if there is no answer.
    pub async fn stream(&self, path: &str, body: &Value) -> Events {
        let response = self.open(Method::POST, path, body.to_string().into()).await;
        Events::new(response.unwrap_or_else(|error| panic!("POST {}{path} has no answer: {error}", self.url())))
    }

    /// Sends `GET path`; the answer is read event by event.
    ///
    /// # Panics
    /// Panics if there is no answer.
    pub async fn get_stream(&self, path: &str) -> Events {
        let response = self.open(Method::GET, path, Bytes::new()).await;
        Events::new(response.unwrap_or_else(|error| panic!("GET {}{path} has no answer: {error}", self.url())))
    }

    /// Sends these bytes and reads until the service closes the connection.
    ///
    /// # Panics
    /// Panics if the service does not accept connections.
    pub async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.addr).await.expect("the service accepts");
        let mut answer = Vec::new();
        // The service may answer and close before it has read everything, so write errors are ignored.
        let _ = stream.write_all(bytes).await;
        let _ = within("the end of the answer", stream.read_to_end(&mut answer)).await;
        answer
    }

    /// Sends these bytes, shuts down the sending side, and reads until the service closes the connection.
    ///
    /// # Panics
    /// Panics if the service does not accept connections.
    pub async fn raw_and_close(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.addr).await.expect("the service accepts");
        let mut answer = Vec::new();
        // The service may answer and close before it has read everything, so write errors are ignored.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = within("the end of the answer", stream.read_to_end(&mut answer)).await;
        answer
    }

    async fn open(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, String> {
        let stream = TcpStream::connect(self.addr).await.map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        // The task ends with the answer; connection errors are reported to the reader of the answer.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", self.addr.to_string());
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some(key) = self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some((name, value)) = self.header {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        within("the head of an answer", sender.send_request(request)).await.map_err(|error| error.to_string())
    }
}

// === impl Answer ===

impl Answer {
    /// Parses the body as JSON.
    ///
    /// # Panics
    /// Panics if it is not valid JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// Returns the body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the value of a header; empty if missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the answer itself if it has this status.
    ///
    /// # Panics
    /// Panics if it has another status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}
