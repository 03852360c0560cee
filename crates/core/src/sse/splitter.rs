//! Splits a stream into events.

use std::{borrow::Cow, collections::VecDeque};

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr2;

/// The bytes of one event, including the blank line at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Bytes);

/// An event exceeded the size limit before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooLong {
    /// The limit in bytes.
    pub limit: usize,
}

/// Splits a stream into [`Frame`]s: [`push`](Self::push) adds bytes as they arrive, [`next_frame`](Self::next_frame)
/// takes complete frames at any time.
#[derive(Debug)]
pub struct Splitter {
    limit: usize,
    /// The beginning of a frame whose end has not arrived yet.
    carry: BytesMut,
    /// The bytes that are being scanned; everything before `pos` has been scanned.
    chunk: Bytes,
    pos: usize,
    /// Bytes that were pushed before all frames of `chunk` had been taken.
    unread: VecDeque<Bytes>,
    line: Line,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// No byte of the line has been read.
    Start,
    /// Like `Start`, but the previous line ended in CR, so that a LF still belongs to that line.
    StartAfterCr,
    /// The line has content.
    Content,
    /// A blank line ended in CR: the frame is complete, but a following LF still belongs to it.
    BlankCr,
}

// === impl Splitter ===

impl Splitter {
    /// Creates a splitter that refuses frames of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, carry: BytesMut::new(), chunk: Bytes::new(), pos: 0, unread: VecDeque::new(), line: Line::Start }
    }

    /// Adds the next bytes of the stream. Frames that have not been taken yet are kept and returned first.
    pub fn push(&mut self, bytes: Bytes) {
        if self.chunk.is_empty() && self.unread.is_empty() {
            self.chunk = bytes;
        } else if !bytes.is_empty() {
            self.unread.push_back(bytes);
        }
    }

    /// Returns the next complete frame; `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`FrameTooLong`] if the unfinished frame exceeds the limit; the splitter cannot continue after that.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameTooLong> {
        loop {
            if let Some(frame) = self.scan() {
                return Ok(Some(frame));
            }
            self.carry.extend_from_slice(&self.chunk);
            self.pos = 0;
            self.chunk = self.unread.pop_front().unwrap_or_default();
            if self.carry.len() > self.limit {
                return Err(FrameTooLong { limit: self.limit });
            }
            if self.chunk.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Returns the next remaining frame after the end of the stream; `None` if all have been taken. The standard
    /// discards an event without a blank line; some providers omit the last blank line, so such an event is returned.
    #[must_use]
    pub fn finish(&mut self) -> Option<Frame> {
        loop {
            match self.next_frame() {
                Ok(Some(frame)) => return Some(frame),
                // The limit only applies to frames that still grow.
                Err(FrameTooLong { .. }) if !self.chunk.is_empty() => {}
                Ok(None) | Err(FrameTooLong { .. }) => break,
            }
        }
        self.line = Line::Start;
        (!self.carry.is_empty()).then(|| Frame(self.carry.split().freeze()))
    }

    /// Scans the chunk for the end of a frame.
    fn scan(&mut self) -> Option<Frame> {
        while let Some(&byte) = self.chunk.get(self.pos) {
            match self.line {
                Line::BlankCr => {
                    self.pos += usize::from(byte == b'\n');
                    return Some(self.cut());
                }
                Line::StartAfterCr if byte == b'\n' => {
                    self.pos += 1;
                    self.line = Line::Start;
                }
                Line::Start | Line::StartAfterCr if byte == b'\n' => {
                    self.pos += 1;
                    return Some(self.cut());
                }
                Line::Start | Line::StartAfterCr if byte == b'\r' => {
                    self.pos += 1;
                    self.line = Line::BlankCr;
                }
                Line::Start | Line::StartAfterCr | Line::Content => {
                    match memchr2(b'\r', b'\n', &self.chunk[self.pos..]) {
                        Some(at) => {
                            self.pos += at + 1;
                            self.line =
                                if self.chunk[self.pos - 1] == b'\r' { Line::StartAfterCr } else { Line::Start };
                        }
                        None => {
                            self.pos = self.chunk.len();
                            self.line = Line::Content;
                        }
                    }
                }
            }
        }
        None
    }

    fn cut(&mut self) -> Frame {
        let raw = if self.carry.is_empty() {
            self.chunk.split_to(self.pos)
        } else {
            self.carry.extend_from_slice(&self.chunk[..self.pos]);
            self.chunk.advance(self.pos);
            self.carry.split().freeze()
        };
        self.pos = 0;
        self.line = Line::Start;
        Frame(raw)
    }
}

// === impl Frame ===

impl Frame {
    /// Returns the unchanged bytes of the frame.
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.0
    }

    /// Returns the value of the `data` field, several lines joined by LF; `None` if the frame has no such field (a
    /// comment, a blank line).
    #[must_use]
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        data(&self.0)
    }

    /// Returns the value of the `event` field, the last one if there are several.
    #[must_use]
    pub fn event(&self) -> Option<&[u8]> {
        fields(&self.0).filter_map(|(name, value)| (name == b"event").then_some(value)).last()
    }

    /// Returns whether this is OpenAI's end-of-stream event.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.data().is_some_and(|data| data.trim_ascii() == b"[DONE]")
    }
}

/// Like [`Frame::data`], for the bytes of a frame.
pub(crate) fn data(frame: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut data: Option<Cow<'_, [u8]>> = None;
    for value in fields(frame).filter_map(|(name, value)| (name == b"data").then_some(value)) {
        data = Some(match data {
            None => Cow::Borrowed(value),
            Some(before) => {
                let mut joined = before.into_owned();
                joined.push(b'\n');
                joined.extend_from_slice(value);
                Cow::Owned(joined)
            }
        });
    }
    data
}

/// Returns the fields of a frame as (name, value), with one leading space of the value removed.
pub(crate) fn fields(frame: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let text = frame.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(frame);
    text.split(|&b| b == b'\n' || b == b'\r').filter(|line| !line.is_empty()).map(|line| {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(pieces: &[&[u8]]) -> Vec<Frame> {
        lazily(pieces, &[usize::MAX])
    }

    /// Takes as many frames after each piece as `takes` says, in turn, and the remaining frames at the end.
    fn lazily(pieces: &[&[u8]], takes: &[usize]) -> Vec<Frame> {
        let mut splitter = Splitter::new(1 << 20);
        let mut frames = Vec::new();
        for (piece, take) in pieces.iter().zip(takes.iter().cycle()) {
            splitter.push(Bytes::copy_from_slice(piece));
            for _ in 0..*take {
                let Some(frame) = splitter.next_frame().unwrap() else { break };
                frames.push(frame);
            }
        }
        while let Some(frame) = splitter.finish() {
            frames.push(frame);
        }
        frames
    }

    fn data_of(frame: &Frame) -> String {
        String::from_utf8(frame.data().unwrap_or_default().into_owned()).unwrap()
    }

    #[test]
    fn parses_the_examples_of_the_standard() {
        let stream = b"\xEF\xBB\xBFdata: one\n\n: keep-alive\n\nevent: x\r\ndata:two\r\ndata:  three\r\n\r\ndata: four\r\rdata: [DONE]\n\n";
        let frames = frames(&[stream]);
        let texts: Vec<String> = frames.iter().map(data_of).collect();
        assert_eq!(texts, ["one", "", "two\n three", "four", "[DONE]"]);
        assert_eq!(frames[1].data(), None);
        assert!(frames[4].is_done() && !frames[0].is_done());
    }

    #[test]
    fn a_missing_final_blank_line_is_tolerated() {
        assert!(frames(&[b"data: [DONE]"])[0].is_done());
    }

    #[test]
    fn an_event_has_a_name() {
        let named = &frames(&[b"event: error\ndata: x\n\n"])[0];
        assert_eq!((named.event(), frames(&[b"data: x\n\n"])[0].event()), (Some(b"error".as_slice()), None));
    }

    #[test]
    fn an_endless_frame_is_refused() {
        let mut splitter = Splitter::new(8);
        splitter.push(Bytes::from_static(b"data: 12345"));
        assert_eq!(splitter.next_frame(), Err(FrameTooLong { limit: 8 }));
    }

    #[test]
    fn pending_frames_come_before_pushed_ones() {
        let mut splitter = Splitter::new(64);
        splitter.push(Bytes::from_static(b"data: a\n\ndata: b\n\ndata: c\n\n"));
        let mut texts = Vec::new();
        while let Some(frame) = splitter.next_frame().unwrap() {
            texts.push(data_of(&frame));
            splitter.push(Bytes::new());
            if texts.len() == 2 {
                splitter.push(Bytes::from_static(b"data: d\n\nda"));
                splitter.push(Bytes::from_static(b"ta: e"));
            }
        }
        assert_eq!(texts, ["a", "b", "c", "d"]);
        assert_eq!(splitter.finish().map(|frame| data_of(&frame)).as_deref(), Some("e"));
        assert_eq!(splitter.finish(), None);
    }

    #[test]
    fn many_data_lines_take_linear_time() {
        let lines = format!("{}\n", "data:x\n".repeat(1 << 17));
        let frames = frames(&[lines.as_bytes()]);
        assert_eq!(frames[0].data().unwrap().len(), (2 << 17) - 1);
    }

    #[test]
    fn a_frame_within_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
        let mut splitter = Splitter::new(64);
        splitter.push(chunk.clone());
        let frame = splitter.next_frame().unwrap().unwrap();
        assert_eq!(frame.raw().as_ptr(), chunk.as_ptr());
    }

    /// Generates streams of every token that is hard to frame.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            Just(b"\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"data: [DONE]".to_vec()),
            Just(b"data:x".to_vec()),
            Just(b": comment".to_vec()),
            Just("data: \u{1F600}é".as_bytes().to_vec()),
            Just(vec![0xFF, 0x00]),
        ];
        proptest::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn splitting_the_input_gives_the_same_frames(stream in streams()) {
            let whole = frames(&[&stream]);
            let joined: Vec<u8> = whole.iter().flat_map(|f| f.raw().to_vec()).collect();
            prop_assert_eq!(&joined, &stream);
            for at in 0..=stream.len() {
                prop_assert_eq!(&frames(&[&stream[..at], &stream[at..]]), &whole);
            }
        }

        #[test]
        fn frames_do_not_depend_on_when_they_are_taken(
            stream in streams(), size in 1_usize..40, takes in prop::collection::vec(prop_oneof![Just(0_usize), 1_usize..4], 1..6),
        ) {
            let pieces: Vec<&[u8]> = stream.chunks(size).collect();
            prop_assert_eq!(lazily(&pieces, &takes), frames(&[&stream]));
        }

        #[test]
        fn bytewise_input_gives_the_same_frames(stream in streams()) {
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(frames(&bytes), frames(&[&stream]));
        }
    }
}
