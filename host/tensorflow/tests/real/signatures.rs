//! Odd shapes, several signatures, several outputs and subsets of them.

use tensorgate_engine::{Predictor, RunRequest};
use tensorgate_tensorflow::describe;
use tensorgate_types::{DType, Tensor};

use crate::support::{
    floats, load, model_dir, numbers, output, request, run, strings, tensor, texts,
};

#[test]
fn unknown_rank_takes_any_shape() {
    let model = load("unknown_rank");
    assert_eq!(
        model.signatures()["serving_default"].inputs["x"].shape,
        None
    );
    for shape in [&[][..], &[4], &[2, 2], &[1, 2, 1, 2], &[0, 7]] {
        let len = usize::try_from(shape.iter().product::<i64>()).unwrap();
        let x = floats(shape, &vec![1.5; len]);
        let outputs = run(&model, "serving_default", &[("x", x)]);
        assert_eq!(output(&outputs, "doubled").shape(), shape);
        assert_eq!(numbers::<f32>(output(&outputs, "doubled")), vec![3.0; len]);
        assert_eq!(numbers::<f32>(output(&outputs, "sum")), [1.5 * len as f32]);
        let dims: Vec<i64> = numbers::<i32>(output(&outputs, "shape"))
            .into_iter()
            .map(i64::from)
            .collect();
        assert_eq!(dims, shape);
    }
}

#[test]
fn scalars_go_in_and_come_out() {
    let inputs = [
        ("base", floats(&[], &[3.0])),
        ("exponent", tensor(DType::INT32, &[], &[4])),
    ];
    let outputs = run(&load("scalar"), "serving_default", &inputs);
    assert_eq!(outputs[0].1.shape(), [0i64; 0]);
    assert_eq!(numbers::<f32>(&outputs[0].1), [81.0]);
}

#[test]
fn a_signature_without_inputs_runs() {
    let outputs = run(&load("no_inputs"), "serving_default", &[]);
    assert_eq!(numbers::<f32>(output(&outputs, "value")), [3.0, 5.0]);
    assert_eq!(texts(output(&outputs, "name")), [b"constant"]);
}

#[test]
fn several_signatures_share_a_graph() {
    let model = load("signatures");
    let (x, y) = (floats(&[2], &[7.0, 8.0]), floats(&[2], &[2.0, 3.0]));
    let outputs = run(&model, "negate", &[("x", x.clone())]);
    assert_eq!(numbers::<f32>(&outputs[0].1), [-7.0, -8.0]);
    // In the other order than the signature's.
    let outputs = run(&model, "divide", &[("y", y.clone()), ("x", x.clone())]);
    assert_eq!(
        numbers::<f32>(output(&outputs, "quotient")),
        [3.5, 8.0 / 3.0]
    );
    assert_eq!(numbers::<f32>(output(&outputs, "rest")), [1.0, 2.0]);
    let outputs = run(&model, "add", &[("x", x), ("y", y)]);
    assert_eq!(numbers::<f32>(&outputs[0].1), [9.0, 11.0]);
}

fn mixed_inputs() -> [(&'static str, Tensor); 3] {
    [
        ("a", floats(&[2], &[0.5, 1.5])),
        ("b", tensor(DType::INT64, &[2], &[4i64, 7])),
        ("c", strings(&[2], &["x", ""])),
    ]
}

#[test]
fn inputs_and_outputs_of_several_types() {
    let outputs = run(&load("mixed"), "serving_default", &mixed_inputs());
    assert_eq!(numbers::<f32>(output(&outputs, "total")), [4.5, 8.5]);
    assert_eq!(numbers::<f32>(output(&outputs, "total_again")), [4.5, 8.5]);
    assert_eq!(numbers::<u8>(output(&outputs, "parity")), [1, 0]);
    assert_eq!(output(&outputs, "parity").dtype(), DType::BOOL);
    assert_eq!(
        texts(output(&outputs, "joined")),
        [b"4-x".to_vec(), b"7-".to_vec()]
    );
    assert_eq!(numbers::<i32>(output(&outputs, "length")), [1, 0]);
}

#[test]
fn only_the_outputs_asked_for_come_back() {
    let wanted = RunRequest {
        outputs: vec!["total".to_owned(), "joined".to_owned()],
        ..request("serving_default", &mixed_inputs())
    };
    let outputs = load("mixed").run(&wanted).unwrap();
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["joined", "total"]);
    assert_eq!(numbers::<f32>(&outputs[1].1), [4.5, 8.5]);
}

#[test]
fn past_the_bound_a_subset_is_picked_from_all_outputs() {
    let model = load("many_outputs");
    let mut wrong = Vec::new();
    for subset in 1u32..=255 {
        let wanted = RunRequest {
            outputs: (0..8)
                .filter(|bit| subset >> bit & 1 == 1)
                .map(|bit| format!("y{bit}"))
                .collect(),
            ..request("serving_default", &[("x", floats(&[1], &[0.0]))])
        };
        let outputs = model.run(&wanted).unwrap();
        let names: Vec<String> = outputs.iter().map(|(name, _)| name.clone()).collect();
        let values: Vec<f32> = outputs.iter().map(|(_, y)| numbers::<f32>(y)[0]).collect();
        let expected: Vec<f32> = (0u8..8)
            .filter(|bit| subset >> bit & 1 == 1)
            .map(f32::from)
            .collect();
        if names != wanted.outputs || values != expected {
            wrong.push(subset);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(model.fetch_sets(), 64);
}

#[test]
fn signatures_are_kept_as_the_exporter_wrote_them() {
    for name in ["mixed", "keras_export", "counter"] {
        let model = load(name);
        let defs: Vec<&str> = model
            .signature_defs()
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let names: Vec<&str> = model.signatures().keys().map(String::as_str).collect();
        assert_eq!(defs, names);
        assert!(
            model
                .signature_defs()
                .iter()
                .all(|(_, def)| !def.is_empty())
        );
        // The file says the same as the loader.
        let graphs = describe(&model_dir(name).join("1")).unwrap();
        assert_eq!(&graphs[0].signatures, model.signatures());
    }
}
