//! `wac-graph`, as far as it is used here, with its errors in our words.

use wac_graph::types::{ItemKind, Package, Types};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

use super::ComposeError;

/// A component within a graph, instantiated once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    package: PackageId,
    instance: NodeId,
}

#[derive(Default)]
pub(super) struct Graph {
    graph: CompositionGraph,
    count: usize,
}

impl Graph {
    /// Adds a component and instantiates it.
    pub(super) fn add(&mut self, name: &str, bytes: Vec<u8>) -> Result<Node, ComposeError> {
        super::check(&bytes)
            .map_err(|reason| ComposeError::Source(format!("'{name}' {reason}")))?;
        // Two components must not have one name, and no name of ours is seen later.
        self.count += 1;
        let unique = format!("tensorgate:composed/part-{}", self.count);
        let package =
            Package::from_bytes(&unique, None, bytes, self.graph.types_mut()).map_err(|error| {
                ComposeError::Source(format!("'{name}' is no component: {error:#}"))
            })?;
        let package = self
            .graph
            .register_package(package)
            .map_err(|error| ComposeError::Encode(error.to_string()))?;
        let instance = self.graph.instantiate(package);
        Ok(Node { package, instance })
    }

    pub(super) fn types(&self) -> &Types {
        self.graph.types()
    }

    pub(super) fn imports(&self, node: Node) -> Vec<String> {
        let world = self.graph[node.package].ty();
        self.graph.types()[world].imports.keys().cloned().collect()
    }

    pub(super) fn exports(&self, node: Node) -> Vec<String> {
        let world = self.graph[node.package].ty();
        self.graph.types()[world].exports.keys().cloned().collect()
    }

    pub(super) fn import_type(&self, node: Node, name: &str) -> Option<ItemKind> {
        let world = self.graph[node.package].ty();
        self.graph.types()[world].imports.get(name).copied()
    }

    pub(super) fn export_type(&self, node: Node, name: &str) -> Option<ItemKind> {
        let world = self.graph[node.package].ty();
        self.graph.types()[world].exports.get(name).copied()
    }

    /// Satisfies an import by an export.
    pub(super) fn connect(
        &mut self,
        (from, export): (Node, &str),
        (to, import): (Node, &str),
    ) -> Result<(), String> {
        let item = self
            .graph
            .alias_instance_export(from.instance, export)
            .map_err(|error| error.to_string())?;
        self.graph
            .set_instantiation_argument(to.instance, import, item)
            .map_err(|error| chain(&error))
    }

    /// Exports whatever a node exports.
    pub(super) fn export_all(&mut self, node: Node) -> Result<(), ComposeError> {
        for name in self.exports(node) {
            let item = self
                .graph
                .alias_instance_export(node.instance, &name)
                .map_err(|error| ComposeError::Encode(error.to_string()))?;
            self.graph
                .export(item, &name)
                .map_err(|error| ComposeError::Encode(error.to_string()))?;
        }
        Ok(())
    }

    /// The one component.
    pub(super) fn encode(&self) -> Result<Vec<u8>, ComposeError> {
        self.graph
            .encode(EncodeOptions::default())
            .map_err(|error| ComposeError::Encode(chain(&error)))
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
