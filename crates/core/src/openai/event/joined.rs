//! Events that are not separated by blank lines.

use super::{StreamEvent, read_event};

/// Returns the lines of the data of one event if each of them is an event of its own: some servers separate their
/// events by single line ends. Returns `None` if the data are one event, or not only events.
#[must_use]
pub fn joined_events(data: &[u8]) -> Option<Vec<&[u8]>> {
    memchr::memchr(b'\n', data)?;
    let is_event = |data: &[u8]| !matches!(read_event(data), StreamEvent::Unknown);
    if is_event(data) {
        return None;
    }
    let lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
    (lines.len() > 1 && lines.iter().all(|line| is_event(line))).then_some(lines)
}
