//! Sending of one event to one listener.

use serde_json::Value;
use socketioxide::extract::SocketRef;
use socketioxide::{SendError, SocketError};

/// Sends one event. A listener whose queue is full is disconnected, and gets a snapshot when it reconnects.
pub(super) fn emit(socket: &SocketRef, event: &str, payload: &Value) {
    if let Err(SendError::Socket(SocketError::InternalChannelFull)) = socket.emit(event, payload) {
        tracing::info!(id = %socket.id, "listener is too slow and was disconnected");
        socket.clone().disconnect().ok();
    }
}
