//! Draws lots: is this request one of those that are written down?
//!
//! Nobody gains anything from guessing the next draw, so a small generator per thread does.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};

thread_local! {
    /// Never zero.
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0) | 1);
}

/// `true` with this probability: never for 0, always for 1.
pub(super) fn draw(probability: f64) -> bool {
    // From 0 to almost 1, in steps of 2^-53.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let number = (next() >> 11) as f64 / (1u64 << 53) as f64;
    number < probability
}

/// Marsaglia's xorshift, with Vigna's multiplication.
fn next() -> u64 {
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        state.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_as_often_as_it_is_told() {
        const TIMES: usize = 20_000;
        let share = |probability| (0..TIMES).filter(|_| draw(probability)).count();
        assert_eq!(share(0.0), 0);
        assert_eq!(share(1.0), TIMES);
        // Forty standard deviations.
        let half = share(0.5);
        assert!((TIMES * 2 / 5..TIMES * 3 / 5).contains(&half), "{half}");
        let few = share(0.01);
        assert!((20..600).contains(&few), "{few}");
    }
}
