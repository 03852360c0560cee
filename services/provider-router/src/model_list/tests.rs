use proptest::prelude::*;
use serde_json::json;

use super::*;

fn listed(list: &Value) -> Result<ParsedList, ListError> {
    read(list.to_string().as_bytes(), "p")
}

#[track_caller]
fn ids(list: &Value) -> Vec<String> {
    let listed = listed(list).unwrap();
    assert_eq!(listed.skipped, Vec::<String>::new(), "{list}");
    listed.models.into_iter().map(|model| model.id).collect()
}

#[test]
fn every_known_list_shape_is_parsed() {
    for list in [
        json!({"object": "list", "data": [{"id": "b"}, {"id": "a"}, {"id": "b"}]}),
        json!({"data": [{"id": "b", "object": "model"}, {"id": "a", "name": "A for people"}]}),
        json!([{"id": "b", "display_name": "B"}, {"id": "a"}]),
        json!(["b", "a"]),
        json!({"data": ["b", "a"]}),
        json!({"models": ["b", "a"]}),
        json!({"models": [{"name": "b", "model": "b"}, {"name": "a", "model": "a"}]}),
        json!({"models": [{"name": "b"}, {"name": "a"}]}),
        json!({"models": [{"name": "models/b", "displayName": "B"}, {"name": "models/a"}]}),
        json!({"object": "list", "data": [{"id": "models/b", "owned_by": "google"}, {"id": "a"}]}),
        json!({"data": [], "models": [{"name": "b"}, {"name": "a"}]}),
        json!({"data": null, "models": [{"id": "b"}, {"id": "a"}], "error": null}),
        json!({"result": [{"id": "b"}, {"id": "a"}], "success": true}),
        json!({"b": {"owned_by": "x"}, "a": {}}),
        json!({"data": {"b": {"id": "b"}, "a": {"context": 7}}}),
        json!({"models": {"b": {}, "a": {}}}),
    ] {
        let mut found = ids(&list);
        // `serde_json` does not preserve the order of an object's keys.
        found.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(found, ["b", "a"], "{list}");
    }
}

#[test]
fn an_empty_list_is_valid() {
    for list in [json!([]), json!({"data": []}), json!({"object": "list", "data": null}), json!({"models": {}})] {
        assert_eq!(ids(&list), Vec::<String>::new(), "{list}");
    }
}

#[test]
fn only_google_resource_paths_are_stripped() {
    assert_eq!(ids(&json!({"data": [{"id": "models/llama.gguf", "owned_by": "llamacpp"}]})), ["models/llama.gguf"]);
}

#[test]
fn invalid_entries_are_named_and_the_rest_is_parsed() {
    let long = "x".repeat(MAX_ID + 1);
    let list = json!({"object": "list", "data": [
        {"id": "a"}, {"object": "model"}, {"name": "for people"}, {"id": null}, {"id": 7}, {"id": " "}, null, 3, [],
        {"id": "a\nb"}, {"id": long}, {"id": "b"},
    ]});
    let found = listed(&list).unwrap();
    assert_eq!(found.models.iter().map(|model| &*model.id).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(found.skipped.len(), 10, "{:?}", found.skipped);
    assert!(found.skipped[1].contains("for people") && found.skipped[1].contains("no id"), "{:?}", found.skipped);
    assert!(found.skipped.iter().all(|skipped| skipped.chars().count() < 300 && !skipped.contains('\n')));
    assert!(!found.as_openai);
}

#[test]
fn known_model_fields_are_kept() {
    let list = json!({"object": "list", "data": [
        {"id": "a", "created": 7, "owned_by": "o"}, {"id": "b", "created": 1.7e9}, {"id": "c", "created": "soon", "owned_by": ""},
    ]});
    let found = listed(&list).unwrap();
    assert_eq!(found.models, [Model::new("a", 7, "o"), Model::new("b", 1_700_000_000, "p"), Model::new("c", 0, "p")]);
    assert!(found.as_openai);
    for other in [
        json!([{"id": "a"}]),
        json!({"data": [{"id": "a"}]}),
        json!({"object": "list", "data": [{"id": "a"}, {"id": "a"}]}),
    ] {
        assert!(!listed(&other).unwrap().as_openai, "{other}");
    }
}

#[test]
fn a_failure_contains_the_providers_message() {
    for (list, words) in [
        (json!({"error": {"message": "no such key", "code": 401}}), "no such key"),
        (json!({"error": "no such key"}), "no such key"),
        (json!({"error": {"code": 401}}), "401"),
        (json!({"data": null, "error": {"message": "no such key"}}), "no such key"),
        (json!({"detail": "no such key"}), "no such key"),
        (json!({"detail": [{"msg": "no such key"}]}), "no such key"),
        (json!({"message": "no such key", "code": 7}), "no such key"),
        (json!({"base_resp": {"status_code": 1004, "status_msg": "no such key"}}), "no such key"),
        (json!({"errors": [{"message": "no such key"}], "result": null}), "no such key"),
        (json!({}), "an object without"),
        (json!({"object": "list"}), "an object without"),
        (json!({"data": 7}), "an object without"),
        (json!(7), "a number"),
        (json!("models"), "a string"),
        (json!(null), "null"),
        (json!({"data": [{"object": "model"}, {}]}), "none of its 2 entries"),
        (json!([7]), "none of its 1 entries"),
    ] {
        let error = listed(&list).unwrap_err().to_string();
        assert!(error.contains(words), "{list}: {error}");
    }
    assert!(matches!(read(b"<html>", "p"), Err(ListError::NotJson(_))));
    let long = listed(&json!({"error": "é".repeat(9999)})).unwrap_err().to_string();
    assert!(long.chars().count() < 300, "{long}");
}

#[test]
fn a_list_beyond_the_limit_is_refused() {
    let many = |count: usize| json!((0..count).map(|id| json!({"id": format!("m-{id}")})).collect::<Vec<_>>());
    assert_eq!(ids(&many(MAX_MODELS)).len(), MAX_MODELS);
    assert_eq!(listed(&many(MAX_MODELS + 1)), Err(ListError::TooMany(MAX_MODELS + 1)));
}

proptest! {
    /// For every mix of entries, each valid one is parsed and each invalid one is reported.
    #[test]
    fn valid_entries_survive_invalid_ones(entries in prop::collection::vec(prop::option::of("[a-z]{1,8}"), 1..20), frame in 0..4_usize) {
        let bad = [json!(null), json!({"id": 7}), json!({"object": "model"}), json!([1])];
        let list = entries.iter().enumerate().map(|(n, id)| id.as_ref().map_or_else(|| bad[n % 4].clone(), |id| json!({"id": id})));
        let list: Vec<Value> = list.collect();
        let list = [json!(list), json!({"data": list}), json!({"models": list}), json!({"object": "list", "data": list})][frame].clone();
        let good: HashSet<&String> = entries.iter().flatten().collect();
        match listed(&list) {
            Ok(found) => {
                prop_assert_eq!(found.models.len(), good.len());
                prop_assert_eq!(found.skipped.len(), entries.iter().filter(|id| id.is_none()).count());
            }
            Err(error) => prop_assert!(good.is_empty(), "{}", error),
        }
    }

    #[test]
    fn never_panics(answer in ".{0,200}") {
        drop(read(answer.as_bytes(), "p"));
    }
}
