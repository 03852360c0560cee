//! Readiness and liveness checks: a child's health endpoint has to answer, with the instance of that child.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use signalbox_daemon::CLIENTS_WAITING;
use signalbox_upstream::loopback::{self, ExchangeError};

/// Timeout of one check.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum bytes of a health response; usual ones have a few hundred.
const MAX_BODY: usize = 64 * 1024;

/// Target of a check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) addr: SocketAddr,
    /// Instance that the response has to name.
    pub(super) instance: &'a str,
    pub(super) path: &'static str,
}

/// Reason why a child is not ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotReady {
    #[error("it has not announced its address")]
    Silent,
    #[error("its health check did not respond within 1 s")]
    Timeout,
    #[error("its health check cannot be reached: {0}")]
    Unreachable(String),
    #[error("its health check returned status {0}")]
    Status(u16),
    #[error("another process responds at its address (instance {0:?})")]
    Stranger(Option<String>),
}

/// State of the client connections, as a live child reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clients {
    /// New clients get a connection.
    Served,
    /// All connections are busy; new clients wait.
    Waiting,
}

/// Performs one check.
pub(super) async fn ask(child: &Target<'_>) -> Result<Clients, NotReady> {
    #[derive(Deserialize)]
    struct Health {
        instance: Option<String>,
    }

    let request = http::Request::get(child.path).body(Bytes::new())?;
    let answer = loopback::send_request(child.addr, request, MAX_BODY, PROBE_TIMEOUT).await?;
    let clients = if answer.headers().contains_key(CLIENTS_WAITING) { Clients::Waiting } else { Clients::Served };
    let (status, body) = (answer.status(), answer.into_body());
    if status != http::StatusCode::OK {
        return Err(NotReady::Status(status.as_u16()));
    }
    let instance = serde_json::from_slice::<Health>(&body).ok().and_then(|health| health.instance);
    if instance.as_deref() == Some(child.instance) { Ok(clients) } else { Err(NotReady::Stranger(instance)) }
}

// === impl NotReady ===

impl From<ExchangeError> for NotReady {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Unreachable(reason) => Self::Unreachable(reason),
            ExchangeError::Silent(_) => Self::Timeout,
        }
    }
}

impl From<http::Error> for NotReady {
    fn from(error: http::Error) -> Self {
        Self::Unreachable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Checks a server that answers one connection with `answer`.
    async fn asked(answer: &'static str) -> Result<Clients, NotReady> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let child = Target { addr: listener.local_addr().unwrap(), instance: "me", path: "/health/ready" };
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /health/ready HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        tokio::join!(ask(&child), server).0
    }

    #[tokio::test]
    async fn ready_is_200_and_the_same_instance() {
        let ready = "HTTP/1.1 200 OK\r\ncontent-length: 31\r\n\r\n{\"instance\":\"me\",\"status\":\"ok\"}";
        assert_eq!(asked(ready).await, Ok(Clients::Served));
        let full = "HTTP/1.1 200 OK\r\nx-signalbox-clients-wait: 1\r\ncontent-length: 17\r\n\r\n{\"instance\":\"me\"}";
        assert_eq!(asked(full).await, Ok(Clients::Waiting));
    }

    #[tokio::test]
    async fn other_responses_are_not_ready() {
        let other = "HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"instance\":\"u\"}";
        assert_eq!(asked(other).await, Err(NotReady::Stranger(Some("u".to_owned()))));
        let html = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>";
        assert_eq!(asked(html).await, Err(NotReady::Stranger(None)));
        let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(asked(busy).await, Err(NotReady::Status(503)));
        assert!(matches!(asked("garbage\r\n\r\n").await, Err(NotReady::Unreachable(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_times_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let child = Target { addr: listener.local_addr().unwrap(), instance: "me", path: "/health/ready" };
        assert_eq!(ask(&child).await, Err(NotReady::Timeout));
    }
}
