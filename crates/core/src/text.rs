//! Validates texts given by users or programs: names and descriptions.
//!
//! A line break in a name starts a new line in a log or a table, an escape sequence changes the colours of a terminal,
//! and a bidirectional override displays one text as another. None of them is useful in a name, so every input refuses
//! them.

/// The error message for a text that [`is_line`] refuses, without its subject.
pub const NOT_A_LINE: &str = "must not contain line breaks or other control characters";

/// The error message for a text that [`is_prose`] refuses, without its subject.
pub const NOT_PROSE: &str = "must not contain control characters other than tabs and line breaks";

/// Returns whether a text is a single line: no control characters (C0, DEL, C1), no Unicode line or paragraph
/// separators, and no characters that reverse the direction of the surrounding text.
#[must_use]
pub fn is_line(text: &str) -> bool {
    !text.contains(is_unprintable)
}

/// Returns whether a text has nothing that can be seen: only white space and characters of no width.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_invisible(c))
}

/// Returns whether a text is valid as a description: like [`is_line`], but tabs and line breaks are allowed.
#[must_use]
pub fn is_prose(text: &str) -> bool {
    !text.contains(|c| is_unprintable(c) && !matches!(c, '\t' | '\n' | '\r'))
}

/// Returns whether a text is a header value that every client and server accepts: printable ASCII on one line.
#[must_use]
pub fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Returns a text in the form quoted in errors: at most 64 characters, with escapes in place of unprintable ones.
#[must_use]
pub fn quoted(text: &str) -> String {
    const MAX_QUOTED_CHARS: usize = 64;
    let mut shown: String = text
        .chars()
        .take(MAX_QUOTED_CHARS)
        .flat_map(|c| if is_unprintable(c) { c.escape_unicode().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(MAX_QUOTED_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// Returns whether a character is displayed as nothing: joiners, marks of direction, fillers and variation selectors.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    )
}

fn is_unprintable(c: char) -> bool {
    // U+061C, U+200E and U+200F are marks that right-to-left texts need; they do not reverse anything.
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
    fn a_text_without_anything_to_see_is_blank() {
        for blank in ["", " \t\n", "\u{200b}", "\u{feff}\u{200b}", " \u{2060} ", "\u{a0}\u{3000}", "\u{ad}"] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for text in ["a", "\u{feff}a", "\u{200b}0", "\u{5e9}\u{200f}", "-"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn quoted_text_is_short_and_printable() {
        assert_eq!(quoted("X-Team"), "X-Team");
        assert_eq!(quoted("a\nb\u{202e}"), "a\\u{a}b\\u{202e}");
        assert_eq!(quoted(&"ä".repeat(65)), format!("{}…", "ä".repeat(64)));
        assert!(is_line(&quoted("\0\u{1b}\r\n")));
    }
}
