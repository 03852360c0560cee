//! Tests of the Socket.IO endpoint at packet level.

use std::sync::Arc;

use api_server::logs::LogOutput;
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::site::{Site, test_children};

/// A listener with the polling transport.
struct Listener<'a> {
    site: &'a Site,
    headers: &'a [(&'a str, &'a str)],
    /// Parameters of the address of the handshake.
    query: &'a str,
    sid: String,
}

impl<'a> Listener<'a> {
    /// Opens a session, without the connect packet.
    async fn connect(site: &'a Site, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self::connect_with(site, headers, "").await
    }

    async fn connect_with(site: &'a Site, headers: &'a [(&'a str, &'a str)], query: &'a str) -> Self {
        let mut listener = Self { site, headers, query, sid: String::new() };
        let (status, open) = listener.ask(None).await;
        assert_eq!(status, 200, "{open}");
        let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        listener.sid = format!("&sid={}", open["sid"].as_str().unwrap());
        listener
    }

    /// Connects, and waits for the snapshot; from then on messages are handled.
    async fn welcome(site: &'a Site, headers: &'a [(&'a str, &'a str)]) -> Self {
        let listener = Self::connect(site, headers).await;
        listener.say("40".to_owned()).await;
        listener.hear("proxy:status").await;
        listener
    }

    /// Sends a packet, or fetches the queued ones.
    async fn ask(&self, said: Option<String>) -> (u16, String) {
        let uri = format!("/socket.io/?EIO=4&transport=polling{}{}", self.query, self.sid);
        let mut request = Request::builder().uri(uri).header("host", "127.0.0.1:3002");
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        let request = match said {
            Some(packet) => request.method("POST").body(Body::from(packet)),
            None => request.body(Body::empty()),
        };
        self.site.text(request.unwrap()).await
    }

    async fn say(&self, packet: String) {
        assert_eq!(self.ask(Some(packet)).await, (200, "ok".to_owned()));
    }

    /// Returns the data of queued events of this name; waits until there is one.
    async fn hear(&self, name: &str) -> Vec<Value> {
        loop {
            let (_, packets) = self.ask(None).await;
            let events = packets.split('\u{1e}').filter_map(|packet| packet.strip_prefix("42"));
            let events = events.map(|event| serde_json::from_str::<(String, Value)>(event).unwrap());
            let heard: Vec<Value> = events.filter(|(event, _)| event == name).map(|(_, data)| data).collect();
            if !heard.is_empty() {
                return heard;
            }
        }
    }
}

/// Connects with `auth`, and returns the response packet.
async fn introduced(site: &Site, headers: &[(&str, &str)], auth: &str) -> String {
    let listener = Listener::connect(site, headers).await;
    listener.say(format!("40{auth}")).await;
    listener.ask(None).await.1
}

#[tokio::test]
async fn a_configured_key_is_required() {
    let site = Site::with(&["sesame"], test_children()).await;
    for auth in ["", r#"{"token":"wrong"}"#, r#"{"token":7}"#] {
        let refused = introduced(&site, &[], auth).await;
        assert!(refused.starts_with("44") && refused.contains("Unauthorized"), "{auth}: {refused}");
    }
    let welcome = introduced(&site, &[], r#"{"token":"sesame"}"#).await;
    assert!(welcome.starts_with("40{"), "{welcome}");
    let welcome = introduced(&site, &[("authorization", "Bearer sesame")], "").await;
    assert!(welcome.starts_with("40{"), "{welcome}");
    site.close().await;
}

#[tokio::test]
async fn the_number_of_listeners_is_limited() {
    let site = Site::new().await;
    for _ in 0..64 {
        assert!(introduced(&site, &[], "").await.starts_with("40{"));
    }
    let refused = introduced(&site, &[], "").await;
    assert!(refused.starts_with("44") && refused.contains("64 listeners"), "{refused}");
    site.close().await;
}

#[tokio::test]
async fn no_listener_is_taken_while_the_server_stops() {
    let site = Site::new().await;
    let known = Listener::welcome(&site, &[]).await;
    site.drain();
    let mut late = Listener { site: &site, headers: &[], query: "", sid: String::new() };
    let (status, text) = late.ask(None).await;
    assert_eq!(status, 503, "not an answer that means that there are no events here: {text}");
    late.sid.clone_from(&known.sid);
    assert_eq!(late.ask(Some("42[\"ping\"]".to_owned())).await.0, 200, "those that are there are served to the end");
    site.close().await;
}

#[tokio::test]
async fn a_listener_may_ask_for_statuses_without_the_catalogue() {
    let mut site = Site::new().await;
    let (_keeper, written) = tokio::sync::broadcast::channel(8);
    let closing = site.publish(written).await;
    let whole = Listener::connect(&site, &[]).await;
    whole.say("40".to_owned()).await;
    let first = whole.hear("proxy:status").await.remove(0);
    assert!(first["status"]["providers"]["items"].is_array() && first["status"]["models"].is_object(), "{first}");
    let short = Listener::connect_with(&site, &[], "&view=short").await;
    short.say("40".to_owned()).await;
    let light = short.hear("proxy:status").await.remove(0);
    assert!(light["status"].get("providers").is_none() && light["status"].get("models").is_none(), "{light}");
    assert_eq!(light["status"]["providerRouter"], first["status"]["providerRouter"]);

    // Both hear of changes, each in its own form.
    let extension = Listener::welcome(&site, &[]).await;
    extension.say(r#"42["extension:connect"]"#.to_owned()).await;
    let light = short.hear("proxy:status").await.remove(0);
    assert_eq!((&light["status"]["extensionConnected"], light["status"].get("providers")), (&json!(true), None));
    let first = whole.hear("proxy:status").await.remove(0);
    assert!(first["status"]["extensionConnected"] == true && first["status"]["providers"].is_object(), "{first}");
    closing.cancel();
    site.close().await;
}

#[tokio::test]
async fn changes_of_routes_keys_and_prices_are_told() {
    let mut site = Site::new().await;
    let (_keeper, written) = tokio::sync::broadcast::channel(8);
    let closing = site.publish(written).await;
    let listener = Listener::welcome(&site, &[]).await;
    site.put("/api/models/echo", json!({"name": "A mirror"})).await.expect(200);
    let heard = listener.hear("models:updated").await.remove(0);
    assert_eq!((&heard["action"], &heard["modelId"]), (&json!("updated"), &json!("echo")));

    let route = json!({"model": "fast", "targets": [{"provider": "echo", "model": "echo"}]});
    let made = site.post("/api/routes", route.clone()).await.expect(201);
    let heard = listener.hear("routes:updated").await.remove(0);
    assert_eq!((&heard["action"], &heard["routeId"], &heard["total"]), (&json!("created"), &made["id"], &json!(1)));
    let id = made["id"].as_str().unwrap();
    let mut off = route;
    off["enabled"] = false.into();
    site.put(&format!("/api/routes/{id}"), off).await.expect(200);
    assert_eq!(listener.hear("routes:updated").await[0]["action"], "disabled");

    let key = site.post("/api/keys", json!({"name": "laptop"})).await.expect(201);
    let heard = listener.hear("keys:updated").await.remove(0);
    assert_eq!((&heard["action"], &heard["keyId"], &heard["total"]), (&json!("created"), &key["id"], &json!(1)));
    assert!(!heard.to_string().contains(key["key"].as_str().unwrap()), "{heard}");
    site.post(&format!("/api/keys/{}/revoke", key["id"].as_str().unwrap()), json!({})).await.expect(200);
    assert_eq!(listener.hear("keys:updated").await[0]["action"], "updated");

    let prices = json!({"v": 1, "prices": [{"id": "openai/gpt-4.1", "base": {"in": "1.5", "out": "7"}}]});
    site.put("/api/prices", prices).await.expect(200);
    assert_eq!(listener.hear("prices:updated").await[0]["action"], "created");
    site.delete("/api/prices").await.expect(200);
    assert_eq!(listener.hear("prices:updated").await[0]["action"], "deleted");
    closing.cancel();
    site.close().await;
}

const SUBSCRIBE: &str = r#"42["logs:subscribe",{"service":"qwen-proxy"}]"#;

#[tokio::test]
async fn a_slow_listener_is_told_the_number_of_missed_lines() {
    let mut site = Site::new().await;
    let (keeper, written) = tokio::sync::broadcast::channel(8);
    let closing = site.publish(written).await;
    let listener = Listener::welcome(&site, &[]).await;
    listener.say(SUBSCRIBE.to_owned()).await;
    let begun = listener.hear("logs:subscribed").await;
    assert_eq!((&begun[0]["lines"], &begun[0]["missed"]), (&json!([]), &json!(0)));

    // The events are not fetched, and the sender still does not wait.
    let write = async |text: String| {
        keeper.send(Arc::new(LogOutput { name: "qwen-proxy", text: text.into_bytes(), left_out: 0 })).unwrap();
        while !keeper.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    for n in 0..300 {
        write(format!("{n}\n")).await;
    }
    let heard = listener.hear("logs:line").await;
    assert!((64..=128).contains(&heard.len()), "{} events waited", heard.len());
    assert!(heard.iter().enumerate().all(|(n, event)| event["lines"] == json!([n.to_string()])));
    write("300\n".to_owned()).await;
    let next = listener.hear("logs:line").await;
    assert_eq!((&next[0]["lines"], &next[0]["missed"]), (&json!(["300"]), &json!(300 - heard.len())));
    closing.cancel();
    site.close().await;
}

#[tokio::test]
async fn an_extension_receives_events_but_no_logs() {
    let mut site = Site::new().await;
    let (_keeper, written) = tokio::sync::broadcast::channel(8);
    let closing = site.publish(written).await;
    let origin = "chrome-extension://abcdefghijklmnopabcdefghijklmnop";
    for (origin, event) in [(origin, "logs:error"), ("http://localhost:5173", "logs:subscribed")] {
        let headers = [("origin", origin)];
        let listener = Listener::welcome(&site, &headers).await;
        listener.say(SUBSCRIBE.to_owned()).await;
        assert_eq!(listener.hear(event).await[0]["service"], "qwen-proxy");
    }
    closing.cancel();
    site.close().await;
}

#[tokio::test]
async fn subscribers_hear_what_the_processes_use() {
    let mut site = Site::new().await;
    let (_keeper, written) = tokio::sync::broadcast::channel(8);
    let closing = site.publish(written).await;
    let listener = Listener::welcome(&site, &[]).await;
    listener.say(r#"42["process:subscribe"]"#.to_owned()).await;
    let heard = listener.hear("process:stats").await.remove(0);
    let unknown = json!({"cpu_percent": null, "rss_bytes": null, "open_files": null, "threads": null});
    assert_eq!(heard["qwenProxy"], json!({"pid": null, "stats": unknown}), "it does not run");
    assert_eq!(heard["apiServer"]["pid"], std::process::id());
    assert_eq!(heard["apiServer"]["stats"]["rss_bytes"].is_u64(), cfg!(target_os = "linux"), "{heard}");
    assert!(heard["timestamp"].is_string() && heard["providerRouter"].is_object(), "{heard}");

    let headers = [("origin", "chrome-extension://abcdefghijklmnopabcdefghijklmnop")];
    let extension = Listener::welcome(&site, &headers).await;
    extension.say(r#"42["process:subscribe"]"#.to_owned()).await;
    let refused = extension.hear("process:error").await.remove(0);
    assert!(refused["error"].as_str().unwrap().contains("not allowed"), "{refused}");
    closing.cancel();
    site.close().await;
}

#[tokio::test]
async fn subscribers_hear_of_new_entries_of_the_audit_log() {
    let mut site = Site::new().await;
    let (_keeper, written) = tokio::sync::broadcast::channel(8);
    let closing = site.publish(written).await;
    site.put("/api/models/echo", json!({"name": "before"})).await.expect(200);
    let listener = Listener::welcome(&site, &[]).await;
    listener.say(r#"42["audit:subscribe"]"#.to_owned()).await;
    // The first look, which is made at once, tells nothing; later changes are told.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    site.put("/api/models/echo", json!({"name": "after"})).await.expect(200);
    let heard = listener.hear("audit:new").await.remove(0);
    let entries = heard["entries"].as_array().unwrap();
    let change = entries.iter().find(|entry| entry["resource"] == "model").unwrap();
    assert_eq!((&change["resource_id"], &change["action"]), (&json!("echo"), &json!("updated")), "{heard}");
    assert!(change.to_string().contains("after"), "{heard}");
    closing.cancel();
    site.close().await;
}
