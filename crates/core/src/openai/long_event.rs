//! Parses events that are too long to be buffered, such as images and arguments of many megabytes.

use memchr::{memchr, memchr2};

/// Maximum bytes kept of a name or a finish reason: none of interest is longer.
const MAX_NAME: usize = 128;
/// Maximum bytes kept of an error or of the usage.
const MAX_VALUE: usize = 64 << 10;

/// Extracts the finish reason, the errors and the usage of a chunk byte by byte, and keeps nothing else.
#[derive(Debug, Default)]
pub(super) struct LongEvent {
    at: At,
    /// Number of open arrays and objects.
    depth: usize,
    /// Which of the four outermost containers are objects.
    is_object: [bool; 4],
    /// Whether the next string is a member name.
    is_name: bool,
    /// The names of the current outer value and of the current value within a choice.
    outer: Name,
    inner: Name,
    /// The current string, without its quotes.
    string: Vec<u8>,
    /// The buffer that receives the bytes of the current value.
    capturing: Option<Capture>,
    error: Vec<u8>,
    choice_error: Vec<u8>,
    usage: Vec<u8>,
    finish_reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// At the beginning of a line: the name of the event-stream field is skipped.
    #[default]
    Field,
    /// Between strings.
    Json,
    String,
    Escape,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Name {
    #[default]
    Other,
    Choices,
    FinishReason,
    Error,
    Usage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Capture {
    Error,
    ChoiceError,
    Usage,
}

// === impl LongEvent ===

impl LongEvent {
    /// Parses more bytes of the event, including the names of its event-stream fields.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.at {
                At::Field => {
                    let Some(at) = memchr(b':', bytes) else { return };
                    self.at = At::Json;
                    bytes = &bytes[at + 1..];
                    continue;
                }
                At::Escape => {
                    self.capture(&bytes[..1]);
                    self.string_bytes(&bytes[..1]);
                    self.at = At::String;
                }
                At::String => {
                    let len = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
                    self.string_bytes(&bytes[..len]);
                    self.capture(&bytes[..bytes.len().min(len + 1)]);
                    match bytes.get(len) {
                        Some(b'"') => self.string_ended(),
                        Some(_) => {
                            self.string_bytes(b"\\");
                            self.at = At::Escape;
                        }
                        None => return,
                    }
                    bytes = &bytes[len + 1..];
                    continue;
                }
                At::Json => {
                    // Numbers, words and white space.
                    let plain = bytes.iter().position(is_token).unwrap_or(bytes.len());
                    if plain > 0 {
                        self.capture(&bytes[..plain]);
                        bytes = &bytes[plain..];
                        continue;
                    }
                    self.token(byte);
                }
            }
            bytes = rest;
        }
    }

    /// Returns the finish reason as written in the JSON; never empty.
    pub(super) fn finish_reason(&self) -> Option<&str> {
        self.finish_reason.as_deref()
    }

    /// Returns the value of `error`.
    pub(super) fn error(&self) -> Option<&[u8]> {
        (!self.error.is_empty()).then_some(&self.error)
    }

    /// Returns the value of the `error` of a choice.
    pub(super) fn choice_error(&self) -> Option<&[u8]> {
        (!self.choice_error.is_empty()).then_some(&self.choice_error)
    }

    /// Returns the value of `usage`.
    pub(super) fn usage(&self) -> Option<&[u8]> {
        (!self.usage.is_empty()).then_some(&self.usage)
    }

    fn token(&mut self, byte: u8) {
        match byte {
            b'\n' | b'\r' => self.at = At::Field,
            b'"' => {
                self.capture(b"\"");
                self.string.clear();
                self.at = At::String;
            }
            b'{' | b'[' => {
                self.capture(&[byte]);
                self.depth += 1;
                if let Some(is_object) = self.is_object.get_mut(self.depth) {
                    *is_object = byte == b'{';
                }
                self.is_name = byte == b'{';
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.value_ended(false);
                self.capture(&[byte]);
                self.is_name = false;
            }
            b',' => {
                self.value_ended(true);
                self.capture(b",");
                self.is_name = self.is_object.get(self.depth).copied().unwrap_or_default();
            }
            b':' => {
                self.capture(b":");
                self.is_name = false;
                self.value_begins();
            }
            _ => {}
        }
    }

    /// Stops keeping a value, which ends at a comma or at the closing bracket of the object that contains it.
    fn value_ended(&mut self, is_comma: bool) {
        let within = match self.capturing {
            None => return,
            Some(Capture::Error | Capture::Usage) => 1,
            Some(Capture::ChoiceError) => 3,
        };
        if self.depth < within || (is_comma && self.depth == within) {
            self.capturing = None;
        }
    }

    fn value_begins(&mut self) {
        let kept = match (self.depth, self.outer, self.inner) {
            (1, Name::Error, _) => Capture::Error,
            (1, Name::Usage, _) => Capture::Usage,
            (3, Name::Choices, Name::Error) => Capture::ChoiceError,
            _ => return,
        };
        self.captured(kept).clear();
        self.capturing = Some(kept);
    }

    fn string_bytes(&mut self, bytes: &[u8]) {
        if self.string.len() + bytes.len() <= MAX_NAME {
            self.string.extend_from_slice(bytes);
        }
    }

    fn string_ended(&mut self) {
        self.at = At::Json;
        let name = || match self.string.as_slice() {
            b"choices" => Name::Choices,
            b"finish_reason" => Name::FinishReason,
            b"error" => Name::Error,
            b"usage" => Name::Usage,
            _ => Name::Other,
        };
        match self.depth {
            1 if self.is_name => self.outer = name(),
            3 if self.is_name => self.inner = name(),
            3 if self.outer == Name::Choices && self.inner == Name::FinishReason => {
                let reason = String::from_utf8_lossy(&self.string).into_owned();
                if !matches!(reason.as_str(), "" | "null") {
                    self.finish_reason = Some(reason);
                }
            }
            _ => {}
        }
    }

    fn capture(&mut self, bytes: &[u8]) {
        let Some(kept) = self.capturing else { return };
        let value = self.captured(kept);
        if value.len() + bytes.len() <= MAX_VALUE {
            value.extend_from_slice(bytes);
        }
    }

    fn captured(&mut self, kept: Capture) -> &mut Vec<u8> {
        match kept {
            Capture::Error => &mut self.error,
            Capture::ChoiceError => &mut self.choice_error,
            Capture::Usage => &mut self.usage,
        }
    }
}

/// Returns whether a byte outside of strings must be inspected.
const fn is_token(byte: &u8) -> bool {
    matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':' | b'\n' | b'\r')
}
