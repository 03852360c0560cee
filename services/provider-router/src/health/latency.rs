//! The expected time to the first token: a peak-sensitive, exponentially weighted moving average.
//!
//! A slower answer replaces the average at once, a faster one pulls it down with a time constant. While no answer
//! comes, the average that is read falls, so that a target which was slow once is tried again.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Duration;

/// Time constant of answers, in milliseconds.
const TAU: f64 = 10_000.0;
/// Time constant of idleness, in milliseconds.
const IDLE_TAU: f64 = 60_000.0;
/// Milliseconds of a unit of the stored time.
const TICK: u64 = 16;

/// An average and the time of its last change, in one word; 0 without any answer.
#[derive(Debug, Default)]
pub(super) struct Latency(AtomicU64);

// === impl Latency ===

impl Latency {
    pub(super) fn observe(&self, now: u64, latency: Duration) {
        let tick = (now / TICK) & u64::from(u32::MAX);
        let measured = latency.as_secs_f64() * 1_000.0;
        let updated = |word: u64| {
            let average = match word {
                0 => measured,
                _ => {
                    let (average, idle) = parts(word, tick);
                    let keep = (-idle / TAU).exp();
                    if measured >= average { measured } else { average * keep + measured * (1.0 - keep) }
                }
            };
            #[expect(clippy::cast_possible_truncation, reason = "24 bits of an average are enough")]
            let bits = (average.max(0.001) as f32).to_bits();
            Some((u64::from(bits) << 32) | tick)
        };
        // The function never returns `None`.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, updated);
    }

    /// Returns the average in milliseconds.
    pub(super) fn read(&self, now: u64) -> Option<f64> {
        let word = self.0.load(Ordering::Relaxed);
        let (average, idle) = parts(word, (now / TICK) & u64::from(u32::MAX));
        (word != 0).then(|| average * (-idle / IDLE_TAU).exp())
    }
}

/// Returns the average, and the milliseconds since its last change.
fn parts(word: u64, tick: u64) -> (f64, f64) {
    let ticks = u32::try_from(tick.saturating_sub(word & u64::from(u32::MAX))).unwrap_or(u32::MAX);
    let bits = u32::try_from(word >> 32).unwrap_or_default();
    (f64::from(f32::from_bits(bits)), f64::from(ticks) * 16.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_count_at_once_and_fade() {
        let latency = Latency::default();
        assert_eq!(latency.read(5), None);
        let observe = |now, millis| latency.observe(now, Duration::from_millis(millis));
        observe(1_600, 100);
        assert!((99.0..101.0).contains(&latency.read(1_600).unwrap()));
        observe(1_616, 2_000);
        assert!(latency.read(1_616).unwrap() > 1_999.0);
        observe(1_632, 100);
        assert!(latency.read(1_632).unwrap() > 1_900.0, "one fast answer hardly counts");
        observe(41_632, 100);
        assert!(latency.read(41_632).unwrap() < 150.0, "after four time constants it does");
        observe(41_648, 5_000);
        assert!(latency.read(400_000).unwrap() < 20.0, "idle targets are tried again");
    }
}
