//! Whether the log still has the answer of a request.

use signalbox_core::schema::RequestStatus;

use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::{Error, Store};

/// State of the answer of a request in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerState {
    /// The request has not ended, as far as the log knows.
    Pending,
    /// The answer is there.
    Present,
    /// The request has ended, and its answer was deleted.
    Deleted,
}

struct AnswerRow(AnswerState);

/// Returns the state of the answer of a request; `None` if the log does not have the request.
///
/// # Errors
/// See [`Error`].
pub async fn answer_state(store: &Store, request_id: &str) -> Result<Option<AnswerState>, Error> {
    let select = "SELECT requests.status AS status, responses.id AS answer
                  FROM requests LEFT JOIN responses ON responses.id = requests.id WHERE requests.request_id = $1";
    let row: Option<AnswerRow> = store.first(Statement::new(select).bind(request_id)).await?;
    Ok(row.map(|AnswerRow(state)| state))
}

impl FromRow for AnswerRow {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let is_pending = row.text("status")? == RequestStatus::Pending.as_str();
        let is_present = row.optional_int("answer")?.is_some();
        Ok(Self(match (is_pending, is_present) {
            (_, true) => AnswerState::Present,
            (true, false) => AnswerState::Pending,
            (false, false) => AnswerState::Deleted,
        }))
    }
}
