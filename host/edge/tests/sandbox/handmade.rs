//! Components written by hand, below what any language's bindings let one write: traps in every
//! export, and answers with lying pointers.

use std::time::Duration;

use bytes::Bytes;
use tensorgate_edge::{EdgeError, EdgeLimits, LoadError};
use tensorgate_types::Deadline;

use crate::fake::Fake;
use crate::harness::{Sandbox, engine, limits, load, program, request};

/// The bodies of a component's core functions.
struct Handmade {
    realloc: &'static str,
    handle: &'static str,
    post_return: &'static str,
    start: &'static str,
    grpc: &'static str,
}

/// Allocates at 1024, answers `status 200, no headers, body of 5 bytes at 8`, at address 64; and
/// gRPC calls with what lies at 128.
const HONEST: Handmade = Handmade {
    realloc: "i32.const 1024",
    handle: "i32.const 64",
    post_return: "",
    start: "",
    grpc: "i32.const 128",
};

impl Handmade {
    fn component(&self, answer: &str) -> Bytes {
        self.with_answers(answer, "")
    }

    #[expect(clippy::too_many_lines, reason = "one component, in text")]
    fn with_answers(&self, answer: &str, grpc_answer: &str) -> Bytes {
        let Self {
            grpc,
            realloc,
            handle,
            post_return,
            start,
        } = self;
        let text = format!(
            r#"(component
              (core module $m
                (memory (export "memory") 1)
                (data (i32.const 8) "hello")
                (data (i32.const 64) "{answer}")
                (data (i32.const 128) "{grpc_answer}")
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                  {handle})
                (func (export "grpc-handle") (param i32 i32 i32 i32 i64) (result i32) {grpc})
                (func (export "exchange-handle")
                  (param i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32) i32.const 64)
                (func (export "post-return") (param i32) {post_return})
                (func $start {start})
                (start $start))
              (core instance $i (instantiate $m))
              (type $fields (list (tuple string string)))
              (type $bytes (list u8))
              (type $request-record (record (field "method" string) (field "path" string)
                (field "headers" $fields) (field "body" $bytes)))
              (type $response-record (record (field "status" u16)
                (field "headers" $fields) (field "body" $bytes)))
              (export $request "request" (type $request-record))
              (export $response "response" (type $response-record))
              (func $handle (param "request" $request) (result $response)
                (canon lift (core func $i "handle") (memory (core memory $i "memory"))
                  (realloc (core func $i "realloc"))
                  (post-return (core func $i "post-return"))))
              (instance $rest
                (export "request" (type $request))
                (export "response" (type $response))
                (export "handle" (func $handle)))
              (export "tensorgate:serving/rest@0.1.0" (instance $rest))
              (type $range-record (record (field "offset" u64) (field "length" u64)))
              (export $range "range" (type $range-record))
              (type $chunk-variant (variant (case "bytes" $bytes) (case "in-message" $range)
                (case "held" u32)))
              (export $chunk "chunk" (type $chunk-variant))
              (type $codes (enum "cancelled" "unknown" "invalid-argument" "deadline-exceeded"
                "not-found" "already-exists" "permission-denied" "resource-exhausted"
                "failed-precondition" "aborted" "out-of-range" "unimplemented" "internal"
                "unavailable" "data-loss" "unauthenticated"))
              (export $code "error-code" (type $codes))
              (type $error-record (record (field "code" $code) (field "message" string)))
              (export $error "error" (type $error-record))
              (type $call-record (record (field "method" string) (field "head" $bytes)
                (field "length" u64)))
              (export $call "call" (type $call-record))
              (type $chunks (list $chunk))
              (type $result (result $chunks (error $error)))
              (func $grpc-handle (param "request" $call) (result $result)
                (canon lift (core func $i "grpc-handle") (memory (core memory $i "memory"))
                  (realloc (core func $i "realloc"))
                  (post-return (core func $i "post-return"))))
              (instance $grpc
                (export "range" (type $range))
                (export "chunk" (type $chunk))
                (export "error-code" (type $code))
                (export "error" (type $error))
                (export "request" (type $call))
                (export "handle" (func $grpc-handle)))
              (export "tensorgate:serving/grpc@0.1.0" (instance $grpc))
              (type $asked-record (record (field "method" string) (field "path" string)
                (field "headers" $fields) (field "head" $bytes) (field "length" u64)))
              (export $asked "asked" (type $asked-record))
              (type $answered-record (record (field "status" u16)
                (field "headers" $fields) (field "body" $chunks)))
              (export $answered "answered" (type $answered-record))
              (func $exchange-handle (param "request" $asked) (result $answered)
                (canon lift (core func $i "exchange-handle") (memory (core memory $i "memory"))
                  (realloc (core func $i "realloc"))
                  (post-return (core func $i "post-return"))))
              (instance $exchange
                (export "range" (type $range))
                (export "chunk" (type $chunk))
                (export "request" (type $asked))
                (export "response" (type $answered))
                (export "handle" (func $exchange-handle)))
              (export "tensorgate:serving/exchange@0.1.0" (instance $exchange)))"#
        );
        Bytes::from(text)
    }
}

/// `status`, `headers` and `body` as the canonical ABI lays a response out.
fn answer(status: u32, headers: (u32, u32), body: (u32, u32)) -> String {
    [status, headers.0, headers.1, body.0, body.1]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .map(|byte| format!("\\{byte:02x}"))
        .collect()
}

/// A `result<list<chunk>, error>` as the canonical ABI lays it out, and a chunk behind it, at 144:
/// its case, and two words.
fn grpc_answer(words: [u32; 3], chunk: [u32; 4]) -> String {
    let chunk = [0, chunk[0], 0, chunk[1], chunk[2], chunk[3]];
    let words = words.into_iter().chain(chunk);
    words
        .flat_map(u32::to_le_bytes)
        .map(|byte| format!("\\{byte:02x}"))
        .collect()
}

fn good_answer() -> String {
    answer(200, (0, 0), (8, 5))
}

async fn sandbox(component: Bytes) -> Sandbox {
    let limits = EdgeLimits {
        guest_time: Duration::from_millis(300),
        ..limits()
    };
    let engine = engine(limits);
    let fake = Fake::ready();
    let gateway = load(&engine, component, &fake).await.expect("a gateway");
    Sandbox {
        engine,
        gateway,
        fake,
    }
}

async fn assert_traps(component: Bytes, why: &str) {
    let sandbox = sandbox(component).await;
    let result = sandbox.call_beside_ordinary("/", Deadline::NEVER).await;
    let error = result.expect_err(why);
    assert!(matches!(error, EdgeError::Trap { .. }), "{why}: {error:?}");
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn an_honest_one_answers() {
    let sandbox = sandbox(HONEST.component(&good_answer())).await;
    assert_eq!(
        sandbox.answer("/", b"body").await,
        (200, "hello".to_owned())
    );
}

#[tokio::test]
async fn a_trap_in_any_export_costs_only_its_own_request() {
    for (export, component) in [
        (
            "handle",
            Handmade {
                handle: "unreachable",
                ..HONEST
            },
        ),
        (
            "realloc",
            Handmade {
                realloc: "unreachable",
                ..HONEST
            },
        ),
        (
            "post-return",
            Handmade {
                post_return: "unreachable",
                ..HONEST
            },
        ),
    ] {
        assert_traps(component.component(&good_answer()), export).await;
    }
}

#[tokio::test]
async fn a_component_that_traps_when_it_starts_is_refused() {
    let component = Handmade {
        start: "unreachable",
        ..HONEST
    };
    let engine = engine(limits());
    let error = load(&engine, component.component(""), &Fake::ready())
        .await
        .expect_err("it traps");
    assert!(
        matches!(error, LoadError::Start(EdgeError::Trap { .. })),
        "{error:?}"
    );
    let echo = load(&engine, program("echo"), &Fake::ready()).await;
    let response = echo
        .expect("a program")
        .handle(request("/", b""), Deadline::NEVER)
        .await;
    assert_eq!(response.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_loop_in_any_export_uses_up_its_time() {
    const FOREVER: &str = "(loop $again (br $again)) unreachable";
    for component in [
        Handmade {
            handle: FOREVER,
            ..HONEST
        },
        Handmade {
            realloc: FOREVER,
            ..HONEST
        },
        Handmade {
            post_return: FOREVER,
            ..HONEST
        },
    ] {
        let sandbox = sandbox(component.component(&good_answer())).await;
        let result = sandbox.call_beside_ordinary("/", Deadline::NEVER).await;
        let error = result.expect_err("it does not end");
        assert!(matches!(error, EdgeError::OutOfTime { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_answer_beyond_the_component_s_memory_is_a_trap() {
    let page = 64 << 10;
    for (lie, answer) in [
        (
            "a body that ends beyond",
            answer(200, (0, 0), (page - 4, 5)),
        ),
        (
            "a body that begins beyond",
            answer(200, (0, 0), (page + 8, 5)),
        ),
        (
            "a body that wraps around",
            answer(200, (0, 0), (u32::MAX, u32::MAX)),
        ),
        ("headers beyond", answer(200, (64, 1 << 20), (8, 5))),
        ("headers that overflow", answer(200, (64, u32::MAX), (8, 5))),
        ("headers not aligned", answer(200, (3, 1), (8, 5))),
        // The words of the answer itself, read as a header: pointers into nowhere.
        (
            "header strings beyond",
            answer(0xffff_00c8, (64, 1), (0xffff_0000, 9)),
        ),
    ] {
        assert_traps(HONEST.component(&answer), lie).await;
    }
}

#[tokio::test]
async fn a_place_for_the_answer_that_is_none_is_a_trap() {
    for (lie, handle) in [
        ("not aligned", "i32.const 65"),
        ("beyond", "i32.const 65536"),
        ("at the very end", "i32.const -4"),
    ] {
        let component = Handmade { handle, ..HONEST };
        assert_traps(component.component(&good_answer()), lie).await;
    }
}

#[tokio::test]
async fn memory_that_a_component_does_not_have_is_not_written() {
    for (lie, realloc) in [
        ("beyond", "i32.const 65535"),
        ("at the very end", "i32.const -1"),
    ] {
        let component = Handmade { realloc, ..HONEST };
        assert_traps(component.component(&good_answer()), lie).await;
    }
}

#[tokio::test]
async fn an_honest_one_answers_a_call() {
    // One chunk: 5 bytes at 8.
    let words = grpc_answer([0, 144, 1], [0, 8, 5, 0]);
    let sandbox = sandbox(HONEST.with_answers(&good_answer(), &words)).await;
    let answer = sandbox.grpc("", &b"message"[..]).await;
    assert_eq!(answer.expect("an answer"), b"hello");
}

#[tokio::test]
async fn an_answer_to_a_call_beyond_the_component_s_memory_is_a_trap() {
    let page = 64 << 10;
    let chunk = [0, 8, 5, 0];
    for (lie, words) in [
        ("chunks beyond", grpc_answer([0, 144, 1 << 20], chunk)),
        (
            "chunks that overflow",
            grpc_answer([0, 144, u32::MAX], chunk),
        ),
        ("chunks not aligned", grpc_answer([0, 145, 1], chunk)),
        (
            "no such case of the answer",
            grpc_answer([9, 144, 1], chunk),
        ),
        (
            "no such case of a chunk",
            grpc_answer([0, 144, 1], [9, 8, 5, 0]),
        ),
        (
            "bytes beyond",
            grpc_answer([0, 144, 1], [0, page - 4, 5, 0]),
        ),
        ("no such code", grpc_answer([1, 99, 8], [5, 0, 0, 0])),
    ] {
        let sandbox = sandbox(HONEST.with_answers(&good_answer(), &words)).await;
        let result = sandbox.call_grpc("", &b"message"[..]).await;
        let error = result.expect_err(lie);
        assert!(matches!(error, EdgeError::Trap { .. }), "{lie}: {error:?}");
        sandbox.assert_unharmed().await;
    }
}
