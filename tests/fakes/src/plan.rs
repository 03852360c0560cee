//! The answer to one request, before it takes the form of a grammar.

use std::{borrow::Cow, collections::VecDeque};

use crate::script::{Calling, Chat, Text, Tokens, Tool};

/// Characters of a function's arguments per event.
const ARGUMENT_PIECE: usize = 8;

/// The parts of a conversation that an answer can depend on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Text of the last user message.
    pub(crate) user: String,
    /// Texts of all tool results.
    pub(crate) results: Vec<String>,
    /// Media type and bytes of each image, or its address.
    pub(crate) images: Vec<String>,
    /// Name of the function that the request forces.
    pub(crate) forced: Option<String>,
}

/// The answer to one request.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) reasoning: Option<String>,
    pub(crate) words: Words,
    pub(crate) tools: Vec<Tool>,
    /// Number of tool results before this answer, as far as the script depends on them.
    pub(crate) results: usize,
    /// Finish reason in the words of Chat Completions.
    pub(crate) finish: String,
    pub(crate) tokens: Tokens,
}

/// The remaining words of an answer, in turn for each choice.
#[derive(Debug)]
pub(crate) struct Words {
    source: Source,
    /// Index of the choice that receives the current word next.
    choice: u32,
    choices: u32,
    pub(crate) sent: u32,
}

#[derive(Debug)]
enum Source {
    List(VecDeque<String>),
    Ticks(u32),
    Endless,
}

/// A word with its trailing space.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Text(String),
    /// The time at which it is rendered.
    Tick,
}

// === impl Plan ===

impl Plan {
    /// Applies a script to a conversation, which is read only if the script depends on it.
    pub(crate) fn new(chat: &Chat, choices: u32, hear: impl FnOnce() -> Heard) -> Self {
        let heard = if listens(chat) { hear() } else { Heard::default() };
        let results = heard.results.len();
        let mut tools = match chat.calling {
            Calling::Always => chat.tools.clone(),
            Calling::Once if results > 0 => Vec::new(),
            Calling::Once => chat.tools.clone(),
            Calling::OneByOne => chat.tools.get(results).cloned().into_iter().collect(),
        };
        let text = match &chat.text {
            _ if chat.calling != Calling::Always && !tools.is_empty() => String::new(),
            Text::Fixed(text) => text.clone(),
            Text::Echo => heard.user,
            Text::Results => heard.results.join("; "),
            Text::Images if heard.images.is_empty() => "no image".to_owned(),
            Text::Images => heard.images.join("; "),
            Text::Ticks(_) | Text::Endless => String::new(),
        };
        let mut source = match chat.text {
            Text::Ticks(n) => Source::Ticks(n),
            Text::Endless => Source::Endless,
            _ => Source::List(text.split_inclusive(' ').map(str::to_owned).collect()),
        };
        if let (true, Some(name)) = (tools.is_empty() && is_object(&text), heard.forced) {
            tools.push(Tool { name, arguments: text });
            source = Source::List(VecDeque::new());
        }
        let usual = if tools.is_empty() { "stop" } else { "tool_calls" };
        let finish = chat.finish_reason.clone().unwrap_or_else(|| usual.to_owned());
        let words = Words { source, choice: 0, choices, sent: 0 };
        Self { reasoning: chat.reasoning.clone(), words, tools, results, finish, tokens: chat.tokens }
    }

    /// Returns the reasoning text, word by word.
    pub(crate) fn thoughts(&self) -> impl Iterator<Item = &str> {
        self.reasoning.iter().flat_map(|text| text.split_inclusive(' '))
    }
}

/// Returns whether an answer depends on the conversation.
fn listens(chat: &Chat) -> bool {
    match &chat.text {
        Text::Fixed(text) => is_object(text) || chat.calling != Calling::Always,
        Text::Echo | Text::Results | Text::Images => true,
        Text::Ticks(_) | Text::Endless => chat.calling != Calling::Always,
    }
}

fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Returns the pieces in which a stream sends the arguments of a function call.
pub(crate) fn argument_pieces(arguments: &str) -> Vec<String> {
    let characters: Vec<char> = arguments.chars().collect();
    characters.chunks(ARGUMENT_PIECE).map(|piece| piece.iter().collect()).collect()
}

// === impl Heard ===

impl Heard {
    /// Adds the image at an address, which may be a data URL.
    pub(crate) fn see(&mut self, url: &str) {
        let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        match data {
            Some((media_type, data)) => self.see_base64(media_type, data),
            None => self.images.push(url.to_owned()),
        }
    }

    pub(crate) fn see_base64(&mut self, media_type: &str, data: &str) {
        let bytes = data.trim_end_matches('=').len() * 3 / 4;
        self.images.push(format!("{media_type} {bytes}"));
    }
}

// === impl Words ===

impl Default for Words {
    fn default() -> Self {
        Self { source: Source::List(VecDeque::new()), choice: 0, choices: 1, sent: 0 }
    }
}

impl Words {
    /// Returns whether the answer has no text.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.source, Source::List(words) if words.is_empty())
    }

    pub(crate) const fn is_endless(&self) -> bool {
        matches!(self.source, Source::Endless)
    }

    /// Returns the next word and the choice that it belongs to.
    pub(crate) fn next(&mut self) -> Option<(u32, Word)> {
        let choice = self.choice;
        let last_choice = choice + 1 == self.choices;
        let word = match &mut self.source {
            Source::List(words) if last_choice => Word::Text(words.pop_front()?),
            Source::List(words) => Word::Text(words.front()?.clone()),
            Source::Ticks(0) => return None,
            Source::Ticks(left) => {
                *left -= u32::from(last_choice);
                Word::Tick
            }
            Source::Endless => Word::Text("more ".into()),
        };
        self.sent = self.sent.saturating_add(1);
        self.choice = if last_choice { 0 } else { choice + 1 };
        Some((choice, word))
    }

    /// Returns the words of an answer that is not streamed; endless text is one word.
    pub(crate) fn all(self) -> Vec<String> {
        match self.source {
            Source::List(words) => words.into(),
            Source::Ticks(n) => (0..n).map(|_| tick()).collect(),
            Source::Endless => vec!["more".to_owned()],
        }
    }
}

// === impl Word ===

impl Word {
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Tick => Cow::Owned(tick()),
        }
    }
}

/// Returns a word with its creation time: nanoseconds of `CLOCK_MONOTONIC`, which all processes of a machine share.
pub(crate) fn tick() -> String {
    let clock = nix::time::ClockId::CLOCK_MONOTONIC;
    let now = nix::time::clock_gettime(clock).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec());
    format!("t={now} ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(results: &[&str]) -> Heard {
        let results = results.iter().map(|result| (*result).to_owned()).collect();
        Heard { user: "hello".into(), results, forced: Some("answer".into()), ..Heard::default() }
    }

    fn tool(name: &str) -> Tool {
        Tool { name: name.into(), arguments: "{}".into() }
    }

    #[test]
    fn functions_are_called_as_scripted_until_their_results_came() {
        for (calling, expected) in [
            (Calling::Always, [(2, "A"), (2, "A"), (2, "A")]),
            (Calling::Once, [(2, ""), (0, "A"), (0, "A")]),
            (Calling::OneByOne, [(1, ""), (1, ""), (0, "A")]),
        ] {
            let chat =
                Chat { tools: vec![tool("a"), tool("b")], calling, text: Text::Fixed("A".into()), ..Chat::default() };
            let before: [&[&str]; 3] = [&[], &["1"], &["1", "2"]];
            for (results, expected) in before.into_iter().zip(expected) {
                let plan = Plan::new(&chat, 1, || heard(results));
                assert_eq!((plan.tools.len(), plan.words.all().concat().as_str()), expected, "{calling:?} {results:?}");
            }
        }
    }

    #[test]
    fn a_forced_call_gets_the_json_of_the_text() {
        let chat = Chat { text: Text::Fixed(r#"{"a":1}"#.into()), ..Chat::default() };
        let plan = Plan::new(&chat, 1, || heard(&[]));
        assert_eq!(plan.tools, [Tool { name: "answer".into(), arguments: r#"{"a":1}"#.into() }]);
        assert!(plan.words.is_empty());
        assert_eq!(plan.finish, "tool_calls");
    }

    #[test]
    fn images_are_described_by_type_and_size() {
        let mut heard = Heard::default();
        heard.see("data:image/png;base64,iVBORw0=");
        heard.see("https://example.com/a.png");
        assert_eq!(heard.images, ["image/png 5", "https://example.com/a.png"]);
    }
}
