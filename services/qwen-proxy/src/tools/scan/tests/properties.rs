//! Properties of scanning generated answers.

use proptest::prelude::*;

use super::*;

/// Generates text that contains many delimiters and tags.
fn markup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<",
        ">",
        "/",
        "<read>",
        "</read>",
        "<write>",
        "</write>",
        "<path>",
        "</path>",
        "<content>",
        "</content>",
        "<lines>",
        "</lines>",
        "<read_all>",
        "</read_all>",
        " ",
        "\n",
        "7",
        "word",
        "é",
        "<x>",
        "</x>",
        "</",
        "<rea",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Splits `input` at the given positions.
fn cut<'a>(input: &'a str, places: &[prop::sample::Index]) -> Vec<&'a str> {
    let mut at: Vec<usize> = places.iter().map(|place| place.index(input.len() + 1)).collect();
    at.retain(|&at| input.is_char_boundary(at));
    at.sort_unstable();
    at.push(input.len());
    let mut from = 0;
    at.into_iter().map(|to| &input[std::mem::replace(&mut from, to)..to]).collect()
}

/// Generates a document about calls: prose, unmatched closing tags, and calls that contain such documents.
fn document() -> impl Strategy<Value = String> {
    let prose =
        prop::sample::select(vec!["word ", "\n", "<", "</content> ", "</path>", "<read><path>a</path></read>", "é"]);
    let leaf = prop::collection::vec(prose, 0..4).prop_map(|words| words.concat());
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop::collection::vec((inner, any::<bool>()), 0..3).prop_map(|documents| {
            let call = |(content, content_first): (String, bool)| {
                let mut arguments = [("path", "p".to_owned()), ("content", content)];
                if content_first {
                    arguments.reverse();
                }
                tags("write", arguments.into_iter())
            };
            documents.into_iter().map(|document| format!("so:\n{}\nand ", call(document))).collect()
        })
    })
}

proptest! {
    #[test]
    fn chunking_does_not_change_the_result(
        input in markup(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        complete: bool,
    ) {
        prop_assert_eq!(scanned(cut(&input, &places), complete), scanned([&*input], complete));
    }

    #[test]
    fn no_text_is_lost(input in markup(), complete: bool) {
        let pieces = scanned([&*input], complete);
        if pieces.iter().all(|piece| matches!(piece, Segment::Text(_))) {
            let whole = if input.is_empty() { Vec::new() } else { vec![text(&input)] };
            prop_assert_eq!(pieces, whole);
        }
    }

    #[test]
    fn text_is_emitted_at_once(parts in prop::collection::vec("[a-z<>/ ]{0,6}|<re|ad|>|_all|write", 0..12)) {
        let mut scanner = Scanner::new(&tools());
        let (mut seen, mut out) = (String::new(), Vec::new());
        for part in &parts {
            seen.push_str(part);
            scanner.push(part, &mut out);
            let left: String = out.iter().map(|piece| match piece {
                Segment::Text(text) => text.as_str(),
                Segment::Call(_) => "",
            }).collect();
            // Text may be held back only if it is a tag or the beginning of one, or white space at the very beginning.
            let held = &seen[left.len()..];
            prop_assert!(seen.starts_with(&left));
            let may_begin = ["<read>", "<write>", "<read_all>"].iter().any(|tag| tag.starts_with(held.trim_start()) || held.trim_start().starts_with(tag));
            prop_assert!(may_begin && (left.is_empty() || held.starts_with('<') || held.is_empty()), "{:?} of {:?}", held, seen);
        }
    }

    #[test]
    fn documents_about_calls_are_unchanged(content in document(), content_first: bool, after in " [a-z]+") {
        let mut arguments = [("path", "p".to_owned()), ("content", content.clone())];
        let (path, content) = (r#""path":"p""#, format!(r#""content":{}"#, json!(content)));
        let whole = if content_first { format!("{{{content},{path}}}") } else { format!("{{{path},{content}}}") };
        if content_first {
            arguments.reverse();
        }
        let input = tags("write", arguments.into_iter()) + &after;
        prop_assert_eq!(scanned([&*input], false), [call("write", &whole), text(&after)]);
    }

    #[test]
    fn written_calls_are_parsed_back(path in "[^<]*", content in "[a-z\n<>/ é]*", before in "[a-z]+ ", more in 0..3_usize) {
        let arguments = format!(r#"{{"path":{},"content":{}}}"#, json!(path), json!(content));
        let written = Call { name: "write".into(), arguments };
        let mut expected = vec![text(&before)];
        expected.extend(std::iter::repeat_n(Segment::Call(written), more + 1));
        // Formatted by hand, because the order of the arguments matters here.
        let tags = tags("write", [("path", path), ("content", content)].into_iter());
        let input = format!("{before}{}", vec![tags; more + 1].join("\n"));
        prop_assert_eq!(scanned([&*input], true), expected);
    }
}
