//! Payment card numbers in a text.

use std::ops::Range;

use super::secrets::{escape_digits, is_after_escape};

/// Lengths of card numbers (ISO/IEC 7812).
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;
/// Lengths of the groups in which cards show their numbers.
const SHAPES: [&[usize]; 4] = [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];
/// Separators of groups, also as URLs and forms write them.
const SEPARATORS: [&[u8]; 6] = [b" ", b"-", b"+", b"%20", b"%2D", b"%2d"];

/// Adds the places of card numbers in `text`: 13 to 19 digits whose check digit is right, at once or in the groups of
/// cards, which single separators divide. The time is proportional to the length of the text.
pub(super) fn find(text: &str, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let (mut groups, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let escape = escape_digits(bytes, at);
        let is_apart = is_after_escape(bytes, at) || !is_inner(&bytes[..at]);
        if !is_apart {
            // The first group belongs to a word, such as `R8`, or to an escape; others may follow it.
            at = match escape {
                0 if is_after_escape(bytes, at + 1) => at + 1,
                0 => group_end(bytes, at),
                digits => at + digits,
            };
            continue;
        }
        let end = run_end(bytes, at, &mut groups);
        if is_ended(&bytes[end..]) {
            let before = found.len();
            find_in_run(bytes, &groups, found);
            if found.len() == before && groups[0].len() > escape && escape > 0 {
                groups[0].start += escape;
                find_in_run(bytes, &groups, found);
            }
        }
        at = end;
    }
}

/// Adds the card numbers among the groups of a run. Other numbers may stand before and behind them.
fn find_in_run(bytes: &[u8], groups: &[Range<usize>], found: &mut Vec<Range<usize>>) {
    let mut first = 0;
    while first < groups.len() {
        let is_shape = |shape: &&[usize]| {
            let lengths = groups[first..].iter().map(Range::len).take(shape.len());
            lengths.eq(shape.iter().copied()) && is_card(bytes, &groups[first..first + shape.len()])
        };
        let of_shape = SHAPES.into_iter().find(is_shape).map(|shape| first + shape.len() - 1);
        let card = of_shape.or_else(|| is_card(bytes, &groups[first..=first]).then_some(first));
        match card {
            Some(last) => {
                found.push(groups[first].start..groups[last].end);
                first = last + 1;
            }
            None => first += 1,
        }
    }
}

/// Returns the end of a run of digits, in which single separators divide the `groups`.
fn run_end(bytes: &[u8], start: usize, groups: &mut Vec<Range<usize>>) -> usize {
    groups.clear();
    let mut at = start;
    loop {
        let end = group_end(bytes, at);
        groups.push(at..end);
        let rest = &bytes[end..];
        let separator = SEPARATORS.iter().find(|separator| rest.starts_with(separator)).map_or(0, |found| found.len());
        if separator == 0 || !rest.get(separator).is_some_and(u8::is_ascii_digit) {
            return end;
        }
        at = end + separator;
    }
}

fn group_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Returns whether these digits may be those of a card: the first one is that of an issuer of cards, and the check
/// digit is right.
fn is_card(bytes: &[u8], groups: &[Range<usize>]) -> bool {
    if !LENGTHS.contains(&groups.iter().map(Range::len).sum()) {
        return false;
    }
    let digits = groups.iter().flat_map(|group| &bytes[group.clone()]);
    let digits: Vec<u8> = digits.map(|byte| byte - b'0').collect();
    let is_issued = digits.first().is_some_and(|first| (2..=6).contains(first));
    let is_varied = digits.windows(2).any(|pair| pair[0] != pair[1]);
    is_issued && is_varied && luhn(&digits)
}

/// Returns whether the check digit is right (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u8]) -> bool {
    let weighed = digits.iter().rev().enumerate().map(|(n, digit)| match (n % 2, *digit) {
        (0, digit) => u32::from(digit),
        (_, digit @ 5..) => u32::from(digit) * 2 - 9,
        (_, digit) => u32::from(digit) * 2,
    });
    weighed.sum::<u32>().is_multiple_of(10)
}

/// Returns whether a number behind these bytes is part of a word or a fraction.
const fn is_inner(before: &[u8]) -> bool {
    match before {
        [.., digit, b'.'] => digit.is_ascii_digit(),
        [.., last] => last.is_ascii_alphanumeric(),
        [] => false,
    }
}

/// Returns whether a number ends before `rest`: no word or fraction goes on. A full stop or a hyphen does not continue
/// it, unless a letter or a digit follows.
fn is_ended(rest: &[u8]) -> bool {
    match rest {
        [b'.' | b'-', next, ..] => !next.is_ascii_alphanumeric(),
        [next, ..] => !next.is_ascii_alphanumeric(),
        [] => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut all = Vec::new();
        find(text, &mut all);
        all.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn card_numbers_are_found() {
        // Numbers that issuers publish for tests.
        for card in
            ["4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "6011111111111117"]
        {
            for text in [
                card.to_owned(),
                format!("card {card}, please"),
                format!("({card})"),
                format!("n={card}\n"),
                format!("Card No.{card}"),
                format!("card_{card}_x"),
                format!("-{card}"),
                format!(".{card}"),
                format!("It is {card}."),
                format!("{card}... or so"),
                format!("{card}-"),
                format!("?n%3D{card}%26x"),
                format!("?n=%20{card}%20"),
                format!("\\u003d{card}\\u0020"),
                format!("\\u0020{card}\\x20"),
                format!("\\x20{card}"),
                format!("%C2%A0{card}"),
                format!("50%{card}"),
            ] {
                assert_eq!(found(&text), [card], "{text}");
            }
        }
    }

    #[test]
    fn forms_and_urls_write_separators_in_their_way() {
        for card in ["4111%201111%201111%201111", "4111+1111+1111+1111", "3782%2D822463%2d10005"] {
            assert_eq!(found(&format!("q={card}&x")), [card]);
        }
    }

    #[test]
    fn other_numbers_may_stand_beside_a_card() {
        assert_eq!(found("R8 4111 1111 1111 1111"), ["4111 1111 1111 1111"]);
        assert_eq!(found("on 2026-11-30 4111 1111 1111 1111 12 27"), ["4111 1111 1111 1111"]);
        assert_eq!(found("7 378282246310005 5555-5555-5555-4444"), ["378282246310005", "5555-5555-5555-4444"]);
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "4111111111111112",
            "411111111111",
            "1111111111111117",
            "2222222222222222",
            "1735689600000",
            "id4111111111111111",
            "4111111111111111x",
            "0.4111111111111111",
            "41111111111111110000000",
            "4111  1111 1111 1111",
            "",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_no_card(at in 1_usize..15, add in 1_u8..10) {
            let mut digits = *b"4111111111111111";
            digits[at] = b'0' + (digits[at] - b'0' + add) % 10;
            prop_assert!(found(std::str::from_utf8(&digits).unwrap()).is_empty());
        }
    }
}
