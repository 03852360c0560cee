//! The active provider: a switch affects all models that the provider serves or may serve, and the list of models.

use serde_json::{Value, json};
use signalbox_fakes::{FakeProvider, Turn, script::FaultKind};
use signalbox_harness::{Client, Home, Launch, Stack, eventually};

use crate::gateway::{CHAT, chat, error_of, request_id};
use crate::lone_router::LoneRouter;

/// The providers of a new installation, reconfigured to call fakes: `lm-studio-default` has no linked model, and
/// `qwen-proxy-default` has `qwen3-max`.
struct Fresh {
    stack: Stack,
    router: Client,
    studio: FakeProvider,
    qwen: FakeProvider,
}

// === impl Fresh ===

impl Fresh {
    async fn start() -> Self {
        let (studio, qwen) = (FakeProvider::start().await.unwrap(), FakeProvider::start().await.unwrap());
        let stack = Stack::start().await;
        let router = stack.router().await;
        let fresh = Self { stack, router, studio, qwen };
        let of_qwen = fresh.qwen.url().trim_end_matches("/v1").to_owned();
        for (id, url) in [("lm-studio-default", fresh.studio.url()), ("qwen-proxy-default", of_qwen)] {
            let config = json!({"config": {"baseURL": url}});
            fresh.stack.api.put(&format!("/api/providers/{id}/config"), &config).await.expect(200);
        }
        fresh.enable("lm-studio-default", true).await;
        fresh
    }

    async fn enable(&self, id: &str, enabled: bool) {
        let word = if enabled { "enable" } else { "disable" };
        self.stack.api.post(&format!("/api/providers/{id}/{word}"), &json!({})).await.expect(200);
        self.reload().await;
    }

    async fn switch(&self, id: &str) {
        self.stack.api.put("/api/settings/active_provider", &json!({"value": id})).await.expect(200);
        self.reload().await;
    }

    /// Reloads the catalogue, so that earlier changes are in effect.
    async fn reload(&self) {
        self.stack.api.post("/api/providers/echo/reload", &json!({})).await.expect(200);
    }

    /// Returns the provider that answers a request for `model`.
    async fn answers(&self, model: &str) -> String {
        let answer = self.router.post(CHAT, &chat(model, false)).await.expect(200);
        let row = self.stack.recorded(&request_id(&answer)).await;
        row["provider_id"].as_str().unwrap().to_owned()
    }
}

/// Returns the ids listed by `GET /v1/models`, in order.
async fn listed(router: &Client) -> Vec<String> {
    let list = router.get("/v1/models").await.expect(200).json();
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().unwrap();
    for model in models {
        assert!(model["object"] == "model" && model["created"].is_i64() && model["owned_by"].is_string(), "{model}");
    }
    models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the list begins with these ids.
async fn list_begins(router: &Client, expected: &[&str]) {
    let what = format!("a list that begins with {expected:?}");
    eventually(&what, async || {
        listed(router).await.starts_with(&expected.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()).then_some(())
    })
    .await;
}

fn models(ids: &[&str]) -> Turn {
    let data: Vec<Value> = ids.iter().map(|id| json!({"id": id, "object": "model"})).collect();
    Turn::raw("application/json", json!({"object": "list", "data": data}).to_string())
}

#[tokio::test]
async fn a_switch_applies_to_linked_models_and_failures_fall_back_to_the_links() {
    let fresh = Fresh::start().await;
    assert_eq!(fresh.answers("qwen3-max").await, "qwen-proxy-default");
    fresh.switch("lm-studio-default").await;
    assert_eq!(fresh.answers("qwen3-max").await, "lm-studio-default");
    assert_eq!(fresh.answers("echo").await, "lm-studio-default", "it has no links, so it may serve any model");

    for turn in [Turn::error(503), Turn::error(404), Turn::error(401), Turn::echo().before_head(FaultKind::Reset)] {
        let asked = fresh.studio.calls_of("qwen3-max").len();
        fresh.studio.script("qwen3-max", turn);
        assert_eq!(fresh.answers("qwen3-max").await, "qwen-proxy-default");
        assert!(fresh.studio.calls_of("qwen3-max").len() > asked, "the active provider was not asked first");
    }

    // A disabled provider gets no requests; once enabled again, it does.
    fresh.enable("lm-studio-default", false).await;
    let asked = fresh.studio.calls().len();
    assert_eq!(fresh.answers("qwen3-max").await, "qwen-proxy-default");
    assert_eq!(fresh.studio.calls().len(), asked);
    fresh.enable("lm-studio-default", true).await;
    fresh.studio.script("qwen3-max", Turn::echo());
    assert_eq!(fresh.answers("qwen3-max").await, "lm-studio-default");

    // With links, a provider serves the linked models and those of its own list.
    fresh.studio.lists(models(&["local"]));
    fresh.stack.api.post("/api/models/sync/lm-studio-default", &json!({})).await.expect(200);
    assert_eq!(fresh.answers("local").await, "lm-studio-default");
    assert_eq!(fresh.answers("qwen3-max").await, "qwen-proxy-default");
    assert_eq!(fresh.answers("lm-studio-default/qwen3-max").await, "lm-studio-default");
}

#[tokio::test]
async fn the_list_begins_with_the_models_of_the_active_provider() {
    let fresh = Fresh::start().await;
    list_begins(&fresh.router, &["echo", "qwen3-max"]).await;
    fresh.studio.lists(models(&["z-model", "a-model"]));
    fresh.switch("lm-studio-default").await;
    list_begins(&fresh.router, &["z-model", "a-model", "echo", "qwen3-max"]).await;
    fresh.qwen.lists(models(&["qwen3-max", "qwen3-coder"]));
    fresh.switch("qwen-proxy-default").await;
    list_begins(&fresh.router, &["qwen3-max", "qwen3-coder", "echo"]).await;
    // The model is not linked to the provider, but the provider lists it.
    assert_eq!(fresh.answers("qwen3-coder").await, "qwen-proxy-default");

    // A new address has a new list.
    let moved = FakeProvider::start().await.unwrap();
    moved.lists(models(&["moved"]));
    let config = json!({"config": {"baseURL": moved.url().trim_end_matches("/v1")}});
    fresh.stack.api.put("/api/providers/qwen-proxy-default/config", &config).await.expect(200);
    list_begins(&fresh.router, &["moved"]).await;
}

#[tokio::test]
async fn every_usable_name_is_listed_as_a_model() {
    let fresh = Fresh::start().await;
    fresh.studio.lists(models(&["vendor/local:q4"]));
    fresh.switch("lm-studio-default").await;
    list_begins(&fresh.router, &["vendor/local:q4"]).await;
    for (path, id) in [
        ("echo", "echo"),
        ("qwen3-max", "qwen3-max"),
        ("vendor/local:q4", "vendor/local:q4"),
        ("vendor%2Flocal%3Aq4", "vendor/local:q4"),
        ("lm-studio-default%2Fvendor%2Flocal%3Aq4", "lm-studio-default/vendor/local:q4"),
        ("qwen-proxy-default/qwen3-max", "qwen-proxy-default/qwen3-max"),
        ("qwen-proxy-default%2Fqwen3-max", "qwen-proxy-default/qwen3-max"),
        ("qwen-proxy-default%2Fother", "qwen-proxy-default/other"),
    ] {
        fresh.router.post(CHAT, &chat(id, false)).await.expect(200);
        let model = fresh.router.get(&format!("/v1/models/{path}")).await.expect(200).json();
        assert_eq!((&model["id"], &model["object"]), (&json!(id), &json!("model")), "{model}");
        assert!(model["owned_by"].as_str().is_some_and(|owner| !owner.is_empty()), "{model}");
    }
    fresh.switch("echo").await;
    fresh.enable("lm-studio-default", false).await;
    for unknown in ["missing", "lm-studio-default%2Flocal", "a/b/c"] {
        let refused = fresh.router.get(&format!("/v1/models/{unknown}")).await;
        assert_eq!(error_of(&refused, 404)["code"], "model_not_found", "{unknown}");
    }
}

#[tokio::test]
async fn a_model_list_survives_outages_and_restarts() {
    let mut lone = LoneRouter::launch(Launch::default()).await;
    let many: Vec<String> = (0..3000).map(|n| format!("vendor/model-{n}:free")).collect();
    let ids: Vec<&str> = many.iter().map(String::as_str).collect();
    lone.fake.lists(models(&ids));
    let active = |id: &str| vec![("active_provider".to_owned(), id.to_owned())];
    signalbox_store::settings::put(&lone.store, &active("fake"), 1).await.unwrap();
    list_begins(&lone.client(), &ids).await;
    assert_eq!(listed(&lone.client()).await[3000..], ["echo", "qwen3-max"]);
    let model = lone.client().get("/v1/models/vendor%2Fmodel-2999:free").await.expect(200).json();
    assert_eq!(model["id"], "vendor/model-2999:free");

    // An error, an invalid list, a timeout: the last good list is kept, and requests do not wait for a new one.
    for turn in [Turn::error(500), Turn::raw("text/html", "<p>"), Turn::raw("application/json", r#"{"error":"no"}"#)] {
        lone.fake.lists(turn);
        let asked = lone.fake.list_calls().len();
        // A change of the provider triggers a new request of its list.
        save_again(lone.home()).await;
        lone.fake.until(|fake| fake.list_calls().iter().filter(|call| call.ended.is_some()).count() > asked).await;
        assert_eq!(listed(&lone.client()).await.len(), 3002);
    }
    lone.fake.lists(Turn::echo().before_head(FaultKind::Stall));
    let asked = lone.fake.list_calls().len();
    save_again(lone.home()).await;
    lone.fake.until(|fake| fake.list_calls().len() > asked).await;
    assert_eq!(listed(&lone.client()).await.len(), 3002);
    assert!(lone.fake.list_calls().iter().any(|call| call.ended.is_none()), "it waits in the background");

    lone.kill9().await;
    lone.start_again().await;
    assert_eq!(listed(&lone.client()).await.len(), 3002);
    let named = lone.client().get("/v1/models?provider=echo").await.expect(200).json();
    assert_eq!(named["data"][0]["id"], "echo");
}

/// Updates the provider `fake` without changing it.
async fn save_again(home: &Home) {
    let mut database = crate::catalog::database(home).await;
    let touch = "UPDATE providers SET updated_at = updated_at + 1 WHERE id = 'fake'";
    sqlx::query(touch).execute(&mut database).await.unwrap();
}

#[tokio::test]
async fn the_models_of_one_provider_can_be_listed() {
    let fresh = Fresh::start().await;
    let of_studio = "/v1/models?provider=lm-studio-default";
    let body = r#"{"object":"list","data":[{"id":"a","object":"model","context_length":4096}]}"#;
    fresh.studio.lists(Turn::raw("application/json", body));
    assert_eq!(fresh.router.get(of_studio).await.expect(200).text(), body, "unchanged");
    fresh.studio.lists(Turn::raw("application/json", r#"[{"id":"b"},{"object":"model"}]"#));
    let list = fresh.router.get(of_studio).await.expect(200).json();
    assert_eq!(
        (&list["object"], &list["data"][0]["id"]),
        (&json!("list"), &json!("b")),
        "in the shape of OpenAI's API"
    );
    assert_eq!(fresh.router.get("/v1/models?provider=missing").await.status, 404);
}

#[tokio::test]
async fn a_request_without_a_model_uses_the_default_of_the_active_provider() {
    let fresh = Fresh::start().await;
    let nameless = json!({"messages": [{"role": "user", "content": "one two three"}]});
    let ask = async || fresh.router.post(CHAT, &nameless).await;

    fresh.switch("lm-studio-default").await;
    let refused = error_of(&ask().await, 400);
    assert_eq!((&refused["param"], &refused["code"]), (&json!("model"), &json!("missing_required_parameter")));
    let words = refused["message"].as_str().unwrap();
    assert!(words.contains("lm-studio-default") && words.contains("defaultModel"), "{words}");
    let config = json!({"config": {"defaultModel": "my-default"}});
    fresh.stack.api.put("/api/providers/lm-studio-default/config", &config).await.expect(200);
    fresh.reload().await;
    ask().await.expect(200);
    assert_eq!(fresh.studio.calls_of("my-default").len(), 1);

    // A default link counts as a link, and so do the models that qwen-proxy accepts by itself.
    fresh.switch("qwen-proxy-default").await;
    ask().await.expect(200);
    assert_eq!(fresh.qwen.calls_of("qwen3-max").len(), 1);
    fresh.stack.api.delete("/api/providers/qwen-proxy-default/models/qwen3-max").await.expect(200);
    fresh.reload().await;
    ask().await.expect(200);
    let body: Value = serde_json::from_slice(&fresh.qwen.calls_of("")[0].body).unwrap();
    assert_eq!(body, nameless, "it gets the unchanged request");

    fresh.enable("qwen-proxy-default", false).await;
    let words = error_of(&ask().await, 400)["message"].clone();
    assert!(words.as_str().unwrap().contains("`qwen-proxy-default` is not enabled"), "{words}");
    fresh.stack.api.delete("/api/settings/active_provider").await.expect(200);
    fresh.reload().await;
    let words = error_of(&ask().await, 400)["message"].clone();
    assert!(words.as_str().unwrap().contains("active_provider"), "{words}");
}

#[tokio::test]
async fn a_new_installation_has_an_active_provider_which_the_first_login_replaces() {
    let stack = Stack::start().await;
    let active = async || stack.api.get("/api/settings/active_provider").await.expect(200).json()["value"].clone();
    assert_eq!(active().await, "echo");
    let nameless = json!({"messages": [{"role": "user", "content": "one two three"}]});
    let answer = stack.router().await.post(CHAT, &nameless).await.expect(200);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "one two three");

    let login = json!({"token": "t".repeat(40), "cookies": "token=abc", "expiresAt": 4_000_000_000_u64});
    let stored = stack.api.post("/api/qwen/credentials", &login).await;
    assert!(matches!(stored.status, 200 | 201), "{}", stored.text());
    assert_eq!(active().await, "qwen-proxy-default");
    stack.api.put("/api/settings/active_provider", &json!({"value": "echo"})).await.expect(200);
    stack.api.post("/api/qwen/credentials", &login).await;
    assert_eq!(active().await, "echo", "it was selected explicitly");
}

#[tokio::test]
async fn providers_are_filtered() {
    let fresh = Fresh::start().await;
    fresh.enable("lm-studio-default", false).await;
    for (query, expected) in [
        ("", "lm-studio-default qwen-proxy-default echo"),
        ("?type=echo", "echo"),
        ("?enabled=true", "qwen-proxy-default echo"),
        ("?enabled=false", "lm-studio-default"),
        ("?type=lm-studio&enabled=true", ""),
    ] {
        let list = fresh.router.get(&format!("/v1/providers{query}")).await.expect(200).json();
        let ids: Vec<&str> =
            list["providers"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!((ids.join(" ").as_str(), &list["total"]), (expected, &json!(ids.len())), "{query}");
    }
}
