//! Compares the knowledge of the clients and the provider with the log.

use std::collections::HashMap;

use serde_json::Value;
use signalbox_core::schema::{RequestStatus, Response};
use signalbox_fakes::{FakeProvider, calls::MAX_KEPT_CALLS};

use super::client::{Gist, STALLED, Seen, hash};
use crate::lone_router::LoneRouter;

/// The events as seen by clients and the provider, independent of the log.
#[derive(Default)]
pub(super) struct Ledger {
    /// Number of requests sent by clients, answered or not.
    pub(super) sent: usize,
    /// Answers that clients saw complete.
    pub(super) seen: Vec<Seen>,
    /// Ids of the calls that reached the provider, with their models.
    called: HashMap<String, String>,
}

// === impl Ledger ===

impl Ledger {
    /// Adds the calls that the provider received since the last time.
    pub(super) fn note_calls(&mut self, fake: &FakeProvider) {
        let known = self.called.len();
        let calls = fake.calls().into_iter().filter(|call| call.method == "POST");
        self.called.extend(calls.map(|call| (call.header("x-request-id").unwrap().to_owned(), call.model)));
        assert!(self.called.len() - known < MAX_KEPT_CALLS, "the fake has dropped calls");
    }

    /// Compares with the log, in which nothing may be missing, different, duplicated or unfinished.
    pub(super) async fn check(&self, lone: &LoneRouter) {
        self.check_all_but(lone, 0).await;
        assert!(self.stalled(lone).await > 0, "no request was open at any kill");
    }

    /// Compares with the log, in which exactly `unlogged` answers may be missing and nothing else may be wrong.
    pub(super) async fn check_all_but(&self, lone: &LoneRouter, unlogged: usize) {
        assert!(!self.seen.is_empty(), "no client saw an answer");
        assert_eq!(lone.rows(Some(RequestStatus::Pending)).await, 0, "requests without an end");
        let mut missing = Vec::new();
        for seen in &self.seen {
            let Some((request, response)) = lone.ended(&seen.id).await else {
                missing.push(&seen.id);
                continue;
            };
            // If the disk was full, a row may lack its end.
            if request.status == RequestStatus::Interrupted {
                missing.push(&seen.id);
                continue;
            }
            assert_eq!((request.status, request.stream), (RequestStatus::Completed, seen.stream), "{}", seen.id);
            assert_eq!(hash(request.request_body.as_str()), seen.request, "{} requested something else", seen.id);
            // If the disk was full, a row may lack its answer.
            match response.as_ref().filter(|response| response.response_body.is_some()) {
                Some(response) => seen.compare(response),
                None => missing.push(&seen.id),
            }
        }
        assert!(missing.len() <= unlogged, "{missing:?} are missing, and {unlogged} were counted as not logged");
        let rows = lone.rows(None).await;
        assert!(rows <= self.sent, "{rows} rows of {} requests", self.sent);
        assert!(self.called.len() <= rows + unlogged, "{rows} rows of {} calls", self.called.len());
    }

    /// Checks the final state of every call that reached the provider; returns the number of calls that were open at a
    /// kill.
    async fn stalled(&self, lone: &LoneRouter) -> usize {
        let mut stalled = 0;
        for (id, model) in &self.called {
            let Some((request, _)) = lone.ended(id).await else { panic!("the call {id} is missing") };
            match request.status {
                RequestStatus::Interrupted if model == STALLED => stalled += 1,
                RequestStatus::Interrupted | RequestStatus::Completed if model != STALLED => {}
                status => panic!("the call {id} of {model} ended as {status:?}"),
            }
        }
        stalled
    }
}

// === impl Seen ===

impl Seen {
    /// Compares an answer with its row.
    fn compare(&self, row: &Response) {
        let text = row.response_body.as_deref().unwrap();
        let gist = Gist::of_whole(&serde_json::from_str::<Value>(text).unwrap());
        let found = if self.stream { hash(&gist) } else { hash(text.as_bytes()) };
        assert_eq!(found, self.answer, "{} is not what the client saw: {text}", self.id);
        assert_eq!(row.finish_reason, gist.finish_reason, "{}", self.id);
        // The router asks for the counts of each stream and leaves them out of the answer of a client that did not ask.
        let counted = row.prompt_tokens.zip(row.completion_tokens);
        assert!(counted.is_some(), "{} has no token counts", self.id);
        assert!(counted == gist.tokens || self.stream && gist.tokens.is_none(), "{}: {counted:?}, {gist:?}", self.id);
        assert!(!row.truncated, "{}", self.id);
    }
}
