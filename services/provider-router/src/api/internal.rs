//! `/v1/admin/requests`, `/v1/admin/activity`, `/v1/admin/events` and `/v1/admin/alerts`: what this process does, for
//! api-server.
//!
//! Only requests that a service of this installation has signed are answered. A client key does not suffice: it
//! permits the use of models, but neither looking at the requests of others nor cancelling them. Operators use the
//! management API, which asks these routes of each router process.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::{Bytes, BytesMut};
use http::header;
use http_body::Frame;
use serde::Serialize;
use serde_json::{Value, json};
use signalbox_management::live::{
    Activity, Alert, Breaker, Cancellation, InFlightRequest, LiveEvent, ProviderActivity,
};
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    time::{Duration, timeout},
};
use tokio_util::sync::{CancellationToken, ReusableBoxFuture};
use uuid::Uuid;

use super::{error::ApiError, path::Path};
use crate::{
    app::App,
    clock::unix_ms,
    health::{self, State as BreakerState},
    provider::Provider,
    sweep,
};

/// Time after which a silent stream of events sends a blank line, so that a dead reader is noticed.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Maximum bytes of events that are sent at once.
const MAX_CHUNK: usize = 64 << 10;

/// Refuses requests that no service of this installation has signed.
pub(super) async fn signed(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.services.has_signed(&request, unix_ms()) {
        return next.run(request).await;
    }
    ApiError::ServiceOnly.into_response()
}

/// `GET /v1/admin/requests`: lists the requests in flight.
pub(super) async fn in_flight(State(app): State<Arc<App>>) -> Json<Vec<InFlightRequest>> {
    Json(app.live.list())
}

/// `POST /v1/admin/requests/{id}/cancel`: cancels a request, and says whether it is cancelled, or else has just ended.
pub(super) async fn cancel(State(app): State<Arc<App>>, Path(id): Path) -> Json<Value> {
    let outcome = id.parse().map_or(Cancellation::Unknown, |id: Uuid| app.live.cancel(id));
    Json(json!({ "cancelled": outcome == Cancellation::Cancelled, "ended": outcome == Cancellation::Ended }))
}

/// `POST /v1/admin/cache/clear`: removes the cached answers of this process, and says how many there were.
pub(super) async fn clear_cache(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({ "count": sweep::clear_cache(&app.cache) }))
}

/// `POST /v1/admin/breakers/reset`: closes the breakers of this process, and says how many were not closed.
pub(super) async fn reset_breakers(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({ "count": sweep::reset_breakers(&app.catalog) }))
}

/// `GET /v1/admin/activity`: returns the counters, and the state of the providers.
pub(super) async fn activity(State(app): State<Arc<App>>) -> Json<Activity> {
    let totals = app.live.totals().now();
    let now = health::now();
    let snapshot = app.catalog.current();
    Json(Activity {
        instance: app.instance.clone(),
        in_flight: app.live.count() as u64,
        requests: totals.requests,
        ended: totals.ended,
        errors: totals.errors,
        prompt_tokens: totals.prompt_tokens,
        completion_tokens: totals.completion_tokens,
        latencies: totals.latencies,
        providers: snapshot.providers().iter().map(|provider| of_provider(provider, now)).collect(),
    })
}

/// `GET /v1/admin/events`: streams the beginnings and ends of requests as lines of JSON, until the router drains.
pub(super) async fn events(State(app): State<Arc<App>>) -> Response {
    stream(app.live.listen(), app.shutdown.drain_token())
}

/// `GET /v1/admin/alerts`: streams the changes of breakers and the falls of cached shares as lines of JSON, until the
/// router drains.
pub(super) async fn alerts(State(app): State<Arc<App>>) -> Response {
    stream(app.metrics.alerts.listen(), app.shutdown.drain_token())
}

fn stream<E: Event>(events: Receiver<Arc<E>>, drain: CancellationToken) -> Response {
    let next = ReusableBoxFuture::new(next_chunk(events, drain));
    let body = Body::new(EventBody { next, is_over: false });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

/// An event of which some may be missed.
trait Event: Serialize + Send + Sync + 'static {
    /// Returns the event that tells how many were missed.
    fn missed(count: u64) -> Self;
}

impl Event for LiveEvent {
    fn missed(count: u64) -> Self {
        Self::Missed(count)
    }
}

impl Event for Alert {
    fn missed(count: u64) -> Self {
        Self::Missed(count)
    }
}

fn of_provider(provider: &Provider, now: u64) -> ProviderActivity {
    let mut shown = ProviderActivity {
        id: provider.id.clone(),
        healthy: provider.is_healthy(),
        breaker: Breaker::Closed,
        cooldown_ms: None,
        in_flight: 0,
    };
    for target in provider.targets() {
        let breaker = match target.state(now) {
            BreakerState::Closed => Breaker::Closed,
            BreakerState::HalfOpen => Breaker::HalfOpen,
            BreakerState::Open { .. } => Breaker::Open,
        };
        shown.breaker = shown.breaker.max(breaker);
        let cooldown = target.blocked(now).map(|blocked| blocked.until().saturating_sub(now));
        shown.cooldown_ms = shown.cooldown_ms.max(cooldown);
        shown.in_flight += u64::from(target.in_flight());
    }
    shown
}

type Events<E> = Receiver<Arc<E>>;

/// The lines of a stream of events.
struct EventBody<E> {
    next: ReusableBoxFuture<'static, (Events<E>, CancellationToken, Option<Bytes>)>,
    is_over: bool,
}

/// Waits for events, and returns all that have come by then; `None` at the end.
async fn next_chunk<E: Event>(
    mut events: Events<E>,
    drain: CancellationToken,
) -> (Events<E>, CancellationToken, Option<Bytes>) {
    let first = tokio::select! {
        biased;
        () = drain.cancelled() => return (events, drain, None),
        first = timeout(HEARTBEAT, events.recv()) => first,
    };
    let mut chunk = BytesMut::new();
    match first {
        Err(_elapsed) => chunk.extend_from_slice(b"\n"),
        Ok(Err(RecvError::Closed)) => return (events, drain, None),
        Ok(Err(RecvError::Lagged(missed))) => write(&E::missed(missed), &mut chunk),
        Ok(Ok(event)) => write(&*event, &mut chunk),
    }
    while chunk.len() < MAX_CHUNK {
        match events.try_recv() {
            Ok(event) => write(&*event, &mut chunk),
            Err(TryRecvError::Lagged(missed)) => write(&E::missed(missed), &mut chunk),
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    (events, drain, Some(chunk.freeze()))
}

fn write(event: &impl Serialize, chunk: &mut BytesMut) {
    // Events have neither maps with other keys than text nor numbers that JSON lacks.
    chunk.extend_from_slice(&serde_json::to_vec(event).unwrap_or_default());
    chunk.extend_from_slice(b"\n");
}

// === impl EventBody ===

impl<E: Event> http_body::Body for EventBody<E> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let (events, drain, chunk) = std::task::ready!(self.next.poll(cx));
        let Some(chunk) = chunk else {
            self.is_over = true;
            return Poll::Ready(None);
        };
        self.next.set(next_chunk(events, drain));
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use signalbox_management::live::Phase;
    use tokio::sync::broadcast;

    use super::*;

    fn event(n: i64) -> Arc<LiveEvent> {
        Arc::new(LiveEvent::Started(Box::new(InFlightRequest {
            request_id: String::new(),
            timestamp: n,
            method: "POST".to_owned(),
            path: String::new(),
            model: String::new(),
            stream: false,
            session_id: None,
            key_id: None,
            provider_id: None,
            upstream_model: None,
            attempts: 0,
            phase: Phase::Waiting,
            elapsed_ms: 0,
            first_byte_ms: None,
            response_bytes: 0,
        })))
    }

    #[tokio::test(start_paused = true)]
    async fn events_come_as_lines_until_the_router_drains() {
        let (sender, drain) = (broadcast::Sender::new(4), CancellationToken::new());
        let next = ReusableBoxFuture::new(next_chunk(sender.subscribe(), drain.clone()));
        let mut body = EventBody { next, is_over: false };
        let mut lines = async || {
            let frame = body.frame().await?;
            let Ok(data) = frame.map(|frame| frame.into_data().unwrap());
            Some(String::from_utf8(data.to_vec()).unwrap())
        };
        sender.send(event(1)).unwrap();
        sender.send(event(2)).unwrap();
        let both = lines().await.unwrap();
        assert_eq!(both.lines().count(), 2);
        assert!(both.starts_with("{\"started\":{") && both.contains("\"timestamp\":2"), "{both}");
        // The paused clock advances when nothing else happens.
        assert_eq!(lines().await.unwrap(), "\n", "a heartbeat");
        for n in 0..10 {
            sender.send(event(n)).unwrap();
        }
        let late = lines().await.unwrap();
        assert!(late.starts_with("{\"missed\":6}\n") && late.lines().count() == 5, "{late}");
        drain.cancel();
        assert_eq!(lines().await, None);
        assert_eq!(lines().await, None);
    }
}
