//! Tests of streams that break off and that another target may continue, as the client, the log and the breakers see
//! them.

use signalbox_core::{
    schema::{AttemptRecord, PlannedTarget, RoutingRecord},
    secret::MASK,
};

use super::{
    withheld::{KEY, candidate},
    *,
};
use crate::{
    health::{self, State, TargetHealth},
    journal::End,
    relay::resume::tests::Scripted,
};

const ONE: &str = "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one \"}}]}\n\n";
const TWO: &str = "data: {\"id\":\"b\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"two\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// The targets of a route. The first one has the key [`KEY`].
struct Targets {
    first: Arc<TargetHealth>,
    other: Arc<TargetHealth>,
}

impl Targets {
    fn new() -> Self {
        let target = |provider| Arc::new(TargetHealth::new(provider, "m"));
        Self { first: target("p"), other: target("other") }
    }

    /// Creates a client of the first target, whose stream the others may continue.
    fn client(&self, first: Script, others: Vec<Option<Script>>, bodies: Bodies) -> Client {
        let others = Box::new(Scripted { scripts: others, health: Arc::clone(&self.other) });
        let stream = ResumableStream::new(Api::Chat, Vec::new(), Source::Scripted(first), others);
        let mut client = Client::of(Source::Resumable(Box::new(stream)), Api::Chat, "1MiB", bodies, 1);
        let (mut candidate, envelope) = candidate();
        candidate.health = Arc::clone(&self.first);
        let targets = vec![PlannedTarget::default(); 3];
        client.relay.exchange.keep_plan(RoutingRecord { targets, ..RoutingRecord::default() });
        let _span = client.relay.exchange.attempt(&candidate, 0, None, &envelope);
        client
    }

    /// Returns whether the breakers of the first target and of the others are open.
    fn are_open(&self) -> (bool, bool) {
        let is_open = |target: &TargetHealth| target.state(health::now()) != State::Closed;
        (is_open(&self.first), is_open(&self.other))
    }
}

/// Creates a client of targets without failures so far.
fn client(first: Script, others: Vec<Option<Script>>) -> Client {
    Targets::new().client(first, others, Bodies::Full)
}

/// Returns the end of the request in the journal.
fn end_of(client: &Client) -> End {
    let text = client.written();
    let ends = text.match_indices(r#"{"status":""#).filter_map(|(at, _)| {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<End>();
        values.next()?.ok()
    });
    ends.last().unwrap()
}

fn attempts_of(end: &End) -> &[AttemptRecord] {
    &end.plan.as_ref().unwrap().attempts
}

fn error(fields: &str) -> String {
    format!("data: {{\"error\":{{{fields}}}}}\n\n")
}

#[tokio::test]
async fn the_key_of_the_first_target_is_masked_if_no_other_one_goes_on() {
    let stream = format!("{ONE}{}", error(&format!("\"message\":\"wrong key {KEY}\"")));
    for other in [
        // Another answer, none, one that breaks off, and one that fails within the same text.
        Some(Script::texts([TWO.to_owned()])),
        Some(Script::texts([])),
        Some(Script::breaking(ONE)),
        Some(Script::texts([format!("{ONE}{}", error("\"message\":\"busy\""))])),
        None,
    ] {
        let shown = format!("{other:?}");
        let mut client = client(Script::texts([stream.clone()]), vec![other]);
        let (text, seen) = client.text();
        assert_eq!(seen, Seen::End, "{shown}");
        assert!(text.starts_with(ONE) && text.contains(MASK) && !text.contains("two"), "{shown}: {text}");
        for seen in [text, client.written()] {
            assert!(!seen.contains("canary") && !seen.contains("0123456789"), "{shown}: {seen}");
        }
        let end = end_of(&client);
        assert_eq!((end.status, end.provider_id.as_deref(), end.attempts), (RequestStatus::Failed, Some("p"), 2));
        let providers: Vec<&str> = attempts_of(&end).iter().map(|attempt| &*attempt.provider).collect();
        assert_eq!(providers, ["p", "other"], "{shown}");
    }
}

#[tokio::test]
async fn a_target_that_goes_on_is_the_one_of_the_log() {
    let other = Script::texts([format!("{ONE}{TWO}{FINISH}{DONE}")]);
    let mut client = client(Script::breaking(ONE), vec![None, Some(other)]);
    assert_eq!(client.text(), (format!("{ONE}{TWO}{FINISH}{DONE}"), Seen::End));
    let end = end_of(&client);
    assert_eq!((end.status, end.provider_id.as_deref(), end.attempts), (RequestStatus::Completed, Some("other"), 3));
    let errors: Vec<bool> = attempts_of(&end).iter().map(|attempt| attempt.error.is_some()).collect();
    assert_eq!(errors, [true, true, false]);
}

#[tokio::test]
async fn only_failures_of_a_target_count_for_its_breaker() {
    let reports = |fields: &str| Script::texts([format!("{ONE}{}", error(fields))]);
    let refusal = || reports("\"message\":\"no\",\"code\":\"content_policy_violation\"");
    let busy = || reports("\"message\":\"busy\",\"type\":\"overloaded_error\"");
    let differs = || Script::texts([TWO.to_owned()]);
    for (first, other, expected) in [
        (Script::breaking(ONE), Some(differs()), (true, false)),
        (Script::breaking(ONE), Some(Script::breaking(ONE)), (true, true)),
        (Script::breaking(ONE), Some(busy()), (true, true)),
        (Script::breaking(ONE), Some(refusal()), (true, false)),
        (busy(), Some(differs()), (true, false)),
        (busy(), None, (true, false)),
        (refusal(), Some(differs()), (false, false)),
        (reports("\"message\":\"long\",\"code\":\"context_length_exceeded\""), Some(differs()), (false, false)),
        (Script::late(ONE), Some(differs()), (false, false)),
        (Script::late(ONE), Some(Script::late(ONE)), (false, false)),
    ] {
        let targets = Targets::new();
        for _ in 0..5 {
            let mut client = targets.client(first.clone(), vec![other.clone()], Bodies::Full);
            client.text();
            assert_eq!(end_of(&client).provider_id.as_deref(), Some("p"));
        }
        assert_eq!(targets.are_open(), expected, "{first:?} {other:?}");
        assert_eq!((targets.first.in_flight(), targets.other.in_flight()), (0, 0), "{first:?} {other:?}");
    }
}

#[tokio::test]
async fn the_shutdown_of_the_router_counts_for_no_breaker() {
    let targets = Targets::new();
    for _ in 0..5 {
        let waiting = Script([Step::Text(ONE.to_owned()), Wait].into());
        let mut client = targets.client(waiting, vec![None], Bodies::Full);
        client.abort.cancel();
        assert_eq!((client.text().1, client.statuses()), (Seen::Broken, vec!["truncated".to_owned()]));
    }
    assert_eq!(targets.are_open(), (false, false));
}

#[tokio::test]
async fn errors_of_attempts_are_kept_as_the_bodies_are_and_are_short() {
    for (bodies, is_kept) in [(Bodies::Full, true), (Bodies::Redact, false), (Bodies::Off, false)] {
        let targets = Targets::new();
        let mut client = targets.client(Script::breaking(ONE), vec![None], bodies);
        client.text();
        let end = end_of(&client);
        let failed = attempts_of(&end)[1].error.as_deref().unwrap();
        match is_kept {
            true => assert_eq!((failed.starts_with("quoted \u{e9}"), failed.chars().count()), (true, 1_000)),
            false => assert_eq!(failed, "not kept", "{bodies:?}"),
        }
        assert_eq!(client.written().contains("quoted"), is_kept, "{bodies:?}");
    }
}

#[tokio::test]
async fn errors_in_odd_forms_are_breaks_and_ask_another_target_before_the_client_has_them() {
    for odd in [
        "event: error\ndata: busy\n\n".to_owned(),
        format!("{}{}", ONE.trim_end(), error("\"message\":\"x\"")).replace("}data", "}\ndata"),
    ] {
        let first = Script::texts([format!("{ONE}{odd}")]);
        let other = Script::texts([format!("{ONE}{TWO}{FINISH}{DONE}")]);
        let mut client = client(first, vec![Some(other)]);
        assert_eq!(client.text(), (format!("{ONE}{TWO}{FINISH}{DONE}"), Seen::End), "{odd}");
        let end = end_of(&client);
        assert_eq!((end.status, end.attempts), (RequestStatus::Completed, 2), "{odd}");
    }
}

#[tokio::test]
async fn nothing_is_asked_once_the_client_has_the_end() {
    // A refusal is the answer, and the stream breaks off behind it.
    let refusal = error("\"message\":\"no\",\"code\":\"content_policy_violation\"");
    for end in [None, Some(Fail)] {
        let targets = Targets::new();
        let first = Script([Step::Text(format!("{ONE}{refusal}"))].into_iter().chain(end).collect());
        let asked = Script::texts([format!("{ONE}{TWO}{FINISH}{DONE}")]);
        let mut client = targets.client(first, vec![Some(asked)], Bodies::Full);
        assert_eq!(client.text(), (format!("{ONE}{refusal}"), Seen::End));
        assert_eq!(targets.other.latency(health::now(), true), None, "the other target has not been asked");
        assert_eq!(end_of(&client).attempts, 1);
    }
}
