use signalbox_upstream::ClientConfig;

use super::*;

const CARD: &str = "4111 1111 1111 1111";

fn guard(change: impl FnOnce(&mut GuardConfig)) -> Result<Guard, String> {
    let table: toml::Table = crate::config::DEFAULTS.parse().unwrap();
    let mut config: GuardConfig = table["guard"].clone().try_into().unwrap();
    change(&mut config);
    Guard::new(&config, Client::new(&ClientConfig::default()).unwrap())
}

fn about() -> About<'static> {
    About { id: "i", api: "chat", model: Some("m"), key: None, owner: None }
}

const fn prompt(body: &Bytes) -> Prompt<'_> {
    Prompt { body, earlier: None }
}

fn body() -> Bytes {
    Bytes::from(format!(r#"{{"model":"m","messages":[{{"role":"user","content":"pay {CARD}"}}]}}"#))
}

#[test]
fn nothing_applies_by_default() {
    let guard = guard(|_| {}).unwrap();
    assert_eq!(guard.rules(None, None), None);
    let rules = GuardRules { cards: Some(GuardAction::Redact), ..GuardRules::default() };
    assert_eq!(guard.rules(Some(&rules), None), Some(rules));
    assert!(!guard.judges_answers(&rules));
    assert!(guard.judges_answers(&GuardRules { max_answer_bytes: Some(1), ..rules }));
}

#[test]
fn a_wrong_configuration_is_told() {
    for (url, timeout, token, told) in [
        ("ftp://x", "1s", "", "guard.hook_url cannot be used"),
        ("http://a b", "1s", "", "guard.hook_url cannot be used"),
        ("http://127.0.0.1:9", "0s", "", "guard.hook_timeout takes"),
        ("http://127.0.0.1:9", "1s", "a\nb", "guard.hook_token has characters"),
        ("", "1s", "token", "guard.hook_token needs guard.hook_url"),
    ] {
        let made = guard(|config| {
            config.hook_url = Secret::new(url.to_owned());
            config.hook_timeout = timeout.parse().unwrap();
            config.hook_token = Secret::new(token.to_owned());
        });
        assert!(made.unwrap_err().starts_with(told), "{url} {timeout}");
    }
}

#[tokio::test]
async fn requests_are_redacted_or_refused_without_quoting_them() {
    let guard = guard(|config| config.cards = Action::Redact).unwrap();
    let rules = guard.rules(None, None).unwrap();
    let passed = guard.request(&rules, prompt(&body()), &about()).await.unwrap();
    assert!(String::from_utf8_lossy(&passed.replaced.unwrap()).contains("pay [redacted: card number]"));
    assert_eq!(passed.notes, ["request: 1 redacted"]);

    let strict = rules.and(&GuardRules { cards: Some(GuardAction::Refuse), ..GuardRules::default() });
    let refused = guard.request(&strict, prompt(&body()), &about()).await.unwrap_err();
    let told = refused.to_string();
    assert_eq!(
        told,
        "a guardrail refused the request: `messages[0].content` contains what looks like a card number; remove it and send the request again"
    );
    assert_eq!((refused.code(), refused.is_content()), ("guardrail_refused", true));

    let small = GuardRules { max_request_bytes: Some(10), ..GuardRules::default() };
    let refused = guard.request(&small, prompt(&body()), &about()).await.unwrap_err().to_string();
    assert!(refused.contains("at most 10 are allowed"), "{refused}");
}

#[test]
fn a_refused_request_is_logged_without_names_that_were_found() {
    let body = Bytes::from(format!(r#"{{"tools":[{{"parameters":{{"{CARD}":{{}}}}}}],"{CARD}":1}}"#));
    let expected = r#"{"tools":[{"parameters":{"[redacted: card number]":{}}}],"[redacted: card number 2]":1}"#;
    assert_eq!(without_found(&body), expected);
    let clean = Bytes::from_static(br#"{"input":"hi"}"#);
    assert_eq!(without_found(&clean), clean);
    let deep = format!(r#"{{"a":{}"{CARD}"{}}}"#, "[".repeat(70), "]".repeat(70));
    assert_eq!(without_found(&deep.into()), "{}");
}

#[tokio::test]
async fn in_a_stream_nothing_can_be_redacted() {
    let guard = guard(|config| config.answer_cards = Action::Redact).unwrap();
    let rules = guard.rules(None, None).unwrap();
    let whole = guard.answer(&rules, &body(), false, &about()).await.unwrap();
    assert_eq!((whole.replaced.is_some(), whole.notes.len()), (true, 1));
    let refused = guard.answer(&rules, &body(), true, &about()).await.unwrap_err().to_string();
    assert!(refused.starts_with("a guardrail refused the answer: `messages[0].content` contains"), "{refused}");
    let clean = Bytes::from_static(br#"{"content":"hi"}"#);
    assert_eq!(guard.answer(&rules, &clean, true, &about()).await.unwrap(), Passed::default());
}

#[tokio::test]
async fn a_hook_that_is_missing_or_away_refuses_unless_it_may_fail() {
    let asks = GuardRules { hook: true, ..GuardRules::default() };
    let missing = guard(|_| {}).unwrap().request(&asks, prompt(&body()), &about()).await.unwrap_err();
    assert!(missing.to_string().contains("set guard.hook_url"), "{missing}");
    assert_eq!((missing.code(), missing.is_content()), ("guardrail_unavailable", false));
    for on_failure in [OnFailure::Closed, OnFailure::Open] {
        let guard = guard(|config| {
            // Reserved: nothing listens there.
            config.hook_url = Secret::new("http://127.0.0.1:1/canary-path".to_owned());
            config.hook_on_failure = on_failure;
        })
        .unwrap();
        let rules = guard.rules(None, None).unwrap();
        let judged = guard.request(&rules, prompt(&body()), &about()).await;
        assert_eq!(judged.is_ok(), on_failure == OnFailure::Open, "{judged:?}");
        if let Err(refused) = judged {
            let told = refused.to_string();
            assert!(told.starts_with("the guardrail hook failed, so the request was not passed on: "), "{told}");
            assert!(told.contains("it cannot be reached (") && told.contains("check the service"), "{told}");
        }
        assert!(!format!("{guard:?}").contains("canary"), "{guard:?}");
    }
}

#[test]
fn a_hook_that_judges_answers_needs_an_address() {
    let made = guard(|config| config.hook_after = true);
    assert_eq!(made.unwrap_err(), "guard.hook_after needs guard.hook_url");
}

#[tokio::test]
async fn earlier_turns_are_judged_with_the_request() {
    let guard = guard(|config| config.cards = Action::Redact).unwrap();
    let rules = guard.rules(None, None).unwrap();
    let clean = Bytes::from_static(br#"{"input":"and now?"}"#);
    let earlier = Bytes::from(format!(r#"[{{"content":"pay {CARD}"}},{{"content":"ok"}}]"#));
    let prompt = Prompt { body: &clean, earlier: Some(&earlier) };
    let passed = guard.request(&rules, prompt, &about()).await.unwrap();
    assert_eq!((passed.replaced, &*passed.notes), (None, &["earlier turns: 1 redacted".to_owned()][..]));
    assert_eq!(passed.earlier.unwrap(), r#"[{"content":"pay [redacted: card number]"},{"content":"ok"}]"#);

    let strict = rules.and(&GuardRules { cards: Some(GuardAction::Refuse), ..GuardRules::default() });
    let told = guard.request(&strict, prompt, &about()).await.unwrap_err().to_string();
    assert!(told.contains("an earlier turn") && told.contains("begin a new conversation"), "{told}");
    let small = GuardRules { max_request_bytes: Some(40), ..GuardRules::default() };
    assert!(guard.request(&small, prompt, &about()).await.is_err());
}

#[test]
fn errors_of_providers_are_redacted_whatever_the_action_is() {
    let rules = GuardRules { answer_cards: Some(GuardAction::Refuse), ..GuardRules::default() };
    let body = |text: &str| error_body(&rules, &Bytes::from(text.to_owned()));
    let json = format!(r#"{{"error":{{"message":"no {CARD}"}}}}"#);
    assert_eq!(body(&json).unwrap(), r#"{"error":{"message":"no [redacted: card number]"}}"#);
    assert_eq!(body(&format!("<b>{CARD}</b>")).unwrap(), "<b>[redacted: card number]</b>");
    assert_eq!(body(r#"{"error":"busy"}"#), None);
    assert_eq!(error_text(&rules, &format!("busy: {CARD}")).unwrap(), "busy: [redacted: card number]");
    assert_eq!(error_text(&GuardRules::default(), CARD), None);
}
