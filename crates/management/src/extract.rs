//! Extractors for the handlers. Their rejections use the API's error format, unlike axum's own.

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::form::{Form, read};
use super::mistake::FieldMistake;
use super::once::DuplicateNames;
use super::{App, Error};

/// Segments of the path, percent-decoded.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// A body that is a JSON object, read into a struct of [`Field`](super::form::Field)s, and the form to check it with. A
/// missing body counts as an empty object.
#[derive(Debug)]
pub struct Body<T>(pub T, pub Form);

/// Reads the body as bytes, without a byte order mark.
///
/// # Errors
/// [`Error::Body`] if the body does not arrive in time or completely, or is larger than [`App::body_limit`];
/// [`Error::Encoded`] if it is compressed.
pub async fn bytes_of<S>(request: Request, state: &S) -> Result<Bytes, Error>
where
    S: Send + Sync,
    App: FromRef<S>,
{
    bytes_within(request, App::from_ref(state).body_limit).await
}

/// Reads a body of at most `limit` bytes that is declared as JSON. Its content is not checked.
///
/// # Errors
/// [`Error::NotJson`] for another content type, and those of [`bytes_of`].
pub async fn json_bytes(request: Request, limit: usize) -> Result<Bytes, Error> {
    let kind = kind_of(&request).unwrap_or_default();
    let bytes = bytes_within(request, limit).await?;
    if is_json(&kind, &bytes) { Ok(bytes) } else { Err(not_json(&kind)) }
}

fn kind_of(request: &Request) -> Option<String> {
    request.headers().get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned())
}

fn not_json(kind: &str) -> Error {
    Error::NotJson(kind.chars().take(MAX_QUOTED_CHARS).collect())
}

async fn bytes_within(request: Request, limit: usize) -> Result<Bytes, Error> {
    let (head, body) = request.into_parts();
    if let Some(coding) =
        head.headers.get(CONTENT_ENCODING).filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Error::Encoded(
            String::from_utf8_lossy(coding.as_bytes()).chars().take(MAX_QUOTED_CHARS).collect(),
        ));
    }
    let body = signalbox_daemon::collect(&head.headers, body, limit).await?;
    Ok(if body.starts_with(BYTE_ORDER_MARK) { body.slice(BYTE_ORDER_MARK.len()..) } else { body })
}

/// Byte order mark in UTF-8, which some editors and scripts write before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Maximum characters of a header that are repeated in an error.
const MAX_QUOTED_CHARS: usize = 100;

/// Returns whether a body with this content type is accepted as JSON.
///
/// `curl -d` declares every body a form, and scripts often omit the right type, so a declared form that looks like an
/// object is accepted. This gives web pages no way to send requests without the user's knowledge: browsers escape the
/// braces of a form, `text/plain` bodies are refused here, and pages that are not allowed are refused earlier (see
/// [`signalbox_daemon::host_origin_guard`]).
fn is_json(kind: &str, body: &[u8]) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*kind {
        "" | "application/json" => true,
        "application/x-www-form-urlencoded" => body.trim_ascii_start().starts_with(b"{"),
        kind => kind.starts_with("application/") && kind.ends_with("+json"),
    }
}

/// Parses JSON. A name that is given twice is a mistake, because one of the values would be ignored silently.
fn parse(json: &[u8]) -> Result<Value, Error> {
    let twice = DuplicateNames::default();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = twice.read(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    let value = read.map_err(|error| Error::Malformed(error.to_string()))?;
    let mistakes = twice.mistakes(&String::from_utf8_lossy(json));
    let mistakes: Vec<FieldMistake> = mistakes.into_iter().map(FieldMistake::of_path).collect();
    if mistakes.is_empty() { Ok(value) } else { Err(Error::Validation(mistakes)) }
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

impl<T, S> FromRequest<S> for Body<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
    App: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let kind = kind_of(&request);
        let bytes = bytes_of(request, state).await?;
        if bytes.is_empty() {
            let (body, form) = read(Map::new())?;
            return Ok(Self(body, form));
        }
        if let Some(kind) = kind
            && !is_json(&kind, &bytes)
        {
            return Err(not_json(&kind));
        }
        match parse(&bytes)? {
            Value::Object(fields) => {
                let (body, form) = read(fields)?;
                Ok(Self(body, form))
            }
            _ => Err(Error::invalid("body must be a JSON object")),
        }
    }
}
