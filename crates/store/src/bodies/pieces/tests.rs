use super::*;

/// Assembles the pieces from the chunk of a request, which holds `0123…`.
fn text_of(pieces: &[Piece], chunk: &str) -> String {
    let part = |piece: &Piece| match piece {
        Piece::Chunk(_, _, from, length) => chunk[*from..from + length].to_owned(),
        Piece::Own(..) => unreachable!("a request has no such piece"),
        Piece::Text(text) => text.clone(),
    };
    pieces.iter().map(part).collect()
}

fn any(_: &Piece) -> bool {
    true
}

#[test]
fn lists_are_compact_json() {
    let pieces = vec![Piece::Chunk(20_000, 7, 0, 5), Piece::Own(1, 2), Piece::Text("a\"é".to_owned())];
    assert_eq!(to_json(&pieces), r#"[[20000,7,0,5],[1,2],"a\"é"]"#);
    assert_eq!(parse(&to_json(&pieces)).unwrap(), pieces);
    for bad in ["", "{}", "[1]", "[[1]]", "[[1,2,3]]", "[[1,2,-3,4]]", "[[1,2,3,4,5]]", "null"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    assert_eq!(length(&pieces), Some(5 + 2 + 4));
    assert_eq!(length(&[Piece::Own(0, usize::MAX), Piece::Own(0, 1)]), None);
}

#[test]
fn a_body_shares_the_prefix_and_suffix_of_another() {
    let chunk = "héllo wörld ".repeat(500);
    let base = [Piece::Chunk(1, 1, 0, chunk.len())];
    // These lengths cut through characters.
    for (prefix, suffix) in [(2000, 0), (0, 2000), (2001, 2002), (1, 1999), (chunk.len(), 0)] {
        let text = [&chunk.as_bytes()[..prefix], b"", &chunk.as_bytes()[chunk.len() - suffix..]].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let (prefix, suffix) =
            (affix::common_prefix(chunk.as_bytes(), text.as_bytes()).min(prefix), suffix.min(text.len()));
        let suffix = suffix.min(text.len() - prefix).min(affix::common_suffix(chunk.as_bytes(), text.as_bytes()));
        let sharing = share(&base, &text, (prefix, suffix), any).unwrap();
        let new = text[sharing.new.clone()].to_owned();
        assert!(new.len() < 16, "{new}");
        assert_eq!(text_of(&sharing.with(Piece::Text(new)), &chunk), text);
    }
}

#[test]
fn bodies_that_do_not_match_are_not_shared() {
    let text = "x".repeat(5000);
    let base = [Piece::Chunk(1, 1, 0, 3000), Piece::Text("y".repeat(100))];
    let try_share = |prefix, suffix| share(&base, &text, (prefix, suffix), any);
    assert!(try_share(3000, 100).is_some());
    assert_eq!(try_share(3101, 0), None);
    assert_eq!(try_share(0, 3101), None);
    assert_eq!(try_share(2600, 2600), None);
    assert_eq!(try_share(usize::MAX, 1), None);
    assert_eq!(try_share(1, usize::MAX), None);
    // Too short to be worthwhile.
    assert_eq!(try_share(500, 500), None);
    assert_eq!(share(&base, &text, (3000, 0), |_| false), None);
    assert_eq!(share(&[], &text, (2000, 0), any), None);
    // A wrong hint may point into the middle of a character.
    let odd = [Piece::Text("é".repeat(1000))];
    assert_eq!(share(&odd, &text, (1999, 0), any), None);
}

#[test]
fn piece_lists_are_bounded() {
    let base: Vec<Piece> = (0..128).map(|request| Piece::Chunk(1, request, 0, 100)).collect();
    let text = "x".repeat(12_900);
    assert!(share(&base[..127], &text, (12_700, 0), any).is_some());
    assert_eq!(share(&base, &text, (12_800, 0), any), None);
}

#[test]
fn adjacent_pieces_are_merged() {
    let base = [Piece::Chunk(1, 1, 0, 2000)];
    let text = "x".repeat(2000);
    let sharing = share(&base, &text, (1500, 500), any).unwrap();
    assert!(sharing.is_short());
    assert_eq!(sharing.with(Piece::Text(String::new())), base);
}

#[test]
fn the_upstream_body_is_stored_relative_to_the_client_body() {
    let body = format!(r#"{{"model":"é","messages":"{}"}}"#, "long ".repeat(500));
    let text = body.replace(r#""model":"é""#, r#""model":"è-2""#);
    let json = relative(&body, &text).unwrap();
    assert!(json.len() < 50, "{json}");
    assert_eq!(parse(&json).unwrap()[1], Piece::Text("è-2".to_owned()));
    assert!(relative(&body, &body).unwrap().len() < 20);
    assert_eq!(relative(&body, "other"), None);
    assert_eq!(relative("", ""), None);
}
