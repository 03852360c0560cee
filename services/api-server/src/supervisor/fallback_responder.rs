//! Answers 503 in place of a child that does not serve, whose clients would otherwise wait for ever.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Timeout of one exchange. The request has to be read to its end, or the client may see a reset instead of the
/// response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum clients answered concurrently; more wait in the queue of the socket.
const MAX_CONNECTIONS: usize = 64;

/// Pause after a failed accept, for example for lack of descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

const UNAVAILABLE_RESPONSE: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\nretry-after: 1\r\ncontent-length: 137\r\nconnection: close\r\n\r\n\
    {\"error\":{\"message\":\"The service is being started. Try again in a moment.\",\"type\":\"server_error\",\
    \"code\":\"service_starting\",\"param\":null}}";

/// Answers clients until it is dropped.
#[derive(Debug)]
pub(super) struct FallbackResponder {
    _tasks: JoinSet<()>,
}

// === impl FallbackResponder ===

impl FallbackResponder {
    /// Starts to answer on copies of these sockets.
    pub(super) fn begin(sockets: &[TcpListener]) -> io::Result<Self> {
        let mut tasks = JoinSet::new();
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        for socket in sockets {
            let socket = tokio::net::TcpListener::from_std(socket.try_clone()?)?;
            tasks.spawn(accept(socket, Arc::clone(&slots)));
        }
        Ok(Self { _tasks: tasks })
    }
}

async fn accept(socket: tokio::net::TcpListener, slots: Arc<Semaphore>) {
    let mut answers = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match socket.accept().await {
            Ok((stream, _)) => {
                answers.spawn(async move {
                    // Clients that are too slow or disconnect get no response.
                    tokio::time::timeout(REQUEST_TIMEOUT, answer(stream)).await.ok();
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_BACKOFF).await,
        }
        while answers.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while memchr::memmem::find(&head, b"\r\n\r\n").is_none() && head.len() < 64 * 1024 {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    stream.write_all(UNAVAILABLE_RESPONSE.as_bytes()).await?;
    stream.shutdown().await?;
    // Read the rest of the body: closing a socket with unread bytes resets the connection, which could discard the
    // response.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stand_in_answers_503_with_retry_after() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let addr = socket.local_addr().unwrap();
        let fallback_responder = FallbackResponder::begin(&[socket]).unwrap();
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(b"POST /v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc").await.unwrap();
        let mut answer = String::new();
        client.shutdown().await.unwrap();
        client.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nretry-after: 1"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}: {}", body.len());
        serde_json::from_str::<serde_json::Value>(body).unwrap();
        drop(fallback_responder);
    }
}
