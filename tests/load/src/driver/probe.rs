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

/// Metric of the router: the duration of the last reading of its catalogue.
const RELOAD: &str = "signalbox_catalog_reload_seconds";

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

/// Sends one short request, with a client key if one is given, and returns the status of the answer.
///
/// # Errors
/// Fails if there is no answer within the timeout.
pub async fn chat(port: u16, pool: &Pool, key: Option<&str>) -> io::Result<u16> {
    let prompts = Prompts::new(Kind::Short, pool, (Api::Chat, port), "mock-1x0", false, 0);
    let mut prompts = prompts.with_key(key);
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

/// Requests how long the router took to read its catalogue the last time.
///
/// # Errors
/// Fails if the router does not report it.
pub async fn reload_time(port: u16, key: &str) -> io::Result<Duration> {
    let request = format!("GET /metrics HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n\r\n");
    let (_, body) = exchange(port, request.as_bytes()).await?;
    let found = reload_seconds(&String::from_utf8_lossy(&body));
    found.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{RELOAD} is not among the metrics")))
}

fn reload_seconds(metrics: &str) -> Option<Duration> {
    let value = metrics.lines().find_map(|line| line.strip_prefix(RELOAD)?.strip_prefix(' '))?;
    Duration::try_from_secs_f64(value.trim().parse().ok()?).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_reload_is_one_of_the_metrics() {
        let text = format!("# TYPE {RELOAD} gauge\n{RELOAD}_other 1\n{RELOAD} 0.025\n");
        assert_eq!(reload_seconds(&text), Some(Duration::from_millis(25)));
        for text in ["", &format!("{RELOAD} soon"), &format!("{RELOAD} -1")] {
            assert_eq!(reload_seconds(text), None, "{text}");
        }
    }
}
