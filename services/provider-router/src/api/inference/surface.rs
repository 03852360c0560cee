//! The API of a request, translated or not.

use signalbox_core::Api;

use crate::{
    direct::DirectApi,
    envelope::{Envelope, EnvelopeError},
};

/// The API of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Surface {
    Translated(Api),
    Direct(DirectApi),
}

// === impl Surface ===

impl Surface {
    /// Returns the API whose form errors have.
    pub(super) const fn api(self) -> Api {
        match self {
            Self::Translated(api) => api,
            Self::Direct(direct) => direct.companion(),
        }
    }

    /// Reads the fields of a body.
    pub(super) fn parse(self, body: &[u8]) -> Result<Envelope, EnvelopeError> {
        match self {
            Self::Translated(api) => Envelope::parse(api, body),
            Self::Direct(direct) => Envelope::parse_direct(direct, body),
        }
    }

    /// Returns whether answers consist of tokens that are charged.
    pub(super) const fn is_answered_in_tokens(self) -> bool {
        !matches!(self, Self::Direct(DirectApi::Embeddings | DirectApi::Moderations | DirectApi::Rerank))
    }

    /// Returns the word by which a key may be restricted to it.
    pub(super) const fn permission(self) -> &'static str {
        match self {
            Self::Translated(api) => api.as_str(),
            Self::Direct(direct) => direct.permission(),
        }
    }

    /// Returns the path below `/v1`.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Translated(api) => api.path(),
            Self::Direct(direct) => direct.path(),
        }
    }

    /// Returns the name in logs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Translated(api) => api.as_str(),
            Self::Direct(direct) => direct.as_str(),
        }
    }
}
