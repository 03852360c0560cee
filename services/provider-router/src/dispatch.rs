//! The attempt loop: providers are tried in order until one answers well.
//!
//! Any number of providers may be tried *before* the first byte has gone to the client, and none after it. An answer is
//! good when its head is good and its body begins well: of a stream the first event is awaited, any other answer is read
//! to its end (bounded) before it is passed on.

mod attempt;
mod failure;

use bytes::Bytes;
use failure::Failure;
use http::{HeaderMap, Response, StatusCode, header};
use signalbox_core::schema::RequestStatus;

use crate::{
    app::App,
    body::ResponseBody,
    envelope::Envelope,
    exchange::Exchange,
    relay::{Relay, Source},
    route::Candidate,
};

/// A request that is ready to be answered.
#[derive(Debug)]
pub struct Call {
    /// Its books.
    pub exchange: Exchange,
    /// Its headers, as the client sent them.
    pub headers: HeaderMap,
    /// Its body, as the client sent it.
    pub body: Bytes,
    /// What was read of the body.
    pub envelope: Envelope,
}

/// An answer worth passing on.
enum Good {
    /// A stream, what was read of it, and its head.
    Stream { headers: HeaderMap, begun: Vec<Bytes>, rest: Source },
    /// A whole answer.
    Whole { headers: HeaderMap, body: Bytes },
}

/// Answers `call` by one of `candidates`, which are not empty.
pub async fn dispatch(app: &App, call: Call, candidates: Vec<Candidate>) -> Response<ResponseBody> {
    let Call { mut exchange, headers, body, envelope } = call;
    let mut failure = None;
    for candidate in candidates {
        exchange.attempt(&candidate, envelope.model.as_deref());
        match attempt::attempt(app, &candidate, &exchange, &headers, &body, &envelope).await {
            Ok(good) => {
                candidate.provider.note(true);
                return answer(app, good, exchange).await;
            }
            Err(failed) => {
                candidate.provider.note(!failed.blames_provider());
                tracing::debug!(provider = candidate.provider.id, error = %failed, "an attempt failed");
                let try_next = failed.allows_another();
                failure = Some(failed);
                if !try_next || exchange.arrived().elapsed() >= app.configured.total {
                    break;
                }
            }
        }
    }
    failure.unwrap_or_else(Failure::nobody).into_response(exchange).await
}

async fn answer(app: &App, good: Good, mut exchange: Exchange) -> Response<ResponseBody> {
    let (headers, body) = match good {
        Good::Stream { headers, begun, rest } => {
            exchange.head(200, true);
            (headers, ResponseBody::Relay(Box::new(Relay::new(begun, rest, exchange, app.cut.clone()))))
        }
        Good::Whole { headers, body } => {
            exchange.head(200, false);
            exchange.answer(&body);
            exchange.finish(RequestStatus::Completed, None).await;
            (headers, ResponseBody::whole(body))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = headers;
    response
}

/// Drops the headers of a provider's answer that are about its connection, its cookies or its own caller. The client of
/// `crates/upstream` has dropped those that are about the connection alone.
fn passed_on(mut headers: HeaderMap) -> HeaderMap {
    const DROPPED: [header::HeaderName; 9] = [
        header::CONTENT_LENGTH,
        header::SET_COOKIE,
        header::SERVER,
        header::DATE,
        header::ALT_SVC,
        header::STRICT_TRANSPORT_SECURITY,
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
    ];
    // An answer has few of them: comparing names costs less than looking each one up.
    while let Some(name) = headers.keys().find_map(|name| DROPPED.iter().find(|dropped| *dropped == name)) {
        headers.remove(name);
    }
    headers
}
