//! Mistakes in price documents.

use std::fmt;

/// A mistake in a price document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The place: `prices.2.base.in` is the input price of the third row. Empty for the document itself.
    pub path: String,
    /// The `id` of the row, if the mistake is in a row that has one.
    pub id: Option<String>,
    /// The mistake and its correction, without a subject: `must be …`.
    pub what: String,
}

/// All mistakes of a document, in the order of its rows; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

// === impl Mistake ===

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the document" } else { &self.path };
        match &self.id {
            Some(id) => write!(f, "{path} ({id}) {}", self.what),
            None => write!(f, "{path} {}", self.what),
        }
    }
}

// === impl Mistakes ===

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{mistake}")?;
        }
        Ok(())
    }
}
