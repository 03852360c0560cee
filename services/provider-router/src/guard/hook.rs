//! A service of the operator that judges requests and answers.
//!
//! Question and reply are JSON objects; the question is sent by `POST`:
//!
//! | question | reply |
//! |---|---|
//! | `stage` (`before` or `after`), `request_id`, `api`, `model`, `key`, `owner`, and `request` or `answer`; `earlier` if the log adds turns | `{"action": "allow"}` |
//! | | `{"action": "refuse", "message": "…"}` |
//! | | `{"action": "replace", "request": {…}}` or `{"action": "replace", "answer": {…}}` |

use std::fmt;

use axum::body::to_bytes;
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
    uri::PathAndQuery,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use signalbox_upstream::{AddressPolicy, Client, Deadlines, Target};
use tokio::time::{Duration, timeout};

use super::{About, GuardConfig, OnFailure, Stage};

/// Fields of a request that a hook may replace.
const REPLACEABLE: [&str; 7] = ["messages", "input", "system", "instructions", "prompt", "query", "documents"];
/// Maximum characters of a message that a hook gives.
const MAX_MESSAGE: usize = 500;

/// Advice for a hook that fails.
pub(super) const CHECK: &str = "send the request again, and if it fails again, check the service of guard.hook_url";

/// The hook.
pub(super) struct Hook {
    client: Client,
    target: Target,
    path: PathAndQuery,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    max_bytes: usize,
    on_failure: OnFailure,
    /// Whether it judges answers.
    pub(super) after: bool,
}

/// Verdict of a hook.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Allow,
    /// With the message for the client.
    Refuse(String),
    /// With the fields that replace those of the request.
    ReplaceRequest(Map<String, Value>),
    /// With the new answer.
    ReplaceAnswer(Bytes),
}

#[derive(Deserialize)]
struct Reply {
    action: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    request: Option<Map<String, Value>>,
    #[serde(default)]
    answer: Option<Map<String, Value>>,
}

// === impl Hook ===

impl Hook {
    /// Creates the hook of the configuration, if it has one.
    ///
    /// # Errors
    /// Returns a message that names the invalid key of the configuration, and the reason.
    pub(super) fn new(config: &GuardConfig, client: Client) -> Result<Option<Self>, String> {
        let url = config.hook_url.expose();
        if url.is_empty() {
            return match (config.hook_after, config.hook_token.expose().is_empty()) {
                (true, _) => Err("guard.hook_after needs guard.hook_url".to_owned()),
                (_, false) => Err("guard.hook_token needs guard.hook_url".to_owned()),
                (false, true) => Ok(None),
            };
        }
        // The operator names the address, and hooks usually run beside the router.
        let policy = AddressPolicy { allow_private: true, ..AddressPolicy::default() };
        let wrong = |error: &dyn std::fmt::Display| format!("guard.hook_url cannot be used: {error}");
        let target = Target::parse(url, &policy).map_err(|error| wrong(&error))?;
        let path = target.path("").map_err(|error| wrong(&error))?;
        let token = config.hook_token.expose();
        let authorization = (!token.is_empty()).then(|| HeaderValue::try_from(format!("Bearer {token}"))).transpose();
        let mut authorization =
            authorization.map_err(|_| "guard.hook_token has characters that are not allowed in a header".to_owned())?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        let timeout = config.hook_timeout.get();
        if timeout.is_zero() {
            return Err("guard.hook_timeout takes a duration above 0s".to_owned());
        }
        Ok(Some(Self {
            client,
            target,
            path,
            authorization,
            timeout,
            max_bytes: config.hook_max_bytes.as_usize(),
            on_failure: config.hook_on_failure,
            after: config.hook_after,
        }))
    }

    /// Asks for a verdict on a JSON document.
    ///
    /// # Errors
    /// Returns the reason why there is none, if failures count as refusals.
    pub(super) async fn judge(
        &self,
        stage: Stage,
        about: &About<'_>,
        (document, earlier): (&Bytes, Option<&Bytes>),
    ) -> Result<Verdict, String> {
        let what = stage.as_str();
        let asked = match question(stage, about, document, earlier.map(|earlier| &**earlier)) {
            None => Err(format!("the {what} is not valid JSON, which the hook reads")),
            Some(question) if question.len() > self.max_bytes => Err(format!(
                "the {what} has {} bytes, and guard.hook_max_bytes allows {}; send less, or raise that limit",
                document.len() + earlier.map_or(0, Bytes::len),
                self.max_bytes
            )),
            Some(question) => match timeout(self.timeout, self.ask(question, about.id)).await {
                Ok(reply) => reply.and_then(|reply| verdict(stage, &reply)),
                Err(_) => Err(self.late()),
            }
            .map_err(|how| format!("{how}; {CHECK}")),
        };
        match asked {
            Err(error) if self.on_failure == OnFailure::Open => {
                tracing::warn!(%error, stage = stage.as_str(), "the guard hook failed, the {} passes", stage.as_str());
                Ok(Verdict::Allow)
            }
            asked => asked,
        }
    }

    async fn ask(&self, question: Vec<u8>, id: &str) -> Result<Bytes, String> {
        let mut request = Request::new(Bytes::from(question));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone().into();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert("x-request-id", id);
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let deadlines =
            Deadlines { connect: self.timeout, headers: self.timeout, idle: self.timeout, total: self.timeout };
        let response = self.client.send(&self.target, request, &deadlines).await.map_err(|error| {
            // The address is for the operator only.
            tracing::debug!(%error, "the guard hook cannot be asked");
            if error.is_timeout() { self.late() } else { format!("it cannot be reached ({})", error.code()) }
        })?;
        let status = response.status();
        if status != http::StatusCode::OK {
            return Err(format!("it answered with status {status}"));
        }
        let body = to_bytes(axum::body::Body::new(response.into_body()), self.max_bytes).await;
        body.map_err(|_| format!("its answer is longer than {} bytes, or broke off", self.max_bytes))
    }

    fn late(&self) -> String {
        format!("it gave no verdict within {:?} (time-out)", self.timeout)
    }
}

impl fmt::Debug for Hook {
    /// Leaves out the address, whose path may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("on_failure", &self.on_failure).field("after", &self.after).finish_non_exhaustive()
    }
}

/// Returns the question about a JSON document; `None` if it is none.
fn question(stage: Stage, about: &About<'_>, document: &[u8], earlier: Option<&[u8]>) -> Option<Vec<u8>> {
    let head = serde_json::json!({
        "stage": stage.word(),
        "request_id": about.id,
        "api": about.api,
        "model": about.model,
        "key": about.key,
        "owner": about.owner,
    });
    serde_json::from_slice::<serde::de::IgnoredAny>(document).ok()?;
    let mut question = head.to_string().into_bytes();
    question.pop();
    question.extend_from_slice(format!(",\"{}\":", stage.as_str()).as_bytes());
    question.extend_from_slice(document);
    if let Some(earlier) = earlier {
        question.extend_from_slice(b",\"earlier\":");
        question.extend_from_slice(earlier);
    }
    question.push(b'}');
    Some(question)
}

/// Reads a reply.
fn verdict(stage: Stage, reply: &[u8]) -> Result<Verdict, String> {
    // The error of the parser would quote the reply, which may quote the request.
    let reply: Reply = serde_json::from_slice(reply).map_err(|error| match error.is_data() {
        true => "its answer is no verdict: `action` is missing, or a field has another type".to_owned(),
        false => "its answer is not valid JSON".to_owned(),
    })?;
    match (&*reply.action, stage) {
        ("allow", _) => Ok(Verdict::Allow),
        ("refuse", _) => {
            let message = reply.message.unwrap_or_default();
            let message: String = message.chars().filter(|char| !char.is_control()).take(MAX_MESSAGE).collect();
            Ok(Verdict::Refuse(message))
        }
        ("replace", Stage::Request) => {
            let fields =
                reply.request.filter(|fields| !fields.is_empty()).ok_or("it replaces nothing: `request` is missing")?;
            match fields.keys().find(|name| !REPLACEABLE.contains(&name.as_str())) {
                Some(name) => Err(format!(
                    "it replaces `{}`, and may only replace {}",
                    name.escape_debug(),
                    REPLACEABLE.join(", ")
                )),
                None => Ok(Verdict::ReplaceRequest(fields)),
            }
        }
        ("replace", Stage::Answer) => {
            let answer = reply.answer.ok_or("it replaces nothing: `answer` is missing")?;
            Ok(Verdict::ReplaceAnswer(Value::Object(answer).to_string().into()))
        }
        (other, _) => Err(format!("`action` is `{}`, and takes allow, refuse or replace", other.escape_debug())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read() {
        let read = |stage, reply: &str| verdict(stage, reply.as_bytes());
        assert_eq!(read(Stage::Request, r#"{"action":"allow","more":1}"#), Ok(Verdict::Allow));
        assert_eq!(
            read(Stage::Answer, r#"{"action":"refuse","message":"no\n"}"#),
            Ok(Verdict::Refuse("no".to_owned()))
        );
        let replaced = read(Stage::Request, r#"{"action":"replace","request":{"messages":[]}}"#).unwrap();
        assert!(matches!(replaced, Verdict::ReplaceRequest(fields) if fields.len() == 1));
        let replaced = read(Stage::Answer, r#"{"action":"replace","answer":{"id":"x"}}"#);
        assert_eq!(replaced, Ok(Verdict::ReplaceAnswer(Bytes::from_static(br#"{"id":"x"}"#))));
        for (stage, reply, told) in [
            (Stage::Request, "", "its answer is not valid JSON"),
            (Stage::Request, "{\"action\":", "its answer is not valid JSON"),
            (Stage::Request, "[]", "its answer is no verdict"),
            (Stage::Request, "{\"action\":7}", "its answer is no verdict"),
            (Stage::Request, r#"{"action":"deny"}"#, "`action` is `deny`"),
            (Stage::Request, r#"{"action":"replace"}"#, "it replaces nothing"),
            (Stage::Request, r#"{"action":"replace","request":{"model":"x"}}"#, "it replaces `model`"),
            (Stage::Answer, r#"{"action":"replace","request":{}}"#, "it replaces nothing"),
        ] {
            assert!(read(stage, reply).unwrap_err().starts_with(told), "{reply}");
        }
    }

    #[test]
    fn a_question_is_one_object() {
        let about = About { id: "i", api: "chat", model: Some("m"), key: None, owner: None };
        let asked = question(Stage::Request, &about, br#"{"messages":[]}"#, Some(b"[1]")).unwrap();
        let expected = serde_json::json!({
            "stage": "before", "request_id": "i", "api": "chat", "model": "m", "key": null, "owner": null,
            "request": {"messages": []}, "earlier": [1],
        });
        assert_eq!(serde_json::from_slice::<Value>(&asked).unwrap(), expected);
        assert_eq!(question(Stage::Answer, &about, b"<html>", None), None);
    }
}
