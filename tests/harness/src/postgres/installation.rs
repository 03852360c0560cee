//! The installed PostgreSQL, and a new cluster that serves as a template.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::unistd::{User, geteuid};
use tempfile::TempDir;

/// Debian's directory of PostgreSQL versions, which are not on the path.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The programs, and the user that runs them.
#[derive(Clone, Debug)]
pub(super) struct Installation {
    programs: PathBuf,
    /// User and group id of `postgres` if this process runs as root, as which PostgreSQL refuses to run.
    user: Option<(u32, u32)>,
}

// === impl Installation ===

impl Installation {
    /// Finds PostgreSQL; if it is missing and not required, prints a line and returns `None`.
    pub(super) fn find_or_skip() -> Option<Self> {
        let found = find_programs().zip(find_user());
        if let Some((programs, user)) = found {
            return Some(Self { programs, user });
        }
        let demanded = ["CI", "REQUIRE_PG"].iter().any(|name| std::env::var_os(name).is_some());
        assert!(!demanded, "PostgreSQL is not installed, or there is no user `postgres` to run it as root");
        #[expect(clippy::print_stderr, reason = "a skipped test should be seen")]
        {
            eprintln!("SKIPPED: no PostgreSQL on this machine (REQUIRE_PG=1 makes this a failure)");
        }
        None
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Builds a command that runs as the server's user: a PostgreSQL program, or else one on the path.
    pub(super) fn command(&self, name: &str) -> Command {
        let program = self.program(name);
        let mut command = Command::new(if program.is_file() { program } else { name.into() });
        // The current directory may not be accessible to that user.
        command.current_dir("/").env("LC_ALL", "C");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Creates a directory with a copy of the template in `data`, owned by the server's user.
    pub(super) async fn copy_template(&self) -> io::Result<TempDir> {
        let this = self.clone();
        let template = tokio::task::spawn_blocking(move || this.template()).await??;
        let directory = tempfile::Builder::new().prefix("signalbox-postgres-").tempdir()?;
        self.give(directory.path())?;
        let mut command = self.command("cp");
        command.arg("-R").arg(&template).arg(directory.path().join("data"));
        run(command).await?;
        Ok(directory)
    }

    /// Returns the directory of this user and version for files that are created once.
    pub(super) fn home(&self) -> io::Result<PathBuf> {
        let home = std::env::temp_dir().join(format!("signalbox-postgres-{}-{}", self.owner(), self.version()?));
        self.take(&home)?;
        Ok(home)
    }

    /// Returns the id of the user that runs the server.
    fn owner(&self) -> u32 {
        self.user.map_or_else(|| geteuid().as_raw(), |(uid, _)| uid)
    }

    /// Creates `directory` and makes the server's user its owner, unless that has been done.
    pub(super) fn take(&self, directory: &Path) -> io::Result<()> {
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        match fs::symlink_metadata(directory)?.uid() {
            uid if uid == self.owner() => Ok(()),
            // Just created, here or by a concurrent test that has not changed the owner yet.
            uid if uid == geteuid().as_raw() => self.give(directory),
            _ => Err(io::Error::other(format!("{} belongs to another user", directory.display()))),
        }
    }

    /// Returns the template cluster; the first caller creates it, under a lock.
    fn template(&self) -> io::Result<PathBuf> {
        let home = self.home()?;
        let lock = File::create(home.join("lock"))?;
        lock.lock()?;
        let (template, unfinished) = (home.join("template"), home.join("unfinished"));
        if !template.exists() {
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished)?;
            }
            let mut command = self.command("initdb");
            command.args(["--no-locale", "--encoding=UTF8", "--username=postgres", "--auth=trust", "--no-sync"]);
            // The write-ahead log is copied too, so small segments make small copies.
            command.arg("--wal-segsize=1").arg("-D").arg(&unfinished);
            succeed(command.output()?)?;
            fs::rename(&unfinished, &template)?;
        }
        Ok(template)
    }

    fn version(&self) -> io::Result<String> {
        let output = succeed(self.command("postgres").arg("--version").output()?)?;
        let version = String::from_utf8_lossy(&output.stdout);
        Ok(version
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(|c| *c == '.' || c.is_ascii_digit())
            .collect())
    }

    /// Makes a directory private to the server's user.
    fn give(&self, directory: &Path) -> io::Result<()> {
        fs::set_permissions(directory, Permissions::from_mode(0o700))?;
        match self.user {
            Some((uid, gid)) => chown(directory, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }
}

/// Runs a command to its end without blocking a worker thread.
pub(super) async fn run(mut command: Command) -> io::Result<Output> {
    tokio::task::spawn_blocking(move || succeed(command.output()?)).await?
}

fn succeed(output: Output) -> io::Result<Output> {
    if output.status.success() {
        return Ok(output);
    }
    Err(io::Error::other(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))))
}

/// Finds the newest version in Debian's directory, or else the programs on the path.
fn find_programs() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let numbered = versions.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse::<u32>().ok()?;
        Some((number, entry.path().join("bin")))
    });
    let newest = numbered.filter(|(_, programs)| is_complete(programs)).max();
    newest.map(|(_, programs)| programs).or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|programs| is_complete(programs))
    })
}

fn is_complete(programs: &Path) -> bool {
    ["initdb", "postgres", "createdb"].iter().all(|name| programs.join(name).is_file())
}

/// Returns `Some(None)` if the server can run as the current user, and `None` if there is no suitable user.
fn find_user() -> Option<Option<(u32, u32)>> {
    if !geteuid().is_root() {
        return Some(None);
    }
    let user = User::from_name("postgres").ok().flatten()?;
    Some(Some((user.uid.as_raw(), user.gid.as_raw())))
}
