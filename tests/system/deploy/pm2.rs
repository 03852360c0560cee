//! PM2 really runs the three programs.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use signalbox_harness::{Client, Home, eventually, processes, within};
use tokio::process::Command;

use super::{deploy, installed};

/// A PM2 instance with its own daemon.
struct Pm2 {
    program: PathBuf,
    home: Home,
    separate: bool,
}

// === impl Pm2 ===

impl Pm2 {
    fn command(&self, words: &[&str]) -> Command {
        let programs = std::env::current_exe().unwrap();
        let programs = programs.ancestors().find(|dir| dir.ends_with("deps")).and_then(Path::parent).unwrap();
        let mut command = Command::new("node");
        command.arg(&self.program).args(words).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.home.path()).env("PM2_HOME", self.home.path().join("pm2"));
        command.env("DATA_DIR", self.home.data()).env("SIGNALBOX_BIN", programs);
        command.env("PORT", "0").env("PROVIDER_ROUTER_PORT", "0").env("QWEN_PROXY_PORT", "0");
        if self.separate {
            command.env("SIGNALBOX_SEPARATE", "1");
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, words: &[&str]) -> String {
        let output = within(&words.join(" "), self.command(words).output()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    async fn start(&self, words: &[&str]) {
        let ecosystem = deploy().join("pm2/ecosystem.config.js");
        self.run(&[&["start", ecosystem.to_str().unwrap()], words].concat()).await;
    }

    /// Returns the names of the apps that are online, with their process ids.
    async fn online(&self) -> Vec<(String, u32)> {
        let said = self.run(&["jlist"]).await;
        // Other output comes on earlier lines.
        let list = said.lines().rev().find(|line| line.starts_with('[')).unwrap_or("[]");
        let apps: Vec<Value> = serde_json::from_str(list).unwrap();
        let online = apps.iter().filter(|app| app["pm2_env"]["status"] == "online");
        let mut online: Vec<(String, u32)> = online
            .map(|app| (app["name"].as_str().unwrap().to_owned(), u32::try_from(app["pid"].as_u64().unwrap()).unwrap()))
            .collect();
        online.sort_unstable();
        online
    }

    /// Ends the apps and the daemon; no process may remain.
    async fn end(&self) {
        self.run(&["delete", "all"]).await;
        self.run(&["kill"]).await;
        eventually("the end of PM2", async || processes::of(&self.home).is_empty().then_some(())).await;
    }
}

impl Drop for Pm2 {
    fn drop(&mut self) {
        for left in processes::of(&self.home) {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(left).unwrap());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

fn pm2(separate: bool) -> Option<Pm2> {
    let program = installed("node_modules/pm2/bin/pm2")?;
    Some(Pm2 { program, home: Home::new(), separate })
}

#[tokio::test]
async fn pm2_runs_all_three_through_api_server() {
    let Some(pm2) = pm2(false) else { return };
    pm2.start(&[]).await;
    let status = eventually("all three to run", async || {
        let record = std::fs::read(pm2.home.data().join("run/api-server.json")).ok()?;
        let record: Value = serde_json::from_slice(&record).ok()?;
        let port = record["addr"].as_str()?.rsplit_once(':')?.1.parse().ok()?;
        let answer = Client::new(port).try_request("GET".parse().ok()?, "/api/proxy/status", "").await.ok()?;
        (answer.json()["status"] == "running").then(|| answer.json())
    })
    .await;
    let apps = pm2.online().await;
    assert_eq!(apps.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["signalbox"]);
    assert!(processes::is_alive(u32::try_from(status["providerRouter"]["pid"].as_u64().unwrap()).unwrap()));
    pm2.end().await;
}

#[tokio::test]
async fn pm2_runs_each_service_alone() {
    let Some(pm2) = pm2(true) else { return };
    pm2.start(&["--only", "provider-router"]).await;
    let apps = pm2.online().await;
    assert_eq!(apps.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["provider-router"]);
    pm2.start(&[]).await;
    let apps = eventually("all three to be online", async || {
        let apps = pm2.online().await;
        (apps.len() == 3).then_some(apps)
    })
    .await;
    assert_eq!(
        apps.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["api-server", "provider-router", "qwen-proxy"]
    );
    for (name, pid) in apps {
        assert!(processes::is_alive(pid), "{name}");
    }
    pm2.end().await;
}
