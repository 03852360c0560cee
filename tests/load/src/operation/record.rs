//! The loader's work for complete exchanges, all of them first turns of new conversations.

use signalbox_core::{conversation::opening_hash, id, openai::Usage, schema::RequestStatus};
use signalbox_store::{
    Store,
    exchanges::{self, Exchange, ExchangeEnd, ExchangeStart, SessionRef, Source},
};

/// Number of exchanges that a busy loader puts into one transaction.
const BATCH: usize = 512;

/// Writes `times` exchanges to a new database.
pub(super) async fn record(body: &[u8], times: u64) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(&format!("sqlite://{}", dir.path().join("log.db").display())).await?;
    let body = std::str::from_utf8(body)?;
    let all: Vec<Exchange> = (0..times).map(|number| exchange(body, number)).collect();
    for batch in all.chunks(BATCH) {
        exchanges::record(&store, batch).await?;
    }
    store.close().await;
    Ok(())
}

fn exchange(body: &str, number: u64) -> Exchange {
    let arrived = 1_700_000_000_000;
    let answer = format!("{number} {}", "word ".repeat(200));
    Exchange {
        begun: ExchangeStart {
            request_id: id::request_id().to_string(),
            received_at: arrived,
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            model: "mock-100x0".to_owned(),
            stream: false,
            request_body: body.into(),
            first_user_message: "Say a hundred words.".to_owned(),
            session: SessionRef::Opens,
            base: None,
            source: Source::Router,
            key_id: None,
        },
        ended: Some(ExchangeEnd {
            status: RequestStatus::Completed,
            ended_at: arrived + 3,
            provider_id: Some("mock".to_owned()),
            upstream_request: None,
            opening_hash: Some(opening_hash("Say a hundred words.", &answer)),
            answer_hash: None,
            response_body: Some(answer),
            usage: Some(Usage::new(10, 20)),
            cost: None,
            finish_reason: Some("stop".to_owned()),
            error: None,
            duration_ms: 3,
            first_byte_ms: Some(3),
            status_code: Some(200),
            attempts: 1,
            truncated: false,
            translation: None,
            plan: None,
        }),
    }
}
