//! A mistake in what a user wrote.

use std::fmt;

/// A single mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The path of the field: `type`, `config.baseURL`, `config.headers.X-Team`.
    pub path: String,
    /// The mistake and its correction, without a subject: `must begin with http:// …`.
    pub what: String,
}

// === impl Mistake ===

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.what)
    }
}
