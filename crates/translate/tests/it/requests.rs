//! Properties of requests: what a writer writes is what its reader reads, and no text is lost or added on the way.

use proptest::prelude::*;
use signalbox_translate::hub::{
    Block, CallKind, Effort, FunctionTool, Image, Json, Message, Request, Role, Source, Tool, ToolCall, ToolChoice,
    ToolResult,
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
    let rest = (prop::option::of(1_u64..9999), prop::option::of(0_u32..10), any::<bool>(), prop::option::of(words()));
    (conversation(), prop::collection::vec(tool, 0..3), choice, rest).prop_map(
        move |(messages, tools, choice, (max_tokens, temperature, stream, user))| {
            let mut request = Request::new(api, "model");
            request.messages = messages;
            request.tool_choice = Some(choice).filter(|_| !tools.is_empty());
            request.tools = tools;
            request.max_tokens = max_tokens.or(Some(7));
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
}
