//! Names of models and versions, and the states in which versions are reported.

use std::fmt;

use crate::{ErrorCode, Result};

/// One version of one model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServableId {
    /// The model's name.
    pub name: String,
    /// The version: the number that names its directory.
    pub version: i64,
}

impl ServableId {
    /// The version `version` of the model `name`.
    pub fn new(name: impl Into<String>, version: i64) -> Self {
        Self {
            name: name.into(),
            version,
        }
    }
}

/// `{name: half_plus_two version: 123}`, as TensorFlow Serving logs it.
impl fmt::Display for ServableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{name: {} version: {}}}", self.name, self.version)
    }
}

/// Which version of a model a caller wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum VersionChoice {
    /// The highest version that is available.
    #[default]
    Latest,
    /// This version.
    Specific(i64),
    /// The version that this label points at.
    Label(String),
}

/// Which model, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelSpec {
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: VersionChoice,
}

/// `Latest(m)`, `Specific(m, 3)` or `m/labels/stable`: the form that TensorFlow Serving's
/// messages use.
impl fmt::Display for ModelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            VersionChoice::Latest => write!(f, "Latest({})", self.name),
            VersionChoice::Specific(version) => write!(f, "Specific({}, {version})", self.name),
            VersionChoice::Label(label) => write!(f, "{}/labels/{label}", self.name),
        }
    }
}

/// The state of a version as clients see it. The numbers are those of
/// `tensorflow.serving.ModelVersionStatus.State`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ServableState {
    /// Known, and not being loaded yet.
    Start = 10,
    /// Being loaded (also between attempts).
    Loading = 20,
    /// Answers requests.
    Available = 30,
    /// Takes no new requests; those that hold it go on.
    Unloading = 40,
    /// Gone, or never came: the status tells.
    End = 50,
}

impl ServableState {
    /// Every state, in the order in which a version passes through them.
    pub const ALL: [Self; 5] = [
        Self::Start,
        Self::Loading,
        Self::Available,
        Self::Unloading,
        Self::End,
    ];

    /// `AVAILABLE` and so on.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Loading => "LOADING",
            Self::Available => "AVAILABLE",
            Self::Unloading => "UNLOADING",
            Self::End => "END",
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The state with this number on the wire.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

/// The state of one version, and the error that ended it, if one did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelVersionStatus {
    /// The version.
    pub version: i64,
    /// Its state.
    pub state: ServableState,
    /// `Ok`, or why it is in [`ServableState::End`].
    pub status: Result<(), (ErrorCode, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_tensorflow_serving_does() {
        assert_eq!(ServableId::new("m", 3).to_string(), "{name: m version: 3}");
        let spec = |version| ModelSpec {
            name: "m".to_owned(),
            version,
        };
        assert_eq!(spec(VersionChoice::Latest).to_string(), "Latest(m)");
        assert_eq!(
            spec(VersionChoice::Specific(7)).to_string(),
            "Specific(m, 7)"
        );
    }

    #[test]
    fn states_have_the_numbers_of_the_wire() {
        assert_eq!(
            ServableState::ALL.map(ServableState::number),
            [10, 20, 30, 40, 50]
        );
        assert_eq!(
            ServableState::from_number(30),
            Some(ServableState::Available)
        );
        assert_eq!(ServableState::from_number(0), None);
    }
}
