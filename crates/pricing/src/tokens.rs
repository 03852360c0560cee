//! The classes of tokens.

use serde::{Deserialize, Serialize};

/// A class of tokens. Classes are disjoint: each token of a request belongs to exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Text of the prompt that was neither read from nor written to a cache.
    Input,
    /// Prompt tokens that were read from a cache.
    CacheRead,
    /// Prompt tokens that were written to a cache with the short lifetime: 5 minutes (Anthropic, Bedrock) or 30 minutes
    /// (OpenAI).
    CacheWriteShort,
    /// Prompt tokens that were written to a cache with the long lifetime: 1 hour (Anthropic, Bedrock) or 12 hours
    /// (OpenAI).
    CacheWriteLong,
    /// Audio tokens of the prompt.
    InputAudio,
    /// Image tokens of the prompt.
    InputImage,
    /// Text of the answer, without reasoning.
    Output,
    /// Reasoning tokens, also called thinking tokens.
    Reasoning,
    /// Audio tokens of the answer.
    OutputAudio,
    /// Image tokens of the answer.
    OutputImage,
}

/// Numbers of tokens by class.
///
/// `input + cache_read + cache_write_short + cache_write_long + input_audio + input_image` is the whole prompt, and
/// `output + reasoning + output_audio + output_image` the whole answer. Providers report overlapping counts, which
/// must be subtracted from each other first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// Tokens of [`Class::Input`].
    pub input: u64,
    /// Tokens of [`Class::CacheRead`].
    pub cache_read: u64,
    /// Tokens of [`Class::CacheWriteShort`], and those whose lifetime is not reported.
    pub cache_write_short: u64,
    /// Tokens of [`Class::CacheWriteLong`].
    pub cache_write_long: u64,
    /// Tokens of [`Class::InputAudio`].
    pub input_audio: u64,
    /// Tokens of [`Class::InputImage`].
    pub input_image: u64,
    /// Tokens of [`Class::Output`].
    pub output: u64,
    /// Tokens of [`Class::Reasoning`].
    pub reasoning: u64,
    /// Tokens of [`Class::OutputAudio`].
    pub output_audio: u64,
    /// Tokens of [`Class::OutputImage`].
    pub output_image: u64,
}

// === impl Class ===

impl Class {
    /// Number of classes.
    pub const COUNT: usize = 10;

    /// All classes; those of the prompt come first.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWriteShort,
        Self::CacheWriteLong,
        Self::InputAudio,
        Self::InputImage,
        Self::Output,
        Self::Reasoning,
        Self::OutputAudio,
        Self::OutputImage,
    ];

    /// Returns the key of the class in price documents.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Input => "in",
            Self::CacheRead => "cr",
            Self::CacheWriteShort => "cw_s",
            Self::CacheWriteLong => "cw_l",
            Self::InputAudio => "in_audio",
            Self::InputImage => "in_image",
            Self::Output => "out",
            Self::Reasoning => "rs",
            Self::OutputAudio => "out_audio",
            Self::OutputImage => "out_image",
        }
    }

    /// Returns the class of a key of price documents.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.key() == key)
    }

    /// Returns the name of the class for people, in the plural: `cache read tokens`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Input => "input tokens",
            Self::CacheRead => "cache read tokens",
            Self::CacheWriteShort => "cache write tokens (short lifetime)",
            Self::CacheWriteLong => "cache write tokens (long lifetime)",
            Self::InputAudio => "audio input tokens",
            Self::InputImage => "image input tokens",
            Self::Output => "output tokens",
            Self::Reasoning => "reasoning tokens",
            Self::OutputAudio => "audio output tokens",
            Self::OutputImage => "image output tokens",
        }
    }

    /// Returns whether the tokens are part of the prompt.
    #[must_use]
    pub const fn is_input(self) -> bool {
        !matches!(self, Self::Output | Self::Reasoning | Self::OutputAudio | Self::OutputImage)
    }
}

// === impl Tokens ===

impl Tokens {
    /// Returns the number of tokens of a class.
    #[must_use]
    pub const fn get(&self, class: Class) -> u64 {
        match class {
            Class::Input => self.input,
            Class::CacheRead => self.cache_read,
            Class::CacheWriteShort => self.cache_write_short,
            Class::CacheWriteLong => self.cache_write_long,
            Class::InputAudio => self.input_audio,
            Class::InputImage => self.input_image,
            Class::Output => self.output,
            Class::Reasoning => self.reasoning,
            Class::OutputAudio => self.output_audio,
            Class::OutputImage => self.output_image,
        }
    }

    /// Sets the number of tokens of a class.
    pub const fn set(&mut self, class: Class, count: u64) {
        let field = match class {
            Class::Input => &mut self.input,
            Class::CacheRead => &mut self.cache_read,
            Class::CacheWriteShort => &mut self.cache_write_short,
            Class::CacheWriteLong => &mut self.cache_write_long,
            Class::InputAudio => &mut self.input_audio,
            Class::InputImage => &mut self.input_image,
            Class::Output => &mut self.output,
            Class::Reasoning => &mut self.reasoning,
            Class::OutputAudio => &mut self.output_audio,
            Class::OutputImage => &mut self.output_image,
        };
        *field = count;
    }

    /// Returns the number of prompt tokens, which decides about thresholds. The sum of `u64` counts always fits.
    #[must_use]
    pub fn prompt(&self) -> u128 {
        self.sum(Class::is_input)
    }

    /// Returns the number of tokens of the answer.
    #[must_use]
    pub fn completion(&self) -> u128 {
        self.sum(|class| !class.is_input())
    }

    /// Returns the number of all tokens.
    #[must_use]
    pub fn total(&self) -> u128 {
        self.sum(|_| true)
    }

    fn sum(&self, has: impl Fn(Class) -> bool) -> u128 {
        Class::ALL.into_iter().filter(|class| has(*class)).map(|class| u128::from(self.get(class))).sum()
    }
}
