//! Publishes the state of the actor: the snapshot, the causes of failures, the answers to commands.

use std::sync::Arc;

use super::super::state::{Event, State, Then};
use super::super::{Cause, Exit, Fault, Phase, Snapshot, Spec, Unmet};
use super::tickets::Goal;
use super::{Actor, Run};

// === impl Actor ===

impl Actor {
    /// Records the fault of a run when the state table detects it.
    pub(super) fn note_fault(&mut self, before: State, event: Event) {
        let leaving =
            matches!(self.machine.state(), State::Stopping { then: Then::Fail { .. }, .. } | State::Starting { .. });
        let fault = match (before, event) {
            (State::Starting { .. }, Event::Exited { .. }) => Fault::ExitedEarly,
            (State::Starting { .. }, Event::Tick) => Fault::NeverReady,
            (State::Running { .. }, Event::Exited { .. })
                if self.run.as_ref().and_then(Run::exit) == Some(Exit::Code(0)) =>
            {
                Fault::Left
            }
            (State::Running { .. }, Event::Exited { .. }) => Fault::Crashed,
            (State::Running { .. }, Event::Missed) => Fault::Unhealthy,
            _ => return,
        };
        if leaving {
            self.fault = Some(fault);
        }
    }

    /// Returns the cause of the failure of the run that has ended.
    pub(super) async fn post_mortem(&mut self) -> Option<Cause> {
        let fault = self.fault.take().unwrap_or(Fault::Crashed);
        let (run, spec) = (self.run.as_ref()?, self.spec.clone()?);
        Some(self.cause_of(fault, run, &spec).await)
    }

    pub(super) fn cause_of<'a>(
        &self,
        fault: Fault,
        run: &'a Run,
        spec: &Spec,
    ) -> impl Future<Output = Cause> + Send + use<'a> {
        let exit = run.exit();
        let end = exit.unwrap_or(Exit::Unknown);
        let name = self.name;
        let message = match (&fault, end) {
            (Fault::NeverReady, _) => {
                format!("Startup timeout ({}s): {}", self.limits.startup.as_secs(), run.not_ready())
            }
            (Fault::Unhealthy, _) => {
                format!("{name} failed {} health checks: {}", self.limits.probe_failures, run.not_ready())
            }
            (_, Exit::Code(98)) => match spec.listen.port {
                0 => format!("{name} failed to start because its port is in use"),
                port => format!("Port {port} is already in use"),
            },
            (Fault::Left, _) => {
                format!("{name} exited normally (exit code 0) without a request of api-server")
            }
            (Fault::Crashed, _) => format!("{name} {end} unexpectedly"),
            _ => format!("{name} {end} before it was ready"),
        };
        let tail = run.tail();
        async move { Cause { fault, message, exit, tail: tail.await } }
    }

    pub(super) fn stuck(&self) -> Cause {
        let pid = self.run.as_ref().map_or(0, Run::pid);
        let message =
            format!("{}: process group {pid} is still running after SIGKILL; no new process is started", self.name);
        Cause::new(Fault::Stuck, message)
    }

    pub(super) fn heavy(&self) -> Cause {
        let limit = self.spec.as_ref().and_then(|spec| spec.resources.memory).unwrap_or_default() / (1024 * 1024);
        let patience = self.limits.memory_patience.as_secs();
        let message =
            format!("{} has used more than {limit} MiB of memory for {patience} s and is being replaced", self.name);
        Cause::new(Fault::Memory, message)
    }

    /// Publishes the snapshot and answers the tickets that are settled.
    pub(super) fn report(&mut self, cause: Option<Cause>) {
        let cause = cause.map(Arc::new);
        match &cause {
            // The exit was requested from outside; the last lines of the child's log show how.
            Some(cause) if cause.fault == Fault::Left => tracing::warn!(child = self.name, "{}", cause.message),
            Some(cause) => tracing::error!(child = self.name, "{cause}"),
            None => {}
        }
        self.publish(cause.clone());
        self.answer(cause);
    }

    fn publish(&self, cause: Option<Arc<Cause>>) {
        let state = self.machine.state();
        // The phase is published only after the failed group has been proven empty.
        let Some(phase) = state.phase() else { return };
        let name = self.name;
        self.publish.send_if_modified(|snapshot| {
            let run = self.run.as_ref();
            let serving = phase == Phase::Running;
            // The last cause stays visible until the child is stopped or started by a command.
            let forget = phase == Phase::Stopped || (phase == Phase::Starting && self.restarts == 0);
            let addr = if serving { self.port.as_ref().map(|port| port.addr()) } else { None };
            let new = Snapshot {
                seq: snapshot.seq,
                state: phase,
                healthy: state.is_healthy() && run.is_none_or(Run::serves_clients),
                handing_over: state.is_handing_over(),
                pid: run.map(Run::pid),
                addr: if serving { run.and_then(Run::addr).or(addr) } else { None },
                own_addr: if serving { run.and_then(Run::probe_addr) } else { None },
                since: run.map(Run::since),
                generation: self.generation,
                restarts: self.restarts,
                failures: self.machine.failures(),
                retry_at: state.retry_at(),
                cause: cause.or_else(|| snapshot.cause.take().filter(|_| !forget)),
                forced: matches!(state, State::Stopped { forced: true }),
                adopted: run.is_some_and(Run::is_adopted),
            };
            if new == *snapshot {
                return false;
            }
            if serving && snapshot.healthy && run.is_some_and(|run| !run.serves_clients()) {
                tracing::warn!(child = name, "all connections are in use, new clients have to wait");
            }
            if (new.state, new.generation) != (snapshot.state, snapshot.generation) {
                tracing::info!(
                    child = name,
                    pid = new.pid,
                    addr = new.addr.map(tracing::field::display),
                    generation = new.generation,
                    forced = new.forced,
                    "{}",
                    phase.as_str()
                );
            }
            *snapshot = Snapshot { seq: snapshot.seq + 1, ..new };
            true
        });
    }

    /// Answers the tickets whose outcome is known. `cause` is the failure that has just happened.
    fn answer(&mut self, cause: Option<Arc<Cause>>) {
        let failed = |cause: Option<Arc<Cause>>| cause.map_or(Err(Unmet::Closed), |cause| Err(Unmet::Failed(cause)));
        let known = || self.publish.borrow().cause.clone();
        match self.machine.state() {
            State::Starting { .. } | State::Stopping { .. } => {}
            State::Running { handover: Some(_), .. } => self.tickets.answer(|goal| goal == Goal::Up, &Ok(())),
            // The old generation keeps serving, which does not fulfil a restart.
            State::Running { handover: None, .. } => {
                if cause.is_some() {
                    self.tickets.answer(|goal| goal == Goal::Replaced, &failed(cause));
                }
                self.tickets.answer(|_| true, &Ok(()));
            }
            State::Stopped { .. } => self.tickets.answer(|_| true, &Ok(())),
            // A retry may follow, but the caller should learn of the failure now.
            State::Backoff { .. } | State::Stuck { .. } | State::Failed => {
                let outcome = failed(known());
                self.tickets.answer(|_| true, &outcome);
            }
        }
    }
}
