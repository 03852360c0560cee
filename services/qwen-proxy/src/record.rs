//! The log of direct requests. Requests from provider-router are logged by it.
//!
//! A single task writes the log. The end of an answer waits for the write, but not for long: an unavailable database
//! delays the log and not the answers. Only entries beyond the capacity of the queue are lost, and counted.

use std::{future::Future, sync::Arc};

use signalbox_core::{openai::Usage, schema::RequestStatus};
use signalbox_store::{
    Class, Store,
    exchanges::{self, Exchange, ExchangeEnd, ExchangeStart, SessionRef, Source},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Duration, Instant, sleep, timeout},
};
use uuid::Uuid;

use crate::{clock, convert::ParsedRequest, log_policy::LoggedTexts, metrics::Metrics};

/// Maximum time the end of an answer waits for its log entry.
const LOG_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of requests waiting for the database.
const QUEUE_CAPACITY: usize = 4096;

/// Maximum number of requests per write.
const MAX_BATCH: usize = 64;

/// Initial delay before a batch is retried; it doubles with each retry, up to `MAX_RETRY_DELAY`.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(250);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);

/// Maximum characters of the first message in the list of sessions.
const MAX_PREVIEW_CHARS: usize = 4096;

/// Sender of log entries. The writer ends when all clones are dropped and every entry is written.
#[derive(Clone, Debug)]
pub struct Log {
    queue: mpsc::Sender<Entry>,
    metrics: Arc<Metrics>,
}

/// A log entry, and the sender that notifies the waiting request.
type Entry = (Exchange, oneshot::Sender<()>);

/// A request in progress that will be logged.
#[derive(Debug)]
pub struct LogRecord {
    begun: ExchangeStart,
    arrived: Instant,
    first_byte: Option<Duration>,
    upstream_request: Option<String>,
}

/// Outcome of a request.
#[derive(Debug)]
pub struct Outcome {
    /// Status in the log.
    pub status: RequestStatus,
    /// Status sent to the client.
    pub status_code: Option<u16>,
    /// Error message.
    pub error: Option<String>,
    /// The answer as one `chat.completion`, as far as it was received.
    pub completion: Option<String>,
    /// Token counts reported by the site.
    pub usage: Option<Usage>,
    /// Finish reason; `error` if there is no answer.
    pub finish_reason: Option<String>,
    /// Hash of the conversation's first exchange.
    pub opening_hash: Option<String>,
}

// === impl Outcome ===

impl Default for Outcome {
    fn default() -> Self {
        Self {
            status: RequestStatus::Failed,
            status_code: None,
            error: None,
            completion: None,
            usage: None,
            finish_reason: None,
            opening_hash: None,
        }
    }
}

// === impl Log ===

impl Log {
    /// Creates a log in this database, and the future that writes it.
    pub fn new(store: Store, metrics: Arc<Metrics>) -> (Self, impl Future<Output = ()>) {
        let (queue, entries) = mpsc::channel(QUEUE_CAPACITY);
        (Self { queue, metrics: Arc::clone(&metrics) }, write(store, entries, metrics))
    }

    async fn put(&self, exchange: Exchange) {
        let (done, written) = oneshot::channel();
        if self.queue.try_send((exchange, done)).is_err() {
            self.metrics.unlogged(1);
            tracing::error!("a request was not logged: {QUEUE_CAPACITY} others are waiting for the database");
            return;
        }
        // On a timeout the entry stays in the queue and is written later.
        let _ = timeout(LOG_TIMEOUT, written).await;
    }
}

async fn write(store: Store, mut entries: mpsc::Receiver<Entry>, metrics: Arc<Metrics>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while entries.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let (exchanges, waiting): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        // Retry one by one, so that an invalid entry does not affect the others.
        if record(&store, &exchanges).await.is_err() {
            for exchange in &exchanges {
                if let Err(error) = record(&store, std::slice::from_ref(exchange)).await {
                    metrics.unlogged(1);
                    tracing::error!(id = %exchange.begun.request_id, "a request was not logged: {error}");
                }
            }
        }
        for done in waiting {
            // The receiver is gone if the request has stopped waiting.
            let _ = done.send(());
        }
    }
}

/// Writes requests, retrying as long as the database is unavailable, full or damaged; the entries behind them wait in
/// the bounded queue. Fails only if one of them can never be written.
async fn record(store: &Store, exchanges: &[Exchange]) -> Result<(), signalbox_store::Error> {
    let mut pause = FIRST_RETRY_DELAY;
    loop {
        match exchanges::record(store, exchanges).await {
            Err(error) if error.class() != Class::Row => {
                tracing::warn!(requests = exchanges.len(), "cannot log requests, retrying: {error}");
            }
            written => return written,
        }
        sleep(pause).await;
        pause = (pause * 2).min(MAX_RETRY_DELAY);
    }
}

// === impl LogRecord ===

impl LogRecord {
    /// Creates the record of a request that has just arrived on `path` with this body.
    #[must_use]
    pub fn new(id: Uuid, path: &str, body: &[u8], parsed: &ParsedRequest) -> Self {
        let begun = ExchangeStart {
            request_id: id.to_string(),
            received_at: clock::unix_ms(),
            method: "POST".to_owned(),
            path: path.to_owned(),
            model: parsed.model.clone(),
            stream: parsed.stream,
            request_body: String::from_utf8_lossy(body).into(),
            first_user_message: parsed.first_user_text().chars().take(MAX_PREVIEW_CHARS).collect(),
            session: SessionRef::Opens,
            base: None,
            source: Source::QwenProxy,
            key_id: None,
        };
        Self { begun, arrived: Instant::now(), first_byte: None, upstream_request: None }
    }

    /// Records the session and the upstream request, when the site begins to answer.
    pub fn started(&mut self, session_id: &str, sent: &[u8]) {
        self.begun.session = SessionRef::Named(session_id.to_owned());
        self.upstream_request = Some(String::from_utf8_lossy(sent).into_owned());
    }

    /// Records the time of the first byte of the response.
    pub fn first_byte(&mut self) {
        self.first_byte.get_or_insert_with(|| self.arrived.elapsed());
    }

    /// Passes the entry, without the texts that must not be logged, to the writer, and waits up to `LOG_TIMEOUT` until
    /// it is written.
    pub async fn end(self, log: &Log, kept: LoggedTexts, outcome: Outcome) {
        let ended = ExchangeEnd {
            status: outcome.status,
            ended_at: clock::unix_ms(),
            provider_id: None,
            upstream_request: self.upstream_request,
            response_body: outcome.completion,
            usage: outcome.usage,
            cost: None,
            finish_reason: outcome.finish_reason,
            error: outcome.error,
            duration_ms: clock::millis(self.arrived.elapsed()),
            first_byte_ms: self.first_byte.map(clock::millis),
            status_code: outcome.status_code.map(i64::from),
            attempts: 1,
            truncated: false,
            translation: None,
            plan: None,
            opening_hash: outcome.opening_hash,
            answer_hash: None,
        };
        let mut exchange = Exchange { begun: self.begun, ended: Some(ended) };
        kept.prune(&mut exchange);
        log.put(exchange).await;
    }
}

#[cfg(test)]
mod tests {
    use signalbox_store::{Page, requests};

    use super::*;

    fn record(id: u128) -> LogRecord {
        let body = br#"{"messages":[{"role":"user","content":"hi"}]}"#;
        LogRecord::new(Uuid::from_u128(id), "/v1/chat/completions", body, &ParsedRequest::parse(body).unwrap())
    }

    #[tokio::test]
    async fn accepted_records_are_written_before_the_writer_ends() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let (log, writer) = Log::new(store.clone(), Arc::default());
        let waiting = async move {
            let mut last = record(1);
            last.started("session", b"{}");
            tokio::join!(
                last.end(&log, LoggedTexts::ALL, Outcome::default()),
                record(2).end(&log, LoggedTexts::ALL, Outcome::default())
            );
        };
        tokio::join!(waiting, writer);
        let listed = requests::list(&store, &requests::Filter::default(), Page::ALL).await.unwrap();
        let mut sessions: Vec<&str> = listed.items.iter().map(|(request, _)| &*request.session_id).collect();
        sessions.sort_unstable();
        assert_eq!(sessions, [&*Uuid::from_u128(2).to_string(), "session"]);
    }

    #[tokio::test]
    async fn a_blocked_writer_drops_and_counts_records_without_blocking() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        // Opening the database takes real time, so the clock is paused afterwards.
        tokio::time::pause();
        let metrics = Arc::<Metrics>::default();
        let (log, _writer) = Log::new(store, Arc::clone(&metrics));
        let started = Instant::now();
        record(1).end(&log, LoggedTexts::ALL, Outcome::default()).await;
        assert!(started.elapsed() >= LOG_TIMEOUT);
        for _ in 1..QUEUE_CAPACITY {
            let (done, _) = oneshot::channel();
            log.queue.try_send((Exchange { begun: record(2).begun, ended: None }, done)).unwrap();
        }
        record(3).end(&log, LoggedTexts::ALL, Outcome::default()).await;
        assert!(metrics.text(None, None).contains("requests_not_logged_total 1"));
    }
}
