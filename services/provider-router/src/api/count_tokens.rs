//! `POST /v1/messages/count_tokens` and `/v1/responses/input_tokens`: the number of tokens of a prompt.
//!
//! A provider that speaks the API counts them. For any other, the number is estimated from the length of the texts, and
//! the response says so in `x-signalbox-estimate`. Claude Code asks for the size of its context here; without the route
//! it sends whole prompts to find out. These requests are not logged: they have no answer of a model.

use std::sync::Arc;

use axum::{body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header, request::Parts};
use signalbox_core::{Api, json::Reader, schema::GuardRules};
use signalbox_daemon::RequestContext;
use signalbox_upstream::Deadlines;

use super::{
    error::ApiError,
    guarded::{self, Judged},
    received::{Received, planned, read_body},
};
use crate::{
    app::App,
    clock,
    envelope::{Envelope, add_query, forwarded_query},
    provider::Adapter,
    route::RequestFacts,
    token_estimate,
};

const ESTIMATE: HeaderName = HeaderName::from_static("x-signalbox-estimate");
/// Maximum bytes of a provider's response.
const MAX_RESPONSE: usize = 1 << 20;

/// Answers a request of Messages.
pub(super) async fn of_messages(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    count(&app, Api::Messages, request).await
}

/// Answers a request of Responses.
pub(super) async fn of_responses(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    count(&app, Api::Responses, request).await
}

async fn count(app: &App, api: Api, request: Request<Body>) -> Response {
    let context = RequestContext::of(request.extensions());
    let (head, body) = request.into_parts();
    let answered = match read_body(app, &head.headers, body).await {
        Ok(body) => answer(app, api, &head, body, &context).await,
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(|error| error.response_for(api, context.id()).map(Body::new))
}

async fn answer(
    app: &App,
    api: Api,
    Parts { headers, extensions, uri, .. }: &Parts,
    body: Bytes,
    context: &RequestContext,
) -> Result<Response, ApiError> {
    let Received { body, envelope, overrides, .. } =
        Received::read((headers, &app.body_memory), body, |body| Envelope::parse(api, body))?;
    let facts = RequestFacts {
        model: envelope.model.as_deref(),
        session: None,
        body: &body,
        unix_ms: clock::unix_ms(),
        overrides: overrides.as_ref(),
        owner: None,
        stream: envelope.stream,
        takes_turn: false,
    };
    let prices = app.prices.current();
    let caller = (extensions.get(), api.as_str());
    let plan = planned(app, &app.catalog.current(), &facts, prices.as_deref(), caller)??;
    // Counting has no limits, so it must not make the hook work: a prompt that it has to judge stays here.
    let rules = guarded::rules(app, Some(&plan), extensions.get());
    let asks_hook = rules.is_some_and(|rules| rules.hook);
    let judged = match rules {
        Some(rules) => {
            let rules = GuardRules { hook: false, ..rules };
            guarded::judge(app, rules, &plan, extensions.get(), (&envelope, &body), context.id()).await?
        }
        None => Judged::default(),
    };
    let (body, envelope) = match judged.passed.replaced {
        Some(body) => {
            let envelope = Envelope::parse(api, &body)?;
            (body, envelope)
        }
        None => (body, envelope),
    };
    let counting = plan.candidates.iter().find_map(|candidate| match &candidate.provider.adapter {
        Adapter::Remote(remote) if remote.apis.contains(&api) => Some((remote, candidate)),
        _ => None,
    });
    if let Some((remote, candidate)) = counting.filter(|_| !asks_hook) {
        let renamed =
            candidate.model.as_deref().map_or_else(|| body.clone(), |model| envelope.with_model(&body, model));
        let mut request = remote.count_tokens(api, renamed, headers, &context.id().to_string());
        if let Some(query) = forwarded_query(uri.query()) {
            add_query(request.uri_mut(), &query);
        }
        let deadlines = Deadlines { total: app.deadlines().headers, ..app.deadlines() };
        // A server that speaks the API need not have this route: the number is estimated then.
        if let Ok(response) = app.client.send(&remote.target, request, &deadlines).await
            && response.status().is_success()
            && let Ok(counted) = axum::body::to_bytes(Body::new(response.into_body()), MAX_RESPONSE).await
            && Reader::new(&counted).value().is_some_and(|counted| counted["input_tokens"].is_u64())
        {
            return Ok(json(counted));
        }
    }
    let estimate = token_estimate::average(&body);
    let object = if api == Api::Responses { "\"object\":\"response.input_tokens\"," } else { "" };
    let mut response = json(format!("{{{object}\"input_tokens\":{estimate}}}").into());
    response.headers_mut().insert(ESTIMATE, HeaderValue::from_static("true"));
    Ok(response)
}

fn json(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
