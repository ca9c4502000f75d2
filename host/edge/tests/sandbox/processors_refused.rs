//! Processors that are never let in: what is wrong with one is found before its version serves.

use std::time::Duration;

use bytes::Bytes;
use tensorgate_edge::{Directory, Grants, Rights};
use tensorgate_types::ServableId;

use crate::harness::program;
use crate::processors::{attach, processors, rights};

/// Why a component is not let in, with its cause.
async fn refusal(wasm: Bytes, rights: Rights, model: &str) -> String {
    let id = ServableId::new(model, 3);
    let error = attach(&processors(), wasm, rights, &id).await;
    let error = error.expect_err("it is not let in");
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn what_cannot_stand_before_a_version_says_what_to_do() {
    for (wasm, words) in [
        (
            Bytes::from_static(b"\0asm\x01\0\0\0"),
            "build it for wasm32-wasip2",
        ),
        (
            Bytes::from_static(b"\0asm\x0d\0\x01\0rest"),
            "it is no WebAssembly component that can be used",
        ),
        // Nor is the text form read: it would quote what it cannot.
        (
            Bytes::from_static(b"(component)"),
            "it begins with \"(compone\"; expected its binary form, which begins with \"\\x00asm\"",
        ),
        (vec![0; 5 << 20].into(), "it begins with \"\\x00\\x00\\x00"),
        (
            program("echo"),
            "it does not export tensorgate:serving/processor@0.1.0",
        ),
        (program("echo"), "(it exports tensorgate:serving/"),
    ] {
        let told = refusal(wasm, rights(), "m").await;
        assert!(told.contains(words), "{told}");
        assert!(told.len() < 4096, "{} bytes", told.len());
    }
}

#[tokio::test]
async fn a_description_that_cannot_be_keeps_a_processor_out() {
    let bad = program("bad_descriptions");
    for (model, words) in [
        (
            "trap",
            "it failed when it was asked to describe itself: the component trapped",
        ),
        (
            "loop",
            "asked to describe itself: the component spent its 200ms",
        ),
        ("refuse", "it refuses this model: this is not my model"),
        ("twice", "it describes signature double twice"),
        ("nameless", "a signature's name has 0 bytes"),
        (
            "unreachable",
            "signature not of the model: the model has no signature of this name",
        ),
        ("content-type", "\"image/jpeg; q=1\" is no content type"),
        ("dtype", "signature double: inputs: x cannot be of type"),
        ("shape", "signature double: outputs: x has the shape [-2]"),
        ("same-name", "x is there twice"),
        ("nothing", "it covers no signature"),
        ("many", "it describes 300 signatures; expected 256 at most"),
    ] {
        let told = refusal(bad.clone(), rights(), model).await;
        assert!(told.contains(words), "{model}: {told}");
    }
}

#[tokio::test]
async fn rights_that_make_no_sense_keep_a_processor_out() {
    for (rights, words) in [
        (
            Rights {
                concurrency: 0,
                ..rights()
            },
            "its concurrency is 0",
        ),
        (
            Rights {
                memory: 1,
                ..rights()
            },
            "its memory is 1 bytes; expected 1 MiB to",
        ),
        (
            Rights {
                time: Duration::ZERO,
                ..rights()
            },
            "its time is 0",
        ),
        (
            Rights {
                grants: Grants {
                    directories: vec![Directory {
                        host: "/not/there".into(),
                        guest: "/x".to_owned(),
                        writable: false,
                    }],
                    ..Grants::default()
                },
                ..rights()
            },
            "/not/there is granted to it: ",
        ),
    ] {
        let told = refusal(program("words"), rights, "m").await;
        assert!(told.contains(words), "{told}");
    }
}
