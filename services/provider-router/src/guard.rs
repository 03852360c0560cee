//! Guardrails: rules for the content of requests and answers.
//!
//! The rules of the configuration, of the route and of the key apply together, the strictest of each kind. The built-in
//! ones find [credentials](secrets) and [card numbers](cards) and bound the size; then the [hook] of the operator is
//! asked. A redacted or replaced request is what the log, the cache and the provider see.
//!
//! # Invariants
//! - Messages and logs never contain what a rule found.
//! - Nothing of an answer is sent to the client before its rules have passed: a stream is held until it is complete.
//! - If a rule cannot be applied, the request or answer is refused. The exception is a hook that fails with
//!   `hook_on_failure = "open"`.

mod cards;
mod content;
mod hook;
mod secrets;

use bytes::Bytes;
use serde::Deserialize;
use signalbox_core::{
    schema::{GuardAction, GuardRules},
    secret::Secret,
};
use signalbox_daemon::{
    Caller,
    config::{Duration, Size},
};
use signalbox_upstream::Client;

use self::{
    content::{Actions, search},
    hook::{Hook, Verdict},
};
use crate::envelope::with_params;

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
    hook_url: String,
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

/// A document that passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Document that takes its place, if it was redacted or replaced.
    pub replaced: Option<Bytes>,
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
    #[error("the guardrail hook cannot judge the {}: {reason}", .stage.as_str())]
    Unavailable {
        /// Subject that cannot be judged.
        stage: Stage,
        /// Reason.
        reason: String,
    },
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
        let everywhere = GuardRules {
            secrets: config.secrets.get(),
            cards: config.cards.get(),
            max_request_bytes: most(config.max_request_bytes),
            answer_secrets: config.answer_secrets.get(),
            answer_cards: config.answer_cards.get(),
            max_answer_bytes: most(config.max_answer_bytes),
            hook: hook.is_some() && config.hook_for == HookFor::All,
        };
        Ok(Self { everywhere, hook })
    }

    /// Returns the rules for a request, if there are any.
    #[must_use]
    pub fn rules(&self, route: Option<&GuardRules>, caller: Option<&Caller>) -> Option<GuardRules> {
        let key = caller.and_then(|caller| caller.grant().guard.as_ref());
        let rules = [route, key].into_iter().flatten().fold(self.everywhere, GuardRules::and);
        (!rules.is_empty()).then_some(rules)
    }

    /// Returns whether answers are judged by these rules.
    #[must_use]
    pub fn judges_answers(&self, rules: &GuardRules) -> bool {
        let has_hook = rules.hook && self.hook.as_ref().is_none_or(|hook| hook.after);
        rules.answer_secrets.is_some() || rules.answer_cards.is_some() || rules.max_answer_bytes.is_some() || has_hook
    }

    /// Judges the body of a request.
    ///
    /// # Errors
    /// Returns [`Refused`] with a message for the client.
    pub async fn request(&self, rules: &GuardRules, body: &Bytes, about: &About<'_>) -> Result<Passed, Refused> {
        let stage = Stage::Request;
        let mut passed =
            built_in(stage, Actions { secrets: rules.secrets, cards: rules.cards }, rules.max_request_bytes, body)?;
        if rules.hook {
            let judged = passed.replaced.as_ref().unwrap_or(body);
            match self.ask(stage, about, judged).await? {
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
            let strict = |action: Option<GuardAction>| action.map(|_| GuardAction::Refuse);
            actions = Actions { secrets: strict(actions.secrets), cards: strict(actions.cards) };
        }
        let mut passed = built_in(stage, actions, rules.max_answer_bytes, answer)?;
        if rules.hook && self.hook.as_ref().is_none_or(|hook| hook.after) {
            let judged = passed.replaced.as_ref().unwrap_or(answer);
            match self.ask(stage, about, judged).await? {
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

    async fn ask(&self, stage: Stage, about: &About<'_>, document: &Bytes) -> Result<Verdict, Refused> {
        let Some(hook) = &self.hook else {
            let reason = "its route or key asks for the hook, and guard.hook_url is not set".to_owned();
            return Err(Refused::Unavailable { stage, reason });
        };
        hook.judge(stage, about, document).await.map_err(|reason| Refused::Unavailable { stage, reason })
    }
}

fn built_in(stage: Stage, actions: Actions, max_bytes: Option<u64>, document: &Bytes) -> Result<Passed, Refused> {
    if let Some(most) = max_bytes.filter(|most| document.len() as u64 > *most) {
        let what = stage.as_str();
        return Err(refused(
            stage,
            format!("it has {} bytes, and at most {most} are allowed; {what}s must be shorter", document.len()),
        ));
    }
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
    Ok(Passed { replaced: found.redacted, notes })
}

fn refused(stage: Stage, reason: String) -> Refused {
    let reason = if reason.is_empty() { "the hook gave no reason".to_owned() } else { reason };
    Refused::Content { stage, reason }
}

fn unexpected(stage: Stage) -> Refused {
    Refused::Unavailable { stage, reason: "its verdict is for another stage".to_owned() }
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
