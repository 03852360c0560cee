//! Single requests to a target.

use std::{io, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use signalbox_core::Api;
use tokio::time::timeout;

use crate::{
    prompt::{Kind, Pool, Prompts},
    wire::{Framing, Peer, Wire},
};

/// Longer than any single answer takes on loopback.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// State of the router's request log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalState {
    /// Bytes in segments that are not completely in the database.
    pub bytes: u64,
    /// Requests written to the database since the router was started.
    pub loaded: u64,
    /// Requests that were served without being logged.
    pub unlogged: u64,
}

/// Sends one short request and returns the status of the answer.
///
/// # Errors
/// Fails if there is no answer within the timeout.
pub async fn chat(port: u16, pool: &Pool) -> io::Result<u16> {
    let mut prompts = Prompts::new(Kind::Short, pool, (Api::Chat, port), "mock-1x0", false, 0);
    exchange(port, prompts.request()).await.map(|(status, _)| status)
}

/// Requests the state of the router's journal.
///
/// # Errors
/// Fails if the router does not report it.
pub async fn journal(port: u16) -> io::Result<JournalState> {
    let request = format!("GET /health HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n");
    let (_, body) = exchange(port, request.as_bytes()).await?;
    let health: Value = serde_json::from_slice(&body)?;
    Ok(serde_json::from_value(health["journal"].clone())?)
}

async fn exchange(port: u16, request: impl bytes::Buf) -> io::Result<(u16, Vec<u8>)> {
    let asked = async {
        let mut wire = Wire::connect(port).await?;
        wire.write(request).await?;
        let head = wire.head(Peer::Server).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut whole = Vec::new();
        match head.framing {
            Framing::Length(len) => whole.extend_from_slice(wire.body(len).await?),
            Framing::Chunked => loop {
                let (at, len) = wire.chunk().await?;
                if at.is_empty() {
                    break;
                }
                whole.extend_from_slice(&wire.input()[at]);
                wire.consume(len);
            },
        }
        Ok((head.status, whole))
    };
    timeout(PROBE_TIMEOUT, asked).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
