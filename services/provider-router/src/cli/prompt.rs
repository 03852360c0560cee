//! Interactive questions. An invalid answer is reported with the reason, and the question is asked again.
//!
//! Answers are lines that the terminal itself edits. Libraries for prompts read single keys in raw mode, which a
//! process that is ended by a signal leaves switched on, and cannot read secrets that are longer than a line of the
//! terminal.

use anyhow::Context as _;
use signalbox_core::secret::Secret;
use signalbox_daemon::terminal;

/// Asks until `check` accepts the answer. An empty answer stands for `default`, if there is one.
pub(super) async fn ask<T>(
    question: &str,
    default: Option<&str>,
    check: impl Fn(&str) -> Result<T, String>,
) -> anyhow::Result<T> {
    let prompt = default.map_or_else(|| format!("{question}: "), |default| format!("{question} [{default}]: "));
    loop {
        let line = terminal::read_line(&prompt).await.context("cannot read the answer")?;
        let line = line.context("no answer was given; nothing was changed")?;
        let given = Some(line.trim()).filter(|line| !line.is_empty()).or(default).unwrap_or_default();
        match check(given) {
            Ok(answer) => return Ok(answer),
            Err(why) => say(&why)?,
        }
    }
}

/// Asks a yes-or-no question.
pub(super) async fn confirm(question: &str, default: bool) -> anyhow::Result<bool> {
    let hint = if default { "Y/n" } else { "y/N" };
    ask(question, Some(hint), |answer| match answer.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        hinted if hinted == hint.to_ascii_lowercase() => Ok(default),
        _ => Err("enter y or n".to_owned()),
    })
    .await
}

/// Asks for a secret without echoing it. The secret may be empty.
pub(super) async fn secret(question: &str) -> anyhow::Result<Secret<String>> {
    terminal::read_optional_secret(&format!("{question} (input is hidden): ")).await.context("cannot read the secret")
}

fn say(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "  {text}").context("cannot write to the terminal")
}
