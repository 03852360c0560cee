//! Who runs where.

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// The two cores of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// Of the load generator and the upstream.
    pub load: usize,
    /// Of whoever is measured, alone.
    pub target: usize,
}

// === impl Cores ===

impl Cores {
    /// The first two cores this process may use; `None` if there is only one.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub fn choose() -> nix::Result<Option<Self>> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut usable = (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
        Ok(usable.next().zip(usable.next()).map(|(load, target)| Self { load, target }))
    }
}

/// Does `act`, with everything that it starts bound to `core`.
///
/// # Errors
/// When the operating system refuses.
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
    fn a_core_is_left_again() {
        let Some(cores) = Cores::choose().unwrap() else { return };
        let this_thread = Pid::from_raw(0);
        let before = sched_getaffinity(this_thread).unwrap();
        let inside = on_core(Some(cores.target), || sched_getaffinity(this_thread).unwrap()).unwrap();
        let bound: Vec<usize> = (0..CpuSet::count()).filter(|&core| inside.is_set(core).unwrap()).collect();
        assert_eq!(bound, [cores.target]);
        assert_eq!(sched_getaffinity(this_thread).unwrap(), before);
    }
}
