//! Writes JSON into a buffer, member by member, without building a tree.

use crate::hub::Json;

/// The object that is being written.
pub(crate) struct Object<'w> {
    out: &'w mut Vec<u8>,
    is_empty: bool,
}

/// The array that is being written.
pub(crate) struct Array<'w> {
    out: &'w mut Vec<u8>,
    is_empty: bool,
}

/// Appends an object whose members `members` writes.
pub(crate) fn object(out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    members(&mut Object { out, is_empty: true });
    out.push(b'}');
}

/// Appends an array whose elements `elements` writes.
pub(crate) fn array(out: &mut Vec<u8>, elements: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    elements(&mut Array { out, is_empty: true });
    out.push(b']');
}

/// Appends a string with its quotes.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(start..at).unwrap_or_default());
        start = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(byte >> 4), digit(byte & 0x0F)]);
            }
        }
    }
    out.extend_from_slice(bytes.get(start..).unwrap_or_default());
    out.push(b'"');
}

/// Appends one event of a stream: an `event:` line if `name` is given, and a `data:` line with an object.
pub(crate) fn frame(out: &mut Vec<u8>, name: Option<&str>, members: impl FnOnce(&mut Object<'_>)) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    object(out, members);
    out.extend_from_slice(b"\n\n");
}

/// Returns an object as text.
pub(crate) fn json(members: impl FnOnce(&mut Object<'_>)) -> Json {
    let mut out = Vec::new();
    object(&mut out, members);
    Json::written(out)
}

// === impl Object ===

impl Object<'_> {
    /// Writes a name and returns the buffer, for the value.
    pub(crate) fn value(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        string(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn str(&mut self, name: &str, text: &str) {
        string(self.value(name), text);
    }

    /// Writes a string if there is one.
    pub(crate) fn opt_str(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.str(name, text);
        }
    }

    /// Writes a string, or `null`.
    pub(crate) fn str_or_null(&mut self, name: &str, text: Option<&str>) {
        match text {
            Some(text) => self.str(name, text),
            None => self.null(name),
        }
    }

    /// Writes a value that is JSON already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.value(name).extend_from_slice(json.as_bytes());
    }

    /// Writes a value that is JSON already, if there is one.
    pub(crate) fn opt_json(&mut self, name: &str, json: Option<&Json>) {
        if let Some(json) = json {
            self.raw(name, json.as_str());
        }
    }

    pub(crate) fn num(&mut self, name: &str, number: impl Into<i128>) {
        let number: i128 = number.into();
        self.raw(name, &number.to_string());
    }

    pub(crate) fn bool(&mut self, name: &str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }

    pub(crate) fn null(&mut self, name: &str) {
        self.raw(name, "null");
    }

    pub(crate) fn object(&mut self, name: &str, members: impl FnOnce(&mut Object<'_>)) {
        object(self.value(name), members);
    }

    pub(crate) fn array(&mut self, name: &str, elements: impl FnOnce(&mut Array<'_>)) {
        array(self.value(name), elements);
    }
}

// === impl Array ===

impl Array<'_> {
    /// Returns the buffer, for the next element.
    pub(crate) fn value(&mut self) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out
    }

    pub(crate) fn str(&mut self, text: &str) {
        string(self.value(), text);
    }

    pub(crate) fn raw(&mut self, json: &str) {
        self.value().extend_from_slice(json.as_bytes());
    }

    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Object<'_>)) {
        object(self.value(), members);
    }
}
