//! Ids of the events of a stream.

use std::fmt;

use http::HeaderMap;
use uuid::Uuid;

use super::StreamError;

/// Header with which a client names the last event that it received.
const LAST_EVENT_ID: &str = "last-event-id";

/// Id of an event: that of the request, and the number of the event, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// Id of the request.
    pub request: Uuid,
    /// Number of the event.
    pub number: u64,
}

// === impl EventId ===

impl EventId {
    /// Returns the event after which a client continues a stream with the same request, if `Last-Event-ID` names one of
    /// this gateway. Other values are those of other servers, and ignored.
    ///
    /// # Errors
    /// [`StreamError::Malformed`] for the id of a request that is not followed by the number of an event.
    pub fn of_request(headers: &HeaderMap) -> Result<Option<Self>, StreamError> {
        let Some(text) = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()) else { return Ok(None) };
        let Some((request, number)) = split(text) else { return Ok(None) };
        let number = number_of(number).ok_or(StreamError::Malformed { param: "Last-Event-ID", stream: request })?;
        Ok(Some(Self { request, number }))
    }

    /// Returns the number of the event after which a stream is read: that in the header, which browsers renew when they
    /// reconnect, or else that in the query, where the number is enough.
    ///
    /// # Errors
    /// [`StreamError::Malformed`] for a value that is no event of this stream.
    pub fn after(stream: Uuid, headers: &HeaderMap, query: Option<&str>) -> Result<Option<u64>, StreamError> {
        let of_stream = |text: &str| {
            let (request, number) = split(text)?;
            number_of(number).filter(|_| request == stream)
        };
        if let Some(value) = headers.get(LAST_EVENT_ID) {
            let number = value.to_str().ok().and_then(of_stream);
            return number.map(Some).ok_or(StreamError::Malformed { param: "Last-Event-ID", stream });
        }
        let number = query.map(|text| number_of(text).or_else(|| of_stream(text)));
        number.map(|number| number.ok_or(StreamError::Malformed { param: "after", stream })).transpose()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.request, self.number)
    }
}

/// Splits `<id of a request>-<number>`, whatever the number is.
fn split(text: &str) -> Option<(Uuid, &str)> {
    let text = text.trim();
    let (request, number) = text.split_at_checked(uuid::fmt::Hyphenated::LENGTH)?;
    Some((Uuid::try_parse(request).ok()?, number.strip_prefix('-')?))
}

fn number_of(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const REQUEST: &str = "0197c0de-0000-7000-8000-000000000001";

    fn headers(value: &str) -> HeaderMap {
        [(http::HeaderName::from_static(LAST_EVENT_ID), HeaderValue::try_from(value).unwrap())].into_iter().collect()
    }

    #[test]
    fn a_request_continues_only_a_stream_of_this_gateway() {
        let request: Uuid = REQUEST.parse().unwrap();
        assert_eq!(EventId::of_request(&HeaderMap::new()), Ok(None));
        for foreign in ["", "42", "1-2", REQUEST, "x0197c0de-0000-7000-8000-000000000001-3", "\u{e9}"] {
            assert_eq!(EventId::of_request(&headers(foreign)), Ok(None), "{foreign}");
        }
        let own = EventId { request, number: 12 };
        assert_eq!(EventId::of_request(&headers(&format!(" {own} "))), Ok(Some(own)));
        for number in ["", "x", "-1", "+1", "1.0", "99999999999999999999"] {
            let malformed = StreamError::Malformed { param: "Last-Event-ID", stream: request };
            assert_eq!(EventId::of_request(&headers(&format!("{REQUEST}-{number}"))), Err(malformed), "{number}");
        }
    }

    #[test]
    fn the_header_wins_over_the_query() {
        let stream: Uuid = REQUEST.parse().unwrap();
        let none = HeaderMap::new();
        let of = |headers: &HeaderMap, query: Option<&str>| EventId::after(stream, headers, query);
        assert_eq!(of(&none, None), Ok(None));
        assert_eq!(of(&none, Some("7")), Ok(Some(7)));
        assert_eq!(of(&none, Some(&format!("{REQUEST}-8"))), Ok(Some(8)));
        assert_eq!(of(&headers(&format!("{REQUEST}-9")), Some("7")), Ok(Some(9)));
        let malformed = |param| Err(StreamError::Malformed { param, stream });
        assert_eq!(of(&none, Some("")), malformed("after"));
        assert_eq!(of(&none, Some("-1")), malformed("after"));
        for other in ["7", "", "0197c0de-0000-7000-8000-000000000002-7"] {
            assert_eq!(of(&headers(other), None), malformed("Last-Event-ID"), "{other}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_read_as_it_was_written(request in any::<u128>(), number in any::<u64>()) {
            let id = EventId { request: Uuid::from_u128(request), number };
            prop_assert_eq!(EventId::of_request(&headers(&id.to_string())), Ok(Some(id)));
            prop_assert_eq!(EventId::after(id.request, &headers(&id.to_string()), None), Ok(Some(number)));
        }
    }
}
