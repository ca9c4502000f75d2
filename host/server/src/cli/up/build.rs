//! Builds an app's components, as `spin build` does: what depends on others after them, each
//! command by the shell in its directory.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use tensorgate_spin::manifest::dependency::From;
use tensorgate_spin::manifest::{Component, Manifest};
use tensorgate_spin::run::RunError;

use super::super::print;
use super::say::{self, Voice};

/// Builds these components of a manifest in its one form, whose paths are seen from `root`.
pub(super) fn build(
    manifest: &Manifest,
    root: &Path,
    order: &[&str],
    voice: &Voice,
) -> Result<(), RunError> {
    let buildable = order
        .iter()
        .filter_map(|id| Some((*id, manifest.components.get(*id)?.build.as_ref()?)));
    let buildable: Vec<_> = buildable.collect();
    if buildable.is_empty() {
        print("None of the components have a build command.\n");
        return Ok(());
    }
    for (id, build) in buildable {
        let directory = build.workdir.as_ref().map(|directory| root.join(directory));
        for command in build.command.all() {
            say::step("Building", &format!("component {id} with `{command}`"));
            if let Some(directory) = &directory {
                let directory = directory.display();
                say::step("Working directory:", &format!("\"{directory}\""));
            }
            run(id, command, directory.as_deref().unwrap_or(root), voice)?;
        }
    }
    say::step("Finished", "building all Spin components");
    Ok(())
}

fn run(id: &str, command: &str, directory: &Path, voice: &Voice) -> Result<(), RunError> {
    let failed =
        |how: &str| RunError::new(format!("Build command for component {id} failed {how}"));
    let status = Command::new("sh")
        .arg("-c")
        .arg(command)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stderr(
            voice
                .for_command()
                .map_err(|error| RunError::because("cannot use standard error", error))?,
        )
        .status()
        .map_err(|error| {
            let directory = directory.display();
            RunError::because(
                format!("Build command for component {id} could not be run in {directory}"),
                error,
            )
        })?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(failed(&format!("with status Exited({code})"))),
        None => Err(failed("with a signal")),
    }
}

/// Ids of these components, or of all where none is named; those that others depend on before
/// them. Who depends on whom is in the manifest as it is written, since in its one form that is
/// resolved; there alone are the names of components that are written out in triggers.
pub(super) fn order<'a>(
    written: &'a Manifest,
    manifest: &'a Manifest,
    only: &'a [String],
) -> Vec<&'a str> {
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    if only.is_empty() {
        for id in manifest.components.keys() {
            visit(written, &id.0, &mut seen, &mut order);
        }
    } else {
        for id in only {
            visit(written, id, &mut seen, &mut order);
        }
    }
    order
}

fn visit<'a>(
    manifest: &'a Manifest,
    id: &'a str,
    seen: &mut BTreeSet<&'a str>,
    order: &mut Vec<&'a str>,
) {
    // Where they depend on each other in a circle, loading says so.
    if !seen.insert(id) {
        return;
    }
    if let Some(component) = manifest.components.get(id) {
        for needed in needs(component) {
            visit(manifest, needed, seen, order);
        }
    }
    order.push(id);
}

/// Components of the same manifest that this one depends on.
fn needs(component: &Component) -> impl Iterator<Item = &str> {
    let all = component.dependencies.values();
    all.filter_map(|dependency| match &dependency.from {
        From::Component(id) => Some(id.0.as_str()),
        From::File(_) | From::Url { .. } | From::Registry { .. } => None,
    })
}
