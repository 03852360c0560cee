//! Tests of `/api/routes`.

use serde_json::{Value, json};

use crate::site::{Site, on_both, timeless};

on_both!(
    a_route_is_created_replaced_and_deleted,
    a_response_can_be_sent_back,
    every_mistake_is_told_and_nothing_applied,
    names_are_taken_once,
    targets_that_cannot_be_asked_are_problems,
    changes_are_audited,
);

fn target() -> Value {
    json!({"provider": "echo", "model": "echo"})
}

fn route(model: &str) -> Value {
    json!({"model": model, "targets": [target()]})
}

async fn a_route_is_created_replaced_and_deleted(site: &Site) {
    assert_eq!(site.get("/api/routes").await.expect(200), json!({"routes": [], "total": 0, "next_cursor": null}));
    let given = json!({
        "model": "fast-*", "aliases": ["quick"], "policy": "weighted",
        "targets": [
            {"provider": "echo", "model": "big-*", "weight": 3, "params": {"temperature": 0}, "context_tokens": 1000,
             "can": ["tools"], "region": "eu", "max_price_usd": 0.5,
             "api": "responses"},
            {"provider": "qwen-proxy-default", "model": "small"},
        ],
        "retries": 2, "deadlines": {"first_token_ms": 10_000}, "sticky": "session", "strict": true,
        "resumable": true,
        "limits": {"rpm": 60, "queue": {"max_waiting": 5, "timeout_ms": 1000}},
        "hedge": {"quantile": 0.95, "min_ms": 200},
        "mirror": {"provider": "echo", "model": "copy-*", "percent": 1.5},
    });
    let made = site.post("/api/routes", given.clone()).await.expect(201);
    let id = made["id"].as_str().unwrap().to_owned();
    let mut expected = given;
    for (name, value) in [
        ("id", json!(id)),
        ("enabled", json!(true)),
        ("resume", json!("off")),
        ("problems", json!([])),
        ("created_at", json!(0)),
        ("updated_at", json!(0)),
    ] {
        expected[name] = value;
    }
    assert_eq!(timeless(made.clone()), expected);
    let path = format!("/api/routes/{id}");
    assert_eq!(site.get(&path).await.expect(200), made);

    site.post("/api/routes", route("another")).await.expect(201);
    let list = site.get("/api/routes?limit=1").await.expect(200);
    assert_eq!((&list["total"], &list["routes"][0]["model"]), (&json!(2), &json!("another")));
    let next = format!("/api/routes?limit=1&cursor={}", list["next_cursor"].as_str().unwrap());
    assert_eq!(site.get(&next).await.expect(200)["routes"], json!([made]));

    let replaced = site.put(&path, json!({"model": "slow", "enabled": false, "targets": [target()]})).await.expect(200);
    let expected = json!({
        "id": id, "model": "slow", "enabled": false, "policy": "priority", "targets": [target()], "resume": "off",
        "strict": false, "resumable": false, "problems": [], "created_at": 0, "updated_at": 0,
    });
    assert_eq!(timeless(replaced), expected);
    let done = json!({"success": true, "message": "Route deleted"});
    assert_eq!(site.delete(&path).await.expect(200), done);
    for missing in [
        site.get(&path).await,
        site.put(&path, route("m")).await,
        site.delete(&path).await,
        site.get("/api/routes/x").await,
    ] {
        assert_eq!(
            missing.expect(404)["error"]["message"].as_str().unwrap().split(':').next(),
            Some("Route not found")
        );
    }
}

async fn a_response_can_be_sent_back(site: &Site) {
    let made = site.post("/api/routes", route("m")).await.expect(201);
    let path = format!("/api/routes/{}", made["id"].as_str().unwrap());
    let mut again = site.put(&path, made.clone()).await.expect(200);
    again["updated_at"] = made["updated_at"].clone();
    assert_eq!(again, made);
}

async fn every_mistake_is_told_and_nothing_applied(site: &Site) {
    let made = site.post("/api/routes", route("m")).await.expect(201);
    let path = format!("/api/routes/{}", made["id"].as_str().unwrap());
    let bad = json!({
        "policy": "fastest", "retries": 11, "deadlines": {"idle_ms": 0},
        "targets": [target(), {"provider": "none", "model": "m", "weight": 0, "params": {"model": "x"}}], "tarets": [],
    });
    let expected = [
        "model is required: the name of the model in requests",
        "policy must be priority, weighted, round-robin, least-busy, latency or cheapest",
        "targets[1].provider must be the id of a provider; there is none with the id none",
        "targets[1].weight must be a whole number from 1 to 1000",
        "targets[1].params.model must not be replaced; the router sets it",
        "retries must be a whole number from 0 to 10",
        "deadlines.idle_ms must be a whole number from 1 to 86400000",
        "unknown field: tarets",
    ];
    assert_eq!(site.post("/api/routes", bad.clone()).await.mistakes(), expected);
    assert_eq!(site.put(&path, bad).await.mistakes(), expected);
    for (body, told) in [
        (json!({}), "model is required"),
        (json!({"model": "m"}), "targets is required"),
        (json!([]), "body must be a JSON object"),
        (json!({"model": "m", "targets": [target()], "id": "mine"}), "unknown field: id"),
    ] {
        let mistakes = site.post("/api/routes", body.clone()).await.mistakes();
        assert!(mistakes.iter().any(|mistake| mistake.starts_with(told)), "{body}: {mistakes:?}");
    }
    assert_eq!(site.get("/api/routes").await.expect(200)["routes"], json!([made]));
}

async fn names_are_taken_once(site: &Site) {
    let mut first = route("one");
    first["aliases"] = json!(["uno"]);
    site.post("/api/routes", first).await.expect(201);
    let second = site.post("/api/routes", route("two")).await.expect(201);
    let path = format!("/api/routes/{}", second["id"].as_str().unwrap());
    let mut alias = route("three");
    alias["aliases"] = json!(["one"]);
    for (body, told) in [
        (route("one"), "A route for the model one exists; change that one"),
        (route("uno"), "uno is an alias of the route for one; remove it there first"),
        (alias, "A route for the model one exists; change that one"),
    ] {
        for refused in [site.post("/api/routes", body.clone()).await, site.put(&path, body.clone()).await] {
            let error = &refused.expect(409)["error"];
            assert_eq!((&error["code"], &error["message"]), (&json!("route_exists"), &json!(told)));
        }
    }
    assert_eq!(site.get(&path).await.expect(200), second);
}

async fn targets_that_cannot_be_asked_are_problems(site: &Site) {
    let mut given = route("m");
    given["targets"] = json!([target(), {"provider": "qwen-proxy-default", "model": "x"}]);
    let made = site.post("/api/routes", given).await.expect(201);
    assert_eq!(made["problems"], json!([]));
    site.post("/api/providers/qwen-proxy-default/disable", json!({})).await.expect(200);
    site.delete("/api/providers/echo").await.expect(200);
    let listed = &site.get("/api/routes").await.expect(200)["routes"][0];
    let expected =
        ["targets[0]: the provider echo does not exist", "targets[1]: the provider qwen-proxy-default is disabled"];
    assert_eq!(listed["problems"], json!(expected));
    let told = site.put(&format!("/api/routes/{}", made["id"].as_str().unwrap()), listed.clone()).await.mistakes();
    assert_eq!(told, ["targets[0].provider must be the id of a provider; there is none with the id echo"]);
}

async fn changes_are_audited(site: &Site) {
    let made = site.post("/api/routes", route("m")).await.expect(201);
    let id = made["id"].as_str().unwrap();
    site.delete(&format!("/api/routes/{id}")).await.expect(200);
    let audit = site.get(&format!("/api/audit?resource=route&resource_id={id}")).await.expect(200);
    let told: Vec<_> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap(), entry["method"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("deleted", "DELETE"), ("created", "POST")]);
}
