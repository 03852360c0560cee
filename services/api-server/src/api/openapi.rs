//! `/openapi.json`: this API as an OpenAPI 3.1 document. Paths, parameters and schemas come from the handlers and their
//! types; the parts that all routes share are added here.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};
use signalbox_management::PROVIDER_ALIAS_PREFIX;

use super::HEALTH;
use crate::events::payload;

/// The served document.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    // Serialisation can fail only for a map with non-string keys.
    let raw = serde_json::to_value(super::described().into_openapi()).unwrap_or_default();
    finished(raw)
});

/// Error responses common to all routes, by status.
const REFUSALS: [(&str, &str); 6] = [
    ("400", "The request is invalid; `errors` lists every mistake"),
    ("401", "The control token is required, and is missing or wrong"),
    ("429", "Too many wrong control tokens from the same address"),
    ("421", "The host name of the request is not allowed"),
    ("500", "Internal error; the log has the details"),
    ("503", "The database is unavailable, and nothing was changed; try again later"),
];

/// Serves the OpenAPI document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "documentation",
    responses((status = 200, description = "This document", content_type = "application/json", body = Value)),
)]
pub(super) async fn serve() -> Response {
    static BYTES: LazyLock<Bytes> = LazyLock::new(|| DOCUMENT.to_string().into());
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], BYTES.clone()).into_response()
}

/// Returns the complete document.
pub(crate) fn document() -> &'static Value {
    &DOCUMENT
}

/// Adds the parts that all routes share.
fn finished(mut document: Value) -> Value {
    document["info"] = json!({
        "title": "Signalbox: the control API",
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": env!("CARGO_PKG_LICENSE") },
        "description": "Request and response bodies are JSON. Times are in milliseconds since 1970, except those of \
            logins at chat.qwen.ai, which are in seconds. Strings must not contain U+0000. Changes are published as \
            events over Socket.IO, at `/socket.io/`. Models are called through provider-router, which implements the \
            OpenAI API; its address is in `/api/proxy/status`.",
    });
    document["servers"] = json!([{ "url": "/" }]);
    // The token is required only where several users can call.
    document["security"] = json!([{}, { "token": [] }, { "key": [] }]);
    document["components"]["securitySchemes"] = json!({
        "token": { "type": "http", "scheme": "bearer", "description": "The control token, as printed by `api-server \
            token`" },
        "key": { "type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same" },
    });
    document["components"]["schemas"]["Sendable"] = sendable();
    for (name, schema) in payload::schemas() {
        // Serialisation can fail only for a map with non-string keys.
        document["components"]["schemas"][name] = serde_json::to_value(schema).unwrap_or_default();
    }
    for (_, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        // An empty list is valid both as a list of models and as a list of linked models.
        if let Some(choices) = schema.as_object_mut().and_then(|schema| schema.remove("oneOf")) {
            schema["anyOf"] = choices;
        }
    }
    let schemas = document["components"]["schemas"].clone();
    if let Some(Value::Object(paths)) = document.get_mut("paths") {
        for (path, item) in paths {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                if let Value::Object(operation) = operation {
                    finish(operation, path, method, &schemas);
                }
            }
        }
    }
    document
}

/// Returns the schema of a value that may be sent to a provider; see `signalbox_core::provider_config`.
fn sendable() -> Value {
    let plain = json!({ "not": { "pattern": r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]" } });
    let inner = json!({ "anyOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Sendable" }] });
    let text = json!({ "type": "string", "not": plain["not"] });
    json!({
        "description": "A value without line breaks and other control characters, which are invalid in headers and \
            URLs.",
        "anyOf": [
            { "type": ["boolean", "number"] },
            text,
            { "type": "array", "items": inner },
            { "type": "object", "propertyNames": plain, "additionalProperties": inner },
        ],
    })
}

fn finish(operation: &mut Map<String, Value>, path: &str, method: &str, schemas: &Value) {
    let tag = operation["tags"][0].as_str().unwrap_or_default().replace('-', "_");
    let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let is_short = path.starts_with(PROVIDER_ALIAS_PREFIX);
    let suffix = if is_short { "_by_short_path" } else { "" };
    operation.insert("operationId".to_owned(), format!("{tag}_{name}{suffix}").into());
    if is_short {
        operation.insert("deprecated".to_owned(), true.into());
    }

    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        // Forms send an empty string when no option was chosen.
        let schema = &mut parameter["schema"];
        if schema["type"].as_str().is_some_and(|kind| kind == "boolean") || schema["type"][0] == "boolean" {
            *schema = json!({ "anyOf": [{ "type": "boolean" }, { "const": "" }] });
        }
    }

    let mut refusals = REFUSALS.to_vec();
    if path == HEALTH {
        operation.insert("security".to_owned(), json!([]));
        refusals.retain(|(status, _)| !matches!(*status, "401" | "429"));
    }
    if path.contains('{') {
        refusals.push(("404", "The resource does not exist"));
    }
    if method != "get" {
        refusals.push(("403", "The request comes from a web page whose origin is not allowed"));
    }
    if let Some(body) = operation.get_mut("requestBody") {
        refusals.push(("413", "The request body is too large"));
        if body["content"].as_object().is_some_and(|kinds| kinds.len() == 1) {
            refusals.push(("415", "The `Content-Type` of the request body is not JSON"));
        }
        // A missing body counts as an empty object.
        let schema = body["content"]["application/json"]["schema"]["$ref"].as_str().unwrap_or_default();
        let shape = &schemas[schema.rsplit('/').next().unwrap_or_default()];
        let needed = shape.get("required").is_some() || shape.get("minProperties").is_some();
        body["required"] = needed.into();
    }
    let Some(Value::Object(answers)) = operation.get_mut("responses") else { return };
    for (status, meaning) in refusals {
        let failure = json!({ "$ref": "#/components/schemas/Failure" });
        let answer = json!({ "description": meaning, "content": { "application/json": { "schema": failure } } });
        answers.entry(status).or_insert(answer);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn operations() -> Vec<(&'static str, &'static str, &'static Value)> {
        let paths = document()["paths"].as_object().unwrap();
        let of = |(path, item): (&'static String, &'static Value)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        };
        paths.iter().flat_map(of).collect()
    }

    #[test]
    fn document_covers_exactly_the_routes() {
        // `Debug` is the only way to list the paths of a router.
        let router = format!("{:?}", crate::api::routes());
        let paths = router.split('"').filter(|text| text.starts_with('/'));
        // Path of the router's internal fallback.
        let mut routed: BTreeSet<&str> = paths.filter(|path| *path != "/" && !path.contains("axum_fallback")).collect();
        assert!(routed.remove(crate::api::SHUTDOWN), "the only route that is not in the document");
        let described: BTreeSet<&str> = operations().into_iter().map(|(path, ..)| path).collect();
        assert_eq!(described, routed);
        assert!(described.len() > 40, "{described:?}");
    }

    #[test]
    fn operations_are_complete() {
        let mut names = BTreeSet::new();
        for (path, method, operation) in operations() {
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{path}: {operation}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
            assert!(operation["responses"].as_object().unwrap().len() > 3, "{method} {path}");
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let named: BTreeSet<&str> =
                parameters.filter(|one| one["in"] == "path").map(|one| one["name"].as_str().unwrap()).collect();
            let wanted = path.split(['{', '}']).skip(1).step_by(2).collect();
            assert_eq!(named, wanted, "{method} {path}");
        }
    }

    #[test]
    fn names_of_bodies_of_the_original_are_deprecated() {
        for (schema, present, former) in [
            ("LoggedRequest", "request_body", "openai_request"),
            ("LoggedRequest", "upstream_request", "qwen_request"),
            ("LoggedResponse", "response_body", "openai_response"),
            ("LoggedResponse", "upstream_response", "qwen_response"),
        ] {
            let found = document()["components"]["schemas"][schema].to_string();
            let fields: Vec<&Value> = fields_of(&document()["components"]["schemas"][schema]);
            let of =
                |name: &str| fields.iter().find_map(|fields| fields.get(name)).unwrap_or_else(|| panic!("{found}"));
            assert_eq!((&of(former)["deprecated"], of(present).get("deprecated")), (&json!(true), None), "{found}");
        }
    }

    /// Returns the properties of a schema and of those that it combines.
    fn fields_of(schema: &Value) -> Vec<&Value> {
        let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(fields_of);
        schema.get("properties").into_iter().chain(parts).collect()
    }

    #[test]
    fn references_resolve() {
        fn check(value: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(reference)) = fields.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document().pointer(pointer).is_some(), "{reference}");
                    }
                    fields.values().for_each(check);
                }
                Value::Array(items) => items.iter().for_each(check),
                _ => {}
            }
        }
        check(document());
        assert_eq!(document()["openapi"], "3.1.0");
    }
}
