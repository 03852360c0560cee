mod properties;

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::*;
use crate::tools::call::tags;

fn tools() -> Tools {
    let tool = |name: &str, properties: Value, required: Value| {
        let parameters = json!({"type": "object", "properties": properties, "required": required});
        json!({"type": "function", "function": {"name": name, "parameters": parameters}})
    };
    let text = json!({"type": "string"});
    Tools::parse(&[
        tool("read", json!({"path": text, "lines": {"type": "integer"}}), json!(["path"])),
        tool("write", json!({"path": text, "content": text}), json!(["path", "content"])),
        tool("read_all", json!({}), json!([])),
    ])
    .unwrap()
}

/// Returns the CPU time of this thread, where the system reports it, so that other processes do not affect the
/// measurement.
fn processor_time() -> Option<Duration> {
    let figures = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    figures.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Measures the time to scan `input` in pieces of this length, the shortest of three runs.
fn cost(input: &str, piece: usize) -> Duration {
    let pieces: Vec<&str> = input.as_bytes().chunks(piece).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
    let once = || {
        let (started, at) = (processor_time(), Instant::now());
        scanned(pieces.iter().copied(), true);
        processor_time().zip(started).map_or_else(|| at.elapsed(), |(now, started)| now.saturating_sub(started))
    };
    (0..3).map(|_| once()).min().unwrap()
}

fn text(text: &str) -> Segment {
    Segment::Text(text.into())
}

fn call(name: &str, arguments: &str) -> Segment {
    Segment::Call(Call { name: name.into(), arguments: arguments.into() })
}

/// Returns the pieces found in `parts`, with adjacent texts joined.
fn scanned<'a>(parts: impl IntoIterator<Item = &'a str>, complete: bool) -> Vec<Segment> {
    let mut scanner = Scanner::new(&tools());
    let mut out = Vec::new();
    for part in parts {
        scanner.push(part, &mut out);
    }
    scanner.finish(complete, &mut out);
    out
}

#[track_caller]
fn scans(input: &str, expected: &[Segment]) {
    assert_eq!(scanned([input], true), expected, "at once");
    let letters: Vec<String> = input.chars().map(String::from).collect();
    assert_eq!(scanned(letters.iter().map(String::as_str), true), expected, "character by character");
}

#[test]
fn a_call_is_found_between_texts() {
    scans(
        "I look.\n\n<read>\n<path>a b.rs</path>\n<lines>7</lines>\n</read>\n\nThen I go on.",
        &[text("I look.\n\n"), call("read", r#"{"path":"a b.rs","lines":7}"#), text("\n\nThen I go on.")],
    );
}

#[test]
fn calls_follow_each_other() {
    scans(
        "\n<read><path>a</path></read>\n<read_all></read_all><read_all>\n</read_all>\n",
        &[call("read", r#"{"path":"a"}"#), call("read_all", "{}"), call("read_all", "{}")],
    );
}

#[test]
fn undeclared_tags_are_text() {
    for input in [
        "<b>bold</b> <reader><path>a</path></reader> 1 < 2 <READ></READ>",
        "Use `<read>` with a path. </read>",
        "<read path=\"a\"><path>a</path></read>",
        "<read >\n<path>a</path></read>",
        "<read>a</read>",
        "<read><path/></read> <read/>",
        "<<<",
        "  \n",
        "\n\n  indented",
        "",
    ] {
        let expected: Vec<Segment> = if input.is_empty() { Vec::new() } else { vec![text(input)] };
        scans(input, &expected);
    }
}

#[test]
fn an_incomplete_tag_does_not_hide_a_call() {
    scans("<read> or <<read><path>a</path></read>", &[text("<read> or <"), call("read", r#"{"path":"a"}"#)]);
    scans("\n<read>\n<read><path>a</path></read>", &[text("\n<read>\n"), call("read", r#"{"path":"a"}"#)]);
}

#[test]
fn values_are_kept_verbatim() {
    let content = "if a < b && c > d { \"x\" }\n\n&lt;<path>inner</path></read></write>";
    scans(
        &format!("<write><path>a</path>\n<content>\n{content}\n</content></write>"),
        &[call("write", &format!(r#"{{"path":"a","content":{}}}"#, json!(content)))],
    );
    scans(
        "<write><path></path><content>\n\n a\n\n</content></write>",
        &[call("write", r#"{"path":"","content":"\n a\n"}"#)],
    );
}

#[test]
fn only_the_pair_of_line_breaks_around_a_value_is_removed() {
    for content in ["x\n", "\nx", "a\n\n", "\n\na", "a\nb", "a\nb\n", "\na\n", "\n", "\n\n", "x", ""] {
        let expected = [call("write", &json!({"content": content, "path": "p"}).to_string())];
        let arguments = [("content", content.to_owned()), ("path", "p".to_owned())];
        scans(&tags("write", arguments.into_iter()), &expected);
    }
    for content in ["x\n", "\nx", "a\n\n"] {
        let inline = format!("<write><content>{content}</content><path>p</path></write>");
        scans(&inline, &[call("write", &json!({"content": content, "path": "p"}).to_string())]);
    }
    let empty = "<write><content>\n</content><path>p</path></write>";
    scans(empty, &[call("write", r#"{"content":"","path":"p"}"#)]);
}

#[test]
fn a_closing_tag_inside_a_value_is_kept() {
    scans(
        "<write><content>a </content> b</path> </write> c</content><path>p</path></write>",
        &[call("write", r#"{"content":"a </content> b</path> </write> c","path":"p"}"#)],
    );
    scans(
        "<write><path>p</path><content></content>\n<path>not again</path></content></write>",
        &[call("write", r#"{"path":"p","content":"</content>\n<path>not again</path>"}"#)],
    );
}

#[test]
fn a_repeated_parameter_is_part_of_the_first_value() {
    scans(
        "<write><path>p</path><content>a</content><content>b</content></write>",
        &[call("write", r#"{"path":"p","content":"a</content><content>b"}"#)],
    );
}

#[test]
fn a_call_inside_a_value_is_part_of_it() {
    let inner = "To write:\n<write>\n<path>x</path>\n<content>y</content>\n</write>\nor <read><path>z</path></read>.";
    scans(
        &format!("<write><path>p</path><content>{inner}</content></write>!"),
        &[call("write", &format!(r#"{{"path":"p","content":{}}}"#, json!(inner))), text("!")],
    );
}

#[test]
fn an_opening_tag_inside_a_value_does_not_swallow_the_rest() {
    scans(
        "<write><path>p</path><content>a <content> b</content></write> <read><path>a</path></read> bye",
        &[call("write", r#"{"path":"p","content":"a <content> b"}"#), call("read", r#"{"path":"a"}"#), text(" bye")],
    );
}

#[test]
fn a_tag_of_the_same_name_inside_a_value_keeps_its_closing_tag() {
    for inner in [
        "<append><content>x</content>\n<path>y</path></append> and `<write>`",
        "<content>\n<content>x</content></content><path>y</path>",
    ] {
        scans(
            &format!("<write><content>{inner}</content><path>p</path></write>"),
            &[call("write", &format!(r#"{{"content":{},"path":"p"}}"#, json!(inner)))],
        );
    }
}

#[test]
fn a_parameter_may_have_the_name_of_its_tool() {
    let declared = json!({"type": "object", "properties": {"find": {"type": "string"}}});
    let tools = Tools::parse(&[json!({"type": "function", "function": {"name": "find", "parameters": declared}})]);
    let mut scanner = Scanner::new(&tools.unwrap());
    let mut out = Vec::new();
    scanner.push("<find><find>a</find></find><find></find>", &mut out);
    assert_eq!(out, [call("find", r#"{"find":"a"}"#), call("find", "{}")]);
}

#[test]
fn undeclared_parameters_are_passed_on() {
    scans("<read><file>a</file></read>", &[call("read", r#"{"file":"a"}"#)]);
    scans("<read><path>a</path>\n<limit>5</limit></read>", &[call("read", r#"{"path":"a","limit":5}"#)]);
}

#[test]
fn unbalanced_calls_are_all_parsed_at_the_end() {
    for calls in [1, 2, 7, 50, 500] {
        let input = "<read><path>a</path><limit>5</limit></read>\n".repeat(calls);
        let expected = vec![call("read", r#"{"path":"a","limit":5}"#); calls];
        assert_eq!(scanned([&*input], true), expected);
    }
    let parameters: Vec<String> = (0..500).map(|n| format!("<p{n}>{n}</p{n}>")).collect();
    let arguments: Vec<String> = (0..500).map(|n| format!(r#""p{n}":{n}"#)).collect();
    let input = format!("<read>{}</read>", parameters.concat());
    assert_eq!(scanned([&*input], true), [call("read", &format!("{{{}}}", arguments.join(",")))]);
}

#[test]
fn scanning_takes_linear_time() {
    let many = |part: &str, length: usize| part.repeat(length / part.len());
    let names = |length: usize| (0..length / 16).map(|n| format!("<p{n}>x</p{n}>")).collect::<String>();
    type Make<'a> = &'a dyn Fn(usize) -> String;
    let inputs: [(&str, Make<'_>); 16] = [
        ("calls with an undeclared parameter", &|n| many("<read><path>a</path><limit>5</limit></read>\n", n)),
        ("undeclared parameters", &|n| format!("<read>{}</read>", names(n))),
        ("undeclared parameters that do not end", &|n| format!("<read><path>a</path>{}", names(n))),
        ("opening tags", &|n| many("<read>", n)),
        ("openings of a call", &|n| many("<read><path>", n)),
        ("closing tags", &|n| format!("<read><path>{}", many("</path>", n))),
        ("closing tags of the call", &|n| format!("<read><path>{}", many("</read>", n))),
        ("calls in a value", &|n| format!("<write><content>{}", many("<write><path>p</path>", n))),
        ("opening tags in a value", &|n| format!("<write><content>{}", many("<content>", n))),
        ("brackets", &|n| many("<", n)),
        ("brackets in a value", &|n| format!("<read><path>{}", many("<", n))),
        ("white space", &|n| many(" ", n)),
        ("white space in a call", &|n| format!("<read>{}", many(" ", n))),
        ("white space after a value", &|n| format!("<read><path>a</path>{}", many("\n", n))),
        ("white space after an opening tag in a value", &|n| format!("<read><path>a<read>{}", many("\n", n))),
        ("a long name", &|n| format!("<read><{}", many("x", n))),
    ];
    const SHORT: usize = 4 << 10;
    const FACTOR: usize = 16;
    for (what, make) in inputs {
        for piece in [1, 7, usize::MAX] {
            // The kernel updates the CPU time in steps of up to 4 ms.
            let short = cost(&make(SHORT), piece.min(SHORT)).max(Duration::from_millis(4));
            let long = cost(&make(SHORT * FACTOR), piece.min(SHORT * FACTOR));
            // Quadratic work would take 256 times as long.
            assert!(long < short * 80, "{what} in pieces of {piece}: {short:?}, then {long:?}");
        }
    }
}

#[test]
fn an_unclosed_call_is_text() {
    for input in [
        "<read>",
        "<read><path>a</path>",
        "<write><path>p</path><content>a <read><path>inner</path></read> b",
        "<write><path>p</path><content>how: <write><path>x</path><content>y</content></write> and",
        "\n<read><path>a</read>",
    ] {
        scans(input, &[text(input)]);
    }
}

#[test]
fn unbalanced_tags_of_a_truncated_answer_are_text() {
    for (input, whole) in [
        (
            "<write><content>a <content> b</content><path>p</path></write>",
            call("write", r#"{"content":"a <content> b","path":"p"}"#),
        ),
        ("<read><path>a</path><limit>5</limit></read>", call("read", r#"{"path":"a","limit":5}"#)),
    ] {
        assert_eq!(scanned([input], false), [text(input)]);
        assert_eq!(scanned([input], true), [whole]);
    }
}

#[test]
fn a_call_is_emitted_with_its_last_character() {
    let mut scanner = Scanner::new(&tools());
    let mut out = Vec::new();
    scanner.push("ok <read><path>a</path></read", &mut out);
    assert_eq!(out, [text("ok ")]);
    scanner.push(">", &mut out);
    assert_eq!(out.last(), Some(&call("read", r#"{"path":"a"}"#)));
}

#[test]
fn without_tools_text_passes_unchanged() {
    let mut scanner = Scanner::new(&Tools::default());
    let mut out = Vec::new();
    for part in ["<read", "><path>a</path></read>"] {
        out.clear();
        scanner.push(part, &mut out);
        assert_eq!(out, [text(part)]);
    }
}
