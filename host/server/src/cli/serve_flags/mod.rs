//! The flags of `tensorgate serve`: the 48 of TensorFlow Serving, and our own.
//!
//! Each is one row of a table. A flag of the original that does nothing yet has a row too, so
//! that command lines written for the original start here, with a warning instead of an error.

mod own;
mod serving;

use std::path::PathBuf;

use crate::options::ServeOptions;

use super::flag::{Flag, Value};

pub(crate) use own::OWN;
pub(crate) use serving::SERVING;

type Row = Flag<ServeOptions>;

const fn acts(
    name: &'static str,
    default: &'static str,
    value: Value<ServeOptions>,
    help: &'static str,
) -> Row {
    Flag {
        name,
        default,
        value,
        acts: true,
        help,
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// A count from the command line: negative ones mean the same as 0, as in the original.
fn count(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// Threads of one kind: more than the largest machine has any use for, and far fewer than the
/// system's limit, at which TensorFlow would end the process instead of saying so.
const MAX_THREADS: usize = 4096;

/// A count of threads. Flags that take one say the limit in the name of their type.
fn threads(text: &str) -> Option<usize> {
    let threads = text.parse().ok().map(count);
    threads.filter(|threads| *threads <= MAX_THREADS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn knows_every_flag_of_the_original_once() {
        assert_eq!(SERVING.len(), 48);
        let mut names: Vec<&str> = SERVING.iter().chain(OWN).map(|flag| flag.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn defaults_of_the_table_are_those_of_the_options() {
        for flag in SERVING.iter().chain(OWN) {
            let mut options = ServeOptions::default();
            assert!(flag.set(&mut options, flag.default).is_ok(), "{flag:?}");
            assert_eq!(options, ServeOptions::default(), "{flag:?}");
        }
    }

    #[test]
    fn every_flag_that_acts_changes_the_options() {
        for flag in SERVING.iter().chain(OWN).filter(|flag| flag.acts) {
            let other = match flag.type_name() {
                "bool" if flag.default == "true" => "false",
                "bool" => "true",
                "address" => "127.0.0.1",
                "limits" => "m:concurrency=1",
                "settings" => "m:weight=2",
                "list of cpu or gpu:N" => "cpu",
                "model=workers" => "m:workers=0",
                "sessions" => "m:xla_level=1",
                _ => "77",
            };
            let mut options = ServeOptions::default();
            assert!(flag.set(&mut options, other).is_ok(), "{flag:?}");
            assert_ne!(options, ServeOptions::default(), "{flag:?}");
        }
    }

    #[test]
    fn no_flag_starts_more_threads_than_the_system_has() {
        for name in ["num_load_threads", "num_unload_threads", "run_threads"] {
            let mut flags = SERVING.iter().chain(OWN).filter(|flag| flag.name == name);
            let flag = flags.next().unwrap();
            let mut options = ServeOptions::default();
            let is_ours = name == "run_threads";
            assert_eq!(flag.set(&mut options, "-5").is_err(), is_ours);
            for good in ["0", "4096"] {
                assert!(flag.set(&mut options, good).is_ok(), "{name}={good}");
            }
            for bad in ["4097", "2147483647", "many", ""] {
                let error = flag.set(&mut options, bad).unwrap_err().to_string();
                let expected = format!(
                    "Couldn't interpret value {bad} for flag {name}. Expected: number up to 4096."
                );
                assert_eq!(error, expected);
            }
        }
    }

    #[test]
    fn no_limit_is_zero_or_less() {
        let timeout = SERVING
            .iter()
            .find(|flag| flag.name == "rest_api_timeout_in_ms");
        for (text, expected) in [
            ("-1", None),
            ("0", None),
            ("1", Some(Duration::from_millis(1))),
        ] {
            let mut options = ServeOptions::default();
            assert!(timeout.unwrap().set(&mut options, text).is_ok());
            assert_eq!(options.rest_api_timeout, expected);
        }
    }
}
