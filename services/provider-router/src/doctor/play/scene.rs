//! A scene: one fault or pain, played on the stage of a route.

use std::{borrow::Cow, pin::Pin, sync::Arc};

use bytes::Bytes;
use serde_json::{Value, json};
use signalbox_core::{
    Api,
    schema::{Request, RequestStatus, Response, Resume},
};
use signalbox_management::doctor::{Score, Verdict};
use signalbox_store::requests::{self, RequestKey};
use tokio::time::{Duration, Instant, sleep};

use super::{
    client::{Got, Outcome, request_id},
    fake::{Act, Call, Heard, Speech},
    speech::{WORDS, words},
    stage::Stage,
};

/// Maximum time of a request: the limit of Failover Bench, divided.
pub(super) const LIMIT: Duration = Duration::from_secs(13);
/// Maximum time until a request is in the database.
const LOGGED: Duration = Duration::from_secs(5);

/// Changes that a verdict may advise.
pub(super) const FALLBACK: &str = "add a second target to the route, at another provider";
pub(super) const RETRIES: &str = "set `retries` = 2 and a second target";
pub(super) const RESUME: &str = "set `resume` = \"verbatim\" and a second target";
pub(super) const FIRST_TOKEN: &str = "set `deadlines.first_token_ms` = 10000 and a second target";
pub(super) const IDLE: &str = "set `deadlines.idle_ms` = 15000, `resume` = \"verbatim\" and a second target";
pub(super) const REPORT: &str = "this is a defect of the router: report it with the output of this command";

/// A scene, as it is listed.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    /// `S01`, `P01`.
    pub(super) id: &'static str,
    /// Model name of its route: the id in small letters.
    pub(super) model: &'static str,
    pub(super) name: &'static str,
    pub(super) done: &'static str,
    pub(super) expected: &'static str,
    pub(super) play: Play,
}

/// The function that plays a scene.
pub(super) type Play = fn(Scene) -> Pin<Box<dyn Future<Output = Seen> + Send>>;

/// A scene that is played.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) model: &'static str,
    pub(super) stage: Arc<Stage>,
}

/// Observation of a scene, and the verdict on it.
#[derive(Debug)]
pub(super) struct Seen {
    verdict: Verdict,
    text: String,
    remedy: Option<&'static str>,
}

// === impl Seen ===

impl Seen {
    pub(super) fn pass(text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Pass, text: text.into(), remedy: None }
    }

    pub(super) fn partial(text: impl Into<String>, remedy: &'static str) -> Self {
        Self { verdict: Verdict::Partial, text: text.into(), remedy: Some(remedy) }
    }

    pub(super) fn fail(text: impl Into<String>, remedy: &'static str) -> Self {
        Self { verdict: Verdict::Fail, text: text.into(), remedy: Some(remedy) }
    }

    pub(super) fn skipped(text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, text: text.into(), remedy: None }
    }

    /// Passes if a condition of the router itself holds.
    pub(super) fn holds(is_so: bool, text: impl Into<String>) -> Self {
        if is_so { Self::pass(text) } else { Self::fail(text, REPORT) }
    }

    /// Judges a stream that a fallback can save: whole is a pass, and an error that the client notices is partial.
    pub(super) fn of(outcome: &Outcome, calls: &str, remedy: &'static str) -> Self {
        match outcome {
            Outcome::Whole => Self::pass(format!("the whole answer; {calls}")),
            Outcome::Error(error) => Self::partial(format!("an error, \"{}\"; {calls}", short(error)), remedy),
            Outcome::Truncated => Self::fail(format!("a part of the answer that looks complete; {calls}"), REPORT),
            Outcome::Unfinished => Self::fail(format!("an end without an error; {calls}"), REPORT),
            Outcome::Hung => Self::fail(format!("no end within {} s; {calls}", LIMIT.as_secs()), remedy),
        }
    }

    pub(super) const fn is_pass(&self) -> bool {
        matches!(self.verdict, Verdict::Pass)
    }

    /// Lowers a pass to partial if an advisory condition does not hold.
    pub(super) fn advised(self, is_so: bool, text: &str, remedy: &'static str) -> Self {
        if is_so || !self.is_pass() { self } else { Self::partial(format!("{}; {text}", self.text), remedy) }
    }

    /// Lowers any verdict to fail if a required condition does not hold.
    pub(super) fn required(self, is_so: bool, text: &str, remedy: &'static str) -> Self {
        if is_so { self } else { Self::fail(format!("{}; {text}", self.text), remedy) }
    }

    /// Returns the score of the scene.
    pub(super) fn score(self, scenario: &Scenario) -> Score {
        let Scenario { id, name, done, expected, .. } = *scenario;
        let [id, name, done, expected] = [id, name, done, expected].map(Cow::Borrowed);
        Score {
            id,
            name,
            done,
            expected,
            seen: self.text,
            verdict: self.verdict,
            remedy: self.remedy.map(Cow::Borrowed),
        }
    }
}

/// Shortens a text for a line of the scorecard.
pub(super) fn short(text: &str) -> String {
    const MAX: usize = 100;
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX).collect();
    if text.chars().nth(MAX).is_some() { format!("{line}…") } else { line }
}

// === impl Scene ===

impl Scene {
    /// The primary target does each act once, in order, and the last one from then on; other targets answer.
    pub(super) fn primary(&self, acts: Vec<Act>) {
        self.script(move |heard| {
            let act = acts.get(heard.before).or_else(|| acts.last()).filter(|_| heard.is_primary);
            act.cloned().unwrap_or_else(|| Act::Say(Speech::default()))
        });
    }

    pub(super) fn script(&self, script: impl Fn(&Heard<'_>) -> Act + Send + Sync + 'static) {
        self.stage.fakes.script(self.model, script);
    }

    /// Returns the body of a streamed request of Chat Completions.
    pub(super) fn chat(&self, text: &str) -> Value {
        json!({"model": self.model, "stream": true, "messages": [{"role": "user", "content": text}]})
    }

    /// Sends a request of an API. The request is remembered for the scene about lost log rows.
    pub(super) async fn send(&self, api: Api, body: impl Into<Bytes>) -> Got {
        self.send_for(api, body, LIMIT).await
    }

    pub(super) async fn send_for(&self, api: Api, body: impl Into<Bytes>, limit: Duration) -> Got {
        let got = self.stage.caller.send(&format!("/v1{}", api.path()), body.into(), limit).await;
        if let (Some(id), false, false) = (request_id(&got.headers), got.has_hung, got.is_cut) {
            self.stage.saw(id);
        }
        got
    }

    /// Asks for the usual answer as a stream.
    pub(super) async fn ask(&self) -> Got {
        self.send(Api::Chat, self.chat("Say the words.").to_string()).await
    }

    /// Asks for the usual answer, and judges it.
    pub(super) async fn asked(&self) -> (Got, Outcome) {
        let got = self.ask().await;
        let outcome = got.outcome(Api::Chat, &words(WORDS));
        (got, outcome)
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.stage.fakes.calls(self.model)
    }

    /// Returns the number of calls of the primary target, and of the others.
    pub(super) fn counts(&self) -> (usize, usize) {
        let calls = self.calls();
        let primary = calls.iter().filter(|call| call.is_primary).count();
        (primary, calls.len() - primary)
    }

    /// Returns these numbers as text.
    pub(super) fn called(&self) -> String {
        let (primary, others) = self.counts();
        format!("calls: {primary} of the first target, {others} of others")
    }

    pub(super) fn has_fallback(&self) -> bool {
        self.stage.route.distinct() > 1
    }

    pub(super) fn resumes(&self) -> bool {
        self.stage.route.plan.resume == Resume::Verbatim
    }

    /// Returns the row of a request in the log, once it has ended.
    pub(super) async fn logged(&self, id: &str) -> Option<(Request, Option<Response>)> {
        let key = RequestKey::Uuid(id.to_owned());
        let began = Instant::now();
        loop {
            let row = requests::get(&self.stage.store, &key).await.ok();
            match row {
                Some(row) if row.0.status != RequestStatus::Pending => return Some(row),
                _ if began.elapsed() > LOGGED => return None,
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Returns the row of the request that was answered by `got`.
    pub(super) async fn row(&self, got: &Got) -> Option<(Request, Option<Response>)> {
        self.logged(&request_id(&got.headers)?).await
    }
}
