//! OpenAI's Responses.

mod blocks;
mod choice;
mod decode;
mod emit;
mod handle;
mod item;
mod items;
mod read;
mod read_item;
mod whole;
mod write;
mod write_item;

pub(crate) use decode::Decoder;
pub(crate) use emit::Emitter;
pub use handle::PREFIX as HANDLE;
pub(crate) use read::read_request;
pub(crate) use whole::{read_answer, write_answer, write_failed_event};
pub(crate) use write::write_request;
