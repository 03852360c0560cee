//! Interactive questions at a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use serde_json::json;
use signalbox_harness::{CommandLine, Home, eventually};

use super::{KEY, stored};

/// A command at a terminal, and its output.
struct Sitting {
    child: Child,
    keyboard: File,
    slave: std::os::fd::OwnedFd,
    screen: Arc<Mutex<Vec<u8>>>,
    /// Length of the output that has been examined.
    seen: usize,
}

impl Sitting {
    fn begin(shell: &CommandLine, words: &[&str]) -> Self {
        let terminal = openpty(None, None).unwrap();
        let end = || Stdio::from(terminal.slave.try_clone().unwrap());
        let mut command = shell.command("provider-router", words);
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keyboard = File::from(terminal.master);
        let mut shown = keyboard.try_clone().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = shown.read(&mut piece) {
                lines.lock().unwrap().extend_from_slice(&piece[..len]);
            }
        });
        Self { child, keyboard, slave: terminal.slave, screen, seen: 0 }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits for a question and types the answer.
    async fn answer(&mut self, question: &str, answer: &str) {
        let what = format!("the question {question:?}");
        self.seen = eventually(&what, async || {
            let shown = self.shown();
            let found = shown.get(self.seen..).and_then(|rest| rest.find(question));
            found.map(|at| self.seen + at + question.len())
        })
        .await;
        self.keyboard.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }

    fn shows_what_is_typed(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_flags.contains(LocalFlags::ECHO)
    }

    async fn end(mut self) -> (Option<i32>, String) {
        let exit = eventually("the end of the command", async || self.child.try_wait().unwrap()).await;
        assert!(self.shows_what_is_typed(), "the terminal is as it was");
        (exit.code(), self.shown())
    }
}

#[tokio::test]
async fn provider_add_asks_for_every_field() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let mut sitting = Sitting::begin(&shell, &["provider", "add"]);
    sitting.answer("Type (a number or a word) [openai]: ", "99").await;
    sitting.answer("enter a number from 1 to", "").await;
    sitting.answer("Id [openai]: ", "Not An Id").await;
    sitting.answer("an id must contain only lowercase letters", "mine").await;
    sitting.answer("Name [OpenAI]: ", "Echo").await;
    sitting.answer("the provider echo has this name already", "Mine").await;
    sitting.answer("Description (may be empty): ", "").await;
    sitting.answer("Priority (higher is tried first) [0]: ", "12").await;
    eventually("the terminal to disable echo", async || (!sitting.shows_what_is_typed()).then_some(())).await;
    sitting.answer("(input is hidden): ", KEY).await;
    sitting.answer("Set optional values? [y/N]: ", "maybe").await;
    sitting.answer("enter y or n", "no").await;
    sitting.answer("Create it? [Y/n]: ", "").await;
    assert!(stored(&home, "mine").await.is_none(), "nothing is written before the last answer");
    sitting.answer("Enable it now? [Y/n]: ", "n").await;
    let (code, shown) = sitting.end().await;
    assert!(code == Some(0) && shown.contains("Provider created successfully!"), "{shown}");
    assert!(shown.contains("apiKey = ***MASKED***") && !shown.contains("canary"), "{shown}");
    let (row, config) = stored(&home, "mine").await.unwrap();
    assert_eq!((&row["name"], &row["priority"], &row["enabled"]), (&json!("Mine"), &json!(12), &json!(false)));
    assert_eq!(config, json!({ "apiKey": KEY }));
}

#[tokio::test]
async fn declining_or_leaving_changes_nothing() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let mut sitting = Sitting::begin(&shell, &["provider", "remove", "echo"]);
    sitting.answer("Remove the provider Echo (echo)? [y/N]: ", "").await;
    let (code, shown) = sitting.end().await;
    assert!(code == Some(0) && shown.contains("Models that echo serves: echo"), "{shown}");
    assert!(shown.contains("Nothing was changed.") && stored(&home, "echo").await.is_some(), "{shown}");

    let mut sitting = Sitting::begin(&shell, &["provider", "add"]);
    sitting.answer("Type (a number or a word) [openai]: ", "openai").await;
    sitting.answer("Id [openai]: ", "").await;
    sitting.answer("Name [OpenAI]: ", "").await;
    sitting.answer("Description (may be empty): ", "").await;
    sitting.answer("[0]: ", "").await;
    eventually("the terminal to disable echo", async || (!sitting.shows_what_is_typed()).then_some(())).await;
    kill(Pid::from_raw(i32::try_from(sitting.child.id()).unwrap()), Signal::SIGINT).unwrap();
    let (code, shown) = sitting.end().await;
    assert!(code == Some(130) && stored(&home, "openai").await.is_none(), "{shown}");
}

#[tokio::test]
async fn provider_edit_and_model_add_ask_for_every_field() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let mut sitting = Sitting::begin(&shell, &["provider", "edit", "qwen-proxy-default"]);
    sitting.answer("3) both [3]: ", "").await;
    sitting.answer("Name [Qwen Proxy Default]: ", "Qwen").await;
    sitting.answer("Description (`-` for none): ", "").await;
    sitting.answer("[5]: ", "6").await;
    for (field, answer) in [
        ("baseURL - ", ""),
        ("apiKey - ", ""),
        ("apiKeys - ", ""),
        ("caFile - ", ""),
        ("clientCert - ", ""),
        ("clientKey - ", ""),
        ("proxy - ", ""),
        ("headers - ", ""),
        ("timeout - ", "9000"),
        ("streamUsage - ", ""),
        ("apis - ", ""),
        ("defaultModel - ", ""),
        ("logBodies - ", ""),
    ] {
        sitting.answer(field, answer).await;
    }
    let (code, shown) = sitting.end().await;
    assert!(code == Some(0) && shown.contains("Provider updated successfully!"), "{shown}");
    let (row, config) = stored(&home, "qwen-proxy-default").await.unwrap();
    assert_eq!((&row["name"], &row["priority"]), (&json!("Qwen"), &json!(6)));
    assert_eq!(config, json!({"timeout": 9000}));

    let mut sitting = Sitting::begin(&shell, &["model", "add"]);
    for (question, answer) in [
        ("Model id: ", "my-model"),
        ("Name [my-model]: ", ""),
        ("Description (may be empty): ", ""),
        ("Capabilities [chat]: ", ""),
        ("Provider that serves it (may be empty): ", "missing"),
        ("Provider not found: missing", "echo"),
        ("default model of this provider? [y/N]: ", "y"),
    ] {
        sitting.answer(question, answer).await;
    }
    let (code, shown) = sitting.end().await;
    assert!(code == Some(0) && shown.contains("echo serves my-model."), "{shown}");
}
