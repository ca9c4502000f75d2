//! Numbers are not copied, neither in nor out.

use std::sync::Arc;

use bytes::Bytes;
use tensorgate_types::{ALIGNMENT, AlignedBuffer, DType, Tensor};

use crate::support::{bytes, floats, library, load, numbers, output, run, tensor};

#[test]
fn a_feed_is_the_callers_memory_and_an_output_is_tensorflows() {
    assert!(library().alignment() <= ALIGNMENT);
    let model = load("identity");
    let x = floats(&[1000], &[1.25; 1000]);
    let outputs = run(&model, "float", &[("x", x.clone())]);
    // The identity's output is its input: had either way copied, the addresses would differ.
    let y = output(&outputs, "y").clone();
    assert_eq!(bytes(&y).as_ptr(), bytes(&x).as_ptr());
    assert_eq!(model.copied().unaligned, 0);
    // The output keeps the memory, after the feed has gone.
    drop((x, outputs));
    assert_eq!(numbers::<f32>(&y), [1.25; 1000]);
}

#[test]
fn an_output_outlives_its_model_and_goes_to_another_as_it_is() {
    let model = load("unknown_rank");
    let mut outputs = run(
        &model,
        "serving_default",
        &[("x", floats(&[99], &[1.0; 99]))],
    );
    drop(model);
    let doubled = outputs.swap_remove(0).1;
    assert_eq!(numbers::<f32>(&doubled), [2.0; 99]);
    let next = load("identity");
    run(&next, "float", &[("x", doubled)]);
    assert_eq!(next.copied().unaligned, 0);
}

#[test]
fn a_model_does_not_write_into_its_feeds() {
    let model = load("unknown_rank");
    let x = floats(&[64], &[3.0; 64]);
    for _ in 0..10 {
        run(&model, "serving_default", &[("x", x.clone())]);
    }
    assert_eq!(numbers::<f32>(&x), [3.0; 64]);
}

#[test]
fn unaligned_memory_is_copied_once_and_counted() {
    let model = load("identity");
    let buffer = AlignedBuffer::copy_of(&[7; 101]).into_bytes();
    let x = Tensor::fixed(DType::UINT8, vec![100], buffer.slice(1..)).unwrap();
    let outputs = run(&model, "uint8", &[("x", x)]);
    assert_eq!(bytes(&outputs[0].1), &[7; 100][..]);
    assert_eq!(model.copied().unaligned, 100);
}

#[test]
fn a_feed_is_let_go_after_the_run() {
    struct Watched {
        memory: AlignedBuffer,
        _alive: Arc<()>,
    }
    impl AsRef<[u8]> for Watched {
        fn as_ref(&self) -> &[u8] {
            self.memory.as_ref()
        }
    }
    let model = load("unknown_rank");
    let alive = Arc::new(());
    let memory = Watched {
        memory: AlignedBuffer::zeroed(400),
        _alive: Arc::clone(&alive),
    };
    let x = Tensor::fixed(DType::FLOAT, vec![100], Bytes::from_owner(memory)).unwrap();
    let outputs = run(&model, "serving_default", &[("x", x)]);
    assert_eq!(Arc::strong_count(&alive), 1);
    assert_eq!(numbers::<f32>(output(&outputs, "sum")), [0.0]);
}

#[test]
fn strings_and_empty_tensors_count_no_unaligned_bytes() {
    let model = load("identity");
    run(
        &model,
        "string",
        &[("x", crate::support::strings(&[1], &["abc"]))],
    );
    run(
        &model,
        "double",
        &[("x", tensor(DType::DOUBLE, &[0], &[0f64; 0]))],
    );
    assert_eq!(model.copied().unaligned, 0);
    assert_eq!(model.copied().strings, 3);
}
