//! Every manner of exporting loads, and every signature of it gives the right numbers.

use tensorgate_engine::Predictor;
use tensorgate_tensorflow::{SavedModelLoader, describe};
use tensorgate_types::{DType, Tensor};

use crate::support::{
    example, floats, library, load, load_dir, model_dir, numbers, output, run, strings, tensor,
    texts,
};

#[test]
fn half_plus_two_runs_through_every_signature() {
    let model = load_dir(&model_dir("half_plus_two").join("00000123")).unwrap();
    let names: Vec<&str> = model.signatures().keys().map(String::as_str).collect();
    let all = [
        "classify_x2_to_y3",
        "classify_x_to_y",
        "regress_x2_to_y3",
        "regress_x_to_y",
        "regress_x_to_y2",
        "serving_default",
    ];
    assert_eq!(names, all);

    let outputs = run(
        &model,
        "serving_default",
        &[("x", floats(&[3], &[1.0, 2.0, 5.0]))],
    );
    assert_eq!(output(&outputs, "y").shape(), [3]);
    assert_eq!(numbers::<f32>(&outputs[0].1), [2.5, 3.0, 4.5]);

    let examples = strings(
        &[2],
        &[example(&[("x", 1.0), ("x2", 8.0)]), example(&[("x", 2.0)])],
    );
    for (signature, name, expected) in [
        ("regress_x_to_y", "outputs", [2.5, 3.0]),
        ("regress_x_to_y2", "outputs", [3.5, 4.0]),
        ("classify_x_to_y", "scores", [2.5, 3.0]),
    ] {
        let outputs = run(&model, signature, &[("inputs", examples.clone())]);
        let y = output(&outputs, name);
        assert_eq!(y.shape(), [2, 1], "{signature}");
        assert_eq!(numbers::<f32>(y), expected, "{signature}");
    }
    for (signature, name) in [
        ("regress_x2_to_y3", "outputs"),
        ("classify_x2_to_y3", "scores"),
    ] {
        let outputs = run(&model, signature, &[("inputs", floats(&[1, 1], &[10.0]))]);
        assert_eq!(numbers::<f32>(output(&outputs, name)), [8.0], "{signature}");
    }
}

#[test]
fn a_feed_need_not_have_the_declared_shape() {
    let model = load_dir(&model_dir("half_plus_two").join("00000123")).unwrap();
    assert_eq!(
        model.signatures()["serving_default"].inputs["x"].shape,
        Some(vec![-1, 1])
    );
    let outputs = run(&model, "serving_default", &[("x", floats(&[], &[4.0]))]);
    assert_eq!(outputs[0].1.shape(), [0i64; 0]);
    assert_eq!(numbers::<f32>(&outputs[0].1), [4.0]);
}

#[test]
fn versions_answer_with_their_own_variables() {
    for (version, expected) in [("2", 4.0), ("3", 5.0)] {
        let model = load_dir(&model_dir("half_plus_version").join(version)).unwrap();
        let outputs = run(&model, "serving_default", &[("x", floats(&[1], &[4.0]))]);
        assert_eq!(numbers::<f32>(&outputs[0].1), [expected]);
    }
}

#[test]
fn tf1_builder_restores_variables_of_both_kinds() {
    let x = floats(&[2, 3], &[1.0, 2.0, 3.0, 0.0, 0.0, 0.0]);
    let outputs = run(&load("tf1_builder"), "serving_default", &[("x", x)]);
    assert_eq!(outputs[0].1.shape(), [2, 1]);
    assert_eq!(numbers::<f32>(&outputs[0].1), [321.25, 0.25]);
}

#[test]
fn tf2_module_runs_both_signatures() {
    let model = load("tf2_module");
    let x = floats(&[1, 2], &[1.0, 1.0]);
    let outputs = run(&model, "serving_default", &[("x", x)]);
    assert_eq!(numbers::<f32>(output(&outputs, "y")), [2.5, 2.5]);
    let back = run(&model, "backward", &[("y", floats(&[1, 2], &[2.5, 2.5]))]);
    assert_eq!(numbers::<f32>(output(&back, "x")), [1.0, 1.0]);
    // TF2 writes the init op as a signature; it is listed and cannot be called.
    let error = model.run(&crate::support::request("__saved_model_init_op", &[]));
    assert_eq!(
        error.unwrap_err().to_string(),
        "UNIMPLEMENTED: signature __saved_model_init_op cannot be called: __saved_model_init_op \
         is of type INVALID"
    );
}

#[test]
fn keras_export_runs() {
    let model = load("keras_export");
    let signature = &model.signatures()["serving_default"];
    let (name, info) = signature.inputs.first_key_value().unwrap();
    assert_eq!(info.shape, Some(vec![-1, 4]));
    let x = floats(&[2, 4], &[1.0, 2.0, 3.0, 4.0, -9.0, 0.0, 0.0, 0.0]);
    let outputs = run(&model, "serving_default", &[(name, x)]);
    // Hidden: 0.5 * 10 + 1 = 6, three times; and relu(-3.5) = 0. Less 1 at the end.
    assert_eq!(numbers::<f32>(&outputs[0].1), [17.0, 17.0, -1.0, -1.0]);
}

#[test]
fn estimator_parses_examples_in_the_graph() {
    let model = load("estimator");
    let examples = strings(
        &[2],
        &[example(&[("age", 0.0)]), example(&[("age", 200.0)])],
    );
    let outputs = run(&model, "classification", &[("inputs", examples.clone())]);
    assert_eq!(
        texts(output(&outputs, "classes"))[..2],
        [b"young".to_vec(), b"old".to_vec()]
    );
    let scores = numbers::<f32>(output(&outputs, "scores"));
    assert_eq!(scores, [0.5, 0.5, 1.0, 0.0]);

    let outputs = run(&model, "regression", &[("inputs", examples.clone())]);
    assert_eq!(numbers::<f32>(output(&outputs, "outputs")), [0.5, 1.0]);

    let outputs = run(&model, "predict", &[("examples", examples)]);
    assert_eq!(texts(output(&outputs, "city")), [b"", b""]);
    let logits = numbers::<f32>(output(&outputs, "logits"));
    assert_eq!(logits, [0.0, 0.0, 200.0, -200.0]);
    // Ordered by name.
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["city", "logits", "probabilities"]);
}

#[test]
fn assets_fill_lookup_tables() {
    let words = || strings(&[3], &["cherry", "durian", "apple"]);
    for name in ["vocabulary_tf1", "vocabulary_tf2"] {
        let outputs = run(&load(name), "serving_default", &[("words", words())]);
        assert_eq!(
            numbers::<i64>(output(&outputs, "ids")),
            [2, -1, 0],
            "{name}"
        );
    }
    let ids = tensor(DType::INT64, &[2], &[1i64, 99]);
    let outputs = run(&load("vocabulary_tf2"), "to_words", &[("ids", ids)]);
    assert_eq!(texts(&outputs[0].1), [b"banana".to_vec(), b"?".to_vec()]);
}

#[test]
fn a_model_that_was_moved_finds_its_assets() {
    let copy = tempfile::tempdir().unwrap();
    crate::errors::copy_dir(&model_dir("vocabulary_tf2").join("1"), copy.path());
    let model = load_dir(copy.path()).unwrap();
    let words = strings(&[1], &["banana"]);
    let outputs = run(&model, "serving_default", &[("words", words)]);
    assert_eq!(numbers::<i64>(&outputs[0].1), [1]);
}

#[test]
fn tags_choose_the_graph() {
    let dir = model_dir("tag_sets").join("1");
    for (tags, expected) in [
        (&["serve"][..], 2.0),
        (&["serve", "gpu"], 3.0),
        (&["gpu", "serve"], 3.0),
        (&["train"], 4.0),
    ] {
        let loader = SavedModelLoader {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..SavedModelLoader::new(library())
        };
        let model = loader.load(&dir).unwrap();
        let outputs = run(&model, "serving_default", &[("x", floats(&[1], &[1.0]))]);
        assert_eq!(numbers::<f32>(&outputs[0].1), [expected], "{tags:?}");
    }
    // A set has no order, so TensorFlow writes one as it comes.
    let mut tags: Vec<Vec<String>> = describe(&dir)
        .unwrap()
        .into_iter()
        .map(|graph| graph.tags)
        .collect();
    tags.iter_mut().for_each(|tags| tags.sort());
    tags.sort();
    assert_eq!(tags, [vec!["gpu", "serve"], vec!["serve"], vec!["train"]]);
}

#[test]
fn reference_outputs_are_their_base_type_and_state_lasts() {
    let model = load("counter");
    let info = &model.signatures()["get_counter"].outputs["output"];
    assert_eq!(info.dtype, DType::FLOAT);
    let count = |signature: &str, inputs: &[(&str, Tensor)]| {
        numbers::<f32>(&run(&model, signature, inputs)[0].1)[0]
    };
    assert_eq!(count("get_counter", &[]), 0.0);
    assert_eq!(count("incr_counter", &[]), 1.0);
    assert_eq!(
        count("incr_counter_by", &[("delta", floats(&[], &[2.5]))]),
        3.5
    );
    assert_eq!(count("get_counter", &[]), 3.5);
    assert_eq!(count("reset_counter", &[]), 0.0);
}
