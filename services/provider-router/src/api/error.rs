//! Errors that occur before a provider is called, in the form of the client's API. Only this module maps them to
//! statuses and codes.

use axum::{extract::rejection::QueryRejection, response::IntoResponse};
use http::{Extensions, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use hyper::ext::ReasonPhrase;
use signalbox_core::{Api, openai::ErrorBody, provider_config::Mistake};
use signalbox_daemon::{BodyError, Denied, Refusal, RequestContext, admin, host_origin_guard};
use signalbox_translate::{hub::Failure, write_error};
use uuid::Uuid;

use super::limit_headers;
use crate::{
    admission::NotAllowed,
    body::ResponseBody,
    body_memory::MemoryFull,
    catalog::CatalogUnavailable,
    clock::unix_ms,
    envelope::EnvelopeError,
    guard::Refused,
    journal::JournalUnavailable,
    ledger::{Denial, seconds},
    management::refused::ManagementError,
    route::RouteError,
    stored_responses::StoredError,
    streams::StreamError,
};

/// Header with which OpenAI and Anthropic tell their SDKs whether to repeat a request.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Status with which Anthropic says that it has too much to do.
const OVERLOADED: u16 = 529;

/// Reason why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The `Host` header is for another server, or the `Origin` is not allowed.
    #[error(transparent)]
    HostOrigin(#[from] host_origin_guard::Forbidden),
    /// The client key is missing or wrong, or too many wrong keys came from the client's address.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The key has no permission for the request.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// A guardrail refused the request.
    #[error(transparent)]
    Guarded(#[from] Refused),
    /// A limit or a budget of the key is reached.
    #[error(transparent)]
    Limited(#[from] Denial),
    /// A shutdown request that is not authorised.
    #[error(transparent)]
    NotLocal(#[from] admin::ShutdownDenied),
    /// The route is only for services of this installation.
    #[error("this route is for api-server; use /v1/requests/inflight, or cancel with POST /v1/requests/{{id}}/cancel")]
    ServiceOnly,
    /// The query is invalid.
    #[error("{0}")]
    Query(#[from] QueryRejection),
    /// `limit` of a list of items is out of range.
    #[error("`limit` must be a number from 1 to 100")]
    ItemLimit,
    /// `after` of a list of items names none of them.
    #[error("there is no item `{0}` to continue after; use `last_id` of the page before")]
    UnknownItem(String),
    /// The body is not a valid request of the API.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// No provider serves the model.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Mistakes in the overrides of the request.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Overrides(Vec<Mistake>),
    /// The parameter `explain` has another value.
    #[error("`explain` takes `dry-run`, not `{0}`: it returns the plan of the request without sending it")]
    Explain(String),
    /// The body cannot be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The memory for bodies is used up.
    #[error(transparent)]
    BodyMemory(#[from] MemoryFull),
    /// The body is compressed.
    #[error("request bodies must not be compressed (Content-Encoding: {0}); send the body as it is")]
    Encoded(String),
    /// The request has passed through too many routers.
    #[error("the request loops: the `baseURL` of a provider leads back to this router; change it")]
    Loop,
    /// The limit of requests in flight is reached.
    #[error("the router is at its limit of requests in flight; try again in a moment")]
    Overloaded,
    /// The request cannot be logged, and `journal.on_failure` is `refuse`.
    #[error(transparent)]
    Unlogged(#[from] JournalUnavailable),
    /// The named provider does not exist, or is disabled.
    #[error("there is no enabled provider `{0}`; `GET /v1/providers` lists all of them")]
    UnknownProvider(String),
    /// The named provider cannot be asked.
    #[error("the request to the provider `{provider}` failed: {reason}")]
    Provider {
        /// Id of the provider.
        provider: String,
        /// Reason of the failure.
        reason: String,
    },
    /// The named provider is disabled.
    #[error("the provider `{0}` is disabled; enable it first")]
    ProviderDisabled(String),
    /// The database, which is needed for the answer, is away.
    #[error("the database is unavailable: {0}; try again once it is back")]
    DatabaseUnavailable(#[from] CatalogUnavailable),
    /// A management request that is refused.
    #[error(transparent)]
    Management(#[from] ManagementError),
    /// An earlier answer that the request names cannot be used.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// A stream cannot be resumed as the client asks.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// An answer of the request log is asked for as a stream.
    #[error("the request log has this answer as a whole, not as events; ask for it without `stream=true`")]
    StoredStream,
    /// An answer that guardrails judge is asked for as a stream.
    #[error("guardrails judge this answer, which they can only do as a whole; ask for it without `stream=true`")]
    JudgedStream,
    /// Only answers in the background can be cancelled.
    #[error("this answer is not made in the background, so it cannot be cancelled; close the connection instead")]
    NotInBackground,
    /// The client asks for a WebSocket.
    #[error("this route has no WebSocket; send a POST request")]
    NoUpgrade,
    /// The conversations of Responses, which only their provider keeps, are asked for.
    #[error(
        "conversations are not kept here; continue an answer with `previous_response_id`, or send the conversation in \
         `input`"
    )]
    NoConversations,
    /// No route matches the path.
    #[error("no route for {0} {1}; `GET /` lists the routes")]
    NotFound(Method, String),
    /// The route does not support the method.
    #[error("{0} is not allowed on {1}; the header `Allow` lists the methods that are")]
    MethodNotAllowed(Method, String),
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::HostOrigin(forbidden) => forbidden.into(),
            Refusal::Key(denied) => denied.into(),
        }
    }
}

impl ApiError {
    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::HostOrigin(refused) => refused.status(),
            Self::Denied(denied) => denied.status(),
            Self::NotLocal(refused) => refused.status(),
            Self::ServiceOnly | Self::NotAllowed(_) | Self::Limited(Denial::Unpriced) => StatusCode::FORBIDDEN,
            Self::Guarded(refused) if refused.is_content() => StatusCode::BAD_REQUEST,
            Self::Guarded(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Limited(Denial::Spent { .. }) => StatusCode::PAYMENT_REQUIRED,
            Self::Limited(_) | Self::Route(RouteError::AtLimit { .. }) => StatusCode::TOO_MANY_REQUESTS,
            Self::Management(refused) => refused.status(),
            Self::Query(_)
            | Self::ItemLimit
            | Self::UnknownItem(_)
            | Self::Envelope(_)
            | Self::Route(RouteError::MissingModel(_) | RouteError::NoMatch { .. })
            | Self::Overrides(_)
            | Self::Explain(_)
            | Self::ProviderDisabled(_) => StatusCode::BAD_REQUEST,
            Self::Route(RouteError::NoTarget { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Route(RouteError::UnknownModel(_))
            | Self::UnknownProvider(_)
            | Self::NoConversations
            | Self::NotFound(..) => StatusCode::NOT_FOUND,
            Self::Body(error) => error.status(),
            Self::Encoded(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Stored(StoredError::NotFound { .. }) => StatusCode::NOT_FOUND,
            Self::Stored(StoredError::Unavailable(_) | StoredError::NotLoaded(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Stream(StreamError::Unknown(_)) => StatusCode::NOT_FOUND,
            Self::Stream(StreamError::PushedOut { .. }) => StatusCode::GONE,
            Self::Stream(_) | Self::NotInBackground | Self::StoredStream | Self::JudgedStream => {
                StatusCode::BAD_REQUEST
            }
            Self::NoUpgrade => StatusCode::UPGRADE_REQUIRED,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Overloaded | Self::BodyMemory(_) | Self::Unlogged(_) | Self::DatabaseUnavailable(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Provider { .. } => StatusCode::BAD_GATEWAY,
            Self::MethodNotAllowed(..) => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// Returns whether the gateway has too much to do at the moment.
    const fn is_overload(&self) -> bool {
        matches!(self, Self::Overloaded | Self::BodyMemory(_) | Self::Body(BodyError::ArrivingLimit))
    }

    /// Returns the body of the response.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        const REQUEST: &str = "invalid_request_error";
        let (kind, code, param) = match self {
            Self::HostOrigin(refused) => (refused.kind(), refused.code(), None),
            Self::Denied(denied) => (denied.kind(), denied.code(), None),
            Self::NotLocal(refused) => ("permission_error", refused.code(), None),
            Self::ServiceOnly => ("permission_error", "service_only", None),
            Self::NotAllowed(NotAllowed::Model(_)) => ("permission_error", "model_not_allowed", Some("model")),
            Self::NotAllowed(_) => ("permission_error", "api_not_allowed", None),
            Self::Guarded(refused) if refused.is_content() => (REQUEST, refused.code(), None),
            Self::Guarded(refused) => ("server_error", refused.code(), None),
            Self::Limited(Denial::Spent { .. }) => ("insufficient_quota", "budget_exceeded", None),
            Self::Limited(Denial::Reserved { .. }) => ("rate_limit_error", "budget_reserved", None),
            Self::Limited(Denial::Unpriced) => ("permission_error", "price_unknown", Some("model")),
            Self::Limited(_) => ("rate_limit_error", "rate_limit_exceeded", None),
            Self::Management(refused) => (refused.kind(), refused.code(), None),
            Self::Query(_) => (REQUEST, "invalid_query", None),
            Self::ItemLimit => (REQUEST, "invalid_value", Some("limit")),
            Self::UnknownItem(_) => (REQUEST, "invalid_value", Some("after")),
            Self::Envelope(EnvelopeError::MissingSubject { field, .. }) => {
                (REQUEST, "missing_required_parameter", Some(*field))
            }
            Self::Envelope(EnvelopeError::Malformed { .. } | EnvelopeError::MalformedDirect { .. }) => {
                (REQUEST, "invalid_json", None)
            }
            Self::Envelope(EnvelopeError::MissingMessages) => (REQUEST, "missing_required_parameter", Some("messages")),
            Self::Envelope(EnvelopeError::MissingInput) => (REQUEST, "missing_required_parameter", Some("input")),
            Self::Envelope(EnvelopeError::InvalidMessages) => (REQUEST, "invalid_type", Some("messages")),
            Self::Route(RouteError::MissingModel(_)) => (REQUEST, "missing_required_parameter", Some("model")),
            Self::Route(RouteError::UnknownModel(_)) => (REQUEST, "model_not_found", Some("model")),
            Self::Route(RouteError::NoTarget { .. }) => ("server_error", "no_usable_target", Some("model")),
            Self::Route(RouteError::AtLimit { .. }) => ("rate_limit_error", "rate_limit_exceeded", None),
            Self::Route(RouteError::NoMatch { .. }) => (REQUEST, "no_matching_target", Some("model")),
            Self::Overrides(_) => (REQUEST, "invalid_value", None),
            Self::Explain(_) => (REQUEST, "invalid_value", Some("explain")),
            Self::Body(error) => (error.kind(), error.code(), None),
            Self::Encoded(_) => (REQUEST, "unsupported_content_encoding", None),
            Self::Loop => (REQUEST, "loop_detected", None),
            Self::Overloaded | Self::BodyMemory(_) => ("overloaded_error", "overloaded", None),
            Self::Unlogged(_) => ("server_error", "log_unavailable", None),
            Self::UnknownProvider(_) => (REQUEST, "provider_not_found", Some("provider")),
            Self::ProviderDisabled(_) => ("provider_disabled_error", "provider_disabled", Some("provider")),
            Self::DatabaseUnavailable(_) => ("server_error", "database_unavailable", None),
            Self::Provider { .. } => ("upstream_error", "upstream_unavailable", None),
            Self::Stored(StoredError::NotFound { .. }) => (REQUEST, "response_not_found", None),
            Self::Stored(StoredError::Unavailable(_)) => ("server_error", "database_unavailable", None),
            Self::Stored(StoredError::NotLoaded(_)) => ("server_error", "log_behind", None),
            Self::Stream(StreamError::Unknown(_)) => (REQUEST, "stream_not_found", None),
            Self::Stream(StreamError::PushedOut { .. }) => (REQUEST, "stream_events_gone", None),
            Self::Stream(StreamError::Malformed { param, .. }) => (REQUEST, "invalid_value", Some(*param)),
            Self::Stream(_) => (REQUEST, "invalid_value", Some("Last-Event-ID")),
            Self::NotInBackground => (REQUEST, "not_in_background", None),
            Self::StoredStream | Self::JudgedStream => (REQUEST, "unsupported_parameter", Some("stream")),
            Self::NoUpgrade => (REQUEST, "upgrade_required", None),
            Self::NoConversations | Self::NotFound(..) => (REQUEST, "not_found", None),
            Self::MethodNotAllowed(..) => (REQUEST, "method_not_allowed", None),
        };
        let body = ErrorBody::new(kind, code, self.to_string());
        match (self, param) {
            (Self::Overrides(mistakes), _) if !mistakes.is_empty() => body.param(mistakes[0].path.clone()),
            (_, Some(param)) => body.param(param),
            (_, None) => body,
        }
    }

    /// Returns the body of the response for a client of `api`; `id` is that of the request.
    #[must_use]
    pub fn body_for(&self, api: Api, id: Uuid) -> Vec<u8> {
        let body = self.body();
        if api != Api::Messages {
            return body.to_json().into();
        }
        let code = body.error.code.clone().unwrap_or_default();
        let failure = Failure::of_status(self.status().as_u16(), &code, body.error.message);
        write_error(api, &failure, &id.simple().to_string()).1
    }

    /// Builds the complete response for a client of `api`; `id` is that of the request.
    #[must_use]
    pub fn response_for(&self, api: Api, id: Uuid) -> Response<ResponseBody> {
        let mut response = self.response();
        if let Self::Limited(denial) = self
            && let Some(quotas) = denial.quotas()
        {
            limit_headers::add(response.headers_mut(), quotas, api, unix_ms());
        }
        if api == Api::Messages {
            *response.body_mut() = ResponseBody::whole(self.body_for(api, id));
            if self.is_overload()
                && let Ok(overloaded) = StatusCode::from_u16(OVERLOADED)
            {
                *response.status_mut() = overloaded;
                // hyper would write `<none>` as the reason phrase.
                response.extensions_mut().insert(ReasonPhrase::from_static(b"Overloaded"));
            }
        }
        response
    }

    /// Builds the complete response in OpenAI's form.
    #[must_use]
    pub fn response(&self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::whole(self.body().to_json()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Self::Overloaded
            | Self::BodyMemory(_)
            | Self::Unlogged(_)
            | Self::DatabaseUnavailable(_)
            | Self::Stored(StoredError::Unavailable(_) | StoredError::NotLoaded(_))
            | Self::Body(BodyError::ArrivingLimit)
            | Self::Guarded(Refused::Unavailable { .. })
            | Self::Management(ManagementError::Unavailable(_)) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Management(ManagementError::Unauthorized) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Limited(denial) => match denial.retry_after() {
                Some(wait) => drop(headers.insert(header::RETRY_AFTER, seconds(wait).into())),
                None => drop(headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"))),
            },
            Self::Route(RouteError::AtLimit { wait_ms, .. }) => {
                headers.insert(header::RETRY_AFTER, wait_ms.div_ceil(1_000).into());
            }
            Self::Denied(denied) => match denied.retry_after() {
                Some(seconds) => drop(headers.insert(header::RETRY_AFTER, seconds.into())),
                None if denied.status() == StatusCode::UNAUTHORIZED => {
                    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                }
                None => {}
            },
            _ => {}
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> axum::response::Response {
        self.response().map(axum::body::Body::new)
    }
}

/// Builds the response to a request for `path`, in the form of the API that the path belongs to.
pub fn respond(error: &ApiError, path: &str, extensions: &Extensions) -> Response<ResponseBody> {
    let is_of_messages = path.strip_prefix("/v1/messages").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let api = if is_of_messages { Api::Messages } else { Api::Chat };
    error.response_for(api, RequestContext::of(extensions).id())
}

/// Handles every path without a route.
pub async fn not_found(method: Method, uri: Uri, extensions: Extensions) -> axum::response::Response {
    let rest = uri.path().strip_prefix("/v1/conversations");
    let error = match rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        true => ApiError::NoConversations,
        false => ApiError::NotFound(method, uri.path().to_owned()),
    };
    respond(&error, uri.path(), &extensions).map(axum::body::Body::new)
}

/// Handles methods that a route does not support.
pub async fn method_not_allowed(method: Method, uri: Uri, extensions: Extensions) -> axum::response::Response {
    let error = ApiError::MethodNotAllowed(method, uri.path().to_owned());
    respond(&error, uri.path(), &extensions).map(axum::body::Body::new)
}
