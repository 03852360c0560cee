//! A request that has been read, from its plan to its answer: limits, guardrails, cache, log entry, mirror, dispatch.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Response, Uri, Version};
use signalbox_core::Api;
use signalbox_core::overrides::Overrides;
use signalbox_core::schema::{CacheOutcome, GuardRules, RequestStatus};
use signalbox_daemon::{Caller, RequestContext};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::{
    super::{
        cached::{self, Looked},
        error::ApiError,
        explain,
        guarded::{self, Judged},
        limit_headers,
        mirror::{self, Original},
        received::{Received, owner, planned},
        streams,
    },
    arrival::{Arrival, Reserved},
    surface::Surface,
};
use crate::{
    account_state::AccountState,
    admission::Admitted,
    app::App,
    body::ResponseBody,
    clock,
    dispatch::{self, Call},
    envelope::{Envelope, forwarded_query},
    exchange::Exchange,
    guard::{self, Refused},
    journal::{Begin, Bodies, BodyPolicy},
    ledger::Quotas,
    live::LiveEntry,
    route::{Plan, RequestFacts, RouteError},
    session,
    stored_responses::{self, Earlier},
    streams::Origin,
};

/// The head of a request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) headers: HeaderMap,
    pub(super) uri: Uri,
    pub(super) version: Version,
}

/// A request with its plan.
pub(super) struct RoutedRequest<'a> {
    arrival: Arrival<'a>,
    head: Head,
    /// The targets, or the reason why there is none.
    plan: Result<Plan, RouteError>,
    /// Body as sent by the client.
    sent: Bytes,
    /// Body for providers.
    body: Bytes,
    envelope: Envelope,
    /// Whether it asks for another plan than its route has.
    is_overridden: bool,
    /// Whether it asks for an answer that can be resumed, if it says so.
    asks_resumable: Option<bool>,
}

/// Findings of the steps before the log entry, for the steps after it.
struct Checked {
    id: Uuid,
    looked: Looked,
    quotas: Option<Quotas>,
    /// Log entry of a copy for the mirror, if the route has one.
    original: Option<(Begin, BodyPolicy)>,
    earlier: Earlier,
    /// Rules for the answer.
    of_answer: Option<GuardRules>,
}

// === impl RoutedRequest ===

impl<'a> RoutedRequest<'a> {
    /// Plans a request. Breaks with the plan if the client asks for nothing else.
    ///
    /// # Errors
    /// Returns the mistake in the query, or the permission that is missing.
    pub(super) async fn plan(
        app: &App,
        (surface, received_at): (Surface, i64),
        head: Head,
        caller: Option<&'a Caller>,
        received: Received,
        context: &RequestContext,
    ) -> Result<ControlFlow<Response<ResponseBody>, Self>, ApiError> {
        // The log keeps what the client sent.
        let Received { sent, body, envelope, mut overrides } = received;
        // It does not concern the routing.
        let asks_resumable = overrides.as_mut().and_then(|overrides| overrides.resumable.take());
        let overrides = overrides.filter(|overrides| *overrides != Overrides::default());
        context.record_inference(surface.as_str(), envelope.model.as_deref().unwrap_or_default(), envelope.stream);
        let session = session::of_client(&head.headers);
        let is_dry_run = explain::is_asked(head.uri.query())?;
        let owner = match envelope.previous.as_deref().filter(|_| envelope.direct.is_none()) {
            Some(previous) => owner(app, previous, caller).await,
            None => None,
        };
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
            return Ok(ControlFlow::Break(explain::dry_run(&plan?, &envelope, &facts, prices.as_deref())));
        }
        let arrival = Arrival { surface, received_at, session, caller, settings: catalog.settings() };
        let is_overridden = overrides.is_some();
        Ok(ControlFlow::Continue(Self { arrival, head, plan, sent, body, envelope, is_overridden, asks_resumable }))
    }

    /// Answers the request, and logs it. From its log entry on, errors of all kinds are in the log.
    ///
    /// # Errors
    /// Returns the reason why no provider was asked.
    pub(super) async fn answer(
        mut self,
        app: &Arc<App>,
        context: RequestContext,
        permit: OwnedSemaphorePermit,
    ) -> Result<Response<ResponseBody>, ApiError> {
        // Limits come before the guardrails, so that a client that has reached them cannot make the hook work. Answers
        // of the cache use nothing of the limits, so they come first if no hook is asked.
        let rules = guarded::rules(app, self.planned(), self.arrival.caller);
        let is_cached = self.planned().is_some_and(Plan::is_cached) && !self.is_overridden;
        let is_limited_first = !is_cached || rules.is_some_and(|rules| rules.hook);
        let mut reserved = match is_limited_first {
            true => self.reserve(app, &context).await?,
            false => Reserved::default(),
        };
        let judged = match self.judge(app, rules, &reserved, context.id()).await {
            Ok(judged) => judged,
            Err(refused) => return Err(self.refused(app, refused, reserved, (context, permit)).await),
        };
        let Judged { passed, earlier, rules: of_answer } = judged;
        let is_replaced = self.replace_body(app, passed.replaced)?;
        self.envelope.query = forwarded_query(self.head.uri.query());
        let looked = self.look_up(app, &reserved, of_answer.as_ref()).await;
        match looked {
            // Gives the reservation back.
            Looked::Hit(..) => reserved.admitted = None,
            _ if is_limited_first => {}
            _ => reserved = self.reserve(app, &context).await?,
        }
        let Reserved { admitted, live, is_cancelled } = reserved;
        let quotas = admitted.as_ref().map(Admitted::quotas);

        // From here on the request is logged, even if no provider serves the model, so that users find it in the log.
        // The log must not have the body that a guardrail has replaced.
        let logged = if is_replaced { &self.body } else { &self.sent };
        let most = self.most_logged(rules.is_some(), is_cancelled);
        let id = context.id();
        let original = self.original(app);
        let mut exchange = self.begin(app, (logged, most), (context, live), permit)?;
        exchange.hold(admitted);
        exchange.guarded(passed.notes);
        if is_cancelled {
            return Ok(dispatch::cancelled(exchange, self.arrival.surface.api()).await);
        }
        self.send(app, exchange, Checked { id, looked, quotas, original, earlier, of_answer }).await
    }

    fn planned(&self) -> Option<&Plan> {
        self.plan.as_ref().ok()
    }

    async fn reserve(&self, app: &App, context: &RequestContext) -> Result<Reserved, ApiError> {
        self.arrival.reserve(app, context, &self.envelope, &self.body, self.planned()).await
    }

    /// Judges the request by the guardrails, if it has a target to which it may be sent.
    async fn judge(
        &self,
        app: &App,
        rules: Option<GuardRules>,
        reserved: &Reserved,
        id: Uuid,
    ) -> Result<Judged, Refused> {
        match (&self.plan, rules) {
            (Ok(plan), Some(rules)) if !reserved.is_cancelled => {
                guarded::judge(app, rules, plan, self.arrival.caller, (&self.envelope, &self.body), id).await
            }
            // Nothing is sent.
            _ => Ok(Judged::default()),
        }
    }

    /// Logs a request that the guardrails refuse, without its texts, and without names that are a credential.
    async fn refused(
        &self,
        app: &App,
        refused: Refused,
        Reserved { admitted, live, .. }: Reserved,
        (context, permit): (RequestContext, OwnedSemaphorePermit),
    ) -> ApiError {
        let logged = guard::without_found(&self.sent);
        match self.begin(app, (&logged, Bodies::Redact), (context, live), permit) {
            Ok(mut exchange) => {
                // It has come, so it counts as a request, but it uses no tokens and no money.
                exchange.hold(admitted);
                failed(refused.into(), exchange, self.arrival.surface.api()).await
            }
            Err(error) => error,
        }
    }

    /// Takes the body that the guardrails have made, if there is one. Returns whether there is.
    fn replace_body(&mut self, app: &App, replaced: Option<Bytes>) -> Result<bool, ApiError> {
        let Some(body) = replaced else { return Ok(false) };
        self.envelope = self.arrival.surface.parse(&body)?;
        self.body = app.body_memory.hold_copy(body);
        Ok(true)
    }

    /// Asks the cache of the route. An answer that is kept may be one of a target that the request does not ask for.
    async fn look_up(&self, app: &App, reserved: &Reserved, of_answer: Option<&GuardRules>) -> Looked {
        if self.is_overridden || reserved.is_cancelled {
            return Looked::Off;
        }
        let asked = (&self.head.headers, &self.body);
        cached::look_up(app, self.planned(), self.arrival.caller, asked, (&self.envelope, of_answer)).await
    }

    /// Returns how much of the request may be logged. A route without a target that can be asked may have rules, and
    /// providers of which less is logged. What no guardrail has judged is not logged, either.
    fn most_logged(&self, has_rules: bool, is_cancelled: bool) -> Bodies {
        match &self.plan {
            Err(_) if has_rules => Bodies::Redact,
            Ok(_) if is_cancelled && has_rules => Bodies::Redact,
            Err(RouteError::NoMatch { .. } | RouteError::AtLimit { .. } | RouteError::NoTarget { .. }) => {
                Bodies::Redact
            }
            _ => Bodies::Full,
        }
    }

    /// Returns the log entry of a copy for the mirror, if the route has one.
    fn original(&self, app: &App) -> Option<(Begin, BodyPolicy)> {
        self.planned().filter(|plan| plan.is_mirrored())?;
        Some((self.arrival.head(&self.envelope), self.arrival.policy(app, self.planned(), Bodies::Full)))
    }

    fn begin(
        &self,
        app: &App,
        logged: (&Bytes, Bodies),
        of: (RequestContext, Option<LiveEntry>),
        permit: OwnedSemaphorePermit,
    ) -> Result<Exchange, ApiError> {
        self.arrival.begin(app, &self.envelope, self.planned(), logged, of, permit)
    }

    /// Returns whether the answer can be resumed, as the request or else its route has it.
    fn is_resumable(&self) -> bool {
        let of_plan = |plan: &Plan| plan.route.as_ref().is_some_and(|route| route.plan.resumable);
        let of_route = || self.planned().is_some_and(of_plan);
        self.envelope.stream && self.asks_resumable.unwrap_or_else(of_route)
    }

    /// Answers the logged request from the cache, or sends it.
    async fn send(
        self,
        app: &Arc<App>,
        mut exchange: Exchange,
        checked: Checked,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let is_resumable = self.is_resumable();
        let Checked { id, looked, quotas, original, earlier, of_answer } = checked;
        let Self { arrival, head, plan, sent, body, envelope, .. } = self;
        let Arrival { surface, caller, settings, .. } = arrival;
        let api = surface.api();
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => return Err(failed(error.into(), exchange, api).await),
        };
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
        let Head { headers, version, .. } = head;
        if let Some((begin, mut bodies)) = original {
            if of_answer.is_some() {
                // The rules of answers are applied to the answer of the client only.
                bodies.answer = Bodies::Off;
            }
            let (plan, begin, headers) = (&plan, &begin, &headers);
            let (body, envelope, earlier) = (&body, &envelope, &earlier);
            let copied = Original { plan, id, api, begin, caller, headers, version, body, envelope, earlier, bodies };
            mirror::copy(app, copied);
        }
        let (key, guard) = (caller.cloned(), of_answer);
        let call = Call { exchange, caller: key, headers, version, body, envelope, names_target, guard, earlier };
        let mut response = dispatch::dispatch(app, call, plan).await;
        cached::name_outcome(outcome, response.headers_mut());
        if is_resumable {
            let origin = Origin { request: id, api, path: surface.path(), caller, body: &sent };
            response = streams::resumable(app, response, &origin, version);
        }
        if let Some(quotas) = quotas {
            limit_headers::add(response.headers_mut(), &quotas, api, clock::unix_ms());
        }
        Ok(response)
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
