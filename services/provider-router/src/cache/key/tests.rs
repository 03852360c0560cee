use http::HeaderValue;
use signalbox_core::schema::{ApiKey, KeyGrant, RoutePlan, RouteTarget};

use super::*;
use crate::catalog::Routes;

fn terms(scope: CacheScope) -> RouteCache {
    RouteCache { ttl_ms: 1_000, scope, max_answer_bytes: None }
}

fn caller(id: &str, owner: Option<&str>) -> Caller {
    Caller::issued(&ApiKey {
        id: id.to_owned(),
        name: id.to_owned(),
        hint: String::new(),
        digest: String::new(),
        previous_digest: None,
        previous_expires_at: None,
        grant: KeyGrant { owner: owner.map(str::to_owned), ..KeyGrant::default() },
        expires_at: None,
        revoked_at: None,
        created_at: 0,
        updated_at: 0,
    })
}

/// Returns the digest of a request of a route with this target.
fn digest(
    api: Api,
    scope: CacheScope,
    caller: Option<&Caller>,
    target: &str,
    headers: &HeaderMap,
    body: &str,
) -> Option<Key> {
    let target = RouteTarget { provider: "p".to_owned(), model: target.to_owned(), ..RouteTarget::default() };
    let plan = RoutePlan { targets: vec![target], cache: Some(terms(scope)), ..RoutePlan::default() };
    let routes = Routes::of_plans([("m", plan)]);
    let envelope = Envelope::parse(api, body.as_bytes()).unwrap();
    let route = routes.named("m").unwrap();
    let request = CachedRequest { route, caller, headers, body: body.as_bytes(), envelope: &envelope, rules: None };
    key(request, &terms(scope))
}

fn chat(body: &str) -> Key {
    digest(Api::Chat, CacheScope::Key, None, "t", &HeaderMap::new(), body).unwrap()
}

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0}"#;

#[test]
fn requests_that_mean_the_same_are_equal() {
    let same = chat(BODY);
    for body in [
        r#"{ "temperature": 0, "messages": [ {"content": "hi", "role": "user"} ], "model": "m" }"#,
        r#"{"model":"m","user":"ann","metadata":{"a":1},"prompt_cache_key":"k","stream":false,"messages":[{"role":"user","content":"hi"}],"temperature":0}"#,
    ] {
        assert_eq!(chat(body), same, "{body}");
    }
    for body in [
        BODY.replace("hi", "ho"),
        BODY.replace(":0}", ":0.0}"),
        BODY.replace("\"temperature\":0", "\"n\":2"),
        BODY.replace("\"temperature\":0", "\"stream\":true,\"temperature\":0"),
        BODY.replace(
            "\"temperature\":0",
            "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"temperature\":0",
        ),
    ] {
        assert_ne!(chat(&body), same, "{body}");
    }
}

#[test]
fn callers_share_answers_only_within_the_scope() {
    use CacheScope::{All, Key, Owner};

    let digest =
        |scope, caller: Option<&Caller>| digest(Api::Chat, scope, caller, "t", &HeaderMap::new(), BODY).unwrap();
    let (a, b) = (caller("a", Some("ann")), caller("b", Some("ann")));
    let (c, d) = (caller("c", Some("bob")), caller("d", None));
    let (e, named) = (caller("e", None), caller("ann", None));
    assert_eq!(digest(Key, Some(&a)), digest(Key, Some(&a)));
    assert_ne!(digest(Key, Some(&a)), digest(Key, Some(&b)));
    assert_ne!(digest(Key, Some(&a)), digest(Key, None));
    assert_eq!(digest(Owner, Some(&a)), digest(Owner, Some(&b)));
    assert_ne!(digest(Owner, Some(&a)), digest(Owner, Some(&c)));
    assert_ne!(digest(Owner, Some(&d)), digest(Owner, Some(&e)), "without an owner");
    assert_ne!(digest(Owner, Some(&a)), digest(Owner, Some(&named)), "a key named as the owner");
    assert_eq!(digest(All, Some(&a)), digest(All, Some(&c)));
    assert_eq!(digest(All, Some(&a)), digest(All, None));
}

#[test]
fn other_targets_and_headers_are_other_requests() {
    let digest = |target: &str, name: &'static str, value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        digest(Api::Chat, CacheScope::All, None, target, &headers, BODY).unwrap()
    };
    let first = digest("t", "user-agent", "a");
    assert_eq!(first, digest("t", "user-agent", "b"));
    assert_ne!(first, digest("other", "user-agent", "a"));
    assert_ne!(first, digest("t", "anthropic-beta", "a"));
    assert_ne!(digest("t", "x-signalbox-strict", "1"), digest("t", "x-signalbox-strict", "0"));
}

#[test]
fn requests_that_depend_on_more_have_no_key() {
    let digest =
        |api, scope, caller: Option<&Caller>, body: &str| digest(api, scope, caller, "t", &HeaderMap::new(), body);
    for body in [
        r#"{"model":"m","input":"hi","previous_response_id":"resp_1"}"#,
        r#"{"model":"m","input":"hi","conversation":"conv_1"}"#,
        r#"{"model":"m","input":"hi","background":true}"#,
    ] {
        assert_eq!(digest(Api::Responses, CacheScope::All, None, body), None, "{body}");
    }
    let (a, b) = (caller("a", Some("ann")), caller("b", Some("ann")));
    let stored = r#"{"model":"m","input":"hi","background":false,"conversation":null}"#;
    let of = |caller, body: &str| digest(Api::Responses, CacheScope::Owner, Some(caller), body).unwrap();
    assert_ne!(of(&a, stored), of(&b, stored), "only its key can continue a stored answer");
    let unstored = r#"{"model":"m","input":"hi","store":false}"#;
    assert_eq!(of(&a, unstored), of(&b, unstored));
    let with =
        |item: &str| format!(r#"{{"model":"m","input":[{{"role":"user","content":"hi"}},{item}],"store":false}}"#);
    for item in [r#"{"type":"item_reference","id":"msg_1"}"#, r#"{"id":"msg_1"}"#, r#"{"id":"msg_1","type":null}"#] {
        assert_ne!(of(&a, &with(item)), of(&b, &with(item)), "only its key knows the item: {item}");
    }
    for item in [
        r#"{"type":"message","id":"msg_1","role":"assistant","content":[]}"#,
        r#"{"id":"m","role":"user","content":"x"}"#,
    ] {
        assert_eq!(of(&a, &with(item)), of(&b, &with(item)), "{item}");
    }
}
