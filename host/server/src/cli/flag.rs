//! Flags in TensorFlow Serving's syntax: what a flag is, and how arguments are read.
//!
//! A command has a table of [`Flag`]s; the parser, the usage text and the page in the
//! documentation are all made from it, so that they cannot disagree.
//!
//! The syntax is the original's, `--name=value` with underscores, where a bool may stand alone,
//! and besides `--name value`, which the original does not take.

use std::fmt;

/// One flag of a command whose options are a `T`.
pub(crate) struct Flag<T> {
    /// The name, without dashes.
    pub(crate) name: &'static str,
    /// The default, as one would write it.
    pub(crate) default: &'static str,
    /// What it takes, and where the value goes.
    pub(crate) value: Value<T>,
    /// Whether it does anything. One that does not is accepted with a warning.
    pub(crate) acts: bool,
    /// One sentence, or two.
    pub(crate) help: &'static str,
}

/// The type of a flag's value, with the setter.
pub(crate) enum Value<T> {
    Bool(fn(&mut T, bool)),
    Int32(fn(&mut T, i32)),
    Int64(fn(&mut T, i64)),
    Float(fn(&mut T, f32)),
    Text(fn(&mut T, &str)),
    /// Anything else: what the type is called, and a setter that refuses with `None`.
    Other(&'static str, fn(&mut T, &str) -> Option<()>),
}

impl<T> Flag<T> {
    /// The name of the type, as the original's usage prints it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.value {
            Value::Bool(_) => "bool",
            Value::Int32(_) => "int32",
            Value::Int64(_) => "int64",
            Value::Float(_) => "float",
            Value::Text(_) => "string",
            Value::Other(name, _) => name,
        }
    }

    /// Whether a value says what holds anyway.
    fn is_default(&self, text: &str) -> bool {
        match self.value {
            Value::Bool(_) => parse_bool(text) == parse_bool(self.default),
            Value::Float(_) => text.parse::<f32>().ok() == self.default.parse().ok(),
            Value::Int32(_) | Value::Int64(_) => {
                text.parse::<i64>().ok() == self.default.parse().ok()
            }
            Value::Text(_) | Value::Other(..) => text == self.default,
        }
    }

    /// Sets the option from text.
    pub(crate) fn set(&self, options: &mut T, text: &str) -> Result<(), FlagError> {
        let done = match self.value {
            Value::Bool(set) => parse_bool(text).map(|value| set(options, value)),
            Value::Int32(set) => text.parse().ok().map(|value| set(options, value)),
            Value::Int64(set) => text.parse().ok().map(|value| set(options, value)),
            Value::Float(set) => text.parse().ok().map(|value| set(options, value)),
            Value::Text(set) => {
                set(options, text);
                Some(())
            }
            Value::Other(_, set) => set(options, text),
        };
        done.ok_or_else(|| FlagError::BadValue {
            flag: self.name,
            kind: self.type_name(),
            value: text.to_owned(),
        })
    }
}

impl<T> fmt::Debug for Flag<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}={}", self.name, self.default)
    }
}

/// `true`, `false` in any case, `1` and `0`: what the original's parser takes.
fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") || text == "1" {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") || text == "0" {
        Some(false)
    } else {
        None
    }
}

/// A flag that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlagError {
    /// In the original's words.
    #[error("Couldn't interpret value {value} for flag {flag}.{}", expected(kind))]
    BadValue {
        flag: &'static str,
        kind: &'static str,
        value: String,
    },
    #[error("--{flag} needs a value: --{flag}=<{kind}>")]
    NoValue {
        flag: &'static str,
        kind: &'static str,
    },
}

/// What a flag takes, where the name of its type is one of ours and says it.
fn expected(kind: &str) -> String {
    match kind {
        "bool" | "int32" | "int64" | "float" | "string" | "port" => String::new(),
        kind => format!(" Expected: {kind}."),
    }
}

/// What was found besides values.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Flags that were given, each once, in the order of the table.
    pub(crate) given: Vec<&'static str>,
    /// Those of them that do nothing, where they were to do something: at its default a flag asks
    /// for nothing.
    pub(crate) ignored: Vec<&'static str>,
    /// Arguments that are no flags of this command, in their order.
    pub(crate) unknown: Vec<String>,
}

/// Reads `args` into `options`. The last of several flags of one name wins, as in the original.
///
/// # Errors
/// At the first value that is not what its flag takes.
pub(crate) fn parse<T>(
    flags: &[&Flag<T>],
    args: &[String],
    options: &mut T,
) -> Result<Found, FlagError> {
    let mut found = Found::default();
    let mut given = vec![false; flags.len()];
    let mut changes = vec![false; flags.len()];
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let Some(body) = arg.strip_prefix("--") else {
            found.unknown.push(arg.clone());
            continue;
        };
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        let Some(index) = flags.iter().position(|flag| flag.name == name) else {
            found.unknown.push(arg.clone());
            continue;
        };
        let flag = flags[index];
        let value = match (value, &flag.value) {
            (Some(value), _) => value,
            // A bool never takes the next argument: `--enable_batching --port=1` must work.
            (None, Value::Bool(_)) => "true",
            (None, _) => args.next().ok_or(FlagError::NoValue {
                flag: flag.name,
                kind: flag.type_name(),
            })?,
        };
        flag.set(options, value)?;
        given[index] = true;
        changes[index] = !flag.is_default(value);
    }
    let all = flags.iter().zip(given.iter().zip(changes));
    for (flag, (_, changes)) in all.filter(|(_, (given, _))| **given) {
        found.given.push(flag.name);
        if !flag.acts && changes {
            found.ignored.push(flag.name);
        }
    }
    Ok(found)
}

/// The flag that somebody may have meant by `arg`, when one is near enough.
pub(crate) fn did_you_mean<T>(flags: &[&Flag<T>], arg: &str) -> Option<&'static str> {
    let name = arg.trim_start_matches('-').split('=').next()?;
    let name = name.replace('-', "_").to_ascii_lowercase();
    flags
        .iter()
        .map(|flag| (strsim::damerau_levenshtein(flag.name, &name), flag.name))
        // A third of the name wrong is no misspelling any more.
        .filter(|(distance, candidate)| distance * 3 <= candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Options {
        flag: bool,
        number: i32,
        text: String,
    }

    const FLAGS: [Flag<Options>; 3] = [
        Flag {
            name: "a_flag",
            default: "false",
            value: Value::Bool(|options, value| options.flag = value),
            acts: false,
            help: "",
        },
        Flag {
            name: "number",
            default: "0",
            value: Value::Int32(|options, value| options.number = value),
            acts: true,
            help: "",
        },
        Flag {
            name: "text",
            default: "",
            value: Value::Text(|options, value| options.text = value.to_owned()),
            acts: true,
            help: "",
        },
    ];

    fn read(args: &[&str]) -> Result<(Options, Found), FlagError> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut options = Options::default();
        let found = parse(&FLAGS.each_ref(), &args, &mut options)?;
        Ok((options, found))
    }

    #[test]
    fn takes_values_behind_an_equals_sign_or_a_space() {
        for args in [
            &["--number=-3", "--text=a=b"][..],
            &["--number", "-3", "--text", "a=b"],
        ] {
            let (options, found) = read(args).unwrap();
            assert_eq!((options.number, options.text.as_str()), (-3, "a=b"));
            assert_eq!(found.given, ["number", "text"]);
        }
    }

    #[test]
    fn bools_stand_alone_or_take_four_words() {
        for (arg, expected) in [
            ("--a_flag", Some(true)),
            ("--a_flag=TRUE", Some(true)),
            ("--a_flag=1", Some(true)),
            ("--a_flag=False", Some(false)),
            ("--a_flag=0", Some(false)),
            ("--a_flag=yes", None),
            ("--a_flag=", None),
        ] {
            assert_eq!(
                read(&[arg]).ok().map(|(options, _)| options.flag),
                expected,
                "{arg}"
            );
        }
    }

    #[test]
    fn the_last_one_wins_and_what_does_nothing_is_named_once() {
        let (options, found) =
            read(&["--number=1", "--a_flag=0", "--number=2", "--a_flag"]).unwrap();
        assert_eq!(options.number, 2);
        assert_eq!(found.ignored, ["a_flag"]);
        // What asks for nothing is not missed.
        let (_, found) = read(&["--a_flag", "--a_flag=FALSE"]).unwrap();
        assert_eq!((found.given, found.ignored), (vec!["a_flag"], vec![]));
    }

    #[test]
    fn what_is_no_flag_is_kept_in_order() {
        let (_, found) = read(&["--nope=1", "-number=3", "stray", "--number=3"]).unwrap();
        assert_eq!(found.unknown, ["--nope=1", "-number=3", "stray"]);
    }

    #[test]
    fn bad_values_are_refused_in_the_words_of_the_original() {
        let error = read(&["--number=many"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Couldn't interpret value many for flag number."
        );
        let error = read(&["--number"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--number needs a value: --number=<int32>"
        );
    }

    #[test]
    fn guesses_what_was_meant() {
        assert_eq!(did_you_mean(&FLAGS.each_ref(), "--numbr=3"), Some("number"));
        assert_eq!(did_you_mean(&FLAGS.each_ref(), "--a-flag"), Some("a_flag"));
        assert_eq!(did_you_mean(&FLAGS.each_ref(), "-text=3"), Some("text"));
        assert_eq!(did_you_mean(&FLAGS.each_ref(), "--colour"), None);
    }
}
