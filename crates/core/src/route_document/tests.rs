use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Api;
use crate::schema::{Ability, CacheScope, GuardAction, Resume, RouteCache, RoutePolicy, Sticky};

fn read(document: Value) -> Result<NewRoute, Vec<String>> {
    let Value::Object(document) = document else { panic!("{document}") };
    let has = |id: &str| ["a", "b"].contains(&id);
    super::read("r".to_owned(), document, &has).map_err(|all| all.iter().map(ToString::to_string).collect())
}

fn whole() -> Value {
    json!({
        "model": "fast-*", "enabled": false, "aliases": ["quick"], "policy": "least-busy",
        "targets": [
            {"provider": "a", "model": "big-*", "weight": 1000, "params": {"temperature": 0}, "context_tokens": 128_000,
             "can": ["json_schema", "tools"], "region": "eu", "max_price_usd": 0.25, "api": "responses"},
            {"provider": "b", "model": "small"},
        ],
        "retries": 2,
        "deadlines": {"connect_ms": 1, "headers_ms": 2, "first_token_ms": 3, "idle_ms": 4, "total_ms": 86_400_000},
        "resume": "verbatim", "sticky": "prefix", "strict": true, "resumable": true,
        "cache": {"ttl_ms": 60_000, "scope": "owner", "max_answer_bytes": 4096},
        "guard": {"secrets": "redact", "cards": "refuse", "max_request_bytes": 1000, "hook": true},
        "limits": {"rpm": 60, "tpm": 9, "concurrency": 2, "queue": {"max_waiting": 10, "timeout_ms": 500}},
        "hedge": {"quantile": 0.95, "min_ms": 400}, "mirror": {"provider": "b", "model": "new-*", "percent": 2.5},
    })
}

#[test]
fn every_field_is_read() {
    let route = read(whole()).unwrap();
    assert_eq!((&*route.id, &*route.model, route.enabled), ("r", "fast-*", false));
    let plan = &route.plan;
    assert_eq!((plan.policy, plan.retries, plan.strict), (RoutePolicy::LeastBusy, Some(2), true));
    assert_eq!((plan.resume, plan.sticky, plan.resumable), (Resume::Verbatim, Some(Sticky::Prefix), true));
    let first = &plan.targets[0];
    assert_eq!(first.weight, Some(1000));
    assert_eq!(first.can, Some(vec![Ability::JsonSchema, Ability::Tools]));
    assert_eq!((first.region.as_deref(), first.max_price_usd), (Some("eu"), Some(0.25)));
    assert_eq!((first.api, plan.targets[1].api), (Some(Api::Responses), None));
    assert_eq!(plan.targets[1], RouteTarget { provider: "b".into(), model: "small".into(), ..RouteTarget::default() });
    assert_eq!(plan.deadlines.total_ms, Some(86_400_000));
    let cache = RouteCache { ttl_ms: 60_000, scope: CacheScope::Owner, max_answer_bytes: Some(4096) };
    assert_eq!(plan.cache, Some(cache));
    let guard = plan.guard.unwrap();
    assert_eq!((guard.secrets, guard.cards), (Some(GuardAction::Redact), Some(GuardAction::Refuse)));
    assert_eq!((guard.max_request_bytes, guard.max_answer_bytes, guard.hook), (Some(1000), None, true));
}

#[test]
fn missing_fields_have_defaults() {
    let route =
        read(json!({"model": "m", "targets": [{"provider": "a", "model": "m", "weight": null}], "sticky": null}));
    let route = route.unwrap();
    let target = RouteTarget { provider: "a".into(), model: "m".into(), ..RouteTarget::default() };
    assert_eq!((route.enabled, route.plan), (true, RoutePlan { targets: vec![target], ..RoutePlan::default() }));
}

#[test]
fn what_was_read_is_written_and_read_again() {
    let minimal = json!({"model": "m", "targets": [{"provider": "a", "model": "m"}]});
    for document in [whole(), minimal] {
        let route = read(document).unwrap();
        let written = write(&route.model, route.enabled, &route.plan);
        assert_eq!(read(written.into()).unwrap(), route);
    }
}

#[test]
fn the_words_are_those_of_the_types() {
    let target = json!([{"provider": "a", "model": "m"}]);
    let abilities = json!([{"provider": "a", "model": "m", "can": ABILITIES}]);
    let route = read(json!({"model": "m", "targets": abilities})).unwrap();
    assert_eq!(write("m", true, &route.plan)["targets"][0]["can"], json!(ABILITIES));
    for word in APIS {
        let route = read(json!({"model": "m", "targets": [{"provider": "a", "model": "m", "api": word}]})).unwrap();
        assert_eq!(write("m", true, &route.plan)["targets"][0]["api"], word);
    }
    for (field, words) in [("policy", &POLICIES[..]), ("resume", &RESUMES[..]), ("sticky", &STICKIES[..])] {
        for word in words {
            let route = read(json!({"model": "m", "targets": target, (field): word})).unwrap();
            assert_eq!(write("m", true, &route.plan)[field], *word);
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of mistakes")]
fn each_mistake_is_told_with_its_path() {
    let target = json!({"provider": "a", "model": "m"});
    let with = |name: &str, value: Value| {
        let mut document = json!({"model": "m", "targets": [target.clone()]});
        document[name] = value;
        document
    };
    let in_target = |name: &str, value: Value| {
        let mut document = json!({"model": "m", "targets": [target.clone(), target.clone()]});
        document["targets"][1][name] = value;
        document
    };
    for (document, told) in [
        (json!({"targets": [target.clone()]}), "model is required"),
        (with("model", json!("")), "model must be a text of 1 to 256"),
        (with("model", json!(" m")), "model must be a text"),
        (with("model", json!("m".repeat(257))), "model must be a text"),
        (with("model", json!(5)), "model must be a text"),
        (with("model", json!("a\nb")), "model must not contain line breaks"),
        (with("model", json!("a*b*")), "model must not have more than one *"),
        (with("enabled", json!("yes")), "enabled must be true or false"),
        (with("aliases", json!("m")), "aliases must be a list of 0 to 32"),
        (with("aliases", json!(["a", ""])), "aliases[1] must be a text"),
        (with("aliases", json!(["a", "b", "a"])), "aliases[2] is given twice"),
        (with("aliases", json!(["m"])), "aliases[0] is the model"),
        (with("aliases", json!(["a*"])), "aliases[0] must not have a *"),
        (
            with("policy", json!("fastest")),
            "policy must be priority, weighted, round-robin, least-busy, latency or cheapest",
        ),
        (with("targets", Value::Null), "targets is required"),
        (with("targets", json!([])), "targets must be a list of 1 to 32"),
        (with("targets", json!(vec![target.clone(); 33])), "targets must be a list of 1 to 32"),
        (with("targets", json!(["a/m"])), "targets[0] must be an object"),
        (with("targets", json!([{}])), "targets[0].provider is required"),
        (
            in_target("provider", json!("none")),
            "targets[1].provider must be the id of a provider; there is none with the id none",
        ),
        (in_target("model", json!(" ")), "targets[1].model must be a text"),
        (in_target("model", json!("a*")), "targets[1].model must not have a *"),
        (in_target("weight", json!(0)), "targets[1].weight must be a whole number from 1 to 1000"),
        (in_target("weight", json!(1001)), "targets[1].weight must be"),
        (in_target("weight", json!(1.5)), "targets[1].weight must be"),
        (in_target("params", json!([])), "targets[1].params must be an object"),
        (in_target("params", json!({"stream": true})), "targets[1].params.stream must not be replaced"),
        (in_target("context_tokens", json!(-1)), "targets[1].context_tokens must be"),
        (
            in_target("wait", json!(1)),
            "targets[1].wait is an unknown field; use provider, model, key, weight, params, context_tokens, can, region,",
        ),
        (in_target("can", json!("tools")), "targets[1].can must be a list of 0 to 3"),
        (in_target("can", json!(["tools", "audio"])), "targets[1].can[1] must be tools, vision or json_schema"),
        (in_target("can", json!(["tools", "tools"])), "targets[1].can[1] is given twice"),
        (in_target("region", json!("")), "targets[1].region must be a text of 1 to 64"),
        (in_target("max_price_usd", json!(0)), "targets[1].max_price_usd must be a number above 0 and up to 1000000"),
        (in_target("max_price_usd", json!("1")), "targets[1].max_price_usd must be a number"),
        (in_target("api", json!("gemini")), "targets[1].api must be chat, messages or responses"),
        (with("retries", json!(11)), "retries must be a whole number from 0 to 10"),
        (with("deadlines", json!(5)), "deadlines must be an object"),
        (with("deadlines", json!({"idle_ms": 0})), "deadlines.idle_ms must be a whole number from 1 to 86400000"),
        (with("deadlines", json!({"idle": 5})), "deadlines.idle is an unknown field"),
        (with("resume", json!(true)), "resume must be off or verbatim"),
        (with("sticky", json!("ip")), "sticky must be session or prefix"),
        (with("strict", json!(1)), "strict must be true or false"),
        (with("resumable", json!("yes")), "resumable must be true or false"),
        (with("cache", json!(true)), "cache must be an object"),
        (with("cache", json!({})), "cache.ttl_ms is required"),
        (with("cache", json!({"ttl_ms": 0})), "cache.ttl_ms must be a whole number from 1 to 2592000000"),
        (with("cache", json!({"ttl_ms": 1, "scope": "team"})), "cache.scope must be key, owner or all"),
        (with("cache", json!({"ttl_ms": 1, "max_answer_bytes": 0})), "cache.max_answer_bytes must be a whole number"),
        (with("cache", json!({"ttl_ms": 1, "max": 0})), "cache.max is an unknown field"),
        (with("guard", json!([])), "guard must be an object"),
        (with("guard", json!({"secrets": "mask"})), "guard.secrets must be redact or refuse"),
        (with("guard", json!({"max_answer_bytes": 0})), "guard.max_answer_bytes must be a whole number from 1 to"),
        (with("guard", json!({"hook": "http://x"})), "guard.hook must be true or false"),
        (with("guard", json!({"url": "x"})), "guard.url is an unknown field"),
        (with("hedge", json!({"quantile": 0.95, "min_ms": 1})), "hedge needs a second target"),
        (with("hedge", json!({"quantile": 1, "min_ms": 1})), "hedge.quantile must be a number from 0.5 to 0.999"),
        (with("hedge", json!({"quantile": 0.9})), "hedge.min_ms is required"),
        (with("mirror", json!({"model": "m", "percent": 1})), "mirror.provider is required"),
        (with("mirror", json!({"provider": "none", "model": "m", "percent": 1})), "mirror.provider must be the id"),
        (with("mirror", json!({"provider": "a", "model": "m*", "percent": 1})), "mirror.model must not have a *"),
        (
            with("mirror", json!({"provider": "a", "model": "m", "percent": 101})),
            "mirror.percent must be a number above 0",
        ),
        (with("mirror", json!({"provider": "a", "model": "m", "percent": 1, "x": 1})), "mirror.x is an unknown field"),
        (with("limits", json!({"rpm": 0})), "limits.rpm must be a whole number from 1 to 1000000000"),
        (with("limits", json!({"rpd": 1})), "limits.rpd is an unknown field; use rpm, tpm, concurrency, queue"),
        (
            with("limits", json!({"rpm": 1, "queue": {"max_waiting": 0, "timeout_ms": 1}})),
            "limits.queue.max_waiting must be a whole number from 1 to 1000",
        ),
        (with("limits", json!({"rpm": 1, "queue": {"max_waiting": 1}})), "limits.queue.timeout_ms is required"),
        (
            with("limits", json!({"queue": {"max_waiting": 1, "timeout_ms": 1}})),
            "limits.queue needs a limit to wait for",
        ),
        (with("fallbacks", json!([])), "fallbacks is an unknown field; use model, enabled,"),
    ] {
        let mistakes = read(document.clone()).unwrap_err();
        assert!(mistakes[0].starts_with(told), "{document}: {mistakes:?}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let document = json!({
        "model": "**", "policy": 1, "targets": [{"provider": "none", "model": "m", "weight": 0}, 7], "retries": -1,
        "x\n": 1,
    });
    let paths: Vec<String> =
        read(document).unwrap_err().iter().map(|told| told.split(' ').next().unwrap().to_owned()).collect();
    let expected = ["model", "policy", "targets[0].provider", "targets[0].weight", "targets[1]", "retries", "x\\u{a}"];
    assert_eq!(paths, expected);
}

proptest! {
    #[test]
    fn no_document_panics(field in "[a-z_]{0,8}", text in ".{0,8}", number in any::<f64>(), at in 0_usize..6) {
        let values = [json!(text), json!(number), json!([text]), json!({field.clone(): text}), json!(true), json!([[{}]])];
        let mut document = whole();
        for name in document.as_object().unwrap().keys().cloned().chain([field]).collect::<Vec<_>>() {
            document[&name] = values[at].clone();
            let _ = read(document.clone());
        }
    }
}
