//! The status line: the first line on stdout, for the user or the supervisor.

use std::io::Write;

use serde::Serialize;

use crate::context::Context;

#[derive(Serialize)]
struct Listening<'a> {
    event: &'static str,
    service: &'a str,
    instance: &'a str,
    addr: String,
    port: u16,
    pid: u32,
    version: &'a str,
}

/// Returns the line without its newline: `announce` itself, or one JSON object when supervised.
fn line(context: &Context, announce: &str) -> String {
    if !context.supervised {
        return announce.to_owned();
    }
    let addr = context.listener.local_addr();
    let listening = Listening {
        event: "listening",
        service: context.service,
        instance: &context.instance,
        addr: addr.to_string(),
        port: addr.port(),
        pid: std::process::id(),
        version: context.version,
    };
    serde_json::to_string(&listening).unwrap_or_default()
}

/// Tells the service manager that the process is draining.
pub(crate) fn draining() {
    service_manager::stopping();
}

/// Announces that the process accepts connections. Unlike `println!`, this does not panic when stdout is closed.
pub(crate) fn announce(context: &Context, announce: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", line(context, announce)).and_then(|()| stdout.flush());
    if let Err(error) = written {
        tracing::warn!(%error, "cannot write the status line");
    }
    tracing::info!(addr = %context.listener.local_addr(), instance = context.instance, "listening");
    service_manager::ready();
}

/// Notifications to systemd, if it started this process as `Type=notify`. A supervised process has no use for them.
#[cfg(unix)]
mod service_manager {
    use sd_notify::NotifyState;

    pub(super) fn ready() {
        notify(NotifyState::Ready);
    }

    pub(super) fn stopping() {
        notify(NotifyState::Stopping);
    }

    fn notify(state: NotifyState<'_>) {
        if let Err(error) = sd_notify::notify(&[state]) {
            tracing::warn!(%error, "cannot reach the service manager");
        }
    }
}

/// No-ops for platforms without systemd.
#[cfg(not(unix))]
mod service_manager {
    pub(super) const fn ready() {}

    pub(super) const fn stopping() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_status_is_json_for_a_supervisor_and_text_for_a_terminal() {
        let dir = tempfile::tempdir().unwrap();
        let mut context = Context::detached(dir.path().to_owned()).await.unwrap();
        assert_eq!(line(&context, "Server listening on port 1"), "Server listening on port 1");

        context.supervised = true;
        let status: serde_json::Value = serde_json::from_str(&line(&context, "ignored")).unwrap();
        let addr = context.listener.local_addr();
        assert_eq!(status["event"], "listening");
        assert_eq!(status["addr"], addr.to_string());
        assert_eq!(status["port"], addr.port());
        assert_eq!(status["pid"], std::process::id());
        assert_eq!(status["instance"], context.instance);
        assert_eq!(status["service"], context.service);
        assert_eq!(status["version"], context.version);
    }
}
