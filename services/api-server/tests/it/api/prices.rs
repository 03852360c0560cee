//! Tests of `/api/prices`.

use serde_json::{Value, json};

use crate::site::{Site, on_both};

on_both!(overrides_are_put_shown_and_removed, every_mistake_is_told_and_nothing_applied);

fn overrides() -> Value {
    json!({"v": 1, "note": "Ours", "prices": [
        {"id": "openai/gpt-4.1", "base": {"in": "1.5", "out": "7"}},
        {"id": "mine", "provider_id": "my-vllm", "match": ["llama-*"], "free": true},
    ]})
}

async fn overrides_are_put_shown_and_removed(site: &Site) {
    let shipped = site.get("/api/prices").await.expect(200);
    assert_eq!((&shipped["overrides"], &shipped["updated_at"]), (&Value::Null, &Value::Null));
    let rows = shipped["prices"].as_array().unwrap();
    assert!(rows.len() > 20 && rows.iter().all(|row| row["source"] == "shipped"), "{shipped}");
    let version = shipped["version"].as_str().unwrap();

    let shown = site.put("/api/prices", overrides()).await.expect(200);
    assert_eq!(site.get("/api/prices").await.expect(200), shown);
    assert_eq!(shown["overrides"], overrides());
    assert!(shown["updated_at"].is_i64());
    assert!(shown["version"].as_str().unwrap().starts_with(&format!("{version}+api.")), "{shown}");
    let first = &shown["prices"][0];
    assert_eq!(
        (&first["id"], &first["source"], &first["verified"]),
        (&json!("openai/gpt-4.1"), &json!("api"), &json!(true))
    );
    assert_eq!(first["price"], overrides()["prices"][0]);
    assert_eq!(first["digest"].as_str().unwrap().len(), 12);
    assert_eq!(shown["prices"].as_array().unwrap().len(), rows.len() + 2);

    let done = json!({"success": true, "message": "Price overrides deleted"});
    assert_eq!(site.delete("/api/prices").await.expect(200), done);
    assert_eq!(site.delete("/api/prices").await.expect(200), done);
    assert_eq!(site.get("/api/prices").await.expect(200), shipped);

    let audit = site.get("/api/audit?resource=prices").await.expect(200);
    let actions: Vec<_> = audit["entries"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["deleted", "created"]);
    let before = audit["entries"][0]["before"]["document"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(before).unwrap(), overrides());
}

async fn every_mistake_is_told_and_nothing_applied(site: &Site) {
    let before = site.put("/api/prices", overrides()).await.expect(200);
    let bad = json!({"v": 2, "surprise": 1, "prices": [
        {"id": "openai/a", "base": {"in": "-1", "out": "2"}},
        {"id": "openai/b", "base": {"in": "1", "out": "2"}, "weather": "fine"},
    ]});
    let mistakes = site.put("/api/prices", bad).await.mistakes();
    for part in ["v must be 1", "prices.0.base.in (openai/a)", "prices.1.weather (openai/b)", "surprise"] {
        assert!(mistakes.iter().any(|mistake| mistake.contains(part)), "{part} is not in {mistakes:?}");
    }
    assert_eq!(mistakes.len(), 4, "{mistakes:?}");
    let missing = site.put("/api/prices", json!({})).await.mistakes();
    assert!(missing.iter().any(|mistake| mistake.contains("prices is missing")), "{missing:?}");
    site.put("/api/prices", json!([])).await.mistakes();
    assert_eq!(site.get("/api/prices").await.expect(200), before);
}
