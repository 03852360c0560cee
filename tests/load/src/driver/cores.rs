//! Assignment of processes to cores.

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// The two cores of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// Core of the load generator and the upstream.
    pub load: usize,
    /// Core reserved for the target being measured.
    pub target: usize,
}

// === impl Cores ===

impl Cores {
    /// Returns the first two cores that this process may use; `None` if there is only one.
    ///
    /// # Errors
    /// Fails if the operating system does not report the cores.
    pub fn choose() -> nix::Result<Option<Self>> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut usable = (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
        Ok(usable.next().zip(usable.next()).map(|(load, target)| Self { load, target }))
    }
}

/// Runs `act` with this thread, and everything it starts, bound to `core`.
///
/// # Errors
/// Fails if the operating system refuses.
pub fn on_core<T>(core: Option<usize>, act: impl FnOnce() -> T) -> nix::Result<T> {
    let Some(core) = core else { return Ok(act()) };
    let this_thread = Pid::from_raw(0);
    let before = sched_getaffinity(this_thread)?;
    let mut only = CpuSet::new();
    only.set(core)?;
    sched_setaffinity(this_thread, &only)?;
    let done = act();
    sched_setaffinity(this_thread, &before)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_pinning_is_undone() {
        let Some(cores) = Cores::choose().unwrap() else { return };
        let this_thread = Pid::from_raw(0);
        let before = sched_getaffinity(this_thread).unwrap();
        let inside = on_core(Some(cores.target), || sched_getaffinity(this_thread).unwrap()).unwrap();
        let bound: Vec<usize> = (0..CpuSet::count()).filter(|&core| inside.is_set(core).unwrap()).collect();
        assert_eq!(bound, [cores.target]);
        assert_eq!(sched_getaffinity(this_thread).unwrap(), before);
    }
}
