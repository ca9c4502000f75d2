//! Odd shapes, several signatures, several outputs and subsets of them.

use std::time::{Duration, SystemTime};

use tensorgate_engine::{Predictor, RunRequest};
use tensorgate_tensorflow::{SavedModelLoader, Tracer, describe};
use tensorgate_types::{DType, Deadline, Tensor};

use crate::support::{
    bytes, call, floats, library, load, load_dir, model_dir, numbers, output, request, run,
    strings, tensor, texts,
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
    let wanted = call("serving_default", &mixed_inputs(), &["total", "joined"]);
    let wanted = RunRequest::one(wanted, Deadline::NEVER);
    let outputs = load("mixed").run(&wanted).unwrap().remove(0);
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["joined", "total"]);
    assert_eq!(numbers::<f32>(&outputs[1].1), [4.5, 8.5]);
}

#[test]
fn several_signatures_are_one_run() {
    let model = load("signatures");
    let x = floats(&[2], &[3.0, 8.0]);
    let y = floats(&[2], &[2.0, 3.0]);
    let inputs = [("x", x), ("y", y)];
    let copied = model.copied();
    let together = RunRequest {
        calls: vec![
            call("divide", &inputs, &["rest"]),
            call("negate", &inputs[..1], &[]),
            call("divide", &inputs, &[]),
            call("add", &inputs, &[]),
        ],
        deadline: Deadline::NEVER,
    };
    let outputs = model.run(&together).unwrap();
    let values = |call: usize, name: &str| numbers::<f32>(output(&outputs[call], name));
    assert_eq!(outputs[0].len(), 1);
    assert_eq!(values(0, "rest"), [1.0, 2.0]);
    assert_eq!(values(1, "z"), [-3.0, -8.0]);
    assert_eq!(values(2, "quotient"), [1.5, 8.0 / 3.0]);
    assert_eq!(values(3, "z"), [5.0, 11.0]);
    // Fetched once, shared by both.
    assert_eq!(
        bytes(output(&outputs[0], "rest")).as_ptr(),
        bytes(output(&outputs[2], "rest")).as_ptr()
    );
    assert_eq!(model.copied(), copied);
    // One executor for all of it, whatever the order of the calls.
    let mut turned = together;
    turned.calls.reverse();
    model.run(&turned).unwrap();
    assert_eq!(model.fetch_sets(), 1);
}

#[test]
fn a_watched_run_tells_of_its_operations() {
    let tracer = Tracer::default();
    let loader = SavedModelLoader {
        tracer: tracer.clone(),
        ..SavedModelLoader::new(library())
    };
    let model = loader.load(&model_dir("signatures").join("1")).unwrap();
    let inputs = [("x", floats(&[1], &[3.0])), ("y", floats(&[1], &[2.0]))];
    run(&model, "add", &inputs);
    assert!(tracer.start());
    let before = SystemTime::now();
    let outputs = run(&model, "add", &inputs);
    assert_eq!(numbers::<f32>(&outputs[0].1), [5.0]);
    let trace = tracer.stop();
    run(&model, "add", &inputs);
    assert_eq!((trace.runs, trace.left_out), (1, 0));
    let added = trace.operations.iter().find(|op| op.name.contains("Add"));
    let added = added.unwrap_or_else(|| panic!("no addition in {trace:?}"));
    assert!(added.device.ends_with("CPU:0"), "{added:?}");
    let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let hour = Duration::from_secs(3600);
    let start = Duration::from_nanos(added.start_ns);
    assert!(
        start + hour > since(before) && start < since(before) + hour,
        "{added:?}"
    );
}

#[test]
fn one_run_cannot_feed_two_values_to_one_tensor() {
    let model = load("signatures");
    let negate = |value: f32| call("negate", &[("x", floats(&[1], &[value]))], &[]);
    let run = |calls| {
        let deadline = Deadline::NEVER;
        model.run(&RunRequest { calls, deadline })
    };
    let error = run(vec![negate(1.0), negate(2.0)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "INVALID_ARGUMENT: input x is fed by two calls of one run, with different values; \
         expected the same value"
    );
    let outputs = run(vec![negate(1.0), negate(1.0)]).unwrap();
    assert_eq!(numbers::<f32>(&outputs[1][0].1), [-1.0]);
    assert!(run(vec![]).unwrap().is_empty());
    let unknown = run(vec![negate(1.0), call("nothing", &[], &[])]).unwrap_err();
    assert_eq!(
        unknown.message(),
        "Serving signature key \"nothing\" not found."
    );
}

#[test]
fn an_input_that_is_left_out_gets_the_default_that_was_exported() {
    let model = load("defaults_of_types");
    let inputs = &model.signatures()["serving_default"].inputs;
    assert!(!inputs["x"].optional && inputs["factor"].optional);
    let x = ("x", floats(&[2], &[1.0, 2.0]));
    let outputs = run(&model, "serving_default", std::slice::from_ref(&x));
    assert_eq!(numbers::<f32>(&outputs[0].1), [3.0, 6.0]);
    let given = run(
        &model,
        "serving_default",
        &[x, ("factor", floats(&[], &[10.0]))],
    );
    assert_eq!(numbers::<f32>(&given[0].1), [10.0, 20.0]);
    let error = model.run(&request("serving_default", &[])).unwrap_err();
    assert_eq!(error.message(), "input x is missing");
}

#[test]
fn defaults_of_every_type_are_what_tensorflow_reads() {
    let model = load_dir(&model_dir("defaults_of_types").join("2")).unwrap();
    assert_eq!(model.signatures().len(), 3 * 21);
    for name in model.signatures().keys() {
        let outputs = run(&model, name, &[]);
        let (same, y) = (output(&outputs, "same"), output(&outputs, "y"));
        assert_eq!(
            (same.dtype(), same.shape()),
            (y.dtype(), y.shape()),
            "{name}"
        );
        if y.dtype() == DType::STRING {
            assert_eq!(texts(y), texts(same), "{name}");
        } else {
            assert_eq!(bytes(y), bytes(same), "{name}");
        }
    }
    // Not all of them are zeros.
    let floats = run(&model, "float_list", &[]);
    assert_eq!(numbers::<f32>(output(&floats, "y")), [1.0, 2.0, 2.0]);
}

#[test]
fn past_the_bound_of_sets_several_signatures_are_run_one_by_one() {
    let model = load("many_outputs");
    let x = [("x", floats(&[1], &[0.0]))];
    for subset in 1u32..=100 {
        let names: Vec<String> = (0..8)
            .filter(|bit| subset >> bit & 1 == 1)
            .map(|bit| format!("y{bit}"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let calls = vec![
            call("serving_default", &x, &names),
            call("serving_default", &x, &["y7"]),
        ];
        let deadline = Deadline::NEVER;
        let outputs = model.run(&RunRequest { calls, deadline }).unwrap();
        let given: Vec<&str> = outputs[0].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(given, names);
        assert_eq!(numbers::<f32>(output(&outputs[1], "y7")), [7.0]);
    }
    assert_eq!(model.fetch_sets(), 64);
}

#[test]
fn past_the_bound_a_subset_is_picked_from_all_outputs() {
    let model = load("many_outputs");
    let mut wrong = Vec::new();
    for subset in 1u32..=255 {
        let wanted: Vec<String> = (0..8)
            .filter(|bit| subset >> bit & 1 == 1)
            .map(|bit| format!("y{bit}"))
            .collect();
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let x = floats(&[1], &[0.0]);
        let call = call("serving_default", &[("x", x)], &names);
        let request = RunRequest::one(call, Deadline::NEVER);
        let outputs = model.run(&request).unwrap().remove(0);
        let names: Vec<String> = outputs.iter().map(|(name, _)| name.clone()).collect();
        let values: Vec<f32> = outputs.iter().map(|(_, y)| numbers::<f32>(y)[0]).collect();
        let expected: Vec<f32> = (0u8..8)
            .filter(|bit| subset >> bit & 1 == 1)
            .map(f32::from)
            .collect();
        if names != wanted || values != expected {
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
