//! Translation between Chat Completions, Anthropic's Messages and OpenAI's Responses.
//!
//! Each API is translated to and from one set of types, [`hub`], so that every client API works in front of every
//! provider API.
//!
//! # Use
//! - A request: [`read_request`], then [`write_request`] with the [`Target`] it goes to. [`Written`] has the body, the
//!   [`Losses`] and what the way back needs.
//! - A streamed answer: one [`Decoder`] and one [`Emitter`]. Each event of the provider goes through
//!   [`Decoder::push`], the resulting [`hub::Event`]s through [`Emitter::push`]; call [`Decoder::finish`] at the end of
//!   the stream.
//! - A whole answer: [`read_answer`], then [`write_answer`]. A stream becomes an answer with [`hub::Fold`], an answer a
//!   stream with [`hub::Answer::into_events`].
//! - A request that passes as it is: [`without_foreign`] removes the thinking of other providers from it, and
//!   [`without_items`] what only another account can read.
//! - An error: [`hub::Failure::read`], then [`write_error`]; for a refused request, [`write_request_error`].
//!
//! # Invariants
//! Nothing here performs I/O, reads a clock or makes random values: ids and times are arguments. No text is ever added
//! to a prompt. An answer that was not completed is never ended as if it were.

mod chat;
mod decoder;
mod emitter;
mod error;
mod error_body;
mod field;
mod foreign;
pub mod hub;
mod ids;
mod loss;
mod messages;
mod out;
mod read;
mod responses;
mod stage;
mod target;
mod unread;
mod write;

pub use decoder::{Decoder, read_answer};
pub use emitter::{EmitOptions, Emitter, write_answer};
pub use error::{Problem, RequestError};
pub use error_body::{write_error, write_error_event, write_request_error};
pub use foreign::{Cleaned, is_own_id, without_foreign, without_items};
pub use loss::{Action, Loss, Losses};
pub use responses::HANDLE;
pub use signalbox_core::provider_type::{Added, ThinkingSwitch};
pub use target::{Api, Target, ToolMap, Written};

use hub::{Json, Request};

/// Reads a request of a client that speaks `api`.
///
/// A body of Responses (with `input` in place of `messages`) is also accepted for [`Api::Chat`], because Cursor sends
/// such bodies there. It is answered like any chat request.
///
/// # Errors
/// Fails if the body is not a request of that API. The error names the field.
pub fn read_request(api: Api, body: &[u8]) -> Result<Request, RequestError> {
    match api {
        Api::Chat if chat::is_of_responses(body) => {
            let mut request = responses::read_request(body, None)?;
            request.include_usage = chat::asks_for_usage(body);
            Ok(request)
        }
        Api::Chat => chat::read_request(body),
        Api::Messages => messages::read_request(body),
        Api::Responses => responses::read_request(body, None),
    }
}

/// Reads a request of Responses that continues stored items.
///
/// `stored` are the stored items as their JSON, oldest first. They precede `input` if the request has
/// `previous_response_id`; otherwise, only those that an `item_reference` names are used. `conversation` is refused,
/// because only its provider has the items.
///
/// # Errors
/// Fails like [`read_request`], and if an item that is referred to is not among them.
pub fn read_continued_request(body: &[u8], stored: &[Json]) -> Result<Request, RequestError> {
    responses::read_request(body, Some(stored))
}

/// Writes a request for a provider that speaks `api`.
///
/// # Errors
/// Fails with [`Problem::NotTranslatable`] if the target has no form for a field without which the answer would be a
/// different one. Other fields that the target cannot carry are listed in [`Written::losses`]; in a strict mode, refuse
/// the request unless the list is empty.
pub fn write_request(api: Api, request: &Request, target: &Target) -> Result<Written, RequestError> {
    match api {
        Api::Chat => chat::write_request(request, target),
        Api::Messages => messages::write_request(request, target),
        Api::Responses => responses::write_request(request, target),
    }
}
