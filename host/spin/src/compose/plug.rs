//! Components put together by hand, without a manifest: what one imports, others export.

use wac_graph::types::{SubtypeChecker, are_semver_compatible};

use super::deny::deny;
use super::graph::{Graph, Node};
use super::{ComposeError, check};
use crate::lock::Inherit;

/// A component whose exports satisfy imports of another.
#[derive(Clone, Debug)]
pub struct Plug {
    /// What errors call it.
    pub name: String,
    /// The component.
    pub bytes: Vec<u8>,
    /// What it may use of the host.
    pub inherit: Inherit,
}

/// Puts plugs into a socket: each import that a plug exports is satisfied by it, by the first one
/// that does. Imports that nobody exports stay imports.
///
/// # Errors
///
/// One is no component, an export is of another type than the import, or a plug satisfies nothing.
pub fn plug(name: &str, socket: &[u8], plugs: &[Plug]) -> Result<Vec<u8>, ComposeError> {
    check(socket).map_err(|reason| ComposeError::Source(format!("'{name}' {reason}")))?;
    let mut graph = Graph::default();
    let socket = graph.add(name, socket.to_vec())?;
    let mut open = graph.imports(socket);
    for plug in plugs {
        let denied = deny(&plug.name, &plug.bytes, &plug.inherit)?;
        let node = graph.add(&plug.name, denied)?;
        let exports = graph.exports(node);
        let before = open.len();
        let mut left = Vec::new();
        for import in open {
            match exports
                .iter()
                .find(|export| are_semver_compatible(export, &import))
            {
                Some(export) => connect(&mut graph, plug, (node, export), (socket, &import))?,
                None => left.push(import),
            }
        }
        open = left;
        if open.len() == before {
            return Err(ComposeError::NothingPlugged {
                socket: name.to_owned(),
                plugs: vec![format!("'{}'", plug.name)],
            });
        }
    }
    graph.export_all(socket)?;
    graph.encode()
}

fn connect(
    graph: &mut Graph,
    plug: &Plug,
    (node, export): (Node, &str),
    (socket, import): (Node, &str),
) -> Result<(), ComposeError> {
    let mismatch = |reason: String| ComposeError::Mismatch {
        dependency: plug.name.clone(),
        export: export.to_owned(),
        import: import.to_owned(),
        reason,
    };
    if let (Some(offered), Some(wanted)) = (
        graph.export_type(node, export),
        graph.import_type(socket, import),
    ) {
        let mut cache = Default::default();
        SubtypeChecker::new(&mut cache)
            .is_subtype(offered, graph.types(), wanted, graph.types())
            .map_err(|error| mismatch(format!("{error:#}")))?;
    }
    graph
        .connect((node, export), (socket, import))
        .map_err(mismatch)
}
