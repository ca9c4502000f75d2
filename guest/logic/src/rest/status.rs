//! Which versions of a model there are, and in which state.

use tensorgate_types::{Error, ModelSpec, ModelVersionStatus, Result, VersionChoice};

use super::printer::Printer;
use crate::inference::Inference;

pub(super) fn status(spec: &ModelSpec, inference: &impl Inference) -> Result<Vec<u8>> {
    let version = match &spec.version {
        VersionChoice::Specific(version) => Some(*version),
        // The original ignores labels here, even ones that it does not know.
        VersionChoice::Latest | VersionChoice::Label(_) => None,
    };
    let mut versions = inference.status(&spec.name, version)?;
    if versions.is_empty() {
        return Err(Error::not_found(match version {
            None => format!("Could not find any versions of model {}", spec.name),
            Some(version) => {
                format!("Could not find version {version} of model {}", spec.name)
            }
        }));
    }
    versions.sort_by_key(|status| std::cmp::Reverse(status.version));
    Ok(Printer::message(|p| {
        p.name("model_version_status").array(&versions, print);
    }))
}

fn print(p: &mut Printer, status: &ModelVersionStatus) {
    p.object(|p| {
        p.name("version").quoted(status.version);
        p.name("state").quoted(status.state.name());
        p.name("status").object(|p| {
            let (code, message) = match &status.status {
                Ok(()) => ("OK", ""),
                Err((code, message)) => (code.name(), message.as_str()),
            };
            p.name("error_code").quoted(code);
            p.name("error_message").string(message);
        });
    });
}
