use signalbox_core::token_classes::TokenClasses;
use signalbox_pricing::{Layer, LayerKind};
use uuid::Uuid;

use super::*;
use crate::journal::{record::Begin, record::SentAs, transcript::Transcript};

/// Prices in dollars per million tokens, and thus in millionths of a dollar per token.
const PRICES: &str = r#"{"prices":[
    {"id":"openai/priced","base":{"in":"2","cr":"0.5","cw_s":"2.5","cw_l":"4","out":"8","rs":"6"},
     "tier":{"flex":{"x":[1,2]}},"units":{"web_search":"0.01"}},
    {"id":"only-mine","provider_id":"mine","match":["special"],"base":{"in":"1","out":"1"}},
    {"id":"openai/plain","base":{"in":"3","out":"5"}}]}"#;

fn table() -> Table {
    Table::shipped().unwrap().with(Layer::from_json(LayerKind::Api, PRICES).unwrap())
}

fn end() -> End {
    let begin = Begin {
        received_at: 5,
        path: "/".into(),
        model: "priced".into(),
        stream: false,
        session: None,
        previous: None,
        key: None,
    };
    End {
        status: RequestStatus::Completed,
        ended_at: 1_790_000_000_000,
        provider_id: Some("p".into()),
        provider_type: Some("openai".into()),
        status_code: Some(200),
        error: None,
        ..Transcript::new(Uuid::nil(), begin, b"{}").interrupted()
    }
}

fn usage(prompt: i64, completion: i64, classes: TokenClasses) -> Option<Usage> {
    Some(Usage { classes, ..Usage::new(prompt, completion) })
}

fn of(end: &End, answer: &FoldedAnswer, model: &str, request: &str) -> Option<(Option<i64>, String)> {
    let cost = cost(&table(), Ended { end, status: end.status, answer, model, request })?;
    Some((cost.nanos, cost.origin))
}

fn answered(usage: Option<Usage>) -> FoldedAnswer {
    FoldedAnswer { usage, ..FoldedAnswer::default() }
}

fn known(nanos: i64, origin: &str) -> Option<(Option<i64>, String)> {
    Some((Some(nanos), origin.to_owned()))
}

fn unpriced(reason: &str) -> Option<(Option<i64>, String)> {
    Some((None, format!("unknown: {reason}")))
}

#[test]
fn first_counts_of_a_stream_that_broke_off_are_none() {
    let streamed = End { streamed: true, status: RequestStatus::Truncated, ..end() };
    let answer = |finish_reason: Option<&str>, len: usize, completion| FoldedAnswer {
        text: "x".repeat(len),
        finish_reason: finish_reason.map(str::to_owned),
        ..answered(usage(10, completion, TokenClasses::default()))
    };
    let of = |end: &End, answer| of(end, &answer, "priced", "{}");
    assert_eq!(of(&streamed, answer(None, 2_000, 1)), unpriced("usage"));
    let counted = |completion: i64| known(20_000 + 8_000 * completion, "computed");
    // Counts that grow with the stream, an answer of one token, and one that has finished.
    assert_eq!(of(&streamed, answer(None, 2_000, 500)), counted(500));
    assert_eq!(of(&streamed, answer(None, 5, 1)), counted(1));
    assert_eq!(of(&streamed, answer(Some("stop"), 2_000, 1)), counted(1));
    assert_eq!(of(&end(), answer(None, 2_000, 1)), counted(1));
}

#[test]
fn a_message_that_broke_off_is_unpriced() {
    let begun = r#"data: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":3,"output_tokens":1}}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"one"}}

"#;
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"busy\"}}\n\n";
    let last = r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}

"#;
    for (rest, status, tokens, expected) in [
        ("", RequestStatus::Truncated, None, unpriced("usage")),
        (error, RequestStatus::Failed, None, unpriced("usage")),
        (last, RequestStatus::Completed, Some(5), known(22_000, "computed")),
    ] {
        let begin = Begin {
            received_at: 5,
            path: "/v1/messages".into(),
            model: "priced".into(),
            stream: true,
            session: None,
            previous: None,
            key: None,
        };
        let end = End { status, streamed: true, ..end() };
        let answer = format!("{begun}{rest}").into_bytes();
        let row = Transcript::new(Uuid::nil(), begin, b"{}").ended(end, answer, Some(&table())).ended.unwrap();
        assert_eq!(row.usage.map(|usage| usage.total_tokens), tokens, "{rest}");
        assert_eq!(row.cost.map(|cost| (cost.nanos, cost.origin)), expected, "{rest}");
    }
}

#[test]
fn each_class_has_its_price() {
    let classes = TokenClasses {
        cache_read: 100,
        cache_write_short: 20,
        cache_write_long: 10,
        reasoning: 30,
        ..TokenClasses::default()
    };
    let answer = answered(usage(1000, 50, classes));
    // 870 × 2,000 + 100 × 500 + 20 × 2,500 + 10 × 4,000 + 20 × 8,000 + 30 × 6,000 nano-dollars.
    assert_eq!(of(&end(), &answer, "priced", "{}"), known(2_220_000, "computed"));
    let cost = cost(
        &table(),
        Ended { end: &end(), status: RequestStatus::Completed, answer: &answer, model: "priced", request: "{}" },
    );
    assert_eq!(cost.unwrap().price_version.as_deref(), Some(table().version()));
}

#[test]
fn unknown_costs_name_the_reason_and_are_not_zero() {
    let tokens = usage(10, 5, TokenClasses::default());
    assert_eq!(of(&end(), &answered(tokens), "no-such-model", "{}"), unpriced("price"));
    assert_eq!(of(&end(), &answered(None), "priced", "{}"), unpriced("usage"));
    let cached = usage(10, 5, TokenClasses { cache_read: 1, ..TokenClasses::default() });
    assert_eq!(of(&end(), &answered(cached), "plain", "{}"), unpriced("parts"));
    assert_eq!(of(&end(), &answered(usage(i64::MAX, 5, TokenClasses::default())), "plain", "{}"), unpriced("amount"));
    for (tier, expected) in [("priority", unpriced("tier")), ("flex", known(30_000, "computed"))] {
        let answer = FoldedAnswer { json: Some(format!(r#"{{"service_tier":"{tier}"}}"#)), ..answered(tokens) };
        assert_eq!(of(&end(), &answer, "priced", "{}"), expected, "{tier}");
        // The request counts if the answer names no tier.
        let request = format!(r#"{{"service_tier":"{tier}"}}"#);
        assert_eq!(of(&end(), &answered(tokens), "priced", &request), expected, "{tier}");
        let answer = FoldedAnswer { json: Some(r#"{"service_tier":"default"}"#.into()), ..answered(tokens) };
        assert_eq!(of(&end(), &answer, "priced", &request), known(60_000, "computed"), "{tier}");
    }
}

#[test]
fn the_cost_of_an_answer_that_broke_off_is_estimated() {
    let broken = |estimate| End { streamed: true, status: RequestStatus::Truncated, estimate, ..end() };
    let request = format!("{{\"input\":\"{}\"}}", "x".repeat(400));
    let json = Some(r#"{"choices":[{"message":{"content":"four four four!!"}}]}"#.to_owned());
    let text = FoldedAnswer { json, text: "four four four!!".into(), ..answered(None) };
    let of = |end: &End, answer: &FoldedAnswer, model| of(end, answer, model, &request);
    // A request of 412 bytes has about 103 tokens of 2,000 nano-dollars, and the answer 4 of 8,000.
    let bodies = broken(Some(CostEstimate::Bodies));
    let tokens = i64::try_from(token_estimate::rough(request.as_bytes())).unwrap();
    assert_eq!(of(&bodies, &text, "priced"), known(tokens * 2_000 + 4 * 8_000, "estimated"));
    assert_eq!(
        of(&End { cancelled_nanos: 70, ..bodies.clone() }, &text, "priced"),
        known(tokens * 2_000 + 32_070, "estimated")
    );
    assert_eq!(of(&broken(Some(CostEstimate::Nanos(7))), &text, "priced"), known(7, "estimated"));
    assert_eq!(of(&broken(None), &text, "priced"), unpriced("usage"), "the texts are not kept");
    assert_eq!(of(&bodies, &text, "no-such-model"), unpriced("price"));
    // The provider's report counts, unless it covers only the beginning.
    let counted = FoldedAnswer { usage: usage(10, 5, TokenClasses::default()), ..text.clone() };
    assert_eq!(of(&bodies, &counted, "priced"), known(60_000, "computed"));
    assert_eq!(of(&broken(Some(CostEstimate::Nanos(59_999))), &counted, "priced"), known(60_000, "computed"));
    assert_eq!(of(&broken(Some(CostEstimate::Nanos(60_001))), &counted, "priced"), known(60_001, "estimated"));
    let reported = FoldedAnswer { usage: Some(Usage { cost_picos: Some(1_000), ..Usage::new(10, 5) }), ..text.clone() };
    assert_eq!(of(&broken(Some(CostEstimate::Nanos(60_001))), &reported, "priced"), known(1, "reported"));
    let free = End { provider_type: Some("ollama".into()), ..bodies };
    assert_eq!(of(&free, &text, "anything"), known(0, "computed"));
}

#[test]
fn web_searches_are_charged_or_make_the_cost_unknown() {
    let tokens = Usage { web_searches: 3, ..Usage::new(10, 5) };
    // 10 × 2,000 + 5 × 8,000 nano-dollars, and three searches at a cent each.
    assert_eq!(of(&end(), &answered(Some(tokens)), "priced", "{}"), known(30_060_000, "computed"));
    assert_eq!(of(&end(), &answered(Some(tokens)), "plain", "{}"), unpriced("parts"));
}

#[test]
fn the_hour_in_which_a_request_begins_decides_its_price() {
    // From 16:30 to 00:30 in UTC the price is a tenth.
    let prices = r#"{"prices":[{"id":"openai/nightly","base":{"in":"10","out":"10"}},
        {"id":"openai/nightly","hours_utc":["16:30","00:30"],"base":{"in":"1","out":"1"}}]}"#;
    let table = Table::shipped().unwrap().with(Layer::from_json(LayerKind::Api, prices).unwrap());
    let half_past = 1_790_008_200_000;
    let answer = answered(usage(1, 0, TokenClasses::default()));
    for (ended_at, duration_ms, nanos) in
        [(half_past, 0, 1_000), (half_past - 1, 0, 10_000), (half_past, 1, 10_000), (half_past + 60_000, 60_000, 1_000)]
    {
        let end = End { ended_at, duration_ms, ..end() };
        let ended = Ended { end: &end, status: end.status, answer: &answer, model: "nightly", request: "{}" };
        assert_eq!(cost(&table, ended).unwrap().nanos, Some(nanos), "{ended_at} {duration_ms}");
    }
}

#[test]
fn a_reported_cost_wins() {
    let with = |cost_picos| answered(Some(Usage { cost_picos, ..Usage::new(10, 5) }));
    assert_eq!(of(&end(), &with(Some(1_234_500)), "priced", "{}"), known(1235, "reported"));
    assert_eq!(of(&end(), &with(Some(0)), "no-such-model", "{}"), known(0, "reported"));
    assert_eq!(of(&end(), &with(Some(u64::MAX)), "priced", "{}"), unpriced("amount"));
    assert_eq!(of(&end(), &with(None), "priced", "{}"), known(60_000, "computed"));
}

#[test]
fn a_request_without_an_answer_has_no_cost() {
    let nothing = answered(None);
    for (status, status_code) in [
        (RequestStatus::Failed, Some(502)),
        (RequestStatus::Failed, Some(429)),
        (RequestStatus::Cancelled, None),
        (RequestStatus::Failed, Some(200)),
    ] {
        assert_eq!(of(&End { status, status_code, ..end() }, &nothing, "priced", "{}"), None, "{status:?}");
    }
    let nowhere = End { provider_id: None, ..end() };
    assert_eq!(of(&nowhere, &answered(usage(1, 1, TokenClasses::default())), "priced", "{}"), None);
    // The client has the beginning of a stream, which the provider may charge.
    let broken = End { status: RequestStatus::Failed, streamed: true, ..end() };
    assert_eq!(of(&broken, &nothing, "priced", "{}"), unpriced("usage"));
    let left = End { status: RequestStatus::ClientDisconnected, streamed: true, ..end() };
    assert_eq!(of(&left, &nothing, "priced", "{}"), unpriced("usage"));
}

#[test]
fn prices_are_found_by_provider_type_and_id() {
    let tokens = answered(usage(10, 5, TokenClasses::default()));
    assert_eq!(
        of(&End { provider_id: Some("mine".into()), ..end() }, &tokens, "special", "{}"),
        known(15_000, "computed")
    );
    assert_eq!(of(&end(), &tokens, "special", "{}"), unpriced("price"));
    // The expected cost of a cancelled attempt is added, and does not make an unknown price known.
    let hedged = End { cancelled_nanos: 70, ..end() };
    assert_eq!(of(&hedged, &tokens, "plain", "{}"), known(55_070, "computed"));
    assert_eq!(of(&hedged, &tokens, "special", "{}"), unpriced("price"));
    // Models of this machine are free, whatever they report.
    for kind in ["echo", "ollama", "lm-studio", "qwen-proxy"] {
        let own = End { provider_type: Some(kind.into()), ..end() };
        assert_eq!(of(&own, &tokens, "anything", "{}"), known(0, "computed"), "{kind}");
        assert_eq!(of(&own, &answered(None), "anything", "{}"), known(0, "computed"), "{kind}");
    }
    // Journals of earlier versions have the type only of translated requests.
    let sent = SentAs {
        api: "chat".into(),
        kind: "openai".into(),
        translation: String::new(),
        is_cut: false,
        is_uncounted: false,
        cut: Vec::new(),
    };
    let old = End { provider_type: None, sent_as: Some(Box::new(sent)), ..end() };
    assert_eq!(of(&old, &tokens, "plain", "{}"), known(55_000, "computed"));
    assert_eq!(of(&End { provider_type: None, ..end() }, &tokens, "plain", "{}"), unpriced("price"));
}

#[test]
fn service_tiers_are_read_where_each_api_has_them() {
    for (json, expected) in [
        (r#"{"service_tier":"flex","usage":{}}"#, Some("flex")),
        (r#"{"type":"message","usage":{"service_tier":"batch"}}"#, Some("batch")),
        (r#"{"service_tier":null}"#, None),
        (r#"{"service_tier":7}"#, None),
        (r#"{"text":"\"service_tier\":\"flex\""}"#, None),
        ("[6 characters]", None),
        ("\"service_tier\"", None),
    ] {
        assert_eq!(service_tier(json).as_deref(), expected, "{json}");
    }
}
