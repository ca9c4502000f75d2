//! The tables of a manifest, version 2, as they are written.
//!
//! Every table refuses what it does not know. Rules that one value cannot show are
//! [`rules`](super::rules)'s.

use std::collections::BTreeSet;
use std::fmt;

use indexmap::IndexMap;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::dependency::{Dependency, Middleware};
use super::forms::{Commands, Mount, Source, Target};
use crate::names::{Case, DependencyName, check_label};

/// A map in the order of the file.
pub type Ordered<K, V> = IndexMap<K, V>;

/// A manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always 2.
    pub spin_manifest_version: Version2,
    /// What the app is.
    pub application: Application,
    /// The app's variables.
    #[serde(default)]
    pub variables: Ordered<VariableName, Variable>,
    /// What starts components, by type.
    #[serde(rename = "trigger")]
    pub triggers: Ordered<String, Vec<Trigger>>,
    /// The components.
    #[serde(default, rename = "component")]
    pub components: Ordered<ComponentId, Component>,
}

/// What the app is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Who wrote it.
    #[serde(default)]
    pub authors: Vec<String>,
    /// Where it must run; for `spin build` alone.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// Settings of trigger types.
    #[serde(default, rename = "trigger")]
    pub trigger: Ordered<String, toml::Table>,
    /// Settings of tools, which only they read.
    #[serde(default)]
    pub tool: Ordered<String, toml::Table>,
}

/// A variable of the app.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What it is for.
    pub description: Option<String>,
    /// Somebody must give it a value.
    #[serde(default)]
    pub required: bool,
    /// Its value when nobody gives one.
    pub default: Option<String>,
    /// Its value must not be shown.
    #[serde(default)]
    pub secret: bool,
}

/// What starts a component.
#[derive(Clone, Debug, Default)]
pub struct Trigger {
    /// Its name; empty until it gets one.
    pub id: String,
    /// The component.
    pub component: Option<ComponentRef>,
    /// Further components.
    pub components: Ordered<String, Vec<ComponentRef>>,
    /// What stands before the component.
    pub dependencies: Ordered<String, Vec<Middleware>>,
    /// What the type wants.
    pub config: toml::Table,
}

/// A component of a trigger.
#[derive(Clone, Debug)]
pub enum ComponentRef {
    /// By its name.
    Id(ComponentId),
    /// Written out.
    Inline(Box<Component>),
}

/// A component.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Where its WebAssembly is.
    pub source: Source,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Its variables: templates over the app's.
    #[serde(default)]
    pub variables: Ordered<VariableName, String>,
    /// Environment variables.
    #[serde(default)]
    pub environment: Ordered<String, String>,
    /// Files that it may read.
    #[serde(default)]
    pub files: Vec<Mount>,
    /// Those of them that it may not.
    #[serde(default)]
    pub exclude_files: Vec<String>,
    /// Deprecated: hosts without a scheme.
    #[serde(default)]
    pub allowed_http_hosts: Vec<String>,
    /// Hosts that it may call.
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
    /// Key-value stores that it may open.
    #[serde(default)]
    pub key_value_stores: Vec<Label>,
    /// Databases that it may open.
    #[serde(default)]
    pub sqlite_databases: Vec<Label>,
    /// Language models that it may ask.
    #[serde(default)]
    pub ai_models: Vec<String>,
    /// Where it must run; for `spin build` alone.
    pub targets: Option<Vec<Target>>,
    /// How it is built.
    pub build: Option<Build>,
    /// Settings of tools, which only they read.
    #[serde(default)]
    pub tool: Ordered<String, toml::Table>,
    /// Whether dependencies may use what it may.
    pub dependencies_inherit_configuration: Option<bool>,
    /// Who satisfies its imports.
    #[serde(default)]
    pub dependencies: Ordered<DependencyKey, Dependency>,
    /// Other values in a profile.
    #[serde(default)]
    pub profile: Ordered<String, Profile>,
}

/// Values of a component in a profile.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Where its WebAssembly is.
    pub source: Option<Source>,
    /// Environment variables beside the others, or in their place.
    #[serde(default)]
    pub environment: Ordered<String, String>,
    /// Dependencies beside the others, or in their place.
    #[serde(default)]
    pub dependencies: Ordered<DependencyKey, Dependency>,
    /// How it is built.
    pub build: Option<ProfileBuild>,
}

/// How a component is built in a profile.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileBuild {
    /// The commands.
    pub command: Commands,
}

/// How a component is built.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The commands.
    pub command: Commands,
    /// Where they run, seen from the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// What it is built from, as patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<String>,
}

/// A text that is checked as it is read.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let check: fn(&str) -> Result<(), String> = $check;
                check(&text).map_err(de::Error::custom)?;
                Ok(Self(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

checked_text! {
    /// The name of a component.
    ComponentId, |text| Case::Kebab.check(text)
        .map_err(|reason| format!("{text:?} is no id of a component: {reason}"))
}
checked_text! {
    /// The name of a variable.
    VariableName, |text| Case::LowerSnake.check(text)
        .map_err(|reason| format!("{text:?} is no name of a variable: {reason}"))
}
checked_text! {
    /// The label of a store or a database.
    Label, check_label
}

/// The key of a dependency.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DependencyKey(pub DependencyName);

impl<'de> Deserialize<'de> for DependencyKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map(Self)
            .map_err(de::Error::custom)
    }
}

/// Always 2.
#[derive(Clone, Copy, Debug)]
pub struct Version2;

impl<'de> Deserialize<'de> for Version2 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        match value.as_integer() {
            Some(2) => Ok(Self),
            _ if value.as_str() == Some("1") => Err(de::Error::custom(
                "this manifest is of version 1, expected `spin_manifest_version = 2`: \
                 `spin doctor` upgrades it",
            )),
            _ => Err(de::Error::custom(format_args!(
                "invalid manifest version {value}, expected `spin_manifest_version = 2`"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for Trigger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Trigger;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the table of a trigger, under `[[trigger.<type>]]`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Trigger, A::Error> {
                let mut trigger = Trigger::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "id" => trigger.id = map.next_value()?,
                        "component" => trigger.component = Some(map.next_value()?),
                        "components" => {
                            let all: Ordered<String, OneOrMany> = map.next_value()?;
                            let all = all.into_iter().map(|(key, refs)| (key, refs.0));
                            trigger.components = all.collect();
                        }
                        "dependencies" => trigger.dependencies = map.next_value()?,
                        _ => {
                            trigger.config.insert(key, map.next_value()?);
                        }
                    }
                }
                Ok(trigger)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

struct OneOrMany(Vec<ComponentRef>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMany;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the id of a component, its table, or a list of these")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                ComponentRefVisitor
                    .visit_str(text)
                    .map(|one| OneOrMany(vec![one]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany, A::Error> {
                ComponentRefVisitor
                    .visit_map(map)
                    .map(|one| OneOrMany(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMany(all))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

struct ComponentRefVisitor;

impl<'de> Visitor<'de> for ComponentRefVisitor {
    type Value = ComponentRef;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the id of a component, or its table")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ComponentRef, E> {
        ComponentId::deserialize(de::value::StrDeserializer::new(text)).map(ComponentRef::Id)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ComponentRef, A::Error> {
        Component::deserialize(MapAccessDeserializer::new(map))
            .map(Box::new)
            .map(ComponentRef::Inline)
    }
}

impl<'de> Deserialize<'de> for ComponentRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ComponentRefVisitor)
    }
}

impl Manifest {
    /// Profiles that some component has.
    #[must_use]
    pub fn profiles(&self) -> BTreeSet<&str> {
        self.components
            .values()
            .flat_map(|component| component.profile.keys())
            .map(String::as_str)
            .collect()
    }
}
