//! Properties of requests: what a writer writes is what its reader reads, and no text is lost or added on the way.

use proptest::prelude::*;
use signalbox_translate::hub::{
    Block, Cache, CallKind, Effort, FunctionTool, Image, Json, Media, Message, Reasoning, Request, Role, Source, Text,
    Thinking, Tool, ToolCall, ToolChoice, ToolResult,
};
use signalbox_translate::{Api, Target, read_request, write_request};

const APIS: [Api; 3] = [Api::Chat, Api::Messages, Api::Responses];

fn words() -> impl Strategy<Value = String> {
    "[a-z \"\\\\\n\u{1F600}\u{E9}]{1,8}"
}

fn message(role: Role, blocks: Vec<Block>) -> Message {
    Message { role, blocks, name: None, at: String::new() }
}

fn image() -> impl Strategy<Value = Block> {
    prop_oneof![
        Just(Source::Url("https://example.com/a.png".into())),
        Just(Source::Base64 { media_type: "image/png".into(), data: "AAAA".into() })
    ]
    .prop_map(|source| Block::Image(Image { source, detail: None, cache: None }))
}

fn user() -> impl Strategy<Value = Vec<Message>> {
    prop::collection::vec(prop_oneof![3 => words().prop_map(Block::text), 1 => image()], 1..3)
        .prop_map(|blocks| vec![message(Role::User, blocks)])
}

/// An answer with calls, and their results. Their ids differ within the answer only.
fn round() -> impl Strategy<Value = Vec<Message>> {
    let call = ("[a-z]{1,4}", words(), words());
    (prop::option::of(words()), prop::collection::vec(call, 1..4)).prop_map(|(text, calls)| {
        let mut answer: Vec<Block> = text.map(Block::text).into_iter().collect();
        let mut results = Vec::new();
        for (index, (name, argument, result)) in calls.into_iter().enumerate() {
            let id = format!("call_{index}");
            answer.push(Block::ToolCall(ToolCall {
                id: id.clone(),
                name,
                namespace: None,
                kind: CallKind::Function,
                input: serde_json::json!({"a": argument, "b": 1.5}).to_string(),
                cache: None,
                extra: None,
            }));
            results.push(Block::ToolResult(ToolResult {
                call_id: id,
                kind: CallKind::Function,
                content: vec![Block::text(result)],
                is_error: false,
                cache: None,
            }));
        }
        vec![message(Role::Assistant, answer), message(Role::User, results)]
    })
}

fn plain() -> impl Strategy<Value = Vec<Message>> {
    words().prop_map(|text| vec![message(Role::Assistant, vec![Block::text(text)])])
}

fn conversation() -> impl Strategy<Value = Vec<Message>> {
    let turn = (prop_oneof![round(), plain()], user()).prop_map(|(mut answer, user)| {
        answer.extend(user);
        answer
    });
    (prop::option::of(words()), user(), prop::collection::vec(turn, 0..4)).prop_map(|(system, first, turns)| {
        let mut messages: Vec<Message> =
            system.map(|text| message(Role::System, vec![Block::text(text)])).into_iter().collect();
        messages.extend(first);
        for (turn, mut more) in turns.into_iter().enumerate() {
            for block in more.iter_mut().flat_map(|message| &mut message.blocks) {
                match block {
                    Block::ToolCall(ToolCall { id, .. }) | Block::ToolResult(ToolResult { call_id: id, .. }) => {
                        *id = format!("{id}_{turn}");
                    }
                    _ => {}
                }
            }
            messages.extend(more);
        }
        messages
    })
}

fn request(api: Api) -> impl Strategy<Value = Request> {
    let tool = ("[a-z]{1,6}", prop::option::of(words()), any::<bool>()).prop_map(|(name, description, strict)| {
        Tool::Function(FunctionTool {
            name,
            description,
            parameters: Json::parse(r#"{"type":"object","properties":{"z":{},"a":{}}}"#),
            strict: Some(strict),
            ..FunctionTool::default()
        })
    });
    let choice = prop_oneof![Just(ToolChoice::Auto), Just(ToolChoice::None), Just(ToolChoice::Required)];
    let rest = (prop::option::of(16_u64..9999), prop::option::of(0_u32..10), any::<bool>(), prop::option::of(words()));
    (conversation(), prop::collection::vec(tool, 0..3), choice, rest).prop_map(
        move |(messages, tools, choice, (max_tokens, temperature, stream, user))| {
            let mut request = Request::new(api, "model");
            request.messages = messages;
            request.tool_choice = Some(choice).filter(|_| !tools.is_empty());
            request.tools = tools;
            request.max_tokens = max_tokens.or(Some(70));
            request.temperature = temperature.and_then(|tenths| Json::parse(&format!("0.{tenths}")));
            request.reasoning.effort = Some(Effort::High);
            request.stream = stream;
            request.user = user;
            request.user_field =
                if api == Api::Messages && request.user.is_some() { "metadata.user_id" } else { "user" };
            request.include_usage = api != Api::Chat || stream;
            request.store = (api == Api::Responses).then_some(true);
            request
        },
    )
}

/// A block of the user, of any kind.
fn any_of_user() -> impl Strategy<Value = Block> {
    let cache = || prop::option::of(Just(Cache { ttl: None }));
    let source = prop_oneof![
        Just(Source::Url("https://example.com/a".into())),
        Just(Source::Base64 { media_type: "application/pdf".into(), data: "AAAA".into() }),
        words().prop_map(Source::Text),
    ];
    prop_oneof![
        3 => (words(), cache()).prop_map(|(text, cache)| Block::Text(Text { text, cache, ..Text::default() })),
        2 => image(),
        1 => (source, prop::option::of(words()), cache()).prop_map(|(source, title, cache)| {
            Block::Document(Media { source, title, context: None, citations: None, cache })
        }),
        1 => Just(Block::Audio { data: "AAAA".into(), format: "wav".into() }),
    ]
}

/// A block of the model, of any kind.
fn any_of_model() -> impl Strategy<Value = Block> {
    let call = ("[a-z]{1,4}", words(), any::<bool>()).prop_map(|(name, text, is_custom)| {
        let (kind, input) = match is_custom {
            true => (CallKind::Custom, text),
            false => (CallKind::Function, serde_json::json!({"a": text}).to_string()),
        };
        Block::ToolCall(ToolCall { id: String::new(), name, namespace: None, kind, input, cache: None, extra: None })
    });
    prop_oneof![
        3 => (words(), prop::option::of("commentary"), any::<bool>()).prop_map(|(text, phase, is_cited)| {
            let citations = is_cited.then(|| Json::parse(r#"[{"type":"x"}]"#).unwrap());
            Block::Text(Text { text, citations, phase, cache: None })
        }),
        1 => words().prop_map(Block::Refusal),
        2 => ("[a-z]{0,4}", prop::option::of("[a-z]{4}")).prop_map(|(text, signature)| Block::Thinking(Thinking { text, signature })),
        1 => "[a-z]{4}".prop_map(|data| Block::RedactedThinking { data }),
        1 => (prop::option::of("rs_[0-9]"), prop::option::of("[a-z]{4}")).prop_map(|(id, encrypted)| {
            Block::Reasoning(Reasoning { id, summary: vec!["s".into()], text: String::new(), encrypted })
        }),
        4 => call,
    ]
}

/// A conversation with blocks of all kinds. Ids of calls repeat, and every call has its result.
pub(crate) fn all_kinds(api: Api) -> impl Strategy<Value = Request> {
    let turn = (prop::collection::vec(any_of_model(), 1..5), prop::collection::vec(any_of_user(), 1..4), any::<bool>());
    (prop::collection::vec(any_of_user(), 1..3), prop::collection::vec(turn, 0..4)).prop_map(move |(first, turns)| {
        let mut request = Request::new(api, "model");
        request.max_tokens = Some(70);
        request.messages.push(message(Role::User, first));
        for (mut answer, user, is_error) in turns {
            let mut results = Vec::new();
            for (at, block) in answer.iter_mut().enumerate() {
                let Block::ToolCall(call) = block else { continue };
                call.id = format!("call:{at}");
                let content = user.iter().filter(|block| !matches!(block, Block::Audio { .. })).cloned().collect();
                let (call_id, kind) = (call.id.clone(), call.kind);
                results.push(Block::ToolResult(ToolResult { call_id, kind, content, is_error, cache: None }));
            }
            results.extend(user);
            request.messages.push(message(Role::Assistant, answer));
            request.messages.push(message(Role::User, results));
        }
        request
    })
}

/// Returns the characters of all texts of a request that every API has a place for, sorted, as some APIs join texts.
fn texts(request: &Request) -> String {
    fn add(block: &Block, list: &mut Vec<String>) {
        match block {
            Block::Text(text) => list.push(text.text.clone()),
            Block::Refusal(text) => list.push(text.clone()),
            Block::Document(Media { source: Source::Text(text), .. }) => list.push(text.clone()),
            Block::ToolResult(result) => result.content.iter().for_each(|block| add(block, list)),
            _ => {}
        }
    }
    let mut list = Vec::new();
    request.messages.iter().flat_map(|message| &message.blocks).for_each(|block| add(block, &mut list));
    let mut texts: Vec<char> = list.concat().chars().collect();
    texts.sort_unstable();
    texts.into_iter().collect()
}

fn calls(request: &Request) -> Vec<(String, String)> {
    let blocks = request.messages.iter().flat_map(|message| &message.blocks);
    let calls = blocks.filter_map(|block| match block {
        Block::ToolCall(call) => {
            // A custom call may have become a function with one string.
            let input: Option<serde_json::Value> = serde_json::from_str(&call.input).ok();
            let inner = input.as_ref().and_then(|input| input.get("input")?.as_str().map(str::to_owned));
            Some((call.name.clone(), inner.unwrap_or_else(|| call.input.clone())))
        }
        _ => None,
    });
    calls.collect()
}

/// Removes the places in the client's body, which are new after each way.
fn without_places(mut request: Request) -> Request {
    request.messages.iter_mut().for_each(|message| message.at.clear());
    request
}

/// Lists all that is said: texts, calls and results, in order. Media are left out.
fn said(request: &Request) -> Vec<String> {
    fn add(block: &Block, list: &mut Vec<String>) {
        match block {
            Block::Text(text) => list.push(text.text.clone()),
            Block::ToolCall(call) => list.push(format!("{} {} {}", call.id, call.name, call.input)),
            Block::ToolResult(result) => {
                list.push(result.call_id.clone());
                result.content.iter().for_each(|block| add(block, list));
            }
            Block::Image(image) => list.push(format!("{:?}", image.source)),
            _ => {}
        }
    }
    let mut list = Vec::new();
    request.messages.iter().flat_map(|message| &message.blocks).for_each(|block| add(block, &mut list));
    list
}

proptest! {
    #[test]
    fn chat_requests_are_read_as_written(request in request(Api::Chat)) {
        let written = write_request(Api::Chat, &request, &Target::default()).unwrap();
        prop_assert!(written.losses.is_empty(), "{:?}", written.losses);
        prop_assert_eq!(without_places(read_request(Api::Chat, &written.body).unwrap()), request);
    }

    #[test]
    fn messages_requests_are_read_as_written(request in request(Api::Messages)) {
        let written = write_request(Api::Messages, &request, &Target::default()).unwrap();
        prop_assert!(written.losses.is_empty(), "{:?}", written.losses);
        prop_assert_eq!(without_places(read_request(Api::Messages, &written.body).unwrap()), request);
    }

    #[test]
    fn responses_requests_are_read_as_written(request in request(Api::Responses)) {
        let written = write_request(Api::Responses, &request, &Target::default()).unwrap();
        prop_assert!(written.losses.is_empty(), "{:?}", written.losses);
        prop_assert_eq!(without_places(read_request(Api::Responses, &written.body).unwrap()), request);
    }

    #[test]
    fn no_text_is_lost_or_added(request in request(Api::Chat)) {
        for from in APIS {
            let first = write_request(from, &request, &Target::default()).unwrap();
            let read = read_request(from, &first.body).unwrap();
            for to in APIS {
                let second = write_request(to, &read, &Target::default()).unwrap();
                let result = read_request(to, &second.body).unwrap();
                prop_assert_eq!(said(&result), said(&request), "{:?} {:?}", from, to);
                prop_assert_eq!(result.tools.len(), request.tools.len());
                prop_assert_eq!(&result.max_tokens, &request.max_tokens);
            }
        }
    }

    #[test]
    fn conversations_of_all_kinds_lose_no_text_and_no_call(request in all_kinds(Api::Chat)) {
        let target = Target { same_files: true, ..Target::default() };
        for to in APIS {
            let written = match write_request(to, &request, &target) {
                Ok(written) => written,
                // Audio and addresses of files have no form in some APIs.
                Err(error) => {
                    prop_assert_eq!(error.problem, signalbox_translate::Problem::NotTranslatable, "{}", error);
                    continue;
                }
            };
            let read = read_request(to, &written.body);
            let read = read.map_err(|error| TestCaseError::fail(format!("{to:?}: {error}")))?;
            prop_assert_eq!(texts(&read), texts(&request), "{:?}", to);
            prop_assert_eq!(calls(&read), calls(&request), "{:?}", to);
            let ids: Vec<&str> = read.messages.iter().flat_map(|message| &message.blocks).filter_map(|block| match block {
                Block::ToolCall(call) => Some(call.id.as_str()),
                _ => None,
            }).collect();
            let distinct: std::collections::HashSet<&&str> = ids.iter().collect();
            prop_assert_eq!(distinct.len(), ids.len(), "{:?} {:?}", to, ids);
            // A second time, nothing changes any more.
            let again = write_request(to, &read, &target).unwrap();
            let again = read_request(to, &again.body).unwrap();
            prop_assert_eq!(without_places(again), without_places(read));
        }
    }
}
