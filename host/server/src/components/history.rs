//! What stood before the versions of one model, change by change.
//!
//! A line: number, seconds since 1970, `push` or `rollback`, version or `all`, digest or `none`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which versions of a model a component stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every one that has none of its own.
    All,
    Version(i64),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Version(version) => version.fmt(f),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Push,
    RollBack,
}

impl Action {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::RollBack => "rollback",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// From 1, for each model.
    pub(crate) number: u64,
    /// Since 1970.
    pub(crate) seconds: u64,
    pub(crate) action: Action,
    pub(crate) scope: Scope,
    /// What stands there from then on; none where a rollback went behind the first push.
    pub(crate) digest: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            seconds,
            action,
            scope,
            digest,
        } = self;
        let digest = digest.as_deref().unwrap_or("none");
        write!(f, "{number} {seconds} {} {scope} {digest}", action.name())
    }
}

impl Change {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let mut word = || words.next();
        let change = Self {
            number: word()?.parse().ok()?,
            seconds: word()?.parse().ok()?,
            action: match word()? {
                "push" => Action::Push,
                "rollback" => Action::RollBack,
                _ => return None,
            },
            scope: match word()? {
                "all" => Scope::All,
                version => Scope::Version(version.parse().ok()?),
            },
            digest: match word()? {
                "none" => None,
                digest if is_digest(digest) => Some(digest.to_owned()),
                _ => return None,
            },
        };
        words.next().is_none().then_some(change)
    }
}

/// It becomes the name of a file.
fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// All changes of a model, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    changes: Vec<Change>,
    /// The last line has no end.
    torn: bool,
}

impl History {
    /// Lines that are none are passed over.
    pub(super) fn parse(text: &str) -> Self {
        Self {
            changes: text.lines().filter_map(Change::parse).collect(),
            torn: !text.is_empty() && !text.ends_with('\n'),
        }
    }

    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(super) fn is_torn(&self) -> bool {
        self.torn
    }

    pub(super) fn next(&self, scope: Scope, action: Action, digest: Option<String>) -> Change {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Change {
            number: self.changes.last().map_or(1, |last| last.number + 1),
            seconds: now.map_or(0, |now| now.as_secs()),
            action,
            scope,
            digest,
        }
    }

    pub(super) fn add(&mut self, change: Change) {
        self.changes.push(change);
        self.torn = false;
    }

    /// What was pushed for exactly this scope and stands now.
    pub(crate) fn current(&self, scope: Scope) -> Option<&str> {
        self.standing(scope).pop()?
    }

    /// What a rollback of this scope goes back to; none where there is nothing to go back from.
    pub(super) fn before(&self, scope: Scope) -> Option<Option<String>> {
        let mut standing = self.standing(scope);
        standing.pop()?;
        Some(standing.pop().flatten().map(str::to_owned))
    }

    /// What has been pushed and not been rolled back, the oldest first.
    fn standing(&self, scope: Scope) -> Vec<Option<&str>> {
        let mut standing = Vec::new();
        for change in self.changes.iter().filter(|change| change.scope == scope) {
            match change.action {
                Action::Push => standing.push(change.digest.as_deref()),
                Action::RollBack => {
                    standing.pop();
                }
            }
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(letter: char) -> String {
        letter.to_string().repeat(64)
    }

    #[test]
    fn rollbacks_go_back_push_by_push() {
        let mut history = History::default();
        let push = |history: &mut History, letter| {
            let change = history.next(Scope::All, Action::Push, Some(digest(letter)));
            history.add(change);
        };
        let back = |history: &mut History| {
            let to = history.before(Scope::All)?;
            let change = history.next(Scope::All, Action::RollBack, to.clone());
            history.add(change);
            Some(to)
        };
        for letter in ['a', 'b', 'c'] {
            push(&mut history, letter);
        }
        assert_eq!(back(&mut history), Some(Some(digest('b'))));
        push(&mut history, 'd');
        assert_eq!(history.current(Scope::All), Some(&*digest('d')));
        assert_eq!(back(&mut history), Some(Some(digest('b'))));
        assert_eq!(back(&mut history), Some(Some(digest('a'))));
        assert_eq!(back(&mut history), Some(None));
        assert_eq!(history.current(Scope::All), None);
        assert_eq!(back(&mut history), None);
        assert_eq!(history.current(Scope::Version(1)), None);
        let text: String = history
            .changes
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(History::parse(&text), history);
    }

    #[test]
    fn lines_that_are_none_are_passed_over() {
        let good = format!("7 1700000000 push 3 {}", digest('e'));
        for bad in [
            "",
            "7",
            "x 1 push all none",
            "1 1 pull all none",
            "1 1 push all ../../etc/passwd",
            "1 1 push one none",
            "1 1 push all none more",
        ] {
            let history = History::parse(&format!("{bad}\n{good}\n{bad}"));
            assert_eq!(history.changes.len(), 1, "{bad}");
            assert_eq!(history.changes[0].to_string(), good);
            assert_eq!(history.torn, !bad.is_empty());
        }
    }
}
