//! References to secrets stored elsewhere: `${env:NAME}` and `${file:PATH}`, alone or within a text.

use std::fmt::Write as _;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

use signalbox_daemon::{CONTROL_TOKEN_FILE, SEALING_KEY_FILE};

/// Maximum bytes read from a secret's file.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Variables with secrets of this installation itself, in addition to all names that start with `SIGNALBOX_`.
const OWN_VARIABLES: [&str; 7] =
    ["API_TOKEN", "CLIENT_KEYS", "API_CLIENT_KEYS", "DATABASE_URL", "API_DATABASE_URL", "QWEN_TOKEN", "QWEN_COOKIES"];

/// Files with secrets of this installation itself: the control token and the sealing key.
const OWN_SECRET_FILES: [&str; 2] = [CONTROL_TOKEN_FILE, SEALING_KEY_FILE];

/// Permitted targets of references.
#[derive(Clone, Debug)]
pub enum References {
    /// Everything the process of the user can read, except secrets of the installation in this data directory, because
    /// the values are sent to a provider.
    Own(PathBuf),
    /// Files in the directory `secrets` of this data directory, and no variables, because clients must not read the
    /// environment of a server.
    Server(PathBuf),
}

// === impl References ===

impl References {
    /// Returns the text with its references replaced, and whether there were any.
    pub(super) fn resolve(&self, text: &str) -> Result<(String, bool), String> {
        let (mut resolved, mut rest, mut any) = (String::with_capacity(text.len()), text, false);
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                // Writing to a string cannot fail.
                let _ = write!(resolved, "{before}${{");
                rest = &from[2..];
                continue;
            }
            resolved.push_str(before);
            let (reference, after) =
                from[2..].split_once('}').ok_or("a reference is not closed; write $${ for a literal ${")?;
            resolved.push_str(&self.look_up(reference)?);
            (rest, any) = (after, true);
        }
        resolved.push_str(rest);
        Ok((resolved, any))
    }

    fn look_up(&self, reference: &str) -> Result<String, String> {
        match reference.split_once(':') {
            Some(("env", name)) => self.variable(name),
            Some(("file", path)) => self.file(Path::new(path)),
            _ => Err("a reference must be ${env:NAME} or ${file:PATH}; write $${ for a literal ${".to_owned()),
        }
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        if matches!(self, Self::Server(_)) {
            return Err(
                "environment variables cannot be referenced over HTTP; use ${file:NAME} or `api-server config apply`"
                    .to_owned(),
            );
        }
        if OWN_VARIABLES.contains(&name) || name.starts_with("SIGNALBOX_") {
            return Err(format!(
                "the variable {name} is a secret of this installation and must not be sent to providers"
            ));
        }
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("the variable {name} is not set"))
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let cannot = |error: &io::Error| format!("cannot read the file {}: {error}", path.display());
        let (data_dir, found) = match self {
            // Resolve symbolic links, so that they cannot bypass the check of names.
            Self::Own(data_dir) => (data_dir, path.canonicalize().map_err(|error| cannot(&error))?),
            Self::Server(data_dir) => {
                let directory = data_dir.join("secrets");
                let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
                let outside = || format!("file paths must be relative to {} and inside it", directory.display());
                if !plain {
                    return Err(outside());
                }
                // Resolve symbolic links, which could lead out of the directory.
                let directory = directory.canonicalize().map_err(|error| cannot(&error))?;
                let found = directory.join(path).canonicalize().map_err(|error| cannot(&error))?;
                if !found.starts_with(&directory) {
                    return Err(outside());
                }
                (data_dir, found)
            }
        };
        let (file, metadata) = open(&found).map_err(|error| cannot(&error))?;
        if is_own_secret(&found, &metadata, data_dir) {
            let shown = path.display();
            return Err(format!("the file {shown} is a secret of this installation and must not be sent to providers"));
        }
        let mut text = String::new();
        // One byte more shows that there are too many.
        let read = file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text).map_err(|error| cannot(&error))?;
        if read as u64 > MAX_SECRET_BYTES {
            return Err(format!("the file {} has more than {MAX_SECRET_BYTES} bytes", path.display()));
        }
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(format!("the file {} is empty", path.display())) } else { Ok(text.to_owned()) }
    }
}

/// Opens a regular file. A pipe or a device would have to be waited for, or never ends.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let regular = |metadata: Metadata| {
        let refused = || io::Error::new(ErrorKind::InvalidInput, "it is not a regular file");
        if metadata.is_file() { Ok(metadata) } else { Err(refused()) }
    };
    // Before it is opened, because that waits for the other end of a pipe.
    regular(fs::metadata(path)?)?;
    let file = File::open(path)?;
    let metadata = regular(file.metadata()?)?;
    Ok((file, metadata))
}

/// Returns whether a file is a secret of the installation, by its name or as the same file under another name.
fn is_own_secret(path: &Path, metadata: &Metadata, data_dir: &Path) -> bool {
    OWN_SECRET_FILES.iter().any(|own| {
        path.file_name().is_some_and(|name| name == *own)
            || fs::metadata(data_dir.join(own)).is_ok_and(|own| is_same(&own, metadata))
    })
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    false
}

/// Escapes a plain text, so that no part of it is read as a reference.
pub(super) fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own() -> References {
        References::Own(PathBuf::from("/nonexistent"))
    }

    #[test]
    fn references_are_replaced_in_place() {
        let path = std::env::var("PATH").unwrap();
        let own = |text: &str| own().resolve(text);
        assert_eq!(own("plain").unwrap(), ("plain".to_owned(), false));
        assert_eq!(own("Bearer ${env:PATH}!").unwrap(), (format!("Bearer {path}!"), true));
        assert_eq!(own("$${env:PATH} $$ }").unwrap(), ("${env:PATH} $$ }".to_owned(), false));
        for (text, told) in [
            ("${env:PATH", "not closed"),
            ("${PATH}", "${env:NAME}"),
            ("${env:NOT_SET_ANYWHERE}", "not set"),
            ("${file:/nonexistent}", "/nonexistent"),
        ] {
            assert!(own(text).unwrap_err().contains(told), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn over_http_only_files_of_the_secrets_directory_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = directory.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        fs::write(secrets.join("key"), "s3cret\n").unwrap();
        fs::write(directory.path().join("private"), "canary").unwrap();
        std::os::unix::fs::symlink("../private", secrets.join("link")).unwrap();
        let server = References::Server(directory.path().to_owned());
        assert_eq!(server.resolve("${file:key}").unwrap(), ("s3cret".to_owned(), true));
        for name in ["PATH", "API_TOKEN", "NOT_SET_ANYWHERE"] {
            let told = server.resolve(&format!("${{env:{name}}}")).unwrap_err();
            assert!(told.contains("over HTTP") && told.contains("${file:NAME}"), "{told}");
        }
        for text in [
            "${file:../private}",
            "${file:link}",
            "${file:/etc/passwd}",
            "${file:none}",
            "${env:SIGNALBOX_KEY}",
            "${env:CLIENT_KEYS}",
        ] {
            let error = server.resolve(text).unwrap_err();
            assert!(!error.contains("canary"), "{text}: {error}");
        }
        let private = directory.path().join("private");
        assert_eq!(own().resolve(&format!("${{file:{}}}", private.display())).unwrap().0, "canary");
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = directory.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        nix::unistd::mkfifo(&secrets.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::create_dir(secrets.join("directory")).unwrap();
        fs::write(secrets.join("most"), "x".repeat(64 * 1024)).unwrap();
        fs::write(secrets.join("more"), "x".repeat(64 * 1024 + 1)).unwrap();
        let server = References::Server(directory.path().to_owned());
        assert_eq!(server.resolve("${file:most}").unwrap().0.len(), 64 * 1024);
        for (name, told) in
            [("pipe", "not a regular file"), ("directory", "not a regular file"), ("more", "more than 65536 bytes")]
        {
            for (references, name) in [(&server, name.to_owned()), (&own(), secrets.join(name).display().to_string())] {
                let error = references.resolve(&format!("${{file:{name}}}")).unwrap_err();
                assert!(error.contains(told), "{name}: {error}");
            }
        }
        assert!(own().resolve("${file:/dev/null}").unwrap_err().contains("not a regular file"));
    }

    #[cfg(unix)]
    #[test]
    fn own_secrets_cannot_be_referenced() {
        let directory = tempfile::tempdir().unwrap();
        for name in OWN_SECRET_FILES {
            fs::write(directory.path().join(name), "canary").unwrap();
        }
        std::os::unix::fs::symlink(CONTROL_TOKEN_FILE, directory.path().join("innocent")).unwrap();
        fs::create_dir(directory.path().join("secrets")).unwrap();
        fs::hard_link(directory.path().join(SEALING_KEY_FILE), directory.path().join("secrets/harmless")).unwrap();
        let data_dir = || directory.path().to_owned();
        let file = |name: &str| {
            References::Own(data_dir()).resolve(&format!("${{file:{}}}", directory.path().join(name).display()))
        };
        for name in [CONTROL_TOKEN_FILE, SEALING_KEY_FILE, "innocent", "secrets/harmless"] {
            assert!(file(name).unwrap_err().contains("secret of this installation"), "{name}");
        }
        let linked = References::Server(data_dir()).resolve("${file:harmless}").unwrap_err();
        assert!(linked.contains("secret of this installation"), "{linked}");
        for name in ["API_TOKEN", "SIGNALBOX_KEY", "SIGNALBOX_TOKEN", "CLIENT_KEYS", "DATABASE_URL"] {
            let told = own().resolve(&format!("${{env:{name}}}")).unwrap_err();
            assert!(told.contains("secret of this installation"), "{name}: {told}");
        }
    }

    proptest! {
        #[test]
        fn escaped_references_are_literal(text in "[a-z${}:]{0,24}") {
            prop_assert_eq!(own().resolve(&escaped(&text)), Ok((text, false)));
        }
    }
}
