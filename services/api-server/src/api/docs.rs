//! `/docs`: the OpenAPI document as a self-contained HTML page.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::response::Html;
use serde_json::{Map, Value};

use super::openapi;

const PAGE: &str = include_str!("docs.html");

/// Shows all routes on one HTML page.
#[utoipa::path(
    get, path = "/docs", tag = "documentation",
    responses((status = 200, description = "The page", content_type = "text/html", body = String)),
)]
pub(super) async fn page() -> Html<&'static str> {
    static HTML: LazyLock<String> = LazyLock::new(|| page_of(openapi::document()));
    Html(&HTML)
}

/// Renders a document as HTML.
fn page_of(document: &Value) -> String {
    let empty = Map::new();
    let mut routes = String::new();
    for (path, item) in document["paths"].as_object().unwrap_or(&empty) {
        for (method, operation) in item.as_object().unwrap_or(&empty) {
            // Writing to a string cannot fail.
            let _ = route(&mut routes, path, method, operation);
        }
    }
    let mut shapes = String::new();
    for (name, shape) in document["components"]["schemas"].as_object().unwrap_or(&empty) {
        let (name, shape) = (escaped(name), json(shape));
        let _ = writeln!(shapes, "<details id=\"{name}\"><summary><code>{name}</code></summary>{shape}</details>");
    }
    let about = escaped(document["info"]["description"].as_str().unwrap_or_default());
    PAGE.replace("{about}", &about).replace("{routes}", &routes).replace("{shapes}", &shapes)
}

fn route(page: &mut String, path: &str, method: &str, operation: &Value) -> std::fmt::Result {
    let text = |value: &Value| escaped(value.as_str().unwrap_or_default());
    let old = if operation["deprecated"] == true { " class=\"old\"" } else { "" };
    writeln!(
        page,
        "<details{old}><summary><b>{}</b> <code>{}</code> {}</summary>",
        method.to_uppercase(),
        escaped(path),
        text(&operation["summary"])
    )?;
    if operation["description"].is_string() {
        writeln!(page, "<p>{}</p>", text(&operation["description"]))?;
    }
    writeln!(page, "<table>")?;
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
        let (shape, meaning) = (shape(&parameter["schema"]), text(&parameter["description"]));
        writeln!(page, "<tr><td><code>{name}</code><td>{place}<td>{shape}<td>{meaning}</tr>")?;
    }
    if let Some(body) = operation.get("requestBody") {
        let needed = if body["required"] == true { "" } else { "optional" };
        let shape = shape(&body["content"]["application/json"]["schema"]);
        writeln!(page, "<tr><td>body<td>JSON<td>{shape}<td>{needed}</tr>")?;
    }
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let content = answer["content"].as_object().into_iter().flatten().next();
        let kind = content.map(|(kind, _)| escaped(kind)).unwrap_or_default();
        let shape = content.map(|(_, content)| shape(&content["schema"])).unwrap_or_default();
        let meaning = text(&answer["description"]);
        writeln!(page, "<tr><td>{}<td>{kind}<td>{shape}<td>{meaning}</tr>", escaped(status))?;
    }
    writeln!(page, "</table></details>")
}

/// Renders a schema in one line: its name as a link, or its text.
fn shape(schema: &Value) -> String {
    match schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        Some(name) => format!("<a href=\"#{0}\"><code>{0}</code></a>", escaped(name)),
        None => format!("<code>{}</code>", escaped(&schema.to_string())),
    }
}

/// Renders JSON with its references as links.
fn json(value: &Value) -> String {
    // A `Value` can always be serialised.
    let text = escaped(&serde_json::to_string_pretty(value).unwrap_or_default());
    let mut parts = text.split("#/components/schemas/");
    let mut linked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("&quot;").unwrap_or((part, ""));
        let _ = write!(linked, "<a href=\"#{name}\">{name}</a>&quot;{rest}");
    }
    format!("<pre>{linked}</pre>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn page_lists_every_route_and_loads_no_external_resource() {
        let page = page_of(openapi::document());
        for path in openapi::document()["paths"].as_object().unwrap().keys() {
            assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
        }
        assert!(page.contains("<a href=\"#Failure\">"), "{page}");
        for word in ["{routes}", "http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn descriptions_are_escaped_as_html() {
        let page = page_of(&json!({"paths": {"/<b>": {"get": {"summary": "<script>", "description": "a & b"}}},
            "info": {}, "components": {"schemas": {"A\"": {"example": "</pre>"}}}}));
        for (escaped, raw) in [("&lt;script&gt;", "<script>"), ("a &amp; b", "a & b"), ("&lt;/pre&gt;", "\"</pre>")] {
            assert!(page.contains(escaped) && !page.contains(raw), "{page}");
        }
    }
}
