use serde_json::json;

use super::*;

fn check(key: &str, value: Value) -> Result<Value, String> {
    let address = |url: &str| if url.contains("0.0.0.0") { Err("this address is refused".to_owned()) } else { Ok(()) };
    check_value(key, value, &address)
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

#[test]
fn valid_values_are_stored_in_normal_form() {
    for (key, given, stored) in [
        ("baseURL", json!("https://api.example.com/v1"), json!("https://api.example.com/v1")),
        ("baseURL", json!("  http://[::1]:8080/v1/ \n"), json!("http://[::1]:8080/v1/")),
        ("baseURL", json!("HTTP://127.0.0.1:1"), json!("HTTP://127.0.0.1:1")),
        ("baseURL", json!("http://host/a@b:c"), json!("http://host/a@b:c")),
        ("baseURL", json!("unix:/run/model.sock"), json!("unix:/run/model.sock")),
        ("baseURL", json!("http://unix:/run/model.sock:/v1"), json!("http://unix:/run/model.sock:/v1")),
        ("baseURL", json!(""), json!("")),
        ("apiKey", json!(" sk-1\r\n"), json!("sk-1")),
        ("apiKey", json!("bearer-1"), json!("bearer-1")),
        ("apiKey", json!(12_345), json!("12345")),
        ("proxy", json!(" http://user:p%40w@proxy.lan:3128 "), json!("http://user:p%40w@proxy.lan:3128")),
        ("proxy", json!("proxy.lan:3128"), json!("proxy.lan:3128")),
        ("proxy", json!("OFF"), json!("off")),
        ("proxy", json!("none"), json!("none")),
        ("proxy", json!(""), json!("")),
        ("clientCert", json!(" /etc/ssl/client.pem "), json!("/etc/ssl/client.pem")),
        ("caFile", json!(""), json!("")),
        ("timeout", json!(5000), json!(5000)),
        ("timeout", json!(5000.0), json!(5000)),
        ("timeout", json!(" 5000 "), json!(5000)),
        ("delay", json!(86_400_000), json!(86_400_000)),
        ("logBodies", json!("redact"), json!("redact")),
        ("apis", json!(" chat,responses "), json!("chat,responses")),
        ("apis", json!(""), json!("")),
        ("streamUsage", json!("ask"), json!("ask")),
        ("streamUsage", json!("client"), json!("client")),
        ("limits", json!({"rpm": 60.0, "tpm": null, "concurrency": 2}), json!({"rpm": 60, "concurrency": 2})),
        ("limits", json!("{\"tpm\": 1000}"), json!({"tpm": 1000})),
        ("limits", json!(" "), json!({})),
        ("defaultModel", json!("qwen/qwen3-max:free"), json!("qwen/qwen3-max:free")),
        (
            "headers",
            json!({"X-Team": " blue ", "authorization": "Basic a b"}),
            json!({"X-Team": "blue", "authorization": "Basic a b"}),
        ),
        ("headers", json!("{\"a\": \"b\"}"), json!({"a": "b"})),
        ("headers", json!(""), json!({})),
        ("own", json!(["ä", {"b": null}]), json!(["ä", {"b": null}])),
    ] {
        assert_eq!(check(key, given.clone()), Ok(stored.clone()), "{key} {given}");
        assert_eq!(check(key, stored.clone()), Ok(stored), "{key}: judged again");
    }
}

#[test]
fn invalid_values_are_refused_with_a_hint() {
    for (key, value, told) in [
        ("baseURL", json!("api.example.com/v1"), "must begin with http:// or https://"),
        ("baseURL", json!("localhost:1234/v1"), "must begin with http:// or https://"),
        ("baseURL", json!("ftp://example.com"), "must begin with http:// or https://"),
        ("baseURL", json!("http:example.com"), "must begin with http:// or https://"),
        ("baseURL", json!("//example.com"), "must begin with http:// or https://"),
        ("baseURL", json!("https://example.com/v1?key=canary"), "without `?` or `#`"),
        ("baseURL", json!("https://example.com/v1?"), "without `?` or `#`"),
        ("baseURL", json!("https://example.com/v1#canary"), "without `?` or `#`"),
        ("baseURL", json!("https://me:canary@example.com"), "apiKey or headers"),
        ("baseURL", json!("https://@example.com"), "apiKey or headers"),
        ("proxy", json!("socks5://user:canary@proxy.lan:1080"), "must be http://host:port"),
        ("proxy", json!("https://user:canary@proxy.lan"), "must be http://host:port"),
        ("proxy", json!("http://user:canary@proxy.lan/path"), "must be http://host:port"),
        ("proxy", json!("http://user:canary@proxy.lan:0"), "must be http://host:port"),
        ("proxy", json!("http://user:canary@proxy lan"), "must be http://host:port"),
        ("proxy", json!("http://user\r\nx: canary@proxy.lan:1"), "must be http://host:port"),
        ("proxy", json!("http://user:canary@0.0.0.0:3128"), "this address is refused"),
        ("proxy", json!("${env:canary}"), "must not be a reference"),
        ("baseURL", json!("unix:model.sock"), "absolute path"),
        ("baseURL", json!("unix:/run/model.sock:/v1?key=canary"), "without `?` or `#`"),
        ("proxy", json!(3128), "must be text"),
        ("apis", json!("chat,foo"), "must list chat, messages and responses"),
        ("apis", json!("chat;messages"), "must list chat, messages and responses"),
        ("apis", json!(","), "must list chat, messages and responses"),
        ("apis", json!("Chat"), "must list chat, messages and responses"),
        ("apis", json!(["chat"]), "must"),
        ("streamUsage", json!("sometimes"), "must be ask or client"),
        ("streamUsage", json!(true), "must"),
        ("limits", json!({"rpm": 0}), "must be a whole number from 1 to"),
        ("limits", json!({"queue": {}}), "is an unknown field; use rpm, tpm, concurrency"),
        ("limits", json!(5), "must be an object with rpm, tpm and concurrency"),
        ("clientKey", json!("client.key"), "absolute path"),
        ("clientCert", json!("-----BEGIN CERTIFICATE-----\nx"), "absolute path"),
        ("baseURL", json!("http://host:0/v1"), "port from 1 to 65535"),
        ("baseURL", json!("http://host:99999"), "port from 1 to 65535"),
        ("baseURL", json!("http://host:abc"), "port from 1 to 65535"),
        ("baseURL", json!("http://host:-1"), "port from 1 to 65535"),
        ("baseURL", json!("http://host:/v1"), "port from 1 to 65535"),
        ("baseURL", json!("http://[::1]:"), "port from 1 to 65535"),
        ("baseURL", json!("http://"), "must name a host"),
        ("baseURL", json!("http:///v1"), "must name a host"),
        ("baseURL", json!("http://a b/v1"), "must not contain blanks"),
        ("baseURL", json!("http://host/v 1"), "must not contain blanks"),
        ("baseURL", json!("http://host\\v1"), "backslashes"),
        ("baseURL", json!("http://256.0.0.1"), "must name a host"),
        ("baseURL", json!("http://0.0.0.0:80"), "this address is refused"),
        ("baseURL", json!(format!("http://host/{}", "x".repeat(2048))), "at most 2048 bytes"),
        ("baseURL", json!("http://${env:HOST}/v1"), "must not be a reference"),
        ("baseURL", json!(7), "must be text"),
        ("baseURL", json!(null), "must not be null"),
        ("apiKey", json!("Bearer canary"), "remove the word Bearer"),
        ("apiKey", json!("bearer\tcanary"), "remove the word Bearer"),
        ("apiKey", json!("Bearer "), "remove the word Bearer"),
        ("apiKey", json!("\"canary\""), "remove the quotes"),
        ("apiKey", json!("***"), "asterisks stand for"),
        ("apiKey", json!("***MASKED***"), "asterisks stand for"),
        ("apiKey", json!("'canary'"), "remove the quotes"),
        ("apiKey", json!("sk canary"), "one word of ASCII"),
        ("apiKey", json!("sk\ncanary"), "one word of ASCII"),
        ("apiKey", json!("sk-\u{e4}"), "one word of ASCII"),
        ("apiKey", json!("${env:API_TOKEN}"), "must not be a reference"),
        ("apiKey", json!(["sk"]), "must be text"),
        ("timeout", json!("soon"), "whole number of milliseconds"),
        ("timeout", json!("5s"), "whole number of milliseconds"),
        ("timeout", json!(""), "whole number of milliseconds"),
        ("timeout", json!(0), "whole number of milliseconds"),
        ("timeout", json!(-5), "whole number of milliseconds"),
        ("timeout", json!(1.5), "whole number of milliseconds"),
        ("timeout", json!(86_400_001), "whole number of milliseconds"),
        ("timeout", json!(1e300), "whole number of milliseconds"),
        ("timeout", json!(true), "whole number of milliseconds"),
        ("timeout", json!([1]), "whole number of milliseconds"),
        ("delay", json!("slow"), "whole number of milliseconds"),
        ("logBodies", json!("some"), "full, redact or off"),
        ("defaultModel", json!("a\nb"), "line breaks"),
        ("headers", json!(["a"]), "must be an object"),
        ("headers", json!("a: b"), "must be an object"),
        ("headers", json!({"X Team": "canary"}), "config.headers.X Team must have a header name"),
        ("headers", json!({"X:": "canary"}), "must have a header name"),
        ("headers", json!({"": "canary"}), "must have a header name"),
        ("headers", json!({"X\r\nY": "canary"}), "config.headers.X\\u{d}\\u{a}Y must have a header name"),
        ("headers", json!({"X\u{e4}": "canary"}), "must have a header name"),
        ("headers", json!({"X-Team": "a\r\ncanary"}), "config.headers.X-Team must not contain line breaks"),
        ("headers", json!({"X-Team": 7}), "config.headers.X-Team must be text"),
        ("headers", json!({"X-Key": "${file:canary}"}), "must not be a reference"),
        ("headers", json!({"x-a": "1", "X-A": "2"}), "is given twice"),
        ("headers", json!({"Content-Length": "5"}), "must be left out"),
        ("headers", json!({"proxy-authorization": "canary"}), "must be left out"),
        ("own", json!({"a": ["b\0"]}), "line breaks"),
        ("own", json!({"a\n": 1}), "line breaks"),
        ("own", json!(null), "must not be null"),
    ] {
        let error = check(key, value.clone()).unwrap_err();
        assert!(error.starts_with(&format!("config.{key}")) && error.contains(told), "{key} {value}: {error}");
        assert!(!error.contains("canary"), "{key}: {error}");
    }
}

#[test]
fn all_invalid_headers_are_reported() {
    let error = check("headers", json!({"a b": "1", "ok": "2", "c": 3})).unwrap_err();
    assert_eq!(error.matches("config.headers.").count(), 2, "{error}");
}

#[test]
fn a_type_is_one_word() {
    for good in ["openai", "lm-studio", "my_own.v2", "OpenAI"] {
        assert_eq!(check_type(good), Ok(()), "{good}");
    }
    for bad in ["", " ", "lm studio", "a\nb", "ä", &"x".repeat(65)] {
        assert!(check_type(bad).unwrap_err().to_string().starts_with("type must be one word"), "{bad}");
    }
    let told = check_type("qwen-direct").unwrap_err().what;
    assert!(told.contains("dashscope") && told.contains("qwen-proxy"), "{told}");
}

#[test]
fn a_key_is_one_short_line() {
    assert_eq!(check_key("baseURL"), Ok(()));
    assert_eq!(check_key(&"ä".repeat(MAX_KEY)), Ok(()));
    assert_eq!(check_key("a\nb").unwrap_err().to_string(), format!("config.a\\u{{a}}b {NOT_A_LINE}"));
    for bad in ["", " ", &"x".repeat(MAX_KEY + 1)] {
        assert!(check_key(bad).unwrap_err().what.contains("1 to 128"), "{bad}");
    }
}

#[test]
fn text_values_are_converted_to_the_type_of_their_key() {
    for (key, kind, text, value) in [
        ("timeout", Some("number"), "5000", json!("5000")),
        ("headers", Some("object"), "{\"a\":\"b\"}", json!("{\"a\":\"b\"}")),
        ("own", None, "true", json!(true)),
        ("own", None, "null", json!("null")),
        ("own", None, "word", json!("word")),
        ("ownToken", None, "7", json!("7")),
    ] {
        assert_eq!(value_of_text(key, kind, text), value, "{key}={text}");
    }
}
