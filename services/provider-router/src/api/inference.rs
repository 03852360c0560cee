//! `POST /v1/chat/completions`, `/v1/messages`, `/v1/responses` and the routes of [`DirectApi`]: admission, logging and
//! routing of a request for an answer.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use signalbox_core::{Api, id};
use signalbox_daemon::{Caller, RequestBody, RequestContext, collect};

use super::{error::ApiError, explain, limit_headers};
use crate::{
    admission::{self, Admitted, Asked, Target},
    app::App,
    body::ResponseBody,
    clock,
    direct::DirectApi,
    dispatch::{Call, dispatch},
    envelope::{Envelope, without_bom},
    exchange::Exchange,
    health, hops,
    journal::{Begin, Bodies},
    route::{self, Plan, RequestFacts},
    stored_responses,
};
use signalbox_core::schema::RequestStatus;

/// Headers with which clients name the conversation: any client, Claude Code, Codex. Without them, the conversation is
/// recognised by its opening messages.
const SESSION_HEADERS: [&str; 3] = ["x-session-id", "x-claude-code-session-id", "session-id"];

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
    let envelope = match surface {
        Surface::Translated(api) => Envelope::parse(api, &body)?,
        Surface::Direct(direct) => Envelope::parse_direct(direct, &body)?,
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
            takes_turn: !is_dry_run,
        };
        let prices = if is_dry_run || !catalog.routes().is_empty() { app.prices.current() } else { None };
        let plan = route::plan(&catalog, &facts, prices.as_deref(), health::now(), &mut app.seeds.rng());
        let of_plan = || plan.as_ref().ok()?.candidates.first()?.model.as_deref();
        admission::check(caller, surface.permission(), envelope.model.as_deref().or_else(of_plan))?;
        admission::check_fallbacks(caller, &body)?;
        if is_dry_run {
            return Ok(explain::dry_run(&plan?, &envelope, &facts, prices.as_deref()));
        }
        (plan, catalog.settings())
    };
    let admitted = reserve(app, surface, caller, &envelope, &body, plan.as_ref().ok()).await?;
    let quotas = admitted.as_ref().map(Admitted::quotas);

    // From here on the request is logged, even if no provider serves the model, so that users find it in the log.
    let begin = Begin {
        received_at,
        path: format!("/v1{}", surface.path()),
        model: envelope.model.clone().unwrap_or_default(),
        stream: envelope.stream,
        session,
        key: caller.map(|caller| caller.id().to_owned()),
    };
    let asked = plan.iter().flat_map(|plan| &plan.candidates).map(|candidate| candidate.provider.log_bodies);
    let of_key = caller.and_then(|caller| caller.grant().log_bodies.as_deref()).map_or(Bodies::Full, Bodies::of_word);
    let bodies = asked.fold(app.journal.bodies(), Bodies::max).max(of_key);
    let body_policy = settings.body_policy(bodies);
    let entry = app.journal.begin(context.id(), &begin, &body_policy.request.of_request(&body))?;
    let context_id = context.id();
    let live = app.live.enter(context_id, begin, context.arrived());
    let max_answer_bytes = app.journal.max_answer_bytes();
    let mut exchange = Exchange::new(entry, (context, live), api, max_answer_bytes, body_policy, permit);
    exchange.hold(admitted);
    match plan {
        Ok(plan) => {
            let names_target = settings.answer_headers();
            let (headers, version) = (head.headers, head.version);
            let caller = caller.cloned();
            let call = Call { exchange, caller, headers, version, body, envelope, names_target };
            let mut response = dispatch(app, call, plan).await;
            if let Some(quotas) = quotas {
                limit_headers::add(response.headers_mut(), &quotas, api, clock::unix_ms());
            }
            Ok(response)
        }
        Err(error) => {
            let error = ApiError::from(error);
            exchange.head(error.status().as_u16(), false);
            exchange.answer(&error.body_for(api, context_id));
            exchange.finish(RequestStatus::Failed, Some(error.to_string())).await;
            Err(error)
        }
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
    if app.ledger.select(caller).is_none() {
        return Ok(None);
    }
    let earlier_tokens = match &envelope.previous {
        Some(id) if admission::needs_estimate(&app.ledger, caller) => stored_responses::tokens(&app.store, id).await,
        _ => 0,
    };
    let asked = Asked {
        body,
        model: envelope.model.as_deref(),
        choices: envelope.choices,
        is_answered: surface.is_answered_in_tokens(),
        earlier_tokens,
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
    let reserved = admission::reserve(&app.ledger, &app.prices, caller, asked, &targets).await;
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
