//! Takes lines of the logs apart: time, level, module and message, in both formats that the services write.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{SERVICES, is_worker};

/// Importance of a line, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is lost or broken.
    Error,
    /// The program continues with less.
    Warn,
    /// A change of state.
    Info,
    /// A detail.
    Debug,
    /// A smaller detail.
    Trace,
}

/// The parts of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The service in front of a line of the merged log.
    pub service: Option<String>,
    /// Unix milliseconds; `None` in a line that continues another one, and in lines of other programs.
    pub time: Option<i64>,
    /// The importance, likewise.
    pub level: Option<Level>,
    /// The module that wrote the line, likewise.
    pub target: Option<String>,
    /// The text with its fields; the whole line if it has no time.
    pub message: String,
}

/// The beginning of a line, from which its time and level are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    time: String,
    pub(super) level: Level,
}

/// A line in the JSON format.
#[derive(Deserialize)]
struct JsonLine {
    timestamp: String,
    level: String,
    target: Option<String>,
    message: Option<String>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// The fields of a line in the JSON format that filters need.
#[derive(Deserialize)]
struct JsonHead<'a> {
    timestamp: &'a str,
    level: &'a str,
}

// === impl Level ===

impl Level {
    /// All levels with their words.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Error, "error"),
        (Self::Warn, "warn"),
        (Self::Info, "info"),
        (Self::Debug, "debug"),
        (Self::Trace, "trace"),
    ];

    /// Returns the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(level, _)| *level == self).map_or("trace", |(_, word)| word)
    }

    /// Returns the level with this word, in letters of any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(word)).map(|(level, _)| *level)
    }
}

// === impl LogLine ===

impl LogLine {
    /// Takes a line apart.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let plain = without_escapes(line);
        let (service, rest) = split_service(&plain);
        let service = service.map(str::to_owned);
        if rest.starts_with('{')
            && let Ok(json) = serde_json::from_str::<JsonLine>(rest)
            && let (Some(time), Some(level)) = (unix_ms(&json.timestamp), Level::parse(&json.level))
        {
            let mut message = json.message.unwrap_or_default();
            for (name, value) in &json.fields {
                let space = if message.is_empty() { "" } else { " " };
                // Writing to a string cannot fail.
                let _ = write!(message, "{space}{name}={value}");
            }
            return Self { service, time: Some(time), level: Some(level), target: json.target, message };
        }
        match split_head(rest).and_then(|(time, level, rest)| Some((unix_ms(time)?, level, rest))) {
            Some((time, level, rest)) => {
                let (target, message) = split_target(rest);
                let target = target.map(str::to_owned);
                Self { service, time: Some(time), level: Some(level), target, message: message.to_owned() }
            }
            None => Self { service, time: None, level: None, target: None, message: rest.to_owned() },
        }
    }
}

// === impl Head ===

impl Head {
    /// Reads the beginning of a line; `None` if it continues another line, or is of another program.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let plain = without_escapes(line);
        let (_, rest) = split_service(&plain);
        if rest.starts_with('{') {
            let JsonHead { timestamp, level } = serde_json::from_str(rest).ok()?;
            return Some(Self { time: timestamp.to_owned(), level: Level::parse(level)? });
        }
        split_head(rest).map(|(time, level, _)| Self { time: time.to_owned(), level })
    }

    /// Returns the time in Unix milliseconds.
    pub(super) fn time(&self) -> Option<i64> {
        unix_ms(&self.time)
    }
}

/// Removes the escape sequences of colours.
fn without_escapes(line: &str) -> Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return Cow::Borrowed(line);
    }
    let mut parts = line.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|char: char| !char.is_ascii_digit() && char != ';').unwrap_or(part.len());
        plain.push_str(part[end..].strip_prefix('m').unwrap_or_else(|| &part[end..]));
    }
    Cow::Owned(plain)
}

/// Splits off the service that the merged log puts in front of a line.
fn split_service(line: &str) -> (Option<&str>, &str) {
    let split = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match split {
        Some((name, rest)) if SERVICES.contains(&name) || is_worker(name) => (Some(name), rest),
        _ => (None, line),
    }
}

/// Splits a line into time, level and the rest.
fn split_head(line: &str) -> Option<(&str, Level, &str)> {
    let (time, rest) = line.split_once(' ')?;
    if !time.starts_with(|char: char| char.is_ascii_digit()) || !time.contains('T') {
        return None;
    }
    let (level, rest) = rest.trim_start().split_once(' ')?;
    Some((time, Level::parse(level)?, rest))
}

/// Splits the text of a line into module and message. The spans in front of the module are left out.
fn split_target(text: &str) -> (Option<&str>, &str) {
    let rest = after_spans(text).unwrap_or(text);
    match rest.split_once(": ") {
        Some((target, message)) if !target.is_empty() && target.bytes().all(is_of_path) => (Some(target), message),
        _ => (None, rest),
    }
}

/// Returns the text behind the spans, which look like `request{id=1 model="a"}:attempt{n=1}: `; `None` if there are
/// none.
fn after_spans(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let name = rest.bytes().take_while(|byte| is_of_path(*byte)).count();
        let fields = rest.get(name..)?.strip_prefix('{').filter(|_| name > 0)?;
        rest = &fields[end_of_fields(fields)?..];
        if let Some(message) = rest.strip_prefix(": ") {
            return Some(message);
        }
        rest = rest.strip_prefix(':')?;
    }
}

/// Returns the length of the fields of a span with the brace at their end. Braces in quoted values do not count.
fn end_of_fields(fields: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped, mut depth) = (false, false, 1_usize);
    for (at, byte) in fields.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'{' if !is_quoted => depth += 1,
            b'}' if !is_quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

const fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-' | b'.')
}

fn unix_ms(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIME: &str = "2026-11-29T12:27:19.236538Z";
    const MS: i64 = 1_795_955_239_236;

    fn parts(line: &str) -> (Option<String>, Option<i64>, Option<Level>, Option<String>, String) {
        let LogLine { service, time, level, target, message } = LogLine::parse(line);
        (service, time, level, target, message)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_line_for_people_is_taken_apart() {
        let line = format!("{TIME}  INFO signalbox_daemon::status: listening addr=127.0.0.1:3001");
        let expected = "listening addr=127.0.0.1:3001".to_owned();
        assert_eq!(parts(&line), (None, Some(MS), Some(Level::Info), some("signalbox_daemon::status"), expected));
        let head = Head::parse(&line).unwrap();
        assert_eq!((head.level, head.time()), (Level::Info, Some(MS)));
    }

    #[test]
    fn spans_and_the_service_are_no_part_of_the_module() {
        let spans = "request{id=01a surface=\"ch}at\\\"\" model=\"a: b\"}:attempt{n=1}: ";
        let line = format!("[provider-router-2] {TIME} ERROR {spans}provider_router::dispatch: failed error=a: b");
        let expected = (
            some("provider-router-2"),
            Some(MS),
            Some(Level::Error),
            some("provider_router::dispatch"),
            "failed error=a: b".to_owned(),
        );
        assert_eq!(parts(&line), expected);
    }

    #[test]
    fn a_json_line_has_the_same_parts() {
        let line = format!(
            "[qwen-proxy] {{\"timestamp\":\"{TIME}\",\"level\":\"WARN\",\"message\":\"soon\",\"days\":2,\
             \"target\":\"qwen_proxy::login\"}}"
        );
        let expected =
            (some("qwen-proxy"), Some(MS), Some(Level::Warn), some("qwen_proxy::login"), "soon days=2".to_owned());
        assert_eq!(parts(&line), expected);
        assert_eq!(Head::parse(&line).map(|head| (head.level, head.time())), Some((Level::Warn, Some(MS))));
    }

    #[test]
    fn other_lines_are_messages() {
        for line in ["   at src/main.rs", "", "{\"a\":1}", "2026-11-29T12:27:19Z", "[nginx] hello", "1T INFO a: b"] {
            assert_eq!(parts(line), (None, None, None, None, line.to_owned()), "{line}");
        }
        assert_eq!(parts("[api-server] … 7 bytes omitted …").4, "… 7 bytes omitted …");
        assert_eq!(Head::parse("   at src/main.rs"), None);
    }

    #[test]
    fn colours_are_removed() {
        let line = format!("\u{1b}[2m{TIME}\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m \u{1b}[2ma::b\u{1b}[0m: up");
        let (_, time, level, target, message) = parts(&line);
        assert_eq!((time, level, target, &*message), (Some(MS), Some(Level::Info), some("a::b"), "up"));
    }

    proptest! {
        #[test]
        fn any_line_is_accepted(line in "\\PC*", spans in "[a-z{}\":\\\\ ]{0,30}") {
            let _ = LogLine::parse(&line);
            let _ = LogLine::parse(&format!("{TIME} INFO {spans}"));
            prop_assert_eq!(LogLine::parse(&format!("{TIME} INFO {spans}{line}")).time, Some(MS));
        }
    }
}
