//! What handlers take out of a request. The refusals have our error shape, which axum's own do not.

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

/// A body that is a JSON object. No body at all is an empty one.
#[derive(Debug)]
pub struct Body(pub Map<String, Value>);

/// The body as it came.
///
/// # Errors
/// [`Error::Body`] when it does not arrive in time or whole, or is larger than [`App::body_limit`].
pub async fn bytes_of<S>(request: Request, state: &S) -> Result<Bytes, Error>
where
    S: Send + Sync,
    App: FromRef<S>,
{
    let (head, body) = request.into_parts();
    Ok(signalbox_daemon::collect(&head.headers, body, App::from_ref(state).body_limit).await?)
}

/// How much of a content type is repeated in an error.
const SHOWN: usize = 100;

/// Whether a body that says it is of this type is taken as JSON.
///
/// `curl -d` calls whatever it sends a form, and scripts forget to say better: what says so and looks like an object is taken. No
/// page can send that behind a person's back: browsers escape the braces of a form, what they send as `text/plain` is
/// refused here, and pages that are not let in do not come this far at all (see [`signalbox_daemon::doors`]).
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
            // A segment that is no UTF-8, or no number where one is needed, names nothing.
            .map_err(|_| Error::NoRoute(parts.method.clone(), parts.uri.path().to_owned()))
    }
}

// === impl Body ===

impl Body {
    /// The fields, to be taken apart.
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
