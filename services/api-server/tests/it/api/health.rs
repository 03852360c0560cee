//! Tests of `/api/health`.

use crate::site::Site;

#[tokio::test]
async fn health_contains_the_service_and_the_time() {
    let site = Site::new().await;
    let body = site.get("/api/health").await.expect(200);
    assert_eq!((&body["status"], &body["service"]), (&"ok".into(), &"api-server".into()));
    let timestamp = body["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 24 && timestamp.ends_with('Z'), "{timestamp}");
    assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
}
