//! Names in a manifest: ids, and what a dependency's key stands for.
//!
//! The rules and the words of their errors are Spin's.

use std::fmt;
use std::str::FromStr;

use semver::Version;

/// How the words of an id are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// `my-component`.
    Kebab,
    /// `my_database`.
    Snake,
    /// `my_variable`, without capitals.
    LowerSnake,
}

impl Case {
    fn separator(self) -> char {
        match self {
            Self::Kebab => '-',
            Self::Snake | Self::LowerSnake => '_',
        }
    }

    fn wrong_separator(self) -> char {
        match self {
            Self::Kebab => '_',
            Self::Snake | Self::LowerSnake => '-',
        }
    }

    /// Says what is wrong with an id.
    ///
    /// # Errors
    ///
    /// It is empty, or a word of it is not as its case wants words.
    pub fn check(self, id: &str) -> Result<(), String> {
        if id.is_empty() {
            return Err("empty".to_owned());
        }
        let (separator, wrong) = (self.separator(), self.wrong_separator());
        if id.contains(wrong) {
            return Err(format!(
                "words must be separated with {separator:?}, not {wrong:?}"
            ));
        }
        for (position, word) in id.split(separator).enumerate() {
            self.check_word(id, position, word)?;
        }
        Ok(())
    }

    fn check_word(self, id: &str, position: usize, word: &str) -> Result<(), String> {
        let separator = self.separator();
        let Some(first) = word.chars().next() else {
            return Err(format!("{separator:?}-separated words must not be empty"));
        };
        let may_begin = first.is_ascii_alphabetic() || (position > 0 && first.is_ascii_digit());
        if !may_begin {
            return Err(format!(
                "{separator:?}-separated words must start with an ASCII letter or digit; got \
                 {first:?}"
            ));
        }
        let upper = first.is_ascii_uppercase();
        for letter in word.chars().skip(1) {
            if letter.is_ascii_digit() || letter == ':' {
                continue;
            }
            if !letter.is_ascii_alphanumeric() {
                return Err(format!(
                    "{separator:?}-separated words may only contain alphanumeric ASCII; got \
                     {letter:?}"
                ));
            }
            if letter.is_ascii_uppercase() != upper {
                return Err(format!(
                    "{separator:?}-separated words must be all lowercase or all UPPERCASE; got \
                     {word:?}"
                ));
            }
        }
        if self == Self::LowerSnake && upper {
            return Err(format!(
                "lower-case identifiers must be all lowercase; got {id:?}"
            ));
        }
        Ok(())
    }
}

/// Whether a label of a key-value store or a database is one.
///
/// # Errors
///
/// It is neither kebab-case nor snake_case.
pub fn check_label(label: &str) -> Result<(), String> {
    if Case::Kebab.check(label).is_ok() || Case::Snake.check(label).is_ok() {
        Ok(())
    } else {
        Err(format!("expected kebab-case or snake_case; got {label:?}"))
    }
}

/// The key of a dependency: which imports it satisfies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DependencyName {
    /// An import of just this name.
    Plain(String),
    /// Interfaces of a package.
    Package {
        /// `namespace:name`.
        package: String,
        /// One interface of it; all when there is none.
        interface: Option<String>,
        /// One version of it; any when there is none.
        version: Option<Version>,
    },
}

impl DependencyName {
    /// The package, unless the name is a plain one.
    #[must_use]
    pub fn package(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::Package { package, .. } => Some(package),
        }
    }

    /// Whether it stands for every interface of a package.
    #[must_use]
    pub fn is_whole_package(&self) -> bool {
        matches!(
            self,
            Self::Package {
                interface: None,
                ..
            }
        )
    }

    /// Whether an import of this name is satisfied by it: as texts, version and all.
    #[must_use]
    pub fn matches(&self, import: &str) -> bool {
        match (self, Self::parse_import(import)) {
            (Self::Plain(name), None) => name == import,
            (
                Self::Package {
                    package,
                    interface,
                    version,
                },
                Some((of_package, of_interface, of_version)),
            ) => {
                package == of_package
                    && interface.as_deref().is_none_or(|name| name == of_interface)
                    && version
                        .as_ref()
                        .is_none_or(|version| of_version.as_ref() == Some(version))
            }
            _ => false,
        }
    }

    /// `namespace:name`, interface and version of an import; none of a plain one.
    fn parse_import(import: &str) -> Option<(&str, &str, Option<Version>)> {
        let (package, rest) = import.split_once('/')?;
        if !package.contains(':') {
            return None;
        }
        Some(match rest.split_once('@') {
            Some((interface, version)) => (package, interface, Version::parse(version).ok()),
            None => (package, rest, None),
        })
    }

    /// Whether both could satisfy one import.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (
            Self::Package {
                package,
                interface,
                version,
            },
            Self::Package {
                package: other_package,
                interface: other_interface,
                version: other_version,
            },
        ) = (self, other)
        else {
            return self == other;
        };
        if package != other_package {
            return false;
        }
        if let (Some(one), Some(two)) = (version, other_version)
            && track(one) != track(two)
        {
            return false;
        }
        match (interface, other_interface) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        }
    }
}

/// What versions that stand for each other have in common.
fn track(version: &Version) -> Version {
    let mut track = version.clone();
    track.build = semver::BuildMetadata::EMPTY;
    if !track.pre.is_empty() {
        return track;
    }
    if track.major > 0 {
        track.minor = 0;
        track.patch = 0;
    } else if track.minor > 0 {
        track.patch = 0;
    }
    track
}

impl FromStr for DependencyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains([':', '/']) {
            return match Case::Kebab.check(text) {
                Ok(()) => Ok(Self::Plain(text.to_owned())),
                Err(reason) => Err(format!(
                    "{text:?} is not the name of an import, like \"ns:package/interface@1.0.0\": \
                     {reason}"
                )),
            };
        }
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => {
                let version = Version::parse(version).map_err(|error| {
                    format!("{version:?} in {text:?} is not a version: {error}")
                })?;
                (name, Some(version))
            }
            None => (text, None),
        };
        let (package, interface) = match name.split_once('/') {
            Some((package, interface)) => (package, Some(interface)),
            None => (name, None),
        };
        check_package(package)?;
        if let Some(interface) = interface {
            Case::Kebab
                .check(interface)
                .map_err(|reason| format!("{interface:?} in {text:?}: {reason}"))?;
        }
        Ok(Self::Package {
            package: package.to_owned(),
            interface: interface.map(ToOwned::to_owned),
            version,
        })
    }
}

/// Whether this is the name of a package.
///
/// # Errors
///
/// It is not `namespace:name`.
pub fn check_package(text: &str) -> Result<(), String> {
    let wrong = |reason: String| format!("{text:?} is not a package, like \"ns:name\": {reason}");
    let Some((namespace, name)) = text.split_once(':') else {
        return Err(wrong("it has no ':'".to_owned()));
    };
    for part in [namespace, name] {
        if part.contains(':') {
            return Err(wrong("it has more than one ':'".to_owned()));
        }
        Case::Kebab.check(part).map_err(wrong)?;
    }
    Ok(())
}

impl fmt::Display for DependencyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => formatter.write_str(name),
            Self::Package {
                package,
                interface,
                version,
            } => {
                formatter.write_str(package)?;
                if let Some(interface) = interface {
                    write!(formatter, "/{interface}")?;
                }
                if let Some(version) = version {
                    write!(formatter, "@{version}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_words_of_one_case() {
        for (case, id, fault) in [
            (Case::Kebab, "edge", None),
            (Case::Kebab, "edge-2b-X1", None),
            (Case::Kebab, "", Some("empty")),
            (Case::Kebab, "my_edge", Some("separated with '-', not '_'")),
            (Case::Kebab, "a--b", Some("words must not be empty")),
            (Case::Kebab, "1a", Some("must start with an ASCII letter")),
            (Case::Kebab, "a.b", Some("may only contain alphanumeric")),
            (Case::Kebab, "aB", Some("all lowercase or all UPPERCASE")),
            (Case::LowerSnake, "api_key2", None),
            (
                Case::LowerSnake,
                "api-key",
                Some("separated with '_', not '-'"),
            ),
            (Case::LowerSnake, "API_KEY", Some("must be all lowercase")),
            (Case::Snake, "API_KEY", None),
        ] {
            match (case.check(id), fault) {
                (Ok(()), None) => {}
                (Err(reason), Some(fault)) => assert!(reason.contains(fault), "{id}: {reason}"),
                (found, _) => panic!("{id}: {found:?}, expected {fault:?}"),
            }
        }
    }

    #[test]
    fn keys_match_imports_as_texts() {
        for (key, import, matches) in [
            ("a:b/c@0.1.0", "a:b/c@0.1.0", true),
            ("a:b/c", "a:b/c@0.1.0", true),
            ("a:b/c", "a:b/c", true),
            ("a:b", "a:b/c@0.1.0", true),
            ("a:b@0.1.0", "a:b/c@0.1.0", true),
            ("c-d", "c-d", true),
            ("a:b/c@0.1.0", "a:b/c", false),
            ("a:b/c@0.1.0", "a:b/c@0.1.1", false),
            ("a:b/c", "a:b/d@0.1.0", false),
            ("a:b", "a:x/c", false),
            ("a:b@0.1.0", "a:b/c", false),
            ("a:b/c", "c-d", false),
        ] {
            let key: DependencyName = key.parse().unwrap();
            assert_eq!(key.matches(import), matches, "{key} and {import}");
        }
    }

    #[test]
    fn keys_overlap_where_one_import_fits_both() {
        for (one, two, overlap) in [
            ("a:b", "a:b/c", true),
            ("a:b/c", "a:b/c@1.0.0", true),
            ("a:b/c@1.0.0", "a:b/c@1.2.0", true),
            ("a:b/c@1.0.0", "a:b/c@2.0.0", false),
            ("a:b/c@0.1.0", "a:b/c@0.2.0", false),
            ("a:b/c", "a:b/d", false),
            ("a:b", "a:c", false),
            ("a-b", "a:b", false),
        ] {
            let (one, two): (DependencyName, DependencyName) =
                (one.parse().unwrap(), two.parse().unwrap());
            assert_eq!(one.overlaps(&two), overlap, "{one} and {two}");
            assert_eq!(two.overlaps(&one), overlap, "{two} and {one}");
        }
    }

    #[test]
    fn keys_that_are_none_say_so() {
        for (key, fault) in [
            ("a:b/c@x", "is not a version"),
            ("a:b/c_d", "words must be separated"),
            ("a/b", "it has no ':'"),
            ("a:b:c", "more than one ':'"),
            ("A_b", "is not the name of an import"),
        ] {
            let reason = key.parse::<DependencyName>().unwrap_err();
            assert!(reason.contains(fault), "{key}: {reason}");
        }
    }
}
