//! The directory of the program's files.

use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::exit::Exit;

/// Returns the directory of the program below the platform's directory for user data.
pub(super) fn of_platform(env: &Environment) -> Result<PathBuf, Exit> {
    let home = |below: &str| Ok::<_, Exit>(env.get("HOME")?.map(|home| Path::new(home).join(below)));
    let base = if cfg!(windows) {
        env.get("LOCALAPPDATA")?.map(PathBuf::from)
    } else if cfg!(target_os = "macos") {
        home("Library/Application Support")?
    } else {
        // According to the XDG specification, a relative path is invalid and must be ignored.
        match env.get("XDG_DATA_HOME")?.map(PathBuf::from).filter(|path| path.is_absolute()) {
            Some(path) => Some(path),
            None => home(".local/share")?,
        }
    };
    base.map(|base| base.join("signalbox")).ok_or_else(|| {
        Exit::Config("the home directory is unknown: set a data directory with --data-dir or DATA_DIR".to_owned())
    })
}

/// Creates the directory with access for its owner only, and verifies that files can be written in it.
pub(crate) fn prepare(dir: &Path) -> Result<(), Exit> {
    let refused =
        |error: std::io::Error| Exit::CannotOpen(format!("cannot use the data directory {}: {error}", dir.display()));
    signalbox_private_files::create_dir(dir).map_err(refused)?;
    // Permission bits are not sufficient: the file system may be read-only or full.
    let probe = dir.join(format!(".writable-{}", std::process::id()));
    let written = signalbox_private_files::options().write(true).create(true).truncate(true).open(&probe);
    written.and_then(|_| std::fs::remove_file(&probe)).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn follows_the_xdg_specification() {
        let of = |env: Environment| of_platform(&env);
        assert_eq!(of(Environment::from([("XDG_DATA_HOME", "/x"), ("HOME", "/h")])), Ok("/x/signalbox".into()));
        assert_eq!(
            of(Environment::from([("XDG_DATA_HOME", "x"), ("HOME", "/h")])),
            Ok("/h/.local/share/signalbox".into())
        );
        assert_eq!(of(Environment::empty()).unwrap_err().code(), 78);
    }

    #[cfg(unix)]
    #[test]
    fn is_created_with_access_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a/b");
        prepare(&dir).unwrap();
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "the probe file is removed");
        prepare(&dir).unwrap();
    }

    #[test]
    fn an_unusable_directory_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let dir = file.path().join("data");
        let exit = prepare(&dir).unwrap_err();
        assert_eq!(exit.code(), 73);
        assert!(exit.to_string().contains(dir.to_str().unwrap()), "{exit}");
    }
}
