//! Rules for texts that a person or a program gives: what may stand in a name, and what in a description.
//!
//! A line break in a name begins a new line in a log or a table, an escape sequence recolours a terminal, and a bidirectional
//! override shows one text as another. None of them has a use in a name, so they are refused at every way in.

/// The sentence for a text that [`is_line`] refuses, without its subject.
pub const NOT_A_LINE: &str = "must not contain line breaks or other control characters";

/// The sentence for a text that [`is_prose`] refuses, without its subject.
pub const NOT_PROSE: &str = "must not contain control characters other than tabs and line breaks";

/// Returns whether a text is one line: no control characters (C0, DEL, C1), no Unicode line or paragraph separators, and no
/// characters that reverse the direction of the text around them.
#[must_use]
pub fn is_line(text: &str) -> bool {
    !text.contains(is_unprintable)
}

/// Returns whether a text is fit for a description: like [`is_line`], but it may have tabs and line breaks.
#[must_use]
pub fn is_prose(text: &str) -> bool {
    !text.contains(|c| is_unprintable(c) && !matches!(c, '\t' | '\n' | '\r'))
}

/// Returns whether a text can be the value of a header in every client and server: printable ASCII on one line.
#[must_use]
pub fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Returns a text as it may be quoted in an error: at most 64 characters, with escapes in place of what is not printable.
#[must_use]
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 64;
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(|c| if is_unprintable(c) { c.escape_unicode().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn is_unprintable(c: char) -> bool {
    // U+061C, U+200E and U+200F are single marks that right-to-left texts need; they reverse nothing.
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_line() {
        for good in ["", "My own", "日本語", "naïve — ünïcode", "שלום\u{200f}"] {
            assert!(is_line(good) && is_prose(good), "{good:?}");
        }
        for bad in ["a\0", "a\u{1b}[31m", "a\u{7f}", "a\u{85}b", "a\u{2028}b", "a\u{2029}b", "a\u{202e}b", "a\u{2066}b"]
        {
            assert!(!is_line(bad) && !is_prose(bad), "{bad:?}");
        }
        for lines in ["a\nb", "a\r\nb", "a\tb"] {
            assert!(!is_line(lines) && is_prose(lines), "{lines:?}");
        }
    }

    #[test]
    fn a_quoted_text_is_short_and_printable() {
        assert_eq!(quoted("X-Team"), "X-Team");
        assert_eq!(quoted("a\nb\u{202e}"), "a\\u{a}b\\u{202e}");
        assert_eq!(quoted(&"ä".repeat(65)), format!("{}…", "ä".repeat(64)));
        assert!(is_line(&quoted("\0\u{1b}\r\n")));
    }
}
