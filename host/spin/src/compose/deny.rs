//! What a dependency does not inherit of the host is denied it.
//!
//! Its imports of the host are sorted by the key of a manifest that gives them. Those of a key that
//! it does not inherit are satisfied by the component `tensorgate-deny`, whose answers are errors.
//! An import that a key would give and that has no such answer is refused: nothing stays open
//! because nobody thought of it.

use wac_graph::types::{SubtypeChecker, are_semver_compatible};

use super::ComposeError;
use super::graph::Graph;
use crate::lock::Inherit;

/// The component that denies.
const ADAPTER: &[u8] = include_bytes!(env!("TENSORGATE_DENY_COMPONENT"));

/// What each key of a manifest gives: packages and interfaces, of any version.
///
/// Spin's lists name versions; a newer one must not slip through.
const CAPABILITIES: &[(&str, &[&str])] = &[
    ("ai_models", &["fermyon:spin/llm"]),
    (
        "allowed_outbound_hosts",
        &[
            "fermyon:spin/http",
            "fermyon:spin/mqtt",
            "fermyon:spin/redis",
            "spin:mqtt/mqtt",
            "spin:redis/redis",
            "wasi:http/client",
            "wasi:http/outgoing-handler",
            "wasi:sockets/ip-name-lookup",
            "wasi:sockets/tcp",
            "wasi:sockets/tcp-create-socket",
            "wasi:sockets/udp",
            "wasi:sockets/udp-create-socket",
        ],
    ),
    ("environment", &["wasi:cli/environment"]),
    ("files", &["wasi:filesystem/preopens"]),
    (
        "key_value_stores",
        &[
            "fermyon:spin/key-value",
            "spin:key-value/key-value",
            "wasi:keyvalue/atomics",
            "wasi:keyvalue/batch",
            "wasi:keyvalue/store",
        ],
    ),
    (
        "sqlite_databases",
        &[
            "fermyon:spin/mysql",
            "fermyon:spin/postgres",
            "fermyon:spin/sqlite",
            "spin:mysql/mysql",
            "spin:postgres/postgres",
            "spin:sqlite/sqlite",
        ],
    ),
    (
        "variables",
        &[
            "fermyon:spin/config",
            "fermyon:spin/variables",
            "spin:variables/variables",
            "wasi:config/store",
        ],
    ),
];

/// The key of a manifest that gives an import; none of what the host gives everybody.
#[must_use]
pub fn capability(import: &str) -> Option<&'static str> {
    let interface = import.split_once('@').map_or(import, |(name, _)| name);
    CAPABILITIES
        .iter()
        .find(|(_, interfaces)| interfaces.contains(&interface))
        .map(|(key, _)| *key)
}

/// A component that can use nothing of the host but what it inherits.
///
/// # Errors
///
/// It is no component, or imports something that it may not use and that cannot be denied.
pub fn deny(name: &str, bytes: &[u8], inherit: &Inherit) -> Result<Vec<u8>, ComposeError> {
    let inherits = |key: &str| match inherit {
        Inherit::All => true,
        Inherit::Some(keys) => keys.iter().any(|inherited| inherited == key),
    };
    let mut graph = Graph::default();
    let component = graph.add(name, bytes.to_vec())?;
    let denied: Vec<(String, &'static str)> = graph
        .imports(component)
        .into_iter()
        .filter_map(|import| capability(&import).map(|key| (import, key)))
        .filter(|(_, key)| !inherits(key))
        .collect();
    if denied.is_empty() {
        return Ok(bytes.to_vec());
    }
    let adapter = graph.add("tensorgate-deny", ADAPTER.to_vec())?;
    let offers = graph.exports(adapter);
    for (import, key) in denied {
        let undeniable = || ComposeError::Undeniable {
            component: name.to_owned(),
            import: import.clone(),
            capability: key,
        };
        let export = offers
            .iter()
            .find(|export| are_semver_compatible(export, &import))
            .ok_or_else(undeniable)?;
        if let (Some(offered), Some(wanted)) = (
            graph.export_type(adapter, export),
            graph.import_type(component, &import),
        ) {
            let mut cache = Default::default();
            SubtypeChecker::new(&mut cache)
                .is_subtype(offered, graph.types(), wanted, graph.types())
                .map_err(|_| undeniable())?;
        }
        graph
            .connect((adapter, export), (component, &import))
            .map_err(ComposeError::Encode)?;
    }
    graph.export_all(component)?;
    graph.encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_belong_to_the_keys_that_give_them() {
        for (import, key) in [
            (
                "wasi:http/outgoing-handler@0.2.0",
                Some("allowed_outbound_hosts"),
            ),
            ("wasi:sockets/tcp@0.3.0", Some("allowed_outbound_hosts")),
            ("wasi:cli/environment@0.2.6", Some("environment")),
            ("wasi:filesystem/preopens@0.2.9", Some("files")),
            ("fermyon:spin/variables@2.0.0", Some("variables")),
            ("fermyon:spin/llm", Some("ai_models")),
            ("wasi:http/types@0.2.0", None),
            ("wasi:cli/stderr@0.2.6", None),
            ("tensorgate:serving/inference@0.1.0", None),
        ] {
            assert_eq!(capability(import), key, "{import}");
        }
    }

    #[test]
    fn every_key_that_can_be_inherited_gives_something() {
        let keys: Vec<&str> = CAPABILITIES.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, crate::manifest::dependency::INHERITABLE);
    }
}
