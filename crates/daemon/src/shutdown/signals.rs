//! Signal handling: the first signal triggers the drain, the second the cut, and the third exits immediately.

use tokio::task::JoinHandle;

use super::Shutdown;
use crate::exit::Exit;

/// Task that waits for signals; aborted on drop.
#[derive(Debug)]
pub(crate) struct Signals {
    task: JoinHandle<()>,
}

/// A received signal: its name, and the exit code of a process that it kills.
struct Received {
    name: &'static str,
    code: i32,
}

// === impl Signals ===

impl Signals {
    /// Installs the handlers before returning, and triggers `shutdown` on signals from now on.
    ///
    /// # Errors
    /// Returns [`Exit::Temporary`] when a handler cannot be installed.
    pub(crate) fn install(shutdown: Shutdown) -> Result<Self, Exit> {
        let mut source = source::Source::install()
            .map_err(|error| Exit::Temporary(format!("cannot install signal handlers: {error}")))?;
        let task = tokio::spawn(async move {
            let first = source.next().await;
            tracing::info!(signal = first.name, "draining");
            shutdown.trigger();
            let second = source.next().await;
            tracing::warn!(signal = second.name, "ending running requests");
            shutdown.trigger_abort();
            let third = source.next().await;
            std::process::exit(third.code);
        });
        Ok(Self { task })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(unix)]
mod source {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::Received;

    pub(super) struct Source {
        terminate: Signal,
        interrupt: Signal,
        /// `None` under `nohup`, because a handler would override the inherited "ignore" disposition.
        hangup: Option<Signal>,
        /// Never read: with a handler, a write beyond the limit of a file's size fails like one on a full disk, instead
        /// of ending the process.
        _file_size: Signal,
    }

    impl Source {
        pub(super) fn install() -> std::io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup: if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) },
                _file_size: signal(SignalKind::from_raw(nix::libc::SIGXFSZ))?,
            })
        }

        pub(super) async fn next(&mut self) -> Received {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.terminate.recv() => Received { name: "SIGTERM", code: 143 },
                _ = self.interrupt.recv() => Received { name: "SIGINT", code: 130 },
                _ = hangup => Received { name: "SIGHUP", code: 129 },
            }
        }
    }

    /// Returns `true` if SIGHUP is ignored. Querying the disposition itself requires unsafe code, so this reads
    /// `/proc`; systems other than Linux return `false`.
    fn hangup_is_ignored() -> bool {
        let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        // Signal 1 is bit 0.
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
    }
}

#[cfg(windows)]
mod source {
    use tokio::signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
    };

    use super::Received;

    pub(super) struct Source {
        c: CtrlC,
        brk: CtrlBreak,
        close: CtrlClose,
        system: CtrlShutdown,
    }

    impl Source {
        pub(super) fn install() -> std::io::Result<Self> {
            Ok(Self { c: ctrl_c()?, brk: ctrl_break()?, close: ctrl_close()?, system: ctrl_shutdown()? })
        }

        pub(super) async fn next(&mut self) -> Received {
            // 130 is the code shells report for an interrupt; Windows has no convention.
            let code = 130;
            tokio::select! {
                _ = self.c.recv() => Received { name: "Ctrl-C", code },
                _ = self.brk.recv() => Received { name: "Ctrl-Break", code },
                _ = self.close.recv() => Received { name: "console closed", code },
                _ = self.system.recv() => Received { name: "system shutdown", code },
            }
        }
    }
}
