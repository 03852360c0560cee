//! Tests of `/api/metrics`.

use serde_json::{Value, json};

use super::log::{answered, failed, now, record};
use crate::site::{Site, on_both};

on_both!(
    series_are_columns,
    the_highest_come_first,
    facets_are_choices,
    keys_and_statuses_are_told_apart,
    deleted_requests_are_subtracted,
    mistakes_are_reported
);

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Records three requests, and returns the minute of the first.
async fn fill(site: &Site) -> i64 {
    let at = (now() - 10 * MINUTE) / MINUTE * MINUTE;
    record(site, &[answered("r1", at), answered("r2", at + MINUTE), failed("r3", at + MINUTE + 1)]).await;
    at
}

async fn series_are_columns(site: &Site) {
    let at = fill(site).await;
    let range = format!("from={at}&to={}", at + 3 * MINUTE);
    let body = site.get(&format!("/api/metrics/series?{range}&step=60000")).await.expect(200);
    assert_eq!((&body["t0"], &body["step"], &body["partial_from"]), (&json!(at), &json!(MINUTE), &Value::Null));
    let series = body["series"].as_array().unwrap();
    assert_eq!(series.len(), 1);
    let columns = &series[0];
    assert_eq!(columns["key"], Value::Null);
    assert_eq!(columns["requests"], json!([1, 2, 0]));
    assert_eq!(columns["errors"], json!([0, 1, 0]));
    assert_eq!((&columns["prompt"], &columns["completion"]), (&json!([3, 3, 0]), &json!([4, 4, 0])));
    assert_eq!(columns["cost_nano"], json!([1_500_000, 1_500_000, 0]));
    for name in ["p50", "p95", "p99"] {
        let values = columns[name].as_array().unwrap();
        assert!((values[0].as_f64().unwrap() - 40.0).abs() <= 2.0 && values[2].is_null(), "{name}: {values:?}");
    }
    assert!((columns["ttft95"][1].as_f64().unwrap() - 5.0).abs() <= 0.25, "{columns}");

    let few = site.get(&format!("/api/metrics/series?{range}&metrics=requests,p95&by=model")).await.expect(200);
    let series = few["series"].as_array().unwrap();
    let keys: Vec<&str> = series.iter().map(|series| series["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["echo", "gpt"]);
    assert_eq!(series[0].as_object().unwrap().len(), 3, "{}", series[0]);
    let one = site.get(&format!("/api/metrics/series?{range}&model=gpt&provider_id=echo")).await.expect(200);
    assert_eq!(one["series"][0]["requests"], json!([0, 1, 0]));

    let live = site.get("/api/metrics/series").await.expect(200);
    assert!(live["partial_from"].as_i64().unwrap() > at, "{live}");
    let by_hour = site.get(&format!("/api/metrics/series?from={}", at - 30 * 24 * HOUR)).await.expect(200);
    assert_eq!(by_hour["step"], 3 * HOUR);
    let requests = by_hour["series"][0]["requests"].as_array().unwrap().iter();
    assert_eq!(requests.map(|count| count.as_i64().unwrap()).sum::<i64>(), 3);
}

async fn the_highest_come_first(site: &Site) {
    fill(site).await;
    let keys = async |query: &str| {
        let body = site.get(&format!("/api/metrics/top?{query}")).await.expect(200);
        let rows = body["rows"].as_array().unwrap().iter();
        rows.map(|row| row["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys("").await, "echo gpt");
    assert_eq!(keys("metric=errors").await, "gpt echo");
    assert_eq!(keys("by=provider&metric=p95").await, "echo");
    assert_eq!(keys("limit=1").await, "echo");
    let body = site.get("/api/metrics/top?by=model&metric=cost_nano").await.expect(200);
    assert_eq!((&body["by"], &body["metric"]), (&json!("model"), &json!("cost_nano")));
    let row = &body["rows"][0];
    assert_eq!((&row["requests"], &row["cost_nano"], &row["prompt"]), (&json!(2), &json!(3_000_000), &json!(6)));
}

async fn facets_are_choices(site: &Site) {
    let at = fill(site).await;
    let body = site.get(&format!("/api/metrics/facets?from={}", at - HOUR)).await.expect(200);
    assert_eq!(
        body,
        json!({"models": [{"value": "echo", "requests": 2}, {"value": "gpt", "requests": 1}],
            "providers": [{"value": "echo", "requests": 3}],
            "statuses": [{"value": "completed", "requests": 2}, {"value": "failed", "requests": 1}],
            "keys": []})
    );
}

async fn keys_and_statuses_are_told_apart(site: &Site) {
    let at = (now() - 10 * MINUTE) / MINUTE * MINUTE;
    let key = site.post("/api/keys", json!({"name": "laptop"})).await.body;
    let id = key["id"].as_str().unwrap_or_else(|| panic!("{key}")).to_owned();
    let mut log = [answered("r1", at), answered("r2", at + 1), answered("r3", at + 2), failed("r4", at + 3)];
    for (exchange, key) in log.iter_mut().zip([Some(&*id), Some("config-1"), None, Some(&*id)]) {
        exchange.begun.key_id = key.map(str::to_owned);
    }
    record(site, &log).await;
    let range = format!("from={at}&to={}&step=60000&metrics=requests", at + MINUTE);
    let series = async |query: &str| {
        let body = site.get(&format!("/api/metrics/series?{range}&{query}")).await.expect(200);
        body["series"].clone()
    };
    assert_eq!(
        series("by=key").await,
        json!([{"key": id, "name": "laptop", "requests": [2]}, {"key": "", "requests": [1]},
            {"key": "config-1", "requests": [1]}])
    );
    assert_eq!(
        series(&format!("by=status&key={id}")).await,
        json!([{"key": "completed", "requests": [1]}, {"key": "failed", "requests": [1]}])
    );
    assert_eq!(series("status=failed&by=model").await, json!([{"key": "gpt", "requests": [1]}]));
    let top = site.get("/api/metrics/top?by=key&limit=1").await.expect(200);
    let first = &top["rows"][0];
    assert_eq!((&top["by"], &first["key"], &first["name"]), (&json!("key"), &json!(id), &json!("laptop")));
    let top = site.get("/api/metrics/top?by=status&metric=errors").await.expect(200);
    assert_eq!((&top["by"], &top["rows"][0]["key"]), (&json!("status"), &json!("failed")));
    let facets = site.get(&format!("/api/metrics/facets?from={}", at - HOUR)).await.expect(200);
    assert_eq!(
        facets["keys"],
        json!([{"value": id, "name": "laptop", "requests": 2}, {"value": "config-1", "requests": 1}])
    );
}

async fn deleted_requests_are_subtracted(site: &Site) {
    let at = fill(site).await;
    site.delete("/api/requests/r2").await.expect(200);
    let query = format!("from={at}&to={}&step=60000&metrics=requests,prompt,p50", at + 3 * MINUTE);
    let body = site.get(&format!("/api/metrics/series?{query}")).await.expect(200);
    let columns = &body["series"][0];
    assert_eq!((&columns["requests"], &columns["prompt"]), (&json!([1, 1, 0]), &json!([3, 0, 0])));
    let usage = site.get("/api/usage?by=model").await.expect(200);
    let top = site.get("/api/metrics/top").await.expect(200);
    let sum = |rows: &Value| rows.as_array().unwrap().iter().map(|row| row["requests"].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum(&top["rows"]), sum(&usage["usage"])), (2, 2), "{usage}");
    for id in ["r1", "r3"] {
        site.delete(&format!("/api/requests/{id}")).await.expect(200);
    }
    assert_eq!(site.get("/api/metrics/series").await.expect(200)["series"], json!([]));
}

async fn mistakes_are_reported(site: &Site) {
    assert_eq!(
        site.get("/api/metrics/series?from=5&to=yesterday&step=1&by=day&metrics=requests,p42").await.mistakes(),
        [
            "to must be a time in milliseconds",
            "step must be a whole number of minutes up to 400 days, in milliseconds",
            "to must be at most 400 days after from",
            "metrics must be some of: requests, errors, prompt, completion, cost_nano, p50, p95, p99, ttft50, ttft95",
            "by must be one of: provider, model, key, status",
        ]
    );
    assert_eq!(site.get("/api/metrics/facets?from=9&to=9").await.mistakes(), ["to must be after from"]);
    assert_eq!(
        site.get("/api/metrics/top?metric=speed&limit=0").await.mistakes(),
        [
            "metric must be one of: requests, errors, prompt, completion, cost_nano, p50, p95, p99, ttft50, ttft95",
            "limit must be between 1 and 100",
        ]
    );
}
