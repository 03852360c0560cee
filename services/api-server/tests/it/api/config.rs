//! Tests of `/api/config`.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use signalbox_store::{provider_configs, settings};

use crate::site::{Answer, Site, on_both};

on_both!(
    a_document_is_applied_and_exported,
    a_dry_run_changes_nothing,
    a_plan_has_the_values_and_is_applied_only_to_the_version_it_was_made_for,
    pruning_deletes_only_in_the_sections_that_are_there,
    all_mistakes_come_at_once_and_nothing_is_written,
    what_cannot_be_read_is_told,
    what_toml_cannot_say_is_a_conflict,
);

const DOCUMENT: &str = r#"
[providers.mine]
name = "Mine"
type = "openai"
priority = 3
config.apiKey = "${file:openai}"
config.timeout = 5000
models."gpt/5" = { default = true, config = { upstream_model = "gpt-5" } }

[models."gpt/5"]
capabilities = ["chat"]

[settings]
active_provider = "mine"
"server.timeout" = 60000
"#;

async fn send(site: &Site, path: &str, media_type: Option<&str>, text: &str) -> Answer {
    let mut request = Request::builder().method(Method::POST).uri(path).header("host", "127.0.0.1:3002");
    if let Some(media_type) = media_type {
        request = request.header("content-type", media_type);
    }
    site.send(request.body(Body::from(text.to_owned())).unwrap()).await
}

async fn apply(site: &Site, query: &str, text: &str) -> Answer {
    send(site, &format!("/api/config/apply{query}"), None, text).await
}

async fn export(site: &Site, query: &str, accept: &str) -> (u16, String) {
    let request = Request::get(format!("/api/config/export{query}")).header("host", "127.0.0.1:3002");
    site.text(request.header("accept", accept).body(Body::empty()).unwrap()).await
}

fn secret(site: &Site) {
    std::fs::create_dir_all(site.dir.path().join("secrets")).unwrap();
    std::fs::write(site.dir.path().join("secrets/openai"), "sk-canary\n").unwrap();
}

async fn a_document_is_applied_and_exported(site: &Site) {
    secret(site);
    let applied = apply(site, "", DOCUMENT).await.expect(200);
    let created = ["providers.mine", "providers.mine.models.gpt/5", "models.gpt/5", "settings.server.timeout"];
    assert_eq!(applied["created"], json!(created));
    assert_eq!(applied["updated"][0]["path"], "settings.active_provider");
    assert_eq!(
        (&applied["dry_run"], &applied["deleted"], &applied["unchanged"]),
        (&json!(false), &json!([]), &json!([]))
    );
    let again = apply(site, "", DOCUMENT).await.expect(200);
    assert_eq!(again["unchanged"].as_array().unwrap().len(), 5, "{again}");
    let provider = site.get("/api/providers/mine").await.expect(200);
    assert_eq!((&provider["name"], &provider["config"]["timeout"]), (&json!("Mine"), &json!(5000)));
    assert_eq!(provider["models"][0]["provider_config"], json!({"upstream_model": "gpt-5"}));
    let revealed = site.get("/api/providers/mine/config?mask=false").await.expect(200);
    assert_eq!(revealed["config"]["apiKey"], "sk-canary");

    let (status, toml) = export(site, "", "*/*").await;
    assert!(status == 200 && toml.starts_with("# ") && toml.contains("providers.mine.config.apiKey"), "{toml}");
    assert!(toml.contains("[providers.mine.config]\napiKey = \"***MASKED***\"\ntimeout = 5000\n"), "{toml}");
    let (_, yaml) = export(site, "", "text/html, application/yaml;q=0.9").await;
    assert!(yaml.contains("\nproviders:\n") && yaml.contains("      apiKey: '***MASKED***'\n"), "{yaml}");
    let (_, text) = export(site, "?format=json", "application/yaml").await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["settings"], json!({"active_provider": "mine", "server.timeout": 60_000}));
    assert_eq!(
        document["providers"]["mine"]["models"],
        json!({"gpt/5": {"default": true, "config": {"upstream_model": "gpt-5"}}})
    );
    for (media_type, text) in
        [("application/toml", toml), ("text/yaml; charset=utf-8", yaml), ("application/json", text)]
    {
        assert!(!text.contains("canary"), "a secret in {text}");
        let same = send(site, "/api/config/apply?prune=true", Some(media_type), &text).await.expect(200);
        assert_eq!(
            (&same["created"], &same["updated"], &same["deleted"]),
            (&json!([]), &json!([]), &json!([])),
            "{media_type}"
        );
    }
}

async fn a_dry_run_changes_nothing(site: &Site) {
    secret(site);
    let planned = apply(site, "?dry_run=true&prune=true", DOCUMENT).await.expect(200);
    assert_eq!((&planned["dry_run"], planned["created"].as_array().unwrap().len()), (&json!(true), 4));
    assert!(planned["deleted"].as_array().unwrap().contains(&json!("providers.echo")));
    site.get("/api/providers/mine").await.expect(404);
    site.get("/api/providers/echo").await.expect(200);
    assert_eq!(settings::list(&site.store).await.unwrap()[0].value, "echo");
}

async fn a_plan_has_the_values_and_is_applied_only_to_the_version_it_was_made_for(site: &Site) {
    secret(site);
    apply(site, "", DOCUMENT).await.expect(200);
    let changed = DOCUMENT
        .replace("priority = 3", "priority = 4")
        .replace("config.timeout = 5000\n", "")
        .replace("config.apiKey = \"${file:openai}\"", "config.apiKey = \"sk-new-canary\"\nconfig.defaultModel = \"x\"")
        .replace("60000", "70000")
        + "\n[providers.other]\ntype = \"echo\"\nconfig.delay = 9\n";
    let planned = apply(site, "?dry_run=true&prune=true", &changed).await.expect(200);
    let change = |path: &str, field: &str, before: Value, after: Value| json!({"path": path, "field": field, "before": before, "after": after});
    let masked = json!("***MASKED***");
    let expected = [
        change("providers.mine", "priority", json!(3), json!(4)),
        change("providers.mine", "config.apiKey", masked.clone(), masked),
        change("providers.mine", "config.defaultModel", json!(null), json!("x")),
        change("providers.mine", "config.timeout", json!(5000), json!(null)),
        change("settings.server.timeout", "value", json!(60_000), json!(70_000)),
    ];
    assert_eq!(planned["changes"], json!(expected), "created entries have no single fields");
    assert!(!planned.to_string().contains("canary"), "{planned}");
    let base = planned["base_version"].as_i64().unwrap();
    let route = json!({"model": "fast", "targets": [{"provider": "echo", "model": "echo"}]});
    site.post("/api/routes", route).await.expect(201);
    let refused = apply(site, &format!("?base_version={base}"), &changed).await;
    assert_eq!(refused.code(409), "configuration_changed");
    assert_eq!(apply(site, &format!("?dry_run=true&base_version={base}"), &changed).await.status, 409);
    assert_eq!(site.get("/api/providers/mine").await.expect(200)["priority"], 3);
    let again = apply(site, "?dry_run=true", &changed).await.expect(200)["base_version"].as_i64().unwrap();
    let applied = apply(site, &format!("?base_version={again}"), &changed).await.expect(200);
    assert_eq!((&applied["base_version"], &applied["dry_run"]), (&json!(again), &json!(false)));
    assert_eq!(site.get("/api/providers/mine").await.expect(200)["priority"], 4);
    for base in ["old", "", "%20"] {
        let mistakes = apply(site, &format!("?base_version={base}"), &changed).await.mistakes();
        assert_eq!(mistakes, ["base_version must be the base_version of a dry run"], "{base:?}");
    }
}

async fn pruning_deletes_only_in_the_sections_that_are_there(site: &Site) {
    settings::put(&site.store, &[("mine".to_owned(), "1".to_owned())], 1).await.unwrap();
    let echo = "[providers.echo]\nname = \"Echo\"\ntype = \"echo\"\nconfig.delay = 7\n[providers.echo.models.echo]\n";
    let kept = apply(site, "", echo).await.expect(200);
    assert_eq!(kept["deleted"], json!([]));
    let what = json!([{"path": "providers.echo", "what": ["description", "config.delay"]}, {"path": "providers.echo.models.echo", "what": ["default"]}]);
    assert_eq!(kept["updated"], what);
    let fewer = "[providers.echo]\nname = \"Echo\"\ntype = \"echo\"\n";
    let pruned = apply(site, "?prune=true", fewer).await.expect(200);
    let gone = json!(["providers.echo.models.echo", "providers.lm-studio-default", "providers.qwen-proxy-default"]);
    assert_eq!(
        (&pruned["deleted"], &pruned["updated"]),
        (&gone, &json!([{"path": "providers.echo", "what": ["config.delay"]}]))
    );
    assert!(provider_configs::list(&site.store, "echo").await.unwrap().is_empty());
    let models = site.get("/api/models").await.expect(200);
    assert_eq!(
        (&models["total"], settings::list(&site.store).await.unwrap().len()),
        (&json!(2), 2),
        "they were not declared"
    );
    let deleted = apply(site, "?prune=true", "models = {}\nsettings = {}").await.expect(200)["deleted"].clone();
    assert_eq!(deleted, json!(["models.echo", "models.qwen3-max", "settings.active_provider", "settings.mine"]));
}

async fn all_mistakes_come_at_once_and_nothing_is_written(site: &Site) {
    let document = r#"
[provider]
[providers.Bad]
type = 1
colour = "red"
config.apiKey = "${env:NOT_SET_ANYWHERE}"
config.other = "${file:../private}"
models.a = { default = true }
models.b = { default = true, weight = 1 }
[providers.good]
type = "openai"
[models."a b"]
capabilities = "chat"
[settings]
"server.port" = 0
"#;
    let secrets = site.dir.path().join("secrets");
    assert_eq!(
        apply(site, "", document).await.mistakes(),
        [
            "provider: unknown section; use providers, models, settings, routes, keys or prices".to_owned(),
            "providers.Bad: an id must contain only lowercase letters, numbers, and hyphens".to_owned(),
            "providers.Bad.type: must be a non-empty string".to_owned(),
            "providers.Bad.type: is required: openai, lm-studio, …".to_owned(),
            "providers.Bad.colour: unknown field".to_owned(),
            "providers.Bad.config.apiKey: environment variables cannot be referenced over HTTP; use ${file:NAME} or \
             `api-server config apply`"
                .to_owned(),
            format!("providers.Bad.config.other: file paths must be relative to {} and inside it", secrets.display()),
            "providers.Bad.models.b.weight: unknown field".to_owned(),
            "providers.Bad.models: only one model can be the default".to_owned(),
            "models.a b: an id must have 1 to 128 letters, digits and the characters - . _ : / @ +".to_owned(),
            "models.a b.capabilities: must be a list of strings".to_owned(),
            "settings.server.port: Port must be between 1 and 65535".to_owned(),
        ]
    );
    let document = r#"
[providers.one]
name = "Echo"
type = "echo"
models.nothing = {}
[providers.two]
type = "openai"
config.apiKey = "***MASKED***"
"#;
    assert_eq!(
        apply(site, "", document).await.mistakes(),
        [
            "providers.one.name: the provider echo already has this name",
            "providers.one.models.nothing: the model does not exist; declare it in the section models",
            "providers.two.config.apiKey: no secret is stored that could be kept; use ${env:NAME} or ${file:PATH}",
        ]
    );
    for id in ["good", "one", "two"] {
        site.get(&format!("/api/providers/{id}")).await.expect(404);
    }
}

async fn what_cannot_be_read_is_told(site: &Site) {
    for (query, text, told) in [
        ("?format=xml", "", "format must be toml, yaml or json"),
        ("?dry_run=maybe", "", "dry_run must be true or false"),
        ("?dry_run=", "", "dry_run must be true or false"),
        ("?dryrun=true", "", "dryrun is not a parameter of this request"),
        ("?dry_run=true&dry_run=false", "", "dry_run is given twice"),
        ("", "[canary\n", "invalid TOML at line 1"),
        ("?format=json", "{canary", "invalid JSON at line 1"),
        ("?format=yaml", "a: [canary", "invalid YAML at line"),
        ("?format=json", "[]", "the document: must be a table"),
    ] {
        let mistakes = apply(site, query, text).await.mistakes();
        assert!(mistakes[0].contains(told) && !mistakes[0].contains("canary"), "{query} {text}: {mistakes:?}");
    }
    let body = Body::from(vec![0xff; 4]);
    let request = Request::post("/api/config/apply").header("host", "127.0.0.1:3002").body(body).unwrap();
    assert_eq!(site.send(request).await.mistakes(), ["the document is not valid UTF-8"]);
    let long = "x".repeat(65 * 1024);
    assert_eq!(apply(site, "", &long).await.status, 413);
    assert_eq!(export(site, "?format=xml", "*/*").await.0, 400);
    assert_eq!(apply(site, "", "").await.expect(200)["created"], json!([]), "an empty document changes nothing");
}

async fn what_toml_cannot_say_is_a_conflict(site: &Site) {
    let odd = json!({"config": {"odd": [null]}});
    site.put("/api/providers/echo/config", odd).await.expect(200);
    let (status, text) = export(site, "", "*/*").await;
    assert_eq!((status, text.contains("request json")), (409, true), "{text}");
    let (status, text) = export(site, "?format=json", "*/*").await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &document["providers"]["echo"]["config"]["odd"]), (200, &json!([null])), "{text}");
}
