//! Asks the targets that are left to continue a stream that broke off.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use signalbox_core::schema::{GuardRules, Resume as ResumeMode};
use signalbox_daemon::{Caller, KeptTexts, RequestContext};
use tracing::Instrument as _;

use super::{
    AcceptedAnswer, ClientRequest,
    attempt::{self, Sender, Step},
};
use crate::{
    app::App,
    envelope::Envelope,
    exchange::{InFlight, NewTarget},
    fault::NextTarget,
    health::{self, Began},
    relay::{NewAnswer, Resume, Resumed},
    route::Plan,
    stored_responses::Earlier,
};

/// The targets that are left for a request.
pub(super) struct NextTargets {
    app: Arc<App>,
    context: RequestContext,
    plan: Arc<Plan>,
    caller: Option<Caller>,
    headers: HeaderMap,
    body: Bytes,
    envelope: Arc<Envelope>,
    earlier: Earlier,
    guard: Option<GuardRules>,
    kept: KeptTexts,
    left: Vec<usize>,
}

/// Returns whether the route continues streams of this request. Several answers side by side cannot be compared.
pub(super) fn is_on(plan: &Plan, envelope: &Envelope) -> bool {
    let route = plan.route.as_ref().map(|route| &route.plan);
    route.is_some_and(|route| route.resume == ResumeMode::Verbatim)
        && envelope.choices == 1
        && envelope.direct.is_none()
        && plan.candidates.len() > 1
}

// === impl NextTargets ===

impl NextTargets {
    /// Creates the source of further targets. `left` has their places in the plan.
    pub(super) fn new(
        app: &Arc<App>,
        (context, kept): (RequestContext, KeptTexts),
        plan: Plan,
        (caller, headers, body, envelope): (Option<Caller>, HeaderMap, Bytes, Envelope),
        (earlier, guard): (Earlier, Option<GuardRules>),
        left: Vec<usize>,
    ) -> Self {
        let (plan, envelope) = (Arc::new(plan), Arc::new(envelope));
        Self { app: Arc::clone(app), context, plan, caller, headers, body, envelope, earlier, guard, kept, left }
    }

    async fn ask(mut self: Box<Self>) -> Resumed {
        let mut failed = Vec::new();
        let route = self.plan.route.as_ref().map(|route| route.plan.clone());
        let own = route.as_ref().map(|route| route.deadlines).unwrap_or_default();
        let asked = self.plan.candidates.first().map(|candidate| candidate.deadlines).unwrap_or_default();
        let total = attempt::total(&self.app, own, asked);
        while !self.left.is_empty() && self.context.arrived().elapsed() < total {
            let place = self.left.remove(0);
            let Some(candidate) = self.plan.candidates.get(place).cloned() else { continue };
            if candidate.health.blocked(health::now()).is_some() {
                continue;
            }
            let quota = candidate.provider.quota.as_ref();
            let Ok(taken) = quota.map(|quota| quota.take(health::now(), self.plan.tokens)).transpose() else {
                continue;
            };
            let n = u64::try_from(place).unwrap_or_default() + 1;
            let attempt = InFlight::begin(&self.context, &candidate, n, taken);
            let target = self.plan.target(&candidate);
            let params = target.map(|target| target.params.clone()).unwrap_or_default();
            let step = Step { candidate: &candidate, route: route.as_ref(), target, awaits_token: false };
            let caller = self.caller.as_ref();
            let request = ClientRequest {
                caller,
                headers: &self.headers,
                body: &self.body,
                envelope: &self.envelope,
                earlier: &self.earlier,
                guard: self.guard,
                kept: self.kept,
            };
            let sender = Sender { context: &self.context, span: &attempt.span };
            let answer = attempt::attempt(&self.app, step, sender, request).instrument(attempt.span.clone()).await;
            let failure = match answer {
                Ok(AcceptedAnswer::Stream { begun, rest, .. }) => {
                    candidate.provider.note(true);
                    attempt.trial.answered(health::now(), Began::Unknown);
                    let (envelope, context) = (Arc::clone(&self.envelope), self.context.clone());
                    let target = NewTarget { candidate, place, params, envelope, context, attempt };
                    let next = (!self.left.is_empty()).then_some(self as Box<dyn Resume>);
                    return Resumed { failed, answer: Some(NewAnswer { begun, rest, target, next }) };
                }
                // A stream was asked for.
                Ok(AcceptedAnswer::Whole { .. }) => continue,
                Err(failure) => failure,
            };
            candidate.provider.note(!failure.is_provider_fault());
            let fault = failure.fault();
            let ended = failure.recorded(format!("{}: it cannot continue the answer", fault.as_str()));
            failed.push(attempt.failed(&self.context, (&candidate, place), ended));
            if fault.rule().next == NextTarget::None {
                break;
            }
        }
        Resumed { failed, answer: None }
    }
}

impl Resume for NextTargets {
    fn resume(self: Box<Self>) -> Pin<Box<dyn Future<Output = Resumed> + Send>> {
        Box::pin(self.ask())
    }
}
