//! Tests of the table of provider types.

use std::collections::HashSet;

use super::*;
use crate::id::is_slug;

#[test]
fn every_type_is_listed_once() {
    let values: HashSet<_> = PROVIDER_TYPES.iter().map(|row| row.value).collect();
    assert_eq!(values.len(), PROVIDER_TYPES.len());
    assert!(values.into_iter().all(is_slug));
}

#[test]
fn an_unknown_type_requires_a_base_url() {
    let required = |value: &str| -> Vec<&str> {
        provider_type(value).fields().iter().filter(|field| field.required).map(|field| field.name).collect()
    };
    assert_eq!(required("my-own"), ["baseURL"]);
    assert_eq!(required("openai"), ["apiKey"]);
    assert_eq!(required("lm-studio"), [""; 0]);
    assert_eq!(required(ECHO), [""; 0]);
    assert_eq!(required("qwen-proxy"), [""; 0]);
    assert_eq!(provider_type("qwen-proxy").path_prefix, "/v1");
}

#[test]
fn a_key_is_missed_only_where_nothing_can_stand_in_for_it() {
    let missing = |kind: &str, has: &[&str]| -> Vec<&str> {
        provider_type(kind).missing(|key| has.contains(&key)).iter().map(|field| field.name).collect()
    };
    for (kind, has, lacks) in [
        ("openai", &[][..], &["apiKey"][..]),
        ("openai", &["timeout"], &["apiKey"]),
        ("openai", &["apiKey"], &[]),
        ("openai", &["baseURL"], &[]),
        ("openai", &["headers"], &[]),
        ("openai", &["apiKeys"], &[]),
        ("my-own", &["apiKey"], &["baseURL"]),
        ("my-own", &["baseURL"], &[]),
        ("lm-studio", &[], &[]),
        (QWEN_PROXY, &[], &[]),
        (ECHO, &[], &[]),
    ] {
        assert_eq!(missing(kind, has), lacks, "{kind} {has:?}");
    }
}

#[test]
fn messages_below_a_path_of_their_own_are_spoken_at_the_own_address() {
    for row in PROVIDER_TYPES.iter().filter(|row| row.messages_base.is_some()) {
        assert!(row.apis.contains(&Api::Messages) && row.apis[0] != Api::Messages, "{}", row.value);
        let at = |url| row.apis_at(url).any(|api| api == Api::Messages);
        assert!(at(None) && at(row.base_url), "{}", row.value);
        assert!(!at(Some("http://127.0.0.1:1/v1")), "{}", row.value);
    }
    assert_eq!(provider_type("vllm").apis_at(Some("http://10.0.0.1/v1")).count(), 3);
}

#[test]
fn fields_are_refused_by_the_models_that_the_table_names() {
    let refused = |kind: &str, model: &str| -> Vec<&str> { provider_type(kind).quirks.refused_by(model).collect() };
    assert!(refused("groq", "any").contains(&"logit_bias"));
    assert_eq!(refused("moonshot", "kimi-k3"), ["temperature"]);
    assert_eq!(refused("moonshot", "moonshot-v1-8k"), [""; 0]);
    assert!(refused("xai", "grok-4.3").contains(&"stop") && refused("xai", "grok-2").is_empty());
    assert_eq!(refused("openai", "gpt-6"), [""; 0]);
}

#[test]
fn keys_and_headers_are_masked() {
    let sensitive: Vec<_> =
        provider_type("openai").fields().into_iter().filter(|field| field.sensitive).map(|field| field.name).collect();
    assert_eq!(sensitive, ["apiKey", "apiKeys", "clientKey", "proxy", "headers"]);
}
