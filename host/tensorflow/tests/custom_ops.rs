//! A model with operations that TensorFlow does not have, and the library that has them. In a
//! process of its own: what is loaded once is there for every model.

use std::path::{Path, PathBuf};

use tensorgate_engine::{Call, Predictor as _, RunRequest};
use tensorgate_tensorflow::{Library, Lookup, SavedModelLoader, Wanted};
use tensorgate_types::{Deadline, ErrorCode, StringData, Tensor, TensorData};

const OP: &str = "RegexSplitWithOffsets";

fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tensorgate")
}

/// A library of tensorflow-text's, in the environment that the set-up makes.
fn operations() -> PathBuf {
    let library = "site-packages/tensorflow_text/python/ops/_regex_split_ops.so";
    let pythons = cache().join("venv/lib").read_dir();
    pythons
        .expect("there is an environment: run `cargo xtask setup`")
        .flatten()
        .map(|python| python.path().join(library))
        .find(|path| path.is_file())
        .expect("tensorflow-text is installed: run `cargo xtask setup`")
}

#[test]
fn a_library_of_operations_makes_a_model_loadable() {
    let named = std::env::var_os("TENSORGATE_LIBTENSORFLOW").map(PathBuf::from);
    let lookup = Lookup::for_this_process(Wanted::TensorFlow, None, named);
    let library = Library::find(&lookup).unwrap();
    let loader = SavedModelLoader::new(library);
    let model = cache().join("test-models/tokens/1");

    // Without it: TensorFlow's words, and what helps.
    let error = loader.load(&model).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound, "{error}");
    let message = error.message();
    assert!(
        message.starts_with(&format!(
            "Op type not registered '{OP}' in binary running on "
        )),
        "{message}"
    );
    let advice = format!(
        " The model needs the operation {OP}, which TensorFlow does not have: name the shared \
         library that has it with --custom_op_libraries."
    );
    assert!(message.ends_with(&advice), "{message}");

    // What is no library is told apart by name, and does no harm.
    let nothing = tempfile::tempdir().unwrap();
    let empty = nothing.path().join("empty.so");
    std::fs::write(&empty, "").unwrap();
    for (path, problem) in [
        (empty.as_path(), "file too short"),
        (&nothing.path().join("none.so"), "No such file or directory"),
        (nothing.path(), "it is no file"),
    ] {
        let error = library.load_ops(path).unwrap_err().to_string();
        let start = format!(
            "cannot use {} as a library of operations for TensorFlow {}: ",
            path.display(),
            library.version()
        );
        assert!(
            error.starts_with(&start) && error.contains(problem),
            "{error}"
        );
    }

    // With it, and with it twice.
    for _time in 0..2 {
        assert_eq!(library.load_ops(&operations()).unwrap(), [OP]);
    }
    let model = loader.load(&model).unwrap();
    let text = ["a bc  d", "", "\u{e9}t\u{e9} ici"];
    let texts = Tensor::strings(vec![3], StringData::from_iter(text)).unwrap();
    let call = Call {
        signature: "serving_default".to_owned(),
        inputs: vec![("text".to_owned(), texts)],
        outputs: Vec::new(),
    };
    let request = RunRequest::one(call, Deadline::NEVER);
    let outputs = model.run(&request).unwrap().remove(0);
    let output = |name: &str| {
        let found = outputs.iter().find(|(output, _)| output == name);
        found.map(|(_, tensor)| tensor.data().clone()).unwrap()
    };
    let TensorData::Strings(tokens) = output("tokens") else {
        panic!("tokens are strings");
    };
    let tokens: Vec<&[u8]> = tokens.iter().collect();
    let expected = ["a", "bc", "d", "\u{e9}t\u{e9}", "ici"].map(str::as_bytes);
    assert_eq!(tokens, expected);
    let TensorData::Fixed(starts) = output("starts") else {
        panic!("starts are numbers");
    };
    let starts: Vec<i64> = bytemuck::pod_collect_to_vec(&starts);
    assert_eq!(starts, [0, 2, 6, 0, 6]);
}
