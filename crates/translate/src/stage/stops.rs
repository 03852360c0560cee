//! Cuts an answer at stop sequences that the provider does not take.

use std::collections::BTreeSet;

use crate::hub::{Delta, Event, Finish, FinishReason, Opening};

/// Looks for stop sequences in the text of an answer, across deltas, and ends the answer before the first one.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    stops: Vec<String>,
    /// The text block that is searched, and its end so far, which may be the beginning of a stop sequence.
    held: Option<(u32, String)>,
    texts: BTreeSet<u32>,
    is_cut: bool,
}

// === impl Stops ===

impl Stops {
    pub(crate) fn new(mut stops: Vec<String>) -> Self {
        stops.retain(|stop| !stop.is_empty());
        Self { stops, ..Self::default() }
    }

    /// Returns whether a stop sequence was found, so that the provider's answer is of no use any more.
    pub(crate) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(crate) fn push(&mut self, event: Event, out: &mut Vec<Event>) {
        if self.stops.is_empty() {
            return out.push(event);
        }
        if self.is_cut {
            return;
        }
        match event {
            Event::Open { block, opening: opening @ Opening::Text { .. } } => {
                self.texts.insert(block);
                out.push(Event::Open { block, opening });
            }
            Event::Delta { block, delta: Delta::Text(text) } if self.texts.contains(&block) => {
                self.text(block, &text, out);
            }
            Event::Close { block } => {
                if self.held.as_ref().is_some_and(|(held, _)| *held == block) {
                    self.flush(out);
                }
                out.push(Event::Close { block });
            }
            event @ Event::Finish(_) => {
                self.flush(out);
                out.push(event);
            }
            event => out.push(event),
        }
    }

    fn text(&mut self, block: u32, text: &str, out: &mut Vec<Event>) {
        if self.held.as_ref().is_some_and(|(held, _)| *held != block) {
            self.flush(out);
        }
        let mut all = self.held.take().map(|(_, held)| held).unwrap_or_default();
        all.push_str(text);
        let found =
            self.stops.iter().filter_map(|stop| Some((all.find(stop.as_str())?, stop))).min_by_key(|found| found.0);
        if let Some((at, stop)) = found {
            let stop = stop.clone();
            all.truncate(at);
            send(block, all, out);
            out.push(Event::Close { block });
            let reason = FinishReason::StopSequence;
            out.push(Event::Finish(Finish { stop_sequence: Some(stop), ..Finish::new(reason) }));
            self.is_cut = true;
            return;
        }
        let keep = self.stops.iter().map(|stop| overlap(&all, stop)).max().unwrap_or_default();
        let held = all.split_off(all.len() - keep);
        send(block, all, out);
        if !held.is_empty() {
            self.held = Some((block, held));
        }
    }

    fn flush(&mut self, out: &mut Vec<Event>) {
        if let Some((block, held)) = self.held.take() {
            send(block, held, out);
        }
    }
}

fn send(block: u32, text: String, out: &mut Vec<Event>) {
    if !text.is_empty() {
        out.push(Event::Delta { block, delta: Delta::Text(text) });
    }
}

/// Returns the length of the longest end of `text` that is a proper beginning of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let mut lengths = stop.char_indices().map(|(at, _)| at).rev();
    lengths.find(|len| stop.get(..*len).is_some_and(|start| text.ends_with(start))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut stage = Stops::new(stops.iter().map(|stop| (*stop).to_owned()).collect());
        let mut out = Vec::new();
        stage.push(Event::Open { block: 0, opening: Opening::Text { phase: None } }, &mut out);
        for piece in pieces {
            stage.push(Event::Delta { block: 0, delta: Delta::Text((*piece).to_owned()) }, &mut out);
        }
        stage.push(Event::Close { block: 0 }, &mut out);
        stage.push(Event::Finish(Finish::default()), &mut out);
        let texts = out.iter().filter_map(|event| match event {
            Event::Delta { delta: Delta::Text(text), .. } => Some(text.as_str()),
            _ => None,
        });
        let found = matches!(out.last(), Some(Event::Finish(finish)) if finish.stop_sequence.is_some());
        (texts.collect(), found && stage.is_cut())
    }

    #[test]
    fn stop_sequences_are_found_across_deltas() {
        assert_eq!(run(&["</x>"], &["ab<", "/x", ">cd", "ef"]), ("ab".into(), true));
        assert_eq!(run(&["</x>"], &["ab</", "y>"]), ("ab</y>".into(), false));
        assert_eq!(run(&["\u{E9}\u{E9}"], &["a\u{E9}", "b\u{E9}"]), ("a\u{E9}b\u{E9}".into(), false));
        assert_eq!(run(&["bc", "abc"], &["xab", "c"]), ("x".into(), true));
    }
}
