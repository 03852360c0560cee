//! Rotation of a file that another process holds open.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::{Retention, rotated};

/// Copies the file and truncates it; with `keep = 0`, only truncates it. Only the last `2 × max_size` bytes of a longer
/// file are kept.
///
/// Returns the number of bytes left out. A line written between the end of the copy and the truncation is lost; copying
/// continues until no more data arrives, to keep that interval short.
///
/// # Errors
/// When writing fails; the file is not truncated then, and keeps growing.
pub(super) fn by_copy(file: &Path, retention: &Retention) -> io::Result<u64> {
    if retention.keep == 0 {
        let left_out = fs::metadata(file)?.len();
        OpenOptions::new().write(true).open(file)?.set_len(0)?;
        return Ok(left_out);
    }
    let mut source = OpenOptions::new().read(true).write(true).open(file)?;
    let length = source.metadata()?.len();
    let left_out = length.saturating_sub(retention.max_size.saturating_mul(2));
    let unfinished = rotated(file, 0);
    let mut copy = private(&unfinished)?;
    if left_out > 0 {
        source.seek(SeekFrom::Start(left_out))?;
        writeln!(copy, "… {left_out} bytes omitted …")?;
    }
    let copied = copy_to_end(&mut source, &mut copy, length - left_out).inspect_err(|_| {
        // An incomplete copy would only take space on a full disk.
        fs::remove_file(&unfinished).ok();
    })?;
    source.set_len(0)?;
    shift(file, retention.keep)?;
    fs::rename(&unfinished, rotated(file, 1))?;
    tracing::debug!(file = %file.display(), copied, "rotated");
    Ok(left_out)
}

/// Renames the file; for files without other writers.
pub(super) fn by_rename(file: &Path, retention: &Retention) -> io::Result<()> {
    if retention.keep == 0 {
        return fs::remove_file(file);
    }
    shift(file, retention.keep)?;
    fs::rename(file, rotated(file, 1))
}

/// Renumbers the rotated files to make room for a new first one.
fn shift(file: &Path, keep: u32) -> io::Result<()> {
    for generation in (1..keep).rev() {
        match fs::rename(rotated(file, generation), rotated(file, generation + 1)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Copies until no more data arrives. Stops at twice the length, because a writer may be as fast as the copy.
fn copy_to_end(source: &mut File, copy: &mut File, length: u64) -> io::Result<u64> {
    let limit = length.saturating_mul(2);
    let mut copied = 0;
    loop {
        let more = io::copy(&mut (&*source).take(limit - copied), copy)?;
        copied += more;
        if more == 0 {
            return Ok(copied);
        }
    }
}

/// Creates a file that only its owner can read.
fn private(path: &Path) -> io::Result<File> {
    signalbox_private_files::options().write(true).create(true).truncate(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETENTION: Retention = Retention { max_size: 10, keep: 2 };

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_writer_continues_at_the_start_of_the_emptied_file() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let mut writer = OpenOptions::new().append(true).create(true).open(&log).unwrap();
        for (line, expected) in [("first\n", vec!["first\n"]), ("second\n", vec!["second\n", "first\n"])] {
            writer.write_all(line.as_bytes()).unwrap();
            assert_eq!(by_copy(&log, &RETENTION).unwrap(), 0);
            assert_eq!(read(&log), "");
            let kept: Vec<String> = (1..=2).map_while(|n| fs::read_to_string(rotated(&log, n)).ok()).collect();
            assert_eq!(kept, expected);
        }
        writer.write_all(b"third\n").unwrap();
        by_copy(&log, &RETENTION).unwrap();
        assert_eq!((read(&rotated(&log, 1)), read(&rotated(&log, 2))), ("third\n".to_owned(), "second\n".to_owned()));
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            3,
            "the oldest file is deleted and no temporary file is \
            left"
        );
    }

    #[test]
    fn an_oversized_log_keeps_its_end_and_counts_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        fs::write(&log, "0123456789".repeat(3)).unwrap();
        assert_eq!(by_copy(&log, &RETENTION).unwrap(), 10);
        assert_eq!(read(&rotated(&log, 1)), format!("… 10 bytes omitted …\n{}", "0123456789".repeat(2)));
    }

    #[test]
    fn keeping_zero_files_empties_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        fs::write(&log, "text").unwrap();
        assert_eq!(by_copy(&log, &Retention { max_size: 1, keep: 0 }).unwrap(), 4);
        assert_eq!((read(&log).as_str(), fs::read_dir(dir.path()).unwrap().count()), ("", 1));
    }

    #[test]
    fn a_log_that_cannot_be_copied_is_not_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        fs::write(&log, "text").unwrap();
        fs::create_dir(rotated(&log, 0)).unwrap();
        assert!(by_copy(&log, &RETENTION).is_err());
        assert_eq!(read(&log), "text");
    }
}
