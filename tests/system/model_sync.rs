//! Models listed by providers are added to the catalogue.

use serde_json::{Value, json};
use signalbox_fakes::{ClosedPort, FakeProvider, Turn};
use signalbox_harness::{Stack, eventually};

use crate::gateway::{CHAT, Gateway, chat};

#[tokio::test]
async fn listed_models_can_be_requested_and_dead_providers_do_not_delay_the_sync() {
    let stack = Stack::start().await;
    let fake = FakeProvider::start().await.unwrap();
    let closed = ClosedPort::take().unwrap();
    stack.add_provider("fake", &fake.url()).await;
    stack.add_provider("dead", &closed.url().unwrap()).await;
    let router = stack.router().await;

    let synced = stack.api.post("/api/models/sync/fake", &json!({})).await.expect(200).json();
    assert_eq!(synced["success"], true, "{synced}");
    let listed = synced["result"]["totalModels"].as_u64().unwrap();
    assert!(listed > 0 && synced["result"]["linksAdded"] == listed, "{synced}");
    let models = stack.api.get("/api/models?provider=fake").await.expect(200).json();
    let models = models["models"].as_array().unwrap();
    assert_eq!(models.len() as u64, listed);
    let model = models[0]["id"].as_str().unwrap();
    assert_eq!(models[0]["description"], format!("{model} - Discovered from fake"));
    let capabilities: Value = serde_json::from_str(models[0]["capabilities"].as_str().unwrap()).unwrap();
    assert_eq!(capabilities, json!(["chat", "completion"]));
    // The model is usable as soon as the response arrives.
    router.post(CHAT, &chat(model, false)).await.expect(200);

    // The route of the Node.js version, for all providers at once: existing models are kept, and the unreachable
    // provider is reported.
    let all = router.post("/v1/models/sync", &json!({})).await.expect(200).json();
    assert_eq!((&all["success"], &all["message"]), (&false.into(), &"Model sync completed with errors".into()));
    assert_eq!((&all["results"]["fake"]["success"], &all["results"]["fake"]["modelsAdded"]), (&true.into(), &0.into()));
    assert!(all["results"]["dead"]["error"].is_string() && all["totals"]["failed"].as_u64() >= Some(1), "{all}");
    let audited = stack.api.get("/api/audit?actor=router&resource=model").await.expect(200).json();
    assert!(audited["total"].as_u64() >= Some(1), "{audited}");
}

#[tokio::test]
async fn providers_that_cannot_be_synced_are_reported() {
    let stack = Stack::start().await;
    let router = stack.router().await;
    let unknown = router.post("/v1/models/sync/missing", &json!({})).await.expect(404).json();
    assert!(unknown["success"] == false && unknown["error"].as_str().unwrap().contains("missing"), "{unknown}");
    let missing = stack.api.post("/api/models/sync/missing", &json!({})).await.expect(404).json();
    assert_eq!(missing["error"]["code"], "provider_not_found");
    stack.api.post("/api/models/sync/lm-studio-default", &json!({})).await.expect(400);
    router.post("/v1/models/sync/lm-studio-default", &json!({})).await.expect(400);
    stack.api.post("/api/proxy/stop", &json!({})).await.expect(200);
    let away = eventually("the end of the router", async || {
        let answer = stack.api.post("/api/models/sync", &json!({})).await;
        (answer.status == 503).then(|| answer.json())
    })
    .await;
    assert_eq!(away["error"]["code"], "router_unavailable");
}

/// Covers all formats of model lists known from real services.
#[tokio::test]
async fn lists_of_every_shape_are_synced_and_failures_reported() {
    let gateway = Gateway::start().await;
    let router = &gateway.router;
    let sync = async |list: Value| {
        gateway.fake.lists(Turn::raw("application/json", list.to_string()));
        router.post("/v1/models/sync/fake", &json!({})).await.expect(200).json()
    };
    for (list, ids) in [
        (json!([{"id": "t-1", "object": "model"}, {"id": "t-2"}]), "t-1 t-2"),
        (json!({"models": [{"name": "llama3:latest", "model": "llama3:latest"}]}), "llama3:latest"),
        (json!({"models": [{"name": "models/gemini-x", "displayName": "Gemini"}]}), "gemini-x"),
        (json!({"object": "list", "data": [{"id": "models/gemini-y", "owned_by": "google"}]}), "gemini-y"),
        (json!({"k-1": {"context": 1}, "k-2": {}}), "k-1 k-2"),
        (json!({"data": [{"id": "q4@k_m"}]}), "q4@k_m"),
        (json!({"object": "list", "data": null}), ""),
    ] {
        let synced = sync(list.clone()).await;
        let expected = json!({"success": true, "modelsAdded": ids.split_whitespace().count(),
            "linksAdded": ids.split_whitespace().count(), "totalModels": ids.split_whitespace().count()});
        assert_eq!((&synced["success"], &synced["result"]), (&json!(true), &expected), "{list}");
        for id in ids.split_whitespace() {
            router.post(CHAT, &chat(id, false)).await.expect(200);
            assert!(!gateway.fake.calls_of(id).is_empty(), "{id} has another result");
        }
    }

    let mixed = json!({"data": [{"id": "good"}, {"object": "model"}, {"id": "not a name"}, {"id": 7}, {"id": "good"}]});
    let result = sync(mixed).await["result"].clone();
    assert_eq!((&result["success"], &result["totalModels"], &result["skipped"]), (&json!(true), &json!(1), &json!(3)));
    assert!(result["skippedModels"].to_string().contains("not a name"), "{result}");

    // A default chosen by the user is kept, whatever the list has first.
    let default = async || {
        let models = gateway.stack.api.get("/api/providers/fake/models").await.expect(200).json();
        let models = models["models"].as_array().unwrap().clone();
        models.iter().find(|model| model["is_default"] == true).map(|model| model["id"].clone())
    };
    gateway.stack.api.put("/api/providers/fake/models/good/default", &json!({})).await.expect(200);
    sync(json!({"data": [{"id": "newest"}, {"id": "good"}]})).await;
    assert_eq!(default().await, Some(json!("good")));

    for (list, words) in [
        (json!({"error": {"message": "no such key sk-test-0123456789abcdef"}}), "no such key ***MASKED***"),
        (json!(7), "a number"),
        (json!({"detail": "Not authenticated"}), "Not authenticated"),
        (json!([{"object": "model"}]), "none of its 1 entries"),
    ] {
        let failed = sync(list).await;
        assert_eq!((&failed["success"], &failed["result"]["success"]), (&json!(false), &json!(false)), "{failed}");
        assert!(failed["result"]["error"].as_str().unwrap().contains(words), "{failed}");
        let tested = router.post("/v1/providers/fake/test", &json!({})).await.expect(200).json();
        assert!(tested["healthy"] == false && tested["error"].as_str().unwrap().contains(words), "{tested}");
    }
    assert_eq!(default().await, Some(json!("good")));
}

#[tokio::test]
async fn a_list_of_thousands_is_synced_at_once() {
    let gateway = Gateway::start().await;
    let many: Vec<Value> = (0..3000).map(|n| json!({"id": format!("vendor/model-{n}")})).collect();
    gateway.fake.lists(Turn::raw("application/json", json!({"data": many}).to_string()));
    for added in [3000, 0] {
        let synced = gateway.router.post("/v1/models/sync/fake", &json!({})).await.expect(200).json();
        let result = &synced["result"];
        assert_eq!((&result["modelsAdded"], &result["totalModels"]), (&json!(added), &json!(3000)), "{synced}");
    }
    gateway.ask("vendor/model-2999").await.expect(200);
    let list = gateway.router.get("/v1/models").await.expect(200).json();
    assert!(list["data"].as_array().unwrap().len() >= 3000);
}
