//! Checks of the configuration file, the data directory and the database.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use signalbox_daemon::{config::Common, variable};
use signalbox_store::{Error, Store};
use tokio::time::timeout;

use super::{CHECK_TIMEOUT, Check};
use crate::config::Config;

/// Name of the file of the key that encrypts secrets, and of the variable that replaces it.
const KEY_FILE: &str = "secret.key";
const KEY_VARIABLE: &str = "SIGNALBOX_KEY";
/// Free space below which the request log will soon be incomplete, and below which it already may be.
const SPACE_WARN: u64 = 2 << 30;
const SPACE_FAIL: u64 = 128 << 20;

/// Checks constraints of the configuration that are only noticed when the router starts.
pub(super) fn configuration(config: &Config, common: &Common) -> Vec<Check> {
    const LINK: &str = "docs/configuration.md#provider-router";
    let outcome = |id: &str, checked: Result<String, String>, remedy: &str| match checked {
        Ok(finding) => Check::ok(id, finding).link(LINK),
        Err(reason) => Check::fail(id, reason).remedy(remedy).link(LINK),
    };
    let limits = config.limits.check().map(|()| "the limits can be used".to_owned());
    let client = config.upstream.client(Vec::new());
    let client = client.map_err(|error| error.to_string()).and_then(|settings| {
        let made = signalbox_upstream::Client::new(&settings).map_err(|error| error.to_string());
        made.map(|_| "proxies and certificate files can be used".to_owned())
    });
    let keys = config.private_keys.all_keys(&common.auth).map(|_| match common.auth.client_keys.len() {
        0 => "no client key is configured in the file or the environment".to_owned(),
        keys => format!("{keys} client keys are configured"),
    });
    vec![
        outcome("config.limits", limits.map_err(|exit| exit.to_string()), "change limits.max_body"),
        outcome("config.connections", client, "correct the proxy variables or upstream.ca_file"),
        outcome("config.keys", keys.map_err(|exit| exit.to_string()), "correct the section [private_keys]"),
    ]
}

/// Checks that the directory can be written, has space left, and has the key that decrypts secrets.
pub(super) async fn data_directory(data_dir: &Path) -> Vec<Check> {
    const LINK: &str = "docs/operations.md#the-data-directory";
    let path = data_dir.to_owned();
    let checked = tokio::task::spawn_blocking(move || vec![writable(&path), space(&path), key(&path)]);
    match timeout(CHECK_TIMEOUT, checked).await {
        Ok(Ok(checks)) => checks.into_iter().map(|check| check.link(LINK)).collect(),
        _ => {
            let finding = format!("{} has not answered within {} s", data_dir.display(), CHECK_TIMEOUT.as_secs());
            vec![Check::fail("data.directory", finding).remedy("check the file system, or use another --data-dir")]
        }
    }
}

fn writable(data_dir: &Path) -> Check {
    let path = data_dir.join(format!(".doctor-{}", uuid::Uuid::now_v7()));
    let written =
        std::fs::File::create_new(&path).and_then(|mut file| file.write_all(b"doctor").and_then(|()| file.sync_all()));
    let removed = std::fs::remove_file(&path);
    match written.and(removed) {
        Ok(()) => Check::ok("data.directory", format!("{} can be written", data_dir.display())),
        Err(error) => Check::fail("data.directory", format!("{} cannot be written: {error}", data_dir.display()))
            .remedy("give the user of the router write access, or use another --data-dir"),
    }
}

#[cfg(unix)]
fn free(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

fn space(data_dir: &Path) -> Check {
    judged_space(free(data_dir))
}

fn judged_space(free: Option<u64>) -> Check {
    const REMEDY: &str = "free space, or lower retention.max_body_bytes and journal.max_bytes";
    let Some(free) = free else {
        return Check::skipped("data.space", "the free space cannot be read on this operating system");
    };
    let finding = format!("{} MiB are free", free >> 20);
    match free {
        0..SPACE_FAIL => Check::fail("data.space", finding).remedy(REMEDY),
        SPACE_FAIL..SPACE_WARN => Check::warn("data.space", finding).remedy(REMEDY),
        SPACE_WARN.. => Check::ok("data.space", finding),
    }
}

fn key(data_dir: &Path) -> Check {
    if variable(KEY_VARIABLE).is_some() {
        return Check::ok("data.key", format!("the key for secrets is in {KEY_VARIABLE}"));
    }
    match std::fs::metadata(data_dir.join(KEY_FILE)) {
        Ok(_) => Check::ok("data.key", format!("the key for secrets is in {KEY_FILE}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::warn("data.key", format!("there is no {KEY_FILE} yet; the first start creates it")).remedy(format!(
                "if the database has secrets already, restore {KEY_FILE} from the backup or set {KEY_VARIABLE}"
            ))
        }
        Err(error) => Check::fail("data.key", format!("{KEY_FILE} cannot be read: {error}"))
            .remedy("give the user of the router read access to it"),
    }
}

/// Checks the database. Returns also whether it can be opened without changing it.
pub(super) async fn database(common: &Common) -> (Vec<Check>, bool) {
    let url = common.database.url.expose();
    let has_key = variable(KEY_VARIABLE).is_some() || PathBuf::from(&common.data_dir).join(KEY_FILE).exists();
    let version = timeout(CHECK_TIMEOUT, Store::schema_version(url)).await;
    let version = version.unwrap_or_else(|_elapsed| {
        Err(Error::Invalid(format!("the database has not answered within {} s", CHECK_TIMEOUT.as_secs())))
    });
    let (check, is_usable) = match version {
        Err(error) => {
            let check = Check::fail("database.version", error.to_string())
                .remedy("check --database-url or --db-path, and that the database server runs");
            (check, false)
        }
        Ok(version) => judged_version(version.applied, version.known),
    };
    let check = check.link("docs/operations.md#upgrades");
    if is_usable && !has_key {
        let lost = Check::fail("database.secrets", "the key that decrypts the secrets in the database is missing")
            .remedy(format!("restore {KEY_FILE} from the backup, or set {KEY_VARIABLE}"))
            .link("docs/security.md#secrets");
        return (vec![check, lost], false);
    }
    (vec![check], is_usable)
}

fn judged_version(applied: Option<i64>, known: i64) -> (Check, bool) {
    let Some(applied) = applied else {
        let check = Check::warn("database.version", "there is no database of this program yet")
            .remedy("start the router once, which creates it, or check --data-dir and --database-url");
        return (check, false);
    };
    match applied.cmp(&known) {
        std::cmp::Ordering::Equal => {
            (Check::ok("database.version", format!("the database has version {applied}, that of this program")), true)
        }
        std::cmp::Ordering::Less => {
            let finding = format!("the database has version {applied}; the start of the router upgrades it to {known}");
            (Check::warn("database.version", finding).remedy("make a backup, and start the router"), false)
        }
        std::cmp::Ordering::Greater => {
            let finding = format!("the database has version {applied}, this program supports up to {known}");
            (Check::fail("database.version", finding).remedy("use a newer version of the program"), false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[tokio::test]
    async fn a_directory_is_written_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let checks = data_directory(dir.path()).await;
        assert_eq!(
            checks.iter().map(|check| &*check.id).collect::<Vec<_>>(),
            ["data.directory", "data.space", "data.key"]
        );
        assert_eq!((checks[0].state, checks[2].state), (State::Ok, State::Warn), "{checks:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let gone = data_directory(&dir.path().join("none")).await;
        assert_eq!(gone[0].state, State::Fail);
        assert!(gone[0].finding.contains("none") && gone[0].remedy.is_some(), "{gone:?}");
    }

    #[test]
    fn space_and_version_are_judged() {
        for (free, state) in [
            (None, State::Skipped),
            (Some(1 << 20), State::Fail),
            (Some(SPACE_FAIL), State::Warn),
            (Some(SPACE_WARN), State::Ok),
        ] {
            assert_eq!(judged_space(free).state, state, "{free:?}");
        }
        for (applied, state, is_usable) in [
            (None, State::Warn, false),
            (Some(3), State::Warn, false),
            (Some(4), State::Ok, true),
            (Some(5), State::Fail, false),
        ] {
            let (check, usable) = judged_version(applied, 4);
            assert_eq!((check.state, usable), (state, is_usable), "{applied:?}");
            assert_eq!(check.remedy.is_none(), check.state == State::Ok);
        }
    }
}
