//! `POST /v1/chat/completions`, `/v1/messages`, `/v1/responses` and the routes of [`DirectApi`]: admission, logging and
//! routing of a request for an answer.

mod arrival;
mod surface;

use std::sync::Arc;

pub(crate) use arrival::session;
use arrival::{Arrival, Reserved};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use signalbox_core::Api;
use signalbox_daemon::{Caller, RequestBody, RequestContext, collect};
use surface::Surface;

use super::{
    cached::{self, Looked},
    error::ApiError,
    explain,
    guarded::{self, Judged},
    limit_headers,
    mirror::{self, Original},
    received::{Received, planned},
    streams,
};
use crate::{
    account_state::AccountState,
    admission::Admitted,
    app::App,
    body::ResponseBody,
    body_memory::MemoryFull,
    clock,
    direct::DirectApi,
    dispatch::{self, Call},
    envelope::{forwarded_query, without_bom},
    exchange::Exchange,
    hops,
    journal::Bodies,
    route::{Plan, RequestFacts, RouteError},
    stored_responses,
    streams::Origin,
};
use signalbox_core::overrides::Overrides;
use signalbox_core::schema::{CacheOutcome, RequestStatus};

/// Answers a request of `api`. Errors become responses, too.
pub async fn inference(app: &Arc<App>, api: Api, request: Request<RequestBody>) -> Response<ResponseBody> {
    answer_or_error(app, Surface::Translated(api), request).await
}

/// Answers a request that is not translated.
pub(super) async fn direct(app: Arc<App>, direct: DirectApi, request: Request<Body>) -> Response<Body> {
    answer_or_error(&app, Surface::Direct(direct), request).await.map(Body::new)
}

async fn answer_or_error<B>(app: &Arc<App>, surface: Surface, request: Request<B>) -> Response<ResponseBody>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let context = RequestContext::of(request.extensions());
    let id = context.id();
    answer(app, surface, request, context).await.unwrap_or_else(|error| error.response_for(surface.api(), id))
}

#[expect(
    clippy::too_many_lines,
    reason = "the steps of a request stand here in their order, each in a module of its own"
)]
async fn answer<B>(
    app: &Arc<App>,
    surface: Surface,
    request: Request<B>,
    context: RequestContext,
) -> Result<Response<ResponseBody>, ApiError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let api = surface.api();
    let received_at = clock::unix_ms();
    if let Some(event) = streams::named(request.headers())? {
        // Boxed to keep the futures of all other requests small.
        return Box::pin(streams::repeated(app, event, surface.path(), request)).await;
    }
    let overloaded = || {
        app.metrics.refused();
        ApiError::Overloaded
    };
    // Refuses early at the limit, before the client has to send the body.
    if app.in_flight.available_permits() == 0 {
        return Err(overloaded());
    }
    let (head, body) = request.into_parts();
    let caller: Option<&Caller> = head.extensions.get();
    let body = read_body(app, &head.headers, body).await?;
    // Acquired after the body has been read, so that slow uploads hold no permits.
    let permit = app.in_flight.clone().try_acquire_owned().map_err(|_| overloaded())?;
    // The log keeps what the client sent.
    let Received { sent, body, envelope, mut overrides } =
        Received::read((&head.headers, &app.body_memory), body, |body| surface.parse(body))?;
    // It does not concern the routing.
    let asks_resumable = overrides.as_mut().and_then(|overrides| overrides.resumable.take());
    let overrides = overrides.filter(|overrides| *overrides != Overrides::default());
    context.record_inference(surface.as_str(), envelope.model.as_deref().unwrap_or_default(), envelope.stream);
    let session = session(&head.headers);
    let is_dry_run = explain::is_asked(head.uri.query())?;
    let owner = match envelope.previous.as_deref().filter(|_| envelope.direct.is_none()) {
        Some(previous) => stored_responses::owner(app, previous, caller).await,
        None => None,
    };
    let (plan, settings) = {
        let catalog = app.catalog.current();
        let facts = RequestFacts {
            model: envelope.model.as_deref(),
            session: session.as_deref(),
            body: &body,
            unix_ms: received_at,
            overrides: overrides.as_ref(),
            owner: owner.as_ref(),
            stream: envelope.stream,
            takes_turn: !is_dry_run,
        };
        let needs_prices = is_dry_run || overrides.is_some() || !catalog.routes().is_empty();
        let prices = if needs_prices { app.prices.current() } else { None };
        let mut plan = planned(app, &catalog, &facts, prices.as_deref(), (caller, surface.permission()))?;
        if let Ok(plan) = &mut plan {
            plan.keep_apart(AccountState::of(&envelope, &body, owner.as_ref(), &app.owners), &envelope);
        }
        if is_dry_run {
            return Ok(explain::dry_run(&plan?, &envelope, &facts, prices.as_deref()));
        }
        (plan, catalog.settings())
    };
    let arrival = Arrival { surface, received_at, session, caller, settings };
    // Limits come before the guardrails, so that a client that has reached them cannot make the hook work. Answers of the
    // cache use nothing of the limits, so they come first if no hook is asked.
    let rules = guarded::rules(app, plan.as_ref().ok(), caller);
    let is_cached = plan.as_ref().is_ok_and(Plan::is_cached) && overrides.is_none();
    let is_limited_first = !is_cached || rules.is_some_and(|rules| rules.hook);
    let mut reserved = match is_limited_first {
        true => arrival.reserve(app, &context, &envelope, &body, plan.as_ref().ok()).await?,
        false => Reserved::default(),
    };
    let judged = match (&plan, rules) {
        (Ok(plan), Some(rules)) if !reserved.is_cancelled => {
            guarded::judge(app, rules, plan, caller, (&envelope, &body), context.id()).await
        }
        // Nothing is sent.
        _ => Ok(Judged::default()),
    };
    let Judged { passed, earlier, rules: of_answer } = match judged {
        Ok(judged) => judged,
        Err(refused) => {
            let Reserved { admitted, live, .. } = reserved;
            let mut exchange =
                arrival.begin(app, &envelope, plan.as_ref().ok(), (&sent, Bodies::Redact), (context, live), permit)?;
            // It has come, so it counts as a request, but it uses no tokens and no money.
            exchange.hold(admitted);
            return Err(failed(refused.into(), exchange, api).await);
        }
    };
    let is_replaced = passed.replaced.is_some();
    let (body, mut envelope) = match passed.replaced {
        Some(body) => {
            let envelope = surface.parse(&body)?;
            (app.body_memory.hold_copy(body), envelope)
        }
        None => (body, envelope),
    };
    envelope.query = forwarded_query(head.uri.query());
    let asked = (&head.headers, &body);
    // An answer that is kept may be one of a target that the request does not ask for.
    let looked = match overrides.is_some() || reserved.is_cancelled {
        true => Looked::Off,
        false => cached::look_up(app, plan.as_ref().ok(), caller, asked, (&envelope, of_answer.as_ref())).await,
    };
    match looked {
        // Gives the reservation back.
        Looked::Hit(..) => reserved.admitted = None,
        _ if is_limited_first => {}
        _ => reserved = arrival.reserve(app, &context, &envelope, &body, plan.as_ref().ok()).await?,
    }
    let Reserved { admitted, live, is_cancelled } = reserved;
    let quotas = admitted.as_ref().map(Admitted::quotas);

    // From here on the request is logged, even if no provider serves the model, so that users find it in the log.
    // The log must not have the body that a guardrail has replaced.
    let logged = if is_replaced { &body } else { &sent };
    let is_mirrored = plan.as_ref().is_ok_and(Plan::is_mirrored);
    let original =
        is_mirrored.then(|| (arrival.head(&envelope), arrival.policy(app, plan.as_ref().ok(), Bodies::Full)));
    // A route without a target that can be asked may have rules, and providers of which less is logged. What no
    // guardrail has judged is not logged, either.
    let most = match &plan {
        Err(_) if rules.is_some() => Bodies::Redact,
        Ok(_) if is_cancelled && rules.is_some() => Bodies::Redact,
        Err(RouteError::NoMatch { .. } | RouteError::AtLimit { .. } | RouteError::NoTarget { .. }) => Bodies::Redact,
        _ => Bodies::Full,
    };
    let context_id = context.id();
    let of_route = || plan.as_ref().is_ok_and(|plan| plan.route.as_ref().is_some_and(|route| route.plan.resumable));
    let is_resumable = envelope.stream && asks_resumable.unwrap_or_else(of_route);
    let mut exchange = arrival.begin(app, &envelope, plan.as_ref().ok(), (logged, most), (context, live), permit)?;
    exchange.hold(admitted);
    exchange.guarded(passed.notes);
    if is_cancelled {
        return Ok(dispatch::cancelled(exchange, api).await);
    }
    match plan {
        Ok(plan) => {
            let names_target = settings.answer_headers();
            let outcome = looked.outcome();
            match looked {
                Looked::Hit(answer, age) => {
                    return Ok(cached::answer(exchange, &plan, (&answer, age), &envelope, names_target).await);
                }
                Looked::Miss(recorder) => exchange.cache(CacheOutcome::Miss, Some(recorder)),
                Looked::Bypass => exchange.cache(CacheOutcome::Bypass, None),
                Looked::Off => {}
            }
            if let Some(previous) = &envelope.previous
                && let Err(error) = stored_responses::check_owner(&app.store, previous, caller).await
            {
                return Err(failed(error.into(), exchange, api).await);
            }
            let (headers, version) = (head.headers, head.version);
            if let Some((begin, mut bodies)) = original {
                if of_answer.is_some() {
                    // The rules of answers are applied to the answer of the client only.
                    bodies.answer = Bodies::Off;
                }
                mirror::copy(
                    app,
                    Original {
                        plan: &plan,
                        id: context_id,
                        api,
                        begin: &begin,
                        caller,
                        headers: &headers,
                        version,
                        body: &body,
                        envelope: &envelope,
                        earlier: &earlier,
                        bodies,
                    },
                );
            }
            let (key, guard) = (caller.cloned(), of_answer);
            let call = Call { exchange, caller: key, headers, version, body, envelope, names_target, guard, earlier };
            let mut response = dispatch::dispatch(app, call, plan).await;
            cached::name_outcome(outcome, response.headers_mut());
            if is_resumable {
                let origin = Origin { request: context_id, api, path: surface.path(), caller, body: &sent };
                response = app.streams.keep(response, &origin, version);
            }
            if let Some(quotas) = quotas {
                limit_headers::add(response.headers_mut(), &quotas, api, clock::unix_ms());
            }
            Ok(response)
        }
        Err(error) => Err(failed(error.into(), exchange, api).await),
    }
}

/// Logs a request that fails before a provider is asked.
async fn failed(error: ApiError, mut exchange: Exchange, api: Api) -> ApiError {
    let id = exchange.id();
    exchange.note_own_error();
    exchange.head(error.status().as_u16(), false);
    exchange.answer(&error.body_for(api, id));
    exchange.finish(RequestStatus::Failed, Some(error.to_string())).await;
    error
}

/// Reads the body of a request that is sent on to a provider. Its bytes count until it is dropped.
///
/// # Errors
/// Fails if the request loops, if its body is compressed, oversized or does not arrive, or if there is no memory for it.
pub(super) async fn read_body<B>(app: &App, headers: &HeaderMap, body: B) -> Result<Bytes, ApiError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if hops::next(headers).is_none() {
        return Err(ApiError::Loop);
    }
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        return Err(ApiError::Encoded(String::from_utf8_lossy(coding.as_bytes()).into_owned()));
    }
    let full = |full| {
        app.metrics.refused();
        ApiError::from(full)
    };
    // Refuses early, before the client has to send the body. One that is too large is refused for that.
    let declared = body.size_hint().lower();
    if declared <= app.max_body as u64 && !app.body_memory.has_room(declared) {
        return Err(full(MemoryFull));
    }
    let body = collect(headers, body, app.max_body).await?;
    Ok(without_bom(app.body_memory.hold(body).map_err(full)?))
}
