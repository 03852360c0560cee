//! Collects the rows of `responses` that a batch adds.

use signalbox_core::token_classes::TokenClasses;

use super::ExchangeEnd;
use crate::Error;
use crate::bodies::Writer;
use crate::rows::Rows;
use crate::statement::without_nul;
use crate::transaction::Transaction;

/// The answers of a batch.
#[derive(Debug)]
pub(super) struct Answers<'a>(Rows<'a>);

const INSERT: (&str, usize, &str) = (
    "INSERT INTO responses (id, timestamp, response_body, in_bodies, completion_tokens, prompt_tokens, total_tokens,
         finish_reason, error, duration_ms, first_byte_ms, status_code, provider_id, attempts, truncated, created_at,
         cache_read_tokens, cache_write_short_tokens, cache_write_long_tokens, input_audio_tokens, input_image_tokens,
         reasoning_tokens, output_audio_tokens, output_image_tokens, tokens_adjusted, translation,
         cost_nanos, cost_origin, price_version, plan)
     VALUES ",
    30,
    "",
);

// === impl Answers ===

impl<'a> Answers<'a> {
    /// Creates an empty collection with capacity for `answers` rows.
    pub(super) fn with_capacity(answers: usize) -> Self {
        Self(Rows::new(INSERT.0, INSERT.1, INSERT.2).with_capacity(answers))
    }

    /// Adds the answer to a request that has no answer yet.
    pub(super) fn add(&mut self, bodies: &mut Writer<'a>, id: i64, ended: &'a ExchangeEnd) {
        let text = ended.response_body.as_deref().map(without_nul);
        let in_bodies = text.as_ref().is_some_and(|text| bodies.answer(id, ended.ended_at, text));
        let classes = ended.usage.map(|usage| usage.classes);
        let class = |count: fn(TokenClasses) -> i64| classes.map(count).into();
        self.0.push([
            id.into(),
            ended.ended_at.into(),
            text.filter(|_| !in_bodies).into(),
            in_bodies.into(),
            ended.usage.map(|usage| usage.completion_tokens).into(),
            ended.usage.map(|usage| usage.prompt_tokens).into(),
            ended.usage.map(|usage| usage.total_tokens).into(),
            ended.finish_reason.as_deref().into(),
            ended.error.as_deref().into(),
            ended.duration_ms.into(),
            ended.first_byte_ms.into(),
            ended.status_code.into(),
            ended.provider_id.as_deref().into(),
            ended.attempts.into(),
            ended.truncated.into(),
            ended.ended_at.into(),
            class(|classes| classes.cache_read),
            class(|classes| classes.cache_write_short),
            class(|classes| classes.cache_write_long),
            class(|classes| classes.input_audio),
            class(|classes| classes.input_image),
            class(|classes| classes.reasoning),
            class(|classes| classes.output_audio),
            class(|classes| classes.output_image),
            classes.is_some_and(|classes| classes.is_adjusted).into(),
            ended.translation.as_deref().into(),
            ended.cost.as_ref().and_then(|cost| cost.nanos).into(),
            ended.cost.as_ref().map(|cost| &*cost.origin).into(),
            ended.cost.as_ref().and_then(|cost| cost.price_version.as_deref()).into(),
            ended.plan.as_deref().into(),
        ]);
    }

    /// Writes the answers.
    pub(super) async fn write(self, tx: &mut Transaction) -> Result<(), Error> {
        self.0.execute(tx).await.map(drop)
    }
}
