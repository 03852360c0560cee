//! Scripts selected by model names, for use of the fake by hand and in benchmarks.

use super::{Calling, Chat, Coding, Delivery, Dialect, FaultKind, Script, Text, Tokens, Tool, Turn, Usage};

/// A pattern of model names, an example, and its effect. `K`, `N` and `MS` stand for numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The pattern, for display.
    pub pattern: &'static str,
    /// A name that matches the pattern.
    pub example: &'static str,
    /// Description of a model with such a name.
    pub does: &'static str,
}

pub(crate) const fn name(pattern: &'static str, example: &'static str, does: &'static str) -> Name {
    Name { pattern, example, does }
}

/// All patterns.
pub const NAMES: &[Name] = &[
    name("fake-NxMS", "fake-60x100", "N words, one every MS milliseconds; each word is its send time"),
    name("fake-echo", "fake-echo", "the last user message, word by word (also for names not listed here)"),
    name("fake-tool", "fake-tool", "a call of get_weather"),
    name("fake-loop-N", "fake-loop-3", "N calls of get_weather, one per answer; then says the results"),
    name("fake-parallel-N", "fake-parallel-3", "N calls of get_weather in one answer; then says the results"),
    name("fake-think-N", "fake-think-3", "as fake-loop-N, and thinks before each answer"),
    name(
        "fake-json",
        "fake-json",
        "a JSON object with city and degrees, as text or as the call that the request forces",
    ),
    name("fake-image", "fake-image", "media type and bytes of each image of the conversation"),
    name("fake-reasoning", "fake-reasoning", "thinks, then answers"),
    name("fake-length", "fake-length", "finish_reason length"),
    name("fake-refusal", "fake-refusal", "finish_reason content_filter"),
    name("fake-cached", "fake-cached", "token counts of every class: cache read, cache write, reasoning"),
    name("fake-usage", "fake-usage", "reports usage even if it was not requested"),
    name("fake-STATUS", "fake-503", "error with this status, 400 to 599; 429 has a Retry-After of 2 s"),
    name(
        "fake-flaky-ANY",
        "fake-flaky-1",
        "429 with a Retry-After of 1 s to the first call of this name; then an echo",
    ),
    name("fake-html", "fake-html", "an HTML page with status 200"),
    name("fake-badjson", "fake-badjson", "broken JSON with status 200"),
    name("fake-empty", "fake-empty", "an empty body with status 200"),
    name("fake-plain", "fake-plain", "a valid answer as text/plain, never streamed"),
    name("fake-reset", "fake-reset", "resets the connection before the head"),
    name("fake-reset-K", "fake-reset-3", "resets the connection after K events"),
    name("fake-close", "fake-close", "closes the connection before the head"),
    name("fake-close-K", "fake-close-3", "closes the connection after K events, within the body"),
    name("fake-end-K", "fake-end-3", "ends a stream after K events as if it were complete"),
    name("fake-stall", "fake-stall", "never answers"),
    name("fake-stall-K", "fake-stall-3", "stops sending after K events"),
    name("fake-error", "fake-error", "an error event as the first event, then the end"),
    name("fake-error-K", "fake-error-3", "sends an error event after K events, then ends"),
    name("fake-bareerror-K", "fake-bareerror-3", "as fake-error-K, in Responses with the event error"),
    name("fake-nodone", "fake-nodone", "a stream without its terminal event, such as [DONE]"),
    name("fake-unknown", "fake-unknown", "unknown fields and events among the usual ones"),
    name("fake-endless", "fake-endless", "endless words"),
    name("fake-endlessline", "fake-endlessline", "one endless line"),
    name("fake-drip-MS", "fake-drip-50", "every byte, including the head, in its own write, MS milliseconds apart"),
    name("fake-split", "fake-split", "every byte of the body in its own write"),
    name("fake-crlf", "fake-crlf", "lines that end in CR LF"),
    name("fake-comments", "fake-comments", "a comment before each event"),
    name("fake-joined", "fake-joined", "all events of a stream in one write"),
    name("fake-cut-N", "fake-cut-7", "a stream in writes of N bytes, regardless of event boundaries"),
    name("fake-CODING", "fake-gzip", "a compressed answer: gzip, deflate, rawdeflate, br, zstd"),
    name("fake-idleclose", "fake-idleclose", "closes a reused connection instead of answering; answers on a fresh one"),
    name("fake-dialect-D", "fake-dialect-null_head", "chunks in the dialect D; names in src/script/dialect.rs"),
    name("fake-short", "fake-short", "a content-length that is 10 bytes too small (not streamed)"),
    name("fake-long", "fake-long", "a content-length that is 10 bytes too large (not streamed)"),
];

/// Maximum number of calls that a name selects.
const MAX_CALLS: u64 = 64;

/// Cities of the calls of `get_weather`, in order; they repeat.
const CITIES: [&str; 6] = ["Oslo", "Rome", "Lima", "Cairo", "Quito", "Kyoto"];

/// Returns the script that a model name selects, for names whose calls differ.
pub(crate) fn script(model: &str) -> Option<Script> {
    let name = model.rsplit('/').next()?;
    name.strip_prefix("fake-flaky-")?;
    Some(Script::first(1, Turn::error(429).header("retry-after", "1")).then(Turn::echo()))
}

/// Returns the turn that a model name selects, or `None` if it selects none. Anything up to the last `/` is ignored.
#[must_use]
pub fn turn(model: &str) -> Option<Turn> {
    let name = model.rsplit('/').next()?.strip_prefix("fake-")?;
    fixed(name).or_else(|| dialect(name)).or_else(|| numbered(name))
}

fn fixed(name: &str) -> Option<Turn> {
    let turn = match name {
        "echo" => Turn::echo(),
        "tool" => weather(1, Calling::Always, Text::Fixed(String::new())),
        "json" => Turn::says(r#"{"city":"Oslo","degrees":7}"#),
        "image" => Turn::from(Chat { text: Text::Images, ..Chat::default() }),
        "reasoning" => Turn::echo().chat(|chat| chat.reasoning = Some("Let me think about that.".into())),
        "length" => Turn::echo().chat(|chat| chat.finish_reason = Some("length".into())),
        "refusal" => Turn::echo().chat(|chat| chat.finish_reason = Some("content_filter".into())),
        "cached" => Turn::echo().chat(|chat| {
            chat.usage = Usage::Always;
            chat.tokens = Tokens { cache_read: 90, cache_write: 20, cache_write_long: 5, reasoning: 3, input: 10 };
        }),
        "unknown" => Turn::echo().chat(|chat| chat.dialect = Dialect::UnknownFields),
        "usage" => Turn::echo().chat(|chat| chat.usage = Usage::Always),
        "html" => Turn::raw("text/html; charset=utf-8", "<!doctype html>\n<title>Welcome</title>\n<p>Please log in."),
        "badjson" => Turn::raw("application/json", r#"{"id":"chatcmpl-1","choices":[{"index":0,"mess"#),
        "empty" => Turn::raw("application/json", ""),
        "plain" => Turn::raw(
            "text/plain",
            r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"fake-plain","choices":[{"index":0,"message":{"role":"assistant","content":"plain"},"finish_reason":"stop"}]}"#,
        ),
        "reset" => Turn::echo().before_head(FaultKind::Reset),
        "close" => Turn::echo().before_head(FaultKind::Close),
        "stall" => Turn::echo().before_head(FaultKind::Stall),
        "error" => Turn::echo().after(0, FaultKind::ErrorEvent),
        "nodone" => Turn::echo().chat(|chat| chat.done = false),
        "endless" => Turn::from(Chat { text: Text::Endless, ..Chat::default() }),
        "endlessline" => Turn::echo().after(1, FaultKind::EndlessLine),
        "split" => Turn::echo().split(1),
        "crlf" => Turn::echo().chat(|chat| chat.crlf = true),
        "comments" => Turn::echo().chat(|chat| chat.comments = true),
        "joined" => Turn::echo().join(usize::MAX),
        "gzip" => Turn::echo().coded(Coding::Gzip),
        "deflate" => Turn::echo().coded(Coding::Deflate),
        "rawdeflate" => Turn::echo().coded(Coding::RawDeflate),
        "br" => Turn::echo().coded(Coding::Br),
        "zstd" => Turn::echo().coded(Coding::Zstd),
        "idleclose" => Turn::echo().before_head(FaultKind::IdleClose),
        "short" => off_by(-10),
        "long" => off_by(10),
        _ => return None,
    };
    Some(turn)
}

/// Calls `get_weather` for the first `count` cities.
fn weather(count: usize, calling: Calling, text: Text) -> Turn {
    let tools = CITIES.iter().cycle().take(count);
    let tools = tools.map(|city| Tool { name: "get_weather".into(), arguments: format!(r#"{{"city":"{city}"}}"#) });
    Chat { tools: tools.collect(), calling, text, ..Chat::default() }.into()
}

fn off_by(bytes: i64) -> Turn {
    Turn { delivery: Delivery { length_off_by: bytes, ..Delivery::default() }, ..Turn::echo() }
}

/// Parses a dialect from its name in scripts.
fn dialect(name: &str) -> Option<Turn> {
    let name = name.strip_prefix("dialect-")?;
    let dialect: Dialect = serde_json::from_value(name.into()).ok()?;
    Some(Turn::echo().chat(|chat| chat.dialect = dialect))
}

fn numbered(name: &str) -> Option<Turn> {
    if let Some((words, delay)) = name.split_once('x') {
        let chat = Chat { text: Text::Ticks(words.parse().ok()?), ..Chat::default() };
        let delivery = Delivery { delay_ms: delay.parse().ok()?, ..Delivery::default() };
        return Some(Turn { delivery, ..chat.into() });
    }
    if let Ok(status @ 400..=599) = name.parse() {
        let turn = Turn::error(status);
        return Some(if status == 429 { turn.header("retry-after", "2") } else { turn });
    }
    let (kind, number) = name.split_once('-')?;
    let number = number.parse().ok()?;
    let turn = Turn::echo();
    match kind {
        "reset" => Some(turn.after(number, FaultKind::Reset)),
        "close" => Some(turn.after(number, FaultKind::Close)),
        "end" => Some(turn.after(number, FaultKind::End)),
        "stall" => Some(turn.after(number, FaultKind::Stall)),
        "error" => Some(turn.after(number, FaultKind::ErrorEvent)),
        "bareerror" => Some(turn.after(number, FaultKind::BareErrorEvent)),
        "loop" | "parallel" | "think" if number > MAX_CALLS => None,
        "loop" => Some(weather(usize::try_from(number).ok()?, Calling::OneByOne, Text::Results)),
        "parallel" => Some(weather(usize::try_from(number).ok()?, Calling::Once, Text::Results)),
        "think" => {
            let turn = weather(usize::try_from(number).ok()?, Calling::OneByOne, Text::Results);
            Some(turn.thinks("Let me think about that."))
        }
        "cut" => Some(turn.join(usize::MAX).split(usize::try_from(number).ok()?)),
        "drip" => Some(Turn { delivery: Delivery { drip_ms: Some(number), ..Delivery::default() }, ..turn }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_known() {
        for name in NAMES {
            let known = turn(name.example).is_some() || script(name.example).is_some();
            assert!(known, "{}", name.example);
        }
    }

    #[test]
    fn names_behind_a_provider_prefix_are_known() {
        assert_eq!(turn("vendor/fake-reset-3"), turn("fake-reset-3"));
        assert!(turn("fake-reset-3").is_some());
    }

    #[test]
    fn other_names_have_no_script() {
        for other in
            ["gpt-4o", "fake-", "fake-x", "fake-200", "fake-reset-", "fake-reset-x", "fake-reset-3-3", "fake-axb"]
        {
            assert_eq!(turn(other), None, "{other}");
        }
    }
}
