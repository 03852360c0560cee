//! One request that is being answered: from the login to the last chunk, and into the books.

use std::sync::Arc;

use signalbox_core::{conversation::opening_hash, openai::Chunk, schema::RequestStatus};

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Duration, Instant},
};

use crate::{
    app::App,
    clock,
    conversation::Turn,
    convert::{Answer, Ask, Completion},
    qwen::{Failure, Login, event::Event},
    record::{Outcome, Record},
};

/// After so long without a chunk the client hears that the answer goes on.
const SILENCE: Duration = Duration::from_secs(10);

/// Maximum bytes of an answer: it is kept until it is complete, for the log and for clients that want it whole.
const MAX_ANSWER: usize = 64 << 20;

/// An answer on its way. Dropping it before its end means that the client has left: the site is hung up on, and the end is
/// written down.
#[derive(Debug)]
pub struct Exchange {
    app: Arc<App>,
    ask: Ask,
    login: Login,
    /// `None` before the answer begins, and once it is over.
    turn: Option<Turn>,
    answer: Option<Answer>,
    record: Option<Record>,
    /// When something has last left for the client, if something has.
    told: Option<Instant>,
    /// Held until the answer is over.
    _permit: OwnedSemaphorePermit,
}

/// More of an answer.
#[derive(Debug)]
pub struct Step {
    /// What is new. Empty where the answer goes on, but nothing of it can leave yet: a call leaves when it is whole.
    pub chunks: Vec<Chunk>,
    /// The whole answer, when this is its end. Everything is written down.
    pub whole: Option<Completion>,
}

// === impl Exchange ===

impl Exchange {
    /// The request `ask`, to be asked with this login; `id` is that of its answer, `permit` its place among those in flight.
    #[must_use]
    pub fn new(
        app: Arc<App>,
        id: String,
        ask: Ask,
        login: Login,
        record: Option<Record>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let answer = Some(Answer::new(id, clock::unix_ms() / 1000, ask.model.clone(), &ask.tools));
        Self { app, ask, login, turn: None, answer, record, told: None, _permit: permit }
    }

    /// Asks the site. It has begun to answer when this returns.
    ///
    /// # Errors
    /// What the site said instead. It is in the books.
    pub async fn begin(&mut self) -> Result<(), Failure> {
        match self.app.conversations.begin(&self.ask, &self.login).await {
            Ok(turn) => {
                if let Some(record) = &mut self.record {
                    record.begins(&turn.place.session_id, &turn.sent);
                }
                self.turn = Some(turn);
                Ok(())
            }
            Err(failure) => {
                self.answer = None;
                self.break_off(&failure).await;
                Err(failure)
            }
        }
    }

    /// More of the answer. Whatever breaks off has been passed on before.
    ///
    /// # Errors
    /// It broke off, or there is nothing in it. That is in the books.
    pub async fn next(&mut self) -> Result<Step, Failure> {
        match self.advance().await {
            Ok(step) => {
                self.told = Some(Instant::now());
                if self.ask.stream
                    && let Some(record) = &mut self.record
                {
                    record.first_byte();
                }
                Ok(step)
            }
            Err(failure) => {
                self.break_off(&failure).await;
                Err(failure)
            }
        }
    }

    /// Ends the answer before its time.
    pub async fn break_off(&mut self, failure: &Failure) {
        note(&self.app, &self.login, failure).await;
        self.turn = None;
        let left = self.has_left();
        let status = if left { RequestStatus::Truncated } else { RequestStatus::Failed };
        let code = if left { 200 } else { failure.status().as_u16() };
        let nothing = Outcome { finish_reason: Some("error".to_owned()), ..Outcome::default() };
        let partial = self.answer.take().map_or(nothing, partial);
        let outcome = Outcome { status, status_code: Some(code), error: Some(failure.to_string()), ..partial };
        if let Some(record) = self.record.take() {
            record.end(&self.app.log, self.app.keeping.now(), outcome).await;
        }
    }

    /// Whether the client has something already: the head at least.
    fn has_left(&self) -> bool {
        self.told.is_some() && self.ask.stream
    }

    async fn advance(&mut self) -> Result<Step, Failure> {
        let mut chunks = Vec::new();
        let (Some(turn), Some(answer)) = (&mut self.turn, &mut self.answer) else {
            return Err(Failure::BrokenOff("it is over".to_owned()));
        };
        while chunks.is_empty() {
            let Some(event) = turn.events.next().await? else {
                // What was held back goes out; the next call says that it is not the whole answer.
                answer.flush(&mut chunks);
                if chunks.is_empty() {
                    return Err(match answer.is_empty() {
                        true => Failure::Empty,
                        false => Failure::BrokenOff("the stream ended without saying that it is finished".to_owned()),
                    });
                }
                break;
            };
            answer.push(&event, &mut chunks);
            if answer.bytes() > MAX_ANSWER {
                return Err(Failure::Unreadable(format!("an answer of more than {MAX_ANSWER} bytes")));
            }
            match &event {
                // Boxed, because it is large, and comes once per answer.
                Event::Finished { .. } => return Box::pin(self.end(chunks)).await,
                // It can be minutes until a call is whole; nobody has to think meanwhile that there is no answer.
                Event::Delta { text, .. }
                    if !text.is_empty() && self.told.is_none_or(|told| told.elapsed() >= SILENCE) =>
                {
                    break;
                }
                _ => {}
            }
        }
        Ok(Step { chunks, whole: None })
    }

    /// The site has said that this is all: that is noted before the client hears of it, so that its next turn finds it.
    async fn end(&mut self, mut chunks: Vec<Chunk>) -> Result<Step, Failure> {
        let (Some(turn), Some(mut answer)) = (self.turn.take(), self.answer.take()) else {
            return Err(Failure::BrokenOff("it is over".to_owned()));
        };
        answer.finish(&mut chunks);
        if answer.is_empty() {
            return Err(Failure::Empty);
        }
        let Turn { place, mut events, .. } = turn;
        let kept = self.app.keeping.now();
        {
            let noted = async {
                self.app.conversations.end(&self.ask, &place, &answer, kept).await;
                self.app.logins.worked(&self.login).await;
            };
            tokio::pin!(noted);
            // Meanwhile the site closes the stream, so that its connection can be used again.
            tokio::select! {
                biased;
                () = &mut noted => {}
                () = events.drain() => noted.await,
            }
        }
        let opening_hash =
            self.ask.opening_hash().or_else(|| Some(opening_hash(self.ask.first_user_text(), answer.text())));
        let completion = answer.into_completion();
        if let Some(mut record) = self.record.take() {
            record.first_byte();
            let outcome =
                Outcome { status: RequestStatus::Completed, status_code: Some(200), opening_hash, ..of(&completion) };
            record.end(&self.app.log, kept, outcome).await;
        }
        Ok(Step { chunks, whole: Some(completion) })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(record) = self.record.take() else { return };
        let left = self.has_left();
        let status = if left { RequestStatus::ClientDisconnected } else { RequestStatus::Cancelled };
        let partial = self.answer.take().map(partial).unwrap_or_default();
        let status_code = left.then_some(200);
        let outcome = Outcome { status, status_code, ..partial };
        let (log, kept) = (self.app.log.clone(), self.app.keeping.now());
        self.app.tasks.spawn(async move { record.end(&log, kept, outcome).await });
    }
}

/// Tells everybody who has to know about a failure.
async fn note(app: &App, login: &Login, failure: &Failure) {
    app.metrics.failed(failure.code());
    app.logins.failed(login, failure, clock::unix_ms()).await;
}

/// The books of an answer as far as it came.
fn partial(answer: Answer) -> Outcome {
    let mut completion = answer.into_completion();
    for choice in &mut completion.completion.choices {
        choice.finish_reason = None;
    }
    Outcome { finish_reason: Some("error".to_owned()), ..of(&completion) }
}

fn of(completion: &Completion) -> Outcome {
    Outcome {
        // There is nothing in it that is no JSON.
        completion: serde_json::to_string(completion).ok(),
        usage: completion.completion.usage,
        finish_reason: completion.completion.choices.first().and_then(|choice| choice.finish_reason.clone()),
        ..Outcome::default()
    }
}
