//! Tests of `/api/keys`.

use serde_json::{Value, json};
use signalbox_daemon::clock::unix_ms;
use signalbox_daemon::key_digest;
use signalbox_store::{Page, api_keys};

use crate::site::{Site, on_both, timeless};

on_both!(
    a_key_is_shown_once,
    a_key_is_changed_and_deleted,
    a_key_is_rotated_with_an_overlap_and_revoked,
    every_mistake_is_told_and_nothing_applied,
    no_secret_is_audited,
);

fn path(key: &Value) -> String {
    format!("/api/keys/{}", key["id"].as_str().unwrap())
}

/// Returns the stored digests of all keys, the previous ones too.
async fn digests(site: &Site) -> Vec<(String, Option<String>)> {
    let keys = api_keys::list(&site.store, Page::ALL).await.unwrap().items;
    keys.into_iter().map(|key| (key.digest, key.previous_digest)).collect()
}

async fn a_key_is_shown_once(site: &Site) {
    let given = json!({
        "name": "CI", "owner": "team-a", "tags": ["ci"], "models": ["gpt-*"], "surfaces": ["chat"],
        "addresses": ["127.0.0.0/8"], "limits": {"rpm": 60, "tpm": 1000, "concurrency": 2},
        "budget": {"amount_usd": 12.5, "period": "month"}, "log_bodies": "off",
        "expires_at": "2100-01-01T00:00:00Z",
    });
    let mut made = site.post("/api/keys", given.clone()).await.expect(201);
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("sbx-") && key.len() == 47, "{key}");
    assert_eq!(digests(site).await, [(key_digest(key.as_bytes()), None)]);
    made.as_object_mut().unwrap().remove("key");
    let mut expected = given;
    for (name, value) in [
        ("id", made["id"].clone()),
        ("hint", json!(key[..10])),
        ("strict", json!(false)),
        ("expires_at", json!(4_102_444_800_000_i64)),
        ("revoked_at", Value::Null),
        ("previous_expires_at", Value::Null),
        ("created_at", json!(0)),
        ("updated_at", json!(0)),
    ] {
        expected[name] = value;
    }
    assert_eq!(timeless(made.clone()), expected);
    assert_eq!(site.get(&path(&made)).await.expect(200), made);
    assert_eq!(site.get("/api/keys").await.expect(200), json!({"keys": [made], "total": 1, "next_cursor": null}));
}

async fn a_key_is_changed_and_deleted(site: &Site) {
    let made = site.post("/api/keys", json!({"name": "a", "limits": {"rpm": 1}})).await.expect(201);
    let other = site.post("/api/keys", json!({"name": "b"})).await.expect(201);
    assert_ne!(made["key"], other["key"]);
    let before = digests(site).await;
    let changed = site.put(&path(&made), json!({"name": "c", "models": ["m"], "expires_at": null})).await.expect(200);
    assert_eq!((&changed["name"], &changed["models"]), (&json!("c"), &json!(["m"])));
    assert_eq!((changed.get("limits"), changed.get("key"), &changed["hint"]), (None, None, &made["hint"]));
    let mut again = site.put(&path(&made), changed.clone()).await.expect(200);
    again["updated_at"] = changed["updated_at"].clone();
    assert_eq!(again, changed, "a response can be sent back");
    for refused in
        [site.post("/api/keys", json!({"name": "b"})).await, site.put(&path(&made), json!({"name": "b"})).await]
    {
        let error = &refused.expect(409)["error"];
        let told = "A key with the name b exists; use another name";
        assert_eq!((&error["code"], &error["message"]), (&json!("key_exists"), &json!(told)));
    }
    assert_eq!(digests(site).await.len(), before.len());
    let done = json!({"success": true, "message": "Key deleted"});
    assert_eq!(site.delete(&path(&made)).await.expect(200), done);
    for missing in [
        site.get(&path(&made)).await,
        site.put(&path(&made), json!({"name": "x"})).await,
        site.post(&format!("{}/rotate", path(&made)), json!({})).await,
        site.post(&format!("{}/revoke", path(&made)), json!({})).await,
        site.delete(&path(&made)).await,
    ] {
        assert_eq!(missing.expect(404)["error"]["code"], "key_not_found");
    }
}

async fn a_key_is_rotated_with_an_overlap_and_revoked(site: &Site) {
    let made = site.post("/api/keys", json!({"name": "a", "tags": ["t"]})).await.expect(201);
    let (rotate, revoke) = (format!("{}/rotate", path(&made)), format!("{}/revoke", path(&made)));
    let digest = |key: &Value| key_digest(key["key"].as_str().unwrap().as_bytes());
    let before = unix_ms();
    let second = site.post(&rotate, json!({"overlap_seconds": 60})).await.expect(200);
    assert_eq!((&second["id"], &second["tags"]), (&made["id"], &json!(["t"])));
    let valid_until = second["previous_expires_at"].as_i64().unwrap();
    assert!((before + 60_000..=unix_ms() + 60_000).contains(&valid_until), "{before} {valid_until}");
    assert_eq!(digests(site).await, [(digest(&second), Some(digest(&made)))]);
    let third = site.post(&rotate, json!({})).await.expect(200);
    assert_eq!(third["previous_expires_at"], Value::Null);
    assert_eq!(digests(site).await, [(digest(&third), Some(digest(&second)))]);

    let mistake = ["overlap_seconds must be a whole number from 0 to 2592000"];
    for bad in [json!(-1), json!(2_592_001), json!("1h")] {
        assert_eq!(site.post(&rotate, json!({"overlap_seconds": bad})).await.mistakes(), mistake);
    }
    assert_eq!(site.post(&rotate, json!({"overlap": 5})).await.mistakes(), ["unknown field: overlap"]);
    assert_eq!(digests(site).await, [(digest(&third), Some(digest(&second)))]);

    let revoked = site.post(&revoke, json!({})).await.expect(200);
    assert!(revoked["revoked_at"].is_i64() && revoked.get("key").is_none(), "{revoked}");
    assert_eq!(site.post(&revoke, json!({})).await.expect(200), revoked);
    let refused = site.post(&rotate, json!({})).await.expect(409);
    assert_eq!(refused["error"]["code"], "key_revoked");
}

async fn every_mistake_is_told_and_nothing_applied(site: &Site) {
    let bad = json!({
        "owner": "", "models": [], "surfaces": ["images"], "addresses": ["home"], "limits": {"rpm": 0},
        "budget": {"amount_usd": -1, "period": "year"}, "expires_at": 5, "log_bodies": "some", "nickname": "x",
    });
    let expected = [
        "name is required: what the key is for",
        "owner must be a text of 1 to 128 characters",
        "models must be a list of 1 to 256 items",
        "surfaces[0] must be one of chat, messages, responses, completions, embeddings, moderations, rerank",
        "addresses[0] must be an address or a network, such as 192.168.1.7 or 10.0.0.0/8",
        "limits.rpm must be a whole number from 1 to 1000000000",
        "budget.amount_usd must be a number above 0 and up to 1000000000",
        "budget.period must be day, week, month or total",
        "log_bodies must be full, redact or off",
        "expires_at must be in the future; to end a key now, revoke it",
        "unknown field: nickname",
    ];
    assert_eq!(site.post("/api/keys", bad.clone()).await.mistakes(), expected);
    assert_eq!(site.get("/api/keys").await.expect(200)["total"], 0);
    let made = site.post("/api/keys", json!({"name": "a"})).await.expect(201);
    assert_eq!(site.put(&path(&made), bad).await.mistakes(), expected);
    assert_eq!(site.post("/api/keys", json!({"name": "b", "key": "mine"})).await.mistakes(), ["unknown field: key"]);
    assert_eq!(site.get("/api/keys").await.expect(200)["keys"][0]["updated_at"], made["updated_at"]);
}

async fn no_secret_is_audited(site: &Site) {
    let made = site.post("/api/keys", json!({"name": "a"})).await.expect(201);
    let rotated = site.post(&format!("{}/rotate", path(&made)), json!({})).await.expect(200);
    site.delete(&path(&made)).await.expect(200);
    let audit = site.get("/api/audit?resource=key").await.expect(200);
    let actions: Vec<_> = audit["entries"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["deleted", "updated", "created"]);
    for key in [&made, &rotated] {
        let key = key["key"].as_str().unwrap();
        let text = audit.to_string();
        assert!(!text.contains(key) && !text.contains(&key_digest(key.as_bytes())), "{text}");
    }
}
