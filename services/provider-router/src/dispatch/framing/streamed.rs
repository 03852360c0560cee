//! Converts a complete response to a stream. Values are copied as they are written, so no odd value costs the answer.

use bytes::Bytes;
use signalbox_core::{
    json::{Reader, repaired},
    openai::DONE_EVENT,
};

/// Converts a complete response to a stream of one chunk and the `[DONE]` event. Returns `None` if it is not a chat
/// completion.
pub(in crate::dispatch) fn stream_of(whole: &[u8]) -> Option<Bytes> {
    let whole = repaired(whole)?;
    let mut out = b"data: {\"object\":\"chat.completion.chunk\"".to_vec();
    let (mut reader, mut has_choices) = (Reader::lenient(whole.as_bytes()), false);
    reader.fields(|name, value| match &*name {
        "object" => value.skip(),
        "choices" => {
            has_choices = true;
            member("choices", b"[", &mut out);
            let mut index = 0_usize;
            value.array(|choice| {
                if index > 0 {
                    out.push(b',');
                }
                write_choice(choice, index, &mut out)?;
                index += 1;
                Some(())
            })?;
            out.push(b']');
            Some(())
        }
        name => {
            member(name, value.raw()?, &mut out);
            Some(())
        }
    })?;
    // Line ends can only be white space, because in strings they are escaped.
    out.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    out.extend_from_slice(b"}\n\n");
    out.extend_from_slice(DONE_EVENT.as_bytes());
    has_choices.then(|| out.into())
}

/// Writes a choice with its message as the delta.
fn write_choice(choice: &mut Reader<'_>, index: usize, out: &mut Vec<u8>) -> Option<()> {
    let (mut message, mut delta) = (None, None);
    let (mut at, mut finish_reason) = (None, None);
    let mut others = Vec::new();
    choice.fields(|name, value| {
        let raw = value.raw()?;
        match &*name {
            "message" => message = Some(raw),
            "delta" => delta = Some(raw),
            "index" => at = Some(raw),
            "finish_reason" => finish_reason = Some(raw),
            name => member(name, raw, &mut others),
        }
        Some(())
    })?;
    out.extend_from_slice(b"{\"index\":");
    match at {
        Some(at) => out.extend_from_slice(at),
        None => out.extend_from_slice(index.to_string().as_bytes()),
    }
    out.extend_from_slice(b",\"delta\":{");
    if let Some(message) = message.or(delta).filter(|message| message.starts_with(b"{")) {
        write_delta(message, out)?;
    }
    out.push(b'}');
    member("finish_reason", finish_reason.unwrap_or(b"\"stop\""), out);
    out.extend_from_slice(&others);
    out.push(b'}');
    Some(())
}

/// Writes the members of a message. Its tool calls get the index that they need in a stream.
fn write_delta(message: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut members = Vec::new();
    Reader::lenient(message).fields(|name, value| {
        if name != "tool_calls" || value.peek()? != b'[' {
            member(&name, value.raw()?, &mut members);
            return Some(());
        }
        member(&name, b"[", &mut members);
        let mut index = 0_usize;
        value.array(|call| {
            if index > 0 {
                members.push(b',');
            }
            write_call(call.raw()?, index, &mut members)?;
            index += 1;
            Some(())
        })?;
        members.push(b']');
        Some(())
    })?;
    out.extend_from_slice(members.strip_prefix(b",").unwrap_or_default());
    Some(())
}

fn write_call(call: &[u8], index: usize, out: &mut Vec<u8>) -> Option<()> {
    let Some(rest) = call.strip_prefix(b"{") else {
        out.extend_from_slice(call);
        return Some(());
    };
    let (mut has_index, mut is_empty) = (false, true);
    Reader::lenient(call).fields(|name, value| {
        is_empty = false;
        has_index |= name == "index";
        value.skip()
    })?;
    out.push(b'{');
    if !has_index {
        out.extend_from_slice(format!("\"index\":{index}{}", if is_empty { "" } else { "," }).as_bytes());
    }
    out.extend_from_slice(rest);
    Some(())
}

/// Writes a member of an object, after the one before it.
fn member(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.push(b',');
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, name);
    out.push(b':');
    out.extend_from_slice(value);
}
