//! What `preprocess` tells `postprocess`.
//!
//! **Invariant:** one request never sees what another has kept, also where an instance serves
//! several one after another: what is left of the last one goes when the next begins.

use std::any::{Any, type_name};
use std::cell::RefCell;

use tensorgate_types::{Error, Result};

thread_local! {
    /// One value of a type at most. A component has one thread, and a request a component.
    static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a value until `postprocess` [takes](take_kept) it. A second value of the same type takes
/// the place of the first.
///
/// ```
/// struct Sizes(Vec<(u32, u32)>);
///
/// // In `preprocess`:
/// tensorgate_sdk::keep(Sizes(vec![(640, 480)]));
/// // In `postprocess`:
/// let sizes: Sizes = tensorgate_sdk::take_kept()?;
/// assert_eq!(sizes.0, [(640, 480)]);
/// # Ok::<(), tensorgate_sdk::Error>(())
/// ```
pub fn keep<T: 'static>(value: T) {
    KEPT.with_borrow_mut(|kept| {
        kept.retain(|old| !old.is::<T>());
        kept.push(Box::new(value));
    });
}

/// Takes back the value of this type that was kept for this request.
///
/// # Errors
/// `INTERNAL` when none was kept: a mistake of the processor.
pub fn take_kept<T: 'static>() -> Result<T> {
    KEPT.with_borrow_mut(|kept| {
        let index = kept.iter().position(|value| value.is::<T>())?;
        kept.swap_remove(index).downcast::<T>().ok()
    })
    .map(|value| *value)
    .ok_or_else(|| {
        Error::internal(format!(
            "preprocess has kept no {} for postprocess",
            type_name::<T>()
        ))
    })
}

/// Forgets everything: a new request begins.
#[cfg(any(target_arch = "wasm32", test))]
pub(crate) fn forget() {
    // Dropped outside of the borrow: a value may keep something when it goes.
    drop(KEPT.take());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_once_per_type() {
        keep(1u32);
        keep("text");
        keep(2u32);
        assert_eq!(take_kept::<u32>().unwrap(), 2);
        assert_eq!(take_kept::<&str>().unwrap(), "text");
        let error = take_kept::<u32>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "INTERNAL: preprocess has kept no u32 for postprocess"
        );
    }

    #[test]
    fn a_new_request_finds_nothing() {
        keep(1u64);
        forget();
        assert!(take_kept::<u64>().is_err());
    }
}
