//! Copies of requests for the mirror of a route. Their answers are read and thrown away; the log has them as requests of
//! their own.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Version};
use http_body_util::BodyExt as _;
use signalbox_core::Api;
use signalbox_daemon::{Caller, RequestContext, config::AccessLog};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    app::App,
    body::ResponseBody,
    dispatch::{Call, dispatch},
    envelope::Envelope,
    exchange::Exchange,
    health,
    journal::{Begin, BodyPolicy},
    route::Plan,
    stored_responses::Earlier,
};

/// Maximum number of copies in flight. Above it, requests are not copied.
pub(crate) const MAX_COPIES: usize = 64;

/// Header that must not be sent twice.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request to copy, as the client sent it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Original<'a> {
    pub(super) plan: &'a Plan,
    /// Id of the request.
    pub(super) id: uuid::Uuid,
    pub(super) api: Api,
    pub(super) begin: &'a Begin,
    pub(super) caller: Option<&'a Caller>,
    pub(super) headers: &'a HeaderMap,
    pub(super) version: Version,
    /// Body for providers.
    pub(super) body: &'a Bytes,
    pub(super) envelope: &'a Envelope,
    /// Earlier turns, as far as they were judged.
    pub(super) earlier: &'a Earlier,
    /// How much of the request is logged.
    pub(super) bodies: BodyPolicy,
}

/// A copy of a request.
struct Copied {
    plan: Plan,
    call: Call,
}

/// Sends a copy of the request to the mirror of its route, if the route has one and the lot falls on this request. The
/// copy has a task of its own, on which nothing of the request depends.
pub(super) fn copy(app: &Arc<App>, original: Original<'_>) {
    let route = original.plan.route.as_ref().filter(|_| original.plan.is_mirrored());
    let mirror = route.and_then(|route| route.plan.mirror.as_ref());
    let Some(mirror) = mirror.filter(|mirror| app.seeds.rng().unit() * 100.0 < mirror.percent) else { return };
    let Ok(permit) = app.mirrors.clone().try_acquire_owned() else {
        tracing::debug!(provider = %mirror.provider, "too many copies are in flight, the request is not mirrored");
        return;
    };
    let Some(copy) = original.copied(app, permit) else { return };
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let answer = dispatch(&app, copy.call, copy.plan).await;
        read_to_end(answer.into_body()).await;
    });
}

async fn read_to_end(mut body: ResponseBody) {
    while let Some(Ok(_)) = body.frame().await {}
}

// === impl Original ===

impl Original<'_> {
    fn copied(self, app: &App, permit: OwnedSemaphorePermit) -> Option<Copied> {
        let plan = self.plan.mirrored(&self.id.to_string(), health::now())?;
        let context = RequestContext::new(AccessLog::Off);
        let model = plan.candidates.first().and_then(|candidate| candidate.model.clone()).unwrap_or_default();
        // No key and no session: it is the gateway that sends the copy.
        let begin = Begin { model, session: None, previous: None, key: None, ..self.begin.clone() };
        let of_provider = plan.candidates.iter().map(|candidate| candidate.provider.log_bodies);
        let bodies = of_provider.fold(self.bodies, BodyPolicy::at_most);
        // A request that cannot be logged is not copied, because the cost of the copy would be unknown.
        let entry = app.journal.begin(context.id(), &begin, &bodies.request.of_request(self.body)).ok()?;
        let live = app.live.enter(context.id(), begin, context.arrived());
        let exchange = Exchange::new(entry, (context, live), self.api, app.journal.max_answer_bytes(), bodies, permit);
        let mut headers = self.headers.clone();
        headers.remove(IDEMPOTENCY_KEY);
        let call = Call {
            exchange,
            caller: self.caller.cloned(),
            headers,
            version: self.version,
            body: self.body.clone(),
            envelope: self.envelope.clone(),
            names_target: false,
            guard: None,
            earlier: self.earlier.clone(),
        };
        Some(Copied { plan, call })
    }
}
