//! Which call a path means.
//!
//! Literal parts match in any case; the verb (`predict`, `metadata`) is then compared exactly.
//! Names and labels are percent-decoded after matching, so that they may hold anything.

use tensorgate_types::{Error, ModelSpec, VersionChoice};

use super::Request;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Predict,
    Classify,
    Regress,
    Status,
    Metadata,
}

impl Api {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Classify => "classify",
            Self::Regress => "regress",
            Self::Status => "status",
            Self::Metadata => "metadata",
        }
    }
}

/// What is asked for, and of which model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) api: Api,
    pub(super) spec: ModelSpec,
}

/// Why a path means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RouteError {
    Malformed,
    MissingModel,
    /// The digits of a version that does not fit.
    BadVersion(String),
}

impl RouteError {
    pub(super) fn into_error(self, request: &Request<'_>) -> Error {
        Error::invalid_argument(match self {
            Self::Malformed => {
                format!("Malformed request: {} {}", request.method, request.path)
            }
            Self::MissingModel => "Missing model name in request.".to_owned(),
            Self::BadVersion(digits) => {
                format!("Failed to convert version: {digits} to numeric.")
            }
        })
    }
}

/// The call that `method` and `path` (without a query) mean.
pub(super) fn route(method: &str, path: &str) -> Result<Route, RouteError> {
    let parts = match method {
        "POST" => match_call(path),
        "GET" => match_query(path),
        _ => None,
    };
    let parts = parts.ok_or(RouteError::Malformed)?;
    let version = match parts.version {
        Version::Latest => VersionChoice::Latest,
        Version::Number(digits) => VersionChoice::Specific(
            digits
                .parse()
                .map_err(|_| RouteError::BadVersion(digits.to_owned()))?,
        ),
        Version::Label(label) => VersionChoice::Label(percent_decode(label)),
    };
    let api = match (method, parts.verb) {
        ("POST", "predict") => Api::Predict,
        ("POST", "classify") => Api::Classify,
        ("POST", "regress") => Api::Regress,
        ("GET", "metadata") => Api::Metadata,
        // In any other case it is matched and then ignored.
        ("GET", _) => Api::Status,
        _ => return Err(RouteError::Malformed),
    };
    if parts.model.is_empty() {
        return Err(RouteError::MissingModel);
    }
    let name = percent_decode(parts.model);
    Ok(Route {
        api,
        spec: ModelSpec { name, version },
    })
}

enum Version<'a> {
    Latest,
    Number(&'a str),
    Label(&'a str),
}

/// The parts of a path that matched.
struct Parts<'a> {
    model: &'a str,
    version: Version<'a>,
    verb: &'a str,
}

/// What is left of `text` behind `prefix`, whatever its case.
fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A name: everything up to the next slash or colon, and something at least.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(['/', ':']).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// `/versions/3`, `/labels/x` or nothing, and what is behind it.
fn version(text: &str) -> (Version<'_>, &str) {
    if let Some(rest) = strip(text, "/versions/") {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        if end > 0 {
            return (Version::Number(&rest[..end]), &rest[end..]);
        }
    }
    if let Some((label, rest)) = strip(text, "/labels/").and_then(name) {
        return (Version::Label(label), rest);
    }
    (Version::Latest, text)
}

/// `/v1/models/<model>[/versions/<n>|/labels/<l>]:<verb>`
fn match_call(path: &str) -> Option<Parts<'_>> {
    let (model, rest) = name(strip(path, "/v1/models/")?)?;
    let (version, rest) = version(rest);
    let verb = rest.strip_prefix(':')?;
    let known = ["classify", "regress", "predict"];
    known
        .iter()
        .any(|word| verb.eq_ignore_ascii_case(word))
        .then_some(Parts {
            model,
            version,
            verb,
        })
}

/// `/v1/models[/<model>][/versions/<n>|/labels/<l>][/metadata]`
fn match_query(path: &str) -> Option<Parts<'_>> {
    let rest = strip(path, "/v1/models")?;
    // A first segment is a model's name if that makes the whole match, whatever it is called.
    let named = rest.strip_prefix('/').and_then(name);
    named
        .and_then(|(model, rest)| match_rest(model, rest))
        .or_else(|| match_rest("", rest))
}

fn match_rest<'a>(model: &'a str, rest: &'a str) -> Option<Parts<'a>> {
    let (version, rest) = version(rest);
    let verb = match strip(rest, "/") {
        None => rest,
        Some(word) => word,
    };
    (rest.is_empty() || rest.starts_with('/') && verb.eq_ignore_ascii_case("metadata")).then_some(
        Parts {
            model,
            version,
            verb,
        },
    )
}

/// Decodes `%41`; what only looks like it stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let ([high, low, tail @ ..], b'%') = (tail, first)
            && let Some((high, low)) = hex(*high).zip(hex(*low))
        {
            out.push((high << 4 | low) as u8);
            rest = tail;
        } else {
            out.push(*first);
        }
    }
    // No model has a name that is not UTF-8, so that it does not matter what becomes of one.
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(method: &str, path: &str) -> Result<(Api, String), RouteError> {
        route(method, path).map(|route| (route.api, route.spec.to_string()))
    }

    fn ok(api: Api, spec: &str) -> Result<(Api, String), RouteError> {
        Ok((api, spec.to_owned()))
    }

    #[test]
    fn calls_are_posted_to_a_verb() {
        for (path, expected) in [
            ("/v1/models/m:predict", ok(Api::Predict, "Latest(m)")),
            ("/V1/Models/m:predict", ok(Api::Predict, "Latest(m)")),
            (
                "/v1/models/m/versions/3:classify",
                ok(Api::Classify, "Specific(m, 3)"),
            ),
            (
                "/v1/models/m/LABELS/a%2Fb:regress",
                ok(Api::Regress, "m/labels/a/b"),
            ),
            (
                "/v1/models/a%3Ab%2:predict",
                ok(Api::Predict, "Latest(a:b%2)"),
            ),
            ("/v1/models/m:PREDICT", Err(RouteError::Malformed)),
            ("/v1/models/m:predict/", Err(RouteError::Malformed)),
            ("/v1/models/m/:predict", Err(RouteError::Malformed)),
            ("/v1/models/:predict", Err(RouteError::Malformed)),
            (
                "/v1/models/m/versions/x:predict",
                Err(RouteError::Malformed),
            ),
            (
                "/v1/models/m/versions/3/labels/x:predict",
                Err(RouteError::Malformed),
            ),
            (
                "/v1/models/m/versions/9223372036854775808:PREDICT",
                Err(RouteError::BadVersion("9223372036854775808".to_owned())),
            ),
        ] {
            assert_eq!(routed("POST", path), expected, "{path}");
        }
        assert_eq!(
            routed("GET", "/v1/models/m:predict"),
            Err(RouteError::Malformed)
        );
    }

    #[test]
    fn queries_are_got() {
        for (path, expected) in [
            ("/v1/models/m", ok(Api::Status, "Latest(m)")),
            ("/v1/models/m/versions/7", ok(Api::Status, "Specific(m, 7)")),
            ("/v1/models/m/labels/x", ok(Api::Status, "m/labels/x")),
            ("/v1/models/m/metadata", ok(Api::Metadata, "Latest(m)")),
            ("/v1/models/m/METADATA", ok(Api::Status, "Latest(m)")),
            (
                "/v1/models/m/versions/7/metadata",
                ok(Api::Metadata, "Specific(m, 7)"),
            ),
            ("/v1/models/metadata", ok(Api::Status, "Latest(metadata)")),
            (
                "/v1/models/versions/metadata",
                ok(Api::Metadata, "Latest(versions)"),
            ),
            ("/v1/models", Err(RouteError::MissingModel)),
            ("/v1/models/versions/3", Err(RouteError::MissingModel)),
            ("/v1/models/", Err(RouteError::Malformed)),
            ("/v1/models/m/", Err(RouteError::Malformed)),
            ("/v1/models/m/versions", Err(RouteError::Malformed)),
            ("/v1/foo", Err(RouteError::Malformed)),
            ("/v1/modelsm", Err(RouteError::Malformed)),
        ] {
            assert_eq!(routed("GET", path), expected, "{path}");
        }
        assert_eq!(routed("DELETE", "/v1/models/m"), Err(RouteError::Malformed));
    }
}
