use serde_json::{Value, json};
use signalbox_harness::eventually;

use crate::site::{Site, on_both};

on_both!(changes_and_refusals_are_told, bad_queries_are_refused);

async fn entries(site: &Site, query: &str) -> Vec<Value> {
    let mut body = site.get(&format!("/api/audit?{query}")).await.expect(200);
    serde_json::from_value(body["entries"].take()).unwrap()
}

async fn changes_and_refusals_are_told(site: &Site) {
    let config = json!({"baseURL": "http://x.test", "apiKey": "sk-canary-0123456789abcdef"});
    let provider = json!({"id": "p", "name": "P", "type": "openai", "config": config});
    let made = site.post("/api/providers", provider.clone()).await;
    let request_id = made.headers["x-request-id"].to_str().unwrap().to_owned();
    made.expect(201);
    let of_request = entries(site, &format!("request_id={request_id}")).await;
    let things: Vec<_> = of_request.iter().rev().map(|entry| entry["resource_id"].as_str().unwrap()).collect();
    assert_eq!(things[0], "p");
    assert!(things.contains(&"p/apiKey") && things.contains(&"p/baseURL"), "{things:?}");
    for entry in &of_request {
        let request = (&entry["method"], &entry["path"], &entry["actor"], &entry["outcome"]);
        assert_eq!(request, (&"POST".into(), &"/api/providers".into(), &"api".into(), &"done".into()));
    }
    assert!(!json!(of_request).to_string().contains("canary"), "{of_request:?}");

    // A refused request changes no table; a task records it.
    let refused = site.post("/api/providers", provider).await;
    let request_id = refused.headers["x-request-id"].to_str().unwrap().to_owned();
    refused.expect(409);
    let noted = eventually("the entry of the refusal", async || {
        entries(site, &format!("request_id={request_id}&outcome=refused")).await.pop()
    })
    .await;
    assert_eq!(
        (&noted["resource"], &noted["status"], &noted["before"]),
        (&"request".into(), &409.into(), &Value::Null)
    );

    site.post("/api/providers/p/disable", json!({})).await.expect(200);
    let changed = entries(site, "resource=provider&resource_id=p&action=updated").await;
    assert_eq!((&changed[0]["before"]["enabled"], &changed[0]["after"]["enabled"]), (&true.into(), &false.into()));
    // Reads are not recorded.
    let total = |body: Value| body["total"].as_i64().unwrap();
    let before = total(site.get("/api/audit?limit=1").await.expect(200));
    site.get("/api/providers").await.expect(200);
    assert_eq!(total(site.get("/api/audit?limit=1").await.expect(200)), before);
}

async fn bad_queries_are_refused(site: &Site) {
    let mistakes = site.get("/api/audit?outcome=maybe&start_date=x&limit=0").await.mistakes();
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
}
