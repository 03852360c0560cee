//! The header `traceparent` of W3C Trace Context: the place of a request in a trace.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Header with the trace and the span that a request belongs to.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Header with further data about the trace, valid only together with [`TRACEPARENT`].
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Length of a header of version 00. Later versions begin with the same fields.
const LEN: usize = 55;

/// A trace, and the span in it that sent the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceParent {
    /// Id of the trace, not zero.
    pub(crate) trace_id: u128,
    /// Id of the sending span, not zero.
    pub(crate) span_id: u64,
    /// Whether the sender records the trace.
    pub(crate) is_sampled: bool,
}

/// The trace context of a request as its client sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) parent: TraceParent,
    /// The header as it was received.
    header: HeaderValue,
    states: Vec<HeaderValue>,
}

// === impl TraceParent ===

impl TraceParent {
    /// Parses a header; `None` if it is not valid. Fields that versions after 00 may append are ignored.
    pub(crate) fn parse(header: &[u8]) -> Option<Self> {
        let (fields, rest) = header.split_at_checked(LEN)?;
        let [version, trace_id, span_id, flags] = [0..2, 3..35, 36..52, 53..55].map(|range| hex(&fields[range]));
        let version = version?;
        let is_separated = [2, 35, 52].iter().all(|at| fields[*at] == b'-');
        let is_complete = if version == 0 { rest.is_empty() } else { rest.first().is_none_or(|byte| *byte == b'-') };
        // 255 is reserved, so that it can never be confused with a version.
        if !is_separated || !is_complete || version == 255 {
            return None;
        }
        let trace_id = trace_id.filter(|id| *id != 0)?;
        let span_id = u64::try_from(span_id?).ok().filter(|id| *id != 0)?;
        Some(Self { trace_id, span_id, is_sampled: flags? & 1 == 1 })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.is_sampled))
    }
}

// === impl Incoming ===

impl Incoming {
    /// Returns the context in these headers; `None` if `traceparent` is missing, repeated or not valid.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let header = headers.get(TRACEPARENT)?;
        let parent = TraceParent::parse(header.as_bytes())?;
        if headers.get_all(TRACEPARENT).iter().nth(1).is_some() {
            return None;
        }
        let states = headers.get_all(TRACESTATE).iter().cloned().collect();
        Some(Self { parent, header: header.clone(), states })
    }

    /// Returns the values of `tracestate`, joined; `None` if one of them is not text.
    pub(crate) fn state(&self) -> Option<String> {
        let states = self.states.iter().map(|state| state.to_str().ok()).collect::<Option<Vec<_>>>()?;
        Some(states.join(","))
    }

    /// Adds the context to the headers of a request, with `parent` as the sending span if there is one. Headers that
    /// are there already stay.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap, parent: Option<HeaderValue>) {
        if headers.contains_key(TRACEPARENT) {
            return;
        }
        headers.insert(TRACEPARENT, parent.unwrap_or_else(|| self.header.clone()));
        if !headers.contains_key(TRACESTATE) {
            for state in &self.states {
                headers.append(TRACESTATE, state.clone());
            }
        }
    }
}

/// Parses lower-case hexadecimal digits, at most 32.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parse(header: &str) -> Option<TraceParent> {
        TraceParent::parse(header.as_bytes())
    }

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_valid_header_is_read_and_written_alike() {
        let parent = parse(VALID).unwrap();
        assert_eq!(parent.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((parent.span_id, parent.is_sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(parent.to_string(), VALID);
        for (flags, is_sampled) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let header = format!("{}{flags}", &VALID[..53]);
            assert_eq!(parse(&header).map(|parent| parent.is_sampled), Some(is_sampled), "{flags}");
        }
    }

    #[test]
    fn everything_else_is_ignored() {
        for header in [
            "",
            "00",
            // Upper case.
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
            "0A-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            // Zeros.
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            // Too short and too long.
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            // Not hexadecimal, other separators, the reserved version.
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-\u{e9}",
        ] {
            assert_eq!(parse(header), None, "{header}");
        }
    }

    #[test]
    fn later_versions_may_append_fields() {
        let known = &VALID[2..];
        for header in [format!("01{known}"), format!("cc{known}-what the future brings"), format!("01{known}-")] {
            assert_eq!(parse(&header), parse(VALID), "{header}");
        }
        assert_eq!(parse(&format!("01{known}.")), None);
        assert_eq!(parse(&format!("01{known}0")), None);
    }

    #[test]
    fn a_repeated_header_is_ignored_with_its_state() {
        let once = headers(&[("traceparent", VALID), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        let incoming = Incoming::of(&once).unwrap();
        assert_eq!(incoming.state().as_deref(), Some("a=1,b=2"));
        for given in [
            headers(&[("traceparent", VALID), ("traceparent", VALID), ("tracestate", "a=1")]),
            headers(&[("traceparent", "00-0-0-0"), ("tracestate", "a=1")]),
            headers(&[("tracestate", "a=1")]),
        ] {
            assert_eq!(Incoming::of(&given), None, "{given:?}");
        }
    }

    #[test]
    fn the_context_is_passed_on_with_its_state() {
        let received = headers(&[("traceparent", VALID), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        let incoming = Incoming::of(&received).unwrap();
        let mut sent = HeaderMap::new();
        incoming.add_to(&mut sent, None);
        assert_eq!(sent, received);
        let mut sent = HeaderMap::new();
        incoming.add_to(&mut sent, Some(HeaderValue::from_static("of the attempt")));
        assert_eq!(sent[TRACEPARENT], "of the attempt");
        assert_eq!(sent.get_all(TRACESTATE).iter().count(), 2);
        let mut configured = headers(&[("traceparent", "configured")]);
        incoming.add_to(&mut configured, None);
        assert_eq!(configured, headers(&[("traceparent", "configured")]));
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(header in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(parent) = TraceParent::parse(&header) {
                prop_assert!(parent.trace_id != 0 && parent.span_id != 0);
            }
        }

        #[test]
        fn all_ids_survive(trace_id in 1_u128.., span_id in 1_u64.., is_sampled: bool) {
            let parent = TraceParent { trace_id, span_id, is_sampled };
            prop_assert_eq!(TraceParent::parse(parent.to_string().as_bytes()), Some(parent));
        }
    }
}
