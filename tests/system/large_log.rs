//! A log of large bodies can be read in bounded memory.

use serde_json::{Value, json};
use signalbox_core::schema::RequestStatus;
use signalbox_harness::{Home, Launch, Stack};
use signalbox_store::{
    Store,
    exchanges::{Exchange, ExchangeEnd, ExchangeStart, SessionRef, Source, record},
};

const REQUESTS: usize = 12;
const MIB: usize = 1 << 20;
/// Bytes of each request; answers are half as long.
const BODY: usize = 10 * MIB;

/// Returns text that hardly compresses, different for each `seed`.
fn noise(length: usize, seed: u64) -> String {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + u8::try_from(state >> 58).unwrap())
    };
    (0..length).map(|_| next()).filter(|letter| !matches!(letter, '"' | '\\')).collect()
}

fn exchange(number: usize) -> Exchange {
    let seed = u64::try_from(number).unwrap();
    let at = 1_760_000_000_000 + i64::try_from(number).unwrap();
    let asked = json!({"model": "m", "messages": [{"role": "user", "content": noise(BODY, 2 * seed)}, {"role": "user", "content": format!("needle {number}.")}]});
    let answer = json!({"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": noise(BODY / 2, 2 * seed + 1)}}]});
    let begun = ExchangeStart {
        request_id: format!("large-{number}"),
        received_at: at,
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        model: "m".to_owned(),
        stream: false,
        request_body: asked.to_string().into(),
        first_user_message: "hello".to_owned(),
        session: SessionRef::Opens,
        base: None,
        source: Source::Router,
        key_id: None,
    };
    let ended = ExchangeEnd {
        status: RequestStatus::Completed,
        ended_at: at + 40,
        provider_id: Some("p".to_owned()),
        upstream_request: None,
        response_body: Some(answer.to_string()),
        usage: None,
        cost: None,
        finish_reason: Some("stop".to_owned()),
        error: None,
        duration_ms: 40,
        first_byte_ms: Some(4),
        status_code: Some(200),
        attempts: 1,
        truncated: false,
        translation: None,
        plan: None,
        opening_hash: None,
        answer_hash: None,
    };
    Exchange { begun, ended: Some(ended) }
}

/// Returns the peak of resident memory of the process in bytes.
fn peak(stack: &Stack) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", stack.process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn i13_lists_and_searches_have_bounded_memory() {
    let home = Home::new();
    let stack = Stack::builder().launch(Launch::default().home(&home)).autostart(false).start().await;
    let store = Store::open(&format!("sqlite://{}", home.data().join("signalbox.db").display())).await.unwrap();
    for number in 0..REQUESTS {
        record(&store, &[exchange(number)]).await.unwrap();
    }
    store.close().await;
    stack.api.get("/api/requests?limit=1").await.expect(200);

    let before = peak(&stack);
    for path in ["/api/requests", "/api/requests?limit=1000", "/api/responses", "/api/responses?limit=1000"] {
        let answer = stack.api.get(path).await.expect(200);
        assert!(answer.body.len() < REQUESTS * 20_000, "{path} answers {} bytes", answer.body.len());
        let list = answer.json();
        let rows = list["requests"].as_array().or_else(|| list["responses"].as_array()).unwrap();
        assert_eq!(rows.len(), REQUESTS, "{path}");
        for row in rows {
            let body = if row["openai_request"].is_object() { &row["openai_request"] } else { &row["openai_response"] };
            assert_eq!(body["truncated"], json!(true), "{path}");
            assert!(body.to_string().len() > 4000, "{path}: the beginning of a body is shown");
        }
    }
    let grown = peak(&stack) - before;
    assert!(grown < 6 * BODY, "lists of {} MiB took {} MiB", REQUESTS * BODY / MIB, grown / MIB);

    let (mut cursor, mut found, mut answers) = (String::new(), Vec::new(), 0);
    while answers < 100 {
        let list = stack.api.get(&format!("/api/requests?q=needle&limit=50&cursor={cursor}")).await.expect(200);
        assert!(list.body.len() < REQUESTS * 20_000, "{} bytes", list.body.len());
        let list = list.json();
        answers += 1;
        found.extend(list["requests"].as_array().unwrap().iter().map(|row| row["request_id"].clone()));
        match &list["next_cursor"] {
            Value::String(next) => cursor.clone_from(next),
            _ => break,
        }
    }
    let expected: Vec<Value> = (0..REQUESTS).rev().map(|number| format!("large-{number}").into()).collect();
    assert_eq!(found, expected);
    assert!(answers > 1, "one answer does not read all of {} MiB", REQUESTS * BODY / MIB);

    let whole = stack.api.get("/api/requests/large-3").await.expect(200).json();
    assert_eq!(whole["openai_request"]["messages"][1]["content"], "needle 3.");
    assert!(whole["openai_request"]["truncated"].is_null());
    let grown = peak(&stack) - before;
    assert!(grown < 15 * BODY, "a search of {} MiB took {} MiB", REQUESTS * BODY / MIB, grown / MIB);
}
