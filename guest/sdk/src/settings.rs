//! What the operator has set: environment variables that were granted (`grants.environment`).
//!
//! **Invariant:** a value that cannot be used is an error that names the variable, never a silent
//! default. A processor that reads its settings in `describe` too is not served with bad ones.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use tensorgate_types::{Error, Result};

/// The number that the environment variable `name` holds, or `default` where there is none.
///
/// ```
/// // In `describe`, so that bad settings are found when the version is loaded, and in
/// // `preprocess`, where it is used.
/// let percent = tensorgate_sdk::setting("CANARY_PERCENT", 10.0, 0.0..=100.0)?;
/// # assert_eq!(percent, 10.0);
/// # Ok::<(), tensorgate_sdk::Error>(())
/// ```
///
/// # Errors
/// `FAILED_PRECONDITION` when it is no such number, or outside of the range.
pub fn setting<T>(name: &str, default: T, range: RangeInclusive<T>) -> Result<T>
where
    T: FromStr + PartialOrd + Display,
{
    let Some(text) = variable(name) else {
        return Ok(default);
    };
    let value = text.trim().parse().ok();
    value.filter(|value| range.contains(value)).ok_or_else(|| {
        Error::failed_precondition(format!(
            "the environment variable {name} is `{text}`, expected a number from {} to {}",
            range.start(),
            range.end()
        ))
    })
}

#[cfg(target_arch = "wasm32")]
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|text| text.to_string_lossy().into_owned())
}

#[cfg(not(target_arch = "wasm32"))]
fn variable(name: &str) -> Option<String> {
    crate::testing::setting(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_settings;

    #[test]
    fn is_what_was_set_or_the_default() {
        assert_eq!(setting("SHARE", 0.5, 0.0..=1.0).unwrap(), 0.5);
        with_settings(&[("SHARE", " 0.25 "), ("COUNT", "3")], || {
            assert_eq!(setting("SHARE", 0.5, 0.0..=1.0).unwrap(), 0.25);
            assert_eq!(setting("COUNT", 1, 1..=3).unwrap(), 3);
            assert_eq!(setting("OTHER", 7, 0..=9).unwrap(), 7);
        });
        assert_eq!(setting("SHARE", 0.5, 0.0..=1.0).unwrap(), 0.5);
    }

    #[test]
    fn what_cannot_be_is_an_error_that_names_the_variable() {
        for bad in ["1.5", "-0.1", "much", "NaN", ""] {
            with_settings(&[("SHARE", bad)], || {
                let error = setting("SHARE", 0.5, 0.0..=1.0).unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!(
                        "FAILED_PRECONDITION: the environment variable SHARE is `{bad}`, expected \
                         a number from 0 to 1"
                    )
                );
            });
        }
    }
}
