//! A request as it arrived: its log entry, and its reservation in limits and budgets.

use bytes::Bytes;
use signalbox_daemon::{Caller, RequestContext};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Duration, Instant},
};

use super::{super::error::ApiError, surface::Surface};
use crate::{
    admission::{self, Admitted, Asked, Target},
    app::App,
    catalog::Settings,
    dispatch,
    envelope::Envelope,
    exchange::Exchange,
    journal::{Begin, Bodies, BodyPolicy},
    ledger::Denial,
    live::LiveEntry,
    route::Plan,
    stored_responses,
};

/// Maximum bytes of the id of an earlier answer by which the log finds the session. Every provider's ids are shorter.
const MAX_PREVIOUS_ID: usize = 256;

/// Maximum time for which a request waits for limits if its deadline is too far away to be a time.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// A request as it arrived.
pub(super) struct Arrival<'a> {
    pub(super) surface: Surface,
    pub(super) received_at: i64,
    pub(super) session: Option<String>,
    pub(super) caller: Option<&'a Caller>,
    pub(super) settings: Settings,
}

impl Arrival<'_> {
    /// Returns the head of the request as it is logged.
    pub(super) fn head(&self, envelope: &Envelope) -> Begin {
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
    pub(super) fn policy(&self, app: &App, plan: Option<&Plan>, most: Bodies) -> BodyPolicy {
        let asked = plan.iter().flat_map(|plan| &plan.candidates).map(|candidate| candidate.provider.log_bodies);
        let of_key = self.caller.and_then(|caller| caller.grant().log_bodies.as_deref());
        let of_key = of_key.map_or(Bodies::Full, Bodies::of_word);
        let bodies = asked.fold(app.journal.bodies(), Bodies::max).max(of_key);
        let policy = self.settings.body_policy(bodies);
        BodyPolicy { request: policy.request.max(most), ..policy }
    }

    /// Reserves what the request may use of the limits and budgets of its key and route, and waits for them if they let
    /// it. Meanwhile it is listed among the requests in flight.
    pub(super) async fn reserve(
        &self,
        app: &App,
        context: &RequestContext,
        envelope: &Envelope,
        body: &[u8],
        plan: Option<&Plan>,
    ) -> Result<Reserved, ApiError> {
        let route = plan.and_then(|plan| plan.route.as_ref()).map(|route| &*route.id);
        if app.ledger.select(self.caller, route).is_none() {
            return Ok(Reserved::default());
        }
        let live = app.live.queue(context.id(), self.head(envelope), context.arrived());
        let stop = live.stop().clone();
        let reserved = tokio::select! {
            biased;
            reserved = reserve(app, self, context.arrived(), envelope, body, plan) => reserved,
            // A request that waits in a queue must not hold up the shutdown.
            () = stop.cancelled() => {
                let is_cancelled = live.is_cancelled();
                let stopped = Reserved { admitted: None, live: Some(live), is_cancelled };
                return if is_cancelled { Ok(stopped) } else { Err(ApiError::Overloaded) };
            }
        };
        let admitted = reserved.inspect_err(|denial| app.metrics.limited(denial.reason()))?;
        Ok(Reserved { admitted, live: Some(live), is_cancelled: false })
    }

    /// Begins to log the request, in no more detail than `most`. `live` is its entry in the list of requests in flight,
    /// if it has one already.
    pub(super) fn begin(
        &self,
        app: &App,
        envelope: &Envelope,
        plan: Option<&Plan>,
        (body, most): (&Bytes, Bodies),
        (context, live): (RequestContext, Option<LiveEntry>),
        permit: OwnedSemaphorePermit,
    ) -> Result<Exchange, ApiError> {
        let begin = self.head(envelope);
        let policy = self.policy(app, plan, most);
        let entry = app.journal.begin(context.id(), &begin, &policy.request.of_request(body))?;
        let live = match live {
            Some(queued) => queued.begun(),
            None => app.live.enter(context.id(), begin, context.arrived()),
        };
        let max_answer_bytes = app.journal.max_answer_bytes();
        Ok(Exchange::new(entry, (context, live), self.surface.api(), max_answer_bytes, policy, permit))
    }
}

/// Outcome of the admission of a request.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    /// Its reservation; `None` if nothing limits it.
    pub(super) admitted: Option<Admitted>,
    /// Its entry in the list of requests in flight; `None` if nothing limits it.
    pub(super) live: Option<LiveEntry>,
    /// Whether an operator has cancelled it while it waited.
    pub(super) is_cancelled: bool,
}

/// Reserves what the request may use of the limits and budgets of its key and route.
async fn reserve(
    app: &App,
    &Arrival { surface, caller, .. }: &Arrival<'_>,
    arrived: Instant,
    envelope: &Envelope,
    body: &[u8],
    plan: Option<&Plan>,
) -> Result<Option<Admitted>, Denial> {
    let route = plan.and_then(|plan| plan.route.as_ref()).map(|route| &*route.id);
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
        latest: arrived.checked_add(dispatch::total_time(app, plan)).unwrap_or_else(|| Instant::now() + LONGEST_WAIT),
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
    admission::reserve(&app.ledger, &app.prices, caller, asked, &targets).await
}
