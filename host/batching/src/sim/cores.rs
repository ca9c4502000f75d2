//! Cores that threads share, and random numbers.

/// Threads at work: those that have something to do go on at the same speed.
#[derive(Debug)]
pub(super) struct Cores<T> {
    cores: f64,
    /// Who is at work, and for how many seconds of a core still.
    work: Vec<(T, f64)>,
}

impl<T: Copy + PartialEq> Cores<T> {
    pub(super) fn new(cores: usize) -> Self {
        Self {
            cores: cores as f64,
            work: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self, thread: T, seconds: f64) {
        debug_assert!(self.work.iter().all(|(other, _)| *other != thread));
        self.work.push((thread, seconds.max(1e-9)));
    }

    /// Goes on until a thread is done, which is given, or until `at`.
    pub(super) fn advance(&mut self, now: &mut f64, at: f64) -> Option<T> {
        let slowness = (self.work.len() as f64 / self.cores).max(1.0);
        let least = |one: &(usize, f64), other: &(usize, f64)| one.1.total_cmp(&other.1);
        let left = self.work.iter().map(|(_, left)| *left).enumerate();
        let first = left.min_by(least);
        let next = first.filter(|(_, left)| *now + left * slowness <= at);
        let passed = match next {
            Some((_, left)) => left * slowness,
            None => (at - *now).max(0.0),
        };
        for (_, left) in &mut self.work {
            *left -= passed / slowness;
        }
        match next {
            Some((index, _)) => {
                *now += passed;
                Some(self.work.swap_remove(index).0)
            }
            None => {
                *now = at;
                None
            }
        }
    }
}

/// Numbers that look random: a xorshift generator.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Above 0 and at most 1.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// From `1 - spread` to `1 + spread`.
    pub(super) fn around_one(&mut self, spread: f64) -> f64 {
        1.0 + spread * (2.0 * self.unit() - 1.0)
    }

    /// Seconds until the next of `rate` a second.
    pub(super) fn until_next(&mut self, rate: f64) -> f64 {
        -self.unit().ln() / rate
    }
}
