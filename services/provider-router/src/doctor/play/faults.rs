//! The sixteen faults of Failover Bench (methodology 0.1), with their times divided.

use signalbox_core::Api;
use tokio::time::{Duration, Instant, sleep};

use super::{
    client::Outcome,
    fake::{Act, Speech, StreamFault},
    scene::{FALLBACK, FIRST_TOKEN, IDLE, REPORT, RESUME, RETRIES, Scenario, Scene, Seen},
    speech::{WORDS, words},
};

/// Maximum calls of a request.
const MAX_CALLS: usize = 6;

pub(super) const FAULTS: [Scenario; 16] = [
    Scenario {
        id: "S01",
        model: "s01",
        name: "429 with Retry-After",
        done: "the first call is refused with 429 and Retry-After: 1",
        expected: "the wait is kept at the same target, or another one answers",
        play: |scene| Box::pin(s01(scene)),
    },
    Scenario {
        id: "S02",
        model: "s02",
        name: "lasting 429",
        done: "the first target always refuses with 429",
        expected: "a fallback answers, after few calls",
        play: |scene| Box::pin(lasting(scene, 429)),
    },
    Scenario {
        id: "S03",
        model: "s03",
        name: "one 500",
        done: "the first call fails with 500",
        expected: "the same target is asked again, and answers",
        play: |scene| Box::pin(s03(scene)),
    },
    Scenario {
        id: "S04",
        model: "s04",
        name: "lasting 503",
        done: "the first target always fails with 503",
        expected: "a fallback answers, after few calls",
        play: |scene| Box::pin(lasting(scene, 503)),
    },
    Scenario {
        id: "S05",
        model: "s05",
        name: "connection reset",
        done: "the first connection is reset before an answer",
        expected: "the request is repeated, or a fallback answers",
        play: |scene| Box::pin(s05(scene)),
    },
    Scenario {
        id: "S06",
        model: "s06",
        name: "no answer",
        done: "the first target accepts the request and says nothing",
        expected: "a deadline passes, and a fallback answers within the limit; the silent one is not asked twice",
        play: |scene| Box::pin(s06(scene)),
    },
    Scenario {
        id: "S07",
        model: "s07",
        name: "slow first token",
        done: "the head comes at once, the first token of the first target after 20 s",
        expected: "a fallback answers earlier",
        play: |scene| Box::pin(s07(scene)),
    },
    Scenario {
        id: "S08",
        model: "s08",
        name: "cut stream",
        done: "the stream of the first target is cut after 40 of 60 words",
        expected: "a fallback completes the answer, or the client sees an error",
        play: |scene| Box::pin(s08(scene)),
    },
    Scenario {
        id: "S09",
        model: "s09",
        name: "stalled stream",
        done: "the stream of the first target is silent for 30 s after 20 words, then cut",
        expected: "it is noticed, and a fallback completes the answer",
        play: |scene| Box::pin(s09(scene)),
    },
    Scenario {
        id: "S10",
        model: "s10",
        name: "broken line",
        done: "a line that is no JSON is within the stream",
        expected: "it is left out, and the rest arrives",
        play: |scene| Box::pin(s10(scene)),
    },
    Scenario {
        id: "S11",
        model: "s11",
        name: "missing last event",
        done: "the stream is complete, but its last event is missing",
        expected: "the answer ends at once, as complete",
        play: |scene| Box::pin(s11(scene)),
    },
    Scenario {
        id: "S12",
        model: "s12",
        name: "context overflow",
        done: "the first target refuses the prompt as too long",
        expected: "it is not asked again; only a larger target is",
        play: |scene| Box::pin(s12(scene)),
    },
    Scenario {
        id: "S13",
        model: "s13",
        name: "refused content",
        done: "the first target refuses the content",
        expected: "the refusal is the answer; nothing else is asked",
        play: |scene| Box::pin(s13(scene)),
    },
    Scenario {
        id: "S14",
        model: "s14",
        name: "cut stream, no prefill",
        done: "as S08; the calls are examined",
        expected: "no target is asked to continue words of another one",
        play: |scene| Box::pin(s14(scene)),
    },
    Scenario {
        id: "S15",
        model: "s15",
        name: "outage and recovery",
        done: "the first target fails with 503 for 12 requests, then it is well",
        expected: "all requests are answered, the target is left alone, and used again within 30 s",
        play: |scene| Box::pin(s15(scene)),
    },
    Scenario {
        id: "S16",
        model: "s16",
        name: "who has answered",
        done: "the first target fails with 503",
        expected: "the answer names the model of the fallback",
        play: |scene| Box::pin(s16(scene)),
    },
];

fn refusal(status: u16, headers: Vec<(&'static str, String)>, code: &str, message: &str) -> Act {
    let body = serde_json::json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": code}});
    Act::Refuse(status, headers, body.to_string())
}

pub(super) fn failing(status: u16) -> Act {
    refusal(status, Vec::new(), "server_error", "the fake provider fails")
}

pub(super) fn cut(after: usize, fault: StreamFault) -> Act {
    Act::Say(Speech { fault: Some((after, fault)), ..Speech::default() })
}

fn well() -> Act {
    Act::Say(Speech::default())
}

async fn s01(scene: Scene) -> Seen {
    let wait = vec![("retry-after", "1".to_owned())];
    scene.primary(vec![refusal(429, wait, "rate_limit_exceeded", "too many requests"), well()]);
    let (_, outcome) = scene.asked().await;
    let calls = scene.calls();
    let primary: Vec<Instant> = calls.iter().filter(|call| call.is_primary).map(|call| call.at).collect();
    let is_kept = primary.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(900));
    Seen::of(&outcome, &scene.called(), RETRIES).required(is_kept, "the wait was not kept", REPORT).advised(
        primary.len() > 1 || calls.len() > 1,
        "nothing was asked again",
        RETRIES,
    )
}

async fn lasting(scene: Scene, status: u16) -> Seen {
    scene.primary(vec![failing(status)]);
    let (_, outcome) = scene.asked().await;
    let few = scene.calls().len() <= MAX_CALLS;
    Seen::of(&outcome, &scene.called(), FALLBACK).required(few, "too many calls", "lower `retries`")
}

async fn s03(scene: Scene) -> Seen {
    scene.primary(vec![failing(500), well()]);
    let (_, outcome) = scene.asked().await;
    let seen = Seen::of(&outcome, &scene.called(), RETRIES);
    seen.advised(scene.counts().0 > 1, "the same target was not asked again", RETRIES)
}

async fn s05(scene: Scene) -> Seen {
    scene.primary(vec![Act::Reset, well()]);
    let (_, outcome) = scene.asked().await;
    Seen::of(&outcome, &scene.called(), RETRIES)
}

async fn s06(scene: Scene) -> Seen {
    scene.primary(vec![Act::Silent(Duration::from_secs(12))]);
    let (got, outcome) = scene.asked().await;
    let took = format!("{}; {:.1} s", scene.called(), got.took.as_secs_f32());
    let remedy = if scene.has_fallback() { FIRST_TOKEN } else { FALLBACK };
    Seen::of(&outcome, &took, remedy)
        .required(got.took <= Duration::from_secs(10), "more than the 100 s of the bench, divided", FIRST_TOKEN)
        .advised(scene.counts().0 <= 1, "the silent target was asked twice", REPORT)
}

async fn s07(scene: Scene) -> Seen {
    let slow = Speech { pause: Duration::from_secs(2), ..Speech::default() };
    scene.primary(vec![Act::Say(slow)]);
    let (got, outcome) = scene.asked().await;
    let took = format!("{}; {:.1} s", scene.called(), got.took.as_secs_f32());
    // Another target has answered before the slow one, whatever the load of this machine is.
    let is_early = scene.counts().1 > 0 || got.took <= Duration::from_millis(1_500);
    Seen::of(&outcome, &took, FIRST_TOKEN).advised(is_early, "more than the 15 s of the bench, divided", FIRST_TOKEN)
}

async fn s08(scene: Scene) -> Seen {
    scene.primary(vec![cut(40, StreamFault::Cut)]);
    let (_, outcome) = scene.asked().await;
    Seen::of(&outcome, &scene.called(), RESUME)
}

async fn s09(scene: Scene) -> Seen {
    scene.primary(vec![cut(20, StreamFault::Stall(Duration::from_secs(3)))]);
    let (got, outcome) = scene.asked().await;
    Seen::of(&outcome, &scene.called(), IDLE).required(
        got.took <= Duration::from_millis(4_500),
        "more than the 45 s of the bench, divided",
        IDLE,
    )
}

async fn s10(scene: Scene) -> Seen {
    scene.primary(vec![cut(10, StreamFault::BadLine)]);
    let (_, outcome) = scene.asked().await;
    Seen::of(&outcome, &scene.called(), REPORT)
}

async fn s11(scene: Scene) -> Seen {
    scene.primary(vec![Act::Say(Speech { ends: false, ..Speech::default() })]);
    let (got, outcome) = scene.asked().await;
    let is_quick = got.took <= Duration::from_secs(2);
    Seen::of(&outcome, &scene.called(), RESUME).required(is_quick, "the end came late", REPORT)
}

async fn s12(scene: Scene) -> Seen {
    let message = "maximum context length is 8192 tokens";
    scene.primary(vec![refusal(400, Vec::new(), "context_length_exceeded", message)]);
    let (_, outcome) = scene.asked().await;
    let (primary, others) = scene.counts();
    let seen = match outcome {
        Outcome::Error(error) if error.contains("8192") => {
            Seen::pass(format!("the refusal is passed on; {}", scene.called()))
        }
        outcome => Seen::of(&outcome, &scene.called(), FALLBACK),
    };
    seen.required(primary == 1 && others <= 1, "the same prompt was sent again", REPORT)
}

async fn s13(scene: Scene) -> Seen {
    let message = "flagged by the safety system";
    scene.primary(vec![refusal(400, Vec::new(), "content_policy_violation", message)]);
    let (got, outcome) = scene.asked().await;
    let (primary, others) = scene.counts();
    let seen = match outcome {
        Outcome::Error(_) if got.body.contains(message) => {
            Seen::pass(format!("the refusal and its reason; {}", scene.called()))
        }
        outcome => Seen::of(&outcome, &scene.called(), REPORT),
    };
    seen.required(primary == 1, "the refused content was sent again", REPORT).advised(
        others == 0,
        "another target was asked",
        REPORT,
    )
}

/// Returns whether every call ends with the message of the client.
pub(super) fn has_no_prefill(scene: &Scene) -> bool {
    scene.calls().iter().all(|call| {
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let said = if body["messages"].is_array() { &body["messages"] } else { &body["input"] };
        let Some(last) = said.as_array().and_then(|said| said.last()) else { return said.is_string() };
        last["role"] == "user"
    })
}

async fn s14(scene: Scene) -> Seen {
    let seen = s08(scene.clone()).await;
    seen.required(has_no_prefill(&scene), "words of one target were sent to another", REPORT)
}

async fn s15(scene: Scene) -> Seen {
    const OUTAGE: usize = 12;
    scene.primary(vec![failing(503)]);
    let mut answered = 0;
    for _ in 0..OUTAGE {
        answered += usize::from(scene.asked().await.1 == Outcome::Whole);
    }
    let (during, _) = scene.counts();
    scene.primary(vec![well()]);
    let recovered = Instant::now();
    let mut used_after = None;
    while used_after.is_none() && recovered.elapsed() < Duration::from_secs(15) {
        sleep(Duration::from_millis(250)).await;
        let before = scene.counts().0;
        if scene.asked().await.1 == Outcome::Whole && scene.counts().0 > before {
            used_after = Some(recovered.elapsed());
        }
    }
    let text = format!("{answered} of {OUTAGE} requests answered, {during} calls of the failing target");
    let seen = match used_after {
        Some(after) => Seen::pass(format!("{text}; used again after {:.1} s", after.as_secs_f32())),
        None => Seen::partial(format!("{text}; not used again within 15 s"), "look at the weights of the targets"),
    };
    let is_left_alone = during <= OUTAGE || !scene.has_fallback();
    seen.required(is_left_alone, "the failing target was asked by every request", REPORT).advised(
        answered == OUTAGE,
        "the other requests got errors",
        FALLBACK,
    )
}

async fn s16(scene: Scene) -> Seen {
    scene.primary(vec![failing(503)]);
    let (got, outcome) = scene.asked().await;
    let seen = Seen::of(&outcome, &scene.called(), FALLBACK);
    if !seen.is_pass() {
        return seen;
    }
    let named = got.events().find_map(|event| event["model"].as_str().map(str::to_owned)).unwrap_or_default();
    let asked = scene.calls().last().map(|call| call.model.clone()).unwrap_or_default();
    debug_assert_eq!(got.text(Api::Chat), words(WORDS));
    seen.required(named == asked, &format!("the answer names `{named}`, but `{asked}` was asked"), REPORT)
}
