//! Routes of `/api/requests/{id}/body/{kind}`: one body of a request, as it was.

use std::ops::Range;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{StatusCode, header::HeaderName};
use serde::de::IgnoredAny;
use signalbox_store::requests::{self, BodyKind, StoredBody};

use super::key;
use crate::error::{ResourceKind, StoreErrorExt as _};
use crate::extract::Path;
use crate::{App, Error};

/// The part of a body that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Range(Range<usize>),
    /// The range begins after the end of the body.
    Beyond,
}

/// Returns one body of a request: `asked`, as the client sent it; `sent`, as it went to the provider; `answered`, the
/// answer as one document.
///
/// A body never changes, so it can be kept under its `ETag`. One range of bytes may be asked for.
#[utoipa::path(
    get, path = "/api/requests/{id}/body/{kind}", tag = "requests",
    params(
        ("id" = String, Path, description = "A number or a UUID"),
        ("kind" = String, Path, pattern = "^(asked|sent|answered)$"),
        ("Range" = Option<String>, Header, description = "One range, such as `bytes=0-1023`"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier response"),
    ),
    responses(
        (status = 200, description = "The body", content(
            (serde_json::Value = "application/json"), (String = "text/plain; charset=utf-8"),
        )),
        (status = 206, description = "The range", content(
            (String = "application/json"), (String = "text/plain; charset=utf-8"),
        )),
        (status = 304, description = "The body is the one with this `ETag`"),
        (status = 404, description = "`request_not_found`, or `body_not_found`: there is none, or it is not kept",
         body = crate::error_schemas::Failure),
        (status = 416, description = "The range begins after the end of the body",
         body = crate::error_schemas::Failure),
    ),
)]
pub(in super::super) async fn body(
    State(app): State<App>,
    Path((id, kind)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let name = kind;
    let kind = match &*name {
        "asked" => BodyKind::Asked,
        "sent" => BodyKind::Sent,
        "answered" => BodyKind::Answered,
        _ => return Err(Error::Missing { what: ResourceKind::Body, id: name }),
    };
    let body = requests::body(&app.store, &key(&id), kind).await.or_missing(ResourceKind::Request, &id)?;
    let body = body.ok_or_else(|| Error::Missing { what: ResourceKind::Body, id: format!("{id}/{name}") })?;
    respond(body, &name, &headers)
}

fn respond(body: StoredBody, name: &str, headers: &HeaderMap) -> Result<Response, Error> {
    let StoredBody { request_id, text, is_as_asked } = body;
    let tag = tag(&request_id, if is_as_asked { "asked" } else { name }, text.len());
    let common = [
        (header::ETAG, tag.clone()),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        // The body may be deleted, so each use is checked.
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (HeaderName::from_static("x-signalbox-as-asked"), HeaderValue::from_static(as_word(is_as_asked))),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|given| names(given, &tag)) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
    let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
    // A range of another body than the one the client has begun to read would be useless.
    let is_same = headers.get(header::IF_RANGE).is_none_or(|given| *given == tag);
    let asked = headers.get(header::RANGE).filter(|_| is_same).and_then(|range| range.to_str().ok());
    let length = text.len();
    let bytes = Bytes::from(text);
    match asked.map_or(Part::Whole, |asked| part(asked, length)) {
        Part::Whole => Ok((common, kind, bytes).into_response()),
        Part::Range(range) => {
            let place = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            Ok((StatusCode::PARTIAL_CONTENT, common, kind, [(header::CONTENT_RANGE, place)], bytes.slice(range))
                .into_response())
        }
        Part::Beyond => Err(Error::Beyond(length)),
    }
}

const fn as_word(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// Returns the tag of a body. Its request and its length identify it, because a body does not change.
fn tag(request_id: &str, name: &str, length: usize) -> HeaderValue {
    let id: String = request_id.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '-').collect();
    HeaderValue::try_from(format!("\"{id}-{name}-{length}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Returns whether a list of tags has this one.
fn names(list: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(list), Ok(tag)) = (list.to_str(), tag.to_str()) else { return false };
    list.trim() == "*" || list.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}

/// Parses the header `Range`. Several ranges, other units and mistakes select the whole body, as RFC 9110 has it.
fn part(asked: &str, length: usize) -> Part {
    let Some((first, last)) = asked.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Part::Whole;
    };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<usize>().ok());
    match (number(first).flatten(), number(last).flatten()) {
        (None, Some(0)) if first.is_empty() => Part::Beyond,
        (None, Some(_)) if first.is_empty() && length == 0 => Part::Beyond,
        (None, Some(count)) if first.is_empty() => Part::Range(length.saturating_sub(count)..length),
        (Some(first), None) if last.is_empty() && first < length => Part::Range(first..length),
        (Some(from), Some(to)) if from <= to && from < length => Part::Range(from..to.saturating_add(1).min(length)),
        (Some(_), None) if last.is_empty() => Part::Beyond,
        (Some(from), Some(to)) if from <= to => Part::Beyond,
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_within_the_body() {
        for (asked, range) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-9", 0..10),
            ("bytes=3-", 3..10),
            ("bytes=-4", 6..10),
            ("bytes=-40", 0..10),
            ("bytes=9-18446744073709551615", 9..10),
        ] {
            assert_eq!(part(asked, 10), Part::Range(range), "{asked}");
        }
        for asked in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(part(asked, 10), Part::Beyond, "{asked}");
        }
        for asked in
            ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=4-3", "bytes=0-1,3-4", "lines=0-1", "bytes=+1-2"]
        {
            assert_eq!(part(asked, 10), Part::Whole, "{asked}");
        }
        assert_eq!(part("bytes=-5", 0), Part::Beyond);
        assert_eq!(part("bytes=0-", 0), Part::Beyond);
    }

    #[test]
    fn a_tag_is_found_in_a_list() {
        let tag = tag("12ab", "asked", 7);
        assert_eq!(tag, "\"12ab-asked-7\"");
        for list in ["\"12ab-asked-7\"", "W/\"12ab-asked-7\"", "\"x\", \"12ab-asked-7\"", "*"] {
            assert!(names(&HeaderValue::from_static(list), &tag), "{list}");
        }
        assert!(!names(&HeaderValue::from_static("\"12ab-asked-8\""), &tag));
    }
}
