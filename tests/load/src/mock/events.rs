//! The events of a stream, in the grammar of each API.

use signalbox_core::Api;

/// Seconds since 1970 at which every answer was created.
const CREATED: u32 = 1_700_000_000;

/// The events of one answer with one text.
#[derive(Debug)]
pub(super) struct Events {
    api: Api,
    model: String,
    /// A text event up to its text, and from there.
    text: (String, &'static str),
}

// === impl Events ===

impl Events {
    pub(super) fn new(api: Api, model: &str) -> Self {
        let text = match api {
            Api::Chat => {
                (format!(r#"{}{{"index":0,"delta":{{"content":""#, chunk(model)), "\"},\"finish_reason\":null}]}\n\n")
            }
            Api::Messages => {
                let data = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""#;
                (format!("event: content_block_delta\ndata: {data}"), "\"}}\n\n")
            }
            // The number of the event follows, because it is not the same in each of them.
            Api::Responses => {
                let data = format!(r#"{{"type":"response.output_text.delta",{PLACE},"logprobs":[],"delta":""#);
                (format!("event: response.output_text.delta\ndata: {data}"), "\",\"sequence_number\":")
            }
        };
        Self { api, model: model.to_owned(), text }
    }

    /// Returns whether the end of the stream repeats its text.
    pub(super) fn repeats_text(&self) -> bool {
        self.api == Api::Responses
    }

    /// Returns the events before the text, which providers send at once.
    pub(super) fn opening(&self) -> String {
        let model = &self.model;
        match self.api {
            Api::Chat => {
                let role = r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
                format!("{}{role}\n\n", chunk(model))
            }
            Api::Messages => {
                let usage = r#"{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}"#;
                let message = format!(
                    r#"{{"id":"msg_mock0000000000000000","type":"message","role":"assistant","model":"{model}","content":[],"stop_reason":null,"stop_sequence":null,"usage":{usage}}}"#
                );
                let block = r#""index":0,"content_block":{"type":"text","text":""}"#;
                [
                    named("message_start", &format!(r#""message":{message}"#)),
                    named("content_block_start", block),
                    "event: ping\ndata: {\"type\":\"ping\"}\n\n".to_owned(),
                ]
                .concat()
            }
            Api::Responses => {
                let response = response(model, "in_progress", "", "null");
                let response = |number| format!(r#""response":{response},"sequence_number":{number}"#);
                let item = item("in_progress", "");
                let item = format!(r#""output_index":0,"item":{item},"sequence_number":2"#);
                let part = format!(r#"{PLACE},"part":{},"sequence_number":3"#, part(""));
                [
                    named("response.created", &response(0)),
                    named("response.in_progress", &response(1)),
                    named("response.output_item.added", &item),
                    named("response.content_part.added", &part),
                ]
                .concat()
            }
        }
    }

    /// Returns the text event with this number, counted from 0.
    pub(super) fn text(&self, number: u32, text: &str) -> String {
        let (before, after) = &self.text;
        match self.api {
            Api::Chat | Api::Messages => format!("{before}{text}{after}"),
            Api::Responses => format!("{before}{text}{after}{}}}\n\n", number + 4),
        }
    }

    /// Returns the events after `words` text events, which have brought `said`. The last one is the terminal event.
    pub(super) fn closing(&self, words: u32, said: &str) -> [String; 3] {
        let (model, total) = (&self.model, words + 12);
        match self.api {
            Api::Chat => {
                let usage = format!(r#"{{"prompt_tokens":12,"completion_tokens":{words},"total_tokens":{total}}}"#);
                [
                    format!("{}{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n", chunk(model)),
                    format!("{}],\"usage\":{usage}}}\n\n", chunk(model)),
                    "data: [DONE]\n\n".to_owned(),
                ]
            }
            Api::Messages => [
                named("content_block_stop", r#""index":0"#),
                named(
                    "message_delta",
                    &format!(
                        r#""delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{{"output_tokens":{words}}}"#
                    ),
                ),
                "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned(),
            ],
            Api::Responses => {
                let number = words + 4;
                let done = format!(r#"{PLACE},"text":"{said}","logprobs":[],"sequence_number":{number}"#);
                let part_done = format!(r#"{PLACE},"part":{},"sequence_number":{}"#, part(said), number + 1);
                let item = item("completed", &part(said));
                let item_done = format!(r#""output_index":0,"item":{item},"sequence_number":{}"#, number + 2);
                let usage = format!(
                    r#"{{"input_tokens":12,"input_tokens_details":{{"cached_tokens":0}},"output_tokens":{words},"output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":{total}}}"#
                );
                let response = response(model, "completed", &item, &usage);
                let response = format!(r#""response":{response},"sequence_number":{}"#, number + 3);
                let parts =
                    [named("response.output_text.done", &done), named("response.content_part.done", &part_done)]
                        .concat();
                [parts, named("response.output_item.done", &item_done), named("response.completed", &response)]
            }
        }
    }
}

/// Position of the text in a response.
const PLACE: &str = r#""item_id":"msg_mock0000000000000000","output_index":0,"content_index":0"#;

/// Returns the beginning of a chunk of Chat Completions, up to its choices.
fn chunk(model: &str) -> String {
    format!(
        r#"data: {{"id":"chatcmpl-mock0000000000000000","object":"chat.completion.chunk","created":{CREATED},"model":"{model}","choices":["#
    )
}

/// Returns an event with its name and type, and these members.
fn named(name: &str, members: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\",{members}}}\n\n")
}

fn part(text: &str) -> String {
    format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}"#)
}

fn item(status: &str, content: &str) -> String {
    format!(
        r#"{{"id":"msg_mock0000000000000000","type":"message","status":"{status}","role":"assistant","content":[{content}]}}"#
    )
}

fn response(model: &str, status: &str, output: &str, usage: &str) -> String {
    format!(
        r#"{{"id":"resp_mock0000000000000000","object":"response","created_at":{CREATED},"status":"{status}","error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":"{model}","output":[{output}],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{{"effort":null,"summary":null}},"store":true,"temperature":1.0,"text":{{"format":{{"type":"text"}}}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":{usage},"metadata":{{}}}}"#
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Returns the names and the data of all events of an answer with two texts.
    fn events(api: Api) -> Vec<(String, Value)> {
        let events = Events::new(api, "m");
        let mut stream = events.opening();
        for (number, text) in [(0, "a "), (1, "b ")] {
            stream.push_str(&events.text(number, text));
        }
        stream.push_str(&events.closing(2, "a b ").concat());
        let event = |event: &str| {
            let name = event.lines().find_map(|line| line.strip_prefix("event: ")).unwrap_or_default();
            let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            (name.to_owned(), if data == "[DONE]" { Value::Null } else { serde_json::from_str(data).unwrap() })
        };
        stream.split_terminator("\n\n").map(event).collect()
    }

    #[test]
    fn a_stream_of_chat_ends_with_its_usage() {
        let events = events(Api::Chat);
        assert_eq!(events.len(), 6);
        assert_eq!(events[1].1["choices"][0]["delta"]["content"], "a ");
        assert_eq!(events[3].1["choices"][0]["finish_reason"], "stop");
        assert_eq!((&events[4].1["usage"]["total_tokens"], &events[5].1), (&14.into(), &Value::Null));
    }

    #[test]
    fn events_of_the_other_apis_have_their_type_as_their_name() {
        for (api, count) in [(Api::Messages, 8), (Api::Responses, 10)] {
            let events = events(api);
            assert_eq!(events.len(), count);
            for (name, data) in &events {
                assert_eq!(data["type"], name.as_str());
            }
        }
        let events = events(Api::Messages);
        assert_eq!((&events[3].1["delta"]["text"], &events[6].1["usage"]["output_tokens"]), (&"a ".into(), &2.into()));
    }

    #[test]
    fn a_stream_of_responses_is_numbered_and_ends_with_the_whole_answer() {
        let events = events(Api::Responses);
        for (number, (_, data)) in events.iter().enumerate() {
            assert_eq!(data["sequence_number"], number, "{data}");
        }
        assert_eq!((&events[4].1["delta"], &events[6].1["text"]), (&"a ".into(), &"a b ".into()));
        let response = &events[9].1["response"];
        assert_eq!(response["output"][0]["content"][0]["text"], "a b ");
        assert_eq!((&response["status"], &response["usage"]["total_tokens"]), (&"completed".into(), &14.into()));
    }
}
