//! Models that providers list become models of the catalogue.

use serde_json::{Value, json};
use signalbox_fakes::{ClosedPort, FakeProvider};
use signalbox_harness::{Stack, eventually};

use crate::gateway::{CHAT, chat};

#[tokio::test]
async fn what_providers_list_can_be_asked_for_and_nobody_waits_for_the_dead() {
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
    // It is in force when the answer comes.
    router.post(CHAT, &chat(model, false)).await.expect(200);

    // The original's route, all providers at once: what is there stays, and the dead one is told.
    let all = router.post("/v1/models/sync", &json!({})).await.expect(200).json();
    assert_eq!((&all["success"], &all["message"]), (&false.into(), &"Model sync completed with errors".into()));
    assert_eq!((&all["results"]["fake"]["success"], &all["results"]["fake"]["modelsAdded"]), (&true.into(), &0.into()));
    assert!(all["results"]["dead"]["error"].is_string() && all["totals"]["failed"].as_u64() >= Some(1), "{all}");
    let audited = stack.api.get("/api/audit?actor=router&resource=model").await.expect(200).json();
    assert!(audited["total"].as_u64() >= Some(1), "{audited}");
}

#[tokio::test]
async fn who_cannot_be_synced_is_told_so() {
    let stack = Stack::start().await;
    let router = stack.router().await;
    let unknown = router.post("/v1/models/sync/nobody", &json!({})).await.expect(404).json();
    assert!(unknown["success"] == false && unknown["error"].as_str().unwrap().contains("nobody"), "{unknown}");
    let missing = stack.api.post("/api/models/sync/nobody", &json!({})).await.expect(404).json();
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
