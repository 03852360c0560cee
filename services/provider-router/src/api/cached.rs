//! Answers from the cache of a route.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header::AGE};
use signalbox_core::schema::{CacheOutcome, GuardRules};
use signalbox_daemon::Caller;

use crate::{
    app::App,
    body::ResponseBody,
    cache::{Ask, CachedRequest, Found, Recorder, RequestControl, StoredAnswer, key},
    dispatch::{COST, MODEL, PROVIDER},
    envelope::Envelope,
    exchange::Exchange,
    health,
    route::Plan,
    stored_responses,
};

/// Header that says whether the answer came from the cache.
const CACHE: HeaderName = HeaderName::from_static("x-signalbox-cache");

/// Result of a look-up in the cache of a route.
#[derive(Debug)]
pub(super) enum Looked {
    /// The route has no cache.
    Off,
    /// The answer cannot be cached, or the client does not want it to be.
    Bypass,
    /// No answer; the recorder stores that of a target.
    Miss(Box<Recorder>),
    /// An answer, and its age in milliseconds.
    Hit(Arc<StoredAnswer>, u64),
}

/// Asks the cache of the route, if it has one.
pub(super) async fn look_up(
    app: &App,
    plan: Option<&Plan>,
    caller: Option<&Caller>,
    (headers, body): (&HeaderMap, &Bytes),
    (envelope, rules): (&Envelope, Option<&GuardRules>),
) -> Looked {
    let Some(route) = plan.and_then(|plan| plan.route.as_ref()) else { return Looked::Off };
    let Some(terms) = route.plan.cache else { return Looked::Off };
    let control = RequestControl::read(headers);
    let request = CachedRequest { route, caller, headers, body, envelope, rules };
    let looked = match key(request, &terms).filter(|_| control.looks_up || control.stores) {
        None => Looked::Bypass,
        Some(key) => {
            let ask = Ask { key, terms, control, api: envelope.api, is_direct: envelope.direct.is_some() };
            // Boxed to keep the futures of all other requests small.
            Box::pin(found(app, &ask)).await
        }
    };
    if let Some(outcome) = looked.outcome() {
        app.metrics.cache_asked(outcome);
    }
    looked
}

/// Asks the cache, and leaves out answers that were deleted.
async fn found(app: &App, ask: &Ask) -> Looked {
    loop {
        let (answer, age) = match app.cache.ask(ask, health::now).await {
            Found::Hit(answer, age) => (answer, age),
            Found::Miss(recorder) => return Looked::Miss(recorder),
        };
        // Only the log knows what another process has deleted.
        if answer.response_id.is_none() || !app.journal.is_enabled() {
            return Looked::Hit(answer, age);
        }
        match stored_responses::is_deleted(&app.store, answer.request).await {
            Some(false) => return Looked::Hit(answer, age),
            Some(true) => app.cache.remove(&ask.key, &answer),
            None => return Looked::Bypass,
        }
    }
}

/// Gives a stored answer to the client, and logs the request as answered from the cache.
pub(super) async fn answer(
    mut exchange: Exchange,
    plan: &Plan,
    (answer, age): (&StoredAnswer, u64),
    envelope: &Envelope,
    names_target: bool,
) -> Response<ResponseBody> {
    exchange.cache_hit(answer.request, age);
    exchange.keep_plan(plan.record(health::now()));
    exchange.head(200, answer.streamed);
    exchange.answer(&answer.body);
    let mut response = Response::new(ResponseBody::answer(exchange, answer.body.clone()).await);
    let headers = response.headers_mut();
    headers.extend(answer.headers.clone());
    headers.insert(AGE, (age / 1_000).into());
    name_outcome(Some(CacheOutcome::Hit), headers);
    if names_target {
        headers.insert(COST, HeaderValue::from_static("0"));
        let model = answer.model.as_deref().or(envelope.model.as_deref());
        for (name, value) in [(PROVIDER, answer.provider.as_deref()), (MODEL, model)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
    }
    response
}

/// Adds the header that says whether the answer came from the cache.
pub(super) fn name_outcome(outcome: Option<CacheOutcome>, headers: &mut HeaderMap) {
    if let Some(outcome) = outcome {
        headers.insert(CACHE, HeaderValue::from_static(outcome.as_str()));
    }
}

// === impl Looked ===

impl Looked {
    /// Returns whether the cache had the answer; `None` if the route has no cache.
    pub(super) const fn outcome(&self) -> Option<CacheOutcome> {
        match self {
            Self::Off => None,
            Self::Bypass => Some(CacheOutcome::Bypass),
            Self::Miss(_) => Some(CacheOutcome::Miss),
            Self::Hit(..) => Some(CacheOutcome::Hit),
        }
    }
}
