//! Extractors for the handlers. Their rejections use the API's error format, unlike axum's own.

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::form::Form;
use super::{App, Error};

/// Segments of the path, percent-decoded.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// A body that is a JSON object. A missing body counts as an empty object.
#[derive(Debug)]
pub struct Body(pub Map<String, Value>);

/// Reads the body as bytes.
///
/// # Errors
/// [`Error::Body`] if the body does not arrive in time or completely, or is larger than [`App::body_limit`].
pub async fn bytes_of<S>(request: Request, state: &S) -> Result<Bytes, Error>
where
    S: Send + Sync,
    App: FromRef<S>,
{
    let (head, body) = request.into_parts();
    Ok(signalbox_daemon::collect(&head.headers, body, App::from_ref(state).body_limit).await?)
}

/// Maximum characters of a content type that are repeated in an error.
const SHOWN: usize = 100;

/// Returns whether a body with this content type is accepted as JSON.
///
/// `curl -d` declares every body a form, and scripts often omit the right type, so a declared form that looks like an
/// object is accepted. This gives web pages no way to send requests without the user's knowledge: browsers escape the
/// braces of a form, `text/plain` bodies are refused here, and pages that are not allowed are refused earlier (see
/// [`signalbox_daemon::doors`]).
fn is_json(kind: &str, body: &[u8]) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*kind {
        "" | "application/json" => true,
        "application/x-www-form-urlencoded" => body.trim_ascii_start().starts_with(b"{"),
        kind => kind.starts_with("application/") && kind.ends_with("+json"),
    }
}

// === impl Path ===

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(segments)| Self(segments))
            // A segment that is not UTF-8, or not a number where one is required, matches no resource.
            .map_err(|_| Error::NoRoute(parts.method.clone(), parts.uri.path().to_owned()))
    }
}

// === impl Body ===

impl Body {
    /// Returns the fields as a [`Form`].
    pub fn form(self) -> Form {
        Form::new(self.0)
    }
}

impl<S> FromRequest<S> for Body
where
    S: Send + Sync,
    App: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let kind =
            request.headers().get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
        let bytes = bytes_of(request, state).await?;
        if bytes.is_empty() {
            return Ok(Self(Map::new()));
        }
        if let Some(kind) = kind
            && !is_json(&kind, &bytes)
        {
            return Err(Error::NotJson(kind.chars().take(SHOWN).collect()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Error::invalid("body must be a JSON object")),
            Err(error) => Err(Error::Malformed(error.to_string())),
        }
    }
}
