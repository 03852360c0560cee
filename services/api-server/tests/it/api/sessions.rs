//! Tests of `/api/sessions`.

use serde_json::json;

use super::log::{answered, failed, now, record};
use crate::site::{Site, on_both};

on_both!(they_are_listed_and_shown, requests_of_one_are_listed, one_is_deleted_with_everything, expired_ones_are_gone);

async fn they_are_listed_and_shown(site: &Site) {
    let at = now();
    record(site, &[answered("r1", at), failed("r2", at + 1000), answered("r3", at + 2000)]).await;
    let session = site.get("/api/sessions/s1").await.expect(200);
    assert_eq!(session["first_user_message"], "é".repeat(150));
    assert_eq!((&session["request_count"], &session["message_count"]), (&2.into(), &2.into()));
    assert_eq!(session["last_accessed"], at + 2000);

    let body = site.get("/api/sessions?limit=1&sort=last_accessed").await.expect(200);
    assert_eq!(
        body,
        json!({"count": 1, "total": 2, "limit": 1, "offset": 0, "has_more": true,
            "next_cursor": body["next_cursor"], "sessions": [{
            "id": "s1", "chat_id": session["chat_id"], "parent_id": null, "first_user_message": "é".repeat(100),
            "message_count": 2, "created_at": 0, "last_accessed": at + 2000, "expires_at": session["expires_at"]}]})
    );
    let newest = site.get("/api/sessions").await.expect(200)["sessions"][0].clone();
    assert_eq!(newest["id"], "s2");
    assert_eq!(site.get("/api/sessions?sort=size").await.mistakes(), ["sort must be created_at or last_accessed"]);
}

async fn requests_of_one_are_listed(site: &Site) {
    record(site, &[answered("r1", now())]).await;
    let body = site.get("/api/sessions/s1/requests").await.expect(200);
    assert_eq!((&body["session_id"], &body["total"], &body["limit"]), (&"s1".into(), &1.into(), &100.into()));
    assert_eq!(body["requests"][0]["openai_request"], json!({"model": "echo", "messages": []}));
    assert_eq!(
        site.get("/api/sessions/no/requests").await.expect(200),
        json!({"session_id": "no", "requests": [], "total": 0, "limit": 100, "offset": 0, "has_more": false,
               "next_cursor": null})
    );
}

async fn one_is_deleted_with_everything(site: &Site) {
    record(site, &[answered("r1", now())]).await;
    let deleted = json!({"success": true, "message": "Session deleted"});
    assert_eq!(site.delete("/api/sessions/s1").await.expect(200), deleted);
    assert_eq!(site.delete("/api/sessions/s1").await.code(404), "session_not_found");
    assert_eq!(site.get("/api/requests").await.expect(200)["total"], 0);
    assert_eq!(site.get("/api/responses").await.expect(200)["total"], 0);
}

async fn expired_ones_are_gone(site: &Site) {
    record(site, &[answered("r1", 1000), failed("r2", now())]).await;
    assert_eq!(site.get("/api/sessions/s1").await.code(404), "session_not_found");
    let cleaned = json!({"success": true, "deleted": 1, "message": "Cleaned up 1 expired session"});
    assert_eq!(site.delete("/api/sessions").await.expect(200), cleaned);
    let cleaned = json!({"success": true, "deleted": 0, "message": "Cleaned up 0 expired sessions"});
    assert_eq!(site.delete("/api/sessions").await.expect(200), cleaned);
    assert_eq!(site.get("/api/sessions").await.expect(200)["total"], 1);
}
