//! Who is measured, and how it is started.

mod settings;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use settings::{base_url, nginx_conf, provider, qwen_toml, router_toml};
use signalbox_core::schema::RequestStatus;
use signalbox_core::secret::Secret;
use signalbox_store::{Page, Sealer, Store, providers, requests};
use tokio::{
    process::Command,
    time::{Duration, Instant, sleep},
};

use super::{cores::Cores, probe, process::Process};
use crate::prompt::Pool;

/// Longer than any of them takes to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// The exit code of the router that refuses its configuration.
const BAD_CONFIG: i32 = 78;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nobody: the client asks the upstream itself, on the core they share.
    Direct,
    /// The null proxy.
    Null,
    /// nginx as a plain reverse proxy.
    Nginx,
    /// provider-router without its request log.
    JournalOff,
    /// provider-router as it comes.
    JournalOn,
    /// provider-router whose log survives a power failure.
    JournalPower,
    /// Nobody: the client asks the fake of chat.qwen.ai itself.
    QwenSite,
    /// qwen-proxy as it comes.
    QwenProxy,
}

/// What all targets of a run share.
#[derive(Debug)]
pub struct Site {
    /// Where the binaries are.
    pub binaries: PathBuf,
    /// Where everything is written.
    pub dir: PathBuf,
    /// Who runs where; `None` if there is one core only.
    pub cores: Option<Cores>,
    /// The upstream's port.
    pub upstream: u16,
    /// The port of the fake of chat.qwen.ai.
    pub qwen: u16,
    /// The text of prompts.
    pub pool: Pool,
}

/// One target.
#[derive(Debug)]
pub struct Target {
    /// Who it is.
    pub kind: Kind,
    /// Where it listens.
    pub port: u16,
    /// Requests that it has answered well, since its directory was made.
    pub answered: u64,
    /// How many of them its present process has answered.
    pub answered_by_process: u64,
    dir: PathBuf,
    process: Option<Process>,
}

/// How a start went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// It answers; so long after it was started.
    Ready(Duration),
    /// It is left out of this run, for this reason.
    LeftOut(String),
}

// === impl Kind ===

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Direct,
        Self::Null,
        Self::Nginx,
        Self::JournalOff,
        Self::JournalOn,
        Self::JournalPower,
        Self::QwenSite,
        Self::QwenProxy,
    ];

    /// Its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Null => "null",
            Self::Nginx => "nginx",
            Self::JournalOff => "router-off",
            Self::JournalOn => "router",
            Self::JournalPower => "router-power",
            Self::QwenSite => "qwen-site",
            Self::QwenProxy => "qwen-proxy",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Direct => "no proxy",
            Self::Null => "null proxy",
            Self::Nginx => "nginx",
            Self::JournalOff => "router, journal off",
            Self::JournalOn => "**router**",
            Self::JournalPower => "router, `power`",
            Self::QwenSite => "no proxy",
            Self::QwenProxy => "**qwen-proxy**",
        }
    }

    /// Whether it is measured with the fake of chat.qwen.ai behind it.
    #[must_use]
    pub fn is_qwen(self) -> bool {
        matches!(self, Self::QwenSite | Self::QwenProxy)
    }

    /// Whether what it is asked is in its database in the end.
    #[must_use]
    pub fn is_logged(self) -> bool {
        self.has_journal() || self == Self::QwenProxy
    }

    /// Whether it keeps a journal.
    #[must_use]
    pub fn has_journal(self) -> bool {
        matches!(self, Self::JournalOn | Self::JournalPower)
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
    /// A target that does not run yet, and its directory with what it needs.
    ///
    /// # Errors
    /// When that cannot be written.
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
            Kind::JournalOff | Kind::JournalOn | Kind::JournalPower => {
                fs::write(dir.join("provider-router.toml"), router_toml(kind.journal()))?;
                let store = open(&dir).await?;
                // Nothing of it is a secret, so that it does not matter with which key.
                let sealer = Sealer::new(&Secret::new([0; 32]));
                providers::insert(&store, &sealer, &provider(), &[base_url(site.upstream)], 0).await?;
                store.close().await;
            }
        }
        Ok(Self { kind, port, answered: 0, answered_by_process: 0, dir, process: None })
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it does not, for another reason than that it is not there or refuses its configuration.
    pub async fn start(&mut self, site: &Site) -> anyhow::Result<Start> {
        let Some(command) = self.command(site) else { return Ok(Start::Ready(Duration::ZERO)) };
        if self.kind == Kind::Nginx && !installed(&command) {
            return Ok(Start::LeftOut("nginx is not installed (Debian: apt-get install nginx-light)".to_owned()));
        }
        let begin = Instant::now();
        let mut process = Process::spawn(self.kind.name(), command, site.cores.map(|cores| cores.target), &self.dir)?;
        loop {
            if probe::chat(self.port, &site.pool).await.is_ok_and(|status| status == 200) {
                self.answered += 1;
                self.answered_by_process = 1;
                self.process = Some(process);
                return Ok(Start::Ready(begin.elapsed()));
            }
            match process.exited()? {
                Some(exit) if exit.code() == Some(BAD_CONFIG) => return Ok(Start::LeftOut(process.last_words())),
                Some(exit) => {
                    bail!("{} ended ({exit}) instead of answering: {}", self.kind.name(), process.last_words())
                }
                None if begin.elapsed() > PATIENCE => {
                    bail!("{} does not answer: {}", self.kind.name(), process.last_words())
                }
                None => sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Its process; without one it is the upstream itself.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it had to be killed.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// How many requests its database has, and how many of those completed. It must not run.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn rows(&self) -> anyhow::Result<(u64, u64)> {
        let store = open(&self.dir).await?;
        let nothing = Page { limit: 0, offset: 0 };
        let all = requests::list(&store, &requests::Filter::default(), nothing).await?.total;
        let completed = requests::Filter { status: Some(RequestStatus::Completed), ..requests::Filter::default() };
        let completed = requests::list(&store, &completed, nothing).await?.total;
        store.close().await;
        Ok((u64::try_from(all)?, u64::try_from(completed)?))
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
            Kind::JournalOff | Kind::JournalOn | Kind::JournalPower => {
                command = Command::new(site.binaries.join("provider-router"));
                command.env_clear().arg("--data-dir").arg(&self.dir).args(["--port", &self.port.to_string()]);
            }
            Kind::QwenProxy => {
                command = Command::new(site.binaries.join("qwen-proxy"));
                command.env_clear().arg("--data-dir").arg(&self.dir).args(["--port", &self.port.to_string()]);
            }
        }
        // nginx is where only administrators look.
        command.env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin");
        Some(command)
    }
}

/// Whether the program of `command` can be found at all.
fn installed(command: &Command) -> bool {
    let path = command.as_std().get_envs().find_map(|(name, value)| (name == "PATH").then_some(value)?);
    let program = command.as_std().get_program();
    path.is_some_and(|path| std::env::split_paths(path).any(|dir| dir.join(program).is_file()))
}

/// A port that nobody has at this moment.
///
/// # Errors
/// When there is none.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

async fn open(dir: &Path) -> anyhow::Result<Store> {
    Ok(Store::open(&format!("sqlite://{}", dir.join("signalbox.db").display())).await?)
}
