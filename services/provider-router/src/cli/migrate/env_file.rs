//! Parser of `.env` files, which reads them as dotenv does, the library of the Node.js version.
//!
//! A value without quotes ends at the line or at a `#`. A value in `'`, `"` or `` ` `` may have several lines; `\n` and
//! `\r` in double quotes are line breaks. Variables in values are not replaced.

/// Quotation marks around values.
const QUOTES: [char; 3] = ['\'', '"', '`'];

/// Returns the variables of a file in order, and the numbers of the lines that are none, counted from 1. Comments and
/// blank lines are left out.
pub(super) fn parse(text: &str) -> Vec<Result<(String, String), usize>> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let (mut rest, mut number) = (text.as_str(), 1);
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let line = rest.split('\n').next().unwrap_or_default();
        let is_blank = line.trim().is_empty() || line.trim_start().starts_with('#');
        let entry = if is_blank { None } else { Some(variable(rest, line)) };
        let length = match &entry {
            Some(Some((.., length))) => *length,
            _ => line.len(),
        };
        entries.extend(entry.map(|entry| entry.map(|(name, value, _)| (name, value)).ok_or(number)));
        let (read, left) = rest.split_at(length);
        number += read.matches('\n').count() + 1;
        rest = left.split_once('\n').map_or("", |(_, left)| left);
    }
    entries
}

/// Reads the variable at the beginning of `rest`, whose first line is `line`. Returns it with its length in bytes.
fn variable(rest: &str, line: &str) -> Option<(String, String, usize)> {
    let assignment = line.trim_start();
    let assignment = match assignment.strip_prefix("export") {
        Some(exported) if exported.starts_with(char::is_whitespace) => exported.trim_start(),
        _ => assignment,
    };
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let name = &assignment[..assignment.bytes().take_while(|byte| is_part(*byte)).count()];
    let behind = &assignment[name.len()..];
    let value = match behind.trim_start().strip_prefix('=') {
        Some(value) => value,
        None => behind.strip_prefix(':').filter(|value| value.starts_with(char::is_whitespace))?,
    };
    if name.is_empty() {
        return None;
    }
    let value = value.trim_start();
    let start = line.len() - value.len();
    if let Some(quote) = value.chars().next().filter(|first| QUOTES.contains(first)) {
        if let Some((length, end)) = quoted(&rest[start..], quote) {
            let inner = &rest[start + 1..start + length - 1];
            let value = if quote == '"' { inner.replace("\\n", "\n").replace("\\r", "\r") } else { inner.to_owned() };
            return Some((name.to_owned(), value, start + end));
        }
        // A mark that is never closed is a slip; the text behind it is not the value that was meant.
        if !value[1..].contains(quote) {
            return None;
        }
    }
    let value = value.split('#').next().unwrap_or_default().trim();
    Some((name.to_owned(), value.to_owned(), line.len()))
}

/// Finds the end of a quoted value, behind which nothing but a comment may follow on the line. Returns the length of the
/// value with its marks, and the position of the end of the line.
fn quoted(text: &str, quote: char) -> Option<(usize, usize)> {
    let mut closings = text.match_indices(quote).skip(1).filter(|(at, _)| !text[..*at].ends_with('\\'));
    let length = closings.next()?.0 + 1;
    let behind = text[length..].split('\n').next().unwrap_or_default();
    let is_end = behind.trim().is_empty() || behind.trim_start().starts_with('#');
    is_end.then_some((length, length + behind.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> Result<(String, String), usize> {
        Ok((name.to_owned(), value.to_owned()))
    }

    #[test]
    fn values_are_read_as_dotenv_reads_them() {
        for (text, value) in [
            ("A=b", "b"),
            ("A = b c ", "b c"),
            ("  export A=b", "b"),
            ("A: b", "b"),
            ("A=", ""),
            ("A=a=b; c=d", "a=b; c=d"),
            ("A=a$HOME;b", "a$HOME;b"),
            ("A=a #b", "a"),
            ("A='a # b' # c", "a # b"),
            ("A=\"a\\nb\"", "a\nb"),
            ("A='a\\nb'", "a\\nb"),
            ("A=`it's \"b\"`", "it's \"b\""),
            ("A='a' b", "'a' b"),
            ("A=it's", "it's"),
            ("\u{feff}A=b\r\n", "b"),
        ] {
            assert_eq!(parse(text), [pair("A", value)], "{text}");
        }
    }

    #[test]
    fn a_quoted_value_may_have_several_lines() {
        let text = "# first\nA=\"one\ntwo\"\n\nnot a line\nB='x'";
        assert_eq!(parse(text), [pair("A", "one\ntwo"), Err(5), pair("B", "x")]);
    }

    #[test]
    fn lines_that_are_no_variables_are_named_and_skipped() {
        assert_eq!(parse(""), []);
        assert_eq!(parse("\n  \n# A=b\n"), []);
        let text = "not a line\nA\n=b\nA='canary\nB:b\nC=d";
        assert_eq!(parse(text), [Err(1), Err(2), Err(3), Err(4), Err(5), pair("C", "d")]);
    }
}
