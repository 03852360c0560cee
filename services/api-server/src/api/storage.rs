//! `/api/storage`: the space that the database, the journal and the logs take.

use std::io;
use std::path::Path;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use signalbox_store::Kind;
use utoipa::ToSchema;

use super::{App, Error};

/// Sizes in bytes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Storage {
    database: DatabaseSize,
    /// Requests that are not in the database yet, and files that are kept for the next ones.
    journal: DirectorySize,
    /// Text logs of the services.
    logs: DirectorySize,
    /// The file system of the data directory; null if the operating system does not tell.
    disk: Option<DiskSpace>,
}

#[derive(Debug, Serialize, ToSchema)]
struct DatabaseSize {
    /// `sqlite` or `postgres`.
    kind: &'static str,
    /// Its pages, without those that wait in the write-ahead log.
    bytes: i64,
}

#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
struct DirectorySize {
    bytes: u64,
    files: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct DiskSpace {
    /// Bytes that the services can still write.
    free_bytes: u64,
    total_bytes: u64,
}

/// Returns the space that the database, the journal and the logs take, and what is left.
#[utoipa::path(
    get, path = "/api/storage", tag = "storage",
    responses((status = 200, description = "The sizes", body = Storage)),
)]
pub(super) async fn storage(State(app): State<App>) -> Result<Json<Storage>, Error> {
    let kind = match app.store.kind() {
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgres",
    };
    let bytes = app.store.bytes().await?;
    let data_dir = app.logs.data_dir().to_owned();
    let measured = tokio::task::spawn_blocking(move || {
        let size = |name: &str| size_of(&data_dir.join(name));
        Ok::<_, io::Error>((size("journal")?, size("logs")?, disk_space(&data_dir)))
    });
    let measured = measured.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let (journal, logs, disk) = measured.map_err(|error| Error::Unmeasured(error.to_string()))?;
    Ok(Json(Storage { database: DatabaseSize { kind, bytes }, journal, logs, disk }))
}

/// Returns the size of all files below a directory; nothing if it does not exist.
fn size_of(directory: &Path) -> io::Result<DirectorySize> {
    let mut size = DirectorySize::default();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            // A process that ends removes its part of the journal.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => directories.push(entry.path()),
                Ok(metadata) => {
                    size.bytes += metadata.len();
                    size.files += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(size)
}

#[cfg(unix)]
fn disk_space(path: &Path) -> Option<DiskSpace> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    // The width of the numbers depends on the platform.
    #[expect(clippy::useless_conversion, reason = "it is none on some platforms")]
    let [block, free, total]: [u64; 3] =
        [stat.fragment_size().into(), stat.blocks_available().into(), stat.blocks().into()];
    Some(DiskSpace { free_bytes: free.saturating_mul(block), total_bytes: total.saturating_mul(block) })
}

#[cfg(not(unix))]
fn disk_space(_: &Path) -> Option<DiskSpace> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_below_a_directory_count() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("one"), "123").unwrap();
        std::fs::write(dir.path().join("a/b/two"), "4567").unwrap();
        assert_eq!(size_of(dir.path()).unwrap(), DirectorySize { bytes: 7, files: 2 });
        assert_eq!(size_of(&dir.path().join("none")).unwrap(), DirectorySize::default());
        assert!(size_of(&dir.path().join("one")).is_err(), "a file is no directory");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_system_tells_what_is_left() {
        let space = disk_space(&std::env::temp_dir()).unwrap();
        assert!(space.total_bytes > 0 && space.free_bytes <= space.total_bytes, "{space:?}");
        assert!(disk_space(Path::new("/nonexistent/directory")).is_none());
    }
}
