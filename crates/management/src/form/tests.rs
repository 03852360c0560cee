//! Tests of forms.

use serde_json::json;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Example {
    id: Field<String>,
    #[serde(default)]
    display_name: Field<String>,
    #[serde(default)]
    enabled: Field<bool>,
    #[serde(default)]
    priority: Field<Number>,
    #[serde(default)]
    description: Field<Option<String>>,
    #[serde(default)]
    config: Field<Map<String, Value>>,
}

fn example(body: Value) -> (Example, Form) {
    match body {
        Value::Object(fields) => read(fields).unwrap(),
        other => panic!("{other}"),
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let body = json!({
        "displayName": " \u{200b}\u{feff}", "enabled": "yes", "priority": 1.5, "description": 1, "config": [],
        "extra": 1, "display_name": "snake",
    });
    let (example, mut form) = example(body);
    form.required_text(example.id, "id is required");
    form.text(example.display_name, "name is blank");
    form.boolean("enabled", example.enabled);
    form.integer("priority", example.priority);
    form.prose_or_null("description", example.description);
    form.object("config", example.config);
    let Err(Error::Validation(mistakes)) = form.finish() else { panic!("no mistake was found") };
    let told: Vec<(&str, &str)> = mistakes.iter().map(|mistake| (mistake.field(), mistake.message())).collect();
    assert_eq!(
        told,
        [
            ("id", "id is required"),
            ("name", "name is blank"),
            ("enabled", "enabled must be a boolean"),
            ("priority", "priority must be an integer"),
            ("description", "description must be a string or null"),
            ("config", "config must be an object"),
            ("display_name", "unknown field: display_name"),
            ("extra", "unknown field: extra"),
        ]
    );
}

#[test]
fn valid_fields_are_accepted() {
    let (example, mut form) = example(json!({"id": "n", "priority": 5.0, "description": null, "config": {"a": 1}}));
    assert_eq!(form.required_text(example.id, ""), "n");
    assert_eq!(form.text(example.display_name, ""), None);
    assert_eq!(form.integer("priority", example.priority), Some(5));
    assert_eq!(form.prose_or_null("description", example.description), Some(None));
    assert_eq!(form.required_object("config", example.config).len(), 1);
    assert!(form.finish().is_ok());
}

#[test]
fn null_is_not_absent() {
    let (example, mut form) = example(json!({"id": null, "enabled": null}));
    assert_eq!(example.id, Field::Invalid);
    assert_eq!(example.display_name, Field::Absent);
    assert_eq!(example.description, Field::Absent);
    assert_eq!(form.boolean("enabled", example.enabled), None);
    let Err(Error::Validation(mistakes)) = form.finish() else { panic!("null was accepted") };
    assert_eq!(mistakes, ["enabled must be a boolean".into()]);
}

#[test]
fn ignored_fields_are_no_mistakes() {
    let (_, mut form) = example(json!({"created_at": 1, "updated_at": 2}));
    form.ignore(&["created_at", "updated_at"]);
    assert!(form.finish().is_ok());
}
