//! Tests of the known settings.

use serde_json::json;

use super::*;

#[test]
fn each_mistake_has_its_message() {
    for (key, value, message) in [
        ("server.port", json!("x"), "Port must be an integer"),
        ("server.port", json!(3001.5), "Port must be an integer"),
        ("server.port", json!(0), "Port must be between 1 and 65535"),
        ("server.port", json!(65536), "Port must be between 1 and 65535"),
        ("server.host", json!(" "), "Host must be a non-empty string"),
        ("server.host", json!(1), "Host must be a non-empty string"),
        ("server.host", json!("a b"), "Invalid host format"),
        ("server.host", json!("1.2.3"), "Invalid host format"),
        ("server.host", json!("::x"), "Invalid host format"),
        ("server.host", json!("256.0.0.1"), "Invalid IP address. Each octet must be between 0-255."),
        ("server.timeout", json!("soon"), "Timeout must be an integer"),
        ("server.timeout", json!(999), "Timeout must be between 1000ms and 600000ms"),
        ("logging.level", json!("loud"), "Log level must be one of: debug, info, warn, error"),
        ("logging.logRequests", json!("maybe"), "logging.logRequests must be a boolean"),
        ("active_model", json!(7), "active_model must be a string"),
        ("budget.period", json!("year"), "budget.period must be one of: day, week, month, total"),
        ("active_provider", json!("a\nb"), "active_provider must not contain line breaks or other control characters"),
        ("a\nb", json!(1), "Setting key must not contain line breaks or other control characters"),
        (
            "anything",
            json!("a\0b"),
            "Setting value must not contain control characters other than tabs and line breaks",
        ),
        ("anything", json!(null), "Setting value is required"),
        (" ", json!(1), "Setting key is required"),
    ] {
        assert_eq!(text_of(key, &value).unwrap_err(), message, "{key} {value}");
    }
}

#[test]
fn values_are_stored_as_plain_text() {
    for (key, value, text) in [
        ("server.port", json!(3001.0), "3001"),
        ("server.port", json!("3001"), "3001"),
        ("server.host", json!("localhost"), "localhost"),
        ("server.host", json!("0.0.0.0"), "0.0.0.0"),
        ("server.host", json!("my-box.lan"), "my-box.lan"),
        ("server.host", json!("::1"), "::1"),
        ("server.host", json!("[0:0::1]"), "::1"),
        ("system.autoStart", json!(true), "true"),
        ("anything", json!(2.0), "2"),
        ("anything", json!(2.5), "2.5"),
        ("anything", json!({"a": [1]}), "{\"a\":[1]}"),
        ("anything", json!("two\nlines"), "two\nlines"),
        ("logging.level", json!("trace"), "trace"),
    ] {
        assert_eq!(text_of(key, &value).unwrap(), text, "{key} {value}");
    }
}

#[test]
fn only_known_keys_are_deprecated() {
    let deprecated: Vec<&str> = ALL.iter().map(|known| known.key).filter(|key| deprecation(key).is_some()).collect();
    let expected =
        ["system.autoStart", "system.minimizeToTray", "system.checkUpdates", "database.path", "active_model"];
    assert_eq!(deprecated, expected);
}

#[test]
fn the_form_of_a_value_is_what_is_accepted() {
    for known in &ALL {
        let form = known.form();
        let is_accepted = |value: &Value| text_of(known.key, value).is_ok();
        assert!(!known.description.is_empty() && known.description.ends_with('.'), "{}", known.key);
        for word in form.r#enum {
            assert!(is_accepted(&json!(word)), "{} {word}", known.key);
        }
        for (limit, beyond) in [(form.minimum, -1), (form.maximum, 1)] {
            let Some(limit) = limit else { continue };
            assert!(is_accepted(&json!(limit)) && !is_accepted(&json!(limit + beyond)), "{} {limit}", known.key);
        }
        let sample = match form.r#type {
            "integer" | "number" => json!(form.minimum),
            "boolean" => json!(true),
            "object" => json!({}),
            "string" => json!(form.r#enum.first().unwrap_or(&"localhost")),
            other => panic!("{other}"),
        };
        assert!(is_accepted(&sample), "{} {sample}", known.key);
    }
    assert_eq!(LEVELS.map(|level| level.parse::<LogLevel>().is_ok()), [true; 5]);
}

#[test]
fn known_keys_are_returned_with_their_type() {
    assert_eq!(typed("server.port", "3001.0".to_owned()), json!(3001));
    assert_eq!(typed("logging.logRequests", "false".to_owned()), json!(false));
    assert_eq!(typed("anything", "7".to_owned()), json!("7"));
    assert_eq!(typed("budget.amount_usd", "12.5".to_owned()), json!(12.5));
    assert_eq!(typed("budget.owners", "{}".to_owned()), json!({}));
}
