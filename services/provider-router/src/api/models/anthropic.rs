//! The list of models in Anthropic's form.

use http::{HeaderMap, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use signalbox_core::openai::Model;

use crate::provider::ClaudeThinking;

/// Number of entries without `limit`.
const DEFAULT_LIMIT: usize = 20;
/// Maximum of `limit`.
const MAX_LIMIT: usize = 1000;

/// Part of the list that a client asks for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Query {
    limit: Option<String>,
    after_id: Option<String>,
    before_id: Option<String>,
}

/// A part of the list.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    data: Vec<Entry>,
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

/// One entry of the list.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    display_name: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Capabilities>,
}

/// Facts about a model beside its entry in OpenAI's form.
#[derive(Debug, Default)]
pub(super) struct About {
    /// Name that is shown to users.
    pub(super) name: Option<String>,
    /// Maximum number of tokens of a prompt.
    pub(super) max_input_tokens: Option<u64>,
    /// Maximum number of tokens of an answer.
    pub(super) max_tokens: Option<u64>,
    /// Whether the catalogue says that it sees images.
    pub(super) sees_images: bool,
    /// How it thinks, for a Claude model.
    pub(super) thinking: Option<ClaudeThinking>,
}

/// The capabilities that are known. Others are left out.
#[derive(Debug, Serialize)]
struct Capabilities {
    #[serde(skip_serializing_if = "Option::is_none")]
    image_input: Option<Support>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
}

#[derive(Debug, Serialize)]
struct Support {
    supported: bool,
}

#[derive(Debug, Serialize)]
struct Thinking {
    supported: bool,
    types: ThinkingTypes,
}

#[derive(Debug, Serialize)]
struct ThinkingTypes {
    adaptive: Support,
}

/// Returns whether the client is one of Anthropic's: it names a version of its API, or sends its key in `x-api-key`.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
        || headers.contains_key("x-api-key") && !headers.contains_key(header::AUTHORIZATION)
}

// === impl Page ===

impl Page {
    /// Returns the part of `models` that `query` asks for, with what is known `about` each of them. An unknown id starts at the beginning, a `limit` that is no
    /// number between 1 and 1,000 counts as the nearest one.
    pub(super) fn of(models: &[Model], query: &Query, about: impl Fn(&Model) -> About) -> Self {
        let limit = query.limit.as_deref().map_or(DEFAULT_LIMIT, |limit| limit.parse().unwrap_or(DEFAULT_LIMIT));
        let limit = limit.clamp(1, MAX_LIMIT);
        let position = |id: &Option<String>| models.iter().position(|model| Some(&model.id) == id.as_ref());
        let (from, to) = match position(&query.before_id) {
            Some(end) => (end.saturating_sub(limit), end),
            None => {
                let from = position(&query.after_id).map_or(0, |at| at + 1);
                (from, (from + limit).min(models.len()))
            }
        };
        let has_more = if query.before_id.is_some() { from > 0 } else { to < models.len() };
        let part = models.get(from..to).unwrap_or_default();
        let data: Vec<Entry> = part.iter().map(|model| Entry::of(model, about(model))).collect();
        let (first_id, last_id) =
            (data.first().map(|model| model.id.clone()), data.last().map(|model| model.id.clone()));
        Self { data, has_more, first_id, last_id }
    }
}

// === impl Entry ===

impl Entry {
    pub(super) fn of(model: &Model, about: About) -> Self {
        let About { name, max_input_tokens, max_tokens, sees_images, thinking } = about;
        let thinking = thinking.map(|thinking| Thinking {
            supported: thinking.is_known,
            types: ThinkingTypes { adaptive: Support { supported: thinking.is_adaptive } },
        });
        let image_input = sees_images.then_some(Support { supported: true });
        let is_any_known = image_input.is_some() || thinking.is_some();
        Self {
            kind: "model",
            id: model.id.clone(),
            display_name: name.filter(|name| !name.is_empty()).unwrap_or_else(|| model.id.clone()),
            created_at: Timestamp::from_second(model.created).unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
            max_input_tokens,
            max_tokens,
            capabilities: is_any_known.then_some(Capabilities { image_input, thinking }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> (Vec<String>, bool) {
        let models: Vec<Model> = (0..30).map(|n| Model::new(&format!("m{n}"), 1_700_000_000, "p")).collect();
        let query: Query = serde_json::from_str(query).unwrap();
        let page = Page::of(&models, &query, |_| About::default());
        assert_eq!(page.first_id.as_ref(), page.data.first().map(|model| &model.id));
        (page.data.into_iter().map(|model| model.id).collect(), page.has_more)
    }

    #[test]
    fn the_list_is_read_in_parts() {
        let (first, more) = page("{}");
        assert_eq!((first.len(), &*first[0], more), (20, "m0", true));
        assert_eq!(page(r#"{"after_id":"m19","limit":"100"}"#).0.len(), 10);
        assert_eq!(page(r#"{"after_id":"m27","limit":"1"}"#), (vec!["m28".to_owned()], true));
        assert_eq!(page(r#"{"before_id":"m2"}"#), (vec!["m0".to_owned(), "m1".to_owned()], false));
        for (limit, length) in [("0", 1), ("5000", 30), ("many", 20)] {
            assert_eq!(page(&format!(r#"{{"limit":"{limit}"}}"#)).0.len(), length, "{limit}");
        }
    }

    #[test]
    fn an_entry_has_the_fields_that_clients_read() {
        let model = Model::new("claude-x", 1_700_000_000, "p");
        let entry = |about| serde_json::to_value(Entry::of(&model, about)).unwrap();
        let expected = serde_json::json!({"type": "model", "id": "claude-x", "display_name": "claude-x", "created_at": "2023-11-14T22:13:20Z"});
        assert_eq!(entry(About { name: Some(String::new()), ..About::default() }), expected);
        let known = entry(About {
            name: Some("Claude X".into()),
            max_input_tokens: Some(200_000),
            max_tokens: Some(64_000),
            sees_images: true,
            thinking: Some(ClaudeThinking { is_known: true, is_adaptive: false }),
        });
        assert_eq!((&known["display_name"], &known["max_input_tokens"]), (&"Claude X".into(), &200_000.into()));
        let capabilities = serde_json::json!({"image_input": {"supported": true},
            "thinking": {"supported": true, "types": {"adaptive": {"supported": false}}}});
        assert_eq!((&known["max_tokens"], &known["capabilities"]), (&64_000.into(), &capabilities));
    }

    #[test]
    fn anthropics_clients_are_told_by_their_headers() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
                .collect()
        };
        assert!(is_asked(&headers(&[("anthropic-version", "2023-06-01"), ("authorization", "Bearer k")])));
        assert!(is_asked(&headers(&[("x-api-key", "k")])));
        assert!(!is_asked(&headers(&[("x-api-key", "k"), ("authorization", "Bearer k")])));
        assert!(!is_asked(&headers(&[("authorization", "Bearer k")])));
    }
}
