//! What is missing or damaged gives a clear error with the right code, and nothing else breaks.

use std::path::Path;

use prost::Message as _;
use tensorgate_engine::{Predictor, RunRequest};
use tensorgate_proto::tensorflow::ConfigProto;
use tensorgate_proto::tensorflow::optimizer_options::GlobalJitLevel;
use tensorgate_tensorflow::{Library, SavedModelLoader, describe};
use tensorgate_types::{DType, Deadline, ErrorCode};

use crate::support::{
    call, floats, library, load, load_dir, model_dir, numbers, request, run, tensor,
};

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of a model, changed, and the error that loading it gives.
fn load_changed(name: &str, change: impl FnOnce(&Path)) -> (ErrorCode, String) {
    let copy = tempfile::tempdir().unwrap();
    copy_dir(&model_dir(name).join("1"), copy.path());
    change(copy.path());
    let error = load_dir(copy.path()).unwrap_err();
    (error.code(), error.message().to_owned())
}

#[test]
fn no_saved_model_is_not_found_in_the_originals_words() {
    let empty = tempfile::tempdir().unwrap();
    let error = load_dir(empty.path()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    let expected = format!(
        "Specified file path does not appear to contain a SavedModel bundle (should have a file \
         called `saved_model.pb`)\nSpecified file path: {}",
        empty.path().display()
    );
    assert_eq!(error.message(), expected);
    assert_eq!(describe(empty.path()).unwrap_err().message(), expected);

    std::fs::write(empty.path().join("export.meta"), "").unwrap();
    let error = load_dir(empty.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "UNIMPLEMENTED: Session Bundle is deprecated and removed."
    );
}

#[test]
fn a_pipe_in_place_of_a_model_is_refused_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("saved_model.pb");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let error = load_dir(dir.path()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::FailedPrecondition);
    let expected = format!(
        "{} is no regular file: expected a SavedModel",
        pipe.display()
    );
    assert_eq!(error.message(), expected);
    assert_eq!(describe(dir.path()).unwrap_err().message(), expected);
}

#[test]
fn a_damaged_graph_is_an_error() {
    let (code, message) = load_changed("tf1_builder", |dir| {
        std::fs::write(dir.join("saved_model.pb"), [0xff; 100]).unwrap();
    });
    assert_eq!(code, ErrorCode::DataLoss, "{message}");
    assert!(message.contains("saved_model.pb"), "{message}");
}

#[test]
fn damaged_or_missing_variables_are_an_error() {
    let (code, message) = load_changed("tf1_builder", |dir| {
        let data = dir.join("variables/variables.data-00000-of-00001");
        let len = std::fs::metadata(&data).unwrap().len();
        std::fs::write(&data, vec![0x5a; usize::try_from(len).unwrap()]).unwrap();
    });
    assert_eq!(code, ErrorCode::DataLoss, "{message}");
    assert!(message.contains("Checksum does not match"), "{message}");

    let (_, message) = load_changed("tf1_builder", |dir| {
        std::fs::remove_file(dir.join("variables/variables.data-00000-of-00001")).unwrap();
    });
    assert!(
        message.contains("variables.data-00000-of-00001"),
        "{message}"
    );
}

#[test]
fn a_missing_asset_is_an_error() {
    let (_, message) = load_changed("vocabulary_tf2", |dir| {
        std::fs::remove_file(dir.join("assets/vocabulary.txt")).unwrap();
    });
    assert!(message.contains("vocabulary.txt"), "{message}");
}

#[test]
fn other_tags_are_not_found_in_tensorflows_words() {
    let loader = SavedModelLoader {
        tags: vec!["tpu".to_owned()],
        ..SavedModelLoader::new(library())
    };
    let error = loader.load(&model_dir("tag_sets").join("1")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert!(
        error
            .message()
            .starts_with("Could not find meta graph def matching supplied tags: { tpu }. To"),
        "{error}"
    );
}

#[test]
fn a_function_that_is_marked_to_be_compiled_runs_without_xla_for_others() {
    let mut config = ConfigProto::default();
    let graphs = config.graph_options.get_or_insert_default();
    let optimizers = graphs.optimizer_options.get_or_insert_default();
    optimizers.set_global_jit_level(GlobalJitLevel::Off);
    let loader = SavedModelLoader {
        session_config: config.encode_to_vec(),
        ..SavedModelLoader::new(library())
    };
    let model = loader.load(&model_dir("compiled").join("1")).unwrap();
    let outputs = run(
        &model,
        "serving_default",
        &[("x", floats(&[2], &[1.0, 4.0]))],
    );
    assert_eq!(numbers::<f32>(&outputs[0].1), [2.5, 4.0]);
}

#[test]
fn a_session_config_that_is_none_is_an_error() {
    let loader = SavedModelLoader {
        session_config: vec![0xff],
        ..SavedModelLoader::new(library())
    };
    let error = loader.load(&model_dir("signatures").join("1")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
}

#[test]
fn a_type_that_cannot_be_served_refuses_the_model() {
    let error = load_dir(&model_dir("float8").join("1")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "UNIMPLEMENTED: signature serving_default: input x is of type float8_e5m2 (number 24), and \
         types above number 23 cannot be served"
    );
}

#[test]
fn a_signature_that_cannot_be_called_leaves_the_others_alone() {
    let model = load("not_tensors");
    let x = || floats(&[1], &[1.0]);
    for (signature, expected) in [
        (
            "sparse",
            "UNIMPLEMENTED: signature sparse cannot be called: x is a sparse tensor",
        ),
        (
            "variant",
            "UNIMPLEMENTED: signature variant cannot be called: x is of type variant",
        ),
        (
            "dangling",
            "FAILED_PRECONDITION: signature dangling cannot be called: its y is the tensor \
             nowhere:0, which the graph does not have",
        ),
    ] {
        assert!(model.signatures().contains_key(signature));
        let error = model.run(&request(signature, &[("x", x())])).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let outputs = run(&model, "dense", &[("x", x())]);
    assert_eq!(numbers::<f32>(&outputs[0].1), [2.0]);
}

#[test]
fn wrong_requests_are_told_what_is_wrong() {
    let model = load("signatures");
    let (x, y) = (floats(&[1], &[1.0]), floats(&[1], &[2.0]));
    let error = |request: &RunRequest| model.run(request).unwrap_err().to_string();
    assert_eq!(
        error(&request("serving_default", &[])),
        "FAILED_PRECONDITION: Serving signature key \"serving_default\" not found."
    );
    let wanted = call("add", &[("x", x.clone()), ("y", y)], &["w"]);
    let unknown_output = RunRequest::one(wanted, Deadline::NEVER);
    assert_eq!(
        error(&unknown_output),
        "INVALID_ARGUMENT: output tensor alias not found in signature: w Outputs expected to be \
         in the set {z}."
    );
    assert_eq!(
        error(&request("add", &[("x", x.clone())])),
        "INVALID_ARGUMENT: input y is missing"
    );
    // TensorFlow's own words and code.
    let wrong_type = tensor(DType::INT32, &[1], &[1]);
    let message = error(&request("add", &[("x", x), ("y", wrong_type)]));
    assert!(message.starts_with("INVALID_ARGUMENT: "), "{message}");
    let message = error(&request(
        "add",
        &[
            ("x", floats(&[2], &[1.0; 2])),
            ("y", floats(&[3], &[1.0; 3])),
        ],
    ));
    assert!(
        message.starts_with("INVALID_ARGUMENT: ")
            && message.contains("Incompatible shapes: [2] vs. [3]"),
        "{message}"
    );
}

#[test]
fn a_file_that_is_no_library_is_refused_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("libtensorflow.so.2");
    std::fs::write(&path, "no library").unwrap();
    let error = Library::open(&path).unwrap_err().to_string();
    let start = format!("cannot use {} as libtensorflow: ", path.display());
    assert!(error.starts_with(&start), "{error}");
    assert!(library().version().starts_with("2."));
}
