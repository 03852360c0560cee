//! What lists take in their query, for the OpenAPI document. See `bodies` for why nothing is made of these types.
#![expect(dead_code, reason = "see above")]

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Which piece of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Pages {
    /// At most so many.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// So many are skipped.
    #[param(minimum = 0)]
    offset: Option<i64>,
}

/// Which requests; what is given is combined.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RequestFilter {
    /// Of this session.
    session_id: Option<String>,
    /// That asked for this model.
    model: Option<String>,
    /// That asked for a stream, or did not.
    stream: Option<bool>,
    /// That ended this way.
    #[param(inline)]
    status: Option<StatusWord>,
    /// That this provider answered, or was the last to try.
    provider_id: Option<String>,
    /// That arrived at this time or later, in milliseconds since 1970.
    start_date: Option<i64>,
    /// That arrived at this time or earlier, in milliseconds since 1970.
    end_date: Option<i64>,
}

/// How a request ended.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum StatusWord {
    /// As if it were absent.
    #[serde(rename = "")]
    Unsaid,
    Pending,
    Completed,
    Failed,
    Truncated,
    Cancelled,
    ClientDisconnected,
    Interrupted,
}

/// Which answers; what is given is combined.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ResponseFilter {
    /// Of this session.
    session_id: Option<String>,
    /// To the request with this UUID.
    request_id: Option<String>,
    /// That finished for this reason.
    finish_reason: Option<String>,
    /// With an error, or without.
    has_error: Option<bool>,
    /// That ended at this time or later, in milliseconds since 1970.
    start_date: Option<i64>,
    /// That ended at this time or earlier, in milliseconds since 1970.
    end_date: Option<i64>,
}

/// The newest first, by which time.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionOrder {
    /// When it began, or when its newest request arrived.
    #[param(inline)]
    sort: Option<SessionSort>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SessionSort {
    /// As if it were absent.
    #[serde(rename = "")]
    Unsaid,
    CreatedAt,
    LastAccessed,
}

/// Which models.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ModelFilter {
    /// That have this capability.
    capability: Option<String>,
    /// That this provider serves.
    provider: Option<String>,
}

/// Which providers.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ProviderFilter {
    /// Of this type.
    r#type: Option<String>,
    /// `true`: those that are enabled. Anything else: those that are not.
    enabled: Option<String>,
}

/// Which changes; what is given is combined.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditFilter {
    /// By them: `api:<address>`, `cli:<user>`, …
    actor: Option<String>,
    /// `created`, `updated`, `deleted`, or the method of a request.
    action: Option<String>,
    /// The kind of thing: `provider`, `model`, `setting`, …
    resource: Option<String>,
    /// Which one of them.
    resource_id: Option<String>,
    #[param(inline)]
    outcome: Option<AuditOutcome>,
    /// The `X-Request-ID` of an answer.
    request_id: Option<String>,
    /// At this time or later, in milliseconds since 1970.
    start_date: Option<i64>,
    /// Before this time, in milliseconds since 1970.
    end_date: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AuditOutcome {
    /// As if it were absent.
    #[serde(rename = "")]
    Unsaid,
    Done,
    Refused,
    Failed,
}
