//! The command line of `cargo xtask`: words, `--flag`, `--key value`, and everything after `--`.
//!
//! By hand, because a parser crate would take longer to build than the whole of xtask.

use anyhow::{Result, bail};

/// What has not been taken yet. Every command takes what it knows, then calls [`Self::finish`].
#[derive(Debug)]
pub(crate) struct Arguments {
    own: Vec<String>,
    rest: Vec<String>,
}

impl Arguments {
    pub(crate) fn new(all: impl Iterator<Item = String>) -> Self {
        let mut own: Vec<String> = all.collect();
        let rest = match own.iter().position(|argument| argument == "--") {
            Some(at) => own.split_off(at).split_off(1),
            None => Vec::new(),
        };
        Self { own, rest }
    }

    /// The next argument that is no flag.
    pub(crate) fn word(&mut self) -> Option<String> {
        let word = self.own.first()?;
        (!word.starts_with("--")).then(|| self.own.remove(0))
    }

    /// Whether `name` was given; takes it.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.own.len();
        self.own.retain(|argument| argument != name);
        self.own.len() < before
    }

    /// The value of `name value` or `name=value`; takes both. The first one, where there are more.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<String>> {
        let with_equals = format!("{name}=");
        let Some(at) = self
            .own
            .iter()
            .position(|argument| argument == name || argument.starts_with(&with_equals))
        else {
            return Ok(None);
        };
        let flag = self.own.remove(at);
        if let Some(value) = flag.strip_prefix(&with_equals) {
            return Ok(Some(value.to_owned()));
        }
        if at == self.own.len() {
            bail!("{name} needs a value");
        }
        Ok(Some(self.own.remove(at)))
    }

    /// Every value of a flag that may be repeated.
    pub(crate) fn values(&mut self, name: &str) -> Result<Vec<String>> {
        std::iter::from_fn(|| self.value(name).transpose()).collect()
    }

    /// What stood after `--`, for another program.
    pub(crate) fn rest(self) -> Vec<String> {
        self.rest
    }

    /// An error where something is left that no one took.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.own.iter().chain(&self.rest).next() {
            None => Ok(()),
            Some(extra) => bail!("unexpected argument `{extra}`: see `cargo xtask help`"),
        }
    }

    /// As [`Self::finish`], where the command passes what stands after `--` on.
    pub(crate) fn finish_own(&self) -> Result<()> {
        match self.own.first() {
            None => Ok(()),
            Some(extra) => bail!(
                "unexpected argument `{extra}`: flags for the program go after `--`, \
                 as in `cargo xtask serve -- {extra}`"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn takes_both_forms_of_a_value() {
        let mut given = arguments("test --only fmt --only=doc --list");
        assert_eq!(given.word().as_deref(), Some("test"));
        assert_eq!(given.values("--only").unwrap(), ["fmt", "doc"]);
        assert!(given.flag("--list"));
        given.finish().unwrap();
    }

    #[test]
    fn keeps_what_stands_after_two_dashes() {
        let mut given = arguments("serve -- --port=1 -- x");
        assert_eq!(given.word().as_deref(), Some("serve"));
        given.finish_own().unwrap();
        assert_eq!(given.rest(), ["--port=1", "--", "x"]);
    }

    #[test]
    fn refuses_what_no_one_took() {
        let error = arguments("--lst").finish().unwrap_err().to_string();
        assert!(error.contains("`--lst`"), "{error}");
        let error = arguments("--port=1").finish_own().unwrap_err().to_string();
        assert!(error.contains("-- --port=1"), "{error}");
    }

    #[test]
    fn refuses_a_flag_without_its_value() {
        assert!(arguments("--only").value("--only").is_err());
    }
}
