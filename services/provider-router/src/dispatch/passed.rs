//! Requests that pass in the API of the client.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use signalbox_core::{Api, provider_type::ProviderType};
use signalbox_translate::{Cleaned, Losses, RequestError, without_foreign, without_items};

use super::{AcceptedAnswer, ClientRequest};
use crate::{
    app::App,
    exchange::TRANSLATION,
    owners::{Owner, id_of_answer, id_of_stream},
    provider::checks_thinking,
    relay::Translated,
    route::Candidate,
};

/// A body for a provider that speaks the client's API.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) body: Bytes,
    api: Api,
    /// Parts that were removed from the body; `None` if it is the client's.
    losses: Option<Losses>,
}

// === impl Passed ===

impl Passed {
    /// Removes the thinking of other providers and the `cut` items of other accounts, which the provider would refuse.
    ///
    /// # Errors
    /// Fails if something is removed and the client, its key or the route does not allow it.
    pub(super) fn new(
        body: Bytes,
        (kind, api): (&ProviderType, Api),
        model: Option<&str>,
        cut: &[usize],
        is_strict: bool,
    ) -> Result<Self, RequestError> {
        let (mut body, mut losses) = (body, None);
        let mut keep = |cleaned: Cleaned, body: &mut Bytes| {
            *body = cleaned.body.into();
            losses.get_or_insert_with(Losses::default).append(cleaned.losses);
        };
        if let Some(cleaned) = without_items(&body, cut) {
            keep(cleaned, &mut body);
        }
        // Other servers of Messages do not sign their thinking, and some want it back.
        let takes_unsigned = api == Api::Messages && !checks_thinking(kind, model);
        if !takes_unsigned && let Some(cleaned) = without_foreign(api, &body) {
            keep(cleaned, &mut body);
        }
        match losses.as_ref().and_then(Losses::to_error).filter(|_| is_strict) {
            Some(error) => Err(error),
            None => Ok(Self { body, api, losses }),
        }
    }

    /// Adds what was removed to the headers of the answer.
    pub(super) fn report(&self, answer: &mut AcceptedAnswer) {
        if let Some(losses) = &self.losses {
            let translated = Translated { client: self.api, provider: self.api, losses: losses.clone() };
            report(translated.text(Losses::default()), answer.headers_mut());
        }
    }
}

// === impl AcceptedAnswer ===

impl AcceptedAnswer {
    const fn headers_mut(&mut self) -> &mut HeaderMap {
        match self {
            Self::Stream { headers, .. } | Self::Whole { headers, .. } => headers,
        }
    }
}

/// Adds the header that tells the APIs of the client and the provider, and what was lost between them.
pub(super) fn report(text: String, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(TRANSLATION, value);
    }
}

/// Records the target of an answer that the provider keeps, if its id is known by now.
pub(super) fn note_owner(app: &App, candidate: &Candidate, request: &ClientRequest<'_>, answer: &AcceptedAnswer) {
    if request.envelope.api != Api::Responses || request.envelope.direct.is_some() {
        return;
    }
    let id = match answer {
        AcceptedAnswer::Stream { begun, .. } => id_of_stream(begun),
        AcceptedAnswer::Whole { body, .. } => id_of_answer(body),
    };
    if let Some(id) = id {
        app.owners.note(&id, owner(candidate, true), request.caller);
    }
}

/// Returns the target as the owner of an answer.
pub(super) fn owner(candidate: &Candidate, keeps_answer: bool) -> Owner {
    let key = candidate.provider.key.as_deref().map(str::to_owned);
    Owner { provider: candidate.provider.id.clone(), model: candidate.model.clone(), key, keeps_answer }
}

#[cfg(test)]
mod tests {
    use signalbox_core::provider_type::provider_type;

    use super::*;

    const UNSIGNED: &str = r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":""},{"type":"text","text":"y"}]}]}"#;

    fn passed(kind: &str, is_strict: bool) -> Result<Passed, RequestError> {
        Passed::new(
            Bytes::from_static(UNSIGNED.as_bytes()),
            (&provider_type(kind), Api::Messages),
            Some("m"),
            &[],
            is_strict,
        )
    }

    #[test]
    fn thinking_without_a_signature_goes_only_to_providers_that_do_not_check_it() {
        let cut = passed("anthropic", false).unwrap();
        assert_eq!(cut.body, r#"{"messages":[{"role":"assistant","content":[{"type":"text","text":"y"}]}]}"#);
        let mut answer =
            AcceptedAnswer::Whole { headers: HeaderMap::new(), body: Bytes::new(), failure: None, usage: None };
        cut.report(&mut answer);
        assert_eq!(answer.headers_mut()[TRANSLATION], "messages-messages; messages.*.content.*=dropped");

        let refused = passed("anthropic", true).unwrap_err();
        assert_eq!(refused.field, "messages.0.content.0");
        for is_strict in [false, true] {
            let whole = passed("deepseek", is_strict).unwrap();
            assert_eq!(whole.body, UNSIGNED);
            assert!(whole.losses.is_none());
        }
    }
}
