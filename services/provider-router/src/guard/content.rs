//! Finds credentials and card numbers in the texts of a JSON document, and replaces them.

use std::ops::Range;

use bytes::Bytes;
use signalbox_core::{json::Reader, schema::GuardAction};

use super::{cards, escapes::Resolved, secrets};

/// Depth of nesting beyond which a value is searched as it is written, and refused rather than redacted.
const MAX_DEPTH: usize = 64;

/// Length of the shortest text in which something is found.
const MIN_FOUND: usize = 13;

/// Fields with opaque data, which must not be changed, if it is base64. Documents of Messages have plain text in `data`.
const OPAQUE: [&str; 7] =
    ["b64_json", "data", "embedding", "encrypted_content", "file_data", "signature", "thought_signature"];

/// Actions on what is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Actions {
    pub(super) secrets: Option<GuardAction>,
    pub(super) cards: Option<GuardAction>,
}

/// A document that was searched.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Searched {
    /// The document without what was redacted, if something was.
    pub(super) redacted: Option<Bytes>,
    /// Number of redacted places.
    pub(super) count: usize,
    /// The first place that is to be refused: its path, and the kind of its content.
    pub(super) refused: Option<(String, &'static str)>,
}

/// A member or an element.
enum Step {
    Name(String),
    Index(usize),
}

struct Search<'a> {
    document: &'a [u8],
    actions: Actions,
    path: Vec<Step>,
    edits: Vec<(Range<usize>, String)>,
    /// Number of names of members with something that was found.
    names: usize,
    found: Searched,
}

/// Searches all texts of a JSON document, and the names of its members. What is no JSON is searched as one text.
pub(super) fn search(document: &Bytes, actions: Actions) -> Searched {
    let mut search =
        Search { document, actions, path: Vec::new(), edits: Vec::new(), names: 0, found: Searched::default() };
    if search.value(&mut Reader::lenient(document), None).is_none() {
        search.edits.clear();
        search.found = Searched::default();
        search.unreadable(document);
    }
    search.finish()
}

// === impl Actions ===

impl Actions {
    pub(super) const fn is_empty(self) -> bool {
        self.secrets.is_none() && self.cards.is_none()
    }

    /// Returns the actions that refuse in place of redacting.
    pub(super) fn refusing(self) -> Self {
        let refuse = |action: Option<GuardAction>| action.map(|_| GuardAction::Refuse);
        Self { secrets: refuse(self.secrets), cards: refuse(self.cards) }
    }

    /// Returns the actions that redact in place of refusing.
    pub(super) fn redacting(self) -> Self {
        let redact = |action: Option<GuardAction>| action.map(|_| GuardAction::Redact);
        Self { secrets: redact(self.secrets), cards: redact(self.cards) }
    }

    /// Returns the text with a mark in place of each credential and card number; `None` if it has none.
    pub(super) fn redact(self, text: &str) -> Option<String> {
        let found = self.find(text);
        (!found.is_empty()).then(|| marked(text, found.into_iter().map(|(range, kind, _)| (range, kind)), ""))
    }

    /// Returns the kind of the first credential or card number in a text.
    pub(super) fn first_in(self, text: &str) -> Option<&'static str> {
        self.find(text).first().map(|(_, kind, _)| *kind)
    }

    /// Returns the places in a text, without its escapes of JSON, if it has any.
    fn find_as_written(self, text: &str) -> Vec<(Range<usize>, &'static str, GuardAction)> {
        let mut all = Vec::new();
        if let Some(action) = self.secrets {
            let mut found = Vec::new();
            secrets::find(text, &mut found);
            all.extend(found.into_iter().map(|(range, name)| (range, name, action)));
        }
        if let Some(action) = self.cards {
            let mut found = Vec::new();
            cards::find(text, &mut found);
            all.extend(found.into_iter().map(|range| (range, "card number", action)));
        }
        all
    }

    /// Returns the places in a text, in order and without overlaps.
    pub(super) fn find(self, text: &str) -> Vec<(Range<usize>, &'static str, GuardAction)> {
        let mut all = self.find_as_written(text);
        // Arguments and results of tools are JSON within a text.
        if let Some(resolved) = Resolved::new(text) {
            let found = self.find_as_written(&resolved.text).into_iter();
            all.extend(found.map(|(range, kind, action)| (resolved.source(&range), kind, action)));
        }
        all.sort_by_key(|(range, ..)| (range.start, std::cmp::Reverse(range.end)));
        let mut end = 0;
        all.retain(|(range, ..)| {
            let is_apart = range.start >= end;
            if is_apart {
                end = range.end;
            }
            is_apart
        });
        all
    }
}

/// Returns the text with a mark in place of each of these ranges, which names the kind of its content and ends with
/// `number`.
fn marked(text: &str, found: impl Iterator<Item = (Range<usize>, &'static str)>, number: &str) -> String {
    let (mut kept, mut copied) = (String::with_capacity(text.len()), 0);
    for (range, kind) in found {
        kept.push_str(&text[copied..range.start]);
        kept.push_str("[redacted: ");
        kept.push_str(kind);
        kept.push_str(number);
        kept.push(']');
        copied = range.end;
    }
    kept.push_str(&text[copied..]);
    kept
}

/// Returns the body of an error with a mark in place of each credential and card number; `None` if it has none. What is
/// no JSON is edited as a text. `actions` redact.
pub(super) fn error_body(body: &Bytes, actions: Actions) -> Option<Bytes> {
    let found = search(body, actions);
    if found.refused.is_some() {
        return actions.redact(&String::from_utf8_lossy(body)).map(Bytes::from);
    }
    found.redacted
}

// === impl Search ===

impl Search<'_> {
    fn value(&mut self, value: &mut Reader<'_>, name: Option<&str>) -> Option<()> {
        match value.peek()? {
            b'{' | b'[' if self.path.len() >= MAX_DEPTH => {
                let raw = value.raw()?;
                self.unreadable(raw);
                Some(())
            }
            b'{' => {
                // The type of a document may follow its data.
                let (mut is_text, mut data) = (false, None);
                value.fields_as_written(|name, raw, value| {
                    let shown = self.name(raw, &name);
                    self.path.push(Step::Name(shown.unwrap_or_else(|| name.clone().into_owned())));
                    let read = match &*name {
                        "type" | "data" if value.peek()? == b'"' => {
                            let text = value.raw()?;
                            is_text |= name == "type" && text == br#""text""#;
                            let is_opaque = name == "data" && self.is_opaque(text);
                            data = Some(text).filter(|_| is_opaque).or(data);
                            if is_opaque { Some(()) } else { self.text(text) }
                        }
                        name => self.value(value, Some(name)),
                    };
                    self.path.pop();
                    read
                })?;
                let Some(data) = data.filter(|_| is_text) else { return Some(()) };
                self.path.push(Step::Name("data".to_owned()));
                let read = self.text(data);
                self.path.pop();
                read
            }
            b'[' => {
                let mut index = 0;
                value.array(|element| {
                    self.path.push(Step::Index(index));
                    let read = self.value(element, None);
                    self.path.pop();
                    index += 1;
                    read
                })
            }
            b'"' => {
                let raw = value.raw()?;
                let is_opaque = name.is_some_and(|name| OPAQUE.contains(&name)) && self.is_opaque(raw);
                if is_opaque { Some(()) } else { self.text(raw) }
            }
            b'-' | b'0'..=b'9' if self.is_in_arguments() => {
                let raw = value.raw()?;
                self.number(raw)
            }
            _ => value.skip(),
        }
    }

    /// Returns whether the text of a field for opaque data, which is given as it is written, is such data.
    fn is_opaque(&self, raw: &[u8]) -> bool {
        raw.iter().all(is_base64) && !self.is_in_arguments()
    }

    /// Returns whether the value is among the arguments of a tool, whose names are the user's own.
    fn is_in_arguments(&self) -> bool {
        self.path.windows(2).any(|steps| matches!(steps, [Step::Name(name), Step::Name(_)] if name == "input"))
    }

    /// Searches the name of a member, which is given as it is written, too. Returns the name without what was found.
    fn name(&mut self, raw: &[u8], name: &str) -> Option<String> {
        if name.len() < MIN_FOUND {
            return None;
        }
        // Names stay different, so that no member replaces another one.
        let number = self.names + 1;
        let shown = if number > 1 { format!(" {number}") } else { String::new() };
        let kept = self.without_found(name, &shown)?;
        self.names = number;
        self.edit(raw, &kept);
        Some(kept)
    }

    /// Searches a number, which becomes a text if it is redacted.
    fn number(&mut self, raw: &[u8]) -> Option<()> {
        self.found_in(raw, std::str::from_utf8(raw).ok()?)
    }

    /// Searches a string, which is given as it is written.
    fn text(&mut self, raw: &[u8]) -> Option<()> {
        let text = Reader::lenient(raw).text()?.to_str().into_owned();
        self.found_in(raw, &text)
    }

    /// Searches the text of a value, which is given as it is written, too.
    fn found_in(&mut self, raw: &[u8], text: &str) -> Option<()> {
        if let Some(kept) = self.without_found(text, "") {
            self.edit(raw, &kept);
        }
        Some(())
    }

    /// Returns the text with a mark in place of each credential and card number; `None` if it has none.
    fn without_found(&mut self, text: &str, number: &str) -> Option<String> {
        let found = self.actions.find(text);
        if found.is_empty() {
            return None;
        }
        for (_, kind, action) in &found {
            if *action == GuardAction::Refuse {
                self.refuse(kind);
            }
        }
        self.found.count += found.len();
        Some(marked(text, found.into_iter().map(|(range, kind, _)| (range, kind)), number))
    }

    /// Replaces a string or a number, which is given as it is written.
    fn edit(&mut self, raw: &[u8], text: &str) {
        let start = raw.as_ptr() as usize - self.document.as_ptr() as usize;
        // Serialising a string cannot fail.
        self.edits.push((start..start + raw.len(), serde_json::to_string(text).unwrap_or_default()));
    }

    /// Searches what cannot be edited.
    fn unreadable(&mut self, raw: &[u8]) {
        if let Some(kind) = self.actions.first_in(&String::from_utf8_lossy(raw)) {
            self.refuse(kind);
        }
    }

    fn refuse(&mut self, kind: &'static str) {
        if self.found.refused.is_none() {
            let mut path = String::new();
            for step in &self.path {
                match step {
                    Step::Name(name) if path.is_empty() => path.push_str(name),
                    Step::Name(name) => path.push_str(&format!(".{name}")),
                    Step::Index(index) => path.push_str(&format!("[{index}]")),
                }
            }
            self.found.refused = Some((path, kind));
        }
    }

    fn finish(self) -> Searched {
        let Self { document, mut edits, mut found, .. } = self;
        if edits.is_empty() {
            return found;
        }
        // The data of a document is searched behind its other fields.
        edits.sort_unstable_by_key(|(range, _)| range.start);
        let (mut out, mut copied) = (Vec::with_capacity(document.len()), 0);
        for (range, text) in edits {
            out.extend_from_slice(&document[copied..range.start]);
            out.extend_from_slice(text.as_bytes());
            copied = range.end;
        }
        out.extend_from_slice(&document[copied..]);
        found.redacted = Some(out.into());
        found
    }
}

/// Returns whether this byte may be in base64 of any kind, or is the quote around it.
fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "4111 1111 1111 1111";

    fn searched(document: &str, secrets: Option<GuardAction>, cards: Option<GuardAction>) -> Searched {
        search(&Bytes::from(document.to_owned()), Actions { secrets, cards })
    }

    fn key() -> String {
        format!("sk-ant-{}", "aB3dE6gH9j".repeat(4))
    }

    #[test]
    fn what_is_found_is_replaced_and_all_other_bytes_stay() {
        let document = format!(
            r#"{{ "model":"m", "messages":[{{"role":"user","content":"pay\n{CARD} with \"{}\"", "n" : 1.0}}], "tools" : [] }}"#,
            key()
        );
        let found = searched(&document, Some(GuardAction::Redact), Some(GuardAction::Redact));
        let expected = r#"{ "model":"m", "messages":[{"role":"user","content":"pay\n[redacted: card number] with \"[redacted: Anthropic key]\"", "n" : 1.0}], "tools" : [] }"#;
        assert_eq!(found.redacted.unwrap(), expected);
        assert_eq!((found.count, found.refused), (2, None));
        let found = searched(&document, None, Some(GuardAction::Redact));
        assert_eq!(found.count, 1);
        assert!(String::from_utf8(found.redacted.unwrap().to_vec()).unwrap().contains(&key()));
    }

    #[test]
    fn the_first_refused_place_is_named() {
        let document =
            format!(r#"{{"messages":[{{"content":"a"}},{{"content":[{{"text":"{CARD}"}}]}}],"user":"{}"}}"#, key());
        let found = searched(&document, Some(GuardAction::Redact), Some(GuardAction::Refuse));
        assert_eq!(found.refused, Some(("messages[1].content[0].text".to_owned(), "card number")));
        // The body as it is logged has no secret, either.
        let logged = String::from_utf8(found.redacted.unwrap().to_vec()).unwrap();
        assert!(!logged.contains(CARD) && !logged.contains(&key()), "{logged}");
    }

    #[test]
    fn escapes_do_not_hide_anything() {
        let escaped: String = CARD.chars().map(|char| format!("\\u{:04x}", u32::from(char))).collect();
        let found = searched(&format!(r#"{{"input":"{escaped}"}}"#), None, Some(GuardAction::Redact));
        assert_eq!(found.redacted.unwrap(), r#"{"input":"[redacted: card number]"}"#);
    }

    #[test]
    fn escapes_of_json_within_a_text_do_not_hide_anything() {
        for (arguments, count) in [
            (format!(r#"{{"q":"s\u006b-ant-{}"}}"#, "aB3dE6gH9j".repeat(4)), 1),
            (format!(r#"{{"q":"{}"}}"#, key().replacen('a', r"\u0061", 2)), 1),
            (r#"{"q":"\u0034111111111111111 and 4111111111111111"}"#.to_owned(), 2),
            (r#"{"q":"\\u0034111 1111 1111 111\\u0031"}"#.to_owned(), 1),
            (r#"{"q":"\u00e9\ud83d\ude00"}"#.to_owned(), 0),
        ] {
            let document = serde_json::json!({ "arguments": arguments }).to_string();
            let found = searched(&document, Some(GuardAction::Redact), Some(GuardAction::Redact));
            assert_eq!(found.count, count, "{document}");
            let kept = found.redacted.map(|kept| String::from_utf8(kept.to_vec()).unwrap()).unwrap_or_default();
            assert_eq!(kept.matches("[redacted: ").count(), count, "{kept}");
            assert!(!kept.contains("1111") && !kept.contains("aB3d"), "{kept}");
        }
    }

    #[test]
    fn a_text_document_is_searched_wherever_its_type_stands() {
        let data = key();
        for (document, count) in [
            (format!(r#"{{"type":"text","media_type":"text/plain","data":"{data}"}}"#), 1),
            (format!(r#"{{"data":"{data}","b":"{CARD}","type":"text"}}"#), 2),
            (format!(r#"{{"type":"base64","media_type":"image/png","data":"{data}"}}"#), 0),
            (format!(r#"{{"data":"{data}"}}"#), 0),
        ] {
            let found = searched(&document, Some(GuardAction::Redact), Some(GuardAction::Redact));
            assert_eq!(found.count, count, "{document}");
            let kept = found.redacted.map_or(document, |kept| String::from_utf8(kept.to_vec()).unwrap());
            assert!(serde_json::from_str::<serde_json::Value>(&kept).is_ok(), "{kept}");
            assert_eq!(kept.contains(&data), count == 0, "{kept}");
        }
        let found =
            searched(&format!(r#"{{"source":{{"data":"{data}","type":"text"}}}}"#), Some(GuardAction::Refuse), None);
        assert_eq!(found.refused, Some(("source.data".to_owned(), "Anthropic key")));
    }

    #[test]
    fn texts_within_texts_and_documents_are_searched() {
        let inner = format!(
            r#"{{\\"pem\\":\\"-----BEGIN PRIVATE KEY-----\\\\nMIIabc\\\\n-----END PRIVATE KEY-----\\\\n{}\\"}}"#,
            key()
        );
        let arguments = format!(r#"{{"arguments":"{}"}}"#, inner.replace(r"\\", r"\"));
        let found = searched(&arguments, Some(GuardAction::Redact), None);
        assert_eq!(found.count, 2, "{arguments}");
        let document =
            format!(r#"{{"source":{{"type":"text","media_type":"text/plain","data":"my key is {}"}}}}"#, key());
        assert_eq!(searched(&document, Some(GuardAction::Redact), None).count, 1);
        for text in [format!("“{}”", key()), format!("密钥{}", key()), format!(r"a\n{}", key())] {
            let document = serde_json::json!({ "input": text }).to_string();
            assert_eq!(searched(&document, Some(GuardAction::Redact), None).count, 1, "{text}");
        }
        let card = serde_json::json!({"input": format!(r"pay\n{CARD}\n now")}).to_string();
        assert_eq!(searched(&card, None, Some(GuardAction::Redact)).count, 1);
    }

    #[test]
    fn names_of_members_are_searched_and_not_shown() {
        let document =
            format!(r#"{{"input":{{"{CARD}":1,"a{}":{{"text":"{CARD}"}},"\u0034111 1111 1111 1111" : 2}}}}"#, key());
        let found = searched(&document, Some(GuardAction::Redact), Some(GuardAction::Redact));
        let expected = r#"{"input":{"[redacted: card number]":1,"a[redacted: Anthropic key 2]":{"text":"[redacted: card number]"},"[redacted: card number 3]" : 2}}"#;
        assert_eq!((found.redacted.unwrap(), found.count), (Bytes::from_static(expected.as_bytes()), 4));
        let named = format!(r#"{{"tools":{{"{}":{{"text":"{CARD}"}}}}}}"#, key());
        let found = searched(&named, Some(GuardAction::Redact), Some(GuardAction::Refuse));
        assert_eq!(found.refused, Some(("tools.[redacted: Anthropic key].text".to_owned(), "card number")));
        let found = searched(&named, Some(GuardAction::Refuse), None);
        assert_eq!(found.refused, Some(("tools".to_owned(), "Anthropic key")));
    }

    #[test]
    fn arguments_of_tools_have_no_opaque_names_and_no_opaque_numbers() {
        let call = format!(r#"{{"type":"tool_use","input":{{"data":"{}","card":4111111111111111}}}}"#, key());
        let found = searched(&call, Some(GuardAction::Redact), Some(GuardAction::Redact));
        let expected =
            r#"{"type":"tool_use","input":{"data":"[redacted: Anthropic key]","card":"[redacted: card number]"}}"#;
        assert_eq!(found.redacted.unwrap(), expected);
        let item =
            format!(r#"{{"input":[{{"type":"reasoning","encrypted_content":"{}"}}],"seed":4111111111111111}}"#, key());
        assert_eq!(searched(&item, Some(GuardAction::Redact), Some(GuardAction::Redact)), Searched::default());
    }

    #[test]
    fn clean_and_opaque_documents_stay_as_they_are() {
        let opaque = format!(r#"{{"content":[{{"type":"thinking","signature":"{}"}}],"n":4111111111111111}}"#, key());
        for document in [opaque.as_str(), "{}", "[]", r#"{"input":"hi \ud800"}"#, "7"] {
            let found = searched(document, Some(GuardAction::Refuse), Some(GuardAction::Refuse));
            assert_eq!(found, Searched::default(), "{document}");
        }
    }

    #[test]
    fn what_cannot_be_edited_is_refused() {
        let deep = format!("{}[\"{CARD}\"]{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        for document in [deep, format!("<html>{CARD}</html>"), format!("{{\"a\":\"{CARD}")] {
            let found = searched(&document, None, Some(GuardAction::Redact));
            assert_eq!(found.refused.map(|(_, kind)| kind), Some("card number"), "{document}");
        }
    }
}
