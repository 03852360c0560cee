//! Changes of the catalogue take effect without a restart, whichever process commits them.

use serde_json::json;
use signalbox_fakes::FakeProvider;
use signalbox_harness::{Home, Stack, eventually};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::gateway::{CHAT, Gateway, chat};

/// Opens a connection to the database of the services, as another process would.
pub(crate) async fn database(home: &Home) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(home.data().join("signalbox.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Waits until requests for `model` get this status.
async fn status_becomes(stack: &Stack, model: &str, status: u16) {
    let router = stack.router().await;
    let what = format!("status {status} of {model}");
    eventually(&what, async || (router.post(CHAT, &chat(model, false)).await.status == status).then_some(())).await;
}

#[tokio::test]
async fn a_provider_added_by_rest_is_usable() {
    let stack = Stack::start().await;
    let fake = FakeProvider::start().await.unwrap();
    let created = stack.create_provider("new", &fake.url()).await.expect(201);
    assert!(!created.text().contains("sk-test-0123456789abcdef"), "a secret in {}", created.text());
    status_becomes(&stack, "new/m", 200).await;
    assert_eq!(fake.calls_of("m")[0].header("authorization"), Some("Bearer sk-test-0123456789abcdef"));
    assert_eq!(stack.create_provider("new", &fake.url()).await.status, 409);
}

#[tokio::test]
async fn a_provider_committed_by_another_process_is_usable() {
    let stack = Stack::start().await;
    let fake = FakeProvider::start().await.unwrap();
    let mut database = database(&stack.home).await;
    let mut transaction = database.begin().await.unwrap();
    sqlx::query("INSERT INTO providers (id, name, type, enabled, priority, created_at, updated_at) VALUES ('sql', 'By SQL', 'openai', TRUE, 1, 1, 1)")
        .execute(&mut *transaction)
        .await
        .unwrap();
    sqlx::query("INSERT INTO provider_configs (provider_id, key, value, is_sensitive, created_at, updated_at) VALUES ('sql', 'baseURL', $1, FALSE, 1, 1)")
        .bind(json!(fake.url()).to_string())
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    status_becomes(&stack, "sql/m", 200).await;
    let changed = sqlx::query("UPDATE providers SET enabled = FALSE WHERE id = 'sql'").execute(&mut database).await;
    assert_eq!(changed.unwrap().rows_affected(), 1);
    status_becomes(&stack, "sql/m", 404).await;
}

#[tokio::test]
async fn a_disabled_provider_is_removed_and_restored() {
    let gateway = Gateway::start().await;
    let stack = &gateway.stack;
    status_becomes(stack, "fake/m", 200).await;
    let disabled = stack.api.post("/api/providers/fake/disable", &json!({})).await.expect(200);
    assert_eq!(disabled.json()["enabled"], false);
    status_becomes(stack, "fake/m", 404).await;
    stack.api.post("/api/providers/fake/enable", &json!({})).await.expect(200);
    status_becomes(stack, "fake/m", 200).await;
}

#[tokio::test]
async fn a_deleted_provider_is_removed() {
    let gateway = Gateway::start().await;
    let stack = &gateway.stack;
    status_becomes(stack, "fake/m", 200).await;
    assert_eq!(stack.api.delete("/api/providers/fake").await.expect(200).json()["success"], true);
    status_becomes(stack, "fake/m", 404).await;
    assert_eq!(stack.api.get("/api/providers/fake").await.status, 404);
}

#[tokio::test]
async fn a_changed_address_is_used_by_the_next_request() {
    let gateway = Gateway::start().await;
    let moved = FakeProvider::start().await.unwrap();
    status_becomes(&gateway.stack, "fake/m", 200).await;
    let change = json!({"config": {"baseURL": moved.url()}});
    gateway.stack.api.put("/api/providers/fake/config", &change).await.expect(200);
    eventually("a call at the new address", async || {
        gateway.ask("fake/m").await.expect(200);
        (!moved.calls().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn models_links_and_the_active_provider_apply_without_a_restart() {
    let gateway = Gateway::start().await;
    let api = &gateway.stack.api;
    let listed = async |wanted: bool| {
        eventually(if wanted { "a model in the list" } else { "its end" }, async || {
            let models = gateway.router.get("/v1/models").await.expect(200).json();
            let found = models["data"].as_array().unwrap().iter().any(|model| model["id"] == "fast");
            (found == wanted).then_some(())
        })
        .await;
    };
    api.post("/api/models", &json!({"id": "fast", "name": "Fast"})).await.expect(201);
    let link = json!({"model_id": "fast", "is_default": true, "config": {"upstream_model": "m"}});
    api.post("/api/providers/fake/models", &link).await.expect(201);
    listed(true).await;
    gateway.ask("fast").await.expect(200);
    assert_eq!(gateway.fake.calls_of("m").len(), 1, "under the name the provider knows it by");

    let nameless = json!({"messages": [{"role": "user", "content": "hi"}]});
    gateway.router.post(CHAT, &nameless).await.expect(200);
    assert_eq!(gateway.fake.calls_of("m").len(), 1, "the active provider is the echo");
    api.put("/api/settings/active_provider", &json!({"value": "fake"})).await.expect(200);
    eventually("the default of the active provider", async || {
        gateway.router.post(CHAT, &nameless).await.expect(200);
        (gateway.fake.calls_of("m").len() == 2).then_some(())
    })
    .await;
    api.delete("/api/providers/fake/models/fast").await.expect(200);
    listed(false).await;
}

#[tokio::test]
async fn the_router_reports_the_state_of_a_provider() {
    let stack = Stack::start().await;
    let fake = FakeProvider::start().await.unwrap();
    stack.create_provider("good", &fake.url()).await.expect(201);
    let bad = json!({"id": "bad", "name": "bad", "type": "mine", "enabled": true});
    stack.api.post("/api/providers", &bad).await.expect(201);
    stack.create_provider("gone", "http://127.0.0.1:1/v1").await.expect(201);
    let test =
        async |id: &str| stack.api.post(&format!("/api/providers/{id}/test"), &json!({})).await.expect(200).json();

    let good = test("good").await;
    assert_eq!((&good["healthy"], &good["error"]), (&json!(true), &json!(null)), "{good}");
    let gone = test("gone").await;
    assert_eq!(gone["healthy"], false);
    assert!(gone["error"].as_str().is_some_and(|error| !error.is_empty()), "{gone}");
    assert_eq!(test("bad").await["healthy"], false);

    let reloaded = stack.api.post("/api/providers/good/reload", &json!({})).await.expect(200).json();
    assert_eq!((&reloaded["provider_id"], &reloaded["type"]), (&json!("good"), &json!("openai")));

    let list = stack.api.get("/api/providers").await.expect(200).json();
    let status = |id: &str| {
        list["providers"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap()["runtime_status"].clone()
    };
    assert_eq!(["good", "bad", "lm-studio-default"].map(status), ["loaded", "error", "not_loaded"]);
    let router = stack.router().await;
    assert_eq!(router.get("/v1/providers/missing").await.status, 404);
    assert_eq!(router.get("/v1/providers/lm-studio-default").await.status, 400);
}
