//! The attempt loop: tries the targets of a plan in order until one returns a usable response.
//!
//! Any number of attempts may be made *before* the first byte has been sent to the client, and none after it, except to
//! [continue](resume) a broken stream. A response is usable if its status is a success and its body begins without an
//! error: a stream is read up to its first chunk, or up to its first event with content if another attempt could
//! follow, any other response to its end (bounded), before it is passed on.
//!
//! A provider that speaks the client's API gets the client's body, with only the model renamed. For any other provider
//! the request is [translated](translation).

mod attempt;
mod classify;
mod failure;
mod fault;
mod framing;
mod guarded;
mod headers;
mod hedge;
mod passed;
mod preamble;
mod resume;
mod retries;
mod translation;

use std::sync::Arc;

use attempt::{Sender, Step};
use bytes::Bytes;
use failure::AttemptError;
use guarded::Judging;
use hedge::Hedger;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use resume::NextTargets;
use retries::{Attempts, Failed, Next};
use signalbox_core::{
    Api,
    openai::Usage,
    schema::{GuardRules, RequestStatus},
};
use signalbox_daemon::{Caller, KeptTexts};
use tokio::time::{Duration, Instant};
use tracing::Instrument as _;

use crate::{
    app::App,
    body::ResponseBody,
    clock,
    envelope::Envelope,
    exchange::Exchange,
    health::{self, Began, Blocked},
    journal::{cost_of_whole, fold_answer, in_dollars},
    relay::{Relay, ResumableStream, Source, UncountedStream},
    route::{Candidate, Plan},
    stored_responses::Earlier,
};

/// Header of an answer: id of the provider that answered or was tried last.
pub const PROVIDER: HeaderName = HeaderName::from_static("x-signalbox-provider");
/// Header of an answer: name of the model at that provider.
pub const MODEL: HeaderName = HeaderName::from_static("x-signalbox-model");
/// Header of an answer: number of attempts.
const ATTEMPTS: HeaderName = HeaderName::from_static("x-signalbox-attempts");
/// Header of a whole answer: its cost in dollars, if it is known.
pub const COST: HeaderName = HeaderName::from_static("x-signalbox-cost");

/// A parsed request, ready to be forwarded.
#[derive(Debug)]
pub struct Call {
    /// Journal entry and counters of the request.
    pub exchange: Exchange,
    /// Client that sent it; `None` if no key is needed.
    pub caller: Option<Caller>,
    /// Headers as sent by the client.
    pub headers: HeaderMap,
    /// Version of HTTP that the client speaks.
    pub version: Version,
    /// Body for providers: that of the client without the router's extension, after the guardrails.
    pub body: Bytes,
    /// Fields parsed from the body.
    pub envelope: Envelope,
    /// Whether the answer names its target in headers.
    pub names_target: bool,
    /// Rules for its answer.
    pub guard: Option<GuardRules>,
    /// Earlier turns that the log adds, as far as they were judged.
    pub earlier: Earlier,
}

/// The request of a client, as an attempt needs it.
#[derive(Clone, Copy)]
struct ClientRequest<'a> {
    caller: Option<&'a Caller>,
    headers: &'a HeaderMap,
    body: &'a Bytes,
    envelope: &'a Envelope,
    earlier: &'a Earlier,
    /// Rules for the answer, and for the errors of providers.
    guard: Option<GuardRules>,
    /// Texts that the services of this installation may keep.
    kept: KeptTexts,
}

/// A response that may be passed on to the client.
enum AcceptedAnswer {
    /// A stream: its headers, the pieces already read, the remaining source, and whether its first token has come just
    /// now.
    Stream { headers: HeaderMap, begun: Vec<Bytes>, rest: Source, has_token: bool },
    /// A complete response, and the failure that it reports beside its choices.
    Whole { headers: HeaderMap, body: Bytes, failure: Option<String>, usage: Option<Usage> },
}

// === impl AcceptedAnswer ===

impl AcceptedAnswer {
    /// Hides the token counts of a stream, which its client did not ask for.
    fn without_counts(self) -> Self {
        match self {
            Self::Stream { headers, begun, rest, has_token } => {
                let rest = Source::Uncounted(Box::new(UncountedStream::new(begun, rest)));
                Self::Stream { headers, begun: Vec::new(), rest, has_token }
            }
            whole @ Self::Whole { .. } => whole,
        }
    }

    /// Returns what the time of the answer says about its target.
    const fn began(&self) -> Began {
        match self {
            Self::Stream { has_token: true, .. } => Began::Token,
            Self::Stream { has_token: false, .. } => Began::Unknown,
            Self::Whole { .. } => Began::Whole,
        }
    }
}

/// Answers a request that an operator has cancelled before a target was asked.
pub async fn cancelled(exchange: Exchange, api: Api) -> Response<ResponseBody> {
    AttemptError::Cancelled.into_response(exchange, api).await
}

/// Returns the time that a request may take until its last byte, by the deadlines of its plan.
#[must_use]
pub fn total_time(app: &App, plan: Option<&Plan>) -> Duration {
    let own = plan.and_then(|plan| plan.route.as_ref()).map(|route| route.plan.deadlines).unwrap_or_default();
    let asked = plan.and_then(|plan| plan.candidates.first()).map(|one| one.deadlines).unwrap_or_default();
    attempt::total(app, own, asked)
}

/// Answers `call` from the first target of `plan` that returns a usable response.
pub async fn dispatch(app: &Arc<App>, call: Call, plan: Plan) -> Response<ResponseBody> {
    let Call { mut exchange, caller, headers, version, body, envelope, names_target, guard, earlier } = call;
    let judging = guard.map(|rules| Judging::new(rules, caller.as_ref(), &envelope));
    let request = ClientRequest {
        caller: caller.as_ref(),
        headers: &headers,
        body: &body,
        envelope: &envelope,
        earlier: &earlier,
        guard,
        kept: exchange.kept_texts(),
    };
    if plan.mirror_of.is_none() {
        app.retries.deposit();
    }
    if envelope.api == Api::Responses {
        exchange.tell(&app.owners);
    }
    if plan.route.is_some() || judging.is_some() || !plan.overrides.is_empty() || plan.mirror_of.is_some() {
        exchange.keep_plan(plan.record(health::now()));
    }
    let mut attempts = Attempts::new(plan.route.as_ref().and_then(|route| route.plan.retries));
    let (place, result) = Box::pin(tried(app, &mut exchange, request, &plan, &mut attempts)).await;
    let made = exchange.attempts();
    let target = plan.candidates.get(place).filter(|_| names_target).cloned();
    let mut cost = None;
    let asked = target.as_ref().filter(|candidate| candidate.model.is_none()).and_then(|_| envelope.model.clone());
    let mut response = match result {
        Ok(good) => {
            let (api, choices) = (envelope.api, envelope.answers());
            let good = match good {
                AcceptedAnswer::Stream { headers: answered, begun, rest, has_token }
                    if resume::is_on(&plan, &envelope) =>
                {
                    let left = attempts.untried(place, plan.candidates.len());
                    let context = (exchange.context().clone(), exchange.kept_texts());
                    let next =
                        NextTargets::new(app, context, plan, (caller, headers, body, envelope), (earlier, guard), left);
                    let stream = ResumableStream::new(api, begun, rest, Box::new(next));
                    let rest = Source::Resumable(Box::new(stream));
                    AcceptedAnswer::Stream { headers: answered, begun: Vec::new(), rest, has_token }
                }
                good => good,
            };
            let good = match &judging {
                Some(judging) => Box::pin(judging.judged(app, good, &mut exchange)).await,
                None => Ok(good),
            };
            match good {
                Ok(good) => {
                    cost =
                        target.as_ref().and_then(|candidate| cost_of(app, candidate, (api, asked.as_deref()), &good));
                    answer(app, good, exchange, (api, choices), version).await
                }
                Err(failure) => failure.into_response(exchange, api).await,
            }
        }
        Err(failure) => failure.into_response(exchange, envelope.api).await,
    };
    if let Some(candidate) = target {
        name_target(&candidate, made, response.headers_mut());
    }
    if let Some(cost) = cost {
        response.headers_mut().insert(COST, cost);
    }
    response
}

/// Tries the targets of a plan. Returns the first usable response, or else the last failure, with the place of its
/// target.
async fn tried(
    app: &App,
    exchange: &mut Exchange,
    request: ClientRequest<'_>,
    plan: &Plan,
    attempts: &mut Attempts,
) -> (usize, Result<AcceptedAnswer, AttemptError>) {
    let route = plan.route.as_ref().map(|route| &route.plan);
    let (mut place, mut last) = (0, None);
    loop {
        let Some(candidate) = plan.candidates.get(place) else { return (place, Err(AttemptError::NoCandidate)) };
        // Since the plan was made, another request may have become the probe; and while this one waited in a queue, the
        // target may have failed.
        let blocked = candidate.health.blocked(health::now());
        let has_failed = exchange.attempts() == 0 && candidate.last_resort.is_none() && blocked.is_some();
        if (blocked == Some(Blocked::Probed) || has_failed)
            && let Some(next) = attempts.pass_by(place, plan.candidates.len())
        {
            place = next;
            continue;
        }
        // Copies leave the limits of a provider to the clients.
        let quota = candidate.provider.quota.as_ref().filter(|_| plan.mirror_of.is_none());
        let taken = match quota.map(|quota| quota.take(health::now(), plan.tokens)).transpose() {
            Ok(taken) => taken,
            Err(denial) => match attempts.pass_by(place, plan.candidates.len()) {
                Some(next) => {
                    place = next;
                    continue;
                }
                // A target that was asked has failed for a reason of its own, which says more.
                None => return last.unwrap_or_else(|| (place, Err(denial.into()))),
            },
        };
        let is_hedged = route.is_some_and(|route| route.hedge.is_some()) && plan.candidates.len() > 1;
        let awaits_token = is_hedged || attempts.may_follow(place, plan.candidates.len());
        let step = Step { candidate, route, target: plan.target(candidate), awaits_token };
        let span = exchange.attempt(candidate, place, step.target.map(|target| &target.params), request.envelope);
        exchange.hold_quota(taken);
        let (context, stop, began) = (exchange.context().clone(), exchange.stop().clone(), Instant::now());
        // Boxed, because the future is large and is moved into each of those around it.
        let attempt = Box::pin(attempt::attempt(app, step, Sender { context: &context, span: &span }, request));
        let attempt = async {
            tokio::select! {
                biased;
                done = attempt.instrument(span.clone()) => done,
                () = stop.cancelled() => Err(AttemptError::ShuttingDown),
            }
        };
        let hedger = Hedger { app, plan, context: &context, stop: &stop, request, place, step, began };
        let (place_now, attempt) = match hedger.delay(exchange.attempts()) {
            None => (place, attempt.await),
            // Boxed to keep the futures of all other requests small.
            Some(delay) => Box::pin(hedger.race(exchange, attempts, attempt, delay)).await,
        };
        place = place_now;
        let attempt = attempt.map_err(|failure| match failure {
            AttemptError::ShuttingDown => stopped(exchange),
            failure => failure,
        });
        let failure = match attempt {
            Ok(good) => {
                hedger.note(place, &good);
                if let Some(candidate) = plan.candidates.get(place) {
                    candidate.provider.note(true);
                }
                exchange.attempt_answered(good.began());
                return (place, Ok(good));
            }
            Err(failure) => failure,
        };
        match after(app, exchange, plan, (place, candidate), &failure, attempts) {
            Next::Stop(_) => return (place, Err(failure)),
            Next::Try { place: next, pause } => {
                last = Some((place, Err(failure)));
                place = next;
                if !pause.is_zero() {
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = exchange.stop().cancelled() => return (place, Err(stopped(exchange))),
                    }
                }
            }
        }
    }
}

/// Returns why the request has to end at once.
fn stopped(exchange: &Exchange) -> AttemptError {
    if exchange.is_cancelled() { AttemptError::Cancelled } else { AttemptError::ShuttingDown }
}

/// Records a failed attempt, and decides what follows.
fn after(
    app: &App,
    exchange: &mut Exchange,
    plan: &Plan,
    (place, candidate): (usize, &Candidate),
    failure: &AttemptError,
    attempts: &mut Attempts,
) -> Next {
    candidate.provider.note(!failure.is_provider_fault());
    exchange.attempt_span().in_scope(|| tracing::debug!(error = %failure, "attempt failed"));
    let fault = failure.fault();
    let own = plan.route.as_ref().map(|route| route.plan.deadlines).unwrap_or_default();
    let failed = Failed {
        place,
        rule: fault.rule(),
        retry_after: failure.retry_after(),
        left: attempt::total(app, own, candidate.deadlines).saturating_sub(exchange.arrived().elapsed()),
    };
    let holds: Vec<Option<u64>> =
        plan.candidates.iter().map(|candidate| plan.target(candidate)?.context_tokens).collect();
    let next = attempts.next(failed, &holds, || app.retries.take(health::now()), &mut app.seeds.rng());
    let what = match next {
        Next::Try { place: next, pause } if next == place => {
            format!("{}: asks the same target again after {} ms", fault.as_str(), pause.as_millis())
        }
        Next::Try { .. } => format!("{}: tries another target", fault.as_str()),
        Next::Stop(why) => format!("{}: {why}", fault.as_str()),
    };
    if matches!(next, Next::Try { .. }) && !exchange.has_plan() {
        exchange.keep_plan(plan.record(health::now()));
    }
    let failed = failure.recorded(what);
    exchange.attempt_failed(&failed, candidate);
    next
}

/// Returns the cost of a whole answer for its header. The cost of a stream is known after the headers are sent.
fn cost_of(
    app: &App,
    candidate: &Candidate,
    (api, asked): (Api, Option<&str>),
    good: &AcceptedAnswer,
) -> Option<HeaderValue> {
    let AcceptedAnswer::Whole { body, failure: None, usage, .. } = good else { return None };
    let provider = &candidate.provider;
    let model = candidate.model.as_deref().or(asked)?;
    let usage = || usage.or_else(|| fold_answer(api, body, false)?.usage);
    let of = (&*provider.row.kind, &*provider.id, model);
    let (prices, region) = (app.prices.current()?, candidate.region.as_deref());
    let nanos = cost_of_whole(&prices, of, region, clock::unix_ms(), body, usage)?;
    HeaderValue::try_from(in_dollars(nanos)).ok()
}

/// Adds the headers that name the target.
fn name_target(candidate: &Candidate, attempts: i64, headers: &mut HeaderMap) {
    if let Some(provider) = &candidate.provider.header {
        headers.insert(PROVIDER, provider.clone());
    }
    let model = candidate.health.header().cloned();
    if let Some(model) = model.or_else(|| HeaderValue::try_from(candidate.model.as_deref()?).ok()) {
        headers.insert(MODEL, model);
    }
    let attempts = if attempts == 1 { HeaderValue::from_static("1") } else { attempts.into() };
    headers.insert(ATTEMPTS, attempts);
}

async fn answer(
    app: &App,
    good: AcceptedAnswer,
    mut exchange: Exchange,
    (api, choices): (Api, u32),
    version: Version,
) -> Response<ResponseBody> {
    let (headers, body) = match good {
        AcceptedAnswer::Stream { headers, begun, rest, .. } => {
            exchange.note_translation(&headers);
            exchange.head(200, true);
            let relay = Relay::new((begun, rest), exchange, api, choices).over(version);
            (headers, ResponseBody::Relay(Box::new(relay)))
        }
        AcceptedAnswer::Whole { headers, body, failure, usage } => {
            exchange.note_translation(&headers);
            exchange.note_usage(usage);
            exchange.note_sealed(&body);
            exchange.head(200, false);
            let body = match failure {
                None => {
                    exchange.answer(&body);
                    ResponseBody::answer(exchange, app.body_memory.hold_copy(body)).await
                }
                Some(failure) => {
                    // Providers quote the key they refuse.
                    let masker = exchange.masker();
                    let body = masker.mask(&body).map_or(body, Bytes::from);
                    let failure = masker.mask_text(&failure).into_owned();
                    exchange.answer(&body);
                    exchange.finish(RequestStatus::Failed, Some(failure)).await;
                    ResponseBody::whole(body)
                }
            };
            (headers, body)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = headers;
    response
}
