//! Who goes first when not everybody can.

use std::fmt;

/// How urgent a request is, against others that wait. Higher ones are served first, and when there
/// is no room, lower ones give up theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Served when nobody else waits; shed first.
    Low,
    /// What a request has that says nothing.
    #[default]
    Normal,
    /// Served before the others.
    High,
}

impl Priority {
    /// All of them, the lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// From its name, in whatever case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL
            .into_iter()
            .find(|priority| priority.name().eq_ignore_ascii_case(name))
    }

    /// `low`, `normal`, `high`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_names_and_an_order() {
        for priority in Priority::ALL {
            assert_eq!(Priority::parse(priority.name()), Some(priority));
        }
        assert_eq!(Priority::parse(" High"), Some(Priority::High));
        assert_eq!(Priority::parse("urgent"), None);
        assert!(Priority::Low < Priority::default() && Priority::default() < Priority::High);
    }
}
