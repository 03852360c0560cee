//! Judges a stream while it is passed on, behind a window: an event is held until so many bytes of its text have followed.
//!
//! The beginning of a finding that is longer than the window has been passed on when its end comes. The memory is bounded
//! by the window and by [`MAX_HELD`].

use std::collections::{HashMap, VecDeque};

use bytes::{Bytes, BytesMut};
use signalbox_core::sse::{FrameTooLong, Splitter};

use super::{
    content::Actions,
    stream::{PassedEvent, event, is_last},
};

/// Bytes before the window that are searched with it: they tell where a word begins.
const CONTEXT: usize = 64;
/// Longest finding at the end of a text that may be the beginning of something longer, such as a number.
const MAX_OPEN: usize = 40;
/// Factor of the window after which a text that does not go on counts as ended.
const QUIET: usize = 4;
/// Bytes of an escaped letter, such as `\u0061`, which stands for one byte.
const ESCAPED: usize = 6;
/// Maximum number of texts that go on at the same time.
const MAX_TEXTS: usize = 1_024;
/// Maximum bytes of the events that are held, and of one event.
const MAX_HELD: usize = 16 << 20;

/// Reason why a stream is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It contains something of this kind.
    Found(&'static str),
    /// More than [`MAX_HELD`] bytes would have to be held.
    TooLong,
}

/// A stream behind a window.
#[derive(Debug)]
pub(crate) struct StreamWindow {
    actions: Actions,
    /// Bytes of text that follow an event before it is passed on.
    window: usize,
    splitter: Splitter,
    held: VecDeque<Held>,
    held_bytes: usize,
    texts: HashMap<String, Text>,
    /// Bytes of all texts.
    total: usize,
}

/// An event that is held.
#[derive(Debug)]
struct Held {
    raw: Bytes,
    /// Places of the texts that it continues, and their lengths with it.
    ends: Vec<(String, usize)>,
}

/// A text that goes on from event to event.
#[derive(Debug, Default)]
struct Text {
    /// Its end, as far as it is still searched.
    tail: String,
    /// Bytes without those of escapes.
    len: usize,
    /// Bytes of all texts when it went on.
    touched: usize,
}

// === impl StreamWindow ===

impl StreamWindow {
    /// Creates a window of so many bytes.
    pub(super) fn new(actions: Actions, window: usize) -> Self {
        Self {
            actions,
            window,
            splitter: Splitter::new(MAX_HELD),
            held: VecDeque::new(),
            held_bytes: 0,
            texts: HashMap::new(),
            total: 0,
        }
    }

    /// Takes the next bytes of the stream, and returns those that may be passed on.
    ///
    /// # Errors
    /// Returns why nothing more may be passed on.
    pub(crate) fn push(&mut self, bytes: Bytes) -> Result<Bytes, Stopped> {
        self.splitter.push(bytes);
        let mut out = BytesMut::new();
        while let Some(frame) = self.splitter.next_frame().map_err(|FrameTooLong { .. }| Stopped::TooLong)? {
            if let Some(passed) = event(&frame, self.actions).map_err(Stopped::Found)? {
                self.hold(passed)?;
            }
            if is_last(&frame) {
                self.end(&mut out)?;
            }
        }
        self.release(&mut out)?;
        if self.held_bytes > MAX_HELD {
            return Err(Stopped::TooLong);
        }
        Ok(out.freeze())
    }

    /// Returns what is left at the end of the stream.
    ///
    /// # Errors
    /// Returns why it may not be passed on.
    pub(crate) fn finish(&mut self) -> Result<Bytes, Stopped> {
        let mut out = BytesMut::new();
        while let Some(frame) = self.splitter.finish() {
            if let Some(passed) = event(&frame, self.actions).map_err(Stopped::Found)? {
                self.hold(passed)?;
            }
        }
        self.end(&mut out)?;
        Ok(out.freeze())
    }

    /// Holds an event, and searches the texts that it continues.
    fn hold(&mut self, passed: PassedEvent) -> Result<(), Stopped> {
        let mut ends = Vec::with_capacity(passed.pieces.len());
        for (place, piece) in passed.pieces {
            self.total += piece.len();
            let text = self.texts.entry(place.clone()).or_default();
            // An escape may begin in the event before.
            let begun = text.tail.len().saturating_sub(ESCAPED - 1);
            text.tail.push_str(&piece);
            let escapes = escapes_in(&text.tail.as_bytes()[begun..]);
            text.len = (text.len + piece.len()).saturating_sub((ESCAPED - 1) * escapes);
            text.touched = self.total;
            let end = text.tail.len();
            let is_open = |range: &std::ops::Range<usize>| range.end == end && range.len() <= MAX_OPEN;
            if let Some((_, kind, _)) = self.actions.find(&text.tail).into_iter().find(|(range, ..)| !is_open(range)) {
                return Err(Stopped::Found(kind));
            }
            // Within escaped letters, a window of as many letters is longer.
            let factor = if escapes_in(text.tail.as_bytes()) == 0 { 1 } else { ESCAPED };
            let kept = (self.window + CONTEXT) * factor;
            let cut = text.tail.floor_char_boundary(text.tail.len().saturating_sub(kept));
            text.tail.drain(..cut);
            ends.push((place, text.len));
        }
        self.held_bytes += passed.raw.len();
        self.held.push_back(Held { raw: passed.raw, ends });
        if self.texts.len() > MAX_TEXTS { self.forget_ended() } else { Ok(()) }
    }

    /// Forgets the texts that do not go on.
    fn forget_ended(&mut self) -> Result<(), Stopped> {
        let mut ended = self.texts.values().filter(|text| self.has_ended(text));
        if let Some(kind) = ended.find_map(|text| self.actions.first_in(&text.tail)) {
            return Err(Stopped::Found(kind));
        }
        let (total, quiet) = (self.total, QUIET * self.window);
        self.texts.retain(|_, text| total - text.touched < quiet);
        if self.texts.len() > MAX_TEXTS { Err(Stopped::TooLong) } else { Ok(()) }
    }

    const fn has_ended(&self, text: &Text) -> bool {
        self.total - text.touched >= QUIET * self.window
    }

    /// Releases the events whose texts have gone on for the window, or have ended.
    fn release(&mut self, out: &mut BytesMut) -> Result<(), Stopped> {
        while let Some(first) = self.held.front() {
            for (place, end) in &first.ends {
                let Some(text) = self.texts.get(place) else { continue };
                if text.len.saturating_sub(*end) >= self.window {
                    continue;
                }
                if !self.has_ended(text) {
                    return Ok(());
                }
                // A finding that its end might have begun has not gone on.
                if let Some(kind) = self.actions.first_in(&text.tail) {
                    return Err(Stopped::Found(kind));
                }
            }
            let Some(first) = self.held.pop_front() else { return Ok(()) };
            self.held_bytes -= first.raw.len();
            out.extend_from_slice(&first.raw);
        }
        Ok(())
    }

    /// Releases all events, because no text goes on.
    fn end(&mut self, out: &mut BytesMut) -> Result<(), Stopped> {
        let found = self.texts.values().find_map(|text| self.actions.first_in(&text.tail));
        if let Some(kind) = found {
            return Err(Stopped::Found(kind));
        }
        self.held.drain(..).for_each(|held| out.extend_from_slice(&held.raw));
        self.held_bytes = 0;
        Ok(())
    }
}

/// Returns the number of escaped letters in a text of JSON.
fn escapes_in(text: &[u8]) -> usize {
    let is_escape =
        |at: &usize| text.get(at + 2..at + ESCAPED).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    memchr::memmem::find_iter(text, b"\\u").filter(is_escape).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use signalbox_core::schema::GuardAction;

    use super::*;

    const CARD: &str = "4111 1111 1111 1111";
    const WINDOW: usize = 64;

    fn window() -> StreamWindow {
        let refuse = Some(GuardAction::Refuse);
        StreamWindow::new(Actions { secrets: refuse, cards: refuse }.redacting(), WINDOW)
    }

    fn piece(text: &str) -> String {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{}}}}}]}}\n\n", serde_json::json!(text))
    }

    /// Sends events one by one. Returns what was passed on after each, and at the end.
    fn sent(events: &[String]) -> (String, Result<(), Stopped>) {
        let (mut window, mut out) = (window(), String::new());
        for event in events {
            match window.push(Bytes::from(event.clone())) {
                Ok(bytes) => out.push_str(std::str::from_utf8(&bytes).unwrap()),
                Err(stopped) => return (out, Err(stopped)),
            }
        }
        match window.finish() {
            Ok(bytes) => out.push_str(std::str::from_utf8(&bytes).unwrap()),
            Err(stopped) => return (out, Err(stopped)),
        }
        (out, Ok(()))
    }

    #[test]
    fn a_clean_stream_passes_unchanged_and_behind_the_window_only() {
        let events: Vec<String> = (0..100).map(|n| piece(&format!("word{n:02} "))).collect();
        let mut window = window();
        let mut passed = 0;
        for (n, event) in events.iter().enumerate() {
            passed += window.push(Bytes::from(event.clone())).unwrap().len();
            let most_held = WINDOW / 7 + 2;
            assert!(passed >= events[..n.saturating_sub(most_held)].concat().len(), "{n}: {passed}");
            assert!(passed <= events[..(n + 1).saturating_sub(WINDOW / 7)].concat().len(), "{n}: {passed}");
        }
        assert_eq!(passed + window.finish().unwrap().len(), events.concat().len());
        assert_eq!(sent(&events), (events.concat(), Ok(())));
    }

    #[test]
    fn a_secret_that_is_split_is_found_before_its_beginning_is_passed_on() {
        let key = format!("ghp_{}", "a1B2c3D4e5F6".repeat(3));
        for secret in [CARD, &key] {
            for cut in 1..secret.len() {
                let padding = piece(&"some text ".repeat(20));
                let mut events =
                    vec![padding.clone(), piece(&secret[..cut]), piece(&secret[cut..]), piece(" and more")];
                events.extend(std::iter::repeat_n(padding, 5));
                let (out, stopped) = sent(&events);
                assert!(matches!(stopped, Err(Stopped::Found(_))), "{secret} {cut}");
                assert!(!out.contains(&secret[..cut.min(6)]) || cut < 2, "{cut}: {out}");
            }
            let letters: Vec<String> = secret.chars().map(|letter| piece(&letter.to_string())).collect();
            let (out, stopped) = sent(&letters);
            assert!(out.is_empty() && matches!(stopped, Err(Stopped::Found(_))), "letter by letter, to the end: {out}");
        }
    }

    #[test]
    fn the_window_counts_escaped_letters_as_letters() {
        let key = format!("ghp_{}", "a1B2c3D4e5F6".repeat(3));
        let escaped =
            |text: &str| text.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect::<String>();
        for secret in [escaped(&key), escaped(CARD), escaped(&key[..20]) + &key[20..]] {
            let written = format!("{{\"text\":\"{}{secret}{}\"}}", "padding ".repeat(20), " and more".repeat(60));
            for size in [1, 2, 5, 6, 7, 50, 2_000] {
                let events: Vec<String> =
                    written.as_bytes().chunks(size).map(|chunk| piece(std::str::from_utf8(chunk).unwrap())).collect();
                let (out, stopped) = sent(&events);
                assert!(matches!(stopped, Err(Stopped::Found(_))), "{secret} {size}");
                assert!(!out.contains("u0067") && !out.contains("u0034"), "{size}: {out}");
            }
        }
    }

    #[test]
    fn a_text_with_backslashes_is_not_held() {
        let paths = "C:\\u\\u\\us\\u00 ";
        let events = vec![piece(paths); 100];
        let mut window = window();
        let passed: usize = events.iter().map(|event| window.push(Bytes::from(event.clone())).unwrap().len()).sum();
        assert!(passed > events[..90].concat().len(), "{passed}");
    }

    #[test]
    fn the_last_event_releases_everything() {
        let mut window = window();
        for last in [
            "data: [DONE]\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            "data: {\"type\":\"response.completed\",\"response\":{}}\n\n",
            "data: {\"error\":{\"message\":\"busy\"}}\n\n",
        ] {
            assert_eq!(window.push(piece("short").into()).unwrap(), "");
            assert_eq!(window.push(last.into()).unwrap(), piece("short") + last);
            assert_eq!(window.finish().unwrap(), "", "{last}");
        }
        assert_eq!(window.push(piece("4111 1111 1111 1111").into()).unwrap_err(), Stopped::Found("card number"));
    }

    #[test]
    fn a_number_that_goes_on_is_no_card() {
        let digits: Vec<String> = "4111111111111111222333444".chars().map(|digit| piece(&digit.to_string())).collect();
        assert_eq!(sent(&digits), (digits.concat(), Ok(())));
    }

    #[test]
    fn a_text_that_has_ended_does_not_hold_the_others() {
        let think = |text: &str| format!("data: {{\"type\":\"a\",\"delta\":{{\"thinking\":\"{text}\"}}}}\n\n");
        let mut window = window();
        window.push(think("thoughts").into()).unwrap();
        let mut passed = String::new();
        for _ in 0..80 {
            passed.push_str(std::str::from_utf8(&window.push(piece("a word ").into()).unwrap()).unwrap());
        }
        assert!(passed.starts_with(&think("thoughts")) && passed.contains("a word"), "{passed}");
        let mut window = super::tests::window();
        window.push(think(CARD.split_at(7).0).into()).unwrap();
        window.push(think(CARD.split_at(7).1).into()).unwrap();
        let stopped = (0..80).find_map(|_| window.push(piece("a word ").into()).err());
        assert_eq!(stopped, Some(Stopped::Found("card number")), "also at the end of a text that does not go on");
    }

    #[test]
    fn held_bytes_are_bounded() {
        let mut window = window();
        let filler = format!("data: {{\"x\":\"{}\"}}\n\n", " ".repeat(1 << 20));
        window.push(piece("begin").into()).unwrap();
        let stopped = (0..20).find_map(|_| window.push(filler.clone().into()).err());
        assert_eq!(stopped, Some(Stopped::TooLong));
        let mut many = super::tests::window();
        let text = |n: usize| format!("data: {{\"index\":{n},\"text\":\"x\"}}\n\n");
        assert_eq!((0..3 * MAX_TEXTS).find_map(|n| many.push(text(n).into()).err()), None, "ended texts are forgotten");
        assert!(many.texts.len() <= MAX_TEXTS);
        let endless = super::tests::window().push(Bytes::from(vec![b'x'; MAX_HELD + 1])).unwrap_err();
        assert_eq!(endless, Stopped::TooLong);
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_it_passes_whole_or_is_stopped(
            words in proptest::collection::vec("[a-z ]{1,30}", 1..40),
            with_card in any::<bool>(),
            cuts in proptest::collection::vec(1_usize..50, 1..20),
        ) {
            let mut events: Vec<String> = words.iter().map(|word| piece(word)).collect();
            if with_card {
                let middle = events.len() / 2;
                // Digits behind a letter are no card.
                events.splice(middle..middle, [piece(&format!(" {}", &CARD[..7])), piece(&CARD[7..]), piece(" ")]);
            }
            let (stream, mut window, mut out) = (events.concat(), window(), Vec::new());
            let (mut rest, mut stopped) = (stream.as_bytes(), false);
            for cut in cuts.iter().cycle() {
                let (bytes, left) = rest.split_at((*cut).min(rest.len()));
                rest = left;
                match window.push(Bytes::copy_from_slice(bytes)) {
                    Ok(passed) => out.extend_from_slice(&passed),
                    Err(_) => stopped = true,
                }
                if rest.is_empty() || stopped {
                    break;
                }
            }
            if !stopped {
                match window.finish() {
                    Ok(passed) => out.extend_from_slice(&passed),
                    Err(_) => stopped = true,
                }
            }
            prop_assert_eq!(stopped, with_card);
            prop_assert!(stream.as_bytes().starts_with(&out));
            prop_assert!(stopped || out.len() == stream.len());
            prop_assert!(!String::from_utf8_lossy(&out).contains("4111"));
        }
    }
}
