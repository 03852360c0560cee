//! Tests of `/api/doctor`; system tests run the real command.

use serde_json::{Value, json};

use crate::site::Site;

#[tokio::test]
async fn before_the_first_run_there_is_no_result() {
    let site = Site::new().await;
    let shown = site.get("/api/doctor").await.expect(200);
    assert_eq!(shown, json!({"running": false, "checks": null, "scorecard": null}));
    site.close().await;
}

#[tokio::test]
async fn every_mistake_is_named_and_nothing_is_run() {
    let site = Site::new().await;
    for (body, mistakes) in [
        (json!({"offline": true, "against_fakes": true}), &["offline and against_fakes exclude each other"][..]),
        (json!({"routes": ["fast"]}), &["routes need against_fakes"]),
        (
            json!({"against_fakes": "yes", "offline": 1, "routes": "fast", "twice": true}),
            &[
                "against_fakes must be a boolean",
                "offline must be a boolean",
                "routes must be a list of model names",
                "unknown field: twice",
            ],
        ),
        (
            json!({"against_fakes": true, "routes": ["", 7, "a", "b", "c", "d", "e"]}),
            &["routes must be names of 1 to 256 characters", "routes must be 6 at most"],
        ),
    ] {
        assert_eq!(site.post("/api/doctor/run", body.clone()).await.mistakes(), mistakes, "{body}");
    }
    let shown = site.get("/api/doctor").await.expect(200);
    assert_eq!((&shown["running"], &shown["checks"]), (&json!(false), &Value::Null));
    site.close().await;
}

#[tokio::test]
async fn a_router_that_is_not_installed_is_an_error() {
    let site = Site::new().await;
    assert_eq!(site.post("/api/doctor/run", json!({})).await.code(503), "doctor_failed");
    assert_eq!(site.get("/api/doctor").await.expect(200)["running"], false);
    site.close().await;
}
