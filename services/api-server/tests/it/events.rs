//! The doors of Socket.IO, packet by packet.

use axum::body::Body;
use http::Request;

use crate::site::{Site, test_children};

/// Shakes hands by polling and introduces itself with `auth`; answers the packet that comes back.
async fn introduced(site: &Site, headers: &[(&str, &str)], auth: &str) -> String {
    let ask = async |sid: &str, said: Option<String>| {
        let uri = format!("/socket.io/?EIO=4&transport=polling{sid}");
        let mut request = Request::builder().uri(uri).header("host", "127.0.0.1:3002");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match said {
            Some(packet) => request.method("POST").body(Body::from(packet)),
            None => request.body(Body::empty()),
        };
        site.text(request.unwrap()).await
    };
    let (status, open) = ask("", None).await;
    assert_eq!(status, 200, "{open}");
    let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    let sid = format!("&sid={}", open["sid"].as_str().unwrap());
    assert_eq!(ask(&sid, Some(format!("40{auth}"))).await, (200, "ok".to_owned()));
    ask(&sid, None).await.1
}

#[tokio::test]
async fn a_key_is_asked_for_where_there_is_one() {
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
async fn nobody_listens_without_end() {
    let site = Site::new().await;
    for _ in 0..64 {
        assert!(introduced(&site, &[], "").await.starts_with("40{"));
    }
    let refused = introduced(&site, &[], "").await;
    assert!(refused.starts_with("44") && refused.contains("64 listeners"), "{refused}");
    site.close().await;
}
