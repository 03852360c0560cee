//! Tests streams as OpenAI-compatible providers are known to write them: the relay and the log read the same text, end
//! and token counts from each of them, regardless of how the bytes are cut.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use bytes::Bytes;
use serde_json::{Value, json};
use signalbox_core::openai::{EndScanner, Ending, Scan, fold_stream};

/// The stream format of one provider.
struct Dialect {
    name: &'static str,
    /// The data of the events; a line that begins with a colon is a comment.
    events: &'static [&'static str],
    /// The line ending.
    newline: &'static str,
    /// The expected text, finish reason and total tokens.
    says: (&'static str, Option<&'static str>, Option<i64>),
    /// Further expected values of the stored answer, by JSON pointer.
    keeps: &'static [(&'static str, &'static str)],
}

const PLAIN: Dialect =
    Dialect { name: "", events: &[], newline: "\n", says: ("Hello", Some("stop"), Some(3)), keeps: &[] };

const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
const HEL: &str = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}"#;
const LO: &str = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}"#;
const STOP: &str = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

const DIALECTS: [Dialect; 19] = [
    Dialect {
        name: "openai",
        events: &[
            r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}"#,
            HEL,
            LO,
            STOP,
            USAGE,
            "[DONE]",
        ],
        keeps: &[("/service_tier", "default")],
        ..PLAIN
    },
    Dialect {
        name: "azure",
        events: &[
            r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}"#,
            r#"{"choices":[{"content_filter_results":{"hate":{"filtered":false}},"delta":{"content":"Hel"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"c","model":"m"}"#,
            LO,
            STOP,
            USAGE,
            "[DONE]",
        ],
        keeps: &[("/id", "c"), ("/model", "m")],
        ..PLAIN
    },
    Dialect {
        name: "openrouter",
        events: &[
            ": OPENROUTER PROCESSING",
            r#"{"id":"g","provider":"P","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"th","reasoning_details":[{"type":"reasoning.text","text":"th","index":0}]},"finish_reason":null,"native_finish_reason":null}]}"#,
            HEL,
            LO,
            r#"{"id":"g","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop","native_finish_reason":"end_turn","logprobs":null}]}"#,
            r#"{"id":"g","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cost":0.1}}"#,
            "[DONE]",
        ],
        keeps: &[
            ("/provider", "P"),
            ("/choices/0/message/reasoning_content", "th"),
            ("/choices/0/native_finish_reason", "end_turn"),
        ],
        ..PLAIN
    },
    Dialect {
        name: "groq",
        events: &[
            HEL,
            LO,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"queue_time":0.1,"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}}"#,
            "[DONE]",
        ],
        keeps: &[("/x_groq/id", "r")],
        ..PLAIN
    },
    Dialect {
        name: "cerebras",
        events: &[
            HEL,
            LO,
            r#"{"choices":[{"delta":{},"finish_reason":"stop","index":0}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},"time_info":{"queue_time":0.1,"unit":"s"}}"#,
            "[DONE]",
        ],
        keeps: &[("/time_info/unit", "s")],
        ..PLAIN
    },
    Dialect {
        name: "together",
        events: &[
            r#"{"id":"c","choices":[{"index":0,"text":"Hel","logprobs":null,"seed":null,"delta":{"token_id":1,"role":"assistant","content":"Hel","reasoning":"r","reasoning_content":"r","tool_calls":null},"finish_reason":null}],"usage":null}"#,
            LO,
            r#"{"choices":[{"index":0,"text":"","delta":{"content":""},"finish_reason":"eos"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#,
            "[DONE]",
        ],
        says: ("Hello", Some("eos"), Some(3)),
        keeps: &[("/choices/0/message/reasoning_content", "r")],
        ..PLAIN
    },
    Dialect {
        name: "mistral",
        events: &[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"th"}]}]},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"Hello"}]},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"model_length"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_audio_seconds":{}}}"#,
            "[DONE]",
        ],
        says: ("Hello", Some("model_length"), Some(3)),
        keeps: &[("/choices/0/message/reasoning_content", "th")],
        ..PLAIN
    },
    Dialect {
        name: "deepseek",
        events: &[
            ": keep-alive",
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"th"},"logprobs":null,"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"Hello","reasoning_content":null},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_cache_hit_tokens":0}}"#,
            "[DONE]",
        ],
        keeps: &[("/choices/0/message/reasoning_content", "th")],
        ..PLAIN
    },
    Dialect {
        name: "perplexity",
        events: &[
            r#"{"id":"c","usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2},"citations":["u"],"choices":[{"index":0,"message":{"role":"assistant","content":"Hel"},"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}"#,
            r#"{"id":"c","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},"citations":["u"],"choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"delta":{"content":"lo"},"finish_reason":"stop"}]}"#,
        ],
        newline: "\r\n",
        keeps: &[("/citations/0", "u")],
        ..PLAIN
    },
    Dialect {
        name: "dashscope",
        events: &[
            r#"{"choices":[{"delta":{"content":"","role":"assistant"},"index":0,"logprobs":null,"finish_reason":null}],"object":"chat.completion.chunk","usage":null,"created":1,"system_fingerprint":null,"model":"m","id":"c"}"#,
            HEL,
            LO,
            r#"{"choices":[{"finish_reason":"stop","delta":{"content":""},"index":0,"logprobs":null}],"usage":null}"#,
            USAGE,
            "[DONE]",
        ],
        ..PLAIN
    },
    Dialect {
        name: "moonshot",
        events: &[
            HEL,
            LO,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cached_tokens":1}}],"system_fingerprint":"f"}"#,
            "[DONE]",
        ],
        ..PLAIN
    },
    Dialect {
        name: "zai",
        events: &[
            HEL,
            LO,
            r#"{"id":"c","created":"1","model":"m","choices":[{"index":0,"finish_reason":"sensitive","delta":{"role":"assistant","content":""}}],"usage":{"prompt_tokens":"1","completion_tokens":2.0,"total_tokens":null}}"#,
            "[DONE]",
        ],
        says: ("Hello", Some("sensitive"), Some(3)),
        ..PLAIN
    },
    Dialect {
        name: "minimax",
        events: &[
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"Hel","role":"assistant","name":"MM","audio_content":""}}],"created":1,"model":"m","object":"chat.completion.chunk","usage":null,"input_sensitive":false}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"lo"}}]}"#,
            r#"{"id":"c","choices":[{"finish_reason":"stop","index":0,"message":{"content":"Hello","role":"assistant"}}],"object":"chat.completion","usage":{"total_tokens":3},"base_resp":{"status_code":0,"status_msg":"success"}}"#,
        ],
        ..PLAIN
    },
    Dialect {
        name: "gemini",
        events: &[
            r#"{"choices":[{"delta":{"content":"Hel","role":"assistant","extra_content":{"google":{"thought":true}}},"index":0}],"created":1,"id":"c","model":"m","object":"chat.completion.chunk"}"#,
            r#"{"choices":[{"delta":{"content":"lo","extra_content":{"google":{"thought_signature":"s"}}},"finish_reason":"stop","index":0}],"usage":{"completion_tokens":2,"prompt_tokens":1,"total_tokens":3}}"#,
            "[DONE]",
        ],
        keeps: &[("/choices/0/message/extra_content/google/thought_signature", "s")],
        ..PLAIN
    },
    Dialect {
        name: "vllm",
        events: &[
            r#"{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":null},"logprobs":null,"finish_reason":null,"token_ids":null}],"prompt_token_ids":null,"usage":{"prompt_tokens":1,"total_tokens":1,"completion_tokens":0}}"#,
            HEL,
            LO,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop","stop_reason":"</s>"}]}"#,
            USAGE,
            "[DONE]",
        ],
        keeps: &[("/choices/0/stop_reason", "</s>")],
        ..PLAIN
    },
    Dialect {
        name: "sglang",
        events: &[
            HEL,
            LO,
            r#"{"id":"c","choices":[{"index":0,"delta":{"role":null,"content":null,"tool_calls":null},"finish_reason":"stop","matched_stop":7}],"usage":null}"#,
            USAGE,
            "[DONE]",
        ],
        ..PLAIN
    },
    Dialect {
        name: "llama-cpp",
        events: &[
            HEL,
            LO,
            STOP,
            r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},"timings":{"prompt_n":1,"kind":"t"}}"#,
            "[DONE]",
        ],
        keeps: &[("/timings/kind", "t")],
        ..PLAIN
    },
    Dialect {
        name: "ollama",
        events: &[
            r#"{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"a","index":0,"type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","index":0,"type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":null}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"tool_calls"}]}"#,
            USAGE,
            "[DONE]",
        ],
        says: ("Hello", Some("tool_calls"), Some(3)),
        keeps: &[("/choices/0/message/tool_calls/0/id", "a"), ("/choices/0/message/tool_calls/1/id", "b")],
        ..PLAIN
    },
    Dialect {
        name: "bare",
        events: &[
            r#"{"choices":[{"delta":{"content":"Hel"}}]}"#,
            r#"{"choices":[{"delta":{"content":"lo"},"finish_reason":""}]}"#,
        ],
        newline: "\r",
        says: ("Hello", None, None),
        ..PLAIN
    },
];

impl Dialect {
    fn stream(&self) -> Bytes {
        let field = |event: &&str| if event.starts_with(':') { (*event).to_owned() } else { format!("data: {event}") };
        let events = self.events.iter().map(field).map(|line| format!("{line}{0}{0}", self.newline));
        events.collect::<String>().into()
    }
}

/// Returns the end of the stream when it arrives in pieces of `size` bytes.
fn ending(stream: &[u8], size: usize) -> Ending {
    let (mut scanner, mut held) = (EndScanner::default(), Vec::new());
    for piece in stream.chunks(size) {
        let piece = [std::mem::take(&mut held).as_slice(), piece].concat();
        match scanner.scan(&piece) {
            Scan::Pass => {}
            Scan::Hold(at) => held = piece[at..].to_vec(),
            Scan::Done(_) => break,
            Scan::Failed(failed) => panic!("{failed:?}"),
        }
    }
    scanner.ending().clone()
}

#[test]
fn every_dialect_is_parsed() {
    for dialect in &DIALECTS {
        let Dialect { name, events, says: (text, reason, total), keeps, .. } = dialect;
        let answer = fold_stream(&dialect.stream());
        assert_eq!((answer.text.as_str(), answer.finish_reason.as_deref()), (*text, *reason), "{name}");
        assert_eq!(answer.usage.map(|usage| usage.total_tokens), *total, "{name}");
        assert_eq!(answer.done, events.last() == Some(&"[DONE]"), "{name}");
        let whole: Value = serde_json::from_str(&answer.json.unwrap()).unwrap();
        for (pointer, value) in *keeps {
            assert_eq!(whole.pointer(pointer), Some(&json!(value)), "{name} {pointer}: {whole}");
        }
        assert_eq!(whole.get("unread_events"), None, "{name}: {whole}");
        assert_eq!(answer.error, None, "{name}");
    }
}

#[test]
fn every_dialect_ends_the_same_at_any_chunk_boundaries() {
    for dialect in &DIALECTS {
        let Dialect { name, says: (_, reason, total), .. } = dialect;
        let stream = dialect.stream();
        for size in [1, 2, 3, 7, 64, 200, stream.len()] {
            let seen = ending(&stream, size);
            assert_eq!(seen.finish_reason.as_deref(), *reason, "{name} {size}");
            assert_eq!(seen.failure, None, "{name} {size}");
            assert_eq!(seen.usage.map(|usage| usage.total_tokens), *total, "{name} {size}");
        }
    }
}
