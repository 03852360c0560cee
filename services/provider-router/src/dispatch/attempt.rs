//! Sends a request to one provider.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use signalbox_core::{Api, provider_type::provider_type};
use signalbox_daemon::INTERNAL_REQUEST;
use signalbox_upstream::Deadlines;
use tokio::time::Duration;

use super::{
    AcceptedAnswer, ClientRequest,
    classify::{classify_direct, classify_response},
    failure::AttemptError,
    translation::Translation,
};
use crate::{
    app::App,
    clock,
    direct::DirectApi,
    envelope::Envelope,
    exchange::Exchange,
    provider::{Adapter, Echo, Remote},
    relay::Source,
    route::Candidate,
    stored_responses::items_before,
};

/// Sends the request to one provider and checks its response.
pub(super) async fn attempt(
    app: &App,
    candidate: &Candidate,
    exchange: &Exchange,
    request: ClientRequest<'_>,
) -> Result<AcceptedAnswer, AttemptError> {
    let id = exchange.id();
    let ClientRequest { body, envelope, .. } = request;
    let provider = &candidate.provider;
    let model = candidate.model.as_deref();
    let api = provider.api_for(envelope.api, model);
    if let Adapter::Misconfigured(reason) = &provider.adapter {
        return Err(AttemptError::Misconfigured { provider: provider.row.name.clone(), reason: reason.clone() });
    }
    if let Some(direct) = envelope.direct {
        return send_direct(app, candidate, exchange, request, direct).await;
    }
    if !envelope.is_translated(api) {
        let counts_streams = provider.counts_stream(envelope, model);
        let body = envelope.for_provider(body, model, counts_streams);
        let answer = send(app, candidate, exchange, ClientRequest { body: &body, ..request }, api).await?;
        return Ok(if counts_streams { answer.without_counts() } else { answer });
    }
    let kind = provider_type(&provider.row.kind);
    let id = id.simple().to_string();
    let stored = match envelope.api {
        Api::Responses => items_before(&app.store, body).await?,
        Api::Chat | Api::Messages => None,
    };
    let translation = Translation::new(request, stored, (&kind, api), model, &id)?;
    let body = translation.body.clone();
    let answer = send(app, candidate, exchange, ClientRequest { body: &body, ..request }, api).await?;
    let masker = provider.masker();
    translation.answer(answer).map_err(|failure| failure.masked(masker))
}

/// Sends a body of `api` to the provider.
async fn send(
    app: &App,
    candidate: &Candidate,
    exchange: &Exchange,
    request: ClientRequest<'_>,
    api: Api,
) -> Result<AcceptedAnswer, AttemptError> {
    let ClientRequest { headers, body, envelope } = request;
    let id = exchange.id().to_string();
    match &candidate.provider.adapter {
        Adapter::Echo(echo) => {
            Ok(echo_answer(echo, &id, candidate.model.as_deref().unwrap_or_default(), body, envelope))
        }
        Adapter::Misconfigured(reason) => {
            Err(AttemptError::Misconfigured { provider: candidate.provider.row.name.clone(), reason: reason.clone() })
        }
        Adapter::Remote(remote) => {
            let mut request = remote.inference(api, envelope.api, body.clone(), envelope.stream, headers, &id);
            exchange.add_trace(request.headers_mut());
            if remote.is_qwen_proxy
                && let Some(signed) = app.signer.sign(&id)
            {
                request.headers_mut().insert(INTERNAL_REQUEST, signed);
            }
            let deadlines = deadlines(app, remote, exchange.arrived().elapsed());
            let response = app.client.send(&remote.target, request, &deadlines).await?;
            let judged =
                classify_response(response, (api, envelope.stream), app.max_preamble, (&id, &remote.masker)).await;
            judged.map_err(|failure| failure.masked(&remote.masker))
        }
    }
}

/// Sends a request that is not translated.
async fn send_direct(
    app: &App,
    candidate: &Candidate,
    exchange: &Exchange,
    ClientRequest { headers, body, envelope }: ClientRequest<'_>,
    direct: DirectApi,
) -> Result<AcceptedAnswer, AttemptError> {
    let provider = &candidate.provider;
    let no_route = || AttemptError::NoRoute { provider: provider.row.name.clone(), path: direct.path() };
    let Adapter::Remote(remote) = &provider.adapter else { return Err(no_route()) };
    if !remote.apis.contains(&direct.companion()) {
        return Err(no_route());
    }
    let body = envelope.for_provider(body, candidate.model.as_deref(), false);
    let mut request = remote
        .direct(direct, body, envelope.stream, headers, &exchange.id().to_string())
        .map_err(|reason| AttemptError::Misconfigured { provider: provider.row.name.clone(), reason })?;
    exchange.add_trace(request.headers_mut());
    let response =
        app.client.send(&remote.target, request, &deadlines(app, remote, exchange.arrived().elapsed())).await?;
    let judged = classify_direct(response, (direct, envelope.stream), app.max_preamble).await;
    judged.map_err(|failure| failure.masked(&remote.masker))
}

/// Returns the deadlines of an attempt that begins `elapsed` after the request arrived; all attempts share one total. A
/// provider's own `timeout` bounds its silence before and within the response, as the setting `server.timeout` does.
fn deadlines(app: &App, remote: &Remote, elapsed: Duration) -> Deadlines {
    let base = app.deadlines();
    let (headers, idle) = remote.timeout.map_or((base.headers, base.idle), |timeout| (timeout, timeout));
    Deadlines { headers, idle, total: base.total.saturating_sub(elapsed), ..base }
}

fn echo_answer(echo: &Echo, id: &str, model: &str, body: &Bytes, envelope: &Envelope) -> AcceptedAnswer {
    let created = clock::unix_ms() / 1000;
    let mut headers = HeaderMap::new();
    if envelope.stream {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let rest =
            Source::Echo(echo.stream(id, model, created, body, envelope.include_usage || envelope.api != Api::Chat));
        return AcceptedAnswer::Stream { headers, begun: Vec::new(), rest };
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    AcceptedAnswer::Whole { headers, body: echo.completion(id, model, created, body), failure: None, usage: None }
}
