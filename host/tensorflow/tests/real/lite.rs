//! TensorFlow Lite models through LiteRT.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tensorgate_engine::{Predictor, RunRequest};
use tensorgate_tensorflow::{LiteLibrary, LiteModel, Lookup, Wanted};
use tensorgate_types::{DType, Deadline, ErrorCode, Result};

use crate::support::{
    call, floats, library as tensorflow, model_dir, numbers, request, run, tensor,
};

fn library() -> LiteLibrary {
    static LIBRARY: OnceLock<LiteLibrary> = OnceLock::new();
    *LIBRARY.get_or_init(|| {
        let named = std::env::var_os("TENSORGATE_LIBLITERT").map(PathBuf::from);
        let lookup = Lookup::for_this_process(Wanted::LiteRt, None, named);
        LiteLibrary::find(&lookup).unwrap_or_else(|error| panic!("{error}"))
    })
}

fn load(name: &str, interpreters: usize) -> Result<LiteModel> {
    let file = model_dir(name).join("1/model.tflite");
    LiteModel::load(library(), &file, interpreters)
}

#[test]
fn lite_models_are_computed_at_every_batch_size() {
    let model = load("lite", 1).unwrap();
    let signature = &model.signatures()["serving_default"];
    assert_eq!(signature.inputs["x"].shape, Some(vec![-1, 3]));
    assert_eq!(signature.outputs["y"].dtype, DType::FLOAT);
    // Up and down again: shapes of one run must not be left over for the next.
    for rows in [1, 5, 2, 100, 1] {
        let values: Vec<f32> = (0..rows * 3).map(|value| value as f32).collect();
        let outputs = run(
            &model,
            "serving_default",
            &[("x", floats(&[i64::from(rows), 3], &values))],
        );
        assert_eq!(outputs[0].0, "total");
        assert_eq!(outputs[1].0, "y");
        assert_eq!(outputs[1].1.shape(), [i64::from(rows), 3]);
        let expected: Vec<f32> = values.iter().map(|value| value * 0.5 + 2.0).collect();
        assert_eq!(numbers::<f32>(&outputs[1].1), expected);
        let totals: Vec<f32> = values.chunks(3).map(|row| row.iter().sum()).collect();
        assert_eq!(numbers::<f32>(&outputs[0].1), totals);
    }
}

#[test]
fn lite_models_take_types_other_than_float_and_scalars() {
    let model = load("lite_mixed", 1).unwrap();
    let flags = tensor(DType::BOOL, &[3], &[1_u8, 0, 1]);
    let many = tensor(DType::INT64, &[2], &[1_i64 << 40, -3]);
    let inputs = [
        ("flags", flags),
        ("numbers", many),
        ("one", floats(&[], &[0.5])),
    ];
    let outputs = run(&model, "serving_default", &inputs);
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["doubled", "more", "not_flags"]);
    assert_eq!(numbers::<i64>(&outputs[0].1), [1 << 41, -6]);
    assert_eq!(numbers::<f32>(&outputs[1].1), [1.5]);
    assert!(outputs[1].1.shape().is_empty());
    assert_eq!(numbers::<u8>(&outputs[2].1), [0, 1, 0]);
}

#[test]
fn lite_models_are_run_by_many_threads_on_few_interpreters() {
    let model = load("lite", 2).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8_u8 {
            let model = &model;
            scope.spawn(move || {
                for round in 0..50 {
                    let rows = 1 + (round + usize::from(thread)) % 4;
                    let values = vec![f32::from(thread); rows * 3];
                    let input = floats(&[rows as i64, 3], &values);
                    let outputs = run(model, "serving_default", &[("x", input)]);
                    let expected = vec![f32::from(thread) * 0.5 + 2.0; rows * 3];
                    assert_eq!(numbers::<f32>(&outputs[1].1), expected);
                }
            });
        }
    });
}

#[test]
fn mistakes_are_errors_and_the_interpreter_goes_on() {
    let model = load("lite", 1).unwrap();
    let three = || floats(&[1, 3], &[1.0, 2.0, 3.0]);
    let integers = tensor(DType::INT32, &[1, 3], &[1, 2, 3]);
    for (inputs, outputs, expected) in [
        (vec![], vec![], "input x is missing"),
        (
            vec![("x", integers)],
            vec![],
            "Expects x to be float but int32 is provided",
        ),
        (
            vec![("x", floats(&[0, 3], &[]))],
            vec![],
            "input x has the shape [0, 3]: a TensorFlow Lite model takes no empty tensors",
        ),
        (
            vec![("x", three())],
            vec!["z"],
            "output z is not in the signature",
        ),
    ] {
        let call = call("serving_default", &inputs, &outputs);
        let error = model
            .run(&RunRequest::one(call, Deadline::NEVER))
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert_eq!(error.message(), expected);
    }
    // A shape that the graph cannot compute with is LiteRT's to refuse.
    let wide = request(
        "serving_default",
        &[("x", floats(&[1, 1, 1, 3], &[1.0; 3]))],
    );
    let _either = model.run(&wide);
    let wrong = model.run(&request("nosuch", &[("x", three())]));
    assert_eq!(wrong.unwrap_err().code(), ErrorCode::FailedPrecondition);
    let only = call("serving_default", &[("x", three())], &["total"]);
    let outputs = model.run(&RunRequest::one(only, Deadline::NEVER)).unwrap();
    assert_eq!(outputs[0].len(), 1);
    assert_eq!(numbers::<f32>(&outputs[0][0].1), [6.0]);
}

#[test]
fn files_that_are_no_lite_models_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("model.tflite");
    let load = |file: &Path| LiteModel::load(library(), file, 1).unwrap_err();
    assert_eq!(load(&file).code(), ErrorCode::NotFound);
    let good = std::fs::read(model_dir("lite").join("1/model.tflite")).unwrap();
    for bytes in [&b""[..], b"not a model", &good[..good.len() / 2]] {
        std::fs::write(&file, bytes).unwrap();
        let error = load(&file);
        assert!(error.message().contains("LiteRT: reading"), "{error:?}");
    }
    let error = self::load("lite_strings", 1).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unimplemented);
    assert_eq!(
        error.message(),
        "input words is of the type string, which LiteRT neither takes nor gives: serve the \
         SavedModel in the place of model.tflite, or one whose inputs and outputs are numbers and \
         booleans"
    );
}

#[test]
fn outputs_whose_shape_depends_on_values_are_an_error_by_name() {
    let model = load("lite_dynamic", 1).unwrap();
    for _again in 0..2 {
        let input = floats(&[4], &[1.0, -1.0, 2.0, 3.0]);
        let error = model
            .run(&request("serving_default", &[("x", input)]))
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        assert_eq!(
            error.message(),
            "LiteRT: running the model: failure at run time, the log says why (status 3). LiteRT \
             gives no output whose shape depends on the values of inputs: if that is one of \
             doubled, positions, serve the SavedModel in the place of model.tflite"
        );
    }
}

#[test]
fn constants_and_single_bytes_are_outputs_too() {
    let model = load("lite_flags", 1).unwrap();
    for (value, expected) in [(1.0, 1), (-1.0, 0)] {
        let input = floats(&[2], &[value, 1.0]);
        let outputs = run(&model, "serving_default", &[("x", input)]);
        assert_eq!(numbers::<f32>(&outputs[0].1), [1.0, 2.0, 3.0]);
        assert_eq!(numbers::<u8>(&outputs[1].1), [expected]);
    }
}

#[test]
fn a_library_of_another_kind_is_refused_and_not_called() {
    let error = LiteLibrary::open(tensorflow().path()).unwrap_err();
    assert!(
        error.to_string().contains("it has no function LiteRt"),
        "{error}"
    );
}
