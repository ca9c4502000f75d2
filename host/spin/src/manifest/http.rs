//! What a trigger of the type `http` wants, and one of the type `tensorgate`.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::schema::Ordered;

/// Types of triggers whose settings are these.
pub const HTTP_LIKE: [&str; 2] = ["http", "tensorgate"];

/// Settings of a trigger.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTrigger {
    /// The component.
    pub component: Option<String>,
    /// An answer that no component makes.
    pub static_response: Option<StaticResponse>,
    /// Which requests.
    pub route: RouteSetting,
    /// How the component is called.
    pub executor: Option<Executor>,
}

/// Which requests a trigger takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteSetting {
    /// Those whose path is of this pattern.
    Pattern(String),
    /// None from outside.
    Private,
}

/// How a component is called.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "type")]
pub enum Executor {
    /// By `wasi:http`.
    #[serde(alias = "spin")]
    Http,
    /// As a CGI program.
    Wagi {
        /// Its arguments.
        #[serde(default)]
        argv: Option<String>,
        /// The function that is called.
        #[serde(default)]
        entrypoint: Option<String>,
    },
}

/// An answer that no component makes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StaticResponse {
    /// 200 when none is given.
    #[serde(default)]
    pub status_code: Option<u16>,
    /// Its headers.
    #[serde(default)]
    pub headers: Ordered<String, String>,
    /// Its body.
    #[serde(default)]
    pub body: Option<String>,
}

impl HttpTrigger {
    /// Reads the settings of a locked trigger.
    ///
    /// # Errors
    ///
    /// They are not of this shape, or name both a component and an answer, or neither.
    pub fn from_locked(trigger: &crate::lock::LockedTrigger) -> Result<Self, String> {
        let read = Self::deserialize(&trigger.trigger_config)
            .map_err(|error| format!("trigger {:?}: {error}", trigger.id))?;
        read.check(&trigger.id)?;
        Ok(read)
    }

    /// Whether it has a component or an answer, and only one of them.
    pub(crate) fn check(&self, id: &str) -> Result<(), String> {
        let has = match (&self.component, &self.static_response) {
            (Some(_), None) | (None, Some(_)) => return Ok(()),
            (Some(_), Some(_)) => "both",
            (None, None) => "neither",
        };
        Err(format!(
            "triggers must specify either component or static_response - {id} has {has}"
        ))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrivateFields {
    private: bool,
}

impl<'de> Deserialize<'de> for RouteSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RouteSetting;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a pattern like \"/v1/...\", or `{ private = true }`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RouteSetting, E> {
                Ok(RouteSetting::Pattern(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RouteSetting, A::Error> {
                let fields = PrivateFields::deserialize(MapAccessDeserializer::new(map))?;
                if fields.private {
                    Ok(RouteSetting::Private)
                } else {
                    Err(de::Error::custom(
                        "route must be a string pattern or '{ private = true }': it has \
                         { private = false }",
                    ))
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}
