//! Prices of tokens, and how they depend on the length of the prompt.

use crate::{Class, Missing, Parts, Tokens};

/// The order in which classes are assumed to follow each other in a prompt: a cached prefix, what was appended to it,
/// then the rest. It matters only for [`Applies::Excess`].
const PROMPT_ORDER: [Class; 6] = [
    Class::CacheRead,
    Class::CacheWriteLong,
    Class::CacheWriteShort,
    Class::Input,
    Class::InputImage,
    Class::InputAudio,
];

/// Prices by class of token, in pico-dollars per token. One dollar per million tokens is 1,000,000 pico-dollars per
/// token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates([Option<u64>; Class::COUNT]);

/// Prices of prompts above a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// The longest prompt, in tokens, to which these prices do not apply yet.
    pub input_above: u64,
    /// The prices.
    pub rates: Rates,
}

/// The tokens to which the prices of a [`Threshold`] apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Applies {
    /// All tokens of a request whose prompt is above the threshold.
    #[default]
    Request,
    /// The prompt tokens above the threshold. The answer always has the prices below it.
    Excess,
}

/// The prices of one service tier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Prices of short prompts.
    pub(crate) base: Rates,
    /// Prices of longer prompts; thresholds ascend.
    pub(crate) over: Vec<Threshold>,
    /// The tokens to which the thresholds apply.
    pub(crate) applies: Applies,
}

/// Pico-dollars by class.
pub(crate) type Amounts = [u128; Class::COUNT];

// === impl Rates ===

impl Rates {
    /// Prices of a free model.
    pub(crate) const FREE: Self = Self([Some(0); Class::COUNT]);

    /// Returns the pico-dollars per token, or `None` if the price is unknown. Reasoning without a price of its own has
    /// that of other output; no other class is derived from another.
    #[must_use]
    pub const fn get(&self, class: Class) -> Option<u64> {
        match (self.own(class), class) {
            (None, Class::Reasoning) => self.own(Class::Output),
            (price, _) => price,
        }
    }

    /// Returns the price that was given for exactly this class.
    pub(crate) const fn own(&self, class: Class) -> Option<u64> {
        self.0[class as usize]
    }

    pub(crate) const fn set(&mut self, class: Class, picos: Option<u64>) {
        self.0[class as usize] = picos;
    }

    /// Multiplies all prices by `numerator / denominator`. Returns `None` if a result is not a whole number of
    /// pico-dollars, or too large.
    pub(crate) fn scaled(&self, numerator: u64, denominator: u64) -> Option<Self> {
        let mut scaled = Self::default();
        for class in Class::ALL {
            let Some(price) = self.own(class) else { continue };
            let product = price.checked_mul(numerator)?;
            if product.checked_rem(denominator)? != 0 {
                return None;
            }
            scaled.set(class, product.checked_div(denominator));
        }
        Some(scaled)
    }

    /// Returns the highest known price of some classes, and the first class that has it.
    fn highest(&self, classes: &[Class]) -> Option<(Class, u64)> {
        classes.iter().rev().filter_map(|class| Some((*class, self.get(*class)?))).max_by_key(|(_, price)| *price)
    }
}

// === impl Schedule ===

impl Schedule {
    /// Prices of a free model.
    pub(crate) fn free() -> Self {
        Self { base: Rates::FREE, ..Self::default() }
    }

    /// Returns the prices below the first threshold.
    #[must_use]
    pub const fn base(&self) -> &Rates {
        &self.base
    }

    /// Returns the thresholds, in ascending order.
    #[must_use]
    pub fn thresholds(&self) -> &[Threshold] {
        &self.over
    }

    /// Returns the tokens to which the thresholds apply.
    #[must_use]
    pub const fn applies(&self) -> Applies {
        self.applies
    }

    /// Computes the amounts of the tokens. Classes without a price are added to `missing`.
    ///
    /// # Errors
    /// Returns an error if an amount cannot be represented.
    pub(crate) fn charge(&self, tokens: &Tokens, missing: &mut Parts) -> Result<Amounts, Missing> {
        let mut amounts = [0; Class::COUNT];
        match self.applies {
            Applies::Request => {
                let rates = self.rates_of(tokens.prompt());
                for class in Class::ALL {
                    add(&mut amounts, class, tokens.get(class), rates, missing)?;
                }
            }
            Applies::Excess => {
                self.charge_prompt_by_position(tokens, &mut amounts, missing)?;
                for class in Class::ALL.into_iter().filter(|class| !class.is_input()) {
                    add(&mut amounts, class, tokens.get(class), &self.base, missing)?;
                }
            }
        }
        Ok(amounts)
    }

    /// Returns the prices of a request with a prompt of a length.
    fn rates_of(&self, prompt: u128) -> &Rates {
        let is_above = |threshold: &&Threshold| prompt > u128::from(threshold.input_above);
        self.over.iter().rev().find(is_above).map_or(&self.base, |threshold| &threshold.rates)
    }

    /// Charges each prompt token with the prices at its position.
    fn charge_prompt_by_position(
        &self,
        tokens: &Tokens,
        amounts: &mut Amounts,
        missing: &mut Parts,
    ) -> Result<(), Missing> {
        let mut thresholds = self.over.iter().peekable();
        let (mut rates, mut position) = (&self.base, 0_u64);
        for class in PROMPT_ORDER {
            let mut count = tokens.get(class);
            while count > 0 {
                let part = match thresholds.peek() {
                    Some(next) => count.min(next.input_above.saturating_sub(position)),
                    None => count,
                };
                add(amounts, class, part, rates, missing)?;
                count -= part;
                // Above the last threshold, the position does not matter any more.
                position = position.saturating_add(part);
                if count > 0 {
                    rates = thresholds.next().map_or(rates, |threshold| &threshold.rates);
                }
            }
        }
        Ok(())
    }

    /// Computes an upper bound for a prompt of at most `input` tokens. Each side of the request has a number of tokens
    /// and the classes that they may have, of which the highest price counts. The amounts are in the classes with those
    /// prices.
    ///
    /// # Errors
    /// Returns the first class of each side that has no price.
    pub(crate) fn bound(&self, sides: [(u64, &[Class]); 2], input: u64) -> Result<Amounts, Missing> {
        let (mut amounts, mut missing) = ([0; Class::COUNT], Parts::default());
        for (count, classes) in sides {
            let reachable = self.over.iter().filter(|threshold| input > threshold.input_above);
            let mut highest: Option<(Class, u64)> = None;
            for rates in std::iter::once(&self.base).chain(reachable.map(|threshold| &threshold.rates)) {
                // Without the price of plain text, the others are no bound.
                if count > 0 && rates.get(classes[0]).is_none() {
                    missing.insert(classes[0]);
                }
                let found = rates.highest(classes);
                highest = found.into_iter().chain(highest).max_by_key(|(_, price)| *price);
            }
            if let Some((class, price)) = highest {
                amounts[class as usize] = u128::from(count) * u128::from(price);
            }
        }
        if missing.is_empty() { Ok(amounts) } else { Err(Missing::Parts(missing)) }
    }
}

/// Adds the amount of some tokens of a class.
fn add(amounts: &mut Amounts, class: Class, count: u64, rates: &Rates, missing: &mut Parts) -> Result<(), Missing> {
    if count == 0 {
        return Ok(());
    }
    let Some(price) = rates.get(class) else {
        missing.insert(class);
        return Ok(());
    };
    let amount = &mut amounts[class as usize];
    *amount = amount.checked_add(u128::from(count) * u128::from(price)).ok_or(Missing::Amount)?;
    Ok(())
}
