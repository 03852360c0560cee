//! Line ends after the end event: passed on as the provider sends them, and supplied where they are missing.

use bytes::Bytes;

use super::join;

/// Valid line ends of an event: the end of its last line, and the blank line.
const BLANK_LINES: [&str; 3] = ["\n\n", "\r\n\r\n", "\r\r"];

/// Splits the end event off the beginning of `bytes`. Returns it with the part of its blank line that has arrived, and
/// the line ends in it. The blank line is completed if other bytes follow instead.
pub(super) fn end_event(bytes: &Bytes) -> (Bytes, &'static str) {
    let line = memchr::memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
    let (taken, begun) = go_on("", &bytes[line..]);
    let end = line + taken;
    if is_blank_line(begun) || end == bytes.len() {
        return (bytes.slice(..end), begun);
    }
    (join(&bytes[..end], missing(begun).as_bytes()), BLANK_LINES[0])
}

/// Returns the number of bytes that continue the line ends in `begun`, and the line ends including them.
pub(super) fn go_on(mut begun: &'static str, bytes: &[u8]) -> (usize, &'static str) {
    let mut taken = 0;
    for byte in bytes {
        let at = begun.len();
        let mut ways = BLANK_LINES.into_iter().filter(|way| way.starts_with(begun));
        let Some(way) = ways.find(|way| way.as_bytes().get(at) == Some(byte)) else { break };
        (begun, taken) = (&way[..=at], taken + 1);
    }
    (taken, begun)
}

pub(super) fn is_blank_line(line_ends: &str) -> bool {
    BLANK_LINES.contains(&line_ends)
}

/// Returns the shortest completion of the line ends in `begun`.
pub(super) fn missing(begun: &str) -> &'static str {
    BLANK_LINES.into_iter().find_map(|way| way.strip_prefix(begun)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_may_be_split_across_chunks() {
        for way in BLANK_LINES {
            for cut in 0..=way.len() {
                let (taken, begun) = go_on("", &way.as_bytes()[..cut]);
                assert_eq!((taken, is_blank_line(begun)), (cut, cut == way.len()));
                assert_eq!(go_on(begun, &way.as_bytes()[cut..]), (way.len() - cut, way));
                assert!(is_blank_line(&format!("{begun}{}", missing(begun))));
            }
        }
    }

    #[test]
    fn an_end_event_is_cut_after_its_blank_line() {
        for (bytes, event, begun) in [
            ("data: [DONE]\r\n\r\nmore", "data: [DONE]\r\n\r\n", "\r\n\r\n"),
            ("data: [DONE]\n\n\n", "data: [DONE]\n\n", "\n\n"),
            ("data: [DONE]\r\n", "data: [DONE]\r\n", "\r\n"),
            ("data: [DONE]", "data: [DONE]", ""),
            ("data: [DONE]\nevent: x", "data: [DONE]\n\n", "\n\n"),
        ] {
            assert_eq!(end_event(&Bytes::from_static(bytes.as_bytes())), (Bytes::from_static(event.as_bytes()), begun));
        }
    }
}
