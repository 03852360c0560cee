//! Chat Completions.

mod after_tools;
mod calls;
mod decode;
mod emit;
mod read;
mod read_message;
mod thinking;
mod tools;
mod whole;
mod write;
mod write_message;

pub(crate) use decode::Decoder;
pub(crate) use emit::{Emitter, report_phase};
pub(crate) use read::{asks_for_usage, is_of_responses, read_request, read_schema};
pub(crate) use read_message::{read_breakpoint, read_file};
pub(crate) use tools::{custom_schema, word_choice};
pub(crate) use whole::{read_answer, write_answer};
pub(crate) use write::write_request;
