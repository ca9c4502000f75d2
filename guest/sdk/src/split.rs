//! Splitting requests by shares: a point from 0 to 1 for each request, which is then held against
//! the share.
//!
//! **Invariant:** a key has the same point for ever, in every instance and every build, so that
//! what was split by it stays on its side.

use std::hash::{BuildHasher as _, RandomState};

/// The point of a key, from 0 up to but not including 1: evenly spread over keys, the same for
/// the same key.
///
/// With a `salt` of its own, a split is independent of other splits by the same keys; that of a
/// model is its name.
///
/// ```
/// use tensorgate_sdk::split;
///
/// // A tenth of all users, always the same ones.
/// let is_chosen = split::point_of("digits", b"anna") < 0.1;
/// # assert_eq!(is_chosen, split::point_of("digits", b"anna") < 0.1);
/// ```
#[must_use]
pub fn point_of(salt: &str, key: &[u8]) -> f64 {
    // FNV-1a, with a byte between the two that no text has.
    let bytes = salt.as_bytes().iter().chain(&[0xff]).chain(key);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    point(mix(hash))
}

/// A point that nobody can tell before, from 0 up to but not including 1.
#[must_use]
pub fn random_point() -> f64 {
    // Seeded by the system, in a component by `wasi:random`.
    point(mix(RandomState::new().hash_one(0_u8)))
}

/// Every bit of the input moves half of the bits of the output (the end of MurmurHash3): keys that
/// differ in their last letter only are not near each other.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The upper 53 bits, all that a double holds.
fn point(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_where_it_is() {
        // Written down, so that a change of the function is seen: it would move users.
        assert_eq!(format!("{:.6}", point_of("digits", b"anna")), "0.010667");
        assert_eq!(format!("{:.6}", point_of("digits", b"annb")), "0.035764");
        assert_eq!(format!("{:.6}", point_of("letters", b"anna")), "0.131510");
        assert_eq!(format!("{:.6}", point_of("", b"")), "0.108358");
    }

    #[test]
    fn keys_are_spread_evenly() {
        let mut tenths = [0_u32; 10];
        for user in 0..10_000 {
            let point = point_of("digits", format!("user-{user}").as_bytes());
            tenths[(point * 10.0) as usize] += 1;
        }
        // Three standard deviations are 90.
        assert!(
            tenths.iter().all(|count| count.abs_diff(1000) < 120),
            "{tenths:?}"
        );
    }

    #[test]
    fn random_points_differ() {
        let points: Vec<f64> = (0..1000).map(|_| random_point()).collect();
        assert!(points.iter().all(|point| (0.0..1.0).contains(point)));
        let low = points.iter().filter(|point| **point < 0.5).count();
        assert!((350..650).contains(&low), "{low}");
    }
}
