//! gRPC calls of programs that behave: large values go past the component.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use tensorgate_edge::{EdgeError, EdgeStats};
use tensorgate_types::{ALIGNMENT, AlignedBuffer, Deadline, ErrorCode};

use crate::fake::Fake;
use crate::harness::{Sandbox, limits};

const MB: usize = 1_000_000;

/// A message that begins where TensorFlow could read it.
fn aligned(bytes: usize) -> Bytes {
    let mut buffer = AlignedBuffer::zeroed(bytes);
    for (at, float) in buffer.as_mut_slice().chunks_exact_mut(4).enumerate() {
        float.copy_from_slice(&(at as f32).to_le_bytes());
    }
    buffer.into_bytes()
}

/// What one call moved, by the counters.
struct Moved {
    into: u64,
    out: u64,
    copied: u64,
    shared: u64,
}

fn moved(before: &EdgeStats, after: &EdgeStats) -> Moved {
    Moved {
        into: after.bytes_to_guests - before.bytes_to_guests,
        out: after.bytes_from_guests - before.bytes_from_guests,
        copied: after.bytes_from_messages - before.bytes_from_messages,
        shared: after.bytes_shared - before.bytes_shared,
    }
}

#[tokio::test]
async fn only_the_beginning_of_a_large_message_goes_into_the_component() {
    let sandbox = Sandbox::new("ranges").await;
    let small = sandbox.grpc("head", &b"small"[..]).await.unwrap();
    assert_eq!(small, b"5 of 5");
    let large = sandbox.grpc("head", vec![0; 40 * MB]).await.unwrap();
    assert_eq!(large, b"4096 of 40000000");
    let empty = sandbox.grpc("head", Bytes::new()).await.unwrap();
    assert_eq!(empty, b"0 of 0");
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn inputs_and_held_outputs_are_never_copied() {
    let sandbox = Sandbox::new("ranges").await;
    let message = aligned(40 * MB);
    let before = sandbox.engine.stats();
    // This model gives back what it gets.
    let method = "run same 0 40000000 1024";
    let answer = sandbox.call_grpc(method, message.clone()).await;
    let answer = answer.expect("no fault").expect("an answer");
    assert_eq!(answer.chunks.len(), 1);
    assert_eq!(answer.chunks[0].len(), 40 * MB);
    assert_eq!(answer.chunks[0].as_ptr(), message.as_ptr());
    let moved = moved(&before, &sandbox.engine.stats());
    assert_eq!(moved.into as usize, method.len() + (4 << 10));
    assert_eq!((moved.out, moved.copied), (0, 0));
    assert_eq!(moved.shared as usize, 2 * 40 * MB);
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn an_input_that_is_not_aligned_is_left_to_whoever_runs_the_model() {
    let sandbox = Sandbox::new("ranges").await;
    let message = aligned(40 * MB + ALIGNMENT).slice(4..);
    let before = sandbox.engine.stats();
    let method = "run double 0 40000000 1024";
    let answer = sandbox.grpc(method, message.clone()).await.unwrap();
    let doubled = |at: usize| f32::from_le_bytes(answer[4 * at..][..4].try_into().unwrap());
    assert_eq!((doubled(0), doubled(1_000_000)), (2.0, 2_000_002.0));
    let moved = moved(&before, &sandbox.engine.stats());
    assert_eq!(moved.into as usize, method.len() + (4 << 10));
    assert_eq!((moved.out, moved.copied), (0, 0));
    assert_eq!(moved.shared as usize, 2 * 40 * MB);
}

#[tokio::test]
async fn a_small_output_is_taken_by_the_component() {
    let sandbox = Sandbox::new("ranges").await;
    let message = aligned(16);
    let before = sandbox.engine.stats();
    let method = "run same 0 16 1024";
    let answer = sandbox.grpc(method, message.clone()).await.unwrap();
    assert_eq!(answer, message);
    let moved = moved(&before, &sandbox.engine.stats());
    assert_eq!(moved.into as usize, method.len() + 16 + 16);
    assert_eq!((moved.out, moved.shared), (16, 16));
}

#[tokio::test]
async fn several_calls_are_one_run() {
    let fake = Fake::waiting();
    // One run is let through: two would wait for ever.
    fake.let_run(1);
    let sandbox = Sandbox::with("ranges", limits(), fake).await;
    for hold_from in ["0", "18446744073709551615"] {
        let method = format!("halves {hold_from}");
        let answer = sandbox.grpc(&method, aligned(128)).await.unwrap();
        assert_eq!(answer, aligned(128));
        sandbox.fake.let_run(1);
    }
}

#[tokio::test]
async fn strings_are_taken_from_the_message_in_any_order() {
    let sandbox = Sandbox::new("ranges").await;
    let before = sandbox.engine.stats();
    let answer = sandbox
        .grpc("strings 4 3 0 0 1 2 7 0", &b"0123456"[..])
        .await;
    assert_eq!(answer.unwrap(), b"[0, 3, 3, 5, 5] 45612");
    assert_eq!(moved(&before, &sandbox.engine.stats()).copied, 5);
    let none = sandbox.grpc("strings", Bytes::new()).await;
    assert_eq!(none.unwrap(), b"[0] ");
}

#[tokio::test]
async fn parts_of_the_message_are_read_and_sent_back() {
    let sandbox = Sandbox::new("ranges").await;
    let message: Bytes = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let read = sandbox.grpc("read 700000 1000", message.clone()).await;
    assert_eq!(read.unwrap(), &message[700_000..701_000]);
    let echo = sandbox.call_grpc("echo 4 8", message.clone()).await;
    let chunks = echo.expect("no fault").expect("an answer").chunks;
    assert_eq!(chunks[0], "<");
    assert_eq!(chunks[1].as_ptr(), message[4..].as_ptr());
    assert_eq!(chunks[2], ">");
}

#[tokio::test]
async fn a_deadline_that_passes_in_a_model_is_told_to_the_caller() {
    let sandbox = Sandbox::with("ranges", limits(), Fake::waiting()).await;
    let request = tensorgate_edge::GrpcRequest {
        method: "run same 0 4 0".to_owned(),
        message: aligned(4),
    };
    let deadline = Deadline::after(Duration::from_millis(50));
    let answer = sandbox.gateway.handle_grpc(request, deadline).await;
    let error = answer.expect("the component's own words").unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    assert_eq!(error.message(), "Timed out waiting for notification");
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_caller_that_leaves_gives_back_slot_model_and_message() {
    let sandbox = Sandbox::with("ranges", limits(), Fake::waiting()).await;
    // Of a vector, since only such bytes know whether they are shared.
    let message = Bytes::from(vec![0; 64]);
    {
        let mut call = pin!(sandbox.call_grpc("run same 0 64 0", message.clone()));
        while sandbox.fake.held() == 0 {
            let mut context = Context::from_waker(Waker::noop());
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        assert!(!message.is_unique());
    }
    assert!(message.is_unique(), "nobody else has the message");
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_before_it_is_looked_at() {
    let sandbox = Sandbox::new("ranges").await;
    let limit = limits().grpc_request_bytes;
    let answer = sandbox.call_grpc("head", vec![0; limit + 1]).await;
    let size = limit + 1;
    assert_eq!(
        answer.expect_err("too large"),
        EdgeError::RequestTooLarge { size, limit }
    );
    let stats = sandbox.engine.stats();
    assert_eq!((stats.refused_large, stats.instances), (1, 0));
}
