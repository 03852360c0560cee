//! The message queue, with retries.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde::Serialize;
use signalbox_core::secret::Secret;
use signalbox_upstream::{Client, Deadlines, Target};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Config, Kind, sign};
use crate::supervisor::{Exit, Snapshot};

/// Delay before the second attempt; doubled before each further one.
const FIRST_RETRY_DELAY: Duration = Duration::from_secs(1);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);

/// Timeout for the remaining messages at shutdown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum log lines included in a message.
const MAX_LOG_LINES: usize = 20;

/// A message in its serialised form.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    /// Id, the same in every attempt.
    id: String,
    event: Kind,
    service: &'static str,
    /// Unix milliseconds.
    at: i64,
    message: String,
    exit_code: Option<i32>,
    /// Number of the process, counted since the start of api-server.
    generation: u64,
    last_lines: Vec<String>,
}

/// Delivers messages to the receiver, one after the other.
pub(super) struct WebhookSender {
    client: Client,
    target: Target,
    secret: Secret<String>,
    attempts: u32,
    deadlines: Deadlines,
}

/// Outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Taken,
    /// Temporary failure; try again.
    Later(String),
    /// Permanently refused by the receiver.
    Refused(StatusCode),
}

// === impl Message ===

impl Message {
    pub(super) fn new(event: Kind, service: &'static str, now: &Snapshot) -> Self {
        let cause = now.cause.as_deref().filter(|_| event != Kind::Recovered);
        let message = match (event, cause) {
            (Kind::Recovered, _) => format!("{service} is running again"),
            (_, Some(cause)) => cause.message.clone(),
            (Kind::Degraded, None) => format!("{service} does not answer its health check"),
            (_, None) => format!("{service} is down"),
        };
        let lines: Vec<&str> = cause.map(|cause| cause.tail.lines().collect()).unwrap_or_default();
        Self {
            id: Uuid::now_v7().to_string(),
            event,
            service,
            at: Timestamp::now().as_millisecond(),
            message,
            exit_code: cause.and_then(|cause| cause.exit).and_then(|exit| match exit {
                Exit::Code(code) => Some(code),
                Exit::Signal(_) | Exit::Unknown => None,
            }),
            generation: now.generation,
            last_lines: lines[lines.len().saturating_sub(MAX_LOG_LINES)..]
                .iter()
                .map(|line| (*line).to_owned())
                .collect(),
        }
    }
}

// === impl WebhookSender ===

impl WebhookSender {
    pub(super) fn new(client: Client, target: Target, config: &Config) -> Self {
        let patience = config.timeout.get();
        let deadlines = Deadlines { headers: patience, idle: patience, total: patience, ..Deadlines::default() };
        Self { client, target, secret: config.secret.clone(), attempts: config.attempts, deadlines }
    }

    /// Runs until all senders are dropped; after `closing`, at most 2 s longer.
    pub(super) async fn run(self, mut inbox: mpsc::Receiver<Message>, closing: CancellationToken) {
        let mut under_way = None;
        tokio::select! {
            () = self.work(&mut inbox, &mut under_way) => return,
            () = closing.cancelled() => inbox.close(),
        }
        // The message in progress is tried once more at once; the receiver recognises it by its id.
        if timeout(FLUSH_TIMEOUT, self.work(&mut inbox, &mut under_way)).await.is_err() {
            tracing::warn!(lost = inbox.len() + 1, "messages to the webhook were lost at shutdown");
        }
    }

    async fn work(&self, inbox: &mut mpsc::Receiver<Message>, under_way: &mut Option<Message>) {
        loop {
            if under_way.is_none() {
                *under_way = inbox.recv().await;
            }
            let Some(message) = under_way else { return };
            self.deliver(message).await;
            *under_way = None;
        }
    }

    async fn deliver(&self, message: &Message) {
        let Ok(body) = serde_json::to_vec(message) else { return };
        let body = Bytes::from(body);
        let mut pause = FIRST_RETRY_DELAY;
        for attempt in 1..=self.attempts {
            match self.send(message, body.clone()).await {
                Outcome::Taken => return,
                Outcome::Refused(status) => {
                    tracing::error!(id = message.id, %status, "the webhook rejected a message");
                    return;
                }
                Outcome::Later(why) => {
                    tracing::warn!(id = message.id, attempt, why, "cannot deliver a message to the webhook")
                }
            }
            if attempt < self.attempts {
                sleep(pause).await;
                pause = (pause * 2).min(MAX_RETRY_DELAY);
            }
        }
        tracing::error!(id = message.id, "a message to the webhook was dropped after the last attempt");
    }

    async fn send(&self, message: &Message, body: Bytes) -> Outcome {
        let signature = sign(self.secret.expose(), Timestamp::now().as_second(), &body);
        let (Ok(path), Ok(signature)) = (self.target.path(""), HeaderValue::try_from(signature)) else {
            return Outcome::Later("its URL has no path".to_owned());
        };
        let request = Request::post(path.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("signalbox/", env!("CARGO_PKG_VERSION")))
            .header("x-signalbox-event-id", message.id.as_str())
            .header("x-signalbox-signature", signature)
            .body(body);
        let Ok(request) = request else { return Outcome::Later("its URL has no path".to_owned()) };
        match self.client.send(&self.target, request, &self.deadlines).await {
            Ok(answer) => {
                let status = answer.status();
                // Read to its end, so that the connection can be reused; the content is ignored.
                let _ = answer.into_body().collect().await;
                classify_status(status)
            }
            Err(error) => Outcome::Later(error.code().to_owned()),
        }
    }
}

fn classify_status(status: StatusCode) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Taken,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Outcome::Later(status.to_string()),
        status if status.is_server_error() => Outcome::Later(status.to_string()),
        status => Outcome::Refused(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_transient_failures_are_retried() {
        assert_eq!(classify_status(StatusCode::NO_CONTENT), Outcome::Taken);
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_GATEWAY, StatusCode::REQUEST_TIMEOUT] {
            assert!(matches!(classify_status(status), Outcome::Later(_)), "{status}");
        }
        for status in [StatusCode::FOUND, StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED] {
            assert_eq!(classify_status(status), Outcome::Refused(status));
        }
    }
}
