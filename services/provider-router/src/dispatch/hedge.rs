//! Hedging: a second attempt beside one whose stream does not begin in time. The first answer that begins counts.

use std::{future::Future, pin::pin};

use signalbox_daemon::RequestContext;
use signalbox_pricing::Money;
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    AcceptedAnswer, ClientRequest,
    attempt::{self, Sender, Step},
    failure::AttemptError,
    retries::Attempts,
};
use crate::{
    app::App,
    clock,
    exchange::{Beside, Exchange, FailedAttempt, InFlight},
    health::{self, millis},
    route::{Candidate, Plan},
    token_estimate,
};

/// End of a race.
#[derive(Debug, PartialEq, Eq)]
enum Race<T, E> {
    /// The first attempt ended before a second one was made.
    Alone(Result<T, E>),
    /// The first attempt counts. The second one was cancelled, or failed with this error.
    First(Result<T, E>, Option<E>),
    /// The answer of the second attempt counts. The first one was cancelled, or failed with this error.
    Second(T, Option<E>),
}

/// An attempt beside which another one may be made.
#[derive(Clone, Copy)]
pub(super) struct Hedger<'a> {
    pub(super) app: &'a App,
    pub(super) plan: &'a Plan,
    pub(super) context: &'a RequestContext,
    /// Cancelled when the request has to end at once.
    pub(super) stop: &'a CancellationToken,
    pub(super) request: ClientRequest<'a>,
    /// Place of its target in the plan.
    pub(super) place: usize,
    pub(super) step: Step<'a>,
    pub(super) began: Instant,
}

// === impl Hedger ===

impl<'a> Hedger<'a> {
    /// Returns the time after which the next target is asked, too; `None` if the attempt is not hedged: its answer is
    /// not streamed and so has no first token, or continues another one. `attempts` is the number of attempts so far.
    pub(super) fn delay(&self, attempts: i64) -> Option<Duration> {
        let hedge = self.step.route?.hedge.as_ref()?;
        let envelope = self.request.envelope;
        if attempts != 1 || self.plan.candidates.len() < 2 || !envelope.stream || envelope.previous.is_some() {
            return None;
        }
        let usual = self.step.candidate.health.first_token(hedge.quantile)?;
        Some(Duration::from_millis(usual.max(hedge.min_ms)))
    }

    /// Records the time to the first token of a hedged route, if the attempt itself has answered with a stream.
    pub(super) fn note(&self, answered: usize, answer: &AcceptedAnswer) {
        let is_hedged = self.step.route.is_some_and(|route| route.hedge.is_some());
        if is_hedged && answered == self.place && matches!(answer, AcceptedAnswer::Stream { .. }) {
            self.note_passed();
        }
    }

    /// Records the time since the attempt began as its time to the first token. For an attempt that was overtaken, it
    /// is a lower bound.
    fn note_passed(&self) {
        self.step.candidate.health.note_first_token(millis(self.began.elapsed()));
    }

    /// Waits for the attempt `first`. If it has not ended after `delay`, begins one with the next target and waits for
    /// both. Returns the result that counts, with the place of its target.
    pub(super) async fn race(
        self,
        exchange: &mut Exchange,
        attempts: &mut Attempts,
        first: impl Future<Output = Result<AcceptedAnswer, AttemptError>>,
        delay: Duration,
    ) -> (usize, Result<AcceptedAnswer, AttemptError>) {
        let mut beside = None;
        let second = || {
            let (made, attempt) = self.second(attempts)?;
            beside = Some(made);
            Some(attempt)
        };
        let raced = race(first, delay, second).await;
        let (raced, beside) = match (raced, beside) {
            (Race::Alone(result) | Race::First(result, _), None) => return (self.place, result),
            (raced, Some(beside)) => (raced, beside),
            // Impossible: an attempt that was not made has no answer.
            (Race::Second(answer, _), None) => return (self.place, Ok(answer)),
        };
        attempts.add();
        let mut mark = |place| attempts.mark(place, self.plan.candidates.len());
        match raced {
            Race::Alone(result) => (self.place, result),
            Race::First(result, failure) => {
                if failure.is_some() {
                    mark(beside.place);
                }
                let nanos = if failure.is_none() { self.prompt_nanos(&beside.candidate) } else { 0 };
                let failed = ended(failure, &beside.candidate, "the first attempt goes on");
                exchange.beside_failed(beside, failed, nanos);
                (self.place, result)
            }
            Race::Second(answer, failure) => {
                mark(beside.place);
                if failure.is_some() {
                    mark(self.place);
                }
                self.note_passed();
                let began = beside.attempt.began;
                let passed = self.context.arrived().elapsed().saturating_sub(began);
                beside.candidate.health.note_first_token(millis(passed));
                let (place, candidate) = (beside.place, self.step.candidate);
                let nanos = if failure.is_none() { self.prompt_nanos(candidate) } else { 0 };
                let failed = ended(failure, candidate, "the attempt beside it goes on");
                let target = self.plan.target(&beside.candidate);
                let params = target.map(|target| &target.params);
                exchange.overtaken((candidate, &failed, nanos), beside, params, self.request.envelope);
                (place, Ok(answer))
            }
        }
    }

    /// Begins an attempt with the next target that can be asked now; `None` if there is none, or if the budget of
    /// repetitions is used up.
    fn second(
        self,
        attempts: &Attempts,
    ) -> Option<(Beside, impl Future<Output = Result<AcceptedAnswer, AttemptError>> + use<'a>)> {
        let now = health::now();
        let Self { app, plan, context, stop, request, step, .. } = self;
        let untried = attempts.untried(self.place, plan.candidates.len());
        let can_be_asked = |place: &usize| {
            plan.candidates.get(*place).is_some_and(|candidate| candidate.health.blocked(now).is_none())
        };
        let place = untried.into_iter().find(can_be_asked)?;
        let candidate = plan.candidates.get(place)?;
        // Before the quota: a request that was never made would use up the rate of the provider.
        if !app.retries.take(now) {
            return None;
        }
        let quota = candidate.provider.quota.as_ref();
        let taken = quota.map(|quota| quota.take(now, plan.tokens)).transpose().ok()?;
        let in_flight = InFlight::begin(context, candidate, 2, taken);
        let span = in_flight.span.clone();
        let beside = Beside { candidate: candidate.clone(), place, attempt: in_flight };
        let step = Step { candidate, route: step.route, target: plan.target(candidate), awaits_token: true };
        let attempt = async move {
            let sender = Sender { context, span: &span };
            let attempt = attempt::attempt(app, step, sender, request).instrument(span.clone());
            tokio::select! {
                biased;
                done = attempt => done,
                () = stop.cancelled() => Err(AttemptError::ShuttingDown),
            }
        };
        Some((beside, attempt))
    }

    /// Returns the expected price of the prompt, which a provider may charge for an attempt that is cancelled; 0 if it
    /// is unknown.
    fn prompt_nanos(&self, candidate: &Candidate) -> i64 {
        let prices = self.app.prices.current();
        let tokens = (token_estimate::rough(self.request.body), 0);
        let picos = prices.and_then(|prices| candidate.price(&prices, tokens, clock::unix_ms()));
        picos.map(Money::from_picos).and_then(Money::nanos).unwrap_or_default()
    }
}

/// Returns the record of an attempt that failed, or that was cancelled because the other one was answered.
fn ended(failure: Option<AttemptError>, candidate: &Candidate, what: &str) -> FailedAttempt {
    let Some(failure) = failure else {
        return FailedAttempt {
            status: None,
            code: "cancelled",
            message: "cancelled: another attempt was answered first".to_owned(),
            counts: false,
            retry_after: None,
            why_next: "hedged: two attempts were in flight".to_owned(),
        };
    };
    candidate.provider.note(!failure.is_provider_fault());
    failure.recorded(format!("{}: {what}", failure.fault().as_str()))
}

/// Waits for the first attempt. If it has not ended after `delay`, begins the one that `second` returns and waits for
/// both. The loser is cancelled: it is dropped before this function returns.
async fn race<T, E, S>(
    first: impl Future<Output = Result<T, E>>,
    delay: Duration,
    second: impl FnOnce() -> Option<S>,
) -> Race<T, E>
where
    S: Future<Output = Result<T, E>>,
{
    let mut first = pin!(first);
    tokio::select! {
        biased;
        done = &mut first => return Race::Alone(done),
        () = sleep(delay) => {}
    }
    let Some(second) = second() else { return Race::Alone(first.await) };
    let mut second = pin!(second);
    tokio::select! {
        biased;
        done = &mut first => match done {
            Ok(answer) => Race::First(Ok(answer), None),
            Err(failure) => match second.await {
                Ok(answer) => Race::Second(answer, Some(failure)),
                Err(other) => Race::First(Err(failure), Some(other)),
            },
        },
        done = &mut second => match done {
            Ok(answer) => Race::Second(answer, None),
            Err(other) => Race::First(first.await, Some(other)),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use tokio::time::Instant;

    use super::*;

    type Outcome = Result<&'static str, &'static str>;

    /// Counts the attempts that were dropped before their end.
    struct Guard(Arc<AtomicU32>);

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn after(millis: u64, outcome: Outcome, cancelled: &Arc<AtomicU32>) -> Outcome {
        let guard = Guard(Arc::clone(cancelled));
        sleep(Duration::from_millis(millis)).await;
        std::mem::forget(guard);
        outcome
    }

    /// Returns the end of a race whose second attempt begins after 100 ms, its duration in milliseconds and the number of
    /// cancelled attempts.
    async fn raced(
        first: (u64, Outcome),
        second: Option<(u64, Outcome)>,
    ) -> (Race<&'static str, &'static str>, u128, u32) {
        let (cancelled, started) = (Arc::default(), Instant::now());
        let second = || second.map(|(millis, outcome)| after(millis, outcome, &cancelled));
        let race = race(after(first.0, first.1, &cancelled), Duration::from_millis(100), second).await;
        (race, started.elapsed().as_millis(), cancelled.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_counts_and_the_loser_is_cancelled_at_once() {
        let (one, two) = ((30, Ok("one")), Some((10, Ok("two"))));
        assert_eq!(raced(one, two).await, (Race::Alone(Ok("one")), 30, 0));
        assert_eq!(raced((500, Ok("one")), None).await, (Race::Alone(Ok("one")), 500, 0), "nobody else can be asked");
        assert_eq!(raced((500, Ok("one")), two).await, (Race::Second("two", None), 110, 1));
        assert_eq!(raced((105, Ok("one")), two).await, (Race::First(Ok("one"), None), 105, 1));
        assert_eq!(raced((110, Ok("one")), two).await, (Race::First(Ok("one"), None), 110, 1), "a draw");
    }

    #[tokio::test(start_paused = true)]
    async fn the_failure_of_one_attempt_leaves_the_other_one() {
        let slow = Some((400, Ok("two")));
        assert_eq!(raced((50, Err("one")), slow).await, (Race::Alone(Err("one")), 50, 0));
        assert_eq!(raced((200, Err("one")), slow).await, (Race::Second("two", Some("one")), 500, 0));
        assert_eq!(
            raced((900, Ok("one")), Some((10, Err("two")))).await,
            (Race::First(Ok("one"), Some("two")), 900, 0)
        );
        assert_eq!(
            raced((900, Err("one")), Some((10, Err("two")))).await,
            (Race::First(Err("one"), Some("two")), 900, 0)
        );
        assert_eq!(
            raced((200, Err("one")), Some((400, Err("two")))).await,
            (Race::First(Err("one"), Some("two")), 500, 0)
        );
    }
}
