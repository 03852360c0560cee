//! What clients and the provider know, held against the log.

use std::collections::HashMap;

use serde_json::Value;
use signalbox_core::schema::{RequestStatus, Response};
use signalbox_fakes::{FakeProvider, calls::KEPT};

use super::client::{Gist, STALLED, Seen, hash};
use crate::lone_router::LoneRouter;

/// What happened, without the log.
#[derive(Default)]
pub(super) struct Ledger {
    /// How many requests clients sent, answered or not.
    pub(super) sent: usize,
    /// What clients saw complete.
    pub(super) seen: Vec<Seen>,
    /// The ids of the calls that reached the provider, and their models.
    called: HashMap<String, String>,
}

// === impl Ledger ===

impl Ledger {
    /// Takes down what the provider has been asked since the last time.
    pub(super) fn note_calls(&mut self, fake: &FakeProvider) {
        let known = self.called.len();
        let calls = fake.calls().into_iter().filter(|call| call.method == "POST");
        self.called.extend(calls.map(|call| (call.header("x-request-id").unwrap().to_owned(), call.model)));
        assert!(self.called.len() - known < KEPT, "the fake has forgotten calls");
    }

    /// Compares with the log, in which nothing may be missing, different, twice, or without an end.
    pub(super) async fn check(&self, lone: &LoneRouter) {
        assert!(!self.seen.is_empty(), "nobody saw anything");
        assert_eq!(lone.rows(Some(RequestStatus::Pending)).await, 0, "requests without an end");
        for seen in &self.seen {
            let Some((request, response)) = lone.ended(&seen.id).await else { panic!("{} is missing", seen.id) };
            assert_eq!((request.status, request.stream), (RequestStatus::Completed, seen.stream), "{}", seen.id);
            assert_eq!(hash(request.openai_request.as_str()), seen.request, "{} asked for something else", seen.id);
            seen.compare(response.as_ref().unwrap());
        }
        let mut stalled = 0;
        for (id, model) in &self.called {
            let Some((request, _)) = lone.ended(id).await else { panic!("the call {id} is missing") };
            match request.status {
                RequestStatus::Interrupted if model == STALLED => stalled += 1,
                RequestStatus::Interrupted | RequestStatus::Completed if model != STALLED => {}
                status => panic!("the call {id} of {model} ended as {status:?}"),
            }
        }
        assert!(stalled > 0, "no request was open at any kill");
        let rows = lone.rows(None).await;
        assert!(self.called.len() <= rows && rows <= self.sent, "{rows} rows of {} requests", self.sent);
    }
}

// === impl Seen ===

impl Seen {
    /// Holds an answer against its row.
    fn compare(&self, row: &Response) {
        let text = row.openai_response.as_deref().unwrap();
        let gist = Gist::of_whole(&serde_json::from_str::<Value>(text).unwrap());
        let found = if self.stream { hash(&gist) } else { hash(text.as_bytes()) };
        assert_eq!(found, self.answer, "{} is not what the client saw: {text}", self.id);
        assert_eq!(row.finish_reason, gist.finish_reason, "{}", self.id);
        assert_eq!(row.prompt_tokens.zip(row.completion_tokens), gist.tokens, "{}", self.id);
        assert!(!row.truncated, "{}", self.id);
    }
}
