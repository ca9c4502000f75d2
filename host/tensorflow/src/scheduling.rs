//! On which threads the operations of a run are computed.
//!
//! TensorFlow hands every operation that is ready at the start of a run to its pool of inter-op
//! threads. For a small graph that is most of a run's time: a thread is woken for it, and others
//! spin in search of more. A run may ask to be computed on the thread that calls instead (its
//! kernels still use the intra-op threads), and [`RunPool`](tensorgate_engine::RunPool) has enough
//! of those.
//!
//! There is one thing that only the pool can do: TensorFlow heeds a deadline between operations
//! there, and a loop whose condition never fails would otherwise keep its thread for ever. So
//! graphs that can wait or go round without an end run on the pool, with a deadline; all others
//! end by themselves, with the last of their operations.

use prost::Message;

use crate::describe::unreadable;

/// Who chooses the threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheduling {
    /// The calling thread, for every graph that is sure to end.
    #[default]
    CallingThread,
    /// TensorFlow's inter-op pool, for all graphs: wide ones whose branches are worth more than
    /// one thread each.
    InterOpPool,
}

/// What decides, of a `tensorflow.MetaGraphDef`: the operations of the graph and its functions.
#[derive(Clone, PartialEq, Message)]
struct MetaGraph {
    #[prost(message, optional, tag = "2")]
    graph_def: Option<GraphDef>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphDef {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(message, optional, tag = "2")]
    library: Option<FunctionLibrary>,
}

#[derive(Clone, PartialEq, Message)]
struct FunctionLibrary {
    #[prost(message, repeated, tag = "1")]
    function: Vec<Function>,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(message, repeated, tag = "3")]
    node_def: Vec<Node>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, tag = "2")]
    op: String,
}

/// Whether a run of this graph may never end by itself: it has a loop, or waits for others.
///
/// # Errors
/// When `meta_graph` is no `MetaGraphDef`.
pub(crate) fn may_run_forever(meta_graph: &[u8]) -> tensorgate_types::Result<bool> {
    let graph = MetaGraph::decode(meta_graph).map_err(unreadable)?.graph_def;
    let graph = graph.unwrap_or_default();
    let functions = graph.library.unwrap_or_default().function;
    let mut nodes = graph
        .node
        .iter()
        .chain(functions.iter().flat_map(|function| &function.node_def));
    Ok(nodes.any(|node| loops_or_waits(&node.op)))
}

fn loops_or_waits(op: &str) -> bool {
    matches!(
        op,
        "While" | "StatelessWhile" | "NextIteration" | "RefNextIteration" | "For"
    ) || op.contains("Dequeue")
        || op.contains("Unstage")
        || op.contains("Barrier")
        || op.contains("IteratorGetNext")
        || op.ends_with("PyFunc")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(op: &str) -> Vec<Node> {
        ["Const", op, "Identity"]
            .map(|op| Node { op: op.to_owned() })
            .into()
    }

    fn with_node(op: &str) -> GraphDef {
        GraphDef {
            node: nodes(op),
            library: None,
        }
    }

    fn with_function(op: &str) -> GraphDef {
        let function = Function {
            node_def: nodes(op),
        };
        GraphDef {
            node: nodes("PartitionedCall"),
            library: Some(FunctionLibrary {
                function: vec![function],
            }),
        }
    }

    #[test]
    fn loops_and_waits_are_found_in_the_graph_and_in_its_functions() {
        let table = [
            ("MatMul", false),
            ("While", true),
            ("StatelessWhile", true),
            ("NextIteration", true),
            ("QueueDequeueV2", true),
            ("Where", false),
        ];
        for (op, expected) in table {
            for graph_def in [with_node(op), with_function(op)] {
                let graph_def = Some(graph_def);
                let bytes = MetaGraph { graph_def }.encode_to_vec();
                assert_eq!(may_run_forever(&bytes).ok(), Some(expected), "{op}");
            }
        }
        assert!(may_run_forever(b"\xff").is_err());
    }
}
