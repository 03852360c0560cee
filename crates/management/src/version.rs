//! Versions of resources.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::header::ETAG;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

/// The version of a resource: its time of change and a digest of its content, because two changes may happen in the
/// same millisecond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    updated_at: i64,
    digest: u64,
}

// === impl Version ===

impl Version {
    /// Returns the version of a resource with this content.
    pub(super) fn of(updated_at: i64, content: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self { updated_at, digest: hasher.finish() }
    }

    /// Returns the version of a resource that is shown as JSON.
    pub(super) fn of_json(updated_at: i64, content: &impl Serialize) -> Self {
        // Responses can be serialised.
        Self::of(updated_at, &serde_json::to_vec(content).unwrap_or_default())
    }

    /// Returns the text between the quotes of the `ETag`.
    pub(super) fn tag(&self) -> String {
        format!("{}-{:016x}", self.updated_at, self.digest)
    }

    /// Returns whether a client means this version. It may also give the time of change, as lists have it.
    pub(super) fn matches(&self, tags: &[String]) -> bool {
        let (tag, time) = (self.tag(), self.updated_at.to_string());
        tags.iter().any(|given| *given == "*" || *given == tag || *given == time)
    }

    /// Returns the header with this version.
    pub(super) fn header(tag: &str) -> Option<(HeaderName, HeaderValue)> {
        Some((ETAG, HeaderValue::try_from(format!("\"{tag}\"")).ok()?))
    }
}
