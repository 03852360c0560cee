//! The pains of gateways, `P01` to `P25`: those of a single request here, those of the log and of money in
//! [`records`], those of the router as a whole in [`service`].

mod records;
mod service;

use bytes::Bytes;
use serde_json::{Value, json};
use signalbox_core::{Api, schema::RequestStatus};
use tokio::time::{Duration, Instant, sleep};

pub(super) use self::records::RECORDS;
pub(super) use self::service::SERVICE;
use super::{
    client::Outcome,
    fake::{Act, Speech, StreamFault},
    faults::{cut, has_no_prefill},
    scene::{FIRST_TOKEN, REPORT, RESUME, RETRIES, Scenario, Scene, Seen, short},
    speech::{ARGUMENTS, WORDS, words},
};

pub(super) const REQUESTS: [Scenario; 12] = [
    Scenario {
        id: "P01",
        model: "p01",
        name: "client gone",
        done: "the client leaves in the middle of a slow stream",
        expected: "the provider's connection is closed within 1 s, and the log has the request with its end",
        play: |scene| Box::pin(p01(scene)),
    },
    Scenario {
        id: "P02",
        model: "p02",
        name: "dead upstream shown as finished",
        done: "the stream of the first target ends properly after 20 of 60 words, without its last events",
        expected: "the answer is completed by a fallback, or ends with an error; never as if it were complete",
        play: |scene| Box::pin(p02(scene)),
    },
    Scenario {
        id: "P03",
        model: "p03",
        name: "error inside a stream with status 200",
        done: "the first event with content of the first target is an error",
        expected: "a fallback answers",
        play: |scene| Box::pin(p03(scene)),
    },
    Scenario {
        id: "P04",
        model: "p04",
        name: "continuation of a tool call",
        done: "the stream of the first target is cut within the arguments of a tool call",
        expected: "an error; nothing is continued, invented or sent to another target as a prefill",
        play: |scene| Box::pin(p04(scene)),
    },
    Scenario {
        id: "P05",
        model: "p05",
        name: "keep-alives without end",
        done: "the first target sends keep-alive comments and no content for 80 s",
        expected: "a deadline passes in spite of them, and a fallback answers",
        play: |scene| Box::pin(p05(scene)),
    },
    Scenario {
        id: "P06",
        model: "p06",
        name: "missing token counts",
        done: "the client streams and does not ask for token counts",
        expected: "the log has them, and the client does not see them",
        play: |scene| Box::pin(p06(scene)),
    },
    Scenario {
        id: "P07",
        model: "p07",
        name: "stalls within the gateway",
        done: "ten words are sent at intervals of 100 ms",
        expected: "they arrive at these intervals",
        play: |scene| Box::pin(p07(scene)),
    },
    Scenario {
        id: "P08",
        model: "p08",
        name: "translation of tool calls",
        done: "a client of Messages gets a tool call",
        expected: "its events are in order, and its arguments whole",
        play: |scene| Box::pin(p08(scene)),
    },
    Scenario {
        id: "P09",
        model: "p09",
        name: "identity of the items of Responses",
        done: "a client of Responses reads a stream",
        expected: "each event has its type, and the final answer the same ids as the events",
        play: |scene| Box::pin(p09(scene)),
    },
    Scenario {
        id: "P10",
        model: "p10",
        name: "broken prompt caches",
        done: "a prompt with unusual white space and cache marks is sent in the provider's own API",
        expected: "the provider gets the same bytes",
        play: |scene| Box::pin(p10(scene)),
    },
    Scenario {
        id: "P11",
        model: "p11",
        name: "silently cut context",
        done: "a prompt of 300 kB is sent",
        expected: "the provider gets all of it, or the client an error",
        play: |scene| Box::pin(p11(scene)),
    },
    Scenario {
        id: "P25",
        model: "p25",
        name: "web page in place of an answer",
        done: "the first target answers 200 with a page of a firewall, then with its JSON",
        expected: "a fallback answers, or the client sees an error; never an empty success",
        play: |scene| Box::pin(p25(scene)),
    },
];

async fn p01(scene: Scene) -> Seen {
    let slow = Speech { words: 200, pace: Duration::from_millis(20), ..Speech::default() };
    scene.script(move |_| Act::Say(slow.clone()));
    let body = scene.chat("Say many words.").to_string();
    let id = scene.stage.caller.leave("/v1/chat/completions", body.into(), 5).await;
    let left = Instant::now();
    let mut closed = None;
    while closed.is_none() && left.elapsed() < Duration::from_secs(5) {
        sleep(Duration::from_millis(20)).await;
        closed = scene.calls().first().and_then(|call| call.left);
    }
    let Some((id, closed)) = id.zip(closed) else {
        return Seen::fail("the provider went on for more than 5 s after the client had left", REPORT);
    };
    let after = closed.saturating_duration_since(left).as_millis();
    let row = scene.logged(&id).await;
    let status = row.map(|(request, _)| request.status);
    let text =
        format!("closed {after} ms after the client, logged as {}", status.map_or("nothing", RequestStatus::as_str));
    Seen::holds(after <= 1_000 && status == Some(RequestStatus::ClientDisconnected), text)
}

async fn p02(scene: Scene) -> Seen {
    scene.primary(vec![cut(20, StreamFault::End)]);
    let (_, outcome) = scene.asked().await;
    match outcome {
        // An error is all that can be done without another target to ask.
        Outcome::Error(error) if !scene.resumes() => {
            Seen::pass(format!("an error, \"{}\"; {}", short(&error), scene.called()))
        }
        outcome => Seen::of(&outcome, &scene.called(), RESUME),
    }
}

async fn p03(scene: Scene) -> Seen {
    scene.primary(vec![cut(0, StreamFault::Error)]);
    let (_, outcome) = scene.asked().await;
    Seen::of(&outcome, &scene.called(), RETRIES)
}

async fn p04(scene: Scene) -> Seen {
    scene.primary(vec![Act::Say(Speech { tool: true, fault: Some((2, StreamFault::Cut)), ..Speech::default() })]);
    let mut body = scene.chat("What is the weather?");
    body["tools"] = json!([{"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}}}}]);
    let got = scene.send(Api::Chat, body.to_string()).await;
    let outcome = got.outcome(Api::Chat, "");
    let text = format!("{}; {}", described(&outcome), scene.called());
    Seen::holds(matches!(outcome, Outcome::Error(_)) && has_no_prefill(&scene), text)
}

fn described(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Whole => "an end as if it were complete".to_owned(),
        Outcome::Error(error) => format!("an error, \"{}\"", short(error)),
        Outcome::Truncated => "a part that looks complete".to_owned(),
        Outcome::Unfinished => "an end without an error".to_owned(),
        Outcome::Hung => "no end".to_owned(),
    }
}

async fn p05(scene: Scene) -> Seen {
    let alive = Speech {
        pause: Duration::from_secs(8),
        comments: Some(Duration::from_millis(200)),
        words: 0,
        fault: None,
        ..Speech::default()
    };
    scene.primary(vec![Act::Say(alive)]);
    let got = scene.send_for(Api::Chat, scene.chat("Say the words.").to_string(), Duration::from_secs(6)).await;
    let outcome = got.outcome(Api::Chat, &words(WORDS));
    let text = format!("{}; {:.1} s", scene.called(), got.took.as_secs_f32());
    match outcome {
        Outcome::Hung if !got.arrivals.is_empty() => {
            Seen::partial(format!("the client waits with the keep-alives; {text}"), FIRST_TOKEN)
        }
        outcome => Seen::of(&outcome, &text, FIRST_TOKEN),
    }
}

async fn p06(scene: Scene) -> Seen {
    let (got, outcome) = scene.asked().await;
    let Some((_, Some(row))) = scene.row(&got).await else {
        return Seen::fail("the request is not in the log", REPORT);
    };
    let is_seen = got.events().any(|event| event["usage"].is_object());
    let tokens = row.total_tokens.unwrap_or_default();
    let text = format!("{tokens} tokens in the log; {}", if is_seen { "the client sees them" } else { "hidden" });
    if outcome == Outcome::Whole && tokens == 0 {
        return Seen::partial(text, "set `streamUsage` of the provider to `ask`");
    }
    Seen::holds(outcome == Outcome::Whole && !is_seen, text)
}

async fn p07(scene: Scene) -> Seen {
    let paced = Speech { words: 10, pace: Duration::from_millis(100), ..Speech::default() };
    scene.script(move |_| Act::Say(paced.clone()));
    let got = scene.ask().await;
    let (Some(first), Some(last)) = (got.arrivals.first(), got.arrivals.last()) else {
        return Seen::fail("nothing arrived", REPORT);
    };
    let spread = last.saturating_sub(*first);
    let text = format!(
        "{} parts, the first after {} ms, spread over {} ms",
        got.arrivals.len(),
        first.as_millis(),
        spread.as_millis()
    );
    Seen::holds(got.arrivals.len() >= 8 && spread >= Duration::from_millis(600), text)
}

async fn p08(scene: Scene) -> Seen {
    scene.script(|_| Act::Say(Speech { tool: true, ..Speech::default() }));
    let body = json!({"model": scene.model, "stream": true, "max_tokens": 100,
        "messages": [{"role": "user", "content": "What is the weather?"}],
        "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]});
    let got = scene.send(Api::Messages, body.to_string()).await;
    let (mut order, mut arguments) = (Vec::new(), String::new());
    for event in got.events() {
        let kind = event["type"].as_str().unwrap_or_default();
        if kind != "ping" && order.last().map(String::as_str) != Some(kind) {
            order.push(kind.to_owned());
        }
        arguments.push_str(event["delta"]["partial_json"].as_str().unwrap_or_default());
    }
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    let is_equal =
        serde_json::from_str::<Value>(&arguments).ok() == serde_json::from_str::<Value>(&ARGUMENTS.concat()).ok();
    let text =
        format!("{}; arguments {arguments}", if order.is_empty() { short(&got.message()) } else { order.join(", ") });
    Seen::holds(order == expected && is_equal, text)
}

async fn p09(scene: Scene) -> Seen {
    let body = json!({"model": scene.model, "stream": true, "input": "Say the words."});
    let got = scene.send(Api::Responses, body.to_string()).await;
    let outcome = got.outcome(Api::Responses, &words(WORDS));
    let is_typed = got.events().all(|event| event["type"].is_string());
    let done: Vec<Value> = got
        .events()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["item"]["id"].clone())
        .collect();
    let last = got.events().find(|event| event["type"] == "response.completed").unwrap_or_default();
    let ids: Vec<Value> =
        last["response"]["output"].as_array().into_iter().flatten().map(|item| item["id"].clone()).collect();
    let text = format!(
        "{}; {} items, ids {}",
        if outcome == Outcome::Whole { "the whole answer".to_owned() } else { described(&outcome) },
        ids.len(),
        if ids == done { "equal" } else { "different" }
    );
    Seen::holds(outcome == Outcome::Whole && is_typed && !ids.is_empty() && ids == done, text)
}

async fn p10(scene: Scene) -> Seen {
    let api = scene.stage.route.first_api();
    let model = scene.model;
    let said = "[ {\"role\":\"user\" ,\"content\":[{\"type\":\"text\",\"text\":\"\\u00e9\\u00e9\",  \"cache_control\":{\"type\":\"ephemeral\"}}]}]";
    let body = match api {
        Api::Chat => format!("{{\"model\":\"{model}\",  \"stream\":true,\"messages\":{said}}}"),
        Api::Messages => format!("{{\"model\":\"{model}\",  \"stream\":true,\"max_tokens\":9,\"messages\":{said}}}"),
        Api::Responses => format!(
            "{{\"model\":\"{model}\",  \"stream\":true,\"input\":{}}}",
            said.replace("\"text\",", "\"input_text\",")
        ),
    };
    let expected = body.split_once(if api == Api::Responses { "\"input\":" } else { "\"messages\":" });
    let expected = expected.map(|(_, rest)| rest.trim_end_matches('}').to_owned()).unwrap_or_default();
    scene.send(api, body).await;
    let Some(call) = scene.calls().into_iter().next() else { return Seen::fail("no provider was asked", REPORT) };
    let speaks = scene.stage.route.providers.get(call.provider).is_some_and(|provider| provider.apis.contains(&api));
    if !speaks {
        return Seen::skipped("the target that was asked speaks another API, so the prompt was translated");
    }
    let is_same = memchr::memmem::find(&call.body, expected.as_bytes()).is_some();
    Seen::holds(is_same, if is_same { "the same bytes" } else { "other bytes" })
}

async fn p11(scene: Scene) -> Seen {
    let text = format!("FIRST {} LAST", "lorem ipsum ".repeat(25_000));
    let got = scene.send(Api::Chat, scene.chat(&text).to_string()).await;
    match (scene.calls().first(), got.status) {
        (Some(call), _) => {
            let has = |part: &str| memchr::memmem::find(&call.body, part.as_bytes()).is_some();
            let is_whole = call.body.len() >= text.len() && has("FIRST ") && has(" LAST");
            Seen::holds(is_whole, format!("the provider got {} bytes of {}", call.body.len(), text.len()))
        }
        (None, status @ 400..500) => Seen::pass(format!("refused before any provider was asked, with status {status}")),
        (None, status) => Seen::fail(format!("no provider was asked; status {status}"), REPORT),
    }
}

async fn p25(scene: Scene) -> Seen {
    let page = "<!doctype html><html><body>Verify that you are human</body></html>".to_owned();
    let json =
        json!({"ret": ["FAIL_SYS_USER_VALIDATE"], "data": {"url": "https://example.invalid/captcha"}}).to_string();
    let mut worst: Option<Seen> = None;
    for act in [Act::Raw("text/html", page), Act::Raw("application/json", json)] {
        scene.primary(vec![act]);
        let (_, outcome) = scene.asked().await;
        let seen = Seen::of(&outcome, &scene.called(), RETRIES);
        if worst.is_none() || !seen.is_pass() {
            worst = Some(seen);
        }
    }
    worst.unwrap_or_else(|| Seen::skipped("nothing was asked"))
}

/// Sends the usual request this many times at once, and returns the answers that were whole.
async fn asked_at_once(scene: &Scene, count: usize) -> usize {
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..count {
        let scene = scene.clone();
        sent.spawn(async move { scene.asked().await.1 == Outcome::Whole });
    }
    sent.join_all().await.into_iter().filter(|is_whole| *is_whole).count()
}

/// Returns the body of the usual request.
fn usual(scene: &Scene) -> Bytes {
    scene.chat("Say the words.").to_string().into()
}
