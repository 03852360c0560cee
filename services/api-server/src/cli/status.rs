//! `status`: shows the state of the server and its services.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::installation::Installation;
use super::output::{Code, CommandResult, Output};
use super::usage::{self, Usage};
use super::{client, ports};
use crate::config::Args;
use crate::instance::InstanceRecord;

/// Key of each service in the API's status, and its name.
const SERVICES: [(&str, &str); 2] = [("providerRouter", "provider-router"), ("qwenProxy", "qwen-proxy")];

#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn status(args: &Args, out: &mut Output) -> anyhow::Result<CommandResult> {
    let installation = Installation::read(args).await?;
    out.line("Signalbox Status");
    out.line("=".repeat(60));
    match &installation.running {
        Some(server) => running(&installation, server, out).await,
        None => stopped(&installation, out),
    }
}

async fn running(
    installation: &Installation,
    server: &InstanceRecord,
    out: &mut Output,
) -> anyhow::Result<CommandResult> {
    let pid = server.identity.pid;
    let asked = client::get(installation, server, "/api/proxy/status").await;
    let (status, trouble) = match asked {
        Ok(status) => (status, None),
        Err(error) => (Value::Null, Some(format!("{error:#}"))),
    };
    let services: Vec<Service> = SERVICES.iter().map(|(key, name)| Service::read(name, &status[key])).collect();
    let processes = services.iter().flat_map(Service::processes);
    let pids: Vec<u32> = std::iter::once(pid).chain(processes.filter_map(|service| service.pid)).collect();
    let usage = usage::of(&pids).await;
    // Ports for clients only; each service has a further one for health checks.
    let mut listening = vec![server.addr.port()];
    listening.extend(services.iter().filter(|service| service.running).map(|service| service.port));
    listening.sort_unstable();
    let usage_of = |wanted: Option<u32>| {
        wanted.and_then(|wanted| pids.iter().position(|pid| *pid == wanted)).map_or_else(Usage::default, |at| usage[at])
    };

    let url = server.url();
    let log_file = installation.log_file();
    let own = usage_of(Some(pid));
    out.line(format!("Status: {}", if trouble.is_none() { "RUNNING" } else { "NOT RESPONDING" }));
    out.line(format!("PID: {pid}"));
    out.line(format!("Started: {}", moment(server.started_at)));
    out.line(format!("CPU Usage: {}", own.cpu_in_words()));
    out.line(format!("Memory Usage: {}", own.memory_in_words()));
    let ports: Vec<String> = listening.iter().map(u16::to_string).collect();
    out.line(format!("Listening Ports: {}", ports.join(", ")));
    out.line(format!("API URL: {url}"));
    out.line(format!("API Docs: {url}/docs"));
    out.line(format!("Log File: {}", log_file.display()));
    out.line(format!("Version: {}", server.version));
    let mut facts = json!({
        "running": true,
        "responding": trouble.is_none(),
        "status": status["status"],
        "pid": pid,
        "startedAt": server.started_at,
        "cpuPercent": own.cpu_percent,
        "memoryBytes": own.memory,
        "ports": listening,
        "url": url,
        "docsUrl": format!("{url}/docs"),
        "logFile": log_file,
        "version": server.version,
        "services": {},
    });
    if let Some(trouble) = trouble {
        out.line(format!("Trouble: {trouble}"));
        facts["error"] = trouble.into();
        return Ok(CommandResult::new(Code::Failed, facts));
    }
    out.line("Services:");
    for service in &services {
        let mut told = service.facts(usage_of(service.pid));
        out.line(format!("  {}", service.line(usage_of(service.pid))));
        for worker in &service.workers {
            out.line(format!("    {}", worker.line(usage_of(worker.pid))));
            told["workers"][worker.name.as_str()] = worker.facts(usage_of(worker.pid));
        }
        facts["services"][service.name.as_str()] = told;
    }
    Ok(CommandResult::done(facts))
}

fn stopped(installation: &Installation, out: &mut Output) -> anyhow::Result<CommandResult> {
    out.line("Status: STOPPED");
    let mut facts = Vec::new();
    for (service, port) in installation.ports().into_iter().filter(|(_, port)| *port != 0) {
        let state = ports::state(&installation.common.server.host, port)?;
        out.line(format!("Port {port}: {}", state.in_words()));
        let mut fact = state.facts(port);
        fact["service"] = service.into();
        facts.push(fact);
    }
    Ok(CommandResult::new(Code::NotRunning, json!({ "running": false, "ports": facts })))
}

/// A service or one of its workers, according to the API.
struct Service {
    name: String,
    running: bool,
    state: String,
    pid: Option<u32>,
    port: u16,
    uptime: u64,
    error: Option<String>,
    /// Its processes, if there are several.
    workers: Vec<Service>,
}

// === impl Service ===

impl Service {
    fn read(name: &str, status: &Value) -> Self {
        let text = |key: &str| status[key].as_str().map(str::to_owned);
        let workers = status["workers"].as_array().map(Vec::as_slice).unwrap_or_default();
        Self {
            workers: workers.iter().map(|worker| Self::read(worker["name"].as_str().unwrap_or(name), worker)).collect(),
            name: name.to_owned(),
            running: status["running"].as_bool().unwrap_or_default(),
            state: text("state").unwrap_or_else(|| "unknown".to_owned()),
            pid: status["pid"].as_u64().and_then(|pid| pid.try_into().ok()),
            port: status["port"].as_u64().and_then(|port| port.try_into().ok()).unwrap_or_default(),
            uptime: status["uptime"].as_u64().unwrap_or_default(),
            error: text("error"),
        }
    }

    /// Returns its processes: the workers, or the service itself.
    fn processes(&self) -> &[Self] {
        if self.workers.is_empty() { std::slice::from_ref(self) } else { &self.workers }
    }

    fn line(&self, usage: Usage) -> String {
        match (self.pid, &self.error) {
            (Some(pid), _) => format!(
                "{}: {} (PID: {pid}, port {}, up {} s, CPU {}, memory {})",
                self.name,
                self.state,
                self.port,
                self.uptime,
                usage.cpu_in_words(),
                usage.memory_in_words()
            ),
            (None, Some(error)) => format!("{}: {}: {error}", self.name, self.state),
            (None, None) => format!("{}: {}", self.name, self.state),
        }
    }

    fn facts(&self, usage: Usage) -> Value {
        json!({
            "running": self.running,
            "state": self.state,
            "pid": self.pid,
            "port": self.port,
            "uptime": self.uptime,
            "cpuPercent": usage.cpu_percent,
            "memoryBytes": usage.memory,
            "error": self.error,
        })
    }
}

// === impl Usage ===

impl Usage {
    fn cpu_in_words(self) -> String {
        self.cpu_percent.map_or_else(|| "unknown".to_owned(), |percent| format!("{percent:.1}%"))
    }

    fn memory_in_words(self) -> String {
        // Whole tenths of a megabyte, without floating point.
        self.memory.map_or_else(
            || "unknown".to_owned(),
            |bytes| format!("{}.{} MB", bytes / (1024 * 1024), bytes % (1024 * 1024) * 10 / (1024 * 1024)),
        )
    }
}

/// Formats a time as UTC.
fn moment(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .map_or_else(|_| "unknown".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_shown_with_units() {
        let usage = Usage { cpu_percent: Some(2.54), memory: Some(163_892_429) };
        assert_eq!((usage.cpu_in_words(), usage.memory_in_words()), ("2.5%".to_owned(), "156.3 MB".to_owned()));
        assert_eq!(Usage::default().memory_in_words(), "unknown");
        assert_eq!(moment(1_759_501_822_000), "2025-10-03 14:30:22 UTC");
    }

    #[test]
    fn a_failed_service_shows_its_error() {
        let status = json!({"running": false, "state": "error", "pid": null, "port": 3001, "uptime": 0, "error": "Port 3001 is already in use"});
        let service = Service::read("provider-router", &status);
        assert_eq!(service.line(Usage::default()), "provider-router: error: Port 3001 is already in use");
    }
}
