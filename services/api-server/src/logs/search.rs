//! Searches a log backwards, from its end or from an earlier position, through its rotated files.
//!
//! A line without time and level continues the line before it, such as the lines of a backtrace: filters treat it like
//! that line. A search reads a limited number of bytes; its result has the position from which a further one continues.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::files::{self, LogFile};
use super::line::{Head, Level};

/// Maximum bytes that one search reads, whatever the length of the lines.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Bytes read per step backwards.
const STEP_BYTES: usize = 64 * 1024;

/// Maximum bytes of a line. A longer line is returned in pieces.
const MAX_LINE: usize = 256 * 1024;

/// Maximum number of lines that wait for the line that they continue.
const MAX_HELD: usize = 1000;

/// Number of repetitions when a rotation empties a file that is being read.
const MAX_ATTEMPTS: usize = 3;

/// The lines to search for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Maximum number of lines.
    pub lines: usize,
    /// Where to begin; `None` for the end of the log.
    pub before: Option<Before>,
    /// A text in the line, ignoring case.
    pub text: Option<String>,
    /// The least important level.
    pub level: Option<Level>,
}

/// Where a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Before this time, in Unix milliseconds.
    Time(i64),
    /// At this position.
    Position(Position),
}

/// A position in a log, which a rotation does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Bytes from the beginning of the file; at least 1.
    offset: u64,
    /// Recognises the file; see `LogFile::mark`.
    mark: u64,
    /// The time of the line that begins there, in Unix milliseconds. The search continues with it if the file is gone.
    time: Option<i64>,
}

/// The result of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundLines {
    /// The lines, the oldest first.
    pub lines: Vec<String>,
    /// Number of lines that were read.
    pub scanned: usize,
    /// Where a further search continues; `None` at the beginning of the log.
    pub next: Option<Position>,
}

/// A place in the files of a log.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The file, counted from the newest.
    file: usize,
    /// Bytes from its beginning.
    offset: u64,
}

/// Reads lines backwards.
struct Backwards {
    /// The files, the newest first.
    files: Vec<LogFile>,
    /// Where `bytes` begin.
    place: Place,
    /// Bytes that were read and not returned yet.
    bytes: Vec<u8>,
    /// Number of bytes that were read.
    read: usize,
}

/// A search in progress.
struct Search<'a> {
    query: &'a LogQuery,
    /// The text in lowercase.
    text: Option<String>,
    before_ms: Option<i64>,
    /// Lines that continue a line that has not been read yet, each with its place; the newest first.
    held: Vec<(String, Place)>,
    /// The lines that were found, the newest first.
    lines: Vec<String>,
    scanned: usize,
    /// Where the lines begin that have been decided on.
    decided: Option<Place>,
    /// The last line that was decided on and is not among the found ones.
    rejected: Option<String>,
}

/// Searches the log at `path`. A missing log has no lines.
///
/// # Errors
/// When a file exists but cannot be read.
pub fn search(path: &Path, query: &LogQuery) -> io::Result<FoundLines> {
    let mut attempts = 1;
    loop {
        match search_once(path, query) {
            // A rotation has emptied the file; its lines are in another one now.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && attempts < MAX_ATTEMPTS => attempts += 1,
            result => return result,
        }
    }
}

fn search_once(path: &Path, query: &LogQuery) -> io::Result<FoundLines> {
    let files = files::open(path)?;
    let (mut reader, before_ms) = match query.before {
        None => (Backwards::from_end(files), None),
        Some(Before::Time(time)) => (Backwards::from_end(files), Some(time)),
        Some(Before::Position(position)) => Backwards::from_position(files, position),
    };
    let mut search = Search::new(query, before_ms);
    while !search.is_full() {
        if reader.read >= MAX_BYTES {
            // Lines that wait are read again by the next search, unless this one would make no progress.
            if search.decided.is_none() {
                search.give_up();
            }
            break;
        }
        let Some(line) = reader.next()? else {
            search.give_up();
            break;
        };
        search.take(line, reader.unread());
    }
    let rest = reader.position(search.decided.unwrap_or_else(|| reader.unread()));
    Ok(search.finish(rest))
}

// === impl Position ===

impl Position {
    /// Parses the text of a position.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (offset, rest) = text.split_once('-')?;
        let (mark, time) = rest.split_once('-')?;
        let number = |text: &str| u64::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'));
        let time = if time.is_empty() { None } else { Some(i64::try_from(number(time)?).ok()?) };
        Some(Self { offset: number(offset).filter(|offset| *offset > 0)?, mark: number(mark)?, time })
    }

    /// Returns the position as a text.
    #[must_use]
    pub fn text(&self) -> String {
        let time = self.time.map(|time| format!("{time:x}")).unwrap_or_default();
        format!("{:x}-{:016x}-{time}", self.offset, self.mark)
    }
}

// === impl Backwards ===

impl Backwards {
    fn from_end(files: Vec<LogFile>) -> Self {
        let offset = files.first().map_or(0, |file| file.length);
        Self { files, place: Place { file: 0, offset }, bytes: Vec::new(), read: 0 }
    }

    /// Returns a reader at a position; if its file is gone, one at the end, with the time before which lines count.
    fn from_position(files: Vec<LogFile>, position: Position) -> (Self, Option<i64>) {
        let Position { offset, mark, time } = position;
        let is_there = |file: &LogFile| file.length >= offset && file.mark(offset) == mark;
        match files.iter().position(is_there) {
            Some(file) => (Self { files, place: Place { file, offset }, bytes: Vec::new(), read: 0 }, None),
            None if time.is_some() => (Self::from_end(files), time),
            None => (Self::from_end(Vec::new()), None),
        }
    }

    /// Returns the next line, without its line end; `None` at the beginning of the log.
    fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if self.bytes.is_empty() && self.place.offset == 0 {
                let file = self.place.file + 1;
                let Some(LogFile { length, .. }) = self.files.get(file) else { return Ok(None) };
                self.place = Place { file, offset: *length };
            }
            let text = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
            let begin = match memchr::memrchr(b'\n', text) {
                Some(end) => end + 1,
                None if !self.bytes.is_empty() && (self.place.offset == 0 || text.len() >= MAX_LINE) => 0,
                None => {
                    self.step()?;
                    continue;
                }
            };
            let line = String::from_utf8_lossy(&text[begin..]);
            let line = line.strip_suffix('\r').unwrap_or(&line).to_owned();
            self.bytes.truncate(begin);
            return Ok(Some(line));
        }
    }

    /// Reads the bytes in front of those that were read.
    fn step(&mut self) -> io::Result<()> {
        let Place { file, offset } = self.place;
        let Some(file) = self.files.get_mut(file) else { return Ok(()) };
        let count = usize::try_from(offset).unwrap_or(STEP_BYTES).min(STEP_BYTES);
        self.place.offset = offset - count as u64;
        let mut bytes = file.read_at(self.place.offset, count)?;
        self.read += count;
        bytes.append(&mut self.bytes);
        self.bytes = bytes;
        Ok(())
    }

    /// Returns the end of what has not been returned yet.
    fn unread(&self) -> Place {
        Place { offset: self.place.offset + self.bytes.len() as u64, ..self.place }
    }

    /// Returns a place as a position; `None` at the beginning of the log.
    fn position(&self, place: Place) -> Option<Position> {
        let Place { mut file, mut offset } = place;
        if offset == 0 {
            file += 1;
            offset = self.files.get(file)?.length;
        }
        let mark = self.files.get(file)?.mark(offset);
        Some(Position { offset, mark, time: None })
    }
}

// === impl Search ===

impl<'a> Search<'a> {
    fn new(query: &'a LogQuery, before_ms: Option<i64>) -> Self {
        Self {
            query,
            text: query.text.as_ref().map(|text| text.to_lowercase()),
            before_ms,
            held: Vec::new(),
            lines: Vec::new(),
            scanned: 0,
            decided: None,
            rejected: None,
        }
    }

    fn is_full(&self) -> bool {
        self.lines.len() >= self.query.lines
    }

    /// Takes the next line; `place` is where it begins.
    fn take(&mut self, line: String, place: Place) {
        self.scanned += 1;
        let needs_head = self.query.level.is_some() || self.before_ms.is_some();
        let head = if needs_head { Head::parse(&line) } else { None };
        self.held.push((line, place));
        if needs_head && head.is_none() && self.held.len() < MAX_HELD {
            return;
        }
        let is_before = match (self.before_ms, &head) {
            (Some(before), Some(head)) => head.time().is_none_or(|time| time < before),
            _ => true,
        };
        if is_before && head.is_some() {
            // All other lines are older.
            self.before_ms = None;
        }
        let is_important = self.query.level.is_none_or(|least| head.is_some_and(|head| head.level <= least));
        self.decide(is_before && is_important);
    }

    /// Decides on the lines that wait for one that is not found.
    fn give_up(&mut self) {
        self.decide(self.query.level.is_none());
    }

    fn decide(&mut self, counts: bool) {
        for (line, place) in std::mem::take(&mut self.held) {
            if self.is_full() {
                return;
            }
            let has_text = self.text.as_ref().is_none_or(|text| line.to_lowercase().contains(&**text));
            if counts && has_text {
                self.lines.push(line);
                self.rejected = None;
            } else {
                self.rejected = Some(line);
            }
            self.decided = Some(place);
        }
    }

    fn finish(self, rest: Option<Position>) -> FoundLines {
        let Self { mut lines, scanned, rejected, .. } = self;
        let oldest = rejected.as_deref().or_else(|| lines.last().map(String::as_str));
        let time = oldest.and_then(Head::parse).and_then(|head| head.time());
        let next = rest.map(|position| Position { time, ..position });
        lines.reverse();
        FoundLines { lines, scanned, next }
    }
}

#[cfg(test)]
mod tests;
