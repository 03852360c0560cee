//! Ensures that the required ports are free before the server is started.

use anyhow::bail;

use crate::cli::installation::Installation;
use crate::cli::kill_port::end_holder;
use crate::cli::output::Output;
use crate::cli::ports::{self, State};
use crate::cli::{end_process, orphans};

// Plain comment, because clap would print a doc comment. Flatten this into the arguments of a command.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Force {
    /// Clear the ports first: end services left behind by a server that was killed, and the process named with
    /// --expect-pid
    #[arg(long)]
    force: bool,
    /// Other process that may be ended if it holds one of the ports
    #[arg(long, value_name = "PID", requires = "force")]
    expect_pid: Option<u32>,
}

/// Ensures that the ports are free, or held by our own services, which the new server will adopt.
pub(super) async fn clear(installation: &Installation, force: &Force, out: &mut Output) -> anyhow::Result<()> {
    let host = &installation.common.server.host;
    let orphans = orphans::of(&installation.common.data_dir);
    for orphan in orphans.iter().filter(|_| force.force) {
        out.line(format!("Found {} (PID: {}) without a server", orphan.name, orphan.identity.pid));
        end_process::end_process(&orphan.identity, installation.common.server.drain_timeout.get(), out).await?;
    }
    for (service, port) in installation.ports().into_iter().filter(|(_, port)| *port != 0) {
        match ports::state(host, port)? {
            State::Available => {}
            State::Refused(why) => bail!("{service} cannot listen on {host}:{port}: {why}"),
            State::Held(Some(holder)) if orphans.iter().any(|orphan| orphan.identity.pid == holder.pid) => {}
            State::Held(Some(holder)) if force.force && force.expect_pid == Some(holder.pid) => {
                out.line(format!("Killing process {} ({}) on port {port}...", holder.pid, holder.name));
                end_holder(&holder, out).await?;
            }
            State::Held(Some(holder)) => bail!(
                "port {port} of {service} is in use by {holder}, which does not belong to Signalbox. Stop it, choose \
                 another port with `api-server config --{}port`, or kill it with `--force --expect-pid {}`",
                flag(service),
                holder.pid
            ),
            State::Held(None) => bail!(
                "port {port} of {service} is in use by a process of another user. Stop it, or choose another port with \
                 `api-server config --{}port`",
                flag(service)
            ),
        }
    }
    Ok(())
}

/// Returns the prefix of `port` in the flag for a service's port.
fn flag(service: &str) -> &'static str {
    match service {
        "provider-router" => "router-",
        "qwen-proxy" => "qwen-",
        _ => "",
    }
}
