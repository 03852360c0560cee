//! Tests of `/api/storage`.

use serde_json::json;

use crate::site::{Site, on_both};

on_both!(the_sizes_are_told);

async fn the_sizes_are_told(site: &Site) {
    std::fs::create_dir_all(site.dir.path().join("logs")).unwrap();
    std::fs::write(site.dir.path().join("logs/api-server.log"), "12345").unwrap();
    let told = site.get("/api/storage").await.expect(200);
    let kind = match site.store.kind() {
        signalbox_store::Kind::Sqlite => "sqlite",
        signalbox_store::Kind::Postgres => "postgres",
    };
    assert_eq!(told["database"]["kind"], kind);
    assert!(told["database"]["bytes"].as_i64() > Some(10_000), "{told}");
    assert_eq!(told["logs"], json!({"bytes": 5, "files": 1}));
    assert_eq!(told["journal"], json!({"bytes": 0, "files": 0}));
    assert_eq!(told["disk"]["free_bytes"].is_u64(), cfg!(unix), "{told}");
}
