//! A file system that is full soon.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

/// A small tmpfs. Dropping it unmounts it.
pub(crate) struct SmallDisk {
    at: PathBuf,
}

// === impl SmallDisk ===

impl SmallDisk {
    /// Mounts one of 1 MiB.
    pub(crate) fn mount(at: &Path) -> Option<Self> {
        Self::mount_sized(at, "1m")
    }

    /// Mounts one. Only root can: for others the test is skipped, which `CI` does not allow.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub(crate) fn mount_sized(at: &Path, size: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "this test has to run as root in CI");
            eprintln!("SKIPPED: only root can mount a small disk");
            return None;
        }
        fs::create_dir_all(at).unwrap();
        let size = format!("size={size}");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status().unwrap();
        assert!(status.success(), "mount: {status}");
        Some(Self { at: at.to_owned() })
    }

    /// Leaves no room at all.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        loop {
            match ballast.write_all(&[7; 4096]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // At once for everybody who looks for it, and in fact when the last file in it is closed.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.at).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
