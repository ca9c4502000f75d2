//! What is wrong with a component is found when it is loaded.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tensorgate_edge::{EdgeEngine, LoadError};
use tensorgate_types::Deadline;

use crate::fake::Fake;
use crate::harness::{engine, limits, load, program, request};

async fn refusal(wasm: Bytes) -> LoadError {
    let engine = engine(limits());
    load(&engine, wasm, &Fake::ready())
        .await
        .expect_err("not a gateway")
}

#[tokio::test]
async fn a_component_of_another_world_is_refused_by_the_export_that_it_lacks() {
    let error = refusal(program("wrong_world")).await;
    assert!(matches!(error, LoadError::World { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the component is no gateway: it does not export tensorgate:serving/rest@0.1.0 \
         (there is no such export)"
    );
}

#[tokio::test]
async fn half_a_gateway_is_refused_by_the_export_that_it_lacks() {
    let error = refusal(program("rest_alone")).await;
    assert_eq!(
        error.to_string(),
        "the component is no gateway: it does not export tensorgate:serving/grpc@0.1.0 \
         (there is no such export)"
    );
}

#[tokio::test]
async fn an_export_of_another_type_is_refused() {
    let error = refusal(program("wrong_type")).await;
    assert!(matches!(error, LoadError::World { .. }), "{error:?}");
    assert!(error.to_string().contains("rest@0.1.0#handle"), "{error}");
}

#[tokio::test]
async fn an_import_that_nobody_gives_is_refused_by_its_name() {
    let error = refusal(program("unknown_import")).await;
    assert!(matches!(error, LoadError::Import(_)), "{error:?}");
    assert!(error.to_string().contains("root-shell"), "{error}");
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let module = Bytes::from_static(b"\0asm\x01\0\0\0");
    for wasm in [Bytes::from_static(b"hello"), Bytes::new(), module] {
        let error = refusal(wasm).await;
        assert!(matches!(error, LoadError::Compile(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_compiled_component_is_cached_and_rebuilt_when_the_cache_is_damaged() {
    let cache =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cache-{}", std::process::id()));
    for round in ["fresh", "cached", "damaged"] {
        let engine = EdgeEngine::new(limits(), Some(&cache)).expect("an engine");
        let gateway = load(&engine, program("echo"), &Fake::ready())
            .await
            .expect(round);
        let response = gateway.handle(request("/", b""), Deadline::NEVER).await;
        assert_eq!(response.expect(round).status, 200);
        let files = files_below(&cache);
        assert!(!files.is_empty(), "{round}: nothing was cached");
        if round == "cached" {
            for file in files {
                fs::write(file, b"damaged").expect("a cached component");
            }
        }
    }
    // Wasmtime writes its statistics when it likes: a file may come meanwhile.
    let _ = fs::remove_dir_all(&cache);
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
