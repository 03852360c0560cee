//! Table `sessions`: conversations.

use serde::Serialize;

/// A row of `sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// The id of the session.
    pub id: String,
    /// The id of the chat at the provider; the session's own id if the provider has no such id.
    pub chat_id: String,
    /// The message that the next turn replies to, if the provider requires it.
    pub parent_id: Option<String>,
    /// The first message of the conversation.
    pub first_user_message: String,
    /// The number of requests in the session.
    pub message_count: i64,
    /// When the session began.
    pub created_at: i64,
    /// When the newest request arrived.
    pub last_accessed: i64,
    /// When the session expires.
    pub expires_at: i64,
}
