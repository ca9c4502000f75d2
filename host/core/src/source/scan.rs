//! From the names in a model's base path to its versions: a pure function.
//!
//! **Invariant:** sees names only; opens nothing.

use std::collections::BTreeMap;

/// The versions that a base path holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// The name of the child that holds each version.
    pub versions: BTreeMap<i64, String>,
    /// What an operator should hear about it.
    pub warnings: Vec<String>,
}

/// Finds the versions among the names of a base path's children.
///
/// Names that are no number are not versions and are passed over in silence. Where several names
/// are the same number (`1` and `001`), the last in the order of the names wins.
pub fn scan<Name: AsRef<str>>(children: impl IntoIterator<Item = Name>) -> Scan {
    let mut numbered: Vec<(i64, String)> = children
        .into_iter()
        .filter_map(|child| Some((parse_version(child.as_ref())?, child.as_ref().to_owned())))
        .collect();
    numbered.sort_by(|a, b| a.1.cmp(&b.1));
    let mut found = Scan::default();
    for (version, child) in numbered {
        if let Some(loser) = found.versions.insert(version, child.clone()) {
            found.warnings.push(format!(
                "Duplicate version directories detected. Version {version} will be loaded from \
                 {child}, {loser} will be ignored."
            ));
        }
    }
    found
}

/// The version that a name stands for, if it stands for one.
///
/// Takes what `absl::SimpleAtoi` takes for an `int64`: decimal digits with an optional sign in
/// front, white space round them, zeros in front of them. Negative versions are versions, as in
/// TensorFlow Serving; they sort below 0, so `latest` chooses them last.
#[must_use]
pub fn parse_version(name: &str) -> Option<i64> {
    // C's isspace: vertical tab included, unlike `char::is_ascii_whitespace`.
    let number = name.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    // Rust's own parser takes exactly the rest: one optional sign, at least one digit, no overflow.
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_as_absl_does() {
        for (name, expected) in [
            ("1", Some(1)),
            ("0", Some(0)),
            ("00000123", Some(123)),
            ("1597351204", Some(1_597_351_204)),
            ("20240131235959", Some(20_240_131_235_959)),
            ("+7", Some(7)),
            ("-7", Some(-7)),
            (" 8 ", Some(8)),
            ("\t9\n\x0b\x0c\r", Some(9)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("", None),
            (" ", None),
            ("+", None),
            ("-", None),
            ("- 1", None),
            ("+-1", None),
            ("1.0", None),
            ("1e3", None),
            ("0x10", None),
            ("1_000", None),
            ("v1", None),
            ("1.tmp", None),
            (".1", None),
            ("temp-1597351204", None),
            ("\u{661}", None),
            ("1\u{a0}", None),
        ] {
            assert_eq!(parse_version(name), expected, "{name:?}");
        }
    }

    #[test]
    fn keeps_versions_and_passes_over_everything_else() {
        let found = scan(["variables", "10", "9", ".git", "007", "README.md"]);
        assert_eq!(
            found,
            Scan {
                versions: BTreeMap::from([
                    (7, "007".to_owned()),
                    (9, "9".to_owned()),
                    (10, "10".to_owned()),
                ]),
                warnings: Vec::new(),
            }
        );
        assert_eq!(scan(Vec::<String>::new()), Scan::default());
    }

    #[test]
    fn warns_of_two_names_for_one_version_and_takes_the_last() {
        let found = scan(["1", "001", "+1", "2"]);
        assert_eq!(found.versions[&1], "1");
        assert_eq!(
            found.warnings,
            [
                "Duplicate version directories detected. Version 1 will be loaded from 001, +1 \
                 will be ignored.",
                "Duplicate version directories detected. Version 1 will be loaded from 1, 001 \
                 will be ignored.",
            ]
        );
    }
}
