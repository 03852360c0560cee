//! Merges the pieces of streamed values of any type.
//!
//! Providers add fields of their own: audio, images, annotations, signatures, probabilities. Pieces of a text are
//! concatenated. Elements of a list are appended or, if they have an index, merged into the element they continue.
//! Members of an object are merged by the same rules.

use std::collections::BTreeMap;

use crate::json::{Reader, TextBuf};
use crate::openai::number::whole_number;

/// Number of newest elements that are searched for the element that a piece continues.
const MAX_OPEN_ELEMENTS: usize = 64;

/// Fields whose texts are names: a new text replaces the old one.
const REPLACED_FIELDS: [&str; 15] = [
    "id",
    "type",
    "role",
    "name",
    "object",
    "status",
    "format",
    "model",
    "mime_type",
    "media_type",
    "created",
    "url",
    "detail",
    "tool_call_id",
    "phase",
];
/// Lists whose elements are always complete.
const COMPLETE_LISTS: [&str; 4] = ["images", "annotations", "citations", "content_parts"];

/// Fields by name.
pub(super) type Fields = BTreeMap<String, Accumulator>;

/// A JSON value that grows with each piece.
#[derive(Debug)]
pub(super) enum Accumulator {
    /// Unchanged JSON: only one piece has arrived.
    Json(Vec<u8>),
    Text(TextBuf),
    List(List),
    Object(Fields),
}

#[derive(Debug, Default)]
pub(super) struct List {
    /// Elements without an index, as received, separated by commas.
    plain: Vec<u8>,
    indexed: Vec<Element>,
}

#[derive(Debug)]
struct Element {
    index: i64,
    /// The type and the id of the element, as JSON, if it has them.
    kind: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
    value: Accumulator,
}

/// Adds a piece to the field `name`.
pub(super) fn append_field(fields: &mut Fields, name: &str, json: &[u8]) {
    match fields.get_mut(name) {
        Some(field) => field.add(name, json),
        None => {
            fields.insert(name.to_owned(), Accumulator::Json(json.to_vec()));
        }
    }
}

/// Replaces the field `name`.
pub(super) fn replace(fields: &mut Fields, name: &str, json: &[u8]) {
    fields.insert(name.to_owned(), Accumulator::Json(json.to_vec()));
}

/// Writes the fields as further members of an object that is not empty.
pub(super) fn write_fields(fields: &Fields, out: &mut Vec<u8>) {
    for (name, value) in fields {
        out.push(b',');
        write_text(name, out);
        out.push(b':');
        value.write(out);
    }
}

/// Writes a text as a JSON string.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

// === impl Accumulator ===

impl Accumulator {
    /// Adds a piece. `null` adds nothing; a piece of another type replaces the value.
    pub(super) fn add(&mut self, name: &str, json: &[u8]) {
        if json == b"null" {
            return;
        }
        if let Self::Json(first) = self {
            let first = std::mem::take(first);
            *self = match first.first() {
                Some(b'"') => Self::Text(TextBuf::default()),
                Some(b'[') => Self::List(List::default()),
                Some(b'{') => Self::Object(Fields::new()),
                _ => {
                    *self = Self::Json(json.to_vec());
                    return;
                }
            };
            self.join(name, &first);
        }
        if !self.join(name, json) {
            *self = Self::Json(json.to_vec());
        }
    }

    /// Adds a piece of the same type; returns `false` if the type differs.
    fn join(&mut self, name: &str, json: &[u8]) -> bool {
        let mut reader = Reader::lenient(json);
        match (self, json.first()) {
            (Self::Text(text), Some(b'"')) => {
                let Some(piece) = reader.text() else { return false };
                let is_name = REPLACED_FIELDS.contains(&name);
                // A repeated signature is the same signature; any other text may legitimately repeat.
                if is_name || (name.ends_with("signature") && text.as_bytes() == piece.to_str().as_bytes()) {
                    *text = TextBuf::default();
                }
                text.push(piece);
                true
            }
            (Self::List(list), Some(b'[')) => reader.array(|element| list.add(name, element.raw()?)).is_some(),
            (Self::List(list), Some(b'{')) => list.add(name, json).is_some(),
            (Self::Object(fields), Some(b'{')) => reader
                .fields(|name, value| {
                    append_field(fields, &name, value.raw()?);
                    Some(())
                })
                .is_some(),
            _ => false,
        }
    }

    /// Writes the value as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Json(json) => out.extend_from_slice(json),
            Self::Text(text) => write_text(&text.clone().into_string(), out),
            Self::List(list) => {
                out.push(b'[');
                out.extend_from_slice(&list.plain);
                let mut is_first = list.plain.is_empty();
                for element in &list.indexed {
                    if !std::mem::take(&mut is_first) {
                        out.push(b',');
                    }
                    element.value.write(out);
                }
                out.push(b']');
            }
            Self::Object(fields) => {
                let start = out.len();
                write_fields(fields, out);
                // `write_fields` puts a comma before every member, so the first one is replaced with the opening brace.
                match out.get_mut(start) {
                    Some(comma) => *comma = b'{',
                    None => out.push(b'{'),
                }
                out.push(b'}');
            }
        }
    }
}

// === impl List ===

impl List {
    fn add(&mut self, name: &str, element: &[u8]) -> Option<()> {
        let (mut index, mut kind, mut id) = (None, None, None);
        if element.first() == Some(&b'{') && !COMPLETE_LISTS.contains(&name) {
            Reader::lenient(element).fields(|name, value| {
                let raw = value.raw()?;
                match &*name {
                    "index" => index = whole_number(raw),
                    "type" => kind = Some(raw.to_vec()),
                    "id" if raw != b"null" => id = Some(raw.to_vec()),
                    _ => {}
                }
                Some(())
            })?;
        }
        let Some(index) = index else {
            if !self.plain.is_empty() {
                self.plain.push(b',');
            }
            self.plain.extend_from_slice(element);
            return Some(());
        };
        let is_same = |a: &Option<Vec<u8>>, b: &Option<Vec<u8>>| a.is_none() || b.is_none() || a == b;
        let open = self
            .indexed
            .iter_mut()
            .rev()
            .take(MAX_OPEN_ELEMENTS)
            .find(|open| open.index == index && is_same(&open.kind, &kind) && is_same(&open.id, &id));
        match open {
            Some(open) => open.value.add("", element),
            None => self.indexed.push(Element { index, kind, id, value: Accumulator::Json(element.to_vec()) }),
        }
        Some(())
    }
}
