//! Table `sessions`: conversations.

use serde::Serialize;

/// A row of `sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// Its id.
    pub id: String,
    /// The id of the chat at the provider; the session's own id where the provider has none.
    pub chat_id: String,
    /// The message that the next turn answers, where the provider wants to know.
    pub parent_id: Option<String>,
    /// How it began.
    pub first_user_message: String,
    /// How many requests belong to it.
    pub message_count: i64,
    /// When it began.
    pub created_at: i64,
    /// Its newest request.
    pub last_accessed: i64,
    /// When it is forgotten.
    pub expires_at: i64,
}
