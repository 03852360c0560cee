//! Text of an answer that a client has received, and its comparison with another answer.

use super::pieces::{Event, Piece};

/// Maximum bytes of text that are remembered; a longer answer is not continued.
const MAX_TEXT: usize = 4 << 20;

/// Text that a client has received.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pieces: Vec<Piece>,
    text: usize,
    is_finished: bool,
    /// Whether it has a part that cannot be compared.
    has_other: bool,
}

/// Position of another answer within what the client has received.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    piece: usize,
    /// Bytes of the text of that piece.
    bytes: usize,
}

/// Result for one event of the other answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// The client has all of it.
    Had,
    /// The client has nothing of it, and everything before it.
    New,
    /// The client has the parts before this one, and of its text all but this rest.
    Rest(usize, String),
    /// It differs from what the client has.
    Differs,
}

// === impl Heard ===

impl Heard {
    /// Adds parts that were sent to the client.
    pub(super) fn add(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            match piece {
                Piece::Finish => self.is_finished = true,
                Piece::Other => self.has_other = true,
                _ if self.has_other => {}
                Piece::Mark(_) | Piece::Signature(_) => self.pieces.push(piece.clone()),
                Piece::Text { channel, text } => self.add_text(channel, text),
            }
        }
        if self.has_other || self.text > MAX_TEXT {
            self.has_other = true;
            self.pieces = Vec::new();
        }
    }

    fn add_text(&mut self, channel: &str, text: &str) {
        self.text += text.len();
        match self.pieces.last_mut() {
            Some(Piece::Text { channel: last, text: before }) if last == channel => before.push_str(text),
            _ => self.pieces.push(Piece::Text { channel: channel.to_owned(), text: text.to_owned() }),
        }
    }

    /// Returns whether another answer may continue this one.
    pub(super) const fn can_continue(&self) -> bool {
        !self.has_other && !self.is_finished
    }

    /// Returns whether the answer is finished.
    pub(super) const fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Compares an event of another answer with what follows at this position, and advances it.
    pub(super) fn compare(&self, at: &mut Position, event: &Event) -> Compared {
        for (n, piece) in event.pieces.iter().enumerate() {
            // A provider need not sign its thinking.
            if !matches!(piece, Piece::Signature(_)) && matches!(self.pieces.get(at.piece), Some(Piece::Signature(_))) {
                at.piece += 1;
            }
            // Nor need it announce the parts of an item.
            match self.pieces.get(at.piece) {
                Some(expected) if expected.is_announcement() && matches!(piece, Piece::Text { .. }) => at.piece += 1,
                Some(expected) if piece.is_announcement() && piece != expected => continue,
                _ => {}
            }
            let Some(expected) = self.pieces.get(at.piece) else {
                return if n == 0 { Compared::New } else { rest_of(event, n) };
            };
            match (piece, expected) {
                // Signatures are new each time, and the client may have one.
                (Piece::Signature(index), Piece::Signature(expected)) if index == expected => at.piece += 1,
                (Piece::Signature(_), _) => {}
                (Piece::Mark(mark), Piece::Mark(expected)) if mark == expected => at.piece += 1,
                (Piece::Text { channel, text }, Piece::Text { channel: expected_channel, text: expected })
                    if channel == expected_channel =>
                {
                    let left = expected.get(at.bytes..).unwrap_or_default();
                    if let Some(rest) = text.strip_prefix(left) {
                        at.piece += 1;
                        at.bytes = 0;
                        if rest.is_empty() {
                            continue;
                        }
                        let is_last = at.piece == self.pieces.len();
                        return if is_last { Compared::Rest(n, rest.to_owned()) } else { Compared::Differs };
                    }
                    if !left.starts_with(text.as_str()) {
                        return Compared::Differs;
                    }
                    at.bytes += text.len();
                }
                _ => return Compared::Differs,
            }
        }
        Compared::Had
    }
}

/// Returns the rest of an event whose parts before the one with the number `n` the client has.
fn rest_of(event: &Event, n: usize) -> Compared {
    match &event.pieces[n] {
        Piece::Text { text, .. } => Compared::Rest(n, text.clone()),
        // A finish beside text that the client has.
        _ => Compared::Rest(n, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(channel: &str, text: &str) -> Piece {
        Piece::Text { channel: channel.to_owned(), text: text.to_owned() }
    }

    fn mark(name: &str) -> Piece {
        Piece::Mark(name.to_owned())
    }

    fn event(pieces: &[Piece]) -> Event {
        Event { pieces: pieces.to_vec(), value: serde_json::Value::Null }
    }

    fn heard(pieces: &[Piece]) -> Heard {
        let mut heard = Heard::default();
        heard.add(pieces);
        heard
    }

    /// Compares the events of another answer one after the other.
    fn compared(heard: &Heard, events: &[&[Piece]]) -> Vec<Compared> {
        let mut at = Position::default();
        events.iter().map(|pieces| heard.compare(&mut at, &event(pieces))).collect()
    }

    #[test]
    fn equal_text_in_other_pieces_is_suppressed_up_to_its_end() {
        let heard = heard(&[mark("start"), said("t", "one "), said("t", "two")]);
        let rest = |text: &str| Compared::Rest(0, text.to_owned());
        assert_eq!(
            compared(&heard, &[&[mark("start")], &[said("t", "o")], &[said("t", "ne two th")]]),
            [Compared::Had, Compared::Had, rest(" th")]
        );
        assert_eq!(
            compared(&heard, &[&[mark("start")], &[said("t", "one two")], &[said("t", " three")], &[mark("stop")]]),
            [Compared::Had, Compared::Had, Compared::New, Compared::New]
        );
    }

    #[test]
    fn the_first_difference_is_found() {
        let heard = heard(&[mark("start"), said("t", "one two")]);
        for events in [
            &[&[mark("start")][..], &[said("t", "one tow")]][..],
            &[&[mark("other")]],
            &[&[mark("start")], &[said("u", "one")]],
            &[&[mark("start")], &[said("t", "one")], &[mark("stop")]],
            &[&[mark("start")], &[said("t", "one")], &[Piece::Finish]],
            &[&[mark("start")], &[Piece::Other]],
        ] {
            assert_eq!(compared(&heard, events).last(), Some(&Compared::Differs), "{events:?}");
        }
    }

    #[test]
    fn text_that_goes_on_where_the_client_has_its_end_differs() {
        let heard = heard(&[said("t", "one"), mark("stop")]);
        assert_eq!(compared(&heard, &[&[said("t", "one more")]]), [Compared::Differs]);
    }

    #[test]
    fn a_finish_beside_known_text_is_new() {
        let heard = heard(&[said("t", "one")]);
        assert_eq!(compared(&heard, &[&[said("t", "one"), Piece::Finish]]), [Compared::Rest(1, String::new())]);
    }

    #[test]
    fn a_signature_comes_once_and_may_be_missing() {
        let signature = Piece::Signature("0".to_owned());
        let (thought, stop) = (said("t", "one"), mark("stop"));
        let before = heard(std::slice::from_ref(&thought));
        let events: [&[Piece]; 3] = [&thought, &signature, &stop].map(std::slice::from_ref);
        assert_eq!(compared(&before, &events), [Compared::Had, Compared::New, Compared::New]);
        let signed = heard(&[thought.clone(), signature.clone()]);
        assert_eq!(compared(&signed, &events), [Compared::Had, Compared::Had, Compared::New]);
        assert_eq!(compared(&signed, &[events[0], events[2]]), [Compared::Had, Compared::New]);
        let closed = heard(&[thought.clone(), signature.clone(), stop.clone()]);
        assert_eq!(compared(&closed, &events), [Compared::Had, Compared::Had, Compared::Had]);
        assert_eq!(compared(&closed, &[events[0], events[2]]), [Compared::Had, Compared::Had]);
        let unsigned = heard(&[thought.clone(), stop.clone()]);
        assert_eq!(compared(&unsigned, &events), [Compared::Had, Compared::Had, Compared::Had]);
    }

    #[test]
    fn the_announcement_of_a_part_may_be_missing() {
        let (item, part) = (mark("response.output_item.added:0:0"), mark("response.content_part.added:0:0"));
        let (text, rest) = (said("t", "one "), said("t", "one two"));
        let full = heard(&[item.clone(), part.clone(), text.clone()]);
        let sparse = heard(&[item.clone(), text]);
        let two = Compared::Rest(0, "two".to_owned());
        for (heard, events) in [
            (&full, &[&item, &rest][..]),
            (&full, &[&item, &part, &rest]),
            (&sparse, &[&item, &part, &rest]),
            (&sparse, &[&item, &rest]),
        ] {
            let events: Vec<&[Piece]> = events.iter().map(|piece| std::slice::from_ref(*piece)).collect();
            assert_eq!(compared(heard, &events).last(), Some(&two), "{events:?}");
        }
        // Another item is another answer.
        let other = mark("response.output_item.added:1:0");
        assert_eq!(compared(&full, &[std::slice::from_ref(&other)]), [Compared::Differs]);
    }

    #[test]
    fn the_finish_after_a_tool_call_is_noticed() {
        let mut heard = heard(&[said("t", "one"), Piece::Other]);
        assert!(!heard.is_finished());
        heard.add(&[Piece::Finish]);
        assert!(heard.is_finished() && !heard.can_continue());
    }

    #[test]
    fn tool_calls_and_finished_answers_are_not_continued() {
        assert!(heard(&[said("t", "one")]).can_continue());
        assert!(!heard(&[said("t", "one"), Piece::Other]).can_continue());
        assert!(!heard(&[said("t", "one"), Piece::Finish]).can_continue());
        let mut long = Heard::default();
        for _ in 0..=(MAX_TEXT >> 20) {
            long.add(&[said("t", &"x".repeat(1 << 20))]);
        }
        assert!(!long.can_continue());
    }
}
