//! Creates files and directories that only the current user can access.
//!
//! Users' prompts and the API keys of their providers must not be readable by other users of the machine. All files
//! with such data are created here: directories with mode 0700 and files with mode 0600, regardless of the umask. On
//! systems other than Unix, the access control list of the parent directory applies.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// Permission bits of all users but the owner.
#[cfg(unix)]
const OTHERS_MODE: u32 = 0o077;

/// Returns options whose `create` and `create_new` create a file with mode 0600.
#[must_use]
pub fn options() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates a directory and its missing parents with mode 0700; existing directories stay unchanged.
///
/// # Errors
/// Same as [`DirBuilder::create`].
pub fn create_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Like [`create_dir`], but also removes the permissions of other users from an existing directory.
///
/// # Errors
/// Same as [`create_dir`]; [`io::ErrorKind::PermissionDenied`] if the directory is accessible to other users and
/// belongs to another user.
pub fn own_dir(path: &Path) -> io::Result<()> {
    create_dir(path)?;
    restrict_access(path).map(drop)
}

/// Removes the permissions of other users; returns whether there were any. Follows symbolic links, so the caller must
/// know that the path is a file or directory of the current user.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`] if it belongs to another user.
pub fn restrict_access(path: &Path) -> io::Result<bool> {
    let metadata = std::fs::metadata(path)?;
    if !is_open_to_others(&metadata) {
        return Ok(false);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & !OTHERS_MODE & 0o7777;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(true)
}

/// Returns whether users other than the owner have any permission.
#[must_use]
pub fn is_open_to_others(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        metadata.permissions().mode() & OTHERS_MODE != 0
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

/// Opens a regular file with these options. Refuses symbolic links, directories, pipes, sockets and devices, and never
/// blocks.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if the path is not a regular file; otherwise same as [`OpenOptions::open`].
pub fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.cast_signed());
    }
    // Opening a link fails with ELOOP, a socket or a pipe without a reader with ENXIO: neither names the type of file.
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(not_regular(&metadata)),
        _ => {}
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok(file) } else { Err(not_regular(&metadata)) }
}

fn not_regular(metadata: &Metadata) -> io::Error {
    let kind = metadata.file_type();
    let what = match () {
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_dir() => "a directory",
        () => "neither a file nor a directory",
    };
    io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}; a regular file is required"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn created_files_are_private() {
        let directory = tempfile::tempdir().unwrap();
        let (dir, file) = (directory.path().join("a/b"), directory.path().join("a/b/file"));
        own_dir(&dir).unwrap();
        options().write(true).create_new(true).open(&file).unwrap();
        assert_eq!((mode(&dir), mode(dir.parent().unwrap()), mode(&file)), (0o700, 0o700, 0o600));
    }

    #[test]
    fn permissions_of_others_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        for (before, after) in [(0o777, 0o700), (0o755, 0o700), (0o1770, 0o1700), (0o500, 0o500)] {
            let dir = directory.path().join(format!("{before:o}"));
            std::fs::create_dir(&dir).unwrap();
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(before)).unwrap();
            assert_eq!(restrict_access(&dir).unwrap(), before != after);
            assert_eq!(mode(&dir), after);
            own_dir(&dir).unwrap();
            assert!(!restrict_access(&dir).unwrap());
        }
    }

    #[test]
    fn only_regular_files_are_opened() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        open_regular(OpenOptions::new().read(true), &at("file")).unwrap();
        for name in ["dir", "link", "dangling", "socket", "pipe"] {
            for create in [false, true] {
                let mut options = options();
                options.read(true).write(create).create(create);
                let error = open_regular(&mut options, &at(name)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}: {error}");
            }
        }
        assert!(!at("nowhere").exists());
        assert_eq!(
            open_regular(OpenOptions::new().read(true), &at("none")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
