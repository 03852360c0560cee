//! The conversation of a request, as its client names it.

use http::HeaderMap;
use signalbox_core::id;

/// Headers with which clients name the conversation: any client, Claude Code, Codex. Without them, the conversation is
/// recognised by its opening messages.
const SESSION_HEADERS: [&str; 3] = ["x-session-id", "x-claude-code-session-id", "session-id"];

/// Returns the session id that the client supplied, if it is a valid id.
pub(crate) fn of_client(headers: &HeaderMap) -> Option<String> {
    let mut names = SESSION_HEADERS.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    names.find(|name| id::is_resource_id(name)).map(str::to_owned)
}
