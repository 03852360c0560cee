//! The pains of money, of the log and of secrets.

use serde_json::json;
use signalbox_core::{Api, schema::RequestStatus};
use signalbox_store::{
    requests::{self, Filter, SearchLimits},
    retention,
};
use tokio::{
    task::JoinSet,
    time::{Duration, sleep},
};

use super::{
    super::{
        client::{Outcome, request_id},
        fake::{Act, Speech},
        scene::{LIMIT, REPORT, Scenario, Scene, Seen, short},
        speech::{Counts, WORDS, words},
        stage::{ANSWER_USD, BUDGET_USD, CANARY},
    },
    usual,
};

pub(in super::super) const RECORDS: [Scenario; 3] = [
    Scenario {
        id: "P12",
        model: "p12",
        name: "wrong cost of cached tokens",
        done: "an answer reports 1,000 tokens of prompt, 800 of them cached, and 100 of answer",
        expected: "the log has $0.00048 at the prices of the run",
        play: |scene| Box::pin(p12(scene)),
    },
    Scenario {
        id: "P15",
        model: "p15",
        name: "budget overshoot",
        done: "20 requests at once on a key with a budget for 5 answers",
        expected: "5 are answered, one more at most at the end of the budget, and the others are refused for good",
        play: |scene| Box::pin(p15(scene)),
    },
    Scenario {
        id: "P22",
        model: "p22",
        name: "leaked key",
        done: "the providers quote the key in a refusal",
        expected: "it is in no answer, in no row of the log and in no line of the router's output",
        play: |scene| Box::pin(p22(scene)),
    },
];

async fn p12(scene: Scene) -> Seen {
    const NANOS: i64 = 480_000;
    let counts = Counts { prompt: 1_000, cached: 800, answer: 100 };
    scene.script(move |_| Act::Say(Speech { counts: Some(counts), ..Speech::default() }));
    let mut body = scene.chat("Say the words.");
    body["stream_options"] = json!({"include_usage": true});
    let got = scene.send(Api::Chat, body.to_string()).await;
    let Some((_, Some(row))) = scene.row(&got).await else {
        return Seen::fail("the request is not in the log", REPORT);
    };
    let nanos = row.cost.as_ref().and_then(|cost| cost.nanos);
    let text = match nanos {
        Some(nanos) => format!("${}.{:09} in the log", nanos / 1_000_000_000, nanos % 1_000_000_000),
        None => "no cost in the log".to_owned(),
    };
    Seen::holds(nanos == Some(NANOS), text)
}

async fn p15(scene: Scene) -> Seen {
    let mut sent = JoinSet::new();
    for _ in 0..20 {
        let scene = scene.clone();
        sent.spawn(async move {
            let mut body = scene.chat("Say the words.");
            body["max_tokens"] = 60.into();
            body["stream_options"] = json!({"include_usage": true});
            scene.stage.poor.send("/v1/chat/completions", body.to_string().into(), LIMIT).await
        });
    }
    let answers = sent.join_all().await;
    let is_whole = |outcome: Outcome| outcome == Outcome::Whole;
    let served = answers.iter().filter(|got| is_whole(got.outcome(Api::Chat, &words(WORDS)))).count();
    let refused = answers.iter().filter(|got| matches!(got.status, 402 | 429));
    let is_final = answers.iter().all(|got| got.status != 402 || got.header("x-should-retry") == "false");
    let refused = refused.count();
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let spent = served as f64 * ANSWER_USD;
    let text = format!("{served} of 20 answered for ${spent:.2} of ${BUDGET_USD:.2}, {refused} refused");
    Seen::holds(served >= 1 && spent <= BUDGET_USD + ANSWER_USD && served + refused == 20 && is_final, text)
}

async fn p22(scene: Scene) -> Seen {
    scene.script(|heard| {
        let message = format!("Incorrect API key provided: {}", heard.key);
        Act::Refuse(
            401,
            Vec::new(),
            json!({"error": {"message": message, "type": "invalid_request_error"}}).to_string(),
        )
    });
    let got = scene.ask().await;
    let Some((request, response)) = scene.row(&got).await else {
        return Seen::fail("the request is not in the log", REPORT);
    };
    let places = [
        ("the answer", got.body.contains(CANARY)),
        ("the log", format!("{request:?}{response:?}").contains(CANARY)),
        ("the output", scene.stage.log().contains(CANARY)),
    ];
    let leaked: Vec<&str> = places.iter().filter(|(_, is_leaked)| *is_leaked).map(|(place, _)| *place).collect();
    if leaked.is_empty() {
        return Seen::pass(format!("\"{}\"; the key is nowhere", short(&got.message())));
    }
    Seen::fail(format!("the key is in {}", leaked.join(" and in ")), REPORT)
}

/// Looks for every request that a client has seen to its end.
pub(super) async fn p13(scene: Scene) -> Seen {
    let seen = scene.stage.seen();
    let mut missing = 0;
    for id in &seen {
        missing += usize::from(scene.logged(id).await.is_none());
        if missing > 3 {
            break;
        }
    }
    let mut distinct = seen.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let text = format!("{} answers seen, {missing} of them not in the log", seen.len());
    Seen::holds(missing == 0 && distinct.len() == seen.len() && !seen.is_empty(), text)
}

/// Returns text that cannot be compressed to less than half.
fn noise(bytes: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let digit = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from_digit(u32::try_from(state >> 60).unwrap_or_default(), 16).unwrap_or('0')
    });
    digit.take(bytes).collect()
}

/// Compares the growth of the logged bodies with the prompts of a conversation. Nothing else is logged meanwhile.
pub(super) async fn p14(scene: Scene) -> Seen {
    const TURNS: usize = 8;
    const PROMPT: usize = 64 << 10;
    // Earlier requests are in the log by then.
    let first = scene.ask().await;
    if scene.row(&first).await.is_none() {
        return Seen::fail("the request is not in the log", REPORT);
    }
    let Ok(before) = retention::body_bytes(&scene.stage.store).await else {
        return Seen::fail("the database cannot be read", REPORT);
    };
    let mut body = scene.chat(&noise(PROMPT));
    let (mut sent, mut whole) = (0, 0);
    for turn in 1..=TURNS {
        let text = body.to_string();
        sent += text.len();
        let got = scene.send(Api::Chat, text).await;
        whole += usize::from(got.outcome(Api::Chat, &words(WORDS)) == Outcome::Whole);
        if scene.row(&got).await.is_none() {
            return Seen::fail("the request is not in the log", REPORT);
        }
        if let Some(messages) = body["messages"].as_array_mut() {
            messages.push(json!({"role": "assistant", "content": words(WORDS)}));
            messages.push(json!({"role": "user", "content": format!("Say the words again, turn {turn}.")}));
        }
    }
    let Ok(after) = retention::body_bytes(&scene.stage.store).await else {
        return Seen::fail("the database cannot be read", REPORT);
    };
    let grown = usize::try_from(after - before).unwrap_or_default();
    let text = format!("{} KiB stored for {} KiB of prompts; {whole} of {TURNS} answered", grown >> 10, sent >> 10);
    Seen::holds(grown < 2 * PROMPT && whole == TURNS, text)
}

/// Searches the log for a word, among all requests of the run.
pub(super) async fn p23(scene: Scene) -> Seen {
    let got = scene.send(Api::Chat, scene.chat("needle-of-the-doctor").to_string()).await;
    let Some(id) = request_id(&got.headers) else { return Seen::fail("the request has no id", REPORT) };
    if scene.logged(&id).await.is_none() {
        return Seen::fail("the request is not in the log", REPORT);
    }
    let limits = SearchLimits { found: 10, read: 10_000, bytes: 64 << 20, time: Duration::from_secs(5) };
    let filter = Filter { models: vec![scene.model.to_owned()], ..Filter::default() };
    let found = requests::search(&scene.stage.store, &filter, "needle-of-the-doctor", 0, limits).await;
    let (Ok(found), Ok(counted)) = (found, requests::count(&scene.stage.store, &filter).await) else {
        return Seen::fail("the search failed", REPORT);
    };
    let is_found = found.items.len() == 1 && found.items.iter().all(|(request, _)| request.request_id == id);
    let text = format!("{} found among {counted} of the model", found.items.len());
    Seen::holds(is_found && counted >= 1, text)
}

/// Writes settings from this process while the router logs requests.
pub(super) async fn p19(scene: Scene) -> Seen {
    let mut writers = JoinSet::new();
    for n in 0..20 {
        let store = scene.stage.store.clone();
        writers.spawn(async move {
            let values = [(format!("doctor.{n}"), n.to_string())];
            signalbox_store::settings::put(&store, &values, crate::clock::unix_ms()).await.is_ok()
        });
    }
    let mut whole = 0;
    let mut logged = 0;
    for _ in 0..20 {
        let got = scene.stage.caller.send("/v1/chat/completions", usual(&scene), LIMIT).await;
        whole += usize::from(got.outcome(Api::Chat, &words(WORDS)) == Outcome::Whole);
        let row = scene.row(&got).await;
        logged += usize::from(row.is_some_and(|(request, _)| request.status == RequestStatus::Completed));
        sleep(Duration::from_millis(5)).await;
    }
    let written = writers.join_all().await.into_iter().filter(|is_written| *is_written).count();
    let text = format!("{written} of 20 settings written, {whole} of 20 requests answered, {logged} logged");
    Seen::holds((written, whole, logged) == (20, 20, 20), text)
}
