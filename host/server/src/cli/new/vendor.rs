//! The SDK in a new project: its sources as they are here, with manifests that stand alone.
//!
//! Here the SDK's crates share a workspace: versions of dependencies, edition and lints are in the
//! root's manifest. There they have none. What is inherited is written out, from the same
//! manifests that this binary was built by.
//!
//! **Invariant:** nothing here says a second time what a manifest says.

use std::collections::BTreeSet;
use std::path::PathBuf;

use toml::{Table, Value};

use super::embedded::VENDORED;

/// The root's manifest, lock file and licence.
const WORKSPACE: &str = include_str!("../../../../../Cargo.toml");
const LOCK: &str = include_str!("../../../../../Cargo.lock");
const LICENCE: &str = include_str!("../../../../../LICENSE");

/// Directories of crates in the repository, and below `vendor/`.
const CRATES: &[(&str, &str)] = &[
    ("guest/sdk/", "tensorgate-sdk"),
    ("host/types/", "tensorgate-types"),
    ("proto/", "tensorgate-proto"),
];

const MADE: &str = "# Written out by `tensorgate new processor`, of the crate's own manifest and its workspace's.\n";

/// The files of `vendor/`, and the lock file: what this was tested with is what is built.
///
/// # Errors
/// When a manifest is not as expected, which a test would have found.
pub(super) fn files() -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let workspace = table(WORKSPACE)?;
    let mut files = vec![
        (PathBuf::from("vendor/LICENSE"), LICENCE.into()),
        (PathBuf::from("Cargo.lock"), lock()?.into_bytes()),
    ];
    for (path, bytes) in VENDORED {
        let (rest, name) = CRATES
            .iter()
            .find_map(|(place, name)| Some((path.strip_prefix(place)?, name)))
            .ok_or_else(|| format!("{path} is of no crate"))?;
        let bytes = if rest == "Cargo.toml" {
            standalone(&String::from_utf8_lossy(bytes), &workspace)
                .map_err(|problem| format!("{path}: {problem}"))?
                .into_bytes()
        } else {
            bytes.to_vec()
        };
        files.push((PathBuf::from(format!("vendor/{name}/{rest}")), bytes));
    }
    Ok(files)
}

/// The names of all crates that a project is built from.
pub(super) fn crates() -> Vec<String> {
    let packages = locked().unwrap_or_default();
    packages.iter().filter_map(name_of).collect()
}

fn table(text: &str) -> Result<Table, String> {
    text.parse()
        .map_err(|error: toml::de::Error| error.to_string())
}

/// A manifest without a workspace. Tests and examples stay behind.
fn standalone(manifest: &str, workspace: &Table) -> Result<String, String> {
    let mut manifest = table(manifest)?;
    let shared = workspace.get("workspace").and_then(Value::as_table);
    let shared = shared.ok_or("the root's manifest has no workspace")?;
    for left in ["dev-dependencies", "example", "test", "bench"] {
        manifest.remove(left);
    }
    if let Some(Value::Table(package)) = manifest.get_mut("package") {
        let inherited = shared.get("package").and_then(Value::as_table);
        for (key, value) in package.iter_mut().filter(|(_, value)| inherits(value)) {
            let found = inherited.and_then(|inherited| inherited.get(key));
            *value = found
                .ok_or_else(|| format!("nobody says package.{key}"))?
                .clone();
        }
    }
    if manifest.get("lints").is_some_and(inherits) {
        let lints = shared.get("lints").ok_or("nobody says lints")?;
        manifest.insert("lints".to_owned(), lints.clone());
    }
    dependencies(&mut manifest, shared)?;
    if let Some(Value::Table(targets)) = manifest.get_mut("target") {
        for (_, target) in targets.iter_mut() {
            if let Value::Table(target) = target {
                dependencies(target, shared)?;
            }
        }
    }
    let text = toml::to_string(&manifest).map_err(|error| error.to_string())?;
    Ok(format!("{MADE}\n{text}"))
}

/// Whether it is `workspace = true`.
fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

/// Writes out the dependencies of a manifest, or of a target in it.
fn dependencies(of: &mut Table, shared: &Table) -> Result<(), String> {
    let all = shared.get("dependencies").and_then(Value::as_table);
    for kind in ["dependencies", "build-dependencies"] {
        let Some(Value::Table(own)) = of.get_mut(kind) else {
            continue;
        };
        for (name, dependency) in own.iter_mut().filter(|(_, own)| inherits(own)) {
            let found = all.and_then(|all| all.get(name));
            let found = found.ok_or_else(|| format!("nobody says dependencies.{name}"))?;
            *dependency = merged(name, found, dependency)?;
        }
    }
    Ok(())
}

/// A dependency of the workspace, with what a crate says beside it.
fn merged(name: &str, shared: &Value, own: &Value) -> Result<Value, String> {
    let mut merged = match shared {
        Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    };
    if merged.contains_key("path") {
        let is_there = CRATES.iter().any(|(_, vendored)| *vendored == name);
        if !is_there {
            return Err(format!(
                "the crate {name} is not among those that are vendored"
            ));
        }
        merged.insert("path".to_owned(), format!("../{name}").into());
    }
    for (key, value) in own.as_table().into_iter().flatten() {
        match (key.as_str(), merged.get_mut(key)) {
            ("workspace", _) => {}
            // Of both.
            ("features", Some(Value::Array(features))) => {
                features.extend(value.as_array().into_iter().flatten().cloned());
            }
            _ => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(Value::Table(merged))
}

fn name_of(package: &Value) -> Option<String> {
    Some(package.get("name")?.as_str()?.to_owned())
}

/// Names of the packages that one depends on, without the versions that some have.
fn depends_on(package: &Value) -> impl Iterator<Item = &str> {
    let all = package.get("dependencies").and_then(Value::as_array);
    let names = all.into_iter().flatten().filter_map(Value::as_str);
    names.filter_map(|name| name.split(' ').next())
}

/// The packages of our lock file that the vendored crates need, in their order. Of a crate that is
/// there in two versions both stay: cargo drops what it has no use for.
fn locked() -> Result<Vec<Value>, String> {
    let lock = table(LOCK)?;
    let packages = lock.get("package").and_then(Value::as_array);
    let packages = packages.ok_or("the lock file has no packages")?;
    let mut needed: BTreeSet<&str> = CRATES.iter().map(|(_, name)| *name).collect();
    loop {
        let before = needed.len();
        for package in packages {
            let name = package.get("name").and_then(Value::as_str);
            if name.is_some_and(|name| needed.contains(name)) {
                needed.extend(depends_on(package));
            }
        }
        if needed.len() == before {
            break;
        }
    }
    let is_needed = |package: &&Value| {
        let name = package.get("name").and_then(Value::as_str);
        name.is_some_and(|name| needed.contains(name))
    };
    Ok(packages.iter().filter(is_needed).cloned().collect())
}

fn lock() -> Result<String, String> {
    let version = table(LOCK)?.get("version").cloned();
    let mut lock = Table::new();
    lock.insert(
        "version".to_owned(),
        version.ok_or("the lock file has no version")?,
    );
    lock.insert("package".to_owned(), Value::Array(locked()?));
    let text = toml::to_string(&lock).map_err(|error| error.to_string())?;
    Ok(format!(
        "# This file is automatically @generated by Cargo.\n\
         # It is not intended for manual editing.\n{text}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_stands_alone() {
        let workspace = table(
            "[workspace.package]\nedition = '2024'\n\
             [workspace.lints.rust]\nunsafe_code = 'deny'\n\
             [workspace.dependencies]\n\
             tensorgate-types = { path = 'host/types' }\n\
             csv = '1.4'\n\
             bytemuck = { version = '1.24', features = ['derive'] }\n\
             wit = { version = '0.6', default-features = false }",
        )
        .unwrap();
        let manifest = "[package]\nname = 'sdk'\nedition.workspace = true\n\
             [features]\ntabular = ['dep:csv']\n\
             [dependencies]\ncsv = { workspace = true, optional = true }\n\
             bytemuck = { workspace = true, features = ['min'] }\n\
             tensorgate-types.workspace = true\n\
             [target.'cfg(wasm)'.dependencies]\nwit.workspace = true\n\
             [dev-dependencies]\nsdk = { path = '.' }\n\
             [[example]]\nname = 'e'\n\
             [lints]\nworkspace = true";
        let expected = "[package]\nname = 'sdk'\nedition = '2024'\n\
             [features]\ntabular = ['dep:csv']\n\
             [dependencies]\ncsv = { version = '1.4', optional = true }\n\
             bytemuck = { version = '1.24', features = ['derive', 'min'] }\n\
             tensorgate-types = { path = '../tensorgate-types' }\n\
             [target.'cfg(wasm)'.dependencies]\nwit = { version = '0.6', default-features = false }\n\
             [lints.rust]\nunsafe_code = 'deny'";
        let made = standalone(manifest, &workspace).unwrap();
        assert_eq!(table(&made).unwrap(), table(expected).unwrap());
        for (text, words) in [
            (
                "[dependencies]\nother.workspace = true",
                "nobody says dependencies.other",
            ),
            (
                "[package]\nlicense.workspace = true",
                "nobody says package.license",
            ),
            ("[", "TOML parse error"),
        ] {
            let problem = standalone(text, &workspace).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
        let elsewhere = table("[workspace.dependencies]\ncore = { path = 'host/core' }").unwrap();
        let problem = standalone("[dependencies]\ncore.workspace = true", &elsewhere).unwrap_err();
        assert!(problem.contains("core is not among those"), "{problem}");
    }

    #[test]
    fn the_sdk_is_vendored_with_all_that_it_needs() {
        let files = files().unwrap();
        let text = |path: &str| {
            let found = files
                .iter()
                .find(|(found, _)| found == &PathBuf::from(path));
            let (_, bytes) = found.unwrap_or_else(|| panic!("{path}"));
            String::from_utf8(bytes.clone()).unwrap()
        };
        for name in ["tensorgate-sdk", "tensorgate-types", "tensorgate-proto"] {
            let manifest = text(&format!("vendor/{name}/Cargo.toml"));
            assert!(!manifest.contains("workspace = true"), "{manifest}");
            assert!(!text(&format!("vendor/{name}/src/lib.rs")).is_empty());
        }
        let lock = text("Cargo.lock");
        assert!(lock.contains("name = \"wit-bindgen\""));
        assert!(!lock.contains("name = \"wasmtime\""));
        assert!(crates().iter().any(|name| name == "serde"));
    }
}
