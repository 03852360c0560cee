//! The routes besides chats: legacy completions, models, health and statistics.

use serde_json::{Value, json};
use signalbox_fakes::qwen::{Endpoint, trouble};
use signalbox_harness::eventually;

use super::{LoneQwen, Talk};
use crate::gateway::error_of;

const COMPLETIONS: &str = "/v1/completions";

#[tokio::test]
async fn text_completions_work_in_both_modes() {
    let lone = LoneQwen::start().await;
    let whole = lone.client().post(COMPLETIONS, &json!({"prompt": "one two"})).await.expect(200).json();
    assert_eq!((&whole["object"], &whole["model"]), (&json!("text_completion"), &json!("qwen-max")));
    assert_eq!((&whole["choices"][0]["text"], &whole["usage"]["completion_tokens"]), (&json!("one two"), &json!(2)));
    assert!(whole["id"].as_str().unwrap().starts_with("cmpl-"));
    let request = json!({"prompt": "one two", "stream": true, "model": "qwen3-max"});
    let raw = lone.client().stream(COMPLETIONS, &request).await.finish().await.raw;
    let raw = String::from_utf8_lossy(&raw);
    let chunks: Vec<Value> =
        raw.split("\n\n").filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok()).collect();
    assert_eq!(chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect::<String>(), "one two");
    assert!(chunks.iter().all(|chunk| chunk["object"] == "text_completion"), "{raw}");
    assert!(raw.ends_with("data: [DONE]\n\n"), "{raw}");
    for (body, code) in [(json!({}), "missing_parameter"), (json!({"prompt": [1, 2]}), "invalid_type")] {
        let error = error_of(&lone.client().post(COMPLETIONS, &body).await, 400);
        assert_eq!((&error["code"], &error["param"]), (&json!(code), &json!("prompt")), "{error}");
    }
    lone.is_content();
}

#[tokio::test]
async fn the_model_list_of_the_site_survives_its_failures() {
    let lone = LoneQwen::start().await;
    let models = lone.client().get("/v1/models").await.expect(200).json();
    let ids: Vec<_> = models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["qwen3-max", "qwen3-coder-plus", "qwen3-vl-plus"], "the retired model is not listed");
    assert_eq!(models["data"][0]["metadata"]["max_context_length"], 262_144);
    lone.site.script(Endpoint::Models, trouble::waf_page());
    let model = lone.client().get("/v1/models/qwen3-max").await.expect(200).json();
    assert_eq!((&model["object"], &model["owned_by"]), (&json!("model"), &json!("qwen")));
    assert_eq!(lone.asked(Endpoint::Models), 1, "the list is kept");
    let fresh = LoneQwen::start().await;
    fresh.site.script(Endpoint::Models, trouble::waf_page());
    let error = fresh.client().get("/v1/models").await;
    assert!(error.status >= 400 && error.json()["error"]["message"].is_string(), "{}", error.text());
}

#[tokio::test]
async fn metrics_count_the_calls_to_the_site() {
    let lone = LoneQwen::start().await;
    Talk::default().say(lone.client(), true, "hello").await;
    assert_eq!(lone.ask("fake-503", "hello").await.status, 503);
    let text = lone.client().get("/metrics").await.expect(200).text();
    let sum = |name: &str| -> f64 {
        let lines =
            text.lines().filter(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    assert!(sum("qwen_api_calls_total") >= 4.0, "{text}");
    assert!(sum("qwen_api_errors_total") >= 1.0, "{text}");
    assert!(text.contains("active_sessions") && text.contains("http_requests_total"), "{text}");
    let health = lone.client().get("/health/detailed").await.expect(200).json();
    assert!(health["errors"].is_object() && health["metrics"].is_object(), "{health}");
}

#[tokio::test]
async fn disabled_logging_takes_effect_soon() {
    let lone = LoneQwen::start().await;
    let mut database = lone.database().await;
    let both = "INSERT INTO settings (key, value, updated_at)
                VALUES ('logging.logRequests', 'false', 1), ('logging.logResponses', 'false', 1)";
    sqlx::query(both).execute(&mut database).await.unwrap();
    let newest = "SELECT request_body, upstream_request, first_user_message, finish_reason, response_body
                  FROM requests JOIN sessions ON sessions.id = session_id JOIN responses ON responses.id = requests.id
                  ORDER BY requests.id DESC LIMIT 1";
    type Row = (String, String, String, Option<String>, Option<String>);
    let row = eventually("a request without its text", async || {
        lone.ask("qwen3-max", "canary").await.expect(200);
        let row: Row = sqlx::query_as(newest).fetch_one(&mut database).await.unwrap();
        (row.0 == "null").then_some(row)
    })
    .await;
    let (asked, sent, first, finish_reason, answered) = row;
    assert_eq!([&asked, &sent, &first, &answered.unwrap_or_default()], ["null", "null", "", ""]);
    assert_eq!(finish_reason.as_deref(), Some("stop"));
    let turn: (String,) = sqlx::query_as("SELECT answer FROM qwen_turns ORDER BY created_at DESC LIMIT 1")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert!(turn.0.starts_with("digest:"), "{turn:?}");

    // The error report must not contain the request's text either.
    assert_eq!(lone.ask("fake-503", "canary").await.status, 503);
    let report = eventually("a report", async || {
        let found: Option<(Option<String>,)> =
            sqlx::query_as("SELECT request_payload FROM errors").fetch_optional(&mut database).await.unwrap();
        found
    })
    .await;
    assert_eq!(report.0, None);
}

#[tokio::test]
async fn requests_and_responses_refer_to_each_other() {
    let lone = LoneQwen::start().await;
    let mut talk = Talk::default();
    talk.say(lone.client(), false, "hello").await;
    talk.say(lone.client(), true, "and again").await;
    let get = async |path: &str| lone.client().get(path).await.expect(200).json();
    let sessions = get("/v1/sessions?orderBy=last_accessed%20DESC").await;
    let session = sessions["data"][0]["id"].as_str().unwrap();
    assert_eq!(get(&format!("/v1/sessions/{session}")).await["request_count"], 2);

    let requests = get(&format!("/v1/sessions/{session}/requests")).await;
    assert_eq!((&requests["session_id"], &requests["total"]), (&json!(session), &json!(2)));
    for listed in [&requests["data"][0], &get("/v1/requests").await["data"][0]] {
        let summary = &listed["response_summary"];
        assert_eq!((&summary["finish_reason"], &summary["error"]), (&json!("stop"), &Value::Null), "{listed}");
        for name in ["response_id", "total_tokens", "duration_ms"] {
            assert!(!summary[name].is_null(), "{name}: {summary}");
        }
    }

    let id = &requests["data"][0]["id"];
    let request = get(&format!("/v1/requests/{id}")).await;
    assert_eq!(request["response"]["finish_reason"], "stop");
    let response = get(&format!("/v1/responses/{}", request["response"]["id"])).await;
    assert_eq!((&response["request"]["id"], &response["request"]["model"]), (id, &json!("qwen3-max")));
    assert_eq!(response["request"]["request_id"], request["request_id"]);
    assert_eq!(response["session_id"], json!(session));

    for (path, code) in [
        ("/v1/sessions/none", "session_not_found"),
        ("/v1/requests/999999", "request_not_found"),
        ("/v1/responses/999999", "response_not_found"),
    ] {
        let error = error_of(&lone.client().get(path).await, 404);
        assert_eq!((&error["type"], &error["code"]), (&json!("not_found_error"), &json!(code)), "{path}");
    }
    let detailed = get("/health/detailed").await;
    assert_eq!(detailed["metrics"]["sessions"], json!({"activeSessions": 1, "totalCreated": 1, "totalCleaned": 0}));
    for name in ["rss", "heapUsed", "heapTotal", "external"] {
        assert!(detailed["metrics"]["memory"][name].is_u64(), "{name}: {detailed}");
    }
    for name in ["pid", "uptime", "nodeVersion", "platform"] {
        assert!(detailed["metrics"]["process"].get(name).is_some(), "{name}: {detailed}");
    }
}
