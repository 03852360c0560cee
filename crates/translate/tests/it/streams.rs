//! Properties of streams: every emitter keeps to the grammar of its API, and every decoder notices an incomplete
//! answer.

use proptest::prelude::*;
use signalbox_grammar::{self as grammar, Frame, Said, frames};
use signalbox_translate::hub::{
    Answer, Block, CallKind, Delta, ErrorClass, Event, Failure, Finish, FinishReason, Fold, Opening, Reasoning, Start,
    Text, Thinking, ToolCall, Usage,
};
use signalbox_translate::{
    Api, Decoder, EmitOptions, Emitter, Target, read_answer, read_request, write_answer, write_request,
};

pub(crate) const APIS: [Api; 3] = [Api::Chat, Api::Messages, Api::Responses];

fn words() -> impl Strategy<Value = String> {
    "[a-z \"\\\\\n\u{1F600}\u{E9}]{1,6}"
}

fn opening() -> impl Strategy<Value = Opening> {
    prop_oneof![
        Just(Opening::Text { phase: None }),
        Just(Opening::Refusal),
        Just(Opening::Thinking),
        words().prop_map(|data| Opening::Redacted { data }),
        Just(Opening::Reasoning { id: Some("rs_9".into()) }),
        ("[a-z]{3}", "[a-z]{3}", any::<bool>()).prop_map(|(id, name, is_custom)| Opening::Call {
            id,
            name,
            namespace: None,
            kind: if is_custom { CallKind::Custom } else { CallKind::Function },
        }),
        Just(Opening::Opaque {
            api: Api::Messages,
            kind: "server_tool_use".into(),
            json: signalbox_translate::hub::Json::parse("{}").unwrap(),
        }),
    ]
}

fn delta() -> impl Strategy<Value = Delta> {
    prop_oneof![
        words().prop_map(Delta::Text),
        words().prop_map(Delta::Thinking),
        (0_u32..3, words()).prop_map(|(part, text)| Delta::Summary { part, text }),
        words().prop_map(Delta::Signature),
        words().prop_map(Delta::Encrypted),
        words().prop_map(Delta::Input),
    ]
}

fn usage() -> impl Strategy<Value = Usage> {
    let count = || 0_u64..1000;
    let prompt = (count(), count(), count(), count(), 0_u64..50, 0_u64..50);
    (prompt, (count(), count(), 0_u64..50, 0_u64..50), 0_u64..3).prop_map(|(prompt, answer, web_searches)| Usage {
        input: prompt.0,
        cache_read: prompt.1,
        cache_write_short: prompt.2,
        cache_write_long: prompt.3,
        input_audio: prompt.4,
        input_image: prompt.5,
        output: answer.0,
        reasoning: answer.1,
        output_audio: answer.2,
        output_image: answer.3,
        web_searches,
        is_odd: false,
    })
}

/// Returns the counts that an API has a place for: tokens of other classes are part of the next larger one.
fn shown(api: Api, usage: Usage) -> Usage {
    let Usage { input_audio, input_image, output_audio, output_image, .. } = usage;
    match api {
        Api::Chat => Usage { cache_write_short: usage.cache_write(), cache_write_long: 0, web_searches: 0, ..usage },
        Api::Messages | Api::Responses => Usage {
            input: usage.input + input_audio + input_image,
            output: usage.output + output_audio + output_image,
            input_audio: 0,
            input_image: 0,
            output_audio: 0,
            output_image: 0,
            ..usage
        },
    }
}

/// Any event at any time, with few numbers of blocks, so that they collide.
fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => Just(Event::Start(Start::default())),
        8 => (0_u32..5, opening()).prop_map(|(block, opening)| Event::Open { block, opening }),
        16 => (0_u32..5, delta()).prop_map(|(block, delta)| Event::Delta { block, delta }),
        6 => (0_u32..5).prop_map(|block| Event::Close { block }),
        1 => usage().prop_map(Event::Usage),
        1 => Just(Event::Ping),
        1 => prop_oneof![
            Just(FinishReason::Stop), Just(FinishReason::Length), Just(FinishReason::Tool), Just(FinishReason::Refusal)
        ].prop_map(|reason| Event::Finish(Finish::new(reason))),
        1 => Just(Event::Failed(Failure::new(ErrorClass::Server, "Broken."))),
    ]
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        3 => words().prop_map(Block::text),
        1 => words().prop_map(Block::Refusal),
        2 => (words(), prop::option::of("[a-zA-Z]{1,8}"))
            .prop_map(|(text, signature)| Block::Thinking(Thinking { text, signature })),
        1 => words().prop_map(|data| Block::RedactedThinking { data }),
        1 => (prop::collection::vec(words(), 0..3), prop::option::of("[a-z]{4}")).prop_map(|(summary, encrypted)| {
            Block::Reasoning(Reasoning { id: Some("rs_1".into()), summary, text: String::new(), encrypted })
        }),
        3 => ("[a-z]{4}", "[a-z]{1,4}", words()).prop_map(|(id, name, value)| Block::ToolCall(ToolCall {
            id,
            name,
            namespace: None,
            kind: CallKind::Function,
            input: serde_json::json!({"a": value}).to_string(),
            cache: None,
            extra: None,
        })),
    ]
}

pub(crate) fn answer() -> impl Strategy<Value = Answer> {
    (prop::collection::vec(block(), 0..6), prop::option::of(usage())).prop_map(|(blocks, usage)| {
        let calls = blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
        let reason = if calls { FinishReason::Tool } else { FinishReason::Stop };
        Answer { id: None, model: Some("m".into()), blocks, usage, finish: Finish::new(reason), ..Answer::default() }
    })
}

fn options() -> EmitOptions {
    EmitOptions { id: "1".into(), created: 7, include_usage: true, summaries: true, ..EmitOptions::default() }
}

fn emit(api: Api, events: impl IntoIterator<Item = Event>) -> Vec<Frame> {
    let mut emitter = Emitter::new(api, options());
    let mut out = Vec::new();
    events.into_iter().for_each(|event| emitter.push(event, &mut out));
    frames(&out)
}

fn parse(api: Api, frames: &[Frame]) -> Said {
    match api {
        Api::Chat => grammar::chat(frames, true),
        Api::Messages => grammar::messages(frames),
        Api::Responses => grammar::responses(frames),
    }
}

fn decode(api: Api, frames: &[Frame]) -> Vec<Event> {
    let mut decoder = Decoder::new(api, "1");
    let mut events = Vec::new();
    for (name, data) in frames {
        let data = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
        decoder.push(name.as_deref(), data.as_bytes(), &mut events);
    }
    decoder.finish(&mut events);
    events
}

/// Joins the texts of an answer, as a stream says them.
fn said_by(blocks: &[Block]) -> (String, String, Vec<(String, String, String)>) {
    let (mut text, mut refusal, mut calls) = (String::new(), String::new(), Vec::new());
    for block in blocks {
        match block {
            Block::Text(Text { text: more, .. }) => text += more,
            Block::Refusal(more) => refusal += more,
            Block::ToolCall(call) => calls.push((call.id.clone(), call.name.clone(), call.input.clone())),
            _ => {}
        }
    }
    (text, refusal, calls)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_events_make_a_stream_of_the_grammar(events in prop::collection::vec(event(), 0..60)) {
        for api in APIS {
            let ends = events.iter().any(|event| matches!(event, Event::Finish(_) | Event::Failed(_)));
            let said = parse(api, &emit(api, events.iter().cloned()));
            prop_assert_eq!(said.end.is_some(), ends, "{:?}", api);
        }
    }

    #[test]
    fn a_stream_says_what_the_answer_says(answer in answer()) {
        let (text, refusal, calls) = said_by(&answer.blocks);
        for api in APIS {
            let said = parse(api, &emit(api, answer.clone().into_events()));
            // Messages has no refusals beside its text.
            let all = if api == Api::Messages { said.text.len() == text.len() + refusal.len() } else {
                said.text == text && said.refusal == refusal
            };
            prop_assert!(all, "{:?}: {:?}", api, said);
            prop_assert_eq!(&said.calls, &calls);
        }
    }

    #[test]
    fn a_whole_body_says_what_the_stream_says(answer in answer()) {
        for api in APIS {
            let (body, _) = write_answer(api, answer.clone(), options()).unwrap();
            let whole = read_answer(api, &body).unwrap();
            let mut fold = Fold::default();
            decode(api, &emit(api, answer.clone().into_events())).into_iter().for_each(|event| fold.push(event));
            let streamed = fold.finish().unwrap();
            prop_assert_eq!(said_by(&whole.blocks), said_by(&streamed.blocks), "{:?}", api);
            prop_assert_eq!(whole.finish.reason, streamed.finish.reason);
            prop_assert_eq!(whole.usage.map(|usage| (usage.prompt(), usage.completion())),
                streamed.usage.map(|usage| (usage.prompt(), usage.completion())));
            if let (Some(before), Some(after)) = (answer.usage, streamed.usage) {
                prop_assert_eq!((before.prompt(), before.completion()), (after.prompt(), after.completion()));
                prop_assert_eq!(shown(api, before), after, "{:?}", api);
            }
        }
    }

    #[test]
    fn an_answer_that_is_cut_anywhere_is_incomplete(answer in answer()) {
        for api in APIS {
            let frames = emit(api, answer.clone().into_events());
            let is_end = |data: &serde_json::Value| match api {
                Api::Chat => !data["choices"][0]["finish_reason"].is_null(),
                Api::Messages => data["type"] == "message_stop",
                Api::Responses => data["type"] == "response.completed" || data["type"] == "response.incomplete",
            };
            let end = frames.iter().position(|(_, data)| is_end(data)).unwrap();
            for cut in 0..=end {
                let events = decode(api, &frames[..cut]);
                let is_failed = |event: &Event| matches!(event, Event::Failed(failure) if failure.class == ErrorClass::Incomplete);
                prop_assert!(events.last().is_some_and(is_failed), "{:?} {}: {:?}", api, cut, events.last());
                prop_assert_eq!(events.iter().filter(|event| matches!(event, Event::Finish(_) | Event::Failed(_))).count(), 1);
                // The client of every API gets an error, and no clean end.
                for to in APIS {
                    prop_assert_eq!(parse(to, &emit(to, events.clone())).end, Some("error".to_owned()));
                }
            }
            let events = decode(api, &frames);
            prop_assert!(matches!(events.last(), Some(Event::Finish(_))));
        }
    }

    #[test]
    fn every_pair_of_apis_says_the_same(answer in answer()) {
        let (text, refusal, calls) = said_by(&answer.blocks);
        for from in APIS {
            let events = decode(from, &emit(from, answer.clone().into_events()));
            for to in APIS {
                let said = parse(to, &emit(to, events.clone()));
                prop_assert_eq!(said.text.len() + said.refusal.len(), text.len() + refusal.len(), "{:?} {:?}", from, to);
                prop_assert_eq!(&said.calls, &calls, "{:?} {:?}", from, to);
            }
        }
    }

    #[test]
    fn custom_tools_keep_their_text(texts in prop::collection::vec((words(), any::<bool>()), 1..4)) {
        let tools = serde_json::json!([{"type": "custom", "name": "p"}, {"type": "function", "name": "f"}]);
        let request = serde_json::json!({"model": "m", "input": "hi", "tools": tools}).to_string();
        let request = read_request(Api::Responses, request.as_bytes()).unwrap();
        let call = |(at, (text, is_custom)): (usize, &(String, bool))| ToolCall {
            id: format!("c{at}"),
            name: if *is_custom { "p" } else { "f" }.into(),
            namespace: None,
            kind: if *is_custom { CallKind::Custom } else { CallKind::Function },
            input: if *is_custom { text.clone() } else { serde_json::json!({"a": text}).to_string() },
            cache: None,
            extra: None,
        };
        let calls: Vec<ToolCall> = texts.iter().enumerate().map(call).collect();
        let answer = Answer {
            blocks: calls.iter().cloned().map(Block::ToolCall).collect(),
            finish: Finish::new(FinishReason::Tool),
            ..Answer::default()
        };
        for from in APIS {
            // Messages has no custom tools, and writes their calls as functions.
            let target = Target { custom_tools: from != Api::Chat, ..Target::default() };
            let tools = write_request(from, &request, &target).unwrap().tools;
            let stream = emit(from, answer.clone().into_events());
            let options = EmitOptions { tools, ..options() };
            let (mut emitter, mut out) = (Emitter::new(Api::Responses, options), Vec::new());
            decode(from, &stream).into_iter().for_each(|event| emitter.push(event, &mut out));
            let expected: Vec<_> =
                calls.iter().map(|call| (call.id.clone(), call.name.clone(), call.input.clone())).collect();
            let frames = frames(&out);
            prop_assert_eq!(&parse(Api::Responses, &frames).calls, &expected, "{:?}", from);
            let kinds = frames.iter().filter(|(name, _)| name.as_deref() == Some("response.output_item.added"));
            let kinds: Vec<bool> = kinds.map(|(_, data)| data["item"]["type"] == "custom_tool_call").collect();
            prop_assert_eq!(kinds, texts.iter().map(|(_, is_custom)| *is_custom).collect::<Vec<_>>());
        }
    }

    #[test]
    fn repeated_events_are_ignored(answer in answer(), at in any::<prop::sample::Index>()) {
        // Only Responses numbers its events.
        let mut frames = emit(Api::Responses, answer.into_events());
        let whole = decode(Api::Responses, &frames);
        let repeated = frames[at.index(frames.len())].clone();
        frames.insert(at.index(frames.len()), repeated);
        prop_assert_eq!(decode(Api::Responses, &frames), whole);
    }
}
