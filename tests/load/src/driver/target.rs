//! The targets of a measurement, and how they are started.

mod database;
mod settings;

use std::{collections::BTreeMap, fs, net::TcpListener, path::PathBuf};

use anyhow::{Context as _, bail};
use settings::{nginx_conf, qwen_toml, router_toml};
use signalbox_core::{Api, schema::RequestStatus};
use signalbox_store::{Page, Store, requests};
use tokio::{
    process::Command,
    time::{Duration, Instant, sleep},
};

use super::{cores::Cores, probe, process::Process, results::Audit};
use crate::{prompt::Pool, rules::Keys};

/// Longer than any target takes to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Exit code of the router for an invalid configuration.
const BAD_CONFIG: i32 = 78;

/// The kinds of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No proxy: the client sends requests to the upstream itself, on the core that both share.
    Direct,
    /// The null proxy.
    Null,
    /// nginx as a plain reverse proxy.
    Nginx,
    /// provider-router without its request log.
    JournalOff,
    /// provider-router with its default settings.
    JournalOn,
    /// provider-router with a log that survives a power failure.
    JournalPower,
    /// provider-router with its default settings, and with client keys, routes, limits and prices.
    Rules,
    /// No proxy: the client sends requests to the fake of chat.qwen.ai itself.
    QwenSite,
    /// qwen-proxy with its default settings.
    QwenProxy,
}

/// State shared by all targets of a run.
#[derive(Debug)]
pub struct Site {
    /// Directory of the binaries.
    pub binaries: PathBuf,
    /// Directory for all files of the run.
    pub dir: PathBuf,
    /// Assignment to cores; `None` if there is only one core.
    pub cores: Option<Cores>,
    /// Port of the upstream.
    pub upstream: u16,
    /// Port of the fake of chat.qwen.ai.
    pub qwen: u16,
    /// Text of the prompts.
    pub pool: Pool,
    /// Client keys of the router that has some.
    pub keys: Keys,
}

/// A target.
#[derive(Debug)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Port on which it listens.
    pub port: u16,
    /// Requests answered successfully since its directory was created, by the provider that the model names; "" for
    /// those whose model names none.
    pub answered: BTreeMap<&'static str, u64>,
    /// Requests answered successfully by its current process.
    pub answered_by_process: u64,
    dir: PathBuf,
    process: Option<Process>,
}

/// Outcome of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The target answers; the duration of the start.
    Ready(Duration),
    /// The target is left out of this run, for this reason.
    LeftOut(String),
}

// === impl Kind ===

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Direct,
        Self::Null,
        Self::Nginx,
        Self::JournalOff,
        Self::JournalOn,
        Self::JournalPower,
        Self::Rules,
        Self::QwenSite,
        Self::QwenProxy,
    ];

    /// Returns its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Null => "null",
            Self::Nginx => "nginx",
            Self::JournalOff => "router-off",
            Self::JournalOn => "router",
            Self::JournalPower => "router-power",
            Self::Rules => "router-rules",
            Self::QwenSite => "qwen-site",
            Self::QwenProxy => "qwen-proxy",
        }
    }

    /// Returns its name for display.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Direct => "no proxy",
            Self::Null => "null proxy",
            Self::Nginx => "nginx",
            Self::JournalOff => "router, journal off",
            Self::JournalOn => "**router**",
            Self::JournalPower => "router, `power`",
            Self::Rules => "router, rules",
            Self::QwenSite => "no proxy",
            Self::QwenProxy => "**qwen-proxy**",
        }
    }

    /// Returns whether it is provider-router.
    #[must_use]
    pub fn is_router(self) -> bool {
        self == Self::JournalOff || self.has_journal()
    }

    /// Returns whether it is measured with the fake of chat.qwen.ai as its upstream.
    #[must_use]
    pub fn is_qwen(self) -> bool {
        matches!(self, Self::QwenSite | Self::QwenProxy)
    }

    /// Returns whether its database has all requests at the end.
    #[must_use]
    pub fn is_logged(self) -> bool {
        self.has_journal() || self == Self::QwenProxy
    }

    /// Returns whether it has a journal.
    #[must_use]
    pub fn has_journal(self) -> bool {
        matches!(self, Self::JournalOn | Self::JournalPower | Self::Rules)
    }

    fn journal(self) -> &'static str {
        match self {
            Self::JournalOff => "enabled = false",
            Self::JournalPower => "durability = \"power\"",
            _ => "enabled = true",
        }
    }
}

// === impl Target ===

impl Target {
    /// Creates a target that is not running yet, and its directory with its files.
    ///
    /// # Errors
    /// Fails if the files cannot be written.
    pub async fn prepare(kind: Kind, site: &Site) -> anyhow::Result<Self> {
        let dir = site.dir.join(kind.name());
        fs::create_dir_all(&dir)?;
        let port = match kind {
            Kind::Direct => site.upstream,
            Kind::QwenSite => site.qwen,
            _ => free_port()?,
        };
        match kind {
            Kind::Direct | Kind::Null | Kind::QwenSite => {}
            Kind::QwenProxy => fs::write(dir.join("qwen-proxy.toml"), qwen_toml(site.qwen))?,
            Kind::Nginx => fs::write(dir.join("nginx.conf"), nginx_conf(port, site.upstream))?,
            Kind::JournalOff | Kind::JournalOn | Kind::JournalPower | Kind::Rules => {
                fs::write(dir.join("provider-router.toml"), router_toml(kind.journal()))?;
                database::fill(&dir, site.upstream, (kind == Kind::Rules).then_some(&site.keys)).await?;
            }
        }
        Ok(Self { kind, port, answered: BTreeMap::new(), answered_by_process: 0, dir, process: None })
    }

    /// Starts the target and waits until it answers.
    ///
    /// # Errors
    /// Fails if it does not answer, unless it is not installed or rejects its configuration.
    pub async fn start(&mut self, site: &Site) -> anyhow::Result<Start> {
        let Some(command) = self.command(site) else { return Ok(Start::Ready(Duration::ZERO)) };
        if self.kind == Kind::Nginx && !installed(&command) {
            return Ok(Start::LeftOut("nginx is not installed (Debian: apt-get install nginx-light)".to_owned()));
        }
        let key = (self.kind == Kind::Rules).then(|| site.keys.key.expose().as_str());
        let begin = Instant::now();
        let mut process = Process::spawn(self.kind.name(), command, site.cores.map(|cores| cores.target), &self.dir)?;
        loop {
            if probe::chat(self.port, &site.pool, key).await.is_ok_and(|status| status == 200) {
                self.answered_by_process = 0;
                self.note_answered(None, 1);
                self.process = Some(process);
                return Ok(Start::Ready(begin.elapsed()));
            }
            match process.exited()? {
                Some(exit) if exit.code() == Some(BAD_CONFIG) => return Ok(Start::LeftOut(process.last_words())),
                Some(exit) => {
                    bail!("{} exited ({exit}) instead of responding: {}", self.kind.name(), process.last_words())
                }
                None if begin.elapsed() > START_TIMEOUT => {
                    bail!("{} does not respond: {}", self.kind.name(), process.last_words())
                }
                None => sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Returns its process; `None` for the upstreams.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Stops the target.
    ///
    /// # Errors
    /// Fails if it had to be killed.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// Counts requests that were answered successfully by the provider that their model names, if any.
    pub fn note_answered(&mut self, provider: Option<&'static str>, count: u64) {
        *self.answered.entry(provider.unwrap_or_default()).or_default() += count;
        self.answered_by_process += count;
    }

    /// Opens its database.
    ///
    /// # Errors
    /// Fails if it cannot be opened.
    pub async fn store(&self) -> anyhow::Result<Store> {
        database::open(&self.dir).await
    }

    /// Compares its database with the answers that clients have received, for each provider by itself. The target must
    /// not be running.
    ///
    /// # Errors
    /// Fails if the database cannot be read.
    pub async fn audit(&self) -> anyhow::Result<Audit> {
        let store = self.store().await?;
        let mut audit = Audit { rows: count(&store, requests::Filter::default()).await?, ..Audit::default() };
        let mut others = 0;
        for provider in Api::ALL.map(Api::as_str) {
            let completed = completed(Some(provider));
            let completed = count(&store, completed).await?;
            audit.add(self.answered.get(provider).copied().unwrap_or_default(), completed);
            others += completed;
        }
        let all = count(&store, completed(None)).await?;
        audit.add(self.answered.get("").copied().unwrap_or_default(), all.saturating_sub(others));
        store.close().await;
        Ok(audit)
    }

    fn command(&self, site: &Site) -> Option<Command> {
        let mut command;
        match self.kind {
            Kind::Direct | Kind::QwenSite => return None,
            Kind::Null => {
                command = Command::new(site.binaries.join("null-proxy"));
                command.args([self.port.to_string(), site.upstream.to_string()]);
            }
            Kind::Nginx => {
                command = Command::new("nginx");
                command.arg("-p").arg(&self.dir).args(["-e", "stderr", "-c", "nginx.conf"]);
            }
            Kind::JournalOff | Kind::JournalOn | Kind::JournalPower | Kind::Rules => {
                command = Command::new(site.binaries.join("provider-router"));
                command.env_clear().arg("--data-dir").arg(&self.dir).args(["--port", &self.port.to_string()]);
            }
            Kind::QwenProxy => {
                command = Command::new(site.binaries.join("qwen-proxy"));
                command.env_clear().arg("--data-dir").arg(&self.dir).args(["--port", &self.port.to_string()]);
            }
        }
        // nginx is in a directory that is only on the path of administrators.
        command.env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin");
        Some(command)
    }
}

/// Selects the completed requests, of one provider or of all.
fn completed(provider: Option<&str>) -> requests::Filter {
    requests::Filter {
        statuses: vec![RequestStatus::Completed],
        provider_ids: provider.into_iter().map(str::to_owned).collect(),
        ..requests::Filter::default()
    }
}

async fn count(store: &Store, filter: requests::Filter) -> anyhow::Result<u64> {
    let nothing = Page { limit: 0, offset: 0 };
    Ok(u64::try_from(requests::list(store, &filter, nothing).await?.total)?)
}

/// Returns whether the program of `command` is on its path.
fn installed(command: &Command) -> bool {
    let path = command.as_std().get_envs().find_map(|(name, value)| (name == "PATH").then_some(value)?);
    let program = command.as_std().get_program();
    path.is_some_and(|path| std::env::split_paths(path).any(|dir| dir.join(program).is_file()))
}

/// Returns a port that is free at the moment.
///
/// # Errors
/// Fails if there is none.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
