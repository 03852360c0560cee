//! Assembles tool calls from the pieces of a stream.

use std::collections::BTreeMap;

use super::accumulator::{Fields, append_field, write_fields, write_text};
use crate::json::{Reader, TextBuf};
use crate::openai::event::{Arguments, FunctionView, ToolCallView};

/// Number of newest calls that are searched for an id.
const MAX_OPEN_CALLS: usize = 64;
/// Maximum length in bytes of arguments that are parsed to find out whether they are complete.
const MAX_PARSED_ARGUMENTS: usize = 4 << 10;

/// The tool calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// The position in `calls` of the newest call with an index.
    by_index: BTreeMap<i64, usize>,
}

/// A tool call.
#[derive(Debug, Default)]
pub(super) struct Call {
    index: Option<i64>,
    id: String,
    kind: Option<String>,
    name: String,
    arguments: TextBuf,
    others: Fields,
    function_others: Fields,
}

// === impl Calls ===

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Adds the pieces of one chunk.
    pub(super) fn add(&mut self, pieces: &[ToolCallView<'_>]) {
        for (position, piece) in pieces.iter().enumerate() {
            let at = self.position_of(piece, position).unwrap_or_else(|| {
                self.calls.push(Call::default());
                self.calls.len() - 1
            });
            if let Some(index) = piece.index {
                self.by_index.insert(index, at);
            }
            self.calls[at].add(piece);
            self.calls[at].index = self.calls[at].index.or(piece.index);
        }
    }

    /// Returns the position of the call that a piece continues; `None` if the piece begins a new call. Without an
    /// index, a new id or a different name begins a new call.
    fn position_of(&self, piece: &ToolCallView<'_>, position: usize) -> Option<usize> {
        let id = piece.id.map(|id| id.to_str());
        let name = piece.function.name.map(|name| name.to_str());
        if let Some(index) = piece.index {
            let at = *self.by_index.get(&index)?;
            let call = &self.calls[at];
            // Some providers number every call 0; others create a new id for every piece of the same call.
            let is_other = !call.id.is_empty() && id.is_some_and(|id| id != call.id) && name.is_some();
            return (!is_other).then_some(at);
        }
        let last = self.calls.len().checked_sub(1)?;
        match (id, name) {
            (Some(id), _) => {
                let known = self.calls.iter().enumerate().rev().take(MAX_OPEN_CALLS).find(|(_, call)| call.id == id);
                known
                    .map(|(at, _)| at)
                    .or_else(|| self.calls[last].id.is_empty().then_some(last).filter(|_| position == 0))
            }
            (None, None) => Some(last),
            // A name alone continues the last call only if it repeats or extends that call's name.
            (None, Some(name)) => {
                let call = &self.calls[last];
                (position == 0 && name.starts_with(&call.name) && !call.is_complete()).then_some(last)
            }
        }
    }

    /// Writes the calls in the order of their indices, as clients have them; without indices, in order of arrival.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut calls: Vec<&Call> = self.calls.iter().collect();
        if calls.iter().all(|call| call.index.is_some()) {
            // A stable sort: some providers number every call 0.
            calls.sort_by_key(|call| call.index);
        }
        for (at, call) in calls.into_iter().enumerate() {
            out.push(if at == 0 { b'[' } else { b',' });
            call.write(out);
        }
        out.push(b']');
    }
}

// === impl Call ===

impl Call {
    fn add(&mut self, piece: &ToolCallView<'_>) {
        if self.id.is_empty()
            && let Some(id) = piece.id
        {
            self.id = id.to_str().into_owned();
        }
        if let Some(kind) = piece.kind {
            self.kind = Some(kind.to_str().into_owned());
        }
        self.add_function(&piece.function);
        for (name, value) in &piece.others {
            append_field(&mut self.others, name, value);
        }
    }

    /// Adds a piece of the name and of the arguments.
    pub(super) fn add_function(&mut self, piece: &FunctionView<'_>) {
        if let Some(name) = piece.name {
            let name = name.to_str();
            // Some providers repeat the name in every piece or send a longer prefix each time: then it replaces the
            // name. Otherwise it is the next part of the name.
            if name.starts_with(&self.name) {
                name.as_ref().clone_into(&mut self.name);
            } else {
                self.name.push_str(&name);
            }
        }
        match piece.arguments {
            Some(Arguments::Text(text)) => self.arguments.push(text),
            Some(Arguments::Json(json)) => {
                self.arguments = TextBuf::default();
                self.arguments.push_str(&String::from_utf8_lossy(json));
            }
            None => {}
        }
        for (name, value) in &piece.others {
            append_field(&mut self.function_others, name, value);
        }
    }

    /// Returns whether the arguments are a complete object.
    fn is_complete(&self) -> bool {
        let json = self.arguments.as_bytes();
        if !json.ends_with(b"}") || json.len() > MAX_PARSED_ARGUMENTS {
            return false;
        }
        let mut reader = Reader::new(json);
        reader.skip().and_then(|()| reader.end()).is_some()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        write_text(&self.id, out);
        out.extend_from_slice(b",\"type\":");
        write_text(self.kind.as_deref().unwrap_or("function"), out);
        // Calls of other kinds have an object named after their kind in `others`.
        if !self.name.is_empty() || !self.arguments.is_empty() || self.others.is_empty() {
            out.extend_from_slice(b",\"function\":");
            self.write_function(out);
        }
        write_fields(&self.others, out);
        out.push(b'}');
    }

    /// Writes the function: its name and arguments.
    pub(super) fn write_function(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"name\":");
        write_text(&self.name, out);
        out.extend_from_slice(b",\"arguments\":");
        write_text(&self.arguments.clone().into_string(), out);
        write_fields(&self.function_others, out);
        out.push(b'}');
    }
}
