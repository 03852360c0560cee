//! The list of models for clients of Anthropic.

use serde_json::{Value, json};

use super::Api;

#[tokio::test]
async fn an_entry_says_what_is_known_about_its_model() {
    let gateway = Api::Chat.gateway().await;
    let api = &gateway.stack.api;
    for (id, name, capabilities) in
        [("seen", "A model that sees", json!(["chat", "vision"])), ("plain", "plain", json!(["chat"]))]
    {
        api.post("/api/models", &json!({"id": id, "name": name, "capabilities": capabilities})).await.expect(201);
        let link = json!({"model_id": id, "config": {"upstream_model": "m"}});
        api.post("/api/providers/fake/models", &link).await.expect(201);
    }
    let prices = json!({"prices": [{"id": "fake-m", "provider_id": "fake", "match": ["m"], "ctx": 200_000, "max": 64_000,
        "base": {"in": "2", "out": "8"}}]});
    api.put("/api/prices", &prices).await.expect(200);
    let route = json!({"model": "thinker", "targets": [{"provider": "fake", "model": "claude-opus-5-5"}]});
    api.post("/api/routes", &route).await.expect(201);
    gateway.router.post("/v1/providers/fake/reload", &json!({})).await.expect(200);

    let anthropic = gateway.router.with_header("anthropic-version", "2023-06-01");
    let entry = async |id: &str| -> Value {
        let one = anthropic.get(&format!("/v1/models/{id}")).await.expect(200).json();
        let list = anthropic.get("/v1/models?limit=1000").await.expect(200).json();
        let listed = list["data"].as_array().unwrap().iter().find(|entry| entry["id"] == id);
        assert_eq!(listed, Some(&one), "{list}");
        one
    };
    let seen = entry("seen").await;
    assert_eq!((&seen["display_name"], &seen["type"]), (&json!("A model that sees"), &json!("model")), "{seen}");
    assert_eq!((&seen["max_input_tokens"], &seen["max_tokens"]), (&json!(200_000), &json!(64_000)), "{seen}");
    assert_eq!(seen["capabilities"], json!({"image_input": {"supported": true}}), "{seen}");
    let plain = entry("plain").await;
    assert_eq!((plain.get("capabilities"), &plain["max_tokens"]), (None, &json!(64_000)), "{plain}");
    let thinker = entry("thinker").await;
    assert_eq!(thinker["capabilities"]["thinking"]["types"]["adaptive"]["supported"], true, "{thinker}");
    assert_eq!((thinker.get("max_input_tokens"), &thinker["display_name"]), (None, &json!("thinker")), "{thinker}");

    // Clients of OpenAI get its own form.
    let of_openai = gateway.router.get("/v1/models/seen").await.expect(200).json();
    let mut fields: Vec<&String> = of_openai.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["created", "id", "object", "owned_by"]);
}
