//! Recognises the kinds of lines and events by their bytes, in place of parsing.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::DATA_FIELD;

const DONE_VALUE: &[u8] = b"[DONE]";

static FINISH_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""finish_reason""#));
static DELTA_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""delta""#));
static ERROR_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""error""#));
static DATA_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DATA_FIELD));

/// Maximum bytes at the end of searched text that may begin a field name which later bytes complete.
const MAX_SPLIT_NAME: usize = br#""delta""#.len() - 1;

/// Findings in the beginning of an event.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Number of bytes that have been searched.
    searched: usize,
    data: bool,
    delta: bool,
    error: bool,
}

// === impl Findings ===

impl Findings {
    /// Searches the bytes that were added to `event` since the last call. Returns whether it may turn out to be an
    /// error event: it has data that do not look like a chunk so far, or that name an error.
    pub(super) fn may_be_error(&mut self, event: &[u8]) -> bool {
        let new = &event[self.searched.saturating_sub(MAX_SPLIT_NAME).min(event.len())..];
        self.data |= DATA_FINDER.find(new).is_some();
        self.delta |= DELTA_FINDER.find(new).is_some();
        self.error |= ERROR_FINDER.find(new).is_some();
        self.searched = event.len();
        self.data && (self.error || !self.delta)
    }
}

/// Returns whether a chunk is an ordinary one, with neither an end nor an error. Quotes within texts are escaped, so a
/// quoted name always is a field name.
pub(super) fn is_ordinary(data: &[u8]) -> bool {
    let mut reasons = FINISH_FINDER.find_iter(data).peekable();
    (reasons.peek().is_some() || DELTA_FINDER.find(data).is_some())
        && reasons.all(|at| is_null(&data[at + FINISH_FINDER.needle().len()..]))
        && !names_error(data)
}

/// Returns whether any field `error` in these data has a value other than null.
pub(super) fn names_error(data: &[u8]) -> bool {
    ERROR_FINDER.find_iter(data).any(|at| !is_null(&data[at + ERROR_FINDER.needle().len()..]))
}

/// Returns whether the value after a name is `null`.
fn is_null(rest: &[u8]) -> bool {
    rest.starts_with(b":null")
        || rest.trim_ascii_start().strip_prefix(b":").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"null"))
}

/// Returns whether an event has comments or unknown fields, which may say anything.
pub(super) fn has_other_lines(event: &[u8]) -> bool {
    const FIELDS: [&[u8]; 4] = [b"data:", b"event:", b"id:", b"retry:"];
    event
        .split(|&byte| byte == b'\n' || byte == b'\r')
        .any(|line| !line.is_empty() && !FIELDS.iter().any(|field| line.starts_with(field)))
}

/// Returns whether `line`, the rest of a piece, begins with the end event; `None` if more bytes are needed to decide.
pub(super) fn is_done(line: &[u8]) -> Option<bool> {
    let Some(value) = line.strip_prefix(DATA_FIELD) else {
        return if DATA_FIELD.starts_with(line) { None } else { Some(false) };
    };
    let value = value.strip_prefix(b" ").unwrap_or(value);
    if value.len() < DONE_VALUE.len() {
        return if DONE_VALUE.starts_with(value) { None } else { Some(false) };
    }
    Some(value.starts_with(DONE_VALUE))
}
