//! A request for a model, as inference and the counts of tokens read and route it.

use bytes::Bytes;
use http::{HeaderMap, header};
use signalbox_core::overrides::Overrides;
use signalbox_daemon::{Caller, collect};
use signalbox_pricing::Table;

use super::{error::ApiError, overrides};
use crate::{
    admission,
    app::App,
    body_memory::{BodyMemory, MemoryFull},
    catalog::Snapshot,
    envelope::{Envelope, EnvelopeError, without_bom, without_extension},
    health, hops,
    owners::Owner,
    route::{self, Plan, RequestFacts, RouteError},
    stored_responses,
};

/// A request that has been read.
#[derive(Debug)]
pub(super) struct Received {
    /// Body as sent by the client.
    pub(super) sent: Bytes,
    /// Body without the extension for this gateway.
    pub(super) body: Bytes,
    /// Fields of the body.
    pub(super) envelope: Envelope,
    /// Overrides that the request asks for.
    pub(super) overrides: Option<Overrides>,
}

/// Returns the target that made an answer, as far as the caller may use the answer; `None` if it is not known.
pub(super) async fn owner(app: &App, id: &str, caller: Option<&Caller>) -> Option<Owner> {
    match app.owners.find(id, caller) {
        Some(owner) => Some(owner),
        None => stored_responses::logged_owner(&app.store, id, caller).await,
    }
}

/// Returns the plan of a request, after the check that its client may ask for the model. `permission` is the word of
/// the API.
///
/// # Errors
/// Returns the permission that is missing.
pub(super) fn planned(
    app: &App,
    catalog: &Snapshot,
    facts: &RequestFacts<'_>,
    prices: Option<&Table>,
    (caller, permission): (Option<&Caller>, &'static str),
) -> Result<Result<Plan, RouteError>, ApiError> {
    let plan = route::plan(catalog, facts, prices, health::now(), &mut app.seeds.rng());
    let of_plan = || plan.as_ref().ok()?.candidates.first()?.model.as_deref();
    admission::check(caller, permission, facts.model.or_else(of_plan))?;
    admission::check_fallbacks(caller, facts.body)?;
    Ok(plan)
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

// === impl Received ===

impl Received {
    /// Reads a request. `parse` reads the fields of a body of its API; another body counts in `memory`.
    ///
    /// # Errors
    /// Returns the mistakes in its fields and overrides.
    pub(super) fn read(
        (headers, memory): (&HeaderMap, &BodyMemory),
        sent: Bytes,
        parse: impl Fn(&[u8]) -> Result<Envelope, EnvelopeError>,
    ) -> Result<Self, ApiError> {
        let envelope = parse(&sent)?;
        let overrides = overrides::of(headers, &envelope, &sent)?;
        // The extension is for this gateway only.
        let (envelope, body) = match &envelope.extension_at {
            None => (envelope, sent.clone()),
            Some(at) => {
                let body = memory.hold_copy(without_extension(&sent, at));
                (parse(&body)?, body)
            }
        };
        Ok(Self { sent, body, envelope, overrides })
    }
}
