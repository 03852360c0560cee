//! Client keys: who may ask, what for, how often, and for how much money.

use std::time::Duration;

use serde_json::{Value, json};
use signalbox_fakes::{
    Turn,
    script::{FaultKind, Tokens, Usage},
};
use signalbox_harness::{Answer, Client, Launch, Router, eventually};
use tokio::task::JoinSet;

use crate::gateway::{CHAT, Gateway, chat, error_of};
use crate::lone_router::LoneRouter;

/// A router with one key, and clients with and without it.
struct Guarded {
    lone: LoneRouter,
    id: String,
    key: &'static str,
}

impl Guarded {
    async fn start(grant: Value) -> Self {
        Self::launch(Launch::default(), grant).await
    }

    async fn launch(launch: Launch, grant: Value) -> Self {
        let lone = LoneRouter::launch(launch).await;
        let (id, key) = create(&lone.client(), "/v1/keys", grant).await;
        let guarded = Self { lone, id, key };
        guarded.in_force().await;
        guarded
    }

    /// Waits until the router has the key.
    async fn in_force(&self) {
        let without = self.lone.client();
        eventually("keys to be needed", async || (without.get("/v1/models").await.status == 401).then_some(())).await;
    }

    fn client(&self) -> Client {
        self.lone.client().with_key(Some(self.key))
    }

    async fn ask(&self, model: &str) -> Answer {
        self.client().post(CHAT, &chat(model, false)).await
    }

    /// Sends this number of requests at the same time.
    async fn ask_at_once(&self, number: usize) -> Vec<Answer> {
        let client = self.client();
        let asked = (0..number).map(|_| async move { client.post(CHAT, &chat("fake/m", false)).await });
        asked.collect::<JoinSet<Answer>>().join_all().await
    }

    async fn manage(&self, action: &str, body: Value) -> Value {
        self.lone.client().post(&format!("/v1/keys/{}/{action}", self.id), &body).await.expect(200).json()
    }
}

/// Creates a key; returns its id and the key.
async fn create(api: &Client, path: &str, mut grant: Value) -> (String, &'static str) {
    grant["name"] = "the key".into();
    let created = api.post(path, &grant).await.expect(201).json();
    let text = |name: &str| created[name].as_str().unwrap_or_else(|| panic!("no {name} in {created}")).to_owned();
    (text("id"), Box::leak(text("key").into_boxed_str()))
}

/// Makes each answer of `fake/m` cost a dollar: 5 tokens of the answer at 20 cents each.
async fn a_dollar_each(lone: &LoneRouter, usage: Usage) {
    let prices = json!({"prices": [
        {"id": "fake-m", "provider_id": "fake", "match": ["m"], "base": {"in": "0", "out": "200000"}}]});
    lone.client().put("/v1/prices", &prices).await.expect(200);
    lone.fake.script("m", dollar_answer(usage));
}

fn dollar_answer(usage: Usage) -> Turn {
    Turn::says("one two three four five").chat(|chat| {
        chat.tokens = Tokens { input: 10, ..Tokens::default() };
        chat.usage = usage;
    })
}

#[tokio::test]
async fn a_key_may_do_what_it_is_allowed() {
    let guarded = Guarded::start(json!({"models": ["fake/a*"], "surfaces": ["chat", "messages"]})).await;
    assert_eq!(guarded.ask("fake/a1").await.status, 200);
    let error = error_of(&guarded.ask("fake/b").await, 403);
    assert_eq!((&error["code"], &error["param"]), (&json!("model_not_allowed"), &json!("model")));
    let body = json!({"model": "fake/b", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let messages = guarded.client().post("/v1/messages", &body).await.expect(403).json();
    assert_eq!((&messages["type"], &messages["error"]["type"]), (&json!("error"), &json!("permission_error")));
    let responses = guarded.client().post("/v1/responses", &json!({"model": "fake/a1", "input": "hi"})).await;
    assert_eq!(error_of(&responses, 403)["code"], "api_not_allowed");
    let vectors = guarded.client().post("/v1/embeddings", &json!({"model": "fake/a1", "input": "hi"})).await;
    assert_eq!(error_of(&vectors, 403)["code"], "api_not_allowed");
    assert_eq!(guarded.client().get("/metrics").await.status, 403);
    for path in ["/v1/responses/x", "/v1/responses/resp_x/input_items"] {
        assert_eq!(error_of(&guarded.client().get(path).await, 403)["code"], "api_not_allowed", "{path}");
    }
    assert_eq!(
        error_of(&guarded.lone.client().post(CHAT, &chat("fake/a1", false)).await, 401)["code"],
        "invalid_api_key"
    );

    // The log says who asked. What was refused did not reach it.
    let of_key = format!("/v1/requests?key={}", guarded.id);
    let logged = eventually("the request in the log", async || {
        let list = guarded.lone.client().get(&of_key).await.expect(200).json();
        (list["total"] == 1).then(|| list["requests"][0].clone())
    })
    .await;
    assert_eq!((&logged["key_id"], &logged["key_name"]), (&json!(guarded.id), &json!("the key")));
    let others = guarded.lone.client().get("/v1/requests?key=other").await.expect(200).json();
    assert_eq!(others["total"], 0);
}

#[tokio::test]
async fn only_allowed_models_are_listed() {
    let gateway = Gateway::start().await;
    let (_, key) = create(&gateway.stack.api, "/api/keys", json!({"models": ["no-such-*"]})).await;
    let client = gateway.router.with_key(Some(key));
    let models = eventually("the key to be accepted", async || {
        let answer = client.get("/v1/models").await;
        (answer.status == 200 && gateway.router.get("/v1/models").await.status == 401).then(|| answer.json())
    })
    .await;
    assert_eq!(models["data"], json!([]));
    assert_eq!(error_of(&client.get("/v1/models/echo").await, 403)["code"], "model_not_allowed");
    // api-server goes on without a key of its own.
    let tested = gateway.stack.api.post("/api/providers/fake/test", &json!({})).await.expect(200).json();
    assert_eq!(tested["healthy"], true, "{tested}");
}

#[tokio::test]
async fn a_revoked_key_ends_within_a_second_and_does_not_open_the_router() {
    let guarded = Guarded::start(json!({})).await;
    assert_eq!(guarded.ask("fake/m").await.status, 200);
    guarded.manage("revoke", json!({})).await;
    // The change is in force when the router has answered it, because it is made at this router.
    let error = error_of(&guarded.ask("fake/m").await, 401);
    assert_eq!(error["code"], "api_key_revoked");
    assert_eq!(guarded.lone.client().get("/v1/models").await.status, 401);
    guarded.lone.client().delete(&format!("/v1/keys/{}", guarded.id)).await.expect(200);
    assert_eq!(guarded.lone.client().get("/v1/models").await.status, 200, "without any key it is open");
}

#[tokio::test]
async fn a_change_by_another_process_is_in_force_within_a_second() {
    let guarded = Guarded::start(json!({})).await;
    signalbox_store::api_keys::revoke(&guarded.lone.store, &guarded.id, 1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(error_of(&guarded.ask("fake/m").await, 401)["code"], "api_key_revoked");
}

#[tokio::test]
async fn a_rotated_key_stays_valid_for_the_overlap() {
    let guarded = Guarded::start(json!({})).await;
    let key = |answer: &Value| Box::leak(answer["key"].as_str().unwrap().to_owned().into_boxed_str());
    let second = guarded.manage("rotate", json!({"overlap_seconds": 600})).await;
    let second = guarded.lone.client().with_key(Some(key(&second)));
    assert_eq!((guarded.ask("fake/m").await.status, second.get("/v1/models").await.status), (200, 200));
    let third = guarded.manage("rotate", json!({})).await;
    let third = guarded.lone.client().with_key(Some(key(&third)));
    assert_eq!(third.get("/v1/models").await.status, 200);
    for old in [guarded.client(), second] {
        assert_eq!(old.get("/v1/models").await.status, 401);
    }
}

#[tokio::test]
async fn rates_are_exact_when_many_ask_at_once() {
    let guarded = Guarded::start(json!({"limits": {"rpm": 10}})).await;
    let answers = guarded.ask_at_once(40).await;
    let served: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(served.len(), 10);
    assert!(served.iter().all(|answer| answer.header("x-ratelimit-limit-requests") == "10"));
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(error_of(refused, 429)["code"], "rate_limit_exceeded");
        assert_eq!(refused.header("x-ratelimit-remaining-requests"), "0");
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=61).contains(&wait), "{wait}");
    }
    let body = json!({"model": "fake/m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let messages = guarded.client().post("/v1/messages", &body).await.expect(429);
    assert_eq!(messages.json()["error"]["type"], "rate_limit_error");
    assert_eq!(messages.header("anthropic-ratelimit-requests-remaining"), "0");
    let metrics = guarded.client().get("/metrics").await.expect(200).text();
    assert!(metrics.contains(r#"signalbox_requests_limited_total{limit="requests"} 31"#), "{metrics}");
}

#[tokio::test]
async fn tokens_per_minute_are_exact_when_many_ask_at_once() {
    const LIMIT: usize = 500;
    const ASKED: usize = 40;
    let guarded = Guarded::start(json!({"limits": {"tpm": LIMIT}})).await;
    let fake = &guarded.lone.fake;
    fake.script("m", dollar_answer(Usage::Always));
    let client = guarded.client();
    let mut body = chat("fake/m", false);
    body["max_tokens"] = json!(40);
    let left = |answer: &Answer| answer.header("x-ratelimit-remaining-tokens").parse::<usize>().unwrap();
    let reserved = LIMIT - left(&client.post(CHAT, &body).await.expect(200));
    assert!(reserved > 40, "the prompt and the longest answer: {reserved}");

    // The 15 tokens that the first request used have replaced its reservation.
    let admitted = (LIMIT - 15) / reserved;
    let gate = fake.script("m", dollar_answer(Usage::Always).gated());
    let asked = (0..ASKED).map(|_| {
        let body = body.clone();
        async move { client.post(CHAT, &body).await }
    });
    let asked = asked.collect::<JoinSet<Answer>>().join_all();
    let opened = async {
        eventually("all requests to be admitted or refused", async || {
            let metrics = guarded.client().get("/metrics").await.expect(200).text();
            let name = r#"signalbox_requests_limited_total{limit="tokens"} "#;
            let refused = metrics.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |n| n.parse().unwrap());
            (refused + fake.calls_of("m").len() == ASKED + 1).then_some(())
        })
        .await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(asked, opened);
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), admitted);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(error_of(refused, 429)["code"], "rate_limit_exceeded");
    }
    let next = client.post(CHAT, &body).await.expect(200);
    assert_eq!(left(&next), LIMIT - 15 * (1 + admitted) - reserved);
}

#[tokio::test]
async fn a_budget_for_fifty_requests_serves_fifty_of_two_hundred() {
    let grant = json!({"budget": {"amount_usd": 50, "period": "month"}, "owner": "ann", "tags": ["x", "y"]});
    let guarded = Guarded::start(grant).await;
    a_dollar_each(&guarded.lone, Usage::Always).await;
    let answers = guarded.ask_at_once(200).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(served, 50);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(error_of(refused, 402)["code"], "budget_exceeded", "{}", refused.text());
        assert_eq!(refused.header("x-should-retry"), "false");
    }
    for (by, name) in [("key", "the key"), ("owner", "ann"), ("tag", "x"), ("model", "fake/m"), ("provider", "fake")] {
        let path = format!("/v1/usage?by={by}");
        let sums = eventually("all requests in the sums", async || {
            let sums = guarded.lone.client().get(&path).await.expect(200).json();
            let sum = sums["usage"].as_array()?.iter().find(|sum| sum["name"] == name)?.clone();
            (sum["requests"] == 50).then_some(sum)
        })
        .await;
        assert_eq!((&sums["cost_usd"], &sums["completion_tokens"]), (&json!(50.0), &json!(250)), "{by}: {sums}");
    }
    let table = guarded.lone.client().get("/v1/usage?by=owner&format=csv").await.expect(200);
    assert!(table.header("content-type").starts_with("text/csv"), "{:?}", table.headers);
    assert!(table.text().contains("ann,50,0,500,250,50,0\r\n"), "{}", table.text());
}

#[tokio::test]
async fn requests_wait_for_a_budget_while_slow_answers_may_use_it() {
    let guarded = Guarded::start(json!({"budget": {"amount_usd": 5, "period": "month"}})).await;
    a_dollar_each(&guarded.lone, Usage::Always).await;
    let fake = &guarded.lone.fake;
    let gate = fake.script("m", dollar_answer(Usage::Always).gated());
    // Without `max_tokens` the reservation of one request is more than the budget, so the others wait for its end.
    let asked = guarded.ask_at_once(20);
    let opened = async {
        fake.until(|fake| fake.calls_of("m").len() == 1).await;
        let waiting = eventually("the others to wait", async || {
            let list = guarded.lone.client().get("/v1/requests/inflight").await.expect(200).json();
            let queued = list["requests"].as_array()?.iter().filter(|one| one["phase"] == "queued").count();
            (queued == 19).then_some(queued)
        });
        assert_eq!(waiting.await, 19);
        gate.open();
    };
    let (answers, ()) = tokio::join!(asked, opened);
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(200), of(402)), (5, 15));
}

#[tokio::test]
async fn fc_a_killed_router_forgets_no_spend_that_is_in_its_journal() {
    let mut guarded = Guarded::start(json!({"budget": {"amount_usd": 10, "period": "total"}})).await;
    a_dollar_each(&guarded.lone, Usage::Always).await;
    for _ in 0..7 {
        assert_eq!(guarded.ask("fake/m").await.status, 200);
    }
    guarded.lone.kill9().await;
    guarded.lone.start_again().await;
    let mut served = 0;
    loop {
        match guarded.ask("fake/m").await.status {
            200 => served += 1,
            402 => break,
            status => panic!("{status}"),
        }
    }
    assert_eq!(served, 3);
}

#[tokio::test]
async fn a_killed_router_remembers_the_estimated_cost_of_broken_answers() {
    let mut guarded = Guarded::start(json!({"budget": {"amount_usd": 2, "period": "total"}})).await;
    a_dollar_each(&guarded.lone, Usage::Never).await;
    guarded.lone.fake.script("m", dollar_answer(Usage::Never).after(3, FaultKind::Close));
    let mut broken = 0;
    loop {
        let answer = guarded.client().post(CHAT, &chat("fake/m", true)).await;
        match answer.status {
            200 if !answer.complete => broken += 1,
            402 => break,
            status => panic!("{status}: {}", answer.text()),
        }
    }
    assert!((1..=10).contains(&broken), "each costs at least a token of 20 cents: {broken}");
    guarded.lone.kill9().await;
    guarded.lone.start_again().await;
    assert_eq!(guarded.ask("fake/m").await.status, 402);
}

#[tokio::test]
async fn a_key_is_enough_for_an_address_that_others_can_reach() {
    let launch = Launch::default();
    let exposed = || launch.clone().arg("--host").arg("0.0.0.0");
    let (code, said) = exposed().arg("--port").arg("0").run_to_exit("provider-router").await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("key create"), "{said}");
    let mut guarded = Guarded::launch(launch.clone(), json!({})).await;
    guarded.lone.kill9().await;
    let router = Router::start(exposed()).await;
    let client = router.client;
    assert_eq!(client.get("/v1/models").await.status, 401);
    assert_eq!(client.with_key(Some(guarded.key)).get("/v1/models").await.status, 200);
    // The end of the last key does not open it.
    signalbox_store::api_keys::delete(&guarded.lone.store, &guarded.id).await.unwrap();
    eventually("the key to end", async || {
        (client.with_key(Some(guarded.key)).get("/v1/models").await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_strict_key_refuses_a_translation_that_loses_a_field() {
    let body =
        json!({"model": "fake/m", "max_tokens": 64, "top_k": 3, "messages": [{"role": "user", "content": "hi"}]});
    for (strict, status) in [(true, 400), (false, 200)] {
        let guarded = Guarded::start(json!({"name": "k", "strict": strict})).await;
        let answer = guarded.client().post("/v1/messages", &body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(!strict || answer.text().contains("top_k"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_key_has_only_the_kept_answers_to_its_own_requests() {
    let guarded = Guarded::start(json!({})).await;
    // The router keeps the answers of providers that do not speak Responses.
    let provider = json!({"id": "chat", "name": "Chat", "type": "openai-compatible", "enabled": true,
                          "config": {"baseURL": guarded.lone.fake.url()}});
    guarded.lone.client().post("/v1/providers", &provider).await.expect(201);
    let own = guarded.client();
    let other = json!({"name": "other"});
    let other = guarded.lone.client().post("/v1/keys", &other).await.expect(201).json();
    let other = guarded.lone.client().with_key(Some(Box::leak(other["key"].as_str().unwrap().into())));
    eventually("the other key", async || (other.get("/v1/models").await.status == 200).then_some(())).await;

    let answer = own.post("/v1/responses", &json!({"model": "chat/m", "input": "hi"})).await.expect(200).json();
    let path = format!("/v1/responses/{}", answer["id"].as_str().unwrap());
    let next = json!({"model": "chat/m", "input": "go on", "previous_response_id": answer["id"]});
    own.get(&path).await.expect(200);
    own.post("/v1/responses", &next).await.expect(200);
    let calls = guarded.lone.fake.calls().len();
    for refused in [
        other.get(&path).await,
        other.get(&format!("{path}/input_items")).await,
        other.request(http::Method::DELETE, &path, "").await,
        other.post("/v1/responses", &next).await,
    ] {
        assert_eq!(refused.status, 404, "{}", refused.text());
    }
    assert_eq!(guarded.lone.fake.calls().len(), calls);
    own.get(&path).await.expect(200);
}

#[tokio::test]
async fn a_hook_is_refused_where_the_router_has_none() {
    let lone = LoneRouter::launch(Launch::default()).await;
    let (router, rules) = (lone.client(), json!({"hook": true}));
    let targets = json!([{"provider": "echo", "model": "echo"}]);
    for (path, mut body) in
        [("/v1/keys", json!({"name": "k"})), ("/v1/routes", json!({"model": "r", "targets": targets}))]
    {
        body["guard"] = rules.clone();
        let refused = router.post(path, &body).await.expect(400);
        assert!(refused.text().contains("set guard.hook_url"), "{path}: {}", refused.text());
        assert_eq!(router.get(path).await.expect(200).json()["total"], 0, "{path}");
    }
    // Nothing listens there, and nothing is asked.
    let config = "[guard]\nhook_url = \"http://127.0.0.1:9/\"\n";
    let lone = LoneRouter::launch(Launch::default().config("provider-router", config)).await;
    lone.client().post("/v1/keys", &json!({"name": "k", "guard": rules})).await.expect(201);
}
