//! Filters of `requests:subscribe`, with the names of the parameters of `GET /api/requests`.

use serde::Serialize;
use serde_json::{Map, Value};
use signalbox_core::schema::RequestStatus;
use signalbox_management::live::{EndedRequest, InFlightRequest};

/// Maximum values of a field.
const MAX_VALUES: usize = 50;

/// Selects requests; filters combine. A fact that is not known yet, such as the duration of a request that has just
/// begun, matches no filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct RequestFilter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    provider_id: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    status: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_error: Option<bool>,
}

/// Reads the fields of a filter, and collects the mistakes.
struct Reader {
    fields: Map<String, Value>,
    mistakes: Vec<String>,
}

// === impl RequestFilter ===

impl RequestFilter {
    /// Reads the message of a listener: an object, or nothing for all requests.
    pub(super) fn read(asked: Option<Value>) -> Result<Self, String> {
        let fields = match asked {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(fields)) => fields,
            Some(_) => return Err("the filter must be an object, such as {\"model\": [\"gpt-5\"]}".to_owned()),
        };
        let mut reader = Reader { fields, mistakes: Vec::new() };
        let filter = Self {
            model: reader.texts("model"),
            provider_id: reader.texts("provider_id"),
            status: reader.texts("status"),
            session_id: reader.text("session_id"),
            key: reader.text("key"),
            path: reader.text("path"),
            stream: reader.switch("stream"),
            min_ms: reader.amount("min_ms"),
            max_ms: reader.amount("max_ms"),
            has_error: reader.switch("has_error"),
        };
        if !filter.status.iter().all(|word| RequestStatus::parse(word).is_some()) {
            let words: Vec<&str> = RequestStatus::ALL.iter().map(|(_, word)| *word).collect();
            reader.mistakes.push(format!("status must be one of: {}", words.join(", ")));
        }
        reader.finish().map(|()| filter)
    }

    /// Returns whether a request that has begun matches.
    pub(super) fn matches_begun(&self, request: &InFlightRequest) -> bool {
        let needs_the_end =
            !self.status.is_empty() || self.min_ms.is_some() || self.max_ms.is_some() || self.has_error.is_some();
        !needs_the_end && self.matches_request(request)
    }

    /// Returns whether a request that has ended matches.
    pub(super) fn matches_ended(&self, ended: &EndedRequest) -> bool {
        (self.status.is_empty() || self.status.contains(&ended.status))
            && self.min_ms.is_none_or(|min| ended.duration_ms >= min)
            && self.max_ms.is_none_or(|max| ended.duration_ms <= max)
            && self.has_error.is_none_or(|wanted| ended.error.is_some() == wanted)
            && self.matches_request(&ended.request)
    }

    fn matches_request(&self, request: &InFlightRequest) -> bool {
        let is_one_of = |wanted: &[String], value: Option<&String>| {
            wanted.is_empty() || value.is_some_and(|value| wanted.contains(value))
        };
        let is = |wanted: &Option<String>, value: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| value == Some(wanted))
        };
        is_one_of(&self.model, Some(&request.model))
            && is_one_of(&self.provider_id, request.provider_id.as_ref())
            && is(&self.session_id, request.session_id.as_ref())
            && is(&self.key, request.key_id.as_ref())
            && is(&self.path, Some(&request.path))
            && self.stream.is_none_or(|wanted| request.stream == wanted)
    }
}

// === impl Reader ===

impl Reader {
    fn read<T>(&mut self, name: &str, form: &str, read: impl Fn(Value) -> Option<T>) -> Option<T> {
        let value = self.fields.remove(name).filter(|value| !value.is_null())?;
        let read = read(value);
        if read.is_none() {
            self.mistakes.push(format!("{name} must be {form}"));
        }
        read
    }

    /// Reads a text, or a list of texts.
    fn texts(&mut self, name: &str) -> Vec<String> {
        let form = format!("a text or a list of at most {MAX_VALUES} texts");
        let texts = self.read(name, &form, |value| match value {
            Value::String(text) => Some(vec![text]),
            Value::Array(items) if items.len() <= MAX_VALUES => {
                items.into_iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        });
        texts.unwrap_or_default()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.read(name, "a text", |value| value.as_str().map(str::to_owned))
    }

    fn switch(&mut self, name: &str) -> Option<bool> {
        self.read(name, "true or false", |value| value.as_bool())
    }

    fn amount(&mut self, name: &str) -> Option<i64> {
        self.read(name, "a number of milliseconds of at least 0", |value| value.as_i64().filter(|ms| *ms >= 0))
    }

    /// Returns all mistakes as one sentence. An unknown field would be ignored silently.
    fn finish(mut self) -> Result<(), String> {
        self.mistakes.extend(self.fields.keys().map(|field| format!("unknown field: {field}")));
        if self.mistakes.is_empty() { Ok(()) } else { Err(self.mistakes.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use signalbox_management::live::Phase;

    use super::*;

    fn request() -> InFlightRequest {
        InFlightRequest {
            request_id: "r".to_owned(),
            timestamp: 1,
            method: "POST".to_owned(),
            path: "/v1/messages".to_owned(),
            model: "fast".to_owned(),
            stream: true,
            session_id: Some("s".to_owned()),
            key_id: None,
            provider_id: None,
            upstream_model: None,
            attempts: 0,
            phase: Phase::Waiting,
            elapsed_ms: 0,
            first_byte_ms: None,
            response_bytes: 0,
        }
    }

    fn ended() -> EndedRequest {
        EndedRequest {
            request: InFlightRequest { provider_id: Some("p".to_owned()), ..request() },
            status: "failed".to_owned(),
            status_code: Some(502),
            duration_ms: 40,
            prompt_tokens: None,
            completion_tokens: None,
            error: Some("broken".to_owned()),
        }
    }

    #[test]
    fn a_filter_matches_only_what_is_known() {
        for (filter, begun, over) in [
            (json!(null), true, true),
            (json!({}), true, true),
            (json!({"model": "fast", "stream": true, "session_id": "s", "path": "/v1/messages"}), true, true),
            (json!({"model": ["slow", "fast"]}), true, true),
            (json!({"model": ["slow"]}), false, false),
            (json!({"stream": false}), false, false),
            (json!({"key": "k"}), false, false),
            (json!({"provider_id": "p"}), false, true),
            (json!({"provider_id": ["q"]}), false, false),
            (json!({"status": ["failed", "truncated"]}), false, true),
            (json!({"status": "completed"}), false, false),
            (json!({"min_ms": 40, "max_ms": 40}), false, true),
            (json!({"min_ms": 41}), false, false),
            (json!({"has_error": true}), false, true),
            (json!({"has_error": false}), false, false),
        ] {
            let read = RequestFilter::read(Some(filter.clone())).unwrap();
            assert_eq!((read.matches_begun(&request()), read.matches_ended(&ended())), (begun, over), "{filter}");
        }
        assert_eq!(RequestFilter::read(None).unwrap(), RequestFilter::default());
    }

    #[test]
    fn every_mistake_is_reported() {
        let wrong = json!({"model": 1, "status": "ended", "stream": "yes", "min_ms": -1, "limit": 5, "key": []});
        let told = RequestFilter::read(Some(wrong)).unwrap_err();
        for part in ["model must be a text", "status must be one of", "stream must be true", "min_ms must", "key must"]
        {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(told.contains("unknown field: limit") && !told.contains("max_ms"), "{told}");
        let many: Vec<String> = (0..=MAX_VALUES).map(|n| n.to_string()).collect();
        assert!(RequestFilter::read(Some(json!({ "model": many }))).is_err());
        assert!(RequestFilter::read(Some(json!([]))).unwrap_err().contains("object"));
    }

    #[test]
    fn a_subscription_is_confirmed_with_the_filter_as_it_was_read() {
        let read = RequestFilter::read(Some(json!({"model": "fast", "stream": true, "path": null}))).unwrap();
        assert_eq!(json!(read), json!({"model": ["fast"], "stream": true}));
    }
}
