//! `/api/session`: signing in with the control token, and signing out.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{Extensions, HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use signalbox_management::form::Field;
use utoipa::ToSchema;

use super::error_schemas::Failure;
use super::extract::Body;
use super::{App, Error};

/// The control token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// As `api-server token` prints it.
    #[serde(default)]
    #[schema(value_type = String, write_only, required = true)]
    token: Field<String>,
}

/// Whether the sender is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignedIn {
    /// Whether the token was right, and a session has begun.
    signed_in: bool,
    /// Whether the control token is asked for. If not, requests need no session.
    token_required: bool,
}

/// Signs a browser in: its further requests carry a cookie instead of the control token, for twelve hours.
///
/// Where no token is required, nothing is checked, no cookie is set, and `signed_in` is false.
#[utoipa::path(
    post, path = super::SESSION, tag = "session", request_body = SignIn,
    responses(
    (status = 200, description = "Signed in, with a cookie; or no token is required", body = SignedIn),
    (status = 401, description = "The token is wrong", body = Failure),
    ),
)]
pub(super) async fn open(
    State(app): State<App>,
    extensions: Extensions,
    Body(SignIn { token }, mut form): Body<SignIn>,
) -> Result<Response, Error> {
    const MISTAKE: &str = "token is required and must be a string";
    let token = form.required_text(token, MISTAKE);
    form.finish()?;
    app.keys.admit_with(&HeaderMap::new(), Some(&token), extensions.get())?;
    let token_required = !app.keys.is_empty();
    let cookie = if token_required { app.sessions.open() } else { None };
    Ok(with_cookie(SignedIn { signed_in: cookie.is_some(), token_required }, cookie))
}

/// Signs a browser out: its session ends on the server, and its cookie is removed.
#[utoipa::path(
    delete, path = super::SESSION, tag = "session",
    responses((status = 200, description = "Signed out", body = SignedIn)),
)]
pub(super) async fn close(State(app): State<App>, headers: HeaderMap) -> Response {
    let cookie = app.sessions.close(&headers);
    with_cookie(SignedIn { signed_in: false, token_required: !app.keys.is_empty() }, cookie)
}

fn with_cookie(state: SignedIn, cookie: Option<HeaderValue>) -> Response {
    let mut response = Json(state).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = cookie {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}
