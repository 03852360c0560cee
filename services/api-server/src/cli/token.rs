//! `token`: prints the control token, which requires read access to the data directory.

use serde_json::json;
use signalbox_daemon::{CONTROL_TOKEN_FILE, control_token};

use super::installation::Installation;
use super::output::{Code, CommandResult, Output};
use crate::config::Args;

#[derive(Debug, clap::Args)]
pub(super) struct Token {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn token(args: &Args, out: &mut Output) -> anyhow::Result<CommandResult> {
    let installation = Installation::read(args).await?;
    let token = match installation.token()? {
        Some(token) => token,
        None => control_token(&installation.common.data_dir)?.0,
    };
    out.line(token.expose());
    let file = installation.common.data_dir.join(CONTROL_TOKEN_FILE);
    Ok(CommandResult::new(Code::Done, json!({ "token": token.expose(), "file": file })))
}
