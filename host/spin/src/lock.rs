//! The locked app: a manifest with everything resolved, in the JSON shape of Spin's `spin.lock`.
//!
//! Spin hands this file to trigger plugins, so what it writes is read here, and what is written
//! here could be handed to Spin. As there, unknown fields are passed over: whatever a host must
//! not pass over is named in `must_understand` or `host_requirements`, and those are refused when
//! unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::de::{self, Deserializer};
use serde::ser::{SerializeStruct as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Values of any shape by name, as metadata is.
pub type Values = Map<String, Value>;

/// The host can route `*.spin.internal` to other components of the same app.
pub const SERVICE_CHAINING: &str = "local_service_chaining";

/// Components stand before the one that a trigger names.
pub const MIDDLEWARE: &str = "middleware";

const OPTIONAL: &str = "optional";

/// What a host requirement says that must be met.
pub const REQUIRED: &str = "required";

/// Host requirements that can be met here.
const SUPPORTED: &[&str] = &[SERVICE_CHAINING];

/// An app with everything resolved.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct LockedApp {
    /// The version of this shape.
    #[serde(default)]
    pub spin_lock_version: LockVersion,
    /// Fields that a host must not pass over.
    #[serde(default)]
    pub must_understand: Vec<MustUnderstand>,
    /// `name`, `version`, `description`, `authors`, `trigger`, `triggers`, `origin`.
    #[serde(default)]
    pub metadata: Values,
    /// What the host must be able to do.
    #[serde(default, deserialize_with = "host_requirements")]
    pub host_requirements: Values,
    /// The app's variables.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    /// What starts components.
    pub triggers: Vec<LockedTrigger>,
    /// The components.
    pub components: Vec<LockedComponent>,
}

/// The version of the lock's shape: 0, or 1 where something must be understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockVersion;

/// Fields that a host must process when they are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MustUnderstand {
    /// `host_requirements` of the app.
    HostRequirements,
    /// `host_requirements` of components.
    ComponentHostRequirements,
}

/// A component with everything resolved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LockedComponent {
    /// Its name within the app.
    pub id: String,
    /// `description`, `allowed_outbound_hosts`, `key_value_stores`, `databases`, `ai_models`,
    /// `build`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Values,
    /// Where its WebAssembly is.
    pub source: LockedSource,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What it sees of the file system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ContentPath>,
    /// Its variables: templates over the app's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// Who satisfies its imports.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dependencies: BTreeMap<String, LockedDependency>,
    /// Who stands before it, by the kind of place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trigger_dependencies: BTreeMap<String, Vec<LockedDependency>>,
    /// What the host must be able to do.
    #[serde(
        default,
        skip_serializing_if = "Map::is_empty",
        deserialize_with = "host_requirements"
    )]
    pub host_requirements: Values,
}

/// Who satisfies an import.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LockedDependency {
    /// Where its WebAssembly is.
    pub source: LockedSource,
    /// The export that satisfies the import; the one of the import's name when none is named.
    pub export: Option<String>,
    /// What it may use of what the component that depends on it has.
    #[serde(default, skip_serializing_if = "Inherit::is_nothing")]
    pub inherit: Inherit,
}

/// What a dependency may use of what the component that depends on it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inherit {
    /// Everything.
    All,
    /// What these keys of the manifest give; nothing when there are none.
    Some(Vec<String>),
}

/// Where WebAssembly is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LockedSource {
    /// `application/wasm`.
    pub content_type: String,
    /// The content.
    #[serde(flatten)]
    pub content: ContentRef,
}

/// Content, and where a component sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContentPath {
    /// The content.
    #[serde(flatten)]
    pub content: ContentRef,
    /// Where the component sees it.
    pub path: PathBuf,
}

/// Content: one of the three at least.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRef {
    /// A URL; of files here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The content itself, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "inline")]
    pub inline: Option<Vec<u8>>,
    /// `sha256:` and the digest that the content must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// What starts a component.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LockedTrigger {
    /// Its name within the app.
    pub id: String,
    /// `http` and so on.
    pub trigger_type: String,
    /// What the type wants: `component`, `route` and so on.
    pub trigger_config: Value,
}

/// A variable of the app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its value when nobody gives one; required when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Its value must not be shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

impl LockedApp {
    /// Reads what Spin wrote, or what [`to_json`](Self::to_json) did.
    pub fn from_json(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }

    /// As Spin writes it.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
    }

    /// The app's name; empty when it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        text(&self.metadata, "name")
    }

    /// The component of this id.
    #[must_use]
    pub fn component(&self, id: &str) -> Option<&LockedComponent> {
        self.components.iter().find(|component| component.id == id)
    }

    /// The triggers of a type, in the manifest's order.
    pub fn triggers_of<'a>(
        &'a self,
        trigger_type: &'a str,
    ) -> impl Iterator<Item = &'a LockedTrigger> {
        self.triggers
            .iter()
            .filter(move |trigger| trigger.trigger_type == trigger_type)
    }

    /// Components that a trigger of this type names, each once.
    #[must_use]
    pub fn triggered(&self, trigger_type: &str) -> Vec<&LockedComponent> {
        let ids: BTreeSet<&str> = self
            .triggers_of(trigger_type)
            .filter_map(LockedTrigger::component)
            .collect();
        self.components
            .iter()
            .filter(|component| ids.contains(component.id.as_str()))
            .collect()
    }
}

impl Serialize for LockedApp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let must = !self.must_understand.is_empty() || !self.host_requirements.is_empty();
        let mut app = serializer.serialize_struct("LockedApp", 7)?;
        app.serialize_field("spin_lock_version", &u8::from(must))?;
        if !self.must_understand.is_empty() {
            app.serialize_field("must_understand", &self.must_understand)?;
        }
        if !self.metadata.is_empty() {
            app.serialize_field("metadata", &self.metadata)?;
        }
        if !self.host_requirements.is_empty() {
            app.serialize_field("host_requirements", &self.host_requirements)?;
        }
        if !self.variables.is_empty() {
            app.serialize_field("variables", &self.variables)?;
        }
        app.serialize_field("triggers", &self.triggers)?;
        app.serialize_field("components", &self.components)?;
        app.end()
    }
}

impl<'de> Deserialize<'de> for LockVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            0 | 1 => Ok(Self),
            other => Err(de::Error::custom(format_args!(
                "invalid version {other}, expected 1 or lower"
            ))),
        }
    }
}

impl LockedComponent {
    /// What it is for, as its manifest says.
    #[must_use]
    pub fn description(&self) -> &str {
        text(&self.metadata, "description")
    }

    /// Strings that its metadata has under this key: `allowed_outbound_hosts` and so on.
    pub fn strings<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        self.metadata
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }
}

impl LockedTrigger {
    /// The component that it starts; none for a response that is written in the manifest.
    #[must_use]
    pub fn component(&self) -> Option<&str> {
        self.trigger_config.get("component")?.as_str()
    }
}

impl Inherit {
    fn is_nothing(&self) -> bool {
        matches!(self, Self::Some(keys) if keys.is_empty())
    }
}

impl Default for Inherit {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

fn text<'a>(values: &'a Values, key: &str) -> &'a str {
    values.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Drops what is optional and refuses what cannot be met.
fn host_requirements<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Values, D::Error> {
    let mut all = Values::deserialize(deserializer)?;
    all.retain(|_, value| value.as_str() != Some(OPTIONAL));
    let unmet: Vec<&str> = all
        .keys()
        .map(String::as_str)
        .filter(|key| !SUPPORTED.contains(key))
        .collect();
    if unmet.is_empty() {
        return Ok(all);
    }
    Err(de::Error::custom(format_args!(
        "the app requires of its host what Tensorgate does not support: {}",
        unmet.join(", ")
    )))
}

/// Bytes in base64.
mod inline {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    /// Spin writes it without padding; whoever pads is understood too.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );

    #[expect(clippy::ref_option, reason = "serde gives what the field is")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        LENIENT.decode(text).map(Some).map_err(de::Error::custom)
    }
}
