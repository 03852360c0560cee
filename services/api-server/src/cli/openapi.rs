//! `openapi`: prints the OpenAPI document of the control API, without a running server.

use super::output::{Code, CommandResult, Output};
use crate::api;

#[derive(Debug, clap::Args)]
pub(super) struct OpenApi {}

pub(super) fn openapi(out: &mut Output) -> anyhow::Result<CommandResult> {
    out.line(serde_json::to_string_pretty(api::document())?);
    Ok(CommandResult::new(Code::Done, serde_json::Value::Null))
}
