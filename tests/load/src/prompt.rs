//! The requests of the client.
//!
//! A large prompt is composed of pieces already in memory and sent in one vectored write, so that its size costs the
//! load generator little.

use std::rc::Rc;

use bytes::Buf;
use clap::ValueEnum;
use signalbox_core::Api;

use crate::mock::Shape;

/// Kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// 200 bytes.
    Short,
    /// 100 KB of new text.
    Fresh,
    /// 200 bytes that request a stream of the model's shape from the fake of chat.qwen.ai.
    Ticking,
    /// A coding agent's conversation, sent completely with every turn: 80 KB at the beginning, 120 KB at the end, then
    /// a new conversation. All have the same system prompt. Nine tenths of each request have been sent before.
    Conversation,
}

const SHORT: usize = 200;
const FRESH: usize = 100_000;
const SYSTEM: usize = 20_000;
const OPENING: usize = 60_000;
/// A turn of a conversation: the answer of the model and the result of the tool.
const ANSWER: usize = 1_000;
const RESULT: usize = 4_000;
const LONGEST: usize = 120_000;
/// Size of the text from which prompts are cut, in bytes.
const POOL: usize = 4 << 20;

/// The text of all prompts.
#[derive(Clone, Debug)]
pub struct Pool(Rc<[u8]>);

/// The sequence of requests of one connection.
#[derive(Debug)]
pub struct Prompts {
    kind: Kind,
    pool: Pool,
    random: Random,
    /// For the fake of chat.qwen.ai: the model that sets the pace of the answer, and the end of the prompt.
    ticks: (String, String),
    /// The head up to the value of `content-length`.
    head: Vec<u8>,
    /// The body up to its first message.
    opening: Vec<u8>,
    /// The head, and the other parts that are new in each request.
    front: Vec<u8>,
    /// The body of the conversation so far, without its end.
    history: Vec<u8>,
}

/// A small generator of pseudo-random numbers (xorshift64*), so that runs are reproducible.
#[derive(Clone, Debug)]
struct Random(u64);

// === impl Pool ===

impl Pool {
    /// Generates text of words that compress about as well as natural language.
    #[must_use]
    pub fn new() -> Self {
        const SYLLABLES: [&str; 16] =
            ["ra", "il", "wa", "ys", "ig", "na", "lb", "ox", "po", "in", "ts", "tr", "ack", "en", "gi", "ne"];
        let mut random = Random(0x5167_6e61_6c62_6f78);
        let mut text = Vec::with_capacity(POOL + 16);
        while text.len() < POOL {
            let number = random.next();
            for at in 0..=(number & 3) {
                let syllable = (number >> (8 + 4 * at)) & 15;
                text.extend_from_slice(SYLLABLES[usize::try_from(syllable).unwrap_or_default()].as_bytes());
            }
            text.push(b' ');
        }
        text.truncate(POOL);
        Self(text.into())
    }

    fn piece(&self, random: &mut Random, len: usize) -> &[u8] {
        let room = self.0.len() - len;
        let start = usize::try_from(random.next() % room as u64).unwrap_or_default();
        &self.0[start..start + len]
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Prompts ===

impl Prompts {
    /// Creates requests of `api` to the service at `port` of 127.0.0.1. Different seeds yield different texts. The
    /// conversations of [`Kind::Conversation`] are of Chat Completions.
    #[must_use]
    pub fn new(kind: Kind, pool: &Pool, (api, port): (Api, u16), model: &str, stream: bool, seed: u64) -> Self {
        let path = api.path();
        // Other servers than Anthropic's ignore the version.
        let version = if api == Api::Messages { "anthropic-version: 2023-06-01\r\n" } else { "" };
        let head = format!(
            "POST /v1{path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n{version}content-length: "
        );
        let ticks = Shape::of_model(model).map(ticks).unwrap_or_default();
        let model = if kind == Kind::Ticking { &ticks.0 } else { model };
        let options = match (stream, api) {
            (true, Api::Chat) => r#""stream":true,"stream_options":{"include_usage":true},"#,
            (true, Api::Messages | Api::Responses) => r#""stream":true,"#,
            (false, _) => "",
        };
        let messages = match api {
            Api::Chat => r#""messages":["#,
            Api::Messages => r#""max_tokens":4096,"messages":["#,
            Api::Responses => r#""input":["#,
        };
        let opening = format!(r#"{{"model":"{model}",{options}{messages}"#);
        Self {
            kind,
            pool: pool.clone(),
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            ticks,
            head: head.into_bytes(),
            opening: opening.into_bytes(),
            front: Vec::new(),
            history: Vec::new(),
        }
    }

    /// Presents a client key in each request, if there is one.
    #[must_use]
    pub fn with_key(mut self, key: Option<&str>) -> Self {
        if let (Some(key), Some(line)) = (key, memchr::memmem::find(&self.head, b"\r\n")) {
            let at = line + 2;
            self.head.splice(at..at, format!("authorization: Bearer {key}\r\n").into_bytes());
        }
        self
    }

    /// Returns the next request, head and body.
    pub fn request(&mut self) -> impl Buf + '_ {
        let Self { kind, pool, random, ticks, head, opening, front, history } = self;
        let (body, end): (&[u8], &[u8]) = match kind {
            Kind::Ticking => (pool.piece(random, SHORT), ticks.1.as_bytes()),
            Kind::Short => (pool.piece(random, SHORT), br#""}]}"#),
            Kind::Fresh => (pool.piece(random, FRESH), br#""}]}"#),
            Kind::Conversation => {
                turn(history, opening, pool, random);
                (history, b"]}")
            }
        };
        front.clear();
        front.extend_from_slice(head);
        let user = br#"{"role":"user","content":""#.as_slice();
        let rest = if *kind == Kind::Conversation { 0 } else { opening.len() + user.len() };
        front.extend_from_slice((rest + body.len() + end.len()).to_string().as_bytes());
        front.extend_from_slice(b"\r\n\r\n");
        if rest > 0 {
            front.extend_from_slice(opening);
            front.extend_from_slice(user);
        }
        front.as_slice().chain(body).chain(end)
    }

    /// Returns the model and the next text for the fake of chat.qwen.ai, escaped for a JSON string.
    pub fn ticking(&mut self) -> (String, String) {
        let (model, end) = &self.ticks;
        let text = String::from_utf8_lossy(self.pool.piece(&mut self.random, SHORT));
        (model.clone(), format!("{text}{}", end.trim_end_matches(r#""}]}"#)))
    }
}

/// Returns the model of the fake that sets the pace of `shape`, and the end of a prompt that requests its chunks.
fn ticks(shape: Shape) -> (String, String) {
    let model = match shape.delay.as_millis() {
        0 => "qwen3-max".to_owned(),
        delay => format!("fake-slow-{delay}"),
    };
    (model, format!(r#"\n\nticks {}"}}]}}"#, shape.chunks))
}

/// Appends the next turn to a conversation, or begins a new one after the last turn.
fn turn(history: &mut Vec<u8>, opening: &[u8], pool: &Pool, random: &mut Random) {
    if history.is_empty() || history.len() > LONGEST {
        history.clear();
        history.extend_from_slice(opening);
        say(history, "system", &pool.0[..SYSTEM]);
        say(history, "user", pool.piece(random, OPENING));
    } else {
        say(history, "assistant", pool.piece(random, ANSWER));
        say(history, "user", pool.piece(random, RESULT));
    }
}

fn say(history: &mut Vec<u8>, role: &str, text: &[u8]) {
    if history.last() == Some(&b'}') {
        history.push(b',');
    }
    history.extend_from_slice(br#"{"role":""#);
    history.extend_from_slice(role.as_bytes());
    history.extend_from_slice(br#"","content":""#);
    history.extend_from_slice(text);
    history.extend_from_slice(br#""}"#);
}

// === impl Random ===

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Returns the bodies of the first `count` requests.
    fn bodies(kind: Kind, count: usize) -> Vec<Vec<u8>> {
        let mut prompts = Prompts::new(kind, &Pool::new(), (Api::Chat, 1), "mock-1x0", true, 7);
        let mut body = || {
            let mut request = prompts.request();
            let request = request.copy_to_bytes(request.remaining());
            let at = memchr::memmem::find(&request, b"\r\n\r\n").unwrap();
            let head = std::str::from_utf8(&request[..at]).unwrap();
            let body = &request[at + 4..];
            assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
            let json: Value = serde_json::from_slice(body).unwrap();
            assert_eq!((&json["model"], &json["stream"]), (&"mock-1x0".into(), &true.into()));
            body.to_vec()
        };
        (0..count).map(|_| body()).collect()
    }

    #[test]
    fn prompts_for_the_fake_define_the_shape_of_its_answer() {
        for (model, paced_by, command) in
            [("mock-7x0", "qwen3-max", "ticks 7"), ("mock-40x100", "fake-slow-100", "ticks 40")]
        {
            let mut prompts = Prompts::new(Kind::Ticking, &Pool::new(), (Api::Chat, 1), model, true, 7);
            let request = prompts.request().copy_to_bytes(SHORT);
            assert!(memchr::memmem::find(&request, format!(r#""model":"{paced_by}""#).as_bytes()).is_some());
            let (model, text) = prompts.ticking();
            let text: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            assert_eq!((model.as_str(), text.rsplit("\n\n").next()), (paced_by, Some(command)));
        }
    }

    #[test]
    fn each_api_has_its_path_and_its_fields() {
        for (api, path, input) in [
            (Api::Chat, "chat/completions", "messages"),
            (Api::Messages, "messages", "messages"),
            (Api::Responses, "responses", "input"),
        ] {
            let mut prompts = Prompts::new(Kind::Short, &Pool::new(), (api, 1), "mock-1x0", true, 7);
            let mut request = prompts.request();
            let request = request.copy_to_bytes(request.remaining());
            let at = memchr::memmem::find(&request, b"\r\n\r\n").unwrap();
            let head = std::str::from_utf8(&request[..at]).unwrap();
            assert!(head.starts_with(&format!("POST /v1/{path} HTTP/1.1\r\n")), "{head}");
            assert_eq!(head.contains("anthropic-version"), api == Api::Messages);
            let body: Value = serde_json::from_slice(&request[at + 4..]).unwrap();
            assert_eq!((&body["stream"], &body[input][0]["role"]), (&true.into(), &"user".into()));
            assert_eq!(body.get("max_tokens").is_some(), api == Api::Messages);
            assert_eq!(body.get("stream_options").is_some(), api == Api::Chat);
        }
    }

    #[test]
    fn a_key_is_a_header_of_its_own() {
        let head = |key: Option<&str>| {
            let prompts = Prompts::new(Kind::Short, &Pool::new(), (Api::Chat, 1), "mock-1x0", true, 7);
            let mut prompts = prompts.with_key(key);
            let mut request = prompts.request();
            let request = request.copy_to_bytes(request.remaining());
            let at = memchr::memmem::find(&request, b"\r\n\r\n").unwrap();
            String::from_utf8(request[..at].to_vec()).unwrap()
        };
        let (without, with) = (head(None), head(Some("sbx-1")));
        assert!(with.contains("\r\nauthorization: Bearer sbx-1\r\n"), "{with}");
        assert_eq!(with.replace("authorization: Bearer sbx-1\r\n", ""), without);
    }

    #[test]
    fn short_and_fresh_prompts_are_unique() {
        for (kind, len) in [(Kind::Short, SHORT), (Kind::Fresh, FRESH)] {
            let bodies = bodies(kind, 2);
            assert_ne!(bodies[0], bodies[1]);
            assert!((len..len + 200).contains(&bodies[0].len()));
        }
    }

    #[test]
    fn a_conversation_repeats_90_percent_of_its_text() {
        let bodies = bodies(Kind::Conversation, 100);
        let (mut all, mut fresh) = (bodies[0].len(), bodies[0].len());
        for pair in bodies.windows(2) {
            let same = pair[0].iter().zip(&pair[1]).take_while(|(a, b)| a == b).count();
            all += pair[1].len();
            fresh += pair[1].len() - same;
        }
        let (all, fresh) = (all / 100, fresh / 100);
        assert!((95_000..105_000).contains(&all), "{all} bytes each");
        assert!((all / 12..all / 8).contains(&fresh), "{fresh} fresh bytes of {all}");
    }
}
