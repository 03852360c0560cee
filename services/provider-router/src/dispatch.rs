//! The attempt loop: providers are tried in order until one answers well.
//!
//! Any number of providers may be tried *before* the first byte has gone to the client, and none after it. An answer is
//! good when its head is good and its body begins well: of a stream the first event is awaited, any other answer is read
//! to its end (bounded) before it is passed on.

mod attempt;
mod failure;
mod framing;
mod headers;

use bytes::Bytes;
use failure::Failure;
use http::{HeaderMap, Response, StatusCode};
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
    failure.unwrap_or(Failure::Nobody).into_response(exchange).await
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
