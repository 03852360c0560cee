//! Adds ids to events.

use bytes::{Bytes, BytesMut};
use signalbox_core::sse::Frame;

use super::EventId;

/// Returns an event with a field `id`, in front of the blank line that ends it: the last `id` of an event counts, and a
/// provider may send one of its own. Returns `None` for what clients do not take as an event: comments and whatever
/// else has no data, and an event without its blank line.
pub(super) fn labelled(event: &Frame, id: EventId) -> Option<Bytes> {
    let raw = event.raw();
    event.data()?;
    let line_end = match &raw[..] {
        [.., b'\r', b'\n'] => &b"\r\n"[..],
        [.., b'\n'] => b"\n",
        [.., b'\r'] => b"\r",
        _ => return None,
    };
    let fields = &raw[..raw.len() - line_end.len()];
    if !fields.ends_with(b"\n") && !fields.ends_with(b"\r") {
        return None;
    }
    let id = format!("id: {id}");
    let mut labelled = BytesMut::with_capacity(raw.len() + id.len() + line_end.len());
    for part in [fields, id.as_bytes(), line_end, line_end] {
        labelled.extend_from_slice(part);
    }
    Some(labelled.freeze())
}

#[cfg(test)]
mod tests {
    use signalbox_core::sse::Splitter;
    use uuid::Uuid;

    use super::*;

    fn label(event: &'static str) -> Option<String> {
        let mut splitter = Splitter::new(1 << 10);
        splitter.push(Bytes::from_static(event.as_bytes()));
        let frame = splitter.next_frame().unwrap().or_else(|| splitter.finish()).unwrap();
        let id = EventId { request: Uuid::from_u128(1), number: 7 };
        Some(String::from_utf8(labelled(&frame, id)?.to_vec()).unwrap())
    }

    #[test]
    fn the_id_is_the_last_field() {
        let id = "id: 00000000-0000-0000-0000-000000000001-7";
        for (event, expected) in [
            ("data: x\n\n", format!("data: x\n{id}\n\n")),
            ("event: e\r\ndata: x\r\n\r\n", format!("event: e\r\ndata: x\r\n{id}\r\n\r\n")),
            ("data: x\r\r", format!("data: x\r{id}\r\r")),
            ("id: 1\ndata\n\n", format!("id: 1\ndata\n{id}\n\n")),
            (": c\ndata: x\n\n", format!(": c\ndata: x\n{id}\n\n")),
        ] {
            assert_eq!(label(event), Some(expected), "{event:?}");
        }
        for no_event in [": ping\n\n", "retry: 5\n\n", "\n", "\r\n", "data: {\"half", "data: x\n"] {
            assert_eq!(label(no_event), None, "{no_event:?}");
        }
    }
}
