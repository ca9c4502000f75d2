//! Short words for the tests: models by name, tensors from numbers, numbers from tensors.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytemuck::Pod;
use tensorgate_engine::{Call, NamedTensors, Predictor, RunRequest};
use tensorgate_tensorflow::{Library, Lookup, SavedModel, SavedModelLoader, Wanted};
use tensorgate_types::{DType, Deadline, Result, StringData, Tensor, TensorData};

pub(crate) fn library() -> Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    *LIBRARY.get_or_init(|| {
        let named = std::env::var_os("TENSORGATE_LIBTENSORFLOW").map(PathBuf::from);
        let lookup = Lookup::for_this_process(Wanted::TensorFlow, None, named);
        Library::find(&lookup).unwrap_or_else(|error| panic!("{error}\nrun `cargo xtask setup`"))
    })
}

/// Where the versions of a test model are.
pub(crate) fn model_dir(name: &str) -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tensorgate/test-models");
    let dir = models.join(name);
    assert!(
        dir.is_dir(),
        "{} is missing: run `cargo xtask setup`",
        dir.display()
    );
    dir
}

pub(crate) fn load_dir(dir: &Path) -> Result<SavedModel> {
    SavedModelLoader::new(library()).load(dir)
}

/// Version 1 of a test model.
pub(crate) fn load(name: &str) -> SavedModel {
    load_dir(&model_dir(name).join("1")).unwrap()
}

pub(crate) fn request(signature: &str, inputs: &[(&str, Tensor)]) -> RunRequest {
    RunRequest::one(call(signature, inputs, &[]), Deadline::NEVER)
}

pub(crate) fn call(signature: &str, inputs: &[(&str, Tensor)], outputs: &[&str]) -> Call {
    Call {
        signature: signature.to_owned(),
        inputs: inputs
            .iter()
            .map(|(name, tensor)| ((*name).to_owned(), tensor.clone()))
            .collect(),
        outputs: outputs.iter().map(|name| (*name).to_owned()).collect(),
    }
}

pub(crate) fn run(
    model: &impl Predictor,
    signature: &str,
    inputs: &[(&str, Tensor)],
) -> NamedTensors {
    model.run(&request(signature, inputs)).unwrap().remove(0)
}

pub(crate) fn tensor<T: Pod>(dtype: DType, shape: &[i64], values: &[T]) -> Tensor {
    Tensor::from_slice(dtype, shape.to_vec(), values).unwrap()
}

pub(crate) fn floats(shape: &[i64], values: &[f32]) -> Tensor {
    tensor(DType::FLOAT, shape, values)
}

pub(crate) fn strings<S: AsRef<[u8]>>(shape: &[i64], values: &[S]) -> Tensor {
    Tensor::strings(shape.to_vec(), StringData::from_iter(values)).unwrap()
}

/// The output `name`.
pub(crate) fn output<'a>(outputs: &'a NamedTensors, name: &str) -> &'a Tensor {
    let found = outputs.iter().find(|(output, _)| output == name);
    &found
        .unwrap_or_else(|| panic!("no {name} in {outputs:?}"))
        .1
}

pub(crate) fn bytes(tensor: &Tensor) -> &[u8] {
    match tensor.data() {
        TensorData::Fixed(bytes) => bytes,
        TensorData::Strings(_) => panic!("{tensor:?} has strings"),
    }
}

pub(crate) fn numbers<T: Pod>(tensor: &Tensor) -> Vec<T> {
    bytemuck::pod_collect_to_vec(bytes(tensor))
}

pub(crate) fn texts(tensor: &Tensor) -> Vec<Vec<u8>> {
    match tensor.data() {
        TensorData::Strings(strings) => strings.iter().map(<[u8]>::to_vec).collect(),
        TensorData::Fixed(_) => panic!("{tensor:?} has numbers"),
    }
}

/// A serialized `tf.Example` with one float per feature, written by hand.
pub(crate) fn example(features: &[(&str, f32)]) -> Vec<u8> {
    // Every length here is below 128, so that it is one byte.
    let field = |number: u8, content: Vec<u8>| {
        let mut field = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        field.extend(content);
        field
    };
    let mut map = Vec::new();
    for (name, value) in features {
        let float_list = field(1, value.to_le_bytes().to_vec());
        let feature = field(2, float_list);
        let mut entry = field(1, name.as_bytes().to_vec());
        entry.extend(field(2, feature));
        map.extend(field(1, entry));
    }
    field(1, map)
}
