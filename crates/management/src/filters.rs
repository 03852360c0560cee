//! What lists take in their query, for the OpenAPI document. See `bodies` for why nothing is made of these types.
#![expect(dead_code, reason = "see above")]

use utoipa::IntoParams;

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
    #[param(pattern = "^(pending|completed|failed|truncated|cancelled|client_disconnected|interrupted)?$")]
    status: Option<String>,
    /// That this provider answered, or was the last to try.
    provider_id: Option<String>,
    /// That arrived at this time or later, in milliseconds since 1970.
    start_date: Option<i64>,
    /// That arrived at this time or earlier, in milliseconds since 1970.
    end_date: Option<i64>,
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
    #[param(pattern = "^(created_at|last_accessed)?$")]
    sort: Option<String>,
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
    /// How it ended.
    #[param(pattern = "^(done|refused|failed)?$")]
    outcome: Option<String>,
    /// The `X-Request-ID` of an answer.
    request_id: Option<String>,
    /// At this time or later, in milliseconds since 1970.
    start_date: Option<i64>,
    /// Before this time, in milliseconds since 1970.
    end_date: Option<i64>,
}

#[cfg(test)]
mod tests {
    use signalbox_core::schema::RequestStatus;

    use super::*;

    #[test]
    fn every_status_can_be_asked_for() {
        let words: Vec<&str> = RequestStatus::ALL.iter().map(|(_, word)| *word).collect();
        let parameters = serde_json::to_value(RequestFilter::into_params(|| None)).unwrap();
        let status = parameters.as_array().unwrap().iter().find(|parameter| parameter["name"] == "status").unwrap();
        assert_eq!(status["schema"]["pattern"], format!("^({})?$", words.join("|")));
    }
}
