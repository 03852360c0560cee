//! One process group: spawned, signalled, and reaped only after it is empty.
//!
//! The leader is left a zombie until the rest of its group is gone: a zombie keeps its process id, and therefore the
//! group's number, from being reused. Its end is watched by a dedicated thread, the keeper, that waits without reaping;
//! tokio's child would reap as soon as it is polled.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{ChildStdin, Command, Stdio};

use command_fds::{CommandFdExt as _, FdMapping};
use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::sys::wait::{self, WaitPidFlag, WaitStatus};
use nix::unistd::Pid;
use signalbox_daemon::adoption::{self, FAMILY_ENV, Files};
use signalbox_daemon::identity::{Handle, ProcessSignal};
use signalbox_daemon::log_file::LOG_FILE;
use signalbox_daemon::variables::{SECRETS, secrets_line};
use tokio::process::ChildStdout;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{SUPERVISED, Spawned};
use crate::instance::private_directory;
use crate::supervisor::family_processes::{self, FamilyProcesses};
use crate::supervisor::orphans::{self, Leaders};
use crate::supervisor::port::Port;
use crate::supervisor::{Exit, Spec, group};

/// Whether a child gets copies of the sockets bound by its supervisor.
pub(in crate::supervisor) const PASSES_SOCKETS: bool = true;

/// First descriptor of the passed sockets, following systemd.
const FIRST_PASSED_FD: i32 = 3;

/// Sockets of a child.
#[derive(Clone, Copy, Debug)]
struct Sockets<'a> {
    /// Listening sockets, shared with earlier and later generations.
    public: &'a [TcpListener],
    /// Socket for the health checks of this process.
    probe: &'a TcpListener,
}

/// A process group whose leader has not been reaped.
#[derive(Debug)]
pub(in crate::supervisor) struct Process {
    name: &'static str,
    leader: Pid,
    /// Unique value in the environment of the leader and its descendants, by which they can be found after leaving the
    /// group.
    family: String,
    files: Option<Files>,
    exited: oneshot::Receiver<Exit>,
    reaped: bool,
    _lifeline: Lifeline,
    /// Set if another process is the parent of the leader and reaps it: the leader's number may be reused after its
    /// end.
    adopted: Option<FamilyProcesses>,
}

/// Stream whose end tells the child that its supervisor is gone.
#[derive(Debug)]
enum Lifeline {
    Pipe { _stdin: Option<ChildStdin> },
    Socket { _stream: UnixStream },
}

// === impl Process ===

impl Process {
    /// Spawns the leader of a new group with copies of the sockets, writing its standard error to `log`.
    pub(in crate::supervisor) fn spawn(
        name: &'static str,
        spec: &Spec,
        port: &Port,
        log: std::fs::File,
    ) -> io::Result<Spawned> {
        use std::os::unix::process::CommandExt as _;

        let secrets = secrets_line(&spec.secrets)?;
        let probe = probe()?;
        let sockets = Sockets { public: port.sockets(), probe: &probe };
        let family = Uuid::now_v7().simple().to_string();
        let files = Files::of(&spec.run, &family);
        // Created before the process, so that a process left behind can be found in every case.
        if let Some(files) = &files {
            private_directory(&spec.run)?;
            signalbox_private_files::options().write(true).create_new(true).open(&files.lock)?;
        }
        let mut command = Command::new(&spec.program);
        command
            .args(&spec.args)
            .env_clear()
            .envs(spec.env.iter().map(|(name, value)| (name, value)))
            .env(SUPERVISED, "1")
            .env(LOG_FILE, &spec.log)
            .envs(secrets.as_ref().map(|_| (SECRETS, "stdin")))
            .env(FAMILY_ENV, &family)
            .env(adoption::GRACE_ENV, format!("{}ms", spec.orphan_grace.as_millis()))
            .env(adoption::FINGERPRINT_ENV, &spec.fingerprint)
            .env("LISTEN_FDS", (sockets.public.len() + 1).to_string())
            .env("LISTEN_FDNAMES", format!("{}probe", "public:".repeat(sockets.public.len())))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .fd_mappings(sockets.passed()?)
            .map_err(io::Error::other)?;
        // Held until the leader is registered, so that it is not mistaken for an orphan.
        let mut leaders = Leaders::lock();
        let mut child = command.spawn().inspect_err(|_| remove(name, files.as_ref()))?;

        let leader = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        leaders.add(leader);
        drop(leaders);
        let (tell, exited) = oneshot::channel();
        let mut lifeline = child.stdin.take();
        let stdout = child.stdout.take();
        if let Err(error) = spec.resources.apply(child.id()) {
            tracing::warn!(child = name, %error, "cannot apply the resource limits, the child runs without them");
        }
        // The secrets fit into an empty pipe. If the child has ended already, the keeper reports it.
        if let (Some(secrets), Some(stdin)) = (secrets, &mut lifeline) {
            stdin.write_all(&secrets).ok();
        }
        // From here on dropping `process` kills the group.
        let lifeline = Lifeline::Pipe { _stdin: lifeline };
        let process = Self { name, leader, family, files, exited, reaped: false, _lifeline: lifeline, adopted: None };
        std::thread::Builder::new().name(format!("keeper-{name}")).spawn(move || watch_process(leader, tell))?;
        let stdout = stdout.ok_or_else(|| io::Error::other("the child has no standard output"))?;
        Ok(Spawned { process, stdout: ChildStdout::from_std(stdout)?, probe: Some(probe.local_addr()?) })
    }

    /// Wraps a process that was spawned by another supervisor and has proven its identity.
    pub(in crate::supervisor) fn adopted(
        name: &'static str,
        spec: &Spec,
        family: String,
        process: Handle,
        pid: u32,
        lifeline: UnixStream,
    ) -> io::Result<Self> {
        let leader = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
        let (tell, exited) = oneshot::channel();
        let process = std::sync::Arc::new(process);
        let processes = FamilyProcesses::new(leader, &family, std::sync::Arc::clone(&process));
        let files = Files::of(&spec.run, &family);
        std::thread::Builder::new().name(format!("keeper-{name}")).spawn(move || {
            if process.wait(None) {
                // The receiver may have been dropped.
                tell.send(Exit::Unknown).ok();
            }
        })?;
        let lifeline = Lifeline::Socket { _stream: lifeline };
        Ok(Self { name, leader, family, files, exited, reaped: false, _lifeline: lifeline, adopted: Some(processes) })
    }

    /// Returns the process id of the leader, which is also the number of the group.
    pub(in crate::supervisor) fn id(&self) -> u32 {
        self.leader.as_raw().unsigned_abs()
    }

    /// Returns whether another supervisor has spawned it.
    pub(in crate::supervisor) fn is_adopted(&self) -> bool {
        self.adopted.is_some()
    }

    /// Waits for the end of the leader without reaping it. Must not be called again after it has returned.
    pub(in crate::supervisor) async fn exited(&mut self) -> Exit {
        (&mut self.exited).await.unwrap_or(Exit::Unknown)
    }

    /// Asks the group to exit (SIGTERM). SIGCONT follows, because a stopped process would not handle the signal.
    pub(in crate::supervisor) fn terminate(&self) {
        self.signal(ProcessSignal::Terminate);
        self.signal(ProcessSignal::Continue);
    }

    /// Kills the group.
    pub(in crate::supervisor) fn kill(&self) {
        self.signal(ProcessSignal::Kill);
    }

    /// Kills the rest of the group and the descendants that left it, after the leader has ended. Returns whether none
    /// is left; everything has been reaped then. Otherwise it has to be called again a little later.
    pub(in crate::supervisor) fn bury(&mut self) -> bool {
        if self.reaped {
            return true;
        }
        self.kill();
        match &self.adopted {
            Some(processes) if !processes.is_empty() => return false,
            Some(_) => {}
            None if !group::is_empty(self.leader) || self.kill_escaped() => return false,
            None => self.reap(),
        }
        self.reaped = true;
        remove(self.name, self.files.as_ref());
        true
    }

    /// Kills descendants that left the group: they carry our marker, or have become our children. Returns whether there
    /// were any.
    fn kill_escaped(&self) -> bool {
        let marker = family_processes::marker(&self.family);
        let strays = || orphans::living().into_iter().filter(|pid| !group::is_marked(*pid, FAMILY_ENV));
        let escaped = |pid| group::marked_with(pid, &marker) || strays().any(|stray| stray == pid);
        let found = group::marked(&marker).into_iter().chain(strays());
        family_processes::ask(found, escaped, ProcessSignal::Kill, |pid| {
            tracing::warn!(child = self.name, %pid, "killing a descendant that left the process group");
        })
    }

    /// Reaps the leader, and orphans of its group that became our children (process 1 inherits them).
    fn reap(&mut self) {
        // Held until reaping is complete: a freed number may be reused by another leader at once.
        let mut leaders = Leaders::lock();
        let whole_group = Pid::from_raw(-self.leader.as_raw());
        while matches!(wait::waitpid(whole_group, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
        {
        }
        leaders.remove(self.leader);
    }

    fn signal(&self, request: ProcessSignal) {
        let signal = match request {
            ProcessSignal::Terminate => Signal::SIGTERM,
            ProcessSignal::Continue => Signal::SIGCONT,
            ProcessSignal::Kill => Signal::SIGKILL,
        };
        match &self.adopted {
            _ if self.reaped => {}
            Some(processes) => processes.ask(request),
            None => log_failure(self.name, signal::killpg(self.leader, signal)),
        }
    }
}

// === impl Sockets ===

impl Sockets<'_> {
    /// Duplicates the sockets, and assigns their descriptors in the child.
    fn passed(&self) -> io::Result<Vec<FdMapping>> {
        let all = self.public.iter().chain(std::iter::once(self.probe));
        let copies = all.map(|socket| socket.as_fd().try_clone_to_owned()).collect::<io::Result<Vec<OwnedFd>>>()?;
        let numbers = FIRST_PASSED_FD..;
        Ok(numbers.zip(copies).map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd }).collect())
    }
}

impl Drop for Process {
    /// Kills and reaps without a grace period: reached on a panic or when the runtime shuts down.
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            if self.adopted.is_none() {
                self.reap();
            }
        }
    }
}

/// Binds a socket for the health checks of one process: on loopback, on any free port.
fn probe() -> io::Result<TcpListener> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Removes the files of a family after its last process has ended.
fn remove(name: &str, files: Option<&Files>) {
    if let Some(Err(error)) = files.map(Files::remove) {
        tracing::warn!(child = name, %error, "cannot remove the files of an exited process");
    }
}

fn log_failure(name: &str, outcome: nix::Result<()>) {
    match outcome {
        // An empty group already has the state the signal was meant to bring about.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => tracing::warn!(child = name, %error, "cannot signal the process group"),
    }
}

/// Body of the keeper thread. If the receiver is gone, the group has been killed and only the zombie is left to reap.
fn watch_process(leader: Pid, tell: oneshot::Sender<Exit>) {
    let exit = wait_for_end(leader);
    if tell.send(exit).is_err() {
        wait::waitpid(leader, Some(WaitPidFlag::WNOHANG)).ok();
    }
}

/// Blocks until the leader has ended, and leaves it a zombie.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn wait_for_end(leader: Pid) -> Exit {
    loop {
        match wait::waitid(wait::Id::Pid(leader), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            Err(Errno::EINTR) => {}
            outcome => return outcome.map_or(Exit::Unknown, exit_of),
        }
    }
}

/// Blocks until the leader has ended. Reaps it, because `waitid` is missing on this platform: the number of the group
/// stays in use while it has members, and a signal sent afterwards reaches the group or no process.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn wait_for_end(leader: Pid) -> Exit {
    loop {
        match wait::waitpid(leader, None) {
            Err(Errno::EINTR) => {}
            outcome => return outcome.map_or(Exit::Unknown, exit_of),
        }
    }
}

fn exit_of(status: WaitStatus) -> Exit {
    match status {
        WaitStatus::Exited(_, code) => Exit::Code(code),
        WaitStatus::Signaled(_, signal, _) => Exit::Signal(signal as i32),
        _ => Exit::Unknown,
    }
}
