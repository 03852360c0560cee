//! Query parameters of lists. Each type is read from requests and described in the OpenAPI document; see
//! [`query`](super::query).

use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};

use super::parameter::Parameter;

/// The page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Pages {
    /// Maximum number of entries.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    pub(super) limit: Parameter<i64>,
    /// Number of entries to skip.
    #[param(value_type = Option<i64>, minimum = 0)]
    pub(super) offset: Parameter<i64>,
}

/// Selects requests; filters combine.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct RequestFilter {
    /// Requests of this session.
    #[param(value_type = Option<String>)]
    pub(super) session_id: Parameter<String>,
    /// Requests for one of these models.
    #[param(schema_with = texts)]
    pub(super) model: Parameter<String>,
    /// Requests for a stream, or not for a stream.
    #[param(value_type = Option<bool>)]
    pub(super) stream: Parameter<bool>,
    /// Requests with one of these statuses.
    #[param(schema_with = statuses)]
    pub(super) status: Parameter<String>,
    /// Requests answered or last tried by one of these providers.
    #[param(schema_with = texts)]
    pub(super) provider_id: Parameter<String>,
    /// Requests of the client key with this id.
    #[param(value_type = Option<String>)]
    pub(super) key: Parameter<String>,
    /// Requests to this path.
    #[param(value_type = Option<String>)]
    pub(super) path: Parameter<String>,
    /// Requests whose answer took this many milliseconds or more.
    #[param(value_type = Option<i64>, minimum = 0)]
    pub(super) min_ms: Parameter<i64>,
    /// Requests whose answer took this many milliseconds or less.
    #[param(value_type = Option<i64>, minimum = 0)]
    pub(super) max_ms: Parameter<i64>,
    /// Requests with an error, or without.
    #[param(value_type = Option<bool>)]
    pub(super) has_error: Parameter<bool>,
    /// Requests with this text in their error, ignoring the case of ASCII letters.
    #[param(value_type = Option<String>, max_length = 500)]
    pub(super) error: Parameter<String>,
    /// Requests that arrived at this time or later, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    pub(super) start_date: Parameter<i64>,
    /// Requests that arrived at this time or earlier, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    pub(super) end_date: Parameter<i64>,
}

/// The sort order of requests.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct RequestOrder {
    /// The newest first, or the oldest first; `desc` by default.
    #[param(value_type = Option<String>, pattern = "^(asc|desc)?$")]
    pub(super) order: Parameter<String>,
}

/// Returns the schema of a parameter that may be repeated.
fn texts() -> Array {
    ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::String)).max_items(Some(50)).build()
}

/// Returns the schema of statuses.
fn statuses() -> Array {
    let words = "^(pending|completed|failed|truncated|cancelled|client_disconnected|interrupted)?$";
    let status = ObjectBuilder::new().schema_type(Type::String).pattern(Some(words));
    ArrayBuilder::new().items(status).max_items(Some(50)).build()
}

/// Selects responses; filters combine.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ResponseFilter {
    /// Responses of this session.
    #[param(value_type = Option<String>)]
    pub(super) session_id: Parameter<String>,
    /// Responses to the request with this UUID.
    #[param(value_type = Option<String>)]
    pub(super) request_id: Parameter<String>,
    /// Responses with this finish reason.
    #[param(value_type = Option<String>)]
    pub(super) finish_reason: Parameter<String>,
    /// Responses with an error, or without.
    #[param(value_type = Option<bool>)]
    pub(super) has_error: Parameter<bool>,
    /// Responses that ended at this time or later, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    pub(super) start_date: Parameter<i64>,
    /// Responses that ended at this time or earlier, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    pub(super) end_date: Parameter<i64>,
}

/// The sort order of sessions, the newest first.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionOrder {
    /// Sorts by the beginning of the session, or by its newest request.
    #[param(value_type = Option<String>, pattern = "^(created_at|last_accessed)?$")]
    pub(super) sort: Parameter<String>,
}

/// Selects models.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ModelFilter {
    /// Models with this capability.
    #[param(value_type = Option<String>)]
    pub(super) capability: Parameter<String>,
    /// Models served by this provider.
    #[param(value_type = Option<String>)]
    pub(super) provider: Parameter<String>,
}

/// Selects providers.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ProviderFilter {
    /// Providers of this type.
    #[param(value_type = Option<String>)]
    pub(super) r#type: Parameter<String>,
    /// `true` selects enabled providers; any other value selects disabled ones.
    #[param(value_type = Option<String>)]
    pub(super) enabled: Parameter<String>,
}

/// Selects changes; filters combine.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditFilter {
    /// The actor: `api:<address>`, `cli:<user>`, …
    #[param(value_type = Option<String>)]
    pub(super) actor: Parameter<String>,
    /// `created`, `updated`, `deleted`, or the method of a request.
    #[param(value_type = Option<String>)]
    pub(super) action: Parameter<String>,
    /// The kind of resource: `provider`, `model`, `setting`, …
    #[param(value_type = Option<String>)]
    pub(super) resource: Parameter<String>,
    /// The id of the resource.
    #[param(value_type = Option<String>)]
    pub(super) resource_id: Parameter<String>,
    /// The outcome of the change.
    #[param(value_type = Option<String>, pattern = "^(done|refused|failed)?$")]
    pub(super) outcome: Parameter<String>,
    /// The `X-Request-ID` of the response.
    #[param(value_type = Option<String>)]
    pub(super) request_id: Parameter<String>,
    /// Changes at this time or later, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    pub(super) start_date: Parameter<i64>,
    /// Changes before this time, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    pub(super) end_date: Parameter<i64>,
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
        assert_eq!(status["schema"]["items"]["pattern"], format!("^({})?$", words.join("|")));
    }
}
