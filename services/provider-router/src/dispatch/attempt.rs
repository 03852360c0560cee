//! Sends a request to one provider.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use signalbox_core::{
    Api,
    provider_type::provider_type,
    schema::{RouteDeadlines, RoutePlan, RouteTarget},
};
use signalbox_daemon::{Caller, INTERNAL_REQUEST, RequestContext};
use signalbox_translate::{Losses, Problem, RequestError, without_items};
use signalbox_upstream::Deadlines;
use tokio::time::{Duration, Instant};
use tracing::Span;

use super::{
    AcceptedAnswer, ClientRequest,
    classify::{classify_direct, classify_response},
    failure::AttemptError,
    passed::{Passed, note_owner, owner},
    preamble::Hold,
    translation::{Context, Translation},
};
use crate::{
    app::App,
    clock,
    direct::DirectApi,
    envelope::{Envelope, add_query, with_params},
    health,
    provider::{Adapter, Echo, Remote},
    reasoning::{Maker, scope},
    relay::Source,
    route::Candidate,
    stored_responses::without_reasoning,
};

/// A client that sends `true` has its request refused instead of losing a field.
const STRICT: HeaderName = HeaderName::from_static("x-signalbox-strict");

/// A target, and what its route says about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub(super) candidate: &'a Candidate,
    /// Route of the catalogue.
    pub(super) route: Option<&'a RoutePlan>,
    /// Target of that route.
    pub(super) target: Option<&'a RouteTarget>,
    /// Whether another attempt may follow this one or is made beside it, so that its stream is held back until its first
    /// token.
    pub(super) awaits_token: bool,
}

/// The request that an attempt belongs to, and the span of the attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender<'a> {
    pub(super) context: &'a RequestContext,
    pub(super) span: &'a Span,
}

/// Sends the request to one provider and checks its response. Errors of the provider have nothing that the rules for
/// answers find.
pub(super) async fn attempt(
    app: &App,
    step: Step<'_>,
    sender: Sender<'_>,
    request: ClientRequest<'_>,
) -> Result<AcceptedAnswer, AttemptError> {
    let made = make(app, step, sender, request).await;
    match request.guard {
        Some(rules) => made.map_err(|failure| failure.guarded(&rules)),
        None => made,
    }
}

async fn make(
    app: &App,
    step: Step<'_>,
    sender: Sender<'_>,
    request: ClientRequest<'_>,
) -> Result<AcceptedAnswer, AttemptError> {
    let Step { candidate, .. } = step;
    let provider = &candidate.provider;
    if let Adapter::Misconfigured(reason) = &provider.adapter {
        return Err(AttemptError::Misconfigured { provider: provider.row.name.clone(), reason: reason.clone() });
    }
    if let Some(direct) = request.envelope.direct {
        return send_direct(app, step, sender, request, direct).await;
    }
    if let Some(index) = candidate.foreign.needed {
        return Err(foreign_item(index).into());
    }
    let api = candidate.api_for(request.envelope);
    let is_translated = candidate.is_translated(request.envelope);
    let counts = match is_translated {
        true => api == Api::Chat && !provider.refuses_usage(),
        false => provider.counts_stream(request.envelope, api),
    };
    let send = async |counts| match is_translated {
        true => translate(app, step, sender, request, (api, counts)).await,
        false => pass(app, step, sender, request, (api, counts)).await,
    };
    match send(counts).await {
        Err(failure) if counts && failure.refuses_usage() => {
            provider.note_usage_refused();
            send(false).await
        }
        made => made,
    }
}

/// Sends the client's own body. `counts` tells whether a stream is asked for token counts that the client does not see.
async fn pass(
    app: &App,
    step: Step<'_>,
    sender: Sender<'_>,
    request: ClientRequest<'_>,
    (api, counts): (Api, bool),
) -> Result<AcceptedAnswer, AttemptError> {
    let ClientRequest { caller, headers, body, envelope, .. } = request;
    let candidate = step.candidate;
    let model = candidate.model.as_deref();
    let kind = provider_type(&candidate.provider.row.kind);
    let body = step.with_params(envelope.for_provider(body, model, counts));
    let is_strict = step.is_strict(caller, headers);
    let mut passed = Passed::new(body, (&kind, api), model, &candidate.foreign.cut, is_strict)?;
    let body = std::mem::take(&mut passed.body);
    let mut answer = send(app, step, sender, request, (body, api, envelope.stream)).await?;
    note_owner(app, candidate, &request, &answer);
    passed.report(&mut answer);
    Ok(if counts { answer.without_counts() } else { answer })
}

/// Translates the request, and the answer back. `counts` tells whether a chat stream is asked for its token counts.
async fn translate(
    app: &App,
    step: Step<'_>,
    sender: Sender<'_>,
    request: ClientRequest<'_>,
    (api, counts): (Api, bool),
) -> Result<AcceptedAnswer, AttemptError> {
    let id = sender.context.id();
    let ClientRequest { caller, headers, body, envelope, .. } = request;
    let candidate = step.candidate;
    let provider = &candidate.provider;
    let model = candidate.model.as_deref();
    let stored = match envelope.api {
        Api::Responses => request.earlier.items(&app.store, body, caller).await?,
        Api::Chat | Api::Messages => None,
    };
    let (stored, mut lost) = match stored {
        Some(items) if candidate.continues_elsewhere(envelope) => without_reasoning(&items),
        stored => (stored, Losses::default()),
    };
    let kept = without_items(body, &candidate.foreign.cut).map(|cleaned| {
        lost.append(cleaned.losses);
        Bytes::from(cleaned.body)
    });
    let request = ClientRequest { body: kept.as_ref().unwrap_or(body), ..request };
    let context = Context {
        id: &id.simple().to_string(),
        is_strict: step.is_strict(caller, headers),
        counts,
        lost,
        memory: Maker::new(provider, model).map(|maker| (&app.reasoning, scope(caller, headers), maker)),
    };
    let kind = provider_type(&provider.row.kind);
    let mut translation = Translation::new(request, stored.as_deref(), (&kind, api), model, context)?;
    let body = step.with_params(std::mem::take(&mut translation.body));
    let answer = send(app, step, sender, request, (body, api, translation.stream)).await?;
    if envelope.api == Api::Responses {
        app.owners.note(&format!("resp_{}", id.simple()), owner(candidate, false), caller);
    }
    let masker = provider.masker();
    translation.answer(answer).map_err(|failure| failure.masked(masker))
}

/// Returns the error of a request with an item that stands for the conversation before it, and that only another account
/// can read.
fn foreign_item(index: usize) -> RequestError {
    let field = format!("input.{index}");
    let message = format!(
        "`{field}` can only be read by the account that made it. Ask a model of that account, or send the conversation itself."
    );
    RequestError { problem: Problem::NotTranslatable, field, message }
}

/// Sends a body of `api` to the provider, which asks for a `stream` or not. It is dropped as soon as it has been sent,
/// and not kept until the answer. A stream that the client did not ask for becomes a whole answer.
async fn send(
    app: &App,
    step: Step<'_>,
    sender: Sender<'_>,
    ClientRequest { headers, envelope, kept, .. }: ClientRequest<'_>,
    (body, api, stream): (Bytes, Api, bool),
) -> Result<AcceptedAnswer, AttemptError> {
    let candidate = step.candidate;
    let id = sender.context.id().to_string();
    match &candidate.provider.adapter {
        Adapter::Echo(echo) => {
            Ok(echo_answer(echo, &id, candidate.model.as_deref().unwrap_or_default(), &body, envelope))
        }
        Adapter::Misconfigured(reason) => {
            Err(AttemptError::Misconfigured { provider: candidate.provider.row.name.clone(), reason: reason.clone() })
        }
        Adapter::Remote(remote) => {
            let mut request = remote.inference(api, envelope.api, body, stream, headers, &id);
            if let Some(query) = envelope.query.as_deref().filter(|_| !envelope.is_translated(api)) {
                add_query(request.uri_mut(), query);
            }
            sender.context.add_trace(sender.span, request.headers_mut());
            if remote.is_qwen_proxy
                && let Some(signed) = app.signer.sign(&id, kept)
            {
                request.headers_mut().insert(INTERNAL_REQUEST, signed);
            }
            let (deadlines, hold) = step.deadlines(app, remote, sender.context.arrived().elapsed(), envelope.stream);
            let response = app.client.send(&remote.target, request, &deadlines).await?;
            candidate.health.note_limits(response.headers(), health::now(), clock::unix_ms());
            let asked = (api, envelope.stream, envelope.answers());
            let judged = classify_response(response, asked, hold, (&id, &remote.masker)).await;
            judged.map_err(|failure| failure.masked(&remote.masker))
        }
    }
}

/// Sends a request that is not translated.
async fn send_direct(
    app: &App,
    step: Step<'_>,
    sender: Sender<'_>,
    ClientRequest { headers, body, envelope, .. }: ClientRequest<'_>,
    direct: DirectApi,
) -> Result<AcceptedAnswer, AttemptError> {
    let candidate = step.candidate;
    let provider = &candidate.provider;
    let no_route = || AttemptError::NoRoute { provider: provider.row.name.clone(), path: direct.path() };
    let Adapter::Remote(remote) = &provider.adapter else { return Err(no_route()) };
    if !remote.apis.contains(&direct.companion()) {
        return Err(no_route());
    }
    let body = step.with_params(envelope.for_provider(body, candidate.model.as_deref(), false));
    let mut request = remote
        .direct(direct, body, envelope.stream, headers, &sender.context.id().to_string())
        .map_err(|reason| AttemptError::Misconfigured { provider: provider.row.name.clone(), reason })?;
    if let Some(query) = &envelope.query {
        add_query(request.uri_mut(), query);
    }
    sender.context.add_trace(sender.span, request.headers_mut());
    let (deadlines, hold) = step.deadlines(app, remote, sender.context.arrived().elapsed(), envelope.stream);
    let response = app.client.send(&remote.target, request, &deadlines).await?;
    candidate.health.note_limits(response.headers(), health::now(), clock::unix_ms());
    let judged = classify_direct(response, (direct, envelope.stream), hold).await;
    judged.map_err(|failure| failure.masked(&remote.masker))
}

// === impl Step ===

impl Step<'_> {
    /// Returns whether the client, its key or the route refuses a request that loses something.
    fn is_strict(&self, caller: Option<&Caller>, headers: &HeaderMap) -> bool {
        caller.is_some_and(|caller| caller.grant().strict)
            || self.route.is_some_and(|route| route.strict)
            || headers.get(STRICT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
    }

    /// Returns the body with the fields that the target sets.
    fn with_params(&self, body: Bytes) -> Bytes {
        match self.target {
            Some(target) if !target.params.is_empty() => with_params(&body, &target.params),
            _ => body,
        }
    }

    /// Returns the deadlines of an attempt that begins `elapsed` after the request arrived; all attempts share one
    /// total. A provider's own `timeout` bounds its silence before and within the response, as the setting
    /// `server.timeout` does; the deadlines of the route take precedence over both.
    fn deadlines(&self, app: &App, remote: &Remote, elapsed: Duration, stream: bool) -> (Deadlines, Hold) {
        let base = app.deadlines();
        let (headers, idle) = remote.timeout.map_or((base.headers, base.idle), |timeout| (timeout, timeout));
        let own = self.route.map(|route| route.deadlines).unwrap_or_default();
        let asked = self.candidate.deadlines;
        let first_token = shorter(own.first_token_ms, asked.first_token_ms);
        let first_token = first_token.filter(|_| stream).map(Duration::from_millis);
        let headers = at_most(own.headers_ms, headers, asked.headers_ms);
        let deadlines = Deadlines {
            connect: at_most(own.connect_ms, base.connect, asked.connect_ms),
            headers: first_token.map_or(headers, |first_token| first_token.min(headers)),
            idle: at_most(own.idle_ms, idle, asked.idle_ms),
            total: total(app, own, asked).saturating_sub(elapsed),
        };
        let first_token = first_token.map(|after| (Instant::now() + after, after));
        let awaits_token = stream && self.awaits_token;
        (deadlines, Hold { comments: app.max_preamble, first_token, awaits_token })
    }
}

/// Returns the time for the whole request by the deadlines of its route, but not more than it asks for.
pub(super) fn total(app: &App, own: RouteDeadlines, asked: RouteDeadlines) -> Duration {
    at_most(own.total_ms, app.configured.total, asked.total_ms)
}

/// Returns the deadline of the route, or else `base`, but not more than the request asks for.
fn at_most(own: Option<u64>, base: Duration, asked: Option<u64>) -> Duration {
    let own = own.map_or(base, Duration::from_millis);
    asked.map_or(own, |asked| own.min(Duration::from_millis(asked)))
}

fn shorter(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

fn echo_answer(echo: &Echo, id: &str, model: &str, body: &Bytes, envelope: &Envelope) -> AcceptedAnswer {
    let created = clock::unix_ms() / 1000;
    let mut headers = HeaderMap::new();
    if envelope.stream {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let rest =
            Source::Echo(echo.stream(id, model, created, body, envelope.include_usage || envelope.api != Api::Chat));
        return AcceptedAnswer::Stream { headers, begun: Vec::new(), rest, has_token: true };
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    AcceptedAnswer::Whole { headers, body: echo.completion(id, model, created, body), failure: None, usage: None }
}
