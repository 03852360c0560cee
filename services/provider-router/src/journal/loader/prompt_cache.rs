//! Watches the share of prompts that providers have cached, and tells when it falls within a session.

use std::collections::{HashMap, VecDeque};

use signalbox_core::prompt_cache::PromptTokens;
use signalbox_management::live::{Alert, PromptCacheFall};
use signalbox_store::exchanges::{Exchange, SessionRef};

use crate::metrics::Metrics;

/// Maximum number of sessions that are watched, about 2 MB.
const MAX_SESSIONS: usize = 10_000;

/// The newest turns of sessions.
#[derive(Debug, Default)]
pub(super) struct PromptCaches {
    turns: HashMap<(String, String), PromptTokens>,
    /// Keys of `turns`, the oldest first.
    order: VecDeque<(String, String)>,
}

// === impl PromptCaches ===

impl PromptCaches {
    /// Takes a row that was written. Tells if its share fell.
    pub(super) fn note(&mut self, row: &Exchange, metrics: &Metrics) {
        let Some((lost, before, now)) = self.lost(row) else { return };
        let provider = row.ended.as_ref().and_then(|ended| ended.provider_id.as_deref()).unwrap_or_default();
        metrics.prompt_cache_fell(provider, u64::try_from(lost).unwrap_or_default());
        metrics.alerts.tell(|| {
            Alert::PromptCache(PromptCacheFall {
                request_id: row.begun.request_id.clone(),
                model: row.begun.model.clone(),
                provider_id: Some(provider.to_owned()).filter(|id| !id.is_empty()),
                share: now.share(),
                previous_share: before.share(),
                lost_tokens: lost,
                timestamp: row.begun.received_at,
            })
        });
        tracing::warn!(
            request_id = row.begun.request_id,
            model = row.begun.model,
            provider,
            lost_tokens = lost,
            share = format!("{:.2}", now.share()),
            previous_share = format!("{:.2}", before.share()),
            "the provider had less of the prompt in its cache than in the turn before; the detail of the request says why"
        );
    }

    /// Returns how many tokens are cached no longer, if the share fell, with the turn before and this one.
    fn lost(&mut self, row: &Exchange) -> Option<(i64, PromptTokens, PromptTokens)> {
        let ended = row.ended.as_ref()?;
        let usage = ended.usage?;
        let session = match &row.begun.session {
            SessionRef::Named(name) => name.clone(),
            SessionRef::Continues(hash) => hash.clone(),
            SessionRef::Opens => ended.opening_hash.clone()?,
            // Only the database knows the session of the request that it follows.
            SessionRef::Follows(_) => return None,
        };
        let now = PromptTokens { prompt: usage.prompt_tokens, cached: usage.classes.cache_read };
        let key = (session, row.begun.model.clone());
        let before = self.turns.insert(key.clone(), now);
        if before.is_none() {
            self.order.push_back(key);
            if self.order.len() > MAX_SESSIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.turns.remove(&oldest);
            }
        }
        let before = before?;
        Some((now.lost_since(before)?, before, now))
    }
}

#[cfg(test)]
mod tests {
    use signalbox_core::{openai::Usage, schema::RequestStatus, token_classes::TokenClasses};
    use signalbox_store::exchanges::{ExchangeEnd, ExchangeStart, Source};

    use super::*;

    fn row(session: SessionRef, opening: Option<&str>, prompt: i64, cache_read: i64) -> Exchange {
        let begun = ExchangeStart {
            request_id: "r".to_owned(),
            received_at: 0,
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            model: "m".to_owned(),
            stream: false,
            request_body: "{}".into(),
            first_user_message: String::new(),
            session,
            base: None,
            source: Source::Router,
            key_id: None,
        };
        let classes = TokenClasses { cache_read, ..TokenClasses::default() };
        let ended = ExchangeEnd {
            status: RequestStatus::Completed,
            ended_at: 0,
            provider_id: Some("p".to_owned()),
            upstream_request: None,
            response_body: None,
            usage: Some(Usage { classes, ..Usage::new(prompt, 1) }),
            cost: None,
            finish_reason: None,
            error: None,
            duration_ms: 1,
            first_byte_ms: None,
            status_code: Some(200),
            attempts: 1,
            truncated: false,
            translation: None,
            plan: None,
            opening_hash: opening.map(str::to_owned),
            answer_hash: None,
        };
        Exchange { begun, ended: Some(ended) }
    }

    #[test]
    fn falls_are_told_within_a_session() {
        let mut caches = PromptCaches::default();
        let mut lost = |row: &Exchange| caches.lost(row).map(|(lost, ..)| lost);
        let named = |name: &str, prompt, cached| row(SessionRef::Named(name.to_owned()), None, prompt, cached);
        assert_eq!(lost(&named("a", 9_000, 8_000)), None);
        assert_eq!(lost(&named("b", 9_000, 0)), None, "another session");
        assert_eq!(lost(&named("a", 10_000, 0)), Some(8_000));
        assert_eq!(lost(&named("a", 10_000, 0)), None, "it was low before");
        assert_eq!(lost(&row(SessionRef::Opens, Some("h"), 9_000, 8_000)), None);
        assert_eq!(lost(&row(SessionRef::Continues("h".to_owned()), None, 9_000, 0)), Some(8_000));
    }

    #[test]
    fn a_fall_is_an_alert() {
        let (mut caches, metrics) = (PromptCaches::default(), Metrics::default());
        let mut alerts = metrics.alerts.listen();
        for cached in [8_000, 0, 0] {
            caches.note(&row(SessionRef::Named("a".to_owned()), None, 10_000, cached), &metrics);
        }
        let alert = alerts.try_recv().unwrap();
        let Alert::PromptCache(fall) = &*alert else { panic!("{alert:?}") };
        assert_eq!((&*fall.request_id, fall.provider_id.as_deref(), fall.lost_tokens), ("r", Some("p"), 8_000));
        assert!((fall.previous_share - 0.8).abs() < 1e-9 && fall.share.abs() < 1e-9, "{fall:?}");
        assert!(alerts.try_recv().is_err(), "one fall, one alert");
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let mut caches = PromptCaches::default();
        for n in 0..MAX_SESSIONS + 10 {
            caches.lost(&row(SessionRef::Named(n.to_string()), None, 9_000, 8_000));
        }
        assert_eq!((caches.turns.len(), caches.order.len()), (MAX_SESSIONS, MAX_SESSIONS));
    }
}
