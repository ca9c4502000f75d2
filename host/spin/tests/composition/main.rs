//! Components composed as Spin composes them, and run under wasmtime.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod host;

use std::path::PathBuf;

use tensorgate_spin::compose::{ComposeError, Dependency, compose_bytes, refused_by_spin};
use tensorgate_spin::compose::{Plug, deny, plug};
use tensorgate_spin::lock::Inherit;
use tensorgate_spin::names::DependencyName;

/// A component of tests/composed.
fn component(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/guests/wasm32-wasip2/guest/examples")
        .join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `cargo xtask guests` builds it",
            path.display()
        )
    })
}

fn name(text: &str) -> DependencyName {
    text.parse().unwrap()
}

fn dependency(key: &str, bytes: &[u8], inherit: Inherit) -> Dependency {
    Dependency {
        name: name(key),
        bytes: bytes.to_vec(),
        export: None,
        inherit,
    }
}

fn some(keys: &[&str]) -> Inherit {
    Inherit::Some(keys.iter().map(|&key| key.to_owned()).collect())
}

const EVERYTHING: [&str; 5] = [
    "allowed_outbound_hosts",
    "environment",
    "files",
    "key_value_stores",
    "variables",
];

fn probed(inherit: Inherit) -> Vec<u8> {
    let probe = dependency("test:composed/probe", &component("probe"), inherit);
    compose_bytes("front", component("front"), &[probe]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_that_inherits_nothing_is_denied_everything() {
    let found = host::probe(&probed(Inherit::default())).await;
    for (tried, denied) in [
        ("environment", ""),
        ("directory", "No such file or directory"),
        ("variable", "\"fermyon:spin/variables\\\" is not permitted"),
        ("store", "Error::AccessDenied"),
        ("connect", "PermissionDenied"),
        ("fetch", "wasi:http/outgoing-handler\\\" is not permitted"),
    ] {
        let result = &found[tried];
        assert!(
            result.contains(denied) && (!denied.is_empty() || result.is_empty()),
            "{tried}: {result}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_that_inherits_everything_uses_the_host() {
    for inherit in [Inherit::All, some(&EVERYTHING)] {
        let found = host::probe(&probed(inherit)).await;
        for (tried, allowed) in host::ALLOWED {
            assert_eq!(&found[*tried], allowed, "{tried}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_gives_just_what_it_names() {
    for (key, gives) in [
        ("allowed_outbound_hosts", &["connect", "fetch"][..]),
        ("environment", &["environment"]),
        ("files", &["directory"]),
        ("key_value_stores", &["store"]),
        ("variables", &["variable"]),
    ] {
        let found = host::probe(&probed(some(&[key]))).await;
        for (tried, allowed) in host::ALLOWED {
            assert_eq!(
                &found[*tried] == allowed,
                gives.contains(tried),
                "{key}, {tried}: {}",
                found[*tried]
            );
        }
    }
}

#[test]
fn what_denies_can_reach_nothing_itself() {
    let denied = deny::deny("probe", &component("probe"), &Inherit::default()).unwrap();
    let functions = host::imported_functions(&denied);
    let reaching: Vec<_> = functions
        .iter()
        .filter(|(interface, _)| deny::capability(interface).is_some())
        .collect();
    assert_eq!(reaching, Vec::<&(String, String)>::new());
    // What the probe itself may call of the host, the adapter being silent.
    assert!(
        functions
            .iter()
            .any(|(interface, _)| interface.starts_with("wasi:http/types"))
    );
}

#[test]
fn a_component_that_needs_nothing_is_left_as_it_is() {
    let probe = component("probe");
    assert_eq!(deny::deny("probe", &probe, &Inherit::All).unwrap(), probe);
}

#[test]
fn what_cannot_be_denied_is_refused() {
    let bytes = host::wat(
        r#"(component
            (import "spin:sqlite/sqlite@3.0.0" (instance (export "f" (func)))))"#,
    );
    assert_eq!(
        deny::deny("dep", &bytes, &some(&["variables"])).unwrap_err(),
        ComposeError::Undeniable {
            component: "dep".to_owned(),
            import: "spin:sqlite/sqlite@3.0.0".to_owned(),
            capability: "sqlite_databases",
        }
    );
    assert!(deny::deny("dep", &bytes, &some(&["sqlite_databases"])).is_ok());
    // A function of another type than the one that would be denied.
    let bytes = host::wat(
        r#"(component
            (import "fermyon:spin/variables@2.0.0" (instance (export "get" (func)))))"#,
    );
    let error = deny::deny("dep", &bytes, &Inherit::default()).unwrap_err();
    assert!(
        error.to_string().contains("nothing here stands in for"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_one_source_share_their_resources() {
    let models = component("models");
    let both = [
        dependency("test:composed/models@0.1.0", &models, Inherit::default()),
        dependency("test:composed/edge@0.1.0", &models, Inherit::default()),
    ];
    let composed = compose_bytes("pair", component("pair"), &both).unwrap();
    assert_eq!(host::pair(&composed).await, "m described m 1 1");
    // The whole package in one key, which is how Spin has it.
    let whole = [dependency(
        "test:composed@0.1.0",
        &models,
        Inherit::default(),
    )];
    let composed = compose_bytes("pair", component("pair"), &whole).unwrap();
    assert_eq!(host::pair(&composed).await, "m described m 1 1");
}

/// What Spin does not link must not be needed: a host has no interfaces of types alone.
#[tokio::test(flavor = "multi_thread")]
async fn interfaces_of_types_alone_need_nobody() {
    let main = host::wat(
        r#"(component
            (import "a:b/types@0.1.0" (instance $types
                (type (record (field "x" u32)))
                (export "point" (type (eq 0)))))
            (alias export $types "point" (type $point))
            (import "a:b/plane@0.1.0" (instance
                (export "point" (type (eq $point))))))"#,
    );
    host::instantiate(&main).await;
}

/// A key for a whole package wants all that is imported of it, types too.
#[test]
fn a_key_for_a_package_wants_its_types_too() {
    let main = host::wat(
        r#"(component
            (import "a:b/types@0.1.0" (instance
                (type (record (field "x" u32)))
                (export "point" (type (eq 0)))))
            (import "a:b/plane@0.1.0" (instance)))"#,
    );
    let plane = host::wat(
        r#"(component
            (instance $plane)
            (export "a:b/plane@0.1.0" (instance $plane)))"#,
    );
    let compose = |key| {
        let dependency = dependency(key, &plane, Inherit::default());
        compose_bytes("main", main.clone(), &[dependency])
    };
    assert_eq!(
        compose("a:b@0.1.0").unwrap_err().to_string(),
        "dependency 'a:b@0.1.0' doesn't export 'a:b/types@0.1.0' to satisfy import \
         'a:b/types@0.1.0'"
    );
    assert!(compose("a:b/plane@0.1.0").is_ok());
}

#[test]
fn keys_that_inherit_differently_share_nothing() {
    let models = component("models");
    let both = [
        dependency("test:composed/models@0.1.0", &models, Inherit::All),
        dependency("test:composed/edge@0.1.0", &models, Inherit::default()),
    ];
    let error = compose_bytes("pair", component("pair"), &both).unwrap_err();
    assert!(
        matches!(
            error,
            ComposeError::Encode(_) | ComposeError::Mismatch { .. }
        ),
        "{error}"
    );
}

/// What Spin's composer does for each key, with the library that it uses: it registers a package
/// of the key's `namespace:name`, whatever interface the key names.
#[test]
fn spin_refuses_a_second_key_of_a_package() {
    let keys = ["test:composed/models@0.1.0", "test:composed/edge@0.1.0"].map(name);
    assert_eq!(refused_by_spin(&keys), [&keys[1]]);
    let apart = ["test:composed@0.1.0", "test:other/edge"].map(name);
    assert!(refused_by_spin(&apart).is_empty());

    let mut graph = wac_graph::CompositionGraph::new();
    let mut register = |key: &DependencyName| {
        let package = wac_graph::types::Package::from_bytes(
            key.package().unwrap(),
            None,
            component("models"),
            graph.types_mut(),
        );
        graph.register_package(package.unwrap()).map(drop)
    };
    assert!(register(&keys[0]).is_ok());
    assert_eq!(
        register(&keys[1]).unwrap_err().to_string(),
        "package `test:composed` has already been registered in the graph"
    );
}

#[test]
fn what_does_not_go_together_is_refused_in_spins_words() {
    let (front, probe, models) = (component("front"), component("probe"), component("models"));
    let compose = |dependencies: &[Dependency]| {
        compose_bytes("front", front.clone(), dependencies)
            .unwrap_err()
            .to_string()
    };
    let none = Inherit::default;
    assert_eq!(
        compose(&[dependency("test:composed/other", &probe, none())]),
        "dependency 'test:composed/other' doesn't match any imports of component 'front'"
    );
    assert_eq!(
        compose(&[dependency("test:composed/probe@0.1.1", &probe, none())]),
        "dependency 'test:composed/probe@0.1.1' doesn't match any imports of component 'front'"
    );
    assert_eq!(
        compose(&[
            dependency("test:composed/probe", &probe, none()),
            dependency("test:composed", &probe, none()),
        ]),
        "component 'front' has dependency conflicts: import 'test:composed/probe@0.1.0' \
         satisfied by dependencies: 'test:composed/probe, test:composed'"
    );
    assert_eq!(
        compose(&[dependency("test:composed/probe", &models, none())]),
        "dependency 'test:composed/probe' doesn't export 'test:composed/probe@0.1.0' to satisfy \
         import 'test:composed/probe@0.1.0'"
    );
    let mut other = dependency("test:composed/probe", &models, none());
    other.export = Some("test:composed/edge@0.1.0".to_owned());
    let error = compose(&[other]);
    assert!(
        error.starts_with(
            "dependency 'test:composed/probe' exports 'test:composed/edge@0.1.0' which is not \
             compatible with import 'test:composed/probe@0.1.0': "
        ),
        "{error}"
    );
    let error = compose(&[dependency("test:composed/probe", b"nothing", none())]);
    assert_eq!(error, "'test:composed/probe' is no WebAssembly component");
    let module = host::wat("(module)");
    let error = compose(&[dependency("test:composed/probe", &module, none())]);
    assert!(
        error.contains("is a core module and not a component"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn plugs_satisfy_what_they_export() {
    let plugged = |inherit| {
        let probe = Plug {
            name: "probe.wasm".to_owned(),
            bytes: component("probe"),
            inherit,
        };
        plug("front.wasm", &component("front"), &[probe]).unwrap()
    };
    let found = host::probe(&plugged(Inherit::All)).await;
    assert_eq!(found["variable"], "ok value");
    let found = host::probe(&plugged(Inherit::default())).await;
    assert!(found["variable"].contains("is not permitted"));
}

#[test]
fn a_plug_that_fits_nothing_is_refused() {
    let models = Plug {
        name: "models.wasm".to_owned(),
        bytes: component("models"),
        inherit: Inherit::All,
    };
    assert_eq!(
        plug("front.wasm", &component("front"), &[models])
            .unwrap_err()
            .to_string(),
        "'front.wasm' imports nothing that 'models.wasm' exports"
    );
}
