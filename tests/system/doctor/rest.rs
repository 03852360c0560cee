//! The doctor by REST.

use http::Method;
use serde_json::{Value, json};
use signalbox_fakes::FakeProvider;
use signalbox_harness::{Stack, eventually, steadily};

use super::is;

#[tokio::test]
async fn the_doctor_is_run_by_rest() {
    let stack = Stack::start().await;
    let nothing = stack.api.get("/api/doctor").await.expect(200).json();
    assert_eq!(nothing, json!({"running": false, "checks": null, "scorecard": null}));
    let fake = FakeProvider::start().await.unwrap();
    stack.add_provider("one", &fake.url()).await;

    let first = stack.api.post("/api/doctor/run", &json!({"offline": true})).await.expect(200).json();
    is(&first["checks"], "database.version", "ok");
    is(&first["checks"], "provider.one.connection", "skipped");
    assert_eq!((&first["checks"]["offline"], &first["scorecard"]), (&json!(true), &Value::Null));
    let second = stack.api.post("/api/doctor/run", &json!({})).await.expect(200).json();
    is(&second["checks"], "provider.one.answer", "ok");
    assert_eq!(stack.api.get("/api/doctor").await.expect(200).json(), second);

    let unknown = json!({"against_fakes": true, "routes": ["nothing"]});
    let refused = stack.api.post("/api/doctor/run", &unknown).await.expect(409).json();
    assert_eq!(refused["error"]["code"], "doctor_refused", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("nothing"), "{refused}");

    let router = stack.router().await;
    let playing = tokio::spawn({
        let api = stack.api;
        async move { api.try_request(Method::POST, "/api/doctor/run", json!({"against_fakes": true}).to_string()).await }
    });
    eventually("a run", async || {
        (stack.api.get("/api/doctor").await.expect(200).json()["running"] == true).then_some(())
    })
    .await;
    let busy = stack.api.post("/api/doctor/run", &json!({})).await.expect(409).json();
    assert_eq!(busy["error"]["code"], "doctor_running", "{busy}");
    assert_eq!(router.get("/health/live").await.status, 200);
    steadily("the scorecard", async || {
        let shown = stack.api.get("/api/doctor").await.expect(200).json();
        // Each look is progress: the run has a limit of its own.
        if shown["scorecard"].is_null() { Err(fake.tick()) } else { Ok(shown) }
    })
    .await;
    drop(playing);
    let shown = stack.api.get("/api/doctor").await.expect(200).json();
    assert_eq!(shown["checks"], second["checks"], "the checks stay");
    assert_eq!(shown["scorecard"]["routes"][0]["scores"].as_array().map(Vec::len), Some(40), "{shown}");
    assert!(fake.calls().is_empty());
}
