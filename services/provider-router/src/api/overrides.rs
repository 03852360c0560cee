//! Overrides of the routing of one request.

use http::{HeaderMap, HeaderName};
use serde_json::Value;
use signalbox_core::overrides::{self, HEADER_PREFIX, Overrides};

use super::error::ApiError;
use crate::envelope::Envelope;

/// Other headers of requests with the same prefix.
const OTHERS: [&str; 5] = ["forwarded", "hops", "request", "service", "strict"];

/// Reads the overrides of a request from its headers and from the extension of its body; `None` if it has none.
///
/// # Errors
/// Returns every mistake.
pub(super) fn of(headers: &HeaderMap, envelope: &Envelope, body: &[u8]) -> Result<Option<Overrides>, ApiError> {
    let mut given = headers.iter().filter(|(name, _)| is_override(name)).peekable();
    if given.peek().is_none() && envelope.extension_at.is_none() {
        return Ok(None);
    }
    let headers = given.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let extension = envelope.extension_at.clone().and_then(|at| body.get(at));
    // The body has been read as JSON before.
    let extension = extension.and_then(|raw| serde_json::from_slice::<Value>(raw).ok());
    overrides::read(headers, extension).map(Some).map_err(ApiError::Overrides)
}

fn is_override(name: &HeaderName) -> bool {
    name.as_str().strip_prefix(HEADER_PREFIX).is_some_and(|rest| !OTHERS.contains(&rest))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use signalbox_core::Api;

    use super::*;

    #[test]
    fn headers_for_other_purposes_are_not_overrides() {
        let body = br#"{"messages":[1]}"#;
        let envelope = Envelope::parse(Api::Chat, body).unwrap();
        let mut headers = HeaderMap::new();
        for name in ["x-signalbox-strict", "x-signalbox-hops", "x-session-id"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        assert_eq!(of(&headers, &envelope, body).unwrap(), None);
        headers.insert("x-signalbox-region", HeaderValue::from_static("eu"));
        assert_eq!(of(&headers, &envelope, body).unwrap().unwrap().region.as_deref(), Some("eu"));
        headers.insert("x-signalbox-regin", HeaderValue::from_static("eu"));
        let refused = of(&headers, &envelope, body).unwrap_err();
        assert_eq!(
            (refused.status().as_u16(), refused.body().error.param.as_deref()),
            (400, Some("x-signalbox-regin"))
        );
    }
}
