//! The rows of `responses` that a batch adds.

use super::Ended;
use crate::Error;
use crate::bodies::Writer;
use crate::rows::Rows;
use crate::statement::{Statement, Value, without_nul};
use crate::transaction::Transaction;

/// The answers of a batch.
#[derive(Debug, Default)]
pub(super) struct Answers<'a> {
    answers: Vec<Answer<'a>>,
}

#[derive(Debug)]
struct Answer<'a> {
    uuid: &'a str,
    row: [Value<'a>; WIDTH],
}

const WIDTH: usize = 18;

macro_rules! insert {
    ($rest:literal) => {
        concat!(
            "INSERT INTO responses (request_id, session_id, response_id, timestamp, openai_response, in_bodies,
                 completion_tokens, prompt_tokens, total_tokens, finish_reason, error, duration_ms, first_byte_ms,
                 status_code, provider_id, attempts, truncated, created_at) ",
            $rest
        )
    };
}

/// Leaves out the rows whose `response_id` another response has.
const INSERT: (&str, usize, &str) = (insert!("VALUES "), WIDTH, " ON CONFLICT DO NOTHING");

/// The request's id takes the place of a `response_id` that is taken.
const INSERT_ONE: &str = insert!(
    "VALUES ($1, $2, CASE WHEN EXISTS (SELECT 1 FROM responses WHERE response_id = $3) THEN $19 ELSE $3 END, $4, $5,
         $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
     ON CONFLICT (request_id) DO NOTHING"
);

// === impl Answers ===

impl<'a> Answers<'a> {
    /// Adds the answer to a request that has none.
    pub(super) fn add(
        &mut self,
        bodies: &mut Writer<'a>,
        id: i64,
        session_id: &'a str,
        uuid: &'a str,
        ended: &'a Ended,
    ) {
        let text = ended.openai_response.as_deref().map(without_nul);
        let in_bodies = text.as_ref().is_some_and(|text| bodies.answer(id, ended.ended_at, text));
        let row = [
            id.into(),
            session_id.into(),
            (&ended.response_id).into(),
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
        ];
        self.answers.push(Answer { uuid, row });
    }

    /// Writes the answers.
    pub(super) async fn write(self, tx: &mut Transaction) -> Result<(), Error> {
        let mut rows = Rows::new(INSERT.0, INSERT.1, INSERT.2);
        for answer in &self.answers {
            rows.push(answer.row.clone());
        }
        let written = rows.execute(tx).await?;
        if usize::try_from(written) == Ok(self.answers.len()) {
            return Ok(());
        }
        for Answer { uuid, row } in self.answers {
            let mut values = Vec::from(row);
            values.push(uuid.into());
            tx.execute(Statement::with(INSERT_ONE, values).replacing_nul()).await?;
        }
        Ok(())
    }
}
