//! Streams that are translated to another API.

use signalbox_translate::{Action, Decoder, EmitOptions, Emitter, Loss, Losses};

use super::*;

const CHUNK: &str =
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hel\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn between(client: Api, provider: Api) -> Translated {
    Translated { client, provider, losses: Losses::default() }
}

fn client(api: Api, steps: impl IntoIterator<Item = Step>) -> Client {
    let script = Source::Scripted(Script(steps.into_iter().collect()));
    let emitter = Emitter::new(api, EmitOptions { id: "1".into(), ..EmitOptions::default() });
    let pair = (Decoder::new(Api::Chat, "1"), emitter);
    let stream = TranslatedStream::new(Vec::new(), script, pair, between(api, Api::Chat), None);
    Client::of(Source::Translated(Box::new(stream)), api, "1MiB", Bodies::Full, 1)
}

#[tokio::test]
async fn a_chat_stream_becomes_one_of_the_clients_api_wherever_it_is_cut() {
    for (api, last) in [(Api::Messages, "event: message_stop\n"), (Api::Responses, "event: response.completed\n")] {
        let stream = [CHUNK, ": alive\n\n", CHUNK, FINISH, DONE].concat();
        let (whole, seen) = client(api, [Step::Text(stream.clone())]).text();
        assert_eq!(seen, Seen::End);
        assert!(whole.contains(last) && !whole.contains("choices"), "{whole}");
        for cut in 1..stream.len() {
            let steps = [Step::Text(stream[..cut].to_owned()), Wait, Step::Text(stream[cut..].to_owned())];
            let mut client = client(api, steps);
            assert_eq!(client.text(), (whole.clone(), Seen::End), "{cut}");
            assert_eq!(client.statuses(), ["completed"]);
        }
    }
}

#[tokio::test]
async fn a_translated_stream_that_breaks_off_never_ends_cleanly() {
    let stream = [CHUNK, CHUNK].concat();
    for (api, error) in [(Api::Messages, "event: error\n"), (Api::Responses, "event: response.failed\n")] {
        for cut in 1..stream.len() {
            for end in [None, Some(Fail)] {
                let mut client = client(api, [Step::Text(stream[..cut].to_owned())].into_iter().chain(end));
                let (text, seen) = client.text();
                assert_eq!(seen, Seen::Broken, "{cut}: {text}");
                assert!(text.contains(error), "{cut}: {text}");
                assert!(!text.contains("message_stop") && !text.contains("response.completed"), "{text}");
                assert_eq!(client.statuses(), ["truncated"]);
            }
        }
    }
}

#[tokio::test]
async fn nothing_counts_after_the_finish_reason() {
    let stream = [CHUNK, FINISH].concat();
    for (api, last) in [(Api::Messages, "event: message_stop\n"), (Api::Responses, "event: response.completed\n")] {
        for rest in [vec![], vec![Fail], vec![B(b"data: {\"cho"), Fail], vec![B(b"\xFF\n\n\n"), Fail]] {
            let mut client = client(api, [Step::Text(stream.clone())].into_iter().chain(rest));
            let (text, seen) = client.text();
            assert!(text.contains(last), "{text}");
            assert_eq!((seen, client.statuses()), (Seen::End, vec!["completed".to_owned()]), "{text}");
        }
    }
}

#[tokio::test]
async fn the_end_event_ends_an_answer_without_a_finish_reason() {
    let stream = [CHUNK, DONE].concat();
    for (api, last) in
        [(Api::Messages, "\"stop_reason\":\"end_turn\""), (Api::Responses, "event: response.completed\n")]
    {
        let mut translated = client(api, [Step::Text(stream.clone())]);
        let (text, seen) = translated.text();
        assert!(text.contains(last), "{text}");
        assert_eq!((seen, translated.statuses()), (Seen::End, vec!["completed".to_owned()]), "{text}");
    }
}

#[tokio::test]
async fn an_error_of_the_provider_reaches_the_client_in_its_own_form() {
    let stream = format!("{CHUNK}data: {{\"error\":{{\"message\":\"busy\",\"code\":\"overloaded\"}}}}\n\n");
    for (api, error) in [(Api::Messages, "\"type\":\"overloaded_error\""), (Api::Responses, "\"status\":\"failed\"")] {
        let mut client = client(api, [Step::Text(stream.clone())]);
        let (text, seen) = client.text();
        assert!(text.contains(error) && text.contains("busy"), "{text}");
        assert_eq!((seen, client.statuses()), (Seen::End, vec!["failed".to_owned()]));
    }
}

#[tokio::test]
async fn a_provider_of_messages_serves_a_chat_client() {
    let stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n\
        event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let script = Source::Scripted(Script([Step::Text(stream.to_owned())].into_iter().collect()));
    let emitter = Emitter::new(Api::Chat, EmitOptions { id: "1".into(), ..EmitOptions::default() });
    let pair = (Decoder::new(Api::Messages, "1"), emitter);
    let stream = TranslatedStream::new(Vec::new(), script, pair, between(Api::Chat, Api::Messages), None);
    let mut client = Client::of(Source::Translated(Box::new(stream)), Api::Chat, "1MiB", Bodies::Full, 1);
    let (text, seen) = client.text();
    let folded = signalbox_core::openai::fold_stream(&text.into());
    assert_eq!((folded.text.as_str(), folded.finish_reason.as_deref(), folded.done), ("hello", Some("stop"), true));
    assert_eq!((seen, client.statuses()), (Seen::End, vec!["completed".to_owned()]));
}

#[test]
fn losses_of_a_streamed_answer_are_told_beside_those_of_the_request() {
    let chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[]}}],\"citations\":[\"u\"]}\n\n";
    let call = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},\"extra_content\":{\"x\":1}}]}}]}\n\n";
    let why = "it has no place".into();
    let lost = Loss { field: "seed".into(), action: Action::Dropped, from: None, to: None, why };
    for (stream, expected) in [
        ([CHUNK, FINISH, DONE].concat(), None),
        ([chunk, chunk, DONE].concat(), Some("messages-chat; seed=dropped, logprobs=dropped, citations=dropped")),
        ([call, DONE].concat(), Some("messages-chat; seed=dropped, tool_calls.extra_content=dropped")),
        // A stream that breaks off is reported as far as it came.
        (chunk.to_owned(), Some("messages-chat; seed=dropped, logprobs=dropped, citations=dropped")),
    ] {
        let script = Source::Scripted(Script([Step::Text(stream.clone())].into_iter().collect()));
        let emitter = Emitter::new(Api::Messages, EmitOptions { id: "1".into(), ..EmitOptions::default() });
        let mut losses = Losses::default();
        losses.add(lost.clone());
        let translated = Translated { losses, ..between(Api::Messages, Api::Chat) };
        let decoder = Decoder::new(Api::Chat, "1");
        let mut translated = TranslatedStream::new(Vec::new(), script, (decoder, emitter), translated, None);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(Some(Ok(_))) = translated.poll_data(&mut cx) {}
        assert_eq!(translated.translation().as_deref(), expected, "{stream}");
    }
}
