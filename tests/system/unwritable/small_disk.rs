//! A small file system that a test can fill.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

/// A small tmpfs, unmounted when dropped.
pub(crate) struct SmallDisk {
    at: PathBuf,
}

// === impl SmallDisk ===

impl SmallDisk {
    /// Mounts a file system of 1 MiB.
    pub(crate) fn mount(at: &Path) -> Option<Self> {
        Self::mount_sized(at, "1m")
    }

    /// Mounts a file system. Requires root: otherwise the test is skipped, or fails if `CI` is set.
    #[expect(clippy::print_stderr, reason = "a skipped test should be visible")]
    pub(crate) fn mount_sized(at: &Path, size: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "this test must run as root in CI");
            eprintln!("SKIPPED: only root can mount a small disk");
            return None;
        }
        fs::create_dir_all(at).unwrap();
        let size = format!("size={size}");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status().unwrap();
        assert!(status.success(), "mount: {status}");
        Some(Self { at: at.to_owned() })
    }

    /// Fills the file system completely.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        // Large writes first, then pages until not one more fits.
        for piece in [vec![7; 1 << 20], vec![7; 4096]] {
            let error = loop {
                if let Err(error) = ballast.write_all(&piece) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        }
    }

    /// Frees the space again.
    pub(crate) fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A lazy unmount detaches the file system at once; it is released when its last file is closed.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.at).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
