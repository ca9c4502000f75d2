//! A component and its dependencies, made into one component: as Spin does it when an app starts.
//!
//! Main component and dependencies are instantiated side by side, and exports of the dependencies
//! are plugged into imports of the main one. That goes one level deep: what a dependency imports
//! itself becomes an import of the whole, so the host's affair. What it does not inherit of the
//! host is denied it by [`deny`](mod@deny) first.
//!
//! In one thing this does more than Spin. Spin makes an instance for each key and registers it under
//! the package of the key alone, which lets it refuse a second key of a package altogether. Here
//! keys of one package whose source and inheritance are the same are one instance, so that they may
//! share resources; [`refused_by_spin`] knows them. Whatever Spin takes is composed as Spin does it.

pub mod deny;
mod graph;
mod plug;

use std::collections::BTreeMap;
use std::fs;

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use wac_graph::types::SubtypeChecker;

pub use plug::{Plug, plug};

use crate::load::file_path;
use crate::lock::{Inherit, LockedComponent, LockedSource};
use crate::names::DependencyName;
use graph::{Graph, Node};

/// Why components do not go together; the words are Spin's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ComposeError {
    /// A file cannot be read, or is no component.
    #[error("{0}")]
    Source(String),
    /// A key that is none.
    #[error("component '{component}' has a dependency whose name is none: {reason}")]
    Name {
        /// The component.
        component: String,
        /// What is wrong with the name.
        reason: String,
    },
    /// A key that no import is satisfied by.
    #[error("dependency '{dependency}' doesn't match any imports of component '{component}'")]
    Unmatched {
        /// The component.
        component: String,
        /// The key.
        dependency: DependencyName,
    },
    /// Imports that several keys satisfy.
    #[error("component '{component}' has dependency conflicts: {}", conflicts(.imports))]
    Conflicts {
        /// The component.
        component: String,
        /// Imports, and the keys that satisfy each of them.
        imports: Vec<(String, Vec<DependencyName>)>,
    },
    /// A dependency without the export that is wanted of it.
    #[error("dependency '{dependency}' doesn't export '{export}' to satisfy import '{import}'")]
    MissingExport {
        /// The key, or the name of a plug.
        dependency: String,
        /// The export.
        export: String,
        /// The import.
        import: String,
    },
    /// An export of another type than the import.
    #[error(
        "dependency '{dependency}' exports '{export}' which is not compatible with import \
         '{import}': {reason}"
    )]
    Mismatch {
        /// The key, or the name of a plug.
        dependency: String,
        /// The export.
        export: String,
        /// The import.
        import: String,
        /// What is different.
        reason: String,
    },
    /// No plug satisfies any import.
    #[error("'{socket}' imports nothing that {} exports", .plugs.join(" or "))]
    NothingPlugged {
        /// What has the imports.
        socket: String,
        /// The plugs.
        plugs: Vec<String>,
    },
    /// Something of the host that cannot be denied.
    #[error(
        "'{component}' imports '{import}', which it may not use (`{capability}` is not inherited) \
         and which nothing here stands in for"
    )]
    Undeniable {
        /// The component.
        component: String,
        /// The import.
        import: String,
        /// The key of a manifest that would give it.
        capability: &'static str,
    },
    /// The components go together, and yet not.
    #[error("failed to encode composition graph: {0}")]
    Encode(String),
}

fn conflicts(imports: &[(String, Vec<DependencyName>)]) -> String {
    let told = imports.iter().map(|(import, names)| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        format!(
            "import '{import}' satisfied by dependencies: '{}'",
            names.join(", ")
        )
    });
    told.collect::<Vec<_>>().join("; ")
}

/// A dependency of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Which imports it satisfies.
    pub name: DependencyName,
    /// The component.
    pub bytes: Vec<u8>,
    /// The export that satisfies the import; the one of the import's name when none is named.
    pub export: Option<String>,
    /// What it may use of the host.
    pub inherit: Inherit,
}

/// Composes a component of a locked app from the files that it names.
///
/// # Errors
///
/// A file cannot be read, or they do not go together.
pub fn compose(component: &LockedComponent) -> Result<Vec<u8>, ComposeError> {
    let main = read(&component.source)?;
    let dependencies = component
        .dependencies
        .iter()
        .map(|(name, dependency)| {
            let name = name.parse().map_err(|reason| ComposeError::Name {
                component: component.id.clone(),
                reason,
            })?;
            Ok(Dependency {
                name,
                bytes: read(&dependency.source)?,
                export: dependency.export.clone(),
                inherit: dependency.inherit.clone(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    compose_bytes(&component.id, main, &dependencies)
}

/// Composes a component of this id with its dependencies.
///
/// # Errors
///
/// They do not go together.
pub fn compose_bytes(
    id: &str,
    main: Vec<u8>,
    dependencies: &[Dependency],
) -> Result<Vec<u8>, ComposeError> {
    if dependencies.is_empty() {
        return Ok(main);
    }
    let mut graph = Graph::default();
    let main = graph.add(id, main)?;
    let imports = graph.imports(main);
    let satisfied = assign(id, &imports, dependencies)?;
    let mut nodes: Vec<(&Dependency, Node)> = Vec::new();
    for (import, dependency) in satisfied {
        let same = nodes.iter().find(|(other, _)| {
            other.name.package() == dependency.name.package()
                && other.inherit == dependency.inherit
                && other.bytes == dependency.bytes
        });
        let node = match same {
            Some((_, node)) => *node,
            None => {
                let name = dependency.name.to_string();
                let denied = deny::deny(&name, &dependency.bytes, &dependency.inherit)?;
                let node = graph.add(&name, denied)?;
                nodes.push((dependency, node));
                node
            }
        };
        let export = dependency.export.as_ref().unwrap_or(&import);
        connect(&mut graph, dependency, (node, export), (main, &import))?;
    }
    graph.export_all(main)?;
    graph.encode()
}

/// Which dependency satisfies which import.
fn assign<'a>(
    id: &str,
    imports: &[String],
    dependencies: &'a [Dependency],
) -> Result<BTreeMap<String, &'a Dependency>, ComposeError> {
    let mut by_import: BTreeMap<String, Vec<&Dependency>> = BTreeMap::new();
    for dependency in dependencies {
        let matched = imports
            .iter()
            .filter(|import| dependency.name.matches(import));
        let before = by_import.values().map(Vec::len).sum::<usize>();
        for import in matched {
            by_import
                .entry(import.clone())
                .or_default()
                .push(dependency);
        }
        if by_import.values().map(Vec::len).sum::<usize>() == before {
            return Err(ComposeError::Unmatched {
                component: id.to_owned(),
                dependency: dependency.name.clone(),
            });
        }
    }
    let conflicts: Vec<_> = by_import
        .iter()
        .filter(|(_, all)| all.len() > 1)
        .map(|(import, all)| {
            let names = all.iter().map(|dependency| dependency.name.clone());
            (import.clone(), names.collect())
        })
        .collect();
    if !conflicts.is_empty() {
        return Err(ComposeError::Conflicts {
            component: id.to_owned(),
            imports: conflicts,
        });
    }
    let one = by_import
        .into_iter()
        .filter_map(|(import, all)| Some((import, all.into_iter().next()?)));
    Ok(one.collect())
}

/// Satisfies an import of one node by an export of another.
fn connect(
    graph: &mut Graph,
    dependency: &Dependency,
    (node, export): (Node, &str),
    (main, import): (Node, &str),
) -> Result<(), ComposeError> {
    let Some(offered) = graph.export_type(node, export) else {
        return Err(ComposeError::MissingExport {
            dependency: dependency.name.to_string(),
            export: export.to_owned(),
            import: import.to_owned(),
        });
    };
    let mismatch = |reason: String| ComposeError::Mismatch {
        dependency: dependency.name.to_string(),
        export: export.to_owned(),
        import: import.to_owned(),
        reason,
    };
    if let Some(wanted) = graph.import_type(main, import) {
        let mut cache = Default::default();
        SubtypeChecker::new(&mut cache)
            .is_subtype(offered, graph.types(), wanted, graph.types())
            .map_err(|error| mismatch(format!("{error:#}")))?;
    }
    graph
        .connect((node, export), (main, import))
        .map_err(mismatch)
}

/// Keys that Spin refuses, since another key of their package goes before them.
#[must_use]
pub fn refused_by_spin<'a>(
    names: impl IntoIterator<Item = &'a DependencyName>,
) -> Vec<&'a DependencyName> {
    let mut seen = std::collections::HashSet::new();
    names
        .into_iter()
        .filter(|name| match name.package() {
            Some(package) => !seen.insert(package.to_owned()),
            None => !seen.insert(name.to_string()),
        })
        .collect()
}

/// The component that a locked app names.
///
/// # Errors
///
/// It is no file, or cannot be read, or has another digest than the app says, or is no component.
pub fn read(source: &LockedSource) -> Result<Vec<u8>, ComposeError> {
    let Some(url) = &source.content.source else {
        return Err(ComposeError::Source(
            "a source names no file, expected the URL of one".to_owned(),
        ));
    };
    let path = file_path(url).map_err(ComposeError::Source)?;
    let bytes = fs::read(&path).map_err(|error| {
        ComposeError::Source(format!(
            "failed to read component source from disk at path {}: {error}",
            path.display()
        ))
    })?;
    if let Some(expected) = &source.content.digest {
        let found = format!("sha256:{:x}", Sha256::digest(&bytes));
        if !expected.eq_ignore_ascii_case(&found) {
            return Err(ComposeError::Source(format!(
                "{} has the digest {found}, and the app expects {expected}",
                path.display()
            )));
        }
    }
    check(&bytes).map_err(|reason| ComposeError::Source(format!("{} {reason}", path.display())))?;
    Ok(bytes)
}

/// Whether these are the first bytes of a component.
pub(crate) fn check(bytes: &[u8]) -> Result<(), &'static str> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(
            "is a core module and not a component: build it for wasm32-wasip2, which makes \
             components",
        ),
        _ => Err("is no WebAssembly component"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::ContentRef;

    #[test]
    fn a_source_that_is_another_than_was_locked_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("c.wasm");
        fs::write(&path, wat::parse_str("(component)").unwrap()).unwrap();
        let digest = format!("sha256:{:x}", Sha256::digest(fs::read(&path).unwrap()));
        let source = |digest: Option<&str>| LockedSource {
            content_type: "application/wasm".to_owned(),
            content: ContentRef {
                source: Some(format!("file://{}", path.display())),
                digest: digest.map(str::to_owned),
                ..ContentRef::default()
            },
        };
        assert!(read(&source(None)).is_ok());
        assert!(read(&source(Some(&digest))).is_ok());
        let other = format!("sha256:{}", "0".repeat(64));
        let refused = read(&source(Some(&other))).unwrap_err();
        let expected = format!(
            "{} has the digest {digest}, and the app expects {other}",
            path.display()
        );
        assert_eq!(refused.to_string(), expected);
    }
}
