//! The attempt loop: tries providers in order until one returns a usable response.
//!
//! Any number of providers may be tried *before* the first byte has been sent to the client, and none after it. A
//! response is usable if its status is a success and its body begins without an error: a stream is read up to its first
//! event, any other response to its end (bounded), before it is passed on.
//!
//! A provider that speaks the client's API gets the client's body, with only the model renamed. For any other provider
//! the request is [translated](translation).

mod attempt;
mod classify;
mod failure;
mod framing;
mod headers;
mod preamble;
mod translation;

use bytes::Bytes;
use failure::AttemptError;
use http::{HeaderMap, Response, StatusCode, Version};
use signalbox_core::{openai::Usage, schema::RequestStatus};
use tracing::Instrument as _;

use crate::{
    app::App,
    body::ResponseBody,
    envelope::Envelope,
    exchange::Exchange,
    relay::{Relay, Source, UncountedStream},
    route::Candidate,
};

/// A parsed request, ready to be forwarded.
#[derive(Debug)]
pub struct Call {
    /// Journal entry and counters of the request.
    pub exchange: Exchange,
    /// Headers as sent by the client.
    pub headers: HeaderMap,
    /// Version of HTTP that the client speaks.
    pub version: Version,
    /// Body as sent by the client.
    pub body: Bytes,
    /// Fields parsed from the body.
    pub envelope: Envelope,
}

/// The request of a client, as an attempt needs it.
#[derive(Clone, Copy)]
struct ClientRequest<'a> {
    headers: &'a HeaderMap,
    body: &'a Bytes,
    envelope: &'a Envelope,
}

/// A response that may be passed on to the client.
enum AcceptedAnswer {
    /// A stream: its headers, the pieces already read, and the remaining source.
    Stream { headers: HeaderMap, begun: Vec<Bytes>, rest: Source },
    /// A complete response, and the failure that it reports beside its choices.
    Whole { headers: HeaderMap, body: Bytes, failure: Option<String>, usage: Option<Usage> },
}

// === impl AcceptedAnswer ===

impl AcceptedAnswer {
    /// Hides the token counts of a stream, which its client did not ask for.
    fn without_counts(self) -> Self {
        match self {
            Self::Stream { headers, begun, rest } => {
                let stream = UncountedStream::new(begun, rest);
                Self::Stream { headers, begun: Vec::new(), rest: Source::Uncounted(Box::new(stream)) }
            }
            whole @ Self::Whole { .. } => whole,
        }
    }
}

/// Answers `call` from the first of `candidates` that returns a usable response. `candidates` must not be empty.
pub async fn dispatch(app: &App, call: Call, candidates: Vec<Candidate>) -> Response<ResponseBody> {
    let Call { mut exchange, headers, version, body, envelope } = call;
    let mut failure = None;
    for candidate in candidates {
        let span = exchange.attempt(&candidate, &envelope);
        let request = ClientRequest { headers: &headers, body: &body, envelope: &envelope };
        let attempt = attempt::attempt(app, &candidate, &exchange, request);
        let attempt = tokio::select! {
            biased;
            done = attempt.instrument(span) => done,
            () = app.abort_streams.cancelled() => Err(AttemptError::ShuttingDown),
        };
        match attempt {
            Ok(good) => {
                candidate.provider.note(true);
                return answer(app, good, exchange, &envelope, version).await;
            }
            Err(failed) => {
                candidate.provider.note(!failed.is_provider_fault());
                exchange.attempt_span().in_scope(|| tracing::debug!(error = %failed, "attempt failed"));
                exchange.attempt_failed(failed.provider_status(), failed.code());
                let try_next = failed.may_try_next();
                failure = Some(failed);
                if !try_next || exchange.arrived().elapsed() >= app.configured.total {
                    break;
                }
            }
        }
    }
    failure.unwrap_or(AttemptError::NoCandidate).into_response(exchange, envelope.api).await
}

async fn answer(
    app: &App,
    good: AcceptedAnswer,
    mut exchange: Exchange,
    envelope: &Envelope,
    version: Version,
) -> Response<ResponseBody> {
    let (headers, body) = match good {
        AcceptedAnswer::Stream { headers, begun, rest } => {
            exchange.note_translation(&headers);
            exchange.head(200, true);
            let abort = app.abort_streams.clone();
            let relay = Relay::new((begun, rest), exchange, envelope.api, envelope.choices, abort).over(version);
            (headers, ResponseBody::Relay(Box::new(relay)))
        }
        AcceptedAnswer::Whole { headers, body, failure, usage } => {
            exchange.note_translation(&headers);
            exchange.note_usage(usage);
            exchange.head(200, false);
            let (status, body, failure) = match failure {
                None => (RequestStatus::Completed, body, None),
                Some(failure) => {
                    // Providers quote the key they refuse.
                    let masker = exchange.masker();
                    let body = masker.mask(&body).map_or(body, Bytes::from);
                    (RequestStatus::Failed, body, Some(masker.mask_text(&failure).into_owned()))
                }
            };
            exchange.answer(&body);
            exchange.finish(status, failure).await;
            (headers, ResponseBody::whole(body))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = headers;
    response
}
