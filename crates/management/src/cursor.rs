//! Cursors of paged lists: `next_cursor` of one response is `cursor` of the next request.
//!
//! Rows that are added or deleted in between do not shift the pages. Clients treat a cursor as opaque. It contains the
//! list it belongs to, and the time and the id of the last row of the page.

use signalbox_store::RowPosition;

/// A list that is continued after a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List(char);

/// Requests, in all lists of requests.
pub(super) const REQUESTS: List = List('q');
/// Requests that come before a row of their list.
pub(super) const REQUESTS_BEFORE: List = List('b');
/// Responses.
pub(super) const RESPONSES: List = List('r');
/// Sessions.
pub(super) const SESSIONS: List = List('s');
/// Changes.
pub(super) const AUDIT: List = List('a');
/// Tables that users fill by hand: they are continued at an offset, not after a row.
const OFFSET_LISTS: List = List('p');

/// The id of a row.
pub(super) trait Id: Sized {
    fn to_hex(&self) -> String;
    fn from_hex(hex: &str) -> Option<Self>;
}

// === impl List ===

impl List {
    pub(super) fn text<I: Id>(self, after: &RowPosition<I>) -> String {
        format!("{}{}{}", self.0, after.at.to_hex(), after.id.to_hex())
    }

    /// Parses a cursor sent by a client; `None` if it does not belong to this list.
    pub(super) fn parse<I: Id>(self, cursor: &str) -> Option<RowPosition<I>> {
        let (at, id) = cursor.strip_prefix(self.0)?.split_at_checked(16)?;
        Some(RowPosition { at: i64::from_hex(at)?, id: I::from_hex(id)? })
    }
}

/// Returns the cursor of an offset in a table that is filled by hand.
pub(super) fn offset_cursor(offset: i64) -> String {
    format!("{}{}", OFFSET_LISTS.0, offset.to_hex())
}

/// Parses a cursor made by [`offset_cursor`].
pub(super) fn parse_offset(cursor: &str) -> Option<i64> {
    i64::from_hex(cursor.strip_prefix(OFFSET_LISTS.0)?).filter(|offset| *offset >= 0)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

// === impl Id ===

impl Id for i64 {
    fn to_hex(&self) -> String {
        format!("{:016x}", self.cast_unsigned())
    }

    fn from_hex(hex: &str) -> Option<Self> {
        let number = u64::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 16 && is_hex(hex));
        number.map(u64::cast_signed)
    }
}

impl Id for String {
    fn to_hex(&self) -> String {
        hex::encode(self)
    }

    fn from_hex(hex: &str) -> Option<Self> {
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|byte| *byte > 0);
        let pairs = hex.as_bytes().chunks_exact(2);
        if !is_hex(hex) || !pairs.remainder().is_empty() {
            return None;
        }
        let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
        // Lossy conversion is safe: the text only determines where the list continues.
        Some(Self::from_utf8_lossy(&bytes?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_round_trips() {
        for (at, id) in [(0, 0), (1_760_000_000_000, 7), (-1, i64::MAX), (i64::MIN, i64::MIN)] {
            let after = RowPosition { at, id };
            assert_eq!(REQUESTS.parse(&REQUESTS.text(&after)), Some(after));
        }
        for id in ["", "s-1", "é\u{1f600}"] {
            let after = RowPosition { at: 5, id: id.to_owned() };
            assert_eq!(SESSIONS.parse(&SESSIONS.text(&after)), Some(after));
        }
        assert_eq!(parse_offset(&offset_cursor(40)), Some(40));
    }

    #[test]
    fn invalid_text_is_none() {
        let good = REQUESTS.text(&RowPosition { at: 1, id: 2_i64 });
        let mut bad = vec!["", "q", "é", "q+000000000000001", &good[..32]];
        let (long, upper, other) = (format!("{good}0"), good.replace('2', "A"), good.replace('q', "r"));
        bad.extend([long.as_str(), &upper, &other]);
        for cursor in bad {
            assert_eq!(REQUESTS.parse::<i64>(cursor), None, "{cursor}");
        }
        for cursor in ["s00000000000000010", "s000000000000000100", "s0000000000000001é", "s0000000000000001\u{660}0"]
        {
            assert_eq!(SESSIONS.parse::<String>(cursor), None, "{cursor}");
        }
        for cursor in ["p", "p8000000000000000", "q0000000000000001"] {
            assert_eq!(parse_offset(cursor), None, "{cursor}");
        }
    }

    proptest! {
        #[test]
        fn i18_any_text_parses_as_a_cursor_or_none(text in any::<String>(), hex in "[qbrsap][0-9a-f]{0,40}") {
            for cursor in [text, hex] {
                parse_offset(&cursor);
                for list in [REQUESTS, REQUESTS_BEFORE, RESPONSES, SESSIONS, AUDIT] {
                    if let Some(after) = list.parse::<i64>(&cursor) {
                        prop_assert_eq!(list.text(&after), cursor.clone());
                    }
                    list.parse::<String>(&cursor);
                }
            }
        }
    }
}
