//! The prompt that is sent upstream.
//!
//! The site stores the chat, so a later turn contains only what is new; a lost chat is replayed as text. The site
//! accepts text only, and a system message only at the start of a chat.

use std::collections::HashMap;

use super::{
    message::{Message, Role},
    parsed_request::{MustCall, ParsedRequest},
};

/// System message of requests that have tools, which require one, but no system message.
const DEFAULT_SYSTEM: &str = "You are a helpful assistant.";
/// Text of an empty tool result. Without it, the model repeats a command that has no output endlessly.
const NO_OUTPUT: &str = "(Command completed successfully with no output)";
/// Introduction of new tool instructions in the middle of a chat.
const NEW_TOOLS: &str = "From now on you have these tools; forget the ones you were told about before.";
/// Instruction for a chat whose tools were removed.
const NO_TOOLS: &str = "The tools you were told about are gone. Call none from now on; answer in plain text.";
/// Prompt for a request that ends in an answer.
const CONTINUE_PROMPT: &str = "Go on.";

/// The one or two messages to be sent upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// System message, only at the start of a chat.
    pub system: Option<String>,
    /// User message.
    pub user: String,
}

impl ParsedRequest {
    /// Returns the prompt of the first turn of a chat.
    #[must_use]
    pub fn opening_prompt(&self) -> Prompt {
        Prompt { system: self.system(), user: self.user(None, true) }
    }

    /// Returns the prompt of a later turn: everything after the last answer. With `tools_changed` it also contains the
    /// present tool instructions.
    #[must_use]
    pub fn next_prompt(&self, tools_changed: bool) -> Prompt {
        let tools = tools_changed.then(|| match self.tools.is_empty() {
            true => NO_TOOLS.to_owned(),
            false => format!("{NEW_TOOLS}\n\n{}", self.tools.instructions()),
        });
        Prompt { system: None, user: self.user(tools, false) }
    }

    /// Returns the prompt of a later turn whose chat is lost: the system message and the whole history, as text.
    #[must_use]
    pub fn replay_prompt(&self) -> Prompt {
        if self.is_first_turn() {
            return self.opening_prompt();
        }
        let history = self.texts_of(self.history()).filter(|(message, _)| message.role != Role::System);
        let history: Vec<String> = history
            .map(|(message, text)| match message.role {
                Role::Assistant => format!("Assistant:\n{text}"),
                Role::User => format!("User:\n{text}"),
                Role::System | Role::Tool => text,
            })
            .collect();
        let history = format!(
            "Our conversation so far, which goes on below:\n\n<conversation>\n{}\n</conversation>",
            history.join("\n\n")
        );
        Prompt { system: self.system(), user: self.user(Some(history), true) }
    }

    /// Joins all system messages and the tool instructions.
    fn system(&self) -> Option<String> {
        let texts = self.messages.iter().filter(|message| message.role == Role::System).map(|message| &*message.text);
        let mut parts: Vec<&str> = texts.filter(|text| !text.trim().is_empty()).collect();
        let tools = self.tools.instructions();
        if !self.tools.is_empty() {
            if parts.is_empty() {
                parts.push(DEFAULT_SYSTEM);
            }
            parts.push(&tools);
        }
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }

    /// Returns the text of each of `messages`, a part of the history, with tool results in the order of their calls.
    fn texts_of<'a>(&'a self, messages: &'a [Message]) -> impl Iterator<Item = (&'a Message, String)> {
        let calls = Calls::of(self.history());
        calls.in_order(messages).into_iter().map(move |message| (message, text_of(message, &calls)))
    }

    /// Builds the user message: `before`, the required tool calls, and what is new. It includes the system messages
    /// unless they are sent separately (`system_apart`).
    fn user(&self, before: Option<String>, system_apart: bool) -> String {
        let news =
            self.texts_of(self.new_messages()).filter(|(message, _)| !(system_apart && message.role == Role::System));
        let mut news: Vec<String> = news.map(|(_, text)| text).filter(|text| !text.trim().is_empty()).collect();
        if news.is_empty() {
            news.push(CONTINUE_PROMPT.to_owned());
        }
        let insisted = match &self.must_call {
            MustCall::Nothing => None,
            MustCall::Any => Some("(Call at least one tool in your next message.)".to_owned()),
            MustCall::Tool(name) => Some(format!("(Call the tool {name} in your next message.)")),
        };
        before.into_iter().chain(insisted).chain(news).collect::<Vec<_>>().join("\n\n")
    }
}

/// Returns the text of a message. A tool result names its tool.
fn text_of(message: &Message, calls: &Calls<'_>) -> String {
    match message.role {
        Role::System | Role::User => message.text.clone(),
        Role::Assistant => {
            let text = (!message.text.is_empty()).then(|| message.text.clone());
            let calls = message.calls.iter().map(|(_, call)| call.to_tags());
            text.into_iter().chain(calls).collect::<Vec<_>>().join("\n")
        }
        Role::Tool => {
            let output = if message.text.trim().is_empty() { NO_OUTPUT } else { &message.text };
            match calls.tool_of(message) {
                Some(name) => format!("Tool Result from {name}:\n{output}"),
                None => format!("Tool Result:\n{output}"),
            }
        }
    }
}

/// Tool calls of a history by id; among calls with the same id the newest is used.
struct Calls<'a>(HashMap<&'a str, NamedCall<'a>>);

struct NamedCall<'a> {
    place: usize,
    tool: &'a str,
}

impl<'a> Calls<'a> {
    fn of(past: &'a [Message]) -> Self {
        let calls = past.iter().flat_map(|message| &message.calls).enumerate();
        Self(calls.map(|(place, (id, call))| (id.as_str(), NamedCall { place, tool: &call.name })).collect())
    }

    /// Returns the name of the tool that produced `result`.
    fn tool_of<'b>(&'b self, result: &'b Message) -> Option<&'b str> {
        let (id, name) = result.answers.as_ref()?;
        let called = self.0.get(id.as_str()).map(|call| call.tool);
        called.or(name.as_deref()).filter(|name| !name.is_empty())
    }

    /// Sorts consecutive tool results into the order of their calls. Clients send results of parallel calls in the
    /// order in which the tools finished; the model expects the order of its calls.
    fn in_order<'b>(&self, messages: &'b [Message]) -> Vec<&'b Message> {
        let place = |message: &Message| {
            let (id, _) = message.answers.as_ref()?;
            self.0.get(id.as_str()).map(|call| call.place)
        };
        let mut ordered: Vec<&Message> = messages.iter().collect();
        for run in ordered.chunk_by_mut(|a, b| a.role == Role::Tool && b.role == Role::Tool) {
            run.sort_by_key(|message| place(message).unwrap_or(usize::MAX));
        }
        ordered
    }
}

#[cfg(test)]
mod tests;
