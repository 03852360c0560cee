//! Parts of a request of Responses that only the account which made them can use: ids of answers, items and
//! conversations that a provider keeps, and encrypted reasoning.
//!
//! An id that neither the memory nor the log knows is asked for at one target only, because a fallback at another
//! account would refuse it, or take it for an id of its own. Encrypted reasoning goes only to the account that made it;
//! if that is not known, to the first target.

use std::borrow::Cow;

use signalbox_core::{Api, json::Reader};
use signalbox_translate::HANDLE;

use crate::{
    envelope::Envelope,
    owners::{Owner, Owners, hash_of},
    response_ids::request_of,
};

/// Parts of a request that depend on the state of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountState {
    /// Whether it names an answer, an item or a conversation whose owner is not known.
    pub names_unknown: bool,
    /// The items that only their maker can read.
    pub sealed: Vec<Sealed>,
}

/// An item with encrypted content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Index in `input`.
    pub index: usize,
    /// Whether the request means the same without it. The item of a compaction stands for the conversation before it.
    pub is_reasoning: bool,
    /// Hash of the account that made it, if it is known.
    pub maker: Option<u64>,
}

/// Items of a request that a target cannot read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignItems {
    /// Indices in `input` of the items to leave out.
    pub cut: Vec<usize>,
    /// Index in `input` of an item without which the request would be another one.
    pub needed: Option<usize>,
}

// === impl AccountState ===

impl AccountState {
    /// Reads a request. `owner` is that of the answer which it continues, if it is known.
    #[must_use]
    pub fn of(envelope: &Envelope, body: &[u8], owner: Option<&Owner>, owners: &Owners) -> Self {
        let mut state = Self::default();
        if envelope.api != Api::Responses || envelope.direct.is_some() {
            return state;
        }
        let of_provider = |id: &str| request_of(id).is_none();
        state.names_unknown = owner.is_none() && envelope.previous.as_deref().is_some_and(of_provider);
        let has = |name: &str| memchr::memmem::find(body, name.as_bytes()).is_some();
        if !has("\"encrypted_content\"") && !has("\"item_reference\"") && !has("\"conversation\"") {
            return state;
        }
        // The body has been read as JSON before.
        let _ = Reader::new(body).fields(|name, value| match &*name {
            "conversation" => {
                state.names_unknown |= value.raw()? != b"null";
                Some(())
            }
            "input" if value.peek()? == b'[' => {
                let mut index = 0;
                value.array(|item| {
                    state.read_item(index, item, owner.is_some(), owners)?;
                    index += 1;
                    Some(())
                })
            }
            _ => value.skip(),
        });
        state
    }

    fn read_item(&mut self, index: usize, item: &mut Reader<'_>, has_owner: bool, owners: &Owners) -> Option<()> {
        if item.peek()? != b'{' {
            return item.skip();
        }
        let (mut kind, mut id, mut content) = (None, None, None);
        item.fields(|name, value| {
            let raw = value.raw()?;
            match &*name {
                "type" => kind = Some(raw),
                "id" => id = Reader::new(raw).string(),
                "encrypted_content" => content = Reader::new(raw).string(),
                _ => {}
            }
            Some(())
        })?;
        if kind == Some(b"\"item_reference\"") {
            self.names_unknown |= !has_owner && id.is_some_and(|id: Cow<'_, str>| request_of(&id).is_none());
        }
        let content = content.filter(|content: &Cow<'_, str>| !content.is_empty() && !content.starts_with(HANDLE));
        self.sealed.extend(content.map(|content| Sealed {
            index,
            is_reasoning: kind == Some(b"\"reasoning\""),
            maker: owners.maker_of(hash_of(&content)),
        }));
        Some(())
    }

    /// Returns the items that an account cannot read; `first` is the first account that is asked.
    #[must_use]
    pub fn foreign_to(&self, account: u64, first: u64) -> ForeignItems {
        let is_foreign = |sealed: &&Sealed| sealed.maker.unwrap_or(first) != account;
        let mut foreign = ForeignItems::default();
        for sealed in self.sealed.iter().filter(is_foreign) {
            if sealed.is_reasoning {
                foreign.cut.push(sealed.index);
            } else {
                foreign.needed = foreign.needed.or(Some(sealed.index));
            }
        }
        foreign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(body: &str, owner: Option<&Owner>, owners: &Owners) -> AccountState {
        let envelope = Envelope::parse(Api::Responses, body.as_bytes()).unwrap();
        AccountState::of(&envelope, body.as_bytes(), owner, owners)
    }

    #[test]
    fn ids_without_an_owner_are_unknown() {
        let owner = Owner { provider: "p".into(), model: None, key: None, keeps_answer: true };
        let own = "resp_0198c0de0198c0de0198c0de0198c0de";
        for (fields, without, with) in [
            (r#""input":"x""#.to_owned(), false, false),
            (r#""input":"x","previous_response_id":"resp_68a1""#.to_owned(), true, false),
            (format!(r#""input":"x","previous_response_id":"{own}""#), false, false),
            (r#""input":"x","conversation":"conv_1""#.to_owned(), true, true),
            (r#""input":"x","conversation":{"id":"conv_1"}"#.to_owned(), true, true),
            (r#""input":"x","conversation":null"#.to_owned(), false, false),
            (r#""input":[{"type":"item_reference","id":"msg_68a1"}]"#.to_owned(), true, false),
            (format!(r#""input":[{{"id":"{own}_0","type":"item_reference"}}]"#), false, false),
            (r#""input":[{"type":"message","id":"msg_68a1","content":"item_reference"}]"#.to_owned(), false, false),
        ] {
            let body = format!(r#"{{"model":"m",{fields}}}"#);
            let unknown = |owner| state(&body, owner, &Owners::default()).names_unknown;
            assert_eq!((unknown(None), unknown(Some(&owner))), (without, with), "{body}");
        }
    }

    #[test]
    fn encrypted_content_is_foreign_to_every_account_but_its_maker() {
        let owners = Owners::default();
        owners.note_sealed(br#"{"output":[{"type":"reasoning","encrypted_content":"gA\u0041"}]}"#, 7);
        let body = r#"{"model":"m","input":[{"role":"user","content":"\"encrypted_content\""},
            {"type":"reasoning","encrypted_content":"gAA"},{"type":"reasoning","encrypted_content":"other"},
            {"type":"reasoning","encrypted_content":"signalbox.thinking.v1:{}"},{"type":"reasoning","encrypted_content":""}]}"#;
        let known = state(body, None, &owners);
        assert_eq!(known.sealed.iter().map(|sealed| sealed.maker).collect::<Vec<_>>(), [Some(7), None]);
        let cut = |account, first| known.foreign_to(account, first).cut;
        assert_eq!((cut(7, 7), cut(7, 8), cut(8, 8), cut(9, 8)), (vec![], vec![2], vec![1], vec![1, 2]));
        let compacted =
            state(r#"{"model":"m","input":[{"type":"compaction","encrypted_content":"c"}]}"#, None, &owners);
        let foreign = compacted.foreign_to(8, 7);
        assert_eq!((foreign.needed, foreign.cut.len()), (Some(0), 0));
        assert_eq!(compacted.foreign_to(7, 7), ForeignItems::default());
        let chat = Envelope::parse(Api::Chat, br#"{"messages":[{"encrypted_content":"x"}]}"#).unwrap();
        assert_eq!(AccountState::of(&chat, b"{}", None, &owners), AccountState::default());
    }
}
