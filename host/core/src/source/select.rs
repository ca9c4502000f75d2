//! Which of a model's versions to serve: a pure function of the versions that there are.
//!
//! **Invariant:** knows numbers only, neither directories nor what is loaded.

use std::collections::BTreeSet;

/// Which of the versions that exist are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServableVersionPolicy {
    /// The highest ones, this many of them; 0 counts as 1.
    Latest(u32),
    /// Every one.
    All,
    /// These, as far as they exist.
    Specific(Vec<i64>),
    /// What either of two chooses: on the way from one to the other.
    Either(Box<(Self, Self)>),
}

/// The highest version only.
impl Default for ServableVersionPolicy {
    fn default() -> Self {
        Self::Latest(1)
    }
}

/// The versions that a policy has chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// The versions.
    pub versions: BTreeSet<i64>,
    /// What an operator should hear about it.
    pub warnings: Vec<String>,
}

impl ServableVersionPolicy {
    /// Chooses among the versions of the servable `name` that exist.
    #[must_use]
    pub fn select(&self, name: &str, existing: &BTreeSet<i64>) -> Selection {
        match self {
            Self::Latest(count) => Selection {
                versions: existing
                    .iter()
                    .rev()
                    .take(usize::try_from((*count).max(1)).unwrap_or(usize::MAX))
                    .copied()
                    .collect(),
                warnings: Vec::new(),
            },
            Self::All => Selection {
                versions: existing.clone(),
                warnings: Vec::new(),
            },
            Self::Specific(wanted) => select_specific(name, wanted, existing),
            Self::Either(two) => {
                let (mut one, other) = (two.0.select(name, existing), two.1.select(name, existing));
                one.versions.extend(other.versions);
                one.warnings.extend(other.warnings);
                one
            }
        }
    }
}

fn select_specific(name: &str, wanted: &[i64], existing: &BTreeSet<i64>) -> Selection {
    let wanted: BTreeSet<i64> = wanted.iter().copied().collect();
    let mut warnings: Vec<String> = wanted
        .difference(existing)
        .map(|version| {
            format!(
                "Version {version} of servable {name}, which was requested to be served as a \
                 'specific' version in the servable's version policy, was not found in the file \
                 system"
            )
        })
        .collect();
    if wanted.is_empty() {
        warnings.push(format!(
            "The version policy of servable {name} is 'specific' and lists no versions: none will \
             be served"
        ));
    }
    Selection {
        versions: wanted.intersection(existing).copied().collect(),
        warnings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_what_the_policy_says() {
        use ServableVersionPolicy::{All, Latest, Specific};
        let table: Vec<(ServableVersionPolicy, &[i64], &[i64])> = vec![
            (ServableVersionPolicy::default(), &[1, 2, 10], &[10]),
            (Latest(0), &[1, 2], &[2]),
            (Latest(1), &[], &[]),
            (Latest(2), &[1, 2, 10], &[2, 10]),
            (Latest(2), &[-1, -2], &[-2, -1]),
            (Latest(u32::MAX), &[1, 2], &[1, 2]),
            (All, &[3, 1], &[1, 3]),
            (All, &[], &[]),
            (Specific(vec![3, 1, 3]), &[1, 2, 3], &[1, 3]),
            (Specific(vec![4]), &[1, 2], &[]),
            (Specific(vec![]), &[1, 2], &[]),
        ];
        for (policy, existing, expected) in table {
            let selected = policy.select("m", &existing.iter().copied().collect());
            let expected: BTreeSet<i64> = expected.iter().copied().collect();
            assert_eq!(selected.versions, expected, "{policy:?} of {existing:?}");
        }
    }

    #[test]
    fn warns_of_specific_versions_that_are_not_there() {
        let policy = ServableVersionPolicy::Specific(vec![1, 5]);
        assert_eq!(
            policy.select("m", &BTreeSet::from([1])).warnings,
            [
                "Version 5 of servable m, which was requested to be served as a 'specific' version \
                 in the servable's version policy, was not found in the file system"
            ]
        );
        let nothing = ServableVersionPolicy::Specific(vec![]);
        assert_eq!(nothing.select("m", &BTreeSet::from([1])).warnings.len(), 1);
    }
}
