//! How many different sets of outputs a model has been asked for.
//!
//! TensorFlow prunes the graph and keeps an executor for each set of outputs that it is run with,
//! for ever. Clients choose the set, so somebody must bound it: past the bound, a request's
//! outputs are picked from a run of all of them.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Sets per model. A model with a few clients sees two or three; an executor of a large graph is
/// a few hundred kilobytes.
const LIMIT: usize = 64;

/// The sets seen so far: which signature, which of its outputs; or several, of several.
#[derive(Debug, Default)]
pub(crate) struct FetchSets {
    seen: Mutex<HashSet<Box<[usize]>>>,
}

impl FetchSets {
    /// Whether a run may have just these outputs of a signature: it had them before, or there is
    /// still room.
    pub(crate) fn admit(&self, signature: usize, outputs: &[usize]) -> bool {
        let key = std::iter::once(&signature).chain(outputs).copied();
        self.admit_key(key.collect())
    }

    /// As [`admit`](Self::admit), for a set that something else says in numbers.
    pub(crate) fn admit_key(&self, key: Box<[usize]>) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.contains(&key) || (seen.len() < LIMIT && seen.insert(key))
    }

    /// How many sets there are.
    pub(crate) fn len(&self) -> usize {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_sets_is_bounded_and_known_ones_stay_welcome() {
        let sets = FetchSets::default();
        for output in 0..LIMIT {
            assert!(sets.admit(0, &[output]));
        }
        assert!(!sets.admit(0, &[LIMIT]));
        assert!(!sets.admit(1, &[0]));
        assert!(sets.admit(0, &[3]));
        assert_eq!(sets.len(), LIMIT);
    }
}
