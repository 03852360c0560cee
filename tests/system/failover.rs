//! The sixteen faults of Failover Bench, on each API, and what the log explains about them.
//!
//! A route has a primary target, one fallback and two retries. The deadlines are those of the bench, scaled down.

mod bench;
mod choice;
mod explain;
mod hedging;
mod limits;

use signalbox_fakes::{
    FakeProvider, Turn,
    script::{FaultKind, Script, Usage},
};

use self::bench::{Bench, PRIMARY, WORDS, text};
use crate::apis::{APIS, Api};

/// Plays a scenario on each API: `fault` is the script of the primary target. The stream has to be whole. Returns the
/// calls of the primary target and of the fallback.
async fn whole(fault: impl Fn(Api) -> Script) -> Vec<(usize, usize)> {
    let mut calls = Vec::new();
    for api in APIS {
        let bench = Bench::start(api).await;
        bench.primary.script(PRIMARY, fault(api));
        bench.is_whole().await;
        calls.push(bench.calls());
        bench.is_alive().await;
    }
    calls
}

#[tokio::test]
async fn s01_a_short_wait_is_kept_at_the_same_provider() {
    let limited = Turn::error(429).header("retry-after", "1");
    assert_eq!(whole(|_| Script::first(1, limited.clone()).then(text())).await, [(2, 0); 3]);
}

#[tokio::test]
async fn s02_a_lasting_rate_limit_leads_to_the_fallback() {
    assert_eq!(whole(|_| Turn::error(429).into()).await, [(2, 1); 3]);
}

#[tokio::test]
async fn s03_one_failure_is_repeated_at_the_same_provider() {
    assert_eq!(whole(|_| Script::first(1, Turn::error(500)).then(text())).await, [(2, 0); 3]);
}

#[tokio::test]
async fn s04_an_overloaded_provider_leads_to_the_fallback() {
    assert_eq!(whole(|_| Turn::error(503).into()).await, [(2, 1); 3]);
}

#[tokio::test]
async fn s05_a_reset_is_repeated() {
    let reset = text().before_head(FaultKind::Reset);
    assert_eq!(whole(|_| Script::first(1, reset.clone()).then(text())).await, [(2, 0); 3]);
}

#[tokio::test]
async fn s06_a_silent_provider_is_asked_once() {
    assert_eq!(whole(|_| text().before_head(FaultKind::Stall).into()).await, [(1, 1); 3]);
}

#[tokio::test]
async fn s07_a_slow_first_token_leads_to_the_fallback() {
    // The head comes at once, and then nothing, or only the events without content.
    assert_eq!(whole(|_| text().after(0, FaultKind::Stall).into()).await, [(1, 1); 3]);
    assert_eq!(whole(|_| text().after(1, FaultKind::Stall).into()).await, [(1, 1); 3]);
}

#[tokio::test]
async fn s08_a_cut_stream_is_continued_by_the_fallback() {
    assert_eq!(whole(|_| text().after(40, FaultKind::Close).into()).await, [(1, 1); 3]);
    assert_eq!(whole(|_| text().after(40, FaultKind::ErrorEvent).into()).await, [(1, 1); 3]);
}

#[tokio::test]
async fn s09_a_stalled_stream_is_continued_by_the_fallback() {
    assert_eq!(whole(|_| text().after(20, FaultKind::Stall).into()).await, [(1, 1); 3]);
}

#[tokio::test]
async fn s10_a_malformed_line_costs_nothing() {
    for api in APIS {
        let bench = Bench::start(api).await;
        bench.primary.script(PRIMARY, text());
        let stream = bench.ask(true).await.text().replace("\r\n", "\n");
        let at = stream.match_indices("\n\n").nth(10).unwrap().0 + 2;
        let broken = format!("{}data: {{\"broken\": tru\n\n{}", &stream[..at], &stream[at..]);
        bench.primary.script(PRIMARY, Turn::raw("text/event-stream", broken));
        bench.is_whole().await;
        assert_eq!(bench.calls().1, 0, "{api:?}");
    }
}

#[tokio::test]
async fn s11_a_missing_last_event_costs_nothing() {
    let undone = text().chat(|chat| {
        chat.done = false;
        chat.usage = Usage::Always;
    });
    let calls = whole(|_| undone.clone().into()).await;
    // The last event of Responses has the whole answer, which only another target can give.
    assert_eq!(calls, [(1, 0), (1, 0), (1, 1)]);
}

#[tokio::test]
async fn s12_an_overflow_goes_to_a_target_that_holds_more() {
    let body = r#"{"error":{"message":"maximum context length is 8192 tokens","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
    let overflow = Turn { status: 400, ..Turn::raw("application/json", body) };
    assert_eq!(whole(|_| overflow.clone().into()).await, [(1, 1); 3]);
}

#[tokio::test]
async fn s13_a_refusal_of_the_content_is_the_answer() {
    let body = r#"{"error":{"message":"flagged by the safety system","type":"invalid_request_error","code":"content_policy_violation"}}"#;
    for api in APIS {
        let bench = Bench::start(api).await;
        bench.primary.script(PRIMARY, Turn { status: 400, ..Turn::raw("application/json", body) });
        let answer = bench.ask(true).await;
        assert_eq!((answer.status, bench.calls()), (400, (1, 0)), "{api:?}");
        assert!(answer.text().contains("flagged by the safety system"), "{api:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn s14_the_fallback_gets_the_request_of_the_client_and_no_prefill() {
    for api in APIS {
        let bench = Bench::start(api).await;
        bench.primary.script(PRIMARY, text().after(40, FaultKind::Close));
        bench.is_whole().await;
        let asked = |fake: &FakeProvider| fake.calls().pop().unwrap().body;
        let (first, second) = (asked(&bench.primary), asked(&bench.fallback));
        let second = String::from_utf8_lossy(&second).replace(bench::FALLBACK, PRIMARY);
        assert_eq!(String::from_utf8_lossy(&first), second, "{api:?}");
    }
}

#[tokio::test]
async fn s15_an_outage_opens_the_breaker_and_its_end_closes_it() {
    for api in APIS {
        let bench = Bench::start(api).await;
        bench.primary.script(PRIMARY, Turn::error(503));
        for _ in 0..12 {
            bench.is_whole().await;
        }
        let (primary, fallback) = bench.calls();
        assert_eq!(fallback, 12, "{api:?}");
        assert!((5..=6).contains(&primary), "{api:?}: {primary} calls");
        let health = bench.router.get("/health").await.expect(200).json();
        let breaker = &health["breakers"][0];
        assert_eq!(
            (&breaker["provider"], &breaker["model"], &breaker["state"]),
            (&"primary".into(), &PRIMARY.into(), &"open".into()),
            "{health}"
        );
        assert!(breaker["seconds"].as_u64().is_some_and(|seconds| (1..=12).contains(&seconds)), "{health}");
        let labels = format!("provider=\"primary\",model=\"{PRIMARY}\",key=\"\"");
        let gauge = |state: u8| format!("signalbox_breaker_state{{{labels}}} {state}");
        let metrics = bench.router.get("/metrics").await.expect(200).text();
        assert!(metrics.contains(&gauge(2)), "{metrics}");

        bench.primary.script(PRIMARY, text());
        let reset = bench.router.post("/v1/routes/reset-breakers", &serde_json::json!({})).await.expect(200).json();
        assert_eq!(reset["closed"], 1);
        bench.is_whole().await;
        assert_eq!(bench.calls(), (primary + 1, 12), "{api:?}");
        assert!(bench.router.get("/metrics").await.expect(200).text().contains(&gauge(0)));
    }
}

#[tokio::test]
async fn s16_the_answer_names_the_model_of_the_fallback() {
    for api in APIS {
        let bench = Bench::start(api).await;
        bench.primary.script(PRIMARY, Turn::error(503));
        for stream in [true, false] {
            let answer = bench.ask(stream).await.expect(200);
            assert!(
                answer.text().contains(&format!("\"model\":\"{}\"", bench::FALLBACK)),
                "{api:?}: {}",
                answer.text()
            );
            assert_eq!(answer.header("x-signalbox-provider"), "fallback");
            assert_eq!(answer.header("x-signalbox-model"), bench::FALLBACK);
            assert_eq!(answer.header("x-signalbox-attempts"), "3");
            let row = bench.stack.recorded(answer.header("x-request-id")).await;
            assert_eq!((&row["provider_id"], &row["response"]["attempts"]), (&"fallback".into(), &3.into()), "{row}");
        }
    }
}

#[tokio::test]
async fn without_resume_a_cut_stream_ends_with_an_error() {
    for api in APIS {
        let bench = Bench::with(api, |route| route["resume"] = "off".into()).await;
        bench.primary.script(PRIMARY, text().after(40, FaultKind::Close));
        let answer = bench.ask(true).await;
        let (said, is_complete) = api.streamed(&answer.text());
        assert!(!answer.complete && !is_complete && WORDS.starts_with(&said) && !said.is_empty(), "{api:?}: {said}");
        assert_eq!(bench.calls(), (1, 0), "{api:?}");
    }
}

#[tokio::test]
async fn an_error_behind_the_role_leads_to_the_fallback_without_any_setting() {
    for (api, events) in [(Api::Chat, 1), (Api::Messages, 2), (Api::Responses, 4)] {
        let bench = Bench::with(api, |route| {
            *route = serde_json::json!({"model": "bench", "targets": route["targets"]});
        })
        .await;
        for fault in [FaultKind::ErrorEvent, FaultKind::Close] {
            let before = bench.calls();
            bench.primary.script(PRIMARY, text().after(events, fault));
            bench.is_whole().await;
            assert_eq!(bench.calls(), (before.0 + 1, before.1 + 1), "{api:?}");
        }
        // The last target has no other one behind it, so its stream is passed on from its first event.
        bench.primary.script(PRIMARY, Turn::error(503));
        bench.fallback.script(bench::FALLBACK, text().after(events, FaultKind::ErrorEvent));
        let answer = bench.ask(true).await;
        assert_eq!((answer.status, api.streamed(&answer.text()).1), (200, false), "{api:?}: {}", answer.text());
        assert!(answer.text().contains("error"), "{api:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_continuation_that_differs_ends_with_an_error() {
    for api in APIS {
        let bench = Bench::start(api).await;
        bench.primary.script(PRIMARY, text().after(40, FaultKind::Close));
        bench.fallback.script(bench::FALLBACK, Turn::says("word1 word2 something else"));
        for n in 1..=5 {
            let answer = bench.ask(true).await;
            let (said, is_complete) = api.streamed(&answer.text());
            let is_begun = WORDS.starts_with(&said) && !said.is_empty();
            assert!(!answer.complete && !is_complete && is_begun, "{api:?}: {said}");
            assert!(answer.text().contains("error") && bench.calls() == (n, n), "{api:?}: {}", answer.text());
            let row = bench.stack.recorded(answer.header("x-request-id")).await;
            let expected = (&"truncated".into(), &"primary".into(), &2.into());
            assert_eq!((&row["status"], &row["provider_id"], &row["response"]["attempts"]), expected, "{row}");
        }
        // All that the clients have is of the primary target, and so are the failures.
        let health = bench.router.get("/health").await.expect(200).json();
        let open: Vec<&str> =
            health["breakers"].as_array().unwrap().iter().filter_map(|one| one["provider"].as_str()).collect();
        assert_eq!(open, ["primary"], "{api:?}: {health}");
    }
}

crate::manner::rudely! {
    s01_a_short_wait_is_kept_at_the_same_provider,
    s02_a_lasting_rate_limit_leads_to_the_fallback,
    s03_one_failure_is_repeated_at_the_same_provider,
    s04_an_overloaded_provider_leads_to_the_fallback,
    s05_a_reset_is_repeated,
    s06_a_silent_provider_is_asked_once,
    s07_a_slow_first_token_leads_to_the_fallback,
    s09_a_stalled_stream_is_continued_by_the_fallback,
    s10_a_malformed_line_costs_nothing,
    s11_a_missing_last_event_costs_nothing,
    s14_the_fallback_gets_the_request_of_the_client_and_no_prefill,
    s16_the_answer_names_the_model_of_the_fallback,
}
