//! Which call a path means.

use tensorgate_types::{ModelSpec, Result};

use crate::rest::percent_decode;
use crate::v2::version_choice;

/// A model and a version as a path names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: String,
    /// Empty where there is none.
    version: String,
}

impl Named {
    pub(super) fn checked(self) -> Result<ModelSpec> {
        Ok(ModelSpec {
            version: version_choice(&self.version)?,
            name: self.name,
        })
    }
}

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Metadata,
    Ready,
    Config,
    Infer,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Server,
    Live,
    Ready,
    Index,
    Model(Named, Of),
    /// Something of Triton's that is not here, in words.
    NotImplemented(&'static str),
}

impl Route {
    /// The method that goes with it; any does for what is not there.
    pub(super) fn method(&self) -> Option<&'static str> {
        match self {
            Self::Index | Self::Model(_, Of::Infer) => Some("POST"),
            Self::NotImplemented(_) => None,
            _ => Some("GET"),
        }
    }
}

/// The call that `path` (without a query) means.
pub(super) fn route(path: &str) -> Option<Route> {
    let rest = path.strip_prefix("/v2")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return Some(Route::Server);
    }
    let parts: Vec<&str> = rest.strip_prefix('/')?.split('/').collect();
    match *parts {
        ["health", "live"] => Some(Route::Live),
        ["health", "ready"] => Some(Route::Ready),
        ["models", "stats"] => Some(Route::NotImplemented(STATISTICS)),
        ["models", model, "versions", version, ref verb @ ..] if !version.is_empty() => {
            of_model(model, version, verb)
        }
        ["models", model, ref verb @ ..] => of_model(model, "", verb),
        ["repository", "index"] | ["repository", _, "index"] => Some(Route::Index),
        ["repository", "models", _, "load" | "unload"]
        | ["repository", _, "models", _, "load" | "unload"] => Some(Route::NotImplemented(
            "loading and unloading of models (the configuration says which are served)",
        )),
        ["systemsharedmemory" | "cudasharedmemory", ..] => Some(Route::NotImplemented(
            "shared memory (tensors are sent in the request)",
        )),
        ["trace", "setting"] => Some(Route::NotImplemented("the trace setting")),
        ["logging"] => Some(Route::NotImplemented("the log setting")),
        _ => None,
    }
}

const STATISTICS: &str = "the statistics of models (the server's metrics have them)";

fn of_model(model: &str, version: &str, verb: &[&str]) -> Option<Route> {
    if model.is_empty() {
        return None;
    }
    let of = match verb {
        [] => Of::Metadata,
        ["ready"] => Of::Ready,
        ["config"] => Of::Config,
        ["infer"] => Of::Infer,
        ["stats"] => return Some(Route::NotImplemented(STATISTICS)),
        ["generate" | "generate_stream"] => {
            return Some(Route::NotImplemented("the generate extension"));
        }
        ["trace", "setting"] => return Some(Route::NotImplemented("the trace setting")),
        _ => return None,
    };
    let named = Named {
        name: percent_decode(model),
        version: percent_decode(version),
    };
    Some(Route::Model(named, of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, version: &str, of: Of) -> Option<Route> {
        let named = Named {
            name: name.to_owned(),
            version: version.to_owned(),
        };
        Some(Route::Model(named, of))
    }

    #[test]
    fn paths_are_those_of_the_protocol() {
        for (path, expected) in [
            ("/v2", Some(Route::Server)),
            ("/v2/", Some(Route::Server)),
            ("/v2/health/live", Some(Route::Live)),
            ("/v2/health/ready", Some(Route::Ready)),
            ("/v2/repository/index", Some(Route::Index)),
            ("/v2/models/m", model("m", "", Of::Metadata)),
            ("/v2/models/m/", model("m", "", Of::Metadata)),
            ("/v2/models/m/ready", model("m", "", Of::Ready)),
            ("/v2/models/m/infer", model("m", "", Of::Infer)),
            ("/v2/models/m/config", model("m", "", Of::Config)),
            ("/v2/models/m/versions/3", model("m", "3", Of::Metadata)),
            (
                "/v2/models/a%2Fb/versions/stable/infer",
                model("a/b", "stable", Of::Infer),
            ),
            ("/v2/models/ready/ready", model("ready", "", Of::Ready)),
            ("/v2/models/m/versions", None),
            ("/v2/models/m/versions/", None),
            ("/v2/models/m/versions//infer", None),
            ("/v2/models/m/predict", None),
            ("/v2/models/m:infer", model("m:infer", "", Of::Metadata)),
            ("/v2/models", None),
            ("/v2/models/", None),
            ("/v2x", None),
            ("/v2/health", None),
            ("/V2/health/live", None),
            ("", None),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn what_triton_has_besides_is_known() {
        for path in [
            "/v2/models/stats",
            "/v2/models/m/stats",
            "/v2/models/m/versions/1/stats",
            "/v2/models/m/generate",
            "/v2/models/m/generate_stream",
            "/v2/models/m/trace/setting",
            "/v2/trace/setting",
            "/v2/logging",
            "/v2/repository/models/m/load",
            "/v2/repository/models/m/unload",
            "/v2/systemsharedmemory/status",
            "/v2/cudasharedmemory/region/x/register",
        ] {
            assert!(
                matches!(route(path), Some(Route::NotImplemented(_))),
                "{path}"
            );
        }
    }
}
