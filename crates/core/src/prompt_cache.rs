//! The share of a prompt that the provider had cached, and the place where a prompt stops being that of the turn before.
//!
//! Providers cache a prompt from its beginning: tools, instructions, messages. A change near the beginning, such as a
//! time in the instructions, makes everything behind it cost its full price.

use std::borrow::Cow;

use crate::affix::common_prefix;
use crate::json::Reader;

/// Fall of the share above which it is reported.
pub const FALL: f64 = 0.2;

/// Minimum cached tokens of the turn before. Providers do not cache shorter prompts.
pub const MIN_CACHED: i64 = 1_024;

/// Tokens of the prompt of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptTokens {
    /// All of them.
    pub prompt: i64,
    /// Those that were read from a cache.
    pub cached: i64,
}

/// Place where a prompt differs from that of the turn before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Path in the body, such as `messages[3].content`.
    pub path: String,
    /// Byte position in the body.
    pub offset: usize,
}

/// The fields of a prompt in the order in which providers read them. Each group has the names that APIs use for it.
const PARTS: [&[&str]; 3] = [&["tools", "functions"], &["system", "instructions"], &["messages", "input", "prompt"]];

/// Field that marks up to where a prompt is to be cached. It moves with each turn, and is not part of the prompt.
const MARK: &str = "cache_control";

/// A member or an element.
#[derive(Clone, Debug)]
enum Step<'a> {
    Name(Cow<'a, str>),
    Index(usize),
}

// === impl PromptTokens ===

impl PromptTokens {
    /// Returns the share that was cached; 0 without a prompt.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share of token counts")]
    pub fn share(self) -> f64 {
        if self.prompt > 0 { self.cached as f64 / self.prompt as f64 } else { 0.0 }
    }

    /// Returns how many tokens were cached for the turn before and are not for this one, if the share fell by more than
    /// [`FALL`]. A prompt that only grew has lost none.
    #[must_use]
    pub fn lost_since(self, before: Self) -> Option<i64> {
        let lost = before.cached.min(self.prompt) - self.cached;
        (before.cached >= MIN_CACHED && lost > 0 && before.share() - self.share() > FALL).then_some(lost)
    }
}

/// Returns the first place where the prompt of `body` differs from that of `before`; `None` if it only continues it, or
/// if one of the two is no request.
#[must_use]
pub fn divergence(before: &str, body: &str) -> Option<Divergence> {
    let (old, new) = (members(before.as_bytes())?, members(body.as_bytes())?);
    for (n, names) in PARTS.iter().enumerate() {
        let part = |members: &[(Cow<'_, str>, &'_ [u8])]| {
            members.iter().position(|(name, value)| names.contains(&&**name) && *value != b"null")
        };
        let is_history = n + 1 == PARTS.len();
        let (at, old) = match (part(&old), part(&new)) {
            (None, None) => continue,
            (Some(_), None) => return Some(Divergence { path: names[0].to_owned(), offset: 0 }),
            (old_at, Some(at)) => (at, old_at.map(|at| old[at].1)),
        };
        let (name, value) = &new[at];
        let mut path = vec![Step::Name(name.clone())];
        let Some(old) = old else {
            return Some(Divergence { path: name.clone().into_owned(), offset: offset(body, value) });
        };
        if let Some(place) = difference(old, value, is_history, &mut path) {
            return Some(Divergence { path: words(&path), offset: offset(body, value) + place });
        }
    }
    None
}

/// Returns the number of bytes with which the prompts of two bodies begin alike, in the order in which providers read
/// them; 0 if one of the two is no request.
#[must_use]
pub fn shared_prefix(before: &str, body: &str) -> usize {
    let (Some(old), Some(new)) = (members(before.as_bytes()), members(body.as_bytes())) else { return 0 };
    let mut shared = 0;
    for (n, names) in PARTS.iter().enumerate() {
        let part = |members: &[(Cow<'_, str>, &'_ [u8])]| {
            members.iter().position(|(name, value)| names.contains(&&**name) && *value != b"null")
        };
        match (part(&old), part(&new)) {
            (None, None) => {}
            (Some(old_at), Some(new_at)) => {
                let (old, new) = (old[old_at].1, new[new_at].1);
                match difference(old, new, n + 1 == PARTS.len(), &mut Vec::new()) {
                    None => shared += old.len().min(new.len()),
                    Some(place) => return shared + place,
                }
            }
            _ => return shared,
        }
    }
    shared
}

/// Returns the position in `new` at which it differs from `old`, and leaves its path in `path`. Further elements of a
/// history are no difference.
fn difference<'a>(old: &'a [u8], new: &'a [u8], is_history: bool, path: &mut Vec<Step<'a>>) -> Option<usize> {
    if old == new {
        return None;
    }
    match (old.first(), new.first()) {
        (Some(b'['), Some(b'[')) => {
            let (olds, news) = (elements(old)?, elements(new)?);
            for (index, (before, element)) in olds.iter().zip(&news).enumerate() {
                path.push(Step::Index(index));
                if let Some(place) = difference(before, element, false, path) {
                    return Some(within(new, element) + place);
                }
                path.pop();
            }
            if olds.len() == news.len() || is_history && olds.len() < news.len() {
                return None;
            }
            path.push(Step::Index(olds.len().min(news.len())));
            Some(news.get(olds.len()).map_or(new.len() - 1, |element| within(new, element)))
        }
        (Some(b'{'), Some(b'{')) => {
            let shown = |members: Vec<(Cow<'a, str>, &'a [u8])>| {
                members.into_iter().filter(|(name, _)| name != MARK).collect::<Vec<_>>()
            };
            let (olds, news) = (shown(members(old)?), shown(members(new)?));
            for (before, (name, value)) in olds.iter().zip(&news) {
                path.push(Step::Name(name.clone()));
                if before.0 != *name {
                    return Some(within(new, value));
                }
                if let Some(place) = difference(before.1, value, false, path) {
                    return Some(within(new, value) + place);
                }
                path.pop();
            }
            if olds.len() == news.len() {
                return None;
            }
            if let Some((name, value)) = news.get(olds.len()) {
                path.push(Step::Name(name.clone()));
                return Some(within(new, value));
            }
            path.push(Step::Name(olds[news.len()].0.clone()));
            Some(new.len() - 1)
        }
        _ => Some(common_prefix(old, new)),
    }
}

/// Returns the members of an object, with their values as they are written.
fn members(object: &[u8]) -> Option<Vec<(Cow<'_, str>, &[u8])>> {
    let mut members = Vec::new();
    Reader::lenient(object).fields(|name, value| {
        members.push((name, value.raw()?));
        Some(())
    })?;
    Some(members)
}

fn elements(array: &[u8]) -> Option<Vec<&[u8]>> {
    let mut elements = Vec::new();
    Reader::lenient(array).array(|element| {
        elements.push(element.raw()?);
        Some(())
    })?;
    Some(elements)
}

/// Returns the position of a part within the bytes that contain it.
fn within(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

fn offset(body: &str, part: &[u8]) -> usize {
    within(body.as_bytes(), part)
}

fn words(path: &[Step<'_>]) -> String {
    let mut words = String::new();
    for step in path {
        match step {
            Step::Name(name) if words.is_empty() => words.push_str(name),
            Step::Name(name) => words.push_str(&format!(".{name}")),
            Step::Index(index) => words.push_str(&format!("[{index}]")),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn turn(prompt: i64, cached: i64) -> PromptTokens {
        PromptTokens { prompt, cached }
    }

    fn place(before: &str, body: &str) -> Option<(String, String)> {
        let found = divergence(before, body)?;
        let rest: String = body[found.offset..].chars().take(8).collect();
        Some((found.path, rest))
    }

    #[test]
    fn a_fall_is_a_loss_and_not_growth() {
        assert_eq!(turn(10_000, 100).lost_since(turn(9_000, 8_000)), Some(7_900));
        assert_eq!(turn(60_000, 8_000).lost_since(turn(9_000, 8_000)), None, "the prompt grew");
        assert_eq!(turn(10_000, 7_500).lost_since(turn(9_000, 8_000)), None, "a small fall");
        assert_eq!(turn(2_000, 0).lost_since(turn(1_000, 900)), None, "too small to be cached");
        assert_eq!(turn(4_000, 0).lost_since(turn(9_000, 8_000)), Some(4_000), "the prompt is shorter");
        assert!((turn(0, 0).share() - 0.0).abs() < f64::EPSILON);
    }

    const FIRST: &str =
        r#"{"model":"m","tools":[{"name":"a"}],"system":"It is 10:01.","messages":[{"role":"user","content":"hi"}]}"#;

    #[test]
    fn a_prompt_that_continues_has_no_difference() {
        let next = r#"{"messages": [{"role": "user", "content": "hi"}, {"role":"assistant","content":"ho"},{"role":"user","content":"more"}], "system":"It is 10:01.","tools":[{"name":"a"}],"temperature":1,"model":"m"}"#;
        assert_eq!(divergence(FIRST, next), None);
        let marked = FIRST.replace(r#""content":"hi"}"#, r#""content":"hi","cache_control":{"type":"ephemeral"}}"#);
        assert_eq!((divergence(FIRST, &marked), divergence(&marked, FIRST)), (None, None));
        assert_eq!(divergence(FIRST, FIRST), None);
        for other in ["", "[]", "not kept", "null"] {
            assert_eq!((divergence(FIRST, other), divergence(other, FIRST)), (None, None), "{other}");
        }
    }

    #[test]
    fn the_first_difference_is_found() {
        for (from, to, path, rest) in [
            ("10:01", "10:02", "system", "2.\",\"mes"),
            (r#"{"name":"a"}"#, r#"{"name":"b"}"#, "tools[0].name", "b\"}],\"sy"),
            (r#"{"name":"a"}"#, r#"{"name":"a"},{"name":"b"}"#, "tools[1]", "{\"name\":"),
            (r#"{"name":"a"}"#, r#"{"description":"xy","name":"a"}"#, "tools[0].description", "\"xy\",\"na"),
            (r#"{"name":"a"}"#, r#"{"name":"a","x":1}"#, "tools[0].x", "1}],\"sys"),
            (r#"{"name":"a"}"#, "{}", "tools[0].name", "}],\"syst"),
            (r#""content":"hi""#, r#""content":"ha""#, "messages[0].content", "a\"}]}"),
            (r#""content":"hi""#, r#""content":[{"text":"hi"}]"#, "messages[0].content", "[{\"text\""),
            (r#"{"role":"user","content":"hi"}"#, "", "messages[0]", "]}"),
            (r#""system":"It is 10:01.","#, "", "system", "{\"model\""),
        ] {
            let body = FIRST.replace(from, to);
            assert_eq!(place(FIRST, &body), Some((path.to_owned(), rest.to_owned())), "{body}");
        }
        let without = FIRST.replace(r#""tools":[{"name":"a"}],"#, "");
        assert_eq!(place(&without, FIRST).unwrap(), ("tools".to_owned(), "[{\"name\"".to_owned()));
    }

    #[test]
    fn the_prompt_that_is_continued_shares_most() {
        let of = |system: &str, messages: &[&str]| json!({"messages": messages, "system": system}).to_string();
        let turn = of("You plan.", &["a long question", "an answer", "more"]);
        let shared = |before: String| shared_prefix(&before, &turn);
        let (earlier, own) = (shared(of("You plan.", &["a long question"])), shared(turn.clone()));
        let edited = shared(of("You plan.", &["a short question"]));
        let other = shared(of("You search.", &["a long question"]));
        assert!(own > earlier && earlier > edited && edited > other && other > 0, "{own} {earlier} {edited} {other}");
        for none in ["", "[]", "not kept", "{}"] {
            assert_eq!(shared(none.to_owned()), 0, "{none}");
        }
    }

    #[test]
    fn all_apis_have_their_names() {
        let chat =
            |text: &str| json!({"messages": [{"role": "system", "content": text}, {"role": "user", "content": "x"}]});
        let responses = |text: &str| json!({"instructions": text, "input": [{"role": "user", "content": "x"}]});
        let path = |before: serde_json::Value, body: serde_json::Value| {
            divergence(&before.to_string(), &body.to_string()).unwrap().path
        };
        assert_eq!(path(chat("a"), chat("b")), "messages[0].content");
        assert_eq!(path(responses("a"), responses("b")), "instructions");
    }

    proptest! {
        #[test]
        fn offsets_are_within_the_body(a in "\\PC{0,20}", b in "\\PC{0,20}", more in "\\PC{0,20}") {
            let body = |system: &str, messages: &[&str]| json!({"system": system, "messages": messages}).to_string();
            let (before, after) = (body(&a, &[&b]), body(&b, &[&b, &more]));
            match divergence(&before, &after) {
                None => prop_assert_eq!(&a, &b),
                Some(found) => prop_assert!(found.offset <= after.len() && found.path == "system"),
            }
            prop_assert_eq!(divergence(&body(&a, &[&b]), &body(&a, &[&b, &more])), None);
        }
    }
}
