//! `POST /v1/chat/completions`, `/v1/messages`, `/v1/responses` and the routes of [`DirectApi`]: admission, logging and
//! routing of a request for an answer.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use signalbox_core::{Api, id};
use signalbox_daemon::{Caller, RequestBody, RequestContext, collect};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    cached::{self, Looked},
    error::ApiError,
    explain,
    guarded::{self, Judged},
    limit_headers,
    mirror::{self, Original},
    overrides, streams,
};
use crate::{
    admission::{self, Admitted, Asked, Target},
    app::App,
    body::ResponseBody,
    catalog::Settings,
    clock,
    direct::DirectApi,
    dispatch::{Call, dispatch},
    envelope::{Envelope, EnvelopeError, without_bom, without_extension},
    exchange::Exchange,
    health, hops,
    journal::{Begin, Bodies, BodyPolicy},
    route::{self, Plan, RequestFacts, RouteError},
    stored_responses,
    streams::Origin,
};
use signalbox_core::overrides::Overrides;
use signalbox_core::schema::{CacheOutcome, RequestStatus};

/// Headers with which clients name the conversation: any client, Claude Code, Codex. Without them, the conversation is
/// recognised by its opening messages.
const SESSION_HEADERS: [&str; 3] = ["x-session-id", "x-claude-code-session-id", "session-id"];

/// Maximum bytes of the id of an earlier answer by which the log finds the session. Every provider's ids are shorter.
const MAX_PREVIOUS_ID: usize = 256;

/// The API of a request.
#[derive(Clone, Copy, Debug)]
enum Surface {
    Translated(Api),
    Direct(DirectApi),
}

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
    reason = "the steps of a request stand here in their order, each in a room of its own"
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
    let envelope = surface.parse(&body)?;
    let mut overrides = overrides::of(&head.headers, &envelope, &body)?;
    // It does not concern the routing.
    let asks_resumable = overrides.as_mut().and_then(|overrides| overrides.resumable.take());
    let overrides = overrides.filter(|overrides| *overrides != Overrides::default());
    // The extension is for this gateway only, but the log keeps what the client sent.
    let sent = body;
    let (envelope, body) = match &envelope.extension_at {
        None => (envelope, sent.clone()),
        Some(at) => {
            let body = without_extension(&sent, at);
            (surface.parse(&body)?, body)
        }
    };
    context.record_inference(surface.as_str(), envelope.model.as_deref().unwrap_or_default(), envelope.stream);
    let session = session(&head.headers);
    let is_dry_run = explain::is_asked(head.uri.query())?;
    let (plan, settings) = {
        let catalog = app.catalog.current();
        let facts = RequestFacts {
            model: envelope.model.as_deref(),
            session: session.as_deref(),
            body: &body,
            unix_ms: received_at,
            overrides: overrides.as_ref(),
            takes_turn: !is_dry_run,
        };
        let needs_prices = is_dry_run || overrides.is_some() || !catalog.routes().is_empty();
        let prices = if needs_prices { app.prices.current() } else { None };
        let plan = route::plan(&catalog, &facts, prices.as_deref(), health::now(), &mut app.seeds.rng());
        let of_plan = || plan.as_ref().ok()?.candidates.first()?.model.as_deref();
        admission::check(caller, surface.permission(), envelope.model.as_deref().or_else(of_plan))?;
        admission::check_fallbacks(caller, &body)?;
        if is_dry_run {
            return Ok(explain::dry_run(&plan?, &envelope, &facts, prices.as_deref()));
        }
        (plan, catalog.settings())
    };
    let arrival = Arrival { surface, received_at, session, caller, settings };
    let judged = guarded::judge(app, plan.as_ref().ok(), caller, &envelope, &body, context.id()).await;
    let Judged { passed, rules } = match judged {
        Ok(judged) => judged,
        Err(refused) => {
            let exchange =
                arrival.begin(app, &envelope, plan.as_ref().ok(), (&sent, Bodies::Redact), context, permit)?;
            return Err(failed(refused.into(), exchange, api).await);
        }
    };
    let is_replaced = passed.replaced.is_some();
    let (body, envelope) = match passed.replaced {
        Some(body) => {
            let envelope = surface.parse(&body)?;
            (body, envelope)
        }
        None => (body, envelope),
    };
    let asked = (&head.headers, &body);
    // An answer that is kept may be one of a target that the request does not ask for.
    let looked = match &overrides {
        Some(_) => Looked::Off,
        None => cached::look_up(app, plan.as_ref().ok(), caller, asked, (&envelope, rules.as_ref())).await,
    };
    let admitted = match looked {
        Looked::Hit(..) => None,
        _ => reserve(app, surface, caller, &envelope, &body, plan.as_ref().ok()).await?,
    };
    let quotas = admitted.as_ref().map(Admitted::quotas);

    // From here on the request is logged, even if no provider serves the model, so that users find it in the log.
    // What the guard has replaced must not be in the log.
    let logged = if is_replaced { &body } else { &sent };
    let is_mirrored = plan.as_ref().is_ok_and(Plan::is_mirrored);
    let original =
        is_mirrored.then(|| (arrival.head(&envelope), arrival.policy(app, plan.as_ref().ok(), Bodies::Full)));
    // A route without a target that can be asked may have rules, and providers of which less is logged.
    let most = match &plan {
        Err(RouteError::NoMatch { .. } | RouteError::AtLimit { .. } | RouteError::NoTarget { .. }) => Bodies::Redact,
        _ => Bodies::Full,
    };
    let context_id = context.id();
    let of_route = || plan.as_ref().is_ok_and(|plan| plan.route.as_ref().is_some_and(|route| route.plan.resumable));
    let is_resumable = envelope.stream && asks_resumable.unwrap_or_else(of_route);
    let mut exchange = arrival.begin(app, &envelope, plan.as_ref().ok(), (logged, most), context, permit)?;
    exchange.hold(admitted);
    exchange.guarded(passed.notes);
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
            let (headers, version) = (head.headers, head.version);
            if let Some((begin, mut bodies)) = original {
                if rules.is_some() {
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
                        bodies,
                    },
                );
            }
            let key = caller.cloned();
            let call = Call { exchange, caller: key, headers, version, body, envelope, names_target, guard: rules };
            let mut response = dispatch(app, call, plan).await;
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

/// A request as it arrived.
struct Arrival<'a> {
    surface: Surface,
    received_at: i64,
    session: Option<String>,
    caller: Option<&'a Caller>,
    settings: Settings,
}

impl Arrival<'_> {
    /// Returns the head of the request as it is logged.
    fn head(&self, envelope: &Envelope) -> Begin {
        Begin {
            received_at: self.received_at,
            path: format!("/v1{}", self.surface.path()),
            model: envelope.model.clone().unwrap_or_default(),
            stream: envelope.stream,
            session: self.session.clone(),
            previous: envelope.previous.clone().filter(|id| id.len() <= MAX_PREVIOUS_ID),
            key: self.caller.map(|caller| caller.id().to_owned()),
        }
    }

    /// Returns how much of the request is logged, with no more detail than `most`.
    fn policy(&self, app: &App, plan: Option<&Plan>, most: Bodies) -> BodyPolicy {
        let asked = plan.iter().flat_map(|plan| &plan.candidates).map(|candidate| candidate.provider.log_bodies);
        let of_key = self.caller.and_then(|caller| caller.grant().log_bodies.as_deref());
        let of_key = of_key.map_or(Bodies::Full, Bodies::of_word);
        let bodies = asked.fold(app.journal.bodies(), Bodies::max).max(of_key);
        let policy = self.settings.body_policy(bodies);
        BodyPolicy { request: policy.request.max(most), ..policy }
    }

    /// Begins to log the request, in no more detail than `most`.
    fn begin(
        &self,
        app: &App,
        envelope: &Envelope,
        plan: Option<&Plan>,
        (body, most): (&Bytes, Bodies),
        context: RequestContext,
        permit: OwnedSemaphorePermit,
    ) -> Result<Exchange, ApiError> {
        let begin = self.head(envelope);
        let policy = self.policy(app, plan, most);
        let entry = app.journal.begin(context.id(), &begin, &policy.request.of_request(body))?;
        let live = app.live.enter(context.id(), begin, context.arrived());
        let max_answer_bytes = app.journal.max_answer_bytes();
        Ok(Exchange::new(entry, (context, live), self.surface.api(), max_answer_bytes, policy, permit))
    }
}

/// Reserves what the request may use of the limits and budgets of its key.
async fn reserve(
    app: &App,
    surface: Surface,
    caller: Option<&Caller>,
    envelope: &Envelope,
    body: &[u8],
    plan: Option<&Plan>,
) -> Result<Option<Admitted>, ApiError> {
    let route = plan.and_then(|plan| plan.route.as_ref()).map(|route| &*route.id);
    if app.ledger.select(caller, route).is_none() {
        return Ok(None);
    }
    let earlier_tokens = match &envelope.previous {
        Some(id) if admission::needs_estimate(&app.ledger, caller, route) => {
            stored_responses::tokens(&app.store, id).await
        }
        _ => 0,
    };
    let asked = Asked {
        body,
        model: envelope.model.as_deref(),
        choices: envelope.choices,
        is_answered: surface.is_answered_in_tokens(),
        earlier_tokens,
        route,
    };
    let mut targets = Vec::new();
    for candidate in plan.iter().flat_map(|plan| &plan.candidates) {
        targets.push(Target {
            provider_type: &candidate.provider.row.kind,
            provider_id: &candidate.provider.id,
            model: candidate.model.as_deref().unwrap_or_default(),
            params: plan.and_then(|plan| plan.target(candidate)).map(|target| &target.params),
        });
    }
    let reserved = tokio::select! {
        biased;
        reserved = admission::reserve(&app.ledger, &app.prices, caller, asked, &targets) => reserved,
        // A request that waits in a queue must not hold up the shutdown.
        () = app.abort_streams.cancelled() => return Err(ApiError::Overloaded),
    };
    Ok(reserved.inspect_err(|denial| app.metrics.limited(denial.reason()))?)
}

// === impl Surface ===

impl Surface {
    /// Returns the API whose form errors have.
    const fn api(self) -> Api {
        match self {
            Self::Translated(api) => api,
            Self::Direct(direct) => direct.companion(),
        }
    }

    /// Reads the fields of a body.
    fn parse(self, body: &[u8]) -> Result<Envelope, EnvelopeError> {
        match self {
            Self::Translated(api) => Envelope::parse(api, body),
            Self::Direct(direct) => Envelope::parse_direct(direct, body),
        }
    }

    /// Returns whether answers consist of tokens that are charged.
    const fn is_answered_in_tokens(self) -> bool {
        !matches!(self, Self::Direct(DirectApi::Embeddings | DirectApi::Moderations | DirectApi::Rerank))
    }

    /// Returns the word by which a key may be restricted to it.
    const fn permission(self) -> &'static str {
        match self {
            Self::Translated(api) => api.as_str(),
            Self::Direct(direct) => direct.permission(),
        }
    }

    /// Returns the path below `/v1`.
    const fn path(self) -> &'static str {
        match self {
            Self::Translated(api) => api.path(),
            Self::Direct(direct) => direct.path(),
        }
    }

    /// Returns the name in logs.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Translated(api) => api.as_str(),
            Self::Direct(direct) => direct.as_str(),
        }
    }
}

/// Reads the body of a request that is sent on to a provider.
///
/// # Errors
/// Fails if the request loops, or if its body is compressed, oversized or does not arrive.
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
    Ok(without_bom(collect(headers, body, app.max_body).await?))
}

/// Returns the session id that the client supplied, if it is a valid id.
fn session(headers: &HeaderMap) -> Option<String> {
    let mut names = SESSION_HEADERS.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    names.find(|name| id::is_resource_id(name)).map(str::to_owned)
}
