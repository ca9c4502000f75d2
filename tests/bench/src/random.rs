//! Numbers that look random and are the same in every run (xorshift64*).
//!
//! Invariant: a seed gives one sequence, on every machine.

/// A generator. Not for secrets.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// `seed` chooses the sequence.
    pub(crate) fn new(seed: u64) -> Self {
        // Never zero, from which nothing else would follow.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        bits as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_in_its_range_and_fills_it() {
        let mut random = Random::new(7);
        let numbers: Vec<f64> = (0..10_000).map(|_| random.unit()).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        for tenth in 0..10 {
            let from = f64::from(tenth) / 10.0;
            let count = numbers
                .iter()
                .filter(|number| (from..from + 0.1).contains(*number));
            assert!((800..1200).contains(&count.count()));
        }
    }
}
