//! The list of fields that a translation dropped or altered.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write as _};

use crate::error::{Problem, RequestError};

/// Maximum length of the compact form in bytes.
const MAX_HEADER: usize = 1024;

/// Maximum bytes of the names of fields in an error.
const MAX_NAMED: usize = 4096;

/// Maximum number of entries; further ones are only counted.
const MAX_LOSSES: usize = 256;

/// How the target differs from what the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// The field is not sent.
    Dropped,
    /// The field is sent in another form or with another value.
    Altered,
    /// The gateway does the work of the field itself, or adds a value that the target requires.
    Emulated,
}

/// A field that did not arrive as the client sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The place in the client's request, or in the provider's answer.
    pub field: String,
    /// The kind of the difference.
    pub action: Action,
    /// The value before, if it is short and tells something.
    pub from: Option<String>,
    /// The value after.
    pub to: Option<String>,
    /// The reason: a few words.
    pub why: Cow<'static, str>,
}

/// The losses of one translation, in the order in which they were found. An empty list means that nothing was lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    list: Vec<Loss>,
    /// Number of losses beyond the maximum length of the list.
    uncounted: usize,
}

// === impl Loss ===

impl Loss {
    /// Returns the loss of a part of an answer.
    pub(crate) fn of_answer(field: &str) -> Self {
        Self {
            field: field.to_owned(),
            action: Action::Dropped,
            from: None,
            to: None,
            why: "it is not translated in answers".into(),
        }
    }
}

// === impl Losses ===

impl Losses {
    /// Adds an entry.
    pub fn add(&mut self, loss: Loss) {
        if self.list.len() < MAX_LOSSES {
            self.list.push(loss);
        } else {
            self.uncounted += 1;
        }
    }

    pub(crate) fn dropped(&mut self, field: impl fmt::Display, why: impl Into<Cow<'static, str>>) {
        self.push(field, Action::Dropped, None, None, why.into());
    }

    pub(crate) fn altered(&mut self, field: impl fmt::Display, why: impl Into<Cow<'static, str>>) {
        self.push(field, Action::Altered, None, None, why.into());
    }

    pub(crate) fn changed(
        &mut self,
        field: impl fmt::Display,
        from: &str,
        to: &str,
        why: impl Into<Cow<'static, str>>,
    ) {
        self.push(field, Action::Altered, Some(from.into()), Some(to.into()), why.into());
    }

    pub(crate) fn emulated(&mut self, field: impl fmt::Display, to: Option<String>, why: &'static str) {
        self.push(field, Action::Emulated, None, to, why.into());
    }

    fn push(
        &mut self,
        field: impl fmt::Display,
        action: Action,
        from: Option<String>,
        to: Option<String>,
        why: Cow<'static, str>,
    ) {
        self.add(Loss { field: field.to_string(), action, from, to, why });
    }

    /// Adds an entry unless the same field has one already.
    pub(crate) fn once(&mut self, field: &str, action: Action, why: &'static str) {
        if !self.list.iter().any(|loss| loss.field == field && loss.action == action) {
            self.push(field, action, None, None, why.into());
        }
    }

    /// Adds an entry unless the same field has one with the same action already.
    pub(crate) fn add_once(&mut self, loss: Loss) {
        if !self.list.iter().any(|known| known.field == loss.field && known.action == loss.action) {
            self.add(loss);
        }
    }

    /// Appends the entries of another list.
    pub fn append(&mut self, other: Self) {
        self.uncounted += other.uncounted;
        other.list.into_iter().for_each(|loss| self.add(loss));
    }

    /// Removes the entries whose field and action another list has.
    #[must_use]
    pub fn without(mut self, known: &Self) -> Self {
        self.list.retain(|loss| !known.list.iter().any(|one| one.field == loss.field && one.action == loss.action));
        self
    }

    /// Returns whether nothing was lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the entries: at most 256.
    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.list.iter()
    }

    /// Returns the error for a client that wants no losses; `None` if there are none. It names all fields, up to 4,096
    /// bytes of names, and counts the others.
    #[must_use]
    pub fn to_error(&self) -> Option<RequestError> {
        let first = self.list.first()?;
        let (mut names, mut more) = (String::new(), self.uncounted);
        let mut named = HashSet::new();
        for field in self.list.iter().map(|loss| &*loss.field).filter(|field| named.insert(*field)) {
            if names.len() + field.len() + 4 > MAX_NAMED {
                more += 1;
                continue;
            }
            let _ = write!(names, "{}`{field}`", if names.is_empty() { "" } else { ", " });
        }
        let more = match more {
            0 => String::new(),
            more if names.is_empty() => format!("fields with long names ({more})"),
            more => format!(" and {more} more"),
        };
        let advice = format!("It does not carry exactly: {names}{more}.");
        Some(RequestError::new(Problem::NotTranslatable, &first.field, &advice))
    }

    /// Returns the value of the header `x-signalbox-translation`, which is empty without losses.
    ///
    /// The form is `field=action[;n=COUNT]`, joined by `, `. Indices become `*`, so that many similar losses are one
    /// entry. The text is printable ASCII of at most 1,024 bytes; what does not fit is counted in a last entry `+N`.
    #[must_use]
    pub fn to_header(&self) -> String {
        let mut groups: Vec<(String, Action, usize)> = Vec::new();
        let mut known: BTreeMap<(String, Action), usize> = BTreeMap::new();
        for loss in &self.list {
            let key = (generic(&loss.field), loss.action);
            if let Some(group) = known.get(&key).and_then(|at| groups.get_mut(*at)) {
                group.2 += 1;
            } else {
                known.insert(key.clone(), groups.len());
                groups.push((key.0, key.1, 1));
            }
        }
        let (mut text, mut left) = (String::new(), self.uncounted);
        for (field, action, count) in groups {
            let times = if count > 1 { format!(";n={count}") } else { String::new() };
            let entry = format!("{field}={action}{times}");
            if text.len() + entry.len() + 16 > MAX_HEADER {
                left += count;
                continue;
            }
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(&entry);
        }
        if left > 0 {
            let _ = write!(text, "{}+{left}", if text.is_empty() { "" } else { ", " });
        }
        text
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dropped => "dropped",
            Self::Altered => "altered",
            Self::Emulated => "emulated",
        })
    }
}

/// Replaces indices by `*`, and characters that a header or the compact form cannot hold by `_`.
fn generic(field: &str) -> String {
    let segments: Vec<String> = field
        .split('.')
        .map(|segment| {
            if !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()) {
                return "*".to_owned();
            }
            segment.chars().map(|c| if c.is_ascii_graphic() && !matches!(c, ',' | '=') { c } else { '_' }).collect()
        })
        .collect();
    segments.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_groups_similar_fields_and_is_bounded() {
        let mut losses = Losses::default();
        assert_eq!((losses.to_header(), losses.to_error()), (String::new(), None));
        losses.emulated("max_tokens", Some("16000".into()), "the target requires it");
        losses.dropped("messages.1.content.0", "foreign");
        losses.dropped("messages.3.content.0", "foreign");
        losses.dropped("ab\u{E9},\r\n", "odd");
        assert_eq!(losses.to_header(), "max_tokens=emulated, messages.*.content.*=dropped;n=2, ab____=dropped");
        let error = losses.to_error().unwrap();
        assert_eq!(error.field, "max_tokens");
        assert!(error.message.ends_with(
            "It does not carry exactly: `max_tokens`, `messages.1.content.0`, `messages.3.content.0`, `ab\u{E9},\r\n`."
        ));
        for index in 0..1000 {
            losses.dropped(format!("field_{}", "x".repeat(index % 100)), "long");
        }
        let header = losses.to_header();
        assert!(header.len() <= MAX_HEADER && header.contains(", +"), "{header}");
        assert_eq!(losses.iter().count(), MAX_LOSSES);
        assert!(losses.to_error().unwrap().message.len() < MAX_NAMED + 200);
    }

    #[test]
    fn the_error_names_every_field_that_fits_and_counts_the_others() {
        let mut losses = Losses::default();
        for index in 0..100 {
            losses.dropped(format!("tools.{index}.extra"), "no such field");
            losses.altered(format!("tools.{index}.extra"), "once more");
        }
        let message = losses.to_error().unwrap().message;
        assert!((0..100).all(|index| message.contains(&format!("`tools.{index}.extra`"))), "{message}");
        assert_eq!(message.matches("`tools.7.extra`").count(), 1, "{message}");
        assert!(!message.contains(" more"), "{message}");
        (0..1000).for_each(|index| losses.dropped(format!("input.{index}.{}", "x".repeat(60)), "long"));
        let message = losses.to_error().unwrap().message;
        let named = message.matches("`, `").count() + 1;
        let more: usize = message.split(" and ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(named + more, 1100, "{message}");
        let mut long = Losses::default();
        long.dropped("x".repeat(MAX_NAMED), "long");
        assert!(long.to_error().unwrap().message.ends_with("exactly: fields with long names (1)."));
    }
}
