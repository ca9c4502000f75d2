//! How a component names what it wants to run: `model`, `model@3` or `model:label`, and
//! `#signature` behind it where that is not the default one.
//!
//! The standard leaves names to the host. These marks are not letters of names: a model whose name
//! has one of them cannot be named here.

use tensorgate_types::{ModelSpec, VersionChoice};

use super::errors::{Fallible, NnError};

/// Bytes of a name.
const MAX_NAME: usize = 1024;

const DEFAULT_SIGNATURE: &str = "serving_default";

const EXPECTED: &str = "expected model, model@3 or model:label, and #signature behind it where \
                        that is not serving_default";

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) spec: ModelSpec,
    pub(super) signature: String,
}

/// # Errors
/// `invalid-argument`, for what cannot be a name.
pub(super) fn parse(text: &str) -> Fallible<Name> {
    let bad = |why: &str| {
        let shown: String = text.chars().take(64).collect();
        Err(NnError::invalid(format!("{shown:?} {why}; {EXPECTED}")))
    };
    if text.len() > MAX_NAME {
        return bad(&format!(
            "has {} bytes, and may have {MAX_NAME}",
            text.len()
        ));
    }
    let (rest, signature) = match text.split_once('#') {
        Some((_, "")) => return bad("names no signature"),
        Some((_, signature)) if signature.contains('#') => return bad("has # twice"),
        Some((rest, signature)) => (rest, signature),
        None => (text, DEFAULT_SIGNATURE),
    };
    let (name, version) = match rest.split_once(['@', ':']) {
        None => (rest, VersionChoice::Latest),
        Some((_, choice)) if choice.contains(['@', ':']) => {
            return bad("has more than one version");
        }
        Some((name, choice)) if rest[name.len()..].starts_with('@') => {
            match choice.parse() {
                // `+3` is a number to Rust.
                Ok(version) if choice.bytes().all(|byte| byte.is_ascii_digit()) => {
                    (name, VersionChoice::Specific(version))
                }
                _ => return bad("has a version that is no number"),
            }
        }
        Some((_, "")) => return bad("names no label"),
        Some((name, label)) => (name, VersionChoice::Label(label.to_owned())),
    };
    if name.is_empty() {
        return bad("names no model");
    }
    Ok(Name {
        spec: ModelSpec {
            name: name.to_owned(),
            version,
        },
        signature: signature.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_with_versions_labels_and_signatures() {
        let label = |label: &str| VersionChoice::Label(label.to_owned());
        for (text, name, version, signature) in [
            ("m", "m", VersionChoice::Latest, DEFAULT_SIGNATURE),
            ("m@3", "m", VersionChoice::Specific(3), DEFAULT_SIGNATURE),
            ("m:stable", "m", label("stable"), DEFAULT_SIGNATURE),
            ("m#s", "m", VersionChoice::Latest, "s"),
            (
                "a b/c@0#s@1:x",
                "a b/c",
                VersionChoice::Specific(0),
                "s@1:x",
            ),
            ("é:ü#ß", "é", label("ü"), "ß"),
        ] {
            let parsed = parse(text).expect(text);
            assert_eq!(parsed.spec.name, name, "{text}");
            assert_eq!(parsed.spec.version, version, "{text}");
            assert_eq!(parsed.signature, signature, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_name() {
        for (text, words) in [
            ("", "\"\" names no model; expected model, model@3"),
            ("@3", "names no model"),
            ("#s", "names no model"),
            ("m#", "names no signature"),
            ("m#a#b", "has # twice"),
            ("m:", "names no label"),
            ("m@", "has a version that is no number"),
            ("m@three", "has a version that is no number"),
            ("m@-1", "has a version that is no number"),
            ("m@+1", "has a version that is no number"),
            ("m@99999999999999999999", "has a version that is no number"),
            ("m@3:stable", "has more than one version"),
            ("m:stable@3", "has more than one version"),
            (&"m".repeat(2000), "has 2000 bytes, and may have 1024"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.data.contains(words), "{text}: {}", error.data);
        }
    }
}
