//! Tests of the requests to providers.

use serde_json::json;
use signalbox_core::provider_type::provider_type;

use super::*;

const PLAIN: ApiNeeds = ApiNeeds { tools: false, no_effort: false };

fn remote(kind: &str, config: Value) -> Result<Remote, String> {
    let Value::Object(config) = config else { panic!("an object") };
    Remote::new(provider_type(kind), &config, &AddressPolicy::default())
}

#[test]
fn builds_the_provider_request() {
    let provider =
        remote("openai", json!({"baseURL": "http://127.0.0.1:9/v1/", "apiKey": "sk-1", "headers": {"X-Team": "a"}}))
            .unwrap();
    let mut caller = HeaderMap::new();
    caller.insert("openai-beta", HeaderValue::from_static("x=1"));
    caller.insert(AUTHORIZATION, HeaderValue::from_static("Bearer of-the-client"));
    caller.insert("cookie", HeaderValue::from_static("c=1"));
    let request = provider.inference(Api::Chat, Api::Chat, Bytes::from_static(b"{}"), true, &caller, "id-1");
    assert_eq!(request.uri(), "/v1/chat/completions");
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("authorization"), Some("Bearer sk-1"));
    assert_eq!((header("x-team"), header("openai-beta"), header("cookie")), (Some("a"), Some("x=1"), None));
    assert_eq!((header("accept"), header("x-request-id")), (Some("text/event-stream"), Some("id-1")));
    assert!(!format!("{provider:?}").contains("sk-1"));
}

#[test]
fn messages_may_have_a_path_of_their_own() {
    let uri = |remote: &Remote, api| {
        remote.inference(api, api, Bytes::new(), false, &HeaderMap::new(), "1").uri().to_string()
    };
    for kind in ["deepseek", "minimax"] {
        let own = remote(kind, json!({"apiKey": "sk-1"})).unwrap();
        assert_eq!(uri(&own, Api::Messages), "/anthropic/v1/messages");
        assert_eq!(uri(&own, Api::Chat), "/v1/chat/completions");
        let counted = own.count_tokens(Api::Messages, Bytes::new(), &HeaderMap::new(), "1");
        assert_eq!(counted.uri(), "/anthropic/v1/messages/count_tokens");
        assert_eq!(counted.headers()["x-api-key"], "sk-1");
        let of_responses = if kind == "deepseek" { Api::Responses } else { Api::Chat };
        assert_eq!(
            (own.api_for(Api::Messages, None, PLAIN), own.api_for(Api::Responses, None, PLAIN)),
            (Api::Messages, of_responses)
        );
        // It is not known which APIs another server has.
        let other = remote(kind, json!({"baseURL": "http://127.0.0.1:9/v1"})).unwrap();
        assert_eq!(other.api_for(Api::Messages, None, PLAIN), Api::Chat);
        let listed = remote(kind, json!({"baseURL": "http://127.0.0.1:9/v1", "apis": "chat, messages"})).unwrap();
        assert_eq!(uri(&listed, Api::Messages), "/v1/messages");
    }
}

#[test]
fn client_identity_headers_are_forwarded_and_credentials_are_not() {
    let provider = remote("openai", json!({"baseURL": "http://127.0.0.1:9", "headers": {"X-Title": "own"}})).unwrap();
    let forwarded = [
        "user-agent",
        "http-referer",
        "idempotency-key",
        "x-stainless-retry-count",
        "x-client-request-id",
        "anthropic-beta",
        "anthropic-version",
        "x-claude-code-session-id",
    ];
    let kept = [
        "x-api-key",
        "cookie",
        "x-goog-api-key",
        "anthropic-api-key",
        "x-forwarded-for",
        "proxy-authorization",
        "accept-language",
        // Passed on by the trace of the request.
        "traceparent",
        "tracestate",
        "x-app",
    ];
    let mut caller = HeaderMap::new();
    for name in forwarded.iter().chain(&kept) {
        caller.insert(*name, HeaderValue::from_static("theirs"));
    }
    caller.insert("x-title", HeaderValue::from_static("theirs"));
    caller.insert(CONNECTION, HeaderValue::from_static("keep-alive, X-App"));
    let request = provider.inference(Api::Chat, Api::Chat, Bytes::new(), false, &caller, "id-1");
    for name in forwarded {
        assert_eq!(request.headers()[name], "theirs", "{name}");
    }
    for name in kept {
        assert!(!request.headers().contains_key(name), "{name}");
    }
    assert_eq!(request.headers()["x-title"], "own");
    let silent = provider.inference(Api::Chat, Api::Chat, Bytes::new(), false, &HeaderMap::new(), "id-1");
    assert_eq!(silent.headers()[USER_AGENT], DEFAULT_USER_AGENT);
    assert_eq!(provider.models().headers()[USER_AGENT], DEFAULT_USER_AGENT);
}

#[test]
fn every_value_of_a_repeated_header_is_forwarded() {
    let provider = remote("openai", json!({"baseURL": "http://127.0.0.1:9", "headers": {"X-Title": "own"}})).unwrap();
    let mut caller = HeaderMap::new();
    for (name, value) in [
        ("anthropic-beta", "a"),
        ("x-title", "theirs"),
        ("cookie", "c=1"),
        ("anthropic-beta", "b,c"),
        ("x-title", "too"),
        ("cookie", "d=2"),
        ("x-stainless-lang", "js"),
        ("anthropic-beta", "d"),
    ] {
        caller.append(name, HeaderValue::from_static(value));
    }
    let request = provider.inference(Api::Chat, Api::Chat, Bytes::new(), false, &caller, "id-1");
    let values = |name: &str| request.headers().get_all(name).iter().cloned().collect::<Vec<HeaderValue>>();
    assert_eq!(values("anthropic-beta"), ["a", "b,c", "d"]);
    assert_eq!(values("x-title"), ["own"], "the configured value takes precedence");
    assert_eq!((values("x-stainless-lang").len(), values("cookie").len()), (1, 0));
}

#[test]
fn keys_are_secret_and_flags_are_not() {
    let config = json!({"apiKey": "sk-123456789", "headers": {"X-Team": "a", "X-Key": "long enough", "X-Old": "Basic dXNlcjpwYXNz"}});
    let masker = remote("openai", config).unwrap().masker;
    for secret in ["sk-123456789", "long enough", "dXNlcjpwYXNz"] {
        assert!(masker.contains_secret(secret.as_bytes()), "{secret}");
    }
    assert!(!masker.contains_secret(b"Bearer or Basic a"));
    let config = json!({"headers": {"cookie": "sid=a1b2c3d4e5; theme=dark; t=f6g7h8i9="}});
    let masker = remote("openai", config).unwrap().masker;
    for secret in ["a1b2c3d4e5", "f6g7h8i9=", "sid=a1b2c3d4e5; theme=dark; t=f6g7h8i9="] {
        assert!(masker.contains_secret(secret.as_bytes()), "{secret}");
    }
    assert!(!masker.contains_secret(b"theme=dark"));
}

#[test]
fn copied_prefixes_and_blanks_are_removed_from_keys() {
    for (stored, sent) in [
        ("sk-1", Some("Bearer sk-1")),
        (" sk-1\r\n", Some("Bearer sk-1")),
        ("Bearer sk-1", Some("Bearer sk-1")),
        ("\tbearer  sk-1 ", Some("Bearer sk-1")),
        ("Bearer\u{a0}sk-1", Some("Bearer sk-1")),
        ("bearer-1", Some("Bearer bearer-1")),
        ("Bearersk", Some("Bearer Bearersk")),
        ("Bearer", None),
        (" ", None),
        ("", None),
    ] {
        let provider = remote("openai", json!({"apiKey": stored})).unwrap();
        for request in [
            provider.models(),
            provider.inference(Api::Chat, Api::Chat, Bytes::new(), false, &HeaderMap::new(), "id-1"),
        ] {
            let value = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap());
            assert_eq!(value, sent, "{stored:?}");
        }
    }
    let masker = remote("openai", json!({"apiKey": " Bearer sk-123456789 "})).unwrap().masker;
    assert!(masker.contains_secret(b"wrong key: sk-123456789"));
}

#[test]
fn messages_have_the_key_and_the_version_of_their_api() {
    let config = json!({"apiKey": "sk-1", "baseURL": "http://127.0.0.1:9/v1"});
    let mut caller = HeaderMap::new();
    caller.insert("anthropic-beta", HeaderValue::from_static("b"));
    caller.insert("openai-beta", HeaderValue::from_static("o"));
    for (kind, bearer) in [("anthropic", None), ("openrouter", Some("Bearer sk-1"))] {
        let provider = remote(kind, config.clone()).unwrap();
        for (client, beta) in [(Api::Messages, Some("b")), (Api::Chat, None)] {
            let request = provider.inference(Api::Messages, client, Bytes::new(), true, &caller, "id-1");
            let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(request.uri(), "/v1/messages");
            assert_eq!((header("x-api-key"), header("authorization")), (Some("sk-1"), bearer), "{kind}");
            assert_eq!((header("anthropic-version"), header("anthropic-beta")), (Some("2023-06-01"), beta));
        }
    }
    let provider = remote("anthropic", config).unwrap();
    caller.insert("anthropic-version", HeaderValue::from_static("2026-10-21"));
    let request = provider.inference(Api::Messages, Api::Messages, Bytes::new(), true, &caller, "id-1");
    assert_eq!(request.headers()["anthropic-version"], "2026-10-21");
    assert_eq!(provider.count_tokens(Api::Messages, Bytes::new(), &caller, "id-1").uri(), "/v1/messages/count_tokens");
    assert_eq!(provider.models().headers()["x-api-key"], "sk-1");
    let request = provider.inference(Api::Chat, Api::Chat, Bytes::new(), true, &caller, "id-1");
    assert_eq!(
        (request.uri().path(), &request.headers()["authorization"]),
        ("/v1/chat/completions", &HeaderValue::from_static("Bearer sk-1"))
    );
}

#[test]
fn a_request_is_sent_in_its_own_api_if_the_provider_speaks_it() {
    let apis = |kind: &str, listed: Value| remote(kind, json!({"baseURL": "http://127.0.0.1:9", "apis": listed}));
    let anthropic = apis("anthropic", Value::Null).unwrap();
    assert_eq!(Api::ALL.map(|api| anthropic.api_for(api, None, PLAIN)), [Api::Messages; 3]);
    let listed = apis("my-own", json!(" responses,chat , chat")).unwrap();
    assert_eq!(Api::ALL.map(|api| listed.api_for(api, None, PLAIN)), [Api::Chat, Api::Responses, Api::Responses]);
    let openai = remote("openai", json!({"apiKey": "k"})).unwrap();
    let tools = ApiNeeds { tools: true, no_effort: false };
    assert_eq!(openai.api_for(Api::Chat, Some("gpt-6-astra-2026"), tools), Api::Responses);
    assert_eq!(openai.api_for(Api::Chat, Some("gpt-6-astra-2026"), PLAIN), Api::Chat);
    let router = remote("openrouter", json!({"apiKey": "k"})).unwrap();
    assert_eq!(router.api_for(Api::Chat, Some("openai/gpt-6-sol"), tools), Api::Responses);
    // It has no other API.
    let chat = apis("openai", json!("chat")).unwrap();
    assert_eq!(chat.api_for(Api::Chat, Some("gpt-6-sol"), tools), Api::Chat);
    assert_eq!(openai.api_for(Api::Chat, Some("gpt-5"), PLAIN), Api::Chat);
    for wrong in [json!("chat, gemini"), json!(","), json!(["chat"])] {
        assert!(apis("my-own", wrong.clone()).unwrap_err().contains("`apis`"), "{wrong}");
    }
}

#[test]
fn a_qwen_proxy_base_url_has_no_version() {
    for base_url in ["http://127.0.0.1:3000/", "http://127.0.0.1:3000/v1", "http://127.0.0.1:3000/v1/"] {
        let provider = remote("qwen-proxy", json!({ "baseURL": base_url })).unwrap();
        assert_eq!(provider.models().uri().path(), "/v1/models", "{base_url}");
    }
    let provider = remote("qwen-proxy", json!({"baseURL": "http://127.0.0.1:3000"})).unwrap();
    assert_eq!(provider.models().uri(), "/v1/models");
}

#[test]
fn the_logged_header_is_sent_to_qwen_proxy_only() {
    for (kind, told) in [("qwen-proxy", true), ("openai", false)] {
        let provider = remote(kind, json!({"baseURL": "http://127.0.0.1:9", "apiKey": "k"})).unwrap();
        assert_eq!(provider.is_qwen_proxy, told, "{kind}");
    }
}

#[test]
fn invalid_values_are_named() {
    for (config, word) in [
        (json!({"baseURL": "ftp://x"}), "baseURL"),
        (json!({"baseURL": "http://169.254.169.254/v1"}), "baseURL"),
        (json!({"proxy": "socks5://user:canary@proxy"}), "`proxy` cannot be used"),
        (json!({"proxy": 1}), "proxy"),
        (json!({"clientCert": "/c.pem"}), "belong together"),
        (json!({"caFile": "/ca.pem", "baseURL": "http://127.0.0.1:9"}), "https://"),
        (json!({"apiKey": "a\nb"}), "apiKey"),
        (json!({"headers": {"a b": "c"}}), "headers"),
        (json!({"headers": ["a"]}), "headers"),
        (json!({"timeout": "soon"}), "timeout"),
        (json!({"timeout": 0}), "timeout"),
    ] {
        let error = remote("openai", config.clone()).unwrap_err();
        assert!(error.contains(word), "{config}: {error}");
    }
    assert!(remote("my-own", json!({})).unwrap_err().contains("baseURL"));
}
