use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::super::rotated;
use super::*;

struct Log {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Log {
    /// Writes a log whose newest file comes first.
    fn new(files: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = Self { path: dir.path().join("a.log"), _dir: dir };
        for (generation, text) in (0_u32..).zip(files) {
            fs::write(if generation == 0 { log.path.clone() } else { rotated(&log.path, generation) }, text).unwrap();
        }
        log
    }

    fn find(&self, query: &LogQuery) -> FoundLines {
        search(&self.path, query).unwrap()
    }

    /// Returns the lines of each page.
    fn pages(&self, query: &LogQuery) -> Vec<String> {
        let mut query = query.clone();
        let mut pages = Vec::new();
        loop {
            let FoundLines { lines, next, .. } = self.find(&query);
            pages.push(lines.join(" "));
            let Some(next) = next else { return pages };
            assert_eq!(Position::parse(&next.text()), Some(next));
            query.before = Some(Before::Position(next));
        }
    }
}

fn query(lines: usize) -> LogQuery {
    LogQuery { lines, ..LogQuery::default() }
}

fn line(second: usize, level: &str, text: &str) -> String {
    format!("2026-11-29T12:00:{second:02}.000000Z {level:>5} a::b: {text}\n")
}

/// Unix milliseconds of second 0 of [`line`].
const BEGIN: i64 = 1_795_953_600_000;

/// Returns the last word of each line.
fn words(lines: &[String]) -> String {
    lines.iter().filter_map(|line| line.split(' ').next_back()).collect::<Vec<_>>().join(" ")
}

#[test]
fn pages_go_back_through_the_rotated_files() {
    let log = Log::new(&["7\n8", "4\n5\n6\n", "1\n2\n3\n"]);
    assert_eq!(log.pages(&query(3)), ["6 7 8", "3 4 5", "1 2"]);
    assert_eq!(log.pages(&query(4)), ["5 6 7 8", "1 2 3 4"]);
    assert_eq!(log.pages(&query(100)), ["1 2 3 4 5 6 7 8"]);
    assert_eq!(Log::new(&[]).find(&query(5)), FoundLines::default());
}

#[test]
fn a_page_continues_after_a_rotation() {
    let log = Log::new(&["4\n5\n6\n", "1\n2\n3\n"]);
    let first = log.find(&query(2));
    assert_eq!(first.lines, ["5", "6"]);
    fs::rename(rotated(&log.path, 1), rotated(&log.path, 2)).unwrap();
    fs::copy(&log.path, rotated(&log.path, 1)).unwrap();
    fs::write(&log.path, "7\n8\n").unwrap();
    let next = LogQuery { before: first.next.map(Before::Position), ..query(9) };
    assert_eq!(log.find(&next).lines, ["1", "2", "3", "4"]);
    // The file is gone, and the position has no time.
    fs::remove_file(rotated(&log.path, 1)).unwrap();
    assert_eq!(log.find(&next), FoundLines::default());
}

#[test]
fn a_position_in_a_file_that_is_gone_stands_for_its_time() {
    let all: Vec<String> = (0..6).map(|second| line(second, "INFO", &second.to_string())).collect();
    let log = Log::new(&[&all.concat()]);
    let first = log.find(&query(2));
    assert_eq!(words(&first.lines), "4 5");
    // The rotation has left out the beginning of the file.
    fs::write(&log.path, all[2..].concat()).unwrap();
    let next = LogQuery { before: first.next.map(Before::Position), ..query(9) };
    assert_eq!(words(&log.find(&next).lines), "2 3");
}

#[test]
fn texts_and_levels_are_filtered() {
    let text = [
        line(0, "INFO", "Zero"),
        line(1, "ERROR", "one"),
        "  at one of\n".to_owned(),
        "  at other\n".to_owned(),
        line(2, "WARN", "two"),
        line(3, "DEBUG", "zero"),
    ];
    let log = Log::new(&[&text[3..].concat(), &text[..3].concat()]);
    let level = |level: &str| LogQuery { level: Level::parse(level), ..query(10) };
    assert_eq!(words(&log.find(&level("warn")).lines), "one of other two");
    assert_eq!(words(&log.find(&level("ERROR")).lines), "one of other");
    assert_eq!(words(&log.find(&level("trace")).lines), "Zero one of other two zero");
    let with = |text: &str, query: LogQuery| LogQuery { text: Some(text.to_owned()), ..query };
    let found = log.find(&with("ZERO", query(10)));
    assert_eq!((words(&found.lines), found.scanned), ("Zero zero".to_owned(), 6));
    assert_eq!(words(&log.find(&with("at", level("error"))).lines), "of other");
    let pages: Vec<String> = log.pages(&LogQuery { lines: 1, ..level("error") });
    assert_eq!(pages.iter().map(|page| page.trim().to_owned()).collect::<Vec<_>>()[..2], ["at other", "at one of"]);
    assert!(pages[2].ends_with("a::b: one") && pages[3..].iter().all(String::is_empty), "{pages:?}");
}

#[test]
fn lines_before_a_time_are_found() {
    let text: Vec<String> = (0..6).map(|second| line(second, "INFO", &second.to_string()) + "more\n").collect();
    let log = Log::new(&[&text[4..].concat(), &text[..4].concat()]);
    let before = |time| LogQuery { before: Some(Before::Time(time)), ..query(3) };
    assert_eq!(words(&log.find(&before(BEGIN + 5000)).lines), "more 4 more");
    assert_eq!(words(&log.find(&before(BEGIN + 2001)).lines), "more 2 more");
    assert_eq!(words(&log.find(&before(i64::MAX)).lines), "more 5 more");
    let first = log.find(&before(BEGIN));
    assert_eq!((first.lines.len(), first.next), (0, None));
}

#[test]
fn one_search_reads_a_limited_part() {
    let lines: Vec<String> = (0..330_000).map(|number| line(1, "INFO", &format!("number {number:06}"))).collect();
    let text = lines.concat();
    assert!(text.len() > 2 * MAX_BYTES);
    let log = Log::new(&[&text]);
    let mut query = LogQuery { text: Some("number 000000".to_owned()), ..query(5) };
    let (mut searches, mut scanned) = (0, 0);
    let found = loop {
        let found = log.find(&query);
        (searches, scanned) = (searches + 1, scanned + found.scanned);
        assert!(found.scanned < 200_000, "{}", found.scanned);
        match found.next {
            Some(next) => query.before = Some(Before::Position(next)),
            None => break found,
        }
    };
    assert_eq!((words(&found.lines), searches, scanned), ("000000".to_owned(), 3, 330_000));
}

#[test]
fn lines_that_continue_nothing_do_not_stop_the_search() {
    let more = "  more\n".repeat(3 * MAX_BYTES / 14);
    let log = Log::new(&[&format!("{}{more}", line(0, "ERROR", "first"))]);
    let pages = log.pages(&LogQuery { level: Some(Level::Error), ..query(5000) });
    assert!(pages.last().unwrap().contains("first"), "{}", pages.len());
}

#[test]
fn an_endless_line_comes_in_pieces() {
    let log = Log::new(&[&format!("a\n{}\nb\n", "x".repeat(3 * MAX_LINE))]);
    let found = log.find(&query(10));
    assert_eq!((found.lines.first().unwrap().as_str(), found.lines.last().unwrap().as_str()), ("a", "b"));
    let pieces = &found.lines[1..found.lines.len() - 1];
    assert_eq!(pieces.iter().map(String::len).sum::<usize>(), 3 * MAX_LINE);
    assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() <= MAX_LINE + STEP_BYTES));
}

#[test]
fn other_texts_are_no_positions() {
    for text in ["", "-", "--", "1", "0-1-", "1-1", "1-g-", "+1-1-", "1-1-x", "1-1--", "1-1-ffffffffffffffff"] {
        assert_eq!(Position::parse(text), None, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn pages_add_up_to_the_log(
        lines in prop::collection::vec("[a-z]{0,12}", 1..60),
        splits in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        page in 1..9_usize,
    ) {
        let mut ends: Vec<usize> = splits.iter().map(|split| split.index(lines.len())).collect();
        ends.extend([0, lines.len()]);
        ends.sort_unstable();
        // Files of a log begin with a time and thus differ.
        let file = |(number, ends): (usize, &[usize])| {
            let text: String = lines[ends[0]..ends[1]].iter().map(|line| format!("{line}\n")).collect();
            if text.is_empty() { text } else { format!("file {number}\n{text}") }
        };
        let files: Vec<String> = ends.windows(2).enumerate().map(file).collect();
        let newest_first: Vec<&str> = files.iter().rev().map(String::as_str).collect();
        let log = Log::new(&newest_first);
        let (mut all, mut query) = (Vec::new(), query(page));
        loop {
            let FoundLines { lines, next, .. } = log.find(&query);
            prop_assert!(lines.len() <= page);
            all.splice(0..0, lines);
            let Some(next) = next else { break };
            query.before = Some(Before::Position(next));
        }
        let expected = files.concat();
        prop_assert_eq!(all, expected.lines().collect::<Vec<_>>());
    }
}
