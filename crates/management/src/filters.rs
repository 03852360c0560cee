//! Query parameters of lists, for the OpenAPI document. See `bodies` for the reason why no value of these types is
//! constructed.
#![expect(dead_code, reason = "only used for the OpenAPI document")]

use utoipa::IntoParams;

/// The page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Pages {
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// Number of entries to skip.
    #[param(minimum = 0)]
    offset: Option<i64>,
}

/// Selects requests; filters combine.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RequestFilter {
    /// Requests of this session.
    session_id: Option<String>,
    /// Requests for this model.
    model: Option<String>,
    /// Requests for a stream, or not for a stream.
    stream: Option<bool>,
    /// Requests with this status.
    #[param(pattern = "^(pending|completed|failed|truncated|cancelled|client_disconnected|interrupted)?$")]
    status: Option<String>,
    /// Requests answered or last tried by this provider.
    provider_id: Option<String>,
    /// Requests that arrived at this time or later, in milliseconds since 1970.
    start_date: Option<i64>,
    /// Requests that arrived at this time or earlier, in milliseconds since 1970.
    end_date: Option<i64>,
}

/// Selects responses; filters combine.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ResponseFilter {
    /// Responses of this session.
    session_id: Option<String>,
    /// Responses to the request with this UUID.
    request_id: Option<String>,
    /// Responses with this finish reason.
    finish_reason: Option<String>,
    /// Responses with an error, or without.
    has_error: Option<bool>,
    /// Responses that ended at this time or later, in milliseconds since 1970.
    start_date: Option<i64>,
    /// Responses that ended at this time or earlier, in milliseconds since 1970.
    end_date: Option<i64>,
}

/// The sort order of sessions, the newest first.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionOrder {
    /// Sorts by the beginning of the session, or by its newest request.
    #[param(pattern = "^(created_at|last_accessed)?$")]
    sort: Option<String>,
}

/// Selects models.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ModelFilter {
    /// Models with this capability.
    capability: Option<String>,
    /// Models served by this provider.
    provider: Option<String>,
}

/// Selects providers.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ProviderFilter {
    /// Providers of this type.
    r#type: Option<String>,
    /// `true` selects enabled providers; any other value selects disabled ones.
    enabled: Option<String>,
}

/// Selects changes; filters combine.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditFilter {
    /// The actor: `api:<address>`, `cli:<user>`, …
    actor: Option<String>,
    /// `created`, `updated`, `deleted`, or the method of a request.
    action: Option<String>,
    /// The kind of resource: `provider`, `model`, `setting`, …
    resource: Option<String>,
    /// The id of the resource.
    resource_id: Option<String>,
    /// The outcome of the change.
    #[param(pattern = "^(done|refused|failed)?$")]
    outcome: Option<String>,
    /// The `X-Request-ID` of the response.
    request_id: Option<String>,
    /// Changes at this time or later, in milliseconds since 1970.
    start_date: Option<i64>,
    /// Changes before this time, in milliseconds since 1970.
    end_date: Option<i64>,
}

#[cfg(test)]
mod tests {
    use signalbox_core::schema::RequestStatus;

    use super::*;

    #[test]
    fn every_status_is_a_valid_filter() {
        let words: Vec<&str> = RequestStatus::ALL.iter().map(|(_, word)| *word).collect();
        let parameters = serde_json::to_value(RequestFilter::into_params(|| None)).unwrap();
        let status = parameters.as_array().unwrap().iter().find(|parameter| parameter["name"] == "status").unwrap();
        assert_eq!(status["schema"]["pattern"], format!("^({})?$", words.join("|")));
    }
}
