//! Dependencies: who satisfies an import of a component, and what it may use.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::forms::{check_digest, text_or_table};
use super::schema::ComponentId;
use crate::lock;
use crate::names::check_package;

/// Keys of a component that dependencies may inherit.
pub const INHERITABLE: [&str; 7] = [
    "ai_models",
    "allowed_outbound_hosts",
    "environment",
    "files",
    "key_value_stores",
    "sqlite_databases",
    "variables",
];

/// Who satisfies an import.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// Where its WebAssembly is.
    pub from: From,
    /// The export that satisfies the import; the one of the import's name when none is named.
    pub export: Option<String>,
    /// What it may use; nothing when that is not said.
    pub inherit: Option<Inherit>,
}

/// Where the WebAssembly of a dependency is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// A file, seen from the manifest.
    File(String),
    /// A component of the same manifest.
    Component(ComponentId),
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
        /// `namespace:name`; that of the key when none is named.
        package: Option<String>,
        /// Versions that will do.
        version: String,
    },
}

/// What a dependency may use of what the component has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Inherit {
    /// Everything, or nothing.
    All(bool),
    /// What these keys give.
    Some(Vec<String>),
}

impl Inherit {
    /// As a locked app writes it.
    #[must_use]
    pub fn locked(&self) -> lock::Inherit {
        match self {
            Self::All(true) => lock::Inherit::All,
            Self::All(false) => lock::Inherit::default(),
            Self::Some(keys) => lock::Inherit::Some(keys.clone()),
        }
    }
}

impl<'de> Deserialize<'de> for Inherit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Inherit;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    formatter,
                    "true, false, or a list of {}",
                    INHERITABLE.join(", ")
                )
            }

            fn visit_bool<E: de::Error>(self, all: bool) -> Result<Inherit, E> {
                Ok(Inherit::All(all))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Inherit, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = seq.next_element::<String>()? {
                    if !INHERITABLE.contains(&key.as_str()) {
                        return Err(de::Error::custom(format_args!(
                            "a dependency cannot inherit {key:?}, expected some of {}",
                            INHERITABLE.join(", ")
                        )));
                    }
                    keys.push(key);
                }
                Ok(Inherit::Some(keys))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What may be written of a dependency; which of it belongs together is checked afterwards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    path: Option<String>,
    component: Option<ComponentId>,
    url: Option<String>,
    digest: Option<String>,
    registry: Option<String>,
    package: Option<String>,
    version: Option<String>,
    export: Option<String>,
    inherit_configuration: Option<Inherit>,
}

const FORMS: &str = "a version, `{ path }`, `{ component }`, `{ url, digest }`, or \
                     `{ version, package, registry }`";

impl Fields {
    /// Where it is; an error unless that is said in exactly one way.
    fn from(&mut self) -> Result<From, String> {
        let path = self.path.take();
        let component = self.component.take();
        let url = (self.url.take(), self.digest.take());
        let package = (
            self.version.take(),
            self.package.take(),
            self.registry.take(),
        );
        match (path, component, url, package) {
            (Some(path), None, (None, None), (None, None, None)) => Ok(From::File(path)),
            (None, Some(component), (None, None), (None, None, None)) => {
                Ok(From::Component(component))
            }
            (None, None, (Some(url), Some(digest)), (None, None, None)) => {
                check_digest(&digest)?;
                Ok(From::Url { url, digest })
            }
            (None, None, (None, None), (Some(version), package, registry)) => {
                check_requirement(&version)?;
                if let Some(package) = &package {
                    check_package(package)?;
                }
                Ok(From::Registry {
                    registry,
                    package,
                    version,
                })
            }
            _ => Err(format!(
                "says where it is in no way, or in several: expected {FORMS}"
            )),
        }
    }
}

fn check_requirement(version: &str) -> Result<(), String> {
    match semver::VersionReq::parse(version) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "invalid semantic version requirement {version:?}: {error}"
        )),
    }
}

text_or_table! {
    Dependency,
    "a version, `{ path }`, `{ component }`, `{ url, digest }`, or `{ version, package, registry }`",
    |version| {
        check_requirement(&version)?;
        let from = From::Registry { registry: None, package: None, version };
        Ok(Dependency { from, export: None, inherit: None })
    },
    Fields,
    |mut fields| Ok(Dependency {
        from: fields.from()?,
        export: fields.export,
        inherit: fields.inherit_configuration,
    })
}

/// What stands before a component: it takes requests first.
#[derive(Clone, Debug)]
pub struct Middleware {
    /// Where its WebAssembly is.
    pub from: From,
    /// What it may use; nothing when that is not said.
    pub inherit: Option<Inherit>,
}

impl<'de> Deserialize<'de> for Middleware {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Fields::deserialize(deserializer)?;
        if fields.export.is_some() {
            return Err(de::Error::custom(
                "unknown field `export`: what stands before a component exports a handler",
            ));
        }
        let from = fields.from().map_err(de::Error::custom)?;
        if matches!(from, From::Registry { package: None, .. }) {
            return Err(de::Error::missing_field("package"));
        }
        Ok(Self {
            from,
            inherit: fields.inherit_configuration,
        })
    }
}
