//! The doctor by REST.

use http::Method;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use signalbox_fakes::FakeProvider;
use signalbox_harness::{Home, Launch, Stack, eventually, steadily};

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
    assert_eq!(shown["scorecard"]["routes"][0]["scores"].as_array().map(Vec::len), Some(41), "{shown}");
    assert!(fake.calls().is_empty());
}

/// Returns the temporary directories of runs of the doctor.
fn left_behind(dir: &std::path::Path) -> usize {
    let is_of_run = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("signalbox-doctor-");
    std::fs::read_dir(dir).unwrap().flatten().filter(is_of_run).count()
}

#[tokio::test]
async fn a_run_ends_in_order_when_the_server_stops_or_is_killed() {
    for is_killed in [false, true] {
        let temporary = Home::new();
        let path = temporary.path().to_str().unwrap();
        let mut stack = Stack::builder().launch(Launch::default().env("TMPDIR", path)).start().await;
        let fake = FakeProvider::start().await.unwrap();
        stack.add_provider("one", &fake.url()).await;
        let playing = tokio::spawn({
            let api = stack.api;
            async move { api.try_request(Method::POST, "/api/doctor/run", json!({"against_fakes": true}).to_string()).await }
        });
        eventually("the directory of a run", async || (left_behind(temporary.path()) > 0).then_some(())).await;
        if is_killed {
            stack.process.kill9().await;
        } else {
            stack.process.signal(Signal::SIGTERM);
            stack.process.wait_exit().await;
        }
        eventually("the directory to go", async || (left_behind(temporary.path()) == 0).then_some(())).await;
        let answer = playing.await.unwrap();
        if let (false, Ok(answer)) = (is_killed, answer) {
            assert_eq!(answer.status, 503, "{}", answer.text());
        }
    }
}
