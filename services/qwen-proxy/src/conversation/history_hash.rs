//! The trace by which a conversation is recognised. Pure functions.
//!
//! Clients resend user messages unchanged, so they are compared in full. Answers may be changed, so only their
//! beginnings are compared, and the ids of their tool calls, which are unique. The last answer may even be truncated.
//! Tool results are not compared, because long-running clients remove old ones.
//!
//! System messages are compared too; otherwise two applications with the same short dialogue would share a chat. If the
//! history contains ids of tool calls, it is unambiguous without them, so that applications which put the current time
//! into the system message can continue their conversation.
//!
//! The beginning of an answer that must not be kept is stored as a digest. A truncation of it is not recognised.

use std::borrow::Cow;

use signalbox_core::id;
use signalbox_store::qwen_turns::Turn;
use uuid::Uuid;

use crate::{
    convert::{Message, message::Role},
    log_policy::LoggedTexts,
};

/// Number of characters of an answer that are compared.
const COMPARED_CHARS: usize = 120;

/// Minimum length in characters of a truncated answer to be recognised.
const MIN_TRUNCATED_CHARS: usize = 16;

/// Namespace of these hashes.
const NAMESPACE: Uuid = Uuid::from_u128(0x5169_6e61_6c62_6f78_0000_0000_0000_0004);

/// Trace of a conversation up to one of its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryHash {
    /// Hash of all messages except the text of the last answer.
    pub asked: String,
    /// Beginning of the last answer.
    pub answer: String,
    /// Hash of the system messages, or of the empty string if they are not compared.
    pub instructed: String,
}

/// Builder of a trace.
#[derive(Default)]
struct HistoryHasher {
    said: String,
    answer: String,
    instructed: String,
    is_certain: bool,
}

// === impl HistoryHash ===

impl HistoryHash {
    /// Computes the trace of a history up to its last answer; `None` if it contains no answer.
    #[must_use]
    pub fn of(messages: &[Message]) -> Option<Self> {
        let last = messages.iter().rposition(|message| message.role == Role::Assistant)?;
        Some(HistoryHasher::along(messages, last + 1).end())
    }

    /// Computes the trace of a history and the answer to it.
    #[must_use]
    pub fn after(messages: &[Message], answer: &str, call_ids: &[String]) -> Self {
        let mut path = HistoryHasher::along(messages, messages.len());
        path.answer(answer, call_ids.iter().map(String::as_str));
        path.end()
    }

    /// Returns the beginning of the answer as it is stored: its digest if texts of answers, or of requests, which
    /// answers quote, must not be kept.
    #[must_use]
    pub fn stored_answer(&self, kept: LoggedTexts) -> Cow<'_, str> {
        match kept == LoggedTexts::ALL {
            true => Cow::Borrowed(&self.answer),
            false => Cow::Owned(self.answer_digest()),
        }
    }

    fn answer_digest(&self) -> String {
        format!("digest:{}", id::hash(&NAMESPACE, &self.answer))
    }

    /// Selects the turns with the same history that may be continued, the best first.
    ///
    /// These are the turns with the same last answer, the newest first. If there are none, it is the turn of whose
    /// answer the last answer is a truncation, if there is exactly one: several could belong to different
    /// conversations.
    #[must_use]
    pub fn choose(&self, turns: Vec<Turn>) -> Vec<Turn> {
        let alike = turns.into_iter().filter(|turn| turn.instructed == self.instructed);
        let digest = self.answer_digest();
        let is_same = |turn: &Turn| turn.answer == self.answer || turn.answer == digest;
        let (mut same, others): (Vec<_>, Vec<_>) = alike.partition(is_same);
        if same.is_empty() {
            let cut: Vec<_> = others.into_iter().filter(|turn| is_truncation(&self.answer, &turn.answer)).collect();
            return if cut.len() == 1 { cut } else { Vec::new() };
        }
        same.sort_by_key(|turn| !turn.is_newest);
        same
    }
}

/// Returns `true` if `echo` is a truncation of `answer`, optionally with a trailing ellipsis.
fn is_truncation(echo: &str, answer: &str) -> bool {
    let echo = echo.trim_end_matches(['.', '\u{2026}', ' ', '\n']);
    echo.chars().count() >= MIN_TRUNCATED_CHARS && answer.starts_with(echo)
}

fn compared_part(text: &str) -> String {
    text.trim().chars().take(COMPARED_CHARS).collect()
}

// === impl HistoryHasher ===

impl HistoryHasher {
    fn along(messages: &[Message], end: usize) -> Self {
        let mut path = Self::default();
        for (index, message) in messages.iter().enumerate() {
            match message.role {
                // Some clients put system messages at the end, so they count at any position.
                Role::System => push(&mut path.instructed, "system", message.text.trim()),
                Role::User if index < end => {
                    path.close();
                    push(&mut path.said, "user", message.text.trim());
                }
                Role::Assistant if index < end => {
                    path.answer(&message.text, message.calls.iter().map(|(id, _)| id.as_str()));
                }
                _ => {}
            }
        }
        path
    }

    fn answer<'a>(&mut self, text: &str, call_ids: impl Iterator<Item = &'a str>) {
        self.close();
        push(&mut self.said, "answer", "");
        for id in call_ids.filter(|id| !id.is_empty()) {
            push(&mut self.said, "call", id);
            self.is_certain = true;
        }
        self.answer = compared_part(text);
    }

    /// Moves the pending answer into the history, where its text counts.
    fn close(&mut self) {
        let answer = std::mem::take(&mut self.answer);
        push(&mut self.said, "answered", &answer);
    }

    fn end(self) -> HistoryHash {
        let hash = |text: &str| id::hash(&NAMESPACE, text);
        let instructed = if self.is_certain { "" } else { &self.instructed };
        HistoryHash { asked: hash(&self.said), answer: self.answer, instructed: hash(instructed) }
    }
}

/// Appends a text with its kind and length, so that different lists of texts never have the same encoding.
fn push(texts: &mut String, kind: &str, text: &str) {
    texts.push_str(kind);
    texts.push_str(&text.len().to_string());
    texts.push(':');
    texts.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::ParsedRequest;

    fn messages(json: &str) -> Vec<Message> {
        ParsedRequest::parse(format!(r#"{{"messages":[{json}]}}"#).as_bytes()).unwrap().messages
    }

    fn user(text: &str) -> String {
        format!(r#"{{"role":"user","content":"{text}"}}"#)
    }

    fn said(text: &str) -> String {
        format!(r#"{{"role":"assistant","content":"{text}"}}"#)
    }

    fn of(parts: &[String]) -> Option<HistoryHash> {
        HistoryHash::of(&messages(&parts.join(",")))
    }

    fn turn(session_id: &str, history_hash: &HistoryHash, is_newest: bool) -> Turn {
        Turn {
            session_id: session_id.into(),
            chat_id: String::new(),
            parent_id: String::new(),
            is_newest,
            answer: history_hash.answer.clone(),
            instructed: history_hash.instructed.clone(),
            tools: String::new(),
        }
    }

    fn chosen(history_hash: &HistoryHash, turns: &[Turn]) -> String {
        history_hash.choose(turns.to_vec()).into_iter().map(|turn| turn.session_id).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_next_turn_matches_the_stored_trace() {
        assert_eq!(of(&[user("hi")]), None);
        let noted = HistoryHash::after(&messages(&user(" hi")), "Hello!\n", &[]);
        assert_eq!(of(&[user("hi "), said("Hello!"), user("more")]).unwrap(), noted);
        let tools = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","function":{"name":"f"}}]},{"role":"tool","tool_call_id":"call_1","content":"#;
        let noted = HistoryHash::after(&messages(&user("hi")), "", &["call_1".into()]);
        for result in ["\"x\"}", "\"pruned\"}"] {
            assert_eq!(of(&[user("hi"), format!("{tools}{result}")]).unwrap(), noted);
        }
        let later = [user("hi"), format!("{tools}\"x\"}}"), said("done"), user("more")];
        let noted = HistoryHash::after(&messages(&later[..2].join(",")), "done", &[]);
        assert_eq!(of(&later).unwrap(), noted);
    }

    #[test]
    fn every_part_of_the_history_changes_the_trace() {
        let history_hash = of(&[user("a"), said("b"), user("c")]).unwrap();
        assert_eq!(
            of(&[user("a"), said("b"), user("d")]).unwrap(),
            history_hash,
            "the new message is not part of the trace"
        );
        assert_ne!(of(&[user("x"), said("b"), user("c")]).unwrap().asked, history_hash.asked);
        assert_ne!(of(&[user("a"), said("x"), user("c")]).unwrap().answer, history_hash.answer);
        let asked = |parts: &[String]| of(parts).unwrap().asked;
        assert_ne!(asked(&[user("a"), user("b"), said("c")]), asked(&[user("a"), said("c")]));
        assert_ne!(asked(&[user("ab"), said("c")]), asked(&[user("a"), user("b"), said("c")]));
        let longer = |answer: &str| asked(&[user("a"), said(answer), user("c"), said("d")]);
        assert_ne!(longer("b"), longer("x"), "earlier answers are part of the trace");
        let system = r#"{"role":"system","content":"be kind"}"#.to_owned();
        assert_ne!(of(&[system, user("a"), said("b")]).unwrap().instructed, history_hash.instructed);
    }

    #[test]
    fn call_ids_distinguish_conversations_with_any_system_message() {
        let called = |system: &str, id: &str| {
            let system = format!(r#"{{"role":"system","content":"{system}"}}"#);
            let call = format!(
                r#"{{"role":"assistant","content":"","tool_calls":[{{"id":"{id}","function":{{"name":"f"}}}}]}}"#
            );
            of(&[system, user("a"), call]).unwrap()
        };
        assert_eq!(called("it is ten", "call_1"), called("it is eleven", "call_1"));
        assert_ne!(called("it is ten", "call_1").asked, called("it is ten", "call_2").asked);
    }

    #[test]
    fn the_newest_of_equal_sessions_is_used_and_other_instructions_start_another_conversation() {
        let history_hash = of(&[user("a"), said("b")]).unwrap();
        let other = HistoryHash { instructed: "other".into(), ..history_hash.clone() };
        let turns = [turn("old", &history_hash, false), turn("other", &other, true), turn("new", &history_hash, true)];
        assert_eq!(chosen(&history_hash, &turns), "new old");
    }

    #[test]
    fn an_answer_that_is_not_kept_is_found_by_its_digest() {
        let noted = HistoryHash::after(&messages(&user("a")), "It is a long story about a signal box.", &[]);
        assert_eq!(noted.stored_answer(LoggedTexts::ALL), noted.answer);
        for (requests, responses) in [(true, false), (false, true), (false, false)] {
            let stored = noted.stored_answer(LoggedTexts { requests, responses });
            assert!(!stored.contains("long story"), "{stored}");
            let stored = Turn { answer: stored.into_owned(), ..turn("one", &noted, true) };
            assert_eq!(chosen(&noted, std::slice::from_ref(&stored)), "one");
            let other = of(&[user("a"), said("It is a long story about something else.")]).unwrap();
            assert_eq!(chosen(&other, &[stored]), "");
        }
    }

    #[test]
    fn a_truncated_answer_matches_if_it_is_unambiguous() {
        let noted = HistoryHash::after(&messages(&user("a")), "It is a long story about a signal box.", &[]);
        let like = HistoryHash::after(&messages(&user("a")), "It is a long story about something else.", &[]);
        let cut = of(&[user("a"), said("It is a long story ab...")]).unwrap();
        assert_eq!(chosen(&cut, &[turn("one", &noted, true)]), "one");
        assert_eq!(chosen(&cut, &[turn("one", &noted, true), turn("two", &like, true)]), "");
        for other in ["Something else altogether", "It is a...", ""] {
            let other = of(&[user("a"), said(other)]).unwrap();
            assert_eq!(chosen(&other, &[turn("one", &noted, true)]), "");
        }
        let long = "x".repeat(500);
        let noted = HistoryHash::after(&messages(&user("a")), &long, &[]);
        assert_eq!(of(&[user("a"), said(&long[..200])]).unwrap(), noted);
    }
}
