//! Request log for the tests of its routes.

use signalbox_core::openai::Usage;
use signalbox_core::schema::{RequestCost, RequestStatus};
use signalbox_store::exchanges::{self, Exchange, ExchangeEnd, ExchangeStart, SessionRef, Source};

use crate::site::Site;

/// Returns the time of the logged requests in milliseconds: the present, so that their sessions have not expired.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Returns an answered request of session `s1`.
pub(super) fn answered(request_id: &str, at: i64) -> Exchange {
    Exchange {
        begun: ExchangeStart {
            request_id: request_id.to_owned(),
            received_at: at,
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            model: "echo".to_owned(),
            stream: false,
            request_body: r#"{"model":"echo","messages":[]}"#.into(),
            first_user_message: "é".repeat(150),
            session: SessionRef::Named("s1".to_owned()),
            base: None,
            source: Source::Router,
            key_id: None,
        },
        ended: Some(ExchangeEnd {
            status: RequestStatus::Completed,
            ended_at: at + 40,
            provider_id: Some("echo".to_owned()),
            upstream_request: None,
            response_body: Some(r#"{"id":"c1"}"#.to_owned()),
            usage: Some(Usage::new(3, 4)),
            cost: cost(Some(1_500_000), "computed"),
            finish_reason: Some("stop".to_owned()),
            error: None,
            duration_ms: 40,
            first_byte_ms: Some(5),
            status_code: Some(200),
            attempts: 1,
            truncated: false,
            translation: None,
            plan: None,
            opening_hash: None,
            answer_hash: None,
        }),
    }
}

fn cost(nanos: Option<i64>, origin: &str) -> Option<RequestCost> {
    Some(RequestCost { nanos, origin: origin.to_owned(), price_version: Some("2026-11-29".to_owned()) })
}

/// Returns a failed streaming request of session `s2`.
pub(super) fn failed(request_id: &str, at: i64) -> Exchange {
    let mut exchange = answered(request_id, at);
    exchange.begun.stream = true;
    exchange.begun.model = "gpt".to_owned();
    exchange.begun.session = SessionRef::Named("s2".to_owned());
    exchange.begun.request_body = "not JSON".into();
    if let Some(ended) = &mut exchange.ended {
        ended.status = RequestStatus::Failed;
        ended.cost = cost(None, "unknown: usage");
        ended.response_body = None;
        ended.usage = None;
        ended.finish_reason = Some("error".to_owned());
        ended.error = Some("refused".to_owned());
    }
    exchange
}

pub(super) async fn record(site: &Site, log: &[Exchange]) {
    exchanges::record(&site.store, log).await.unwrap();
}
