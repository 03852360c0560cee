//! Guardrails: rules for the content of requests and answers.
//!
//! The rules of the configuration, of the route and of the key apply together, the strictest of each kind. The built-in
//! ones find [credentials](secrets) and [card numbers](cards) and bound the size; then the [hook] of the operator is
//! asked. A redacted or replaced request is what the log, the cache and the provider see. A prompt is judged once, with
//! the earlier turns that the log adds to it, before the first target is asked.
//!
//! # Invariants
//! - Messages and logs never contain what a rule found.
//! - Nothing of an answer is sent to the client before its rules have passed: a stream is held until it is complete, or
//!   with `stream_window` until so much of its text has followed.
//! - If a rule cannot be applied, the request or answer is refused. The exception is a hook that fails with
//!   `hook_on_failure = "open"`.

mod cards;
mod content;
mod escapes;
mod hook;
mod secrets;
mod stream;
mod window;

use bytes::Bytes;
use serde::Deserialize;
use signalbox_core::{
    schema::{ApiKey, GuardAction, GuardRules, Route},
    secret::Secret,
};
use signalbox_daemon::{
    Caller,
    config::{Duration, Size},
};
use signalbox_upstream::Client;

pub(crate) use self::window::{Stopped, StreamWindow};
use self::{
    content::{Actions, search},
    hook::{CHECK, Hook, Verdict},
};
use crate::envelope::with_params;

/// Smallest and largest window of a stream. What the built-in rules find is mostly shorter than the smallest one.
const WINDOWS: std::ops::RangeInclusive<usize> = 64..=64 << 10;

/// Section `[guard]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardConfig {
    secrets: Action,
    cards: Action,
    max_request_bytes: Size,
    answer_secrets: Action,
    answer_cards: Action,
    max_answer_bytes: Size,
    /// Bytes of text for which an event of a stream is held; 0 holds streams until they are complete.
    stream_window: Size,
    /// Its path may be a credential.
    hook_url: Secret<String>,
    hook_token: Secret<String>,
    hook_for: HookFor,
    hook_after: bool,
    hook_timeout: Duration,
    hook_on_failure: OnFailure,
    hook_max_bytes: Size,
}

/// Action on content that a rule finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Off,
    Redact,
    Refuse,
}

/// Requests about which the hook is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum HookFor {
    All,
    /// Requests whose route or key asks for the hook.
    Named,
}

/// Consequence of a hook that gives no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnFailure {
    /// The request or answer passes.
    Open,
    /// It is refused.
    Closed,
}

/// The guardrails of this process.
#[derive(Debug)]
pub struct Guard {
    everywhere: GuardRules,
    hook: Option<Hook>,
    /// Bytes of text for which an event of a stream is held, if not all of the stream is.
    window: Option<usize>,
}

/// Request that is judged.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Id of the request.
    pub id: &'a str,
    /// Name of its API.
    pub api: &'a str,
    /// Model that it asks for.
    pub model: Option<&'a str>,
    /// Name of its key.
    pub key: Option<&'a str>,
    /// Owner of its key.
    pub owner: Option<&'a str>,
}

/// Subject of a judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A request, before a provider is asked.
    Request,
    /// An answer, before the client receives it.
    Answer,
}

/// A prompt that is judged.
#[derive(Clone, Copy, Debug)]
pub struct Prompt<'a> {
    /// Body of the request.
    pub body: &'a Bytes,
    /// Earlier turns that the log adds to it, as a JSON array of items.
    pub earlier: Option<&'a Bytes>,
}

/// A document that passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Document that takes its place, if it was redacted or replaced.
    pub replaced: Option<Bytes>,
    /// Items that take the place of the earlier turns, if they were redacted.
    pub earlier: Option<Bytes>,
    /// Notes on the changes, for the explanation of the request.
    pub notes: Vec<String>,
}

/// Reason why a request or an answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its content.
    #[error("a guardrail refused the {}: {reason}", .stage.as_str())]
    Content {
        /// Refused subject.
        stage: Stage,
        /// Reason, which does not quote what was found.
        reason: String,
    },
    /// The hook gave no verdict.
    #[error("the guardrail hook failed, so the {} was not passed on: {reason}", .stage.as_str())]
    Unavailable {
        /// Subject that cannot be judged.
        stage: Stage,
        /// How the hook failed, and what to do.
        reason: String,
    },
}

/// Returns the routes and keys that ask for the hook, in words.
#[must_use]
pub fn asking(routes: &[Route], keys: &[ApiKey]) -> Vec<String> {
    let asks = |guard: &Option<GuardRules>| guard.is_some_and(|guard| guard.hook);
    let routes = routes.iter().filter(|route| asks(&route.plan.guard)).map(|route| format!("route {}", route.model));
    let keys = keys.iter().filter(|key| asks(&key.grant.guard)).map(|key| format!("key {}", key.name));
    routes.chain(keys).collect()
}

// === impl GuardConfig ===

impl GuardConfig {
    /// Returns whether there is a hook.
    #[must_use]
    pub fn has_hook(&self) -> bool {
        !self.hook_url.expose().is_empty()
    }
}

// === impl Guard ===

impl Guard {
    /// Creates the guardrails of the configuration.
    ///
    /// # Errors
    /// Returns a message that names the invalid key of the configuration, and the reason.
    pub fn new(config: &GuardConfig, client: Client) -> Result<Self, String> {
        let most = |size: Size| Some(size.bytes()).filter(|bytes| *bytes > 0);
        let hook = Hook::new(config, client)?;
        let window = usize::try_from(config.stream_window.bytes()).unwrap_or(usize::MAX);
        if window > 0 && !WINDOWS.contains(&window) {
            return Err("guard.stream_window takes 0B, or a size from 64B to 64KiB".to_owned());
        }
        let everywhere = GuardRules {
            secrets: config.secrets.get(),
            cards: config.cards.get(),
            max_request_bytes: most(config.max_request_bytes),
            answer_secrets: config.answer_secrets.get(),
            answer_cards: config.answer_cards.get(),
            max_answer_bytes: most(config.max_answer_bytes),
            hook: hook.is_some() && config.hook_for == HookFor::All,
        };
        Ok(Self { everywhere, hook, window: Some(window).filter(|window| *window > 0) })
    }

    /// Returns the rules for a request, if there are any.
    #[must_use]
    pub fn rules(&self, route: Option<&GuardRules>, caller: Option<&Caller>) -> Option<GuardRules> {
        let key = caller.and_then(|caller| caller.grant().guard.as_ref());
        let rules = [route, key].into_iter().flatten().fold(self.everywhere, GuardRules::and);
        (!rules.is_empty()).then_some(rules)
    }

    /// Warns of routes and keys that ask for a hook if there is none: their requests are refused.
    pub fn warn_of(&self, asking: &[String]) {
        if self.hook.is_none() && !asking.is_empty() {
            let asking = asking.join(", ");
            tracing::warn!(asking, "guard.hook_url is not set, so requests that ask for the hook are refused with 503");
        }
    }

    /// Returns whether answers are judged by these rules.
    #[must_use]
    pub fn judges_answers(&self, rules: &GuardRules) -> bool {
        let has_hook = rules.hook && self.hook.as_ref().is_none_or(|hook| hook.after);
        rules.answer_secrets.is_some() || rules.answer_cards.is_some() || rules.max_answer_bytes.is_some() || has_hook
    }

    /// Returns the window through which streams pass, unless these rules need the whole answer: for the hook, or for the
    /// size of an answer.
    #[must_use]
    pub(crate) fn window(&self, rules: &GuardRules) -> Option<StreamWindow> {
        let has_hook = rules.hook && self.hook.as_ref().is_none_or(|hook| hook.after);
        let bytes = self.window.filter(|_| !has_hook && rules.max_answer_bytes.is_none())?;
        Some(StreamWindow::new(of_errors(rules), bytes))
    }

    /// Judges a prompt.
    ///
    /// # Errors
    /// Returns [`Refused`] with a message for the client.
    pub async fn request(&self, rules: &GuardRules, prompt: Prompt<'_>, about: &About<'_>) -> Result<Passed, Refused> {
        let (stage, Prompt { body, earlier }) = (Stage::Request, prompt);
        let actions = Actions { secrets: rules.secrets, cards: rules.cards };
        let len = body.len() + earlier.map_or(0, Bytes::len);
        check_len(stage, len, rules.max_request_bytes)?;
        let mut passed = built_in(stage, actions, body)?;
        if let Some(earlier) = earlier {
            let found = search(earlier, actions);
            if let Some((_, kind)) = found.refused {
                let reason = format!(
                    "an earlier turn, which `previous_response_id` or an item names, contains what looks like a {kind}; \
                     begin a new conversation without it"
                );
                return Err(refused(stage, reason));
            }
            if found.count > 0 {
                passed.notes.push(format!("earlier turns: {} redacted", found.count));
            }
            passed.earlier = found.redacted;
        }
        if rules.hook {
            let judged = passed.replaced.as_ref().unwrap_or(body);
            let judged_earlier = passed.earlier.as_ref().or(earlier);
            match self.ask(stage, about, (judged, judged_earlier)).await? {
                Verdict::Allow => {}
                Verdict::Refuse(message) => return Err(refused(stage, message)),
                Verdict::ReplaceRequest(fields) => {
                    passed.notes.push(format!("request: the hook replaced {}", names(&fields)));
                    passed.replaced = Some(with_params(judged, &fields));
                }
                Verdict::ReplaceAnswer(_) => return Err(unexpected(stage)),
            }
        }
        Ok(passed)
    }

    /// Judges a complete answer. `is_stream` says that it is the content of a stream, in which nothing can be replaced:
    /// what would be redacted or replaced is refused.
    ///
    /// # Errors
    /// Returns [`Refused`] with a message for the client.
    pub async fn answer(
        &self,
        rules: &GuardRules,
        answer: &Bytes,
        is_stream: bool,
        about: &About<'_>,
    ) -> Result<Passed, Refused> {
        let stage = Stage::Answer;
        let mut actions = Actions { secrets: rules.answer_secrets, cards: rules.answer_cards };
        if is_stream {
            actions = actions.refusing();
        }
        check_len(stage, answer.len(), rules.max_answer_bytes)?;
        let mut passed = built_in(stage, actions, answer)?;
        if rules.hook && self.hook.as_ref().is_none_or(|hook| hook.after) {
            let judged = passed.replaced.as_ref().unwrap_or(answer);
            match self.ask(stage, about, (judged, None)).await? {
                Verdict::Allow => {}
                Verdict::Refuse(message) => return Err(refused(stage, message)),
                Verdict::ReplaceAnswer(_) if is_stream => {
                    return Err(refused(
                        stage,
                        "the hook replaces it, which a stream does not allow; ask without `stream`".to_owned(),
                    ));
                }
                Verdict::ReplaceAnswer(answer) => {
                    passed.notes.push("answer: the hook replaced it".to_owned());
                    passed.replaced = Some(answer);
                }
                Verdict::ReplaceRequest(_) => return Err(unexpected(stage)),
            }
        }
        Ok(passed)
    }

    async fn ask(
        &self,
        stage: Stage,
        about: &About<'_>,
        documents: (&Bytes, Option<&Bytes>),
    ) -> Result<Verdict, Refused> {
        let Some(hook) = &self.hook else {
            let reason = "the route or the key asks for it, and there is none; set guard.hook_url, or `guard.hook` of the \
                          route and the key to false";
            return Err(Refused::Unavailable { stage, reason: reason.to_owned() });
        };
        hook.judge(stage, about, documents).await.map_err(|reason| Refused::Unavailable { stage, reason })
    }
}

/// Returns a complete stream that may be passed on: without its comments, and without what the rules find in the errors
/// that it reports.
///
/// # Errors
/// Returns [`Refused`] if the rules find anything in other events.
pub fn stream(rules: &GuardRules, held: &Bytes) -> Result<Bytes, Refused> {
    let stage = Stage::Answer;
    let passed = stream::passed(held, of_errors(rules));
    passed.map_err(|kind| refused(stage, format!("an event of it contains what looks like a {kind}")))
}

/// Returns the body of a provider's error without what the rules for answers find; `None` if they find nothing.
#[must_use]
pub fn error_body(rules: &GuardRules, body: &Bytes) -> Option<Bytes> {
    content::error_body(body, of_errors(rules))
}

/// Returns a request without credentials and card numbers. The log keeps the names of the members of a refused request,
/// which may be what was found.
#[must_use]
pub fn without_found(body: &Bytes) -> Bytes {
    let redact = Some(GuardAction::Redact);
    let found = search(body, Actions { secrets: redact, cards: redact });
    if found.refused.is_some() {
        // It contains something that cannot be edited.
        return Bytes::from_static(b"{}");
    }
    found.redacted.unwrap_or_else(|| body.clone())
}

/// Returns a text of a provider's error without what the rules for answers find; `None` if they find nothing.
#[must_use]
pub fn error_text(rules: &GuardRules, text: &str) -> Option<String> {
    of_errors(rules).redact(text)
}

/// Returns the rules for errors of providers: what would be refused in an answer is redacted, because the client has to
/// know that the request failed.
fn of_errors(rules: &GuardRules) -> Actions {
    Actions { secrets: rules.answer_secrets, cards: rules.answer_cards }.redacting()
}

fn check_len(stage: Stage, len: usize, max_bytes: Option<u64>) -> Result<(), Refused> {
    let Some(most) = max_bytes.filter(|most| len as u64 > *most) else { return Ok(()) };
    let what = stage.as_str();
    Err(refused(stage, format!("it has {len} bytes, and at most {most} are allowed; {what}s must be shorter")))
}

fn built_in(stage: Stage, actions: Actions, document: &Bytes) -> Result<Passed, Refused> {
    if actions.is_empty() {
        return Ok(Passed::default());
    }
    let found = search(document, actions);
    if let Some((path, kind)) = found.refused {
        let place = if path.is_empty() { String::new() } else { format!("`{path}` ") };
        let advice = match stage {
            Stage::Request => "; remove it and send the request again",
            Stage::Answer => "",
        };
        return Err(refused(stage, format!("{place}contains what looks like a {kind}{advice}")));
    }
    let notes = match found.count {
        0 => Vec::new(),
        count => vec![format!("{}: {count} redacted", stage.as_str())],
    };
    Ok(Passed { replaced: found.redacted, earlier: None, notes })
}

fn refused(stage: Stage, reason: String) -> Refused {
    let reason = if reason.is_empty() { "the hook gave no reason".to_owned() } else { reason };
    Refused::Content { stage, reason }
}

fn unexpected(stage: Stage) -> Refused {
    Refused::Unavailable { stage, reason: format!("its verdict is for another stage; {CHECK}") }
}

fn names(fields: &serde_json::Map<String, serde_json::Value>) -> String {
    fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

// === impl Action ===

impl Action {
    const fn get(self) -> Option<GuardAction> {
        match self {
            Self::Off => None,
            Self::Redact => Some(GuardAction::Redact),
            Self::Refuse => Some(GuardAction::Refuse),
        }
    }
}

// === impl Stage ===

impl Stage {
    /// Returns the word for the stage in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
        }
    }

    /// Returns the word for the stage in questions to the hook.
    const fn word(self) -> &'static str {
        match self {
            Self::Request => "before",
            Self::Answer => "after",
        }
    }
}

// === impl Refused ===

impl Refused {
    /// Returns the stable word for the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Content { .. } => "guardrail_refused",
            Self::Unavailable { .. } => "guardrail_unavailable",
        }
    }

    /// Returns whether the content is the reason, rather than a hook that failed.
    #[must_use]
    pub const fn is_content(&self) -> bool {
        matches!(self, Self::Content { .. })
    }
}

#[cfg(test)]
mod tests;
