//! Values that a manifest may write in several forms: a text, a table, a list.
//!
//! Written by hand, since an error should say what forms there are, and of a table what was wrong
//! in it, and where; serde's untagged enums say only that no form fitted.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::names::check_package;

/// One command, or several that run one after the other.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Commands {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Commands {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<&str> {
        match self {
            Self::One(command) => vec![command],
            Self::Many(commands) => commands.iter().map(String::as_str).collect(),
        }
    }
}

/// Where WebAssembly is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, seen from the manifest.
    File(String),
    /// A file on the network.
    Url {
        /// Where.
        url: String,
        /// `sha256:` and its digest.
        digest: String,
    },
    /// A package of a registry.
    Registry {
        /// Which registry; the user's default one when none is named.
        registry: Option<String>,
        /// `namespace:name`.
        package: String,
        /// Just this version.
        version: String,
    },
}

/// Files that a component sees.
#[derive(Clone, Debug)]
pub enum Mount {
    /// Those that a pattern matches, where they are.
    Pattern(String),
    /// A file or directory, somewhere else.
    Placement {
        /// Where it is, seen from the manifest.
        source: String,
        /// Where the component sees it.
        destination: String,
    },
}

/// Where a component must run.
#[derive(Clone, Debug)]
pub enum Target {
    /// By its name, `spin-up:4.0`.
    Named(String),
    /// What a document on the network describes.
    Url(String),
    /// What a file describes.
    Path(String),
}

/// What is written as a text or as a table: `$fields` is the table, `$table` makes a value of it.
macro_rules! text_or_table {
    ($name:ident, $expecting:literal, $text:expr, $fields:ty, $table:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Either;
                impl<'de> Visitor<'de> for Either {
                    type Value = $name;

                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str($expecting)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        let make: fn(String) -> Result<$name, String> = $text;
                        make(text.to_owned()).map_err(E::custom)
                    }

                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        let fields = <$fields>::deserialize(MapAccessDeserializer::new(map))?;
                        let make: fn($fields) -> Result<$name, String> = $table;
                        make(fields).map_err(de::Error::custom)
                    }
                }
                deserializer.deserialize_any(Either)
            }
        }
    };
}
pub(super) use text_or_table;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceFields {
    url: Option<String>,
    digest: Option<String>,
    registry: Option<String>,
    package: Option<String>,
    version: Option<String>,
}

text_or_table! {
    Source,
    "a file, `{ url, digest }`, or `{ registry, package, version }`",
    |path| Ok(Source::File(path)),
    SourceFields,
    |fields| match fields {
        SourceFields { url: Some(url), digest: Some(digest), registry: None, package: None,
            version: None } => {
            check_digest(&digest)?;
            Ok(Source::Url { url, digest })
        }
        SourceFields { url: None, digest: None, registry, package: Some(package),
            version: Some(version) } => {
            check_package(&package)?;
            if let Err(error) = semver::Version::parse(&version) {
                return Err(format!("{version:?} is not a version: {error}"));
            }
            Ok(Source::Registry { registry, package, version })
        }
        _ => Err("expected a file, `{ url, digest }`, or `{ registry, package, version }`".into()),
    }
}

/// Whether this is how a digest is written.
pub(super) fn check_digest(digest: &str) -> Result<(), String> {
    let hex = digest
        .strip_prefix("sha256:")
        .ok_or_else(|| format!("invalid `digest` {digest:?}; must start with 'sha256:'"))?;
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err(format!(
            "invalid `digest` {digest:?}; expected 64 hexadecimal digits after 'sha256:'"
        ))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MountFields {
    source: String,
    destination: String,
}

text_or_table! {
    Mount,
    "a pattern of files, or `{ source, destination }`",
    |pattern| Ok(Mount::Pattern(pattern)),
    MountFields,
    |fields| Ok(Mount::Placement { source: fields.source, destination: fields.destination })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetFields {
    url: Option<String>,
    path: Option<String>,
}

text_or_table! {
    Target,
    "the name of a target, `{ url }`, or `{ path }`",
    |name| Ok(Target::Named(name)),
    TargetFields,
    |fields| match (fields.url, fields.path) {
        (Some(url), None) => Ok(Target::Url(url)),
        (None, Some(path)) => Ok(Target::Path(path)),
        _ => Err("expected the name of a target, `{ url }`, or `{ path }`".into()),
    }
}

impl<'de> Deserialize<'de> for Commands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Commands;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a command, or a list of commands")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Commands, E> {
                Ok(Commands::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Commands, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(Commands::Many(all))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
