//! A TensorFlow Lite model: loaded, run, unloaded.
//!
//! In comes a file, and requests whose inputs have been checked; out come outputs by name.
//!
//! **Ordering:** interpreters go before the model that they were made from, the model before the
//! bytes that it points into.
//!
//! **Cancellation:** none: a run ends when it is computed.

#![expect(unsafe_code, reason = "loads models and asks them what they are")]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prost::Message as _;
use tensorgate_engine::{Call, NamedTensors, Predictor, RunRequest};
use tensorgate_proto::tensorflow as proto;
use tensorgate_types::{
    DEFAULT_SIGNATURE, DType, Error, PREDICT_METHOD, Result, Signature, Signatures, TensorInfo,
};

use super::ffi::{
    Api, LiteRtModel, LiteRtRankedTensorType, LiteRtSignature, LiteRtStatus, LiteRtTensor, MAX_RANK,
};
use super::interpreter::Interpreter;
use super::library::LiteLibrary;
use super::status::check;

/// What LiteRT calls the signature of a model that has none.
const NO_SIGNATURE: &str = "<placeholder signature>";

/// A loaded model. Unloaded when dropped.
pub struct LiteModel {
    /// Interpreters that compute nothing at present.
    idle: Mutex<Vec<Interpreter>>,
    returned: Condvar,
    signatures: Signatures,
    signature_defs: Vec<(String, Bytes)>,
    /// By name: which signature of the model it is, and its tensors in the model's order.
    entries: BTreeMap<String, Entry>,
    _model: Model,
}

/// A signature in the model's own order.
#[derive(Debug)]
struct Entry {
    index: usize,
    inputs: Vec<Slot>,
    outputs: Vec<Slot>,
}

/// An input or output of a signature.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Its name in the signature.
    pub(crate) name: String,
    /// LiteRT's number of the element type.
    pub(crate) element_type: c_int,
    pub(crate) dtype: DType,
    tensor_name: String,
    shape: Vec<i64>,
}

impl Slot {
    pub(crate) fn is_scalar(&self) -> bool {
        self.shape.is_empty()
    }

    /// Whether the model leaves a part of the shape open.
    pub(crate) fn is_open(&self) -> bool {
        self.shape.contains(&-1)
    }
}

/// A model as LiteRT has read it, with the bytes that it points into.
struct Model {
    api: &'static Api,
    raw: *mut LiteRtModel,
    _bytes: Vec<u8>,
}

// SAFETY: the pointers are to the model, which nothing changes after it was loaded, and to
// interpreters, of which each is used by one thread at a time (the pool hands it out by value).
unsafe impl Send for Model {}
// SAFETY: as above; nothing is called with the model once it is loaded but its destructor.
unsafe impl Sync for Model {}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: from `LiteRtCreateModelFromBuffer`, destroyed once, after its interpreters.
        unsafe { (self.api.LiteRtDestroyModel)(self.raw) }
    }
}

impl LiteModel {
    /// Loads a `.tflite` file and makes `interpreters` (at least one) for it.
    ///
    /// # Errors
    /// When the file cannot be read or is no model; `UNIMPLEMENTED` when a signature has a type
    /// that cannot be served, or LiteRT lacks an operation.
    pub fn load(library: LiteLibrary, file: &Path, interpreters: usize) -> Result<Self> {
        let bytes = std::fs::read(file).map_err(|error| {
            Error::not_found(format!("cannot read {}: {error}", file.display()))
        })?;
        let model = Model::read(library, bytes, file)?;
        let entries = model.entries()?;
        let idle = (0..interpreters.max(1))
            .map(|_each| Interpreter::new(library, model.raw, file))
            .collect::<Result<Vec<_>>>()?;
        let signatures = describe(&entries);
        let signature_defs = signatures
            .iter()
            .map(|(name, signature)| (name.clone(), signature_def(signature)))
            .collect();
        Ok(Self {
            idle: Mutex::new(idle),
            returned: Condvar::new(),
            signatures,
            signature_defs,
            entries,
            _model: model,
        })
    }

    fn call(&self, call: &Call) -> Result<NamedTensors> {
        let entry = self.entries.get(&call.signature).ok_or_else(|| {
            let name = &call.signature;
            Error::failed_precondition(format!("Serving signature key \"{name}\" not found."))
        })?;
        let inputs = entry
            .inputs
            .iter()
            .map(|slot| {
                let found = call.inputs.iter().find(|(name, _)| *name == slot.name);
                let (_, tensor) = found.ok_or_else(|| {
                    Error::invalid_argument(format!("input {} is missing", slot.name))
                })?;
                if tensor.dtype() != slot.dtype {
                    return Err(Error::invalid_argument(format!(
                        "Expects {} to be {} but {} is provided",
                        slot.name,
                        slot.dtype,
                        tensor.dtype()
                    )));
                }
                Ok((slot, tensor))
            })
            .collect::<Result<Vec<_>>>()?;
        if let Some(unknown) = call
            .outputs
            .iter()
            .find(|name| !entry.outputs.iter().any(|slot| slot.name == **name))
        {
            return Err(Error::invalid_argument(format!(
                "output {unknown} is not in the signature"
            )));
        }
        let mut interpreter = self.take();
        let outputs = interpreter.run(entry.index, &inputs, &entry.outputs);
        self.put_back(interpreter);
        let mut named: NamedTensors = entry
            .outputs
            .iter()
            .zip(outputs?)
            .filter(|(slot, _)| call.outputs.is_empty() || call.outputs.contains(&slot.name))
            .map(|(slot, tensor)| (slot.name.clone(), tensor))
            .collect();
        named.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(named)
    }

    fn take(&self) -> Interpreter {
        let mut idle = self.idle();
        loop {
            if let Some(interpreter) = idle.pop() {
                return interpreter;
            }
            idle = self
                .returned
                .wait(idle)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put_back(&self, interpreter: Interpreter) {
        self.idle().push(interpreter);
        self.returned.notify_one();
    }

    /// A list cannot be left half changed, so a poisoned lock is as good as another.
    fn idle(&self) -> MutexGuard<'_, Vec<Interpreter>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Predictor for LiteModel {
    fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        &self.signature_defs
    }

    fn run(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        if request.deadline.has_passed() {
            return Err(Error::deadline_exceeded());
        }
        request.calls.iter().map(|call| self.call(call)).collect()
    }
}

impl fmt::Debug for LiteModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiteModel")
            .field("signatures", &self.signatures)
            .finish_non_exhaustive()
    }
}

impl Model {
    fn read(library: LiteLibrary, bytes: Vec<u8>, file: &Path) -> Result<Self> {
        let api = library.api();
        let mut raw = std::ptr::null_mut();
        // SAFETY: the bytes are valid for their length and kept for as long as the model (a
        // vector's memory does not move with it); `raw` takes the model.
        let status = unsafe {
            (api.LiteRtCreateModelFromBuffer)(
                library.environment(),
                bytes.as_ptr().cast(),
                bytes.len(),
                &raw mut raw,
            )
        };
        check(status, || format!("reading {}", file.display()))?;
        if raw.is_null() {
            return Err(Error::internal("LiteRT gave no model"));
        }
        Ok(Self {
            api,
            raw,
            _bytes: bytes,
        })
    }

    fn entries(&self) -> Result<BTreeMap<String, Entry>> {
        let mut count = 0;
        // SAFETY: the model is valid, and so is the place for the count.
        let status = unsafe { (self.api.LiteRtGetNumModelSignatures)(self.raw, &raw mut count) };
        check(status, || "counting signatures".to_owned())?;
        let mut entries = BTreeMap::new();
        for index in 0..count {
            let mut signature = std::ptr::null_mut();
            // SAFETY: the index is below the count; what is given belongs to the model.
            let status =
                unsafe { (self.api.LiteRtGetModelSignature)(self.raw, index, &raw mut signature) };
            check(status, || format!("reading signature {index}"))?;
            let key = Self::text(|place| {
                // SAFETY: the signature is the model's, and the text lives as long.
                unsafe { (self.api.LiteRtGetSignatureKey)(signature, place) }
            })?;
            let unnamed = key == NO_SIGNATURE || key.is_empty();
            let name = if unnamed { DEFAULT_SIGNATURE } else { &key };
            entries.insert(
                name.to_owned(),
                Entry {
                    index,
                    inputs: self.slots(signature, unnamed, &Side::inputs(self.api))?,
                    outputs: self.slots(signature, unnamed, &Side::outputs(self.api))?,
                },
            );
        }
        Ok(entries)
    }

    /// The inputs or the outputs of a signature.
    fn slots(
        &self,
        signature: *mut LiteRtSignature,
        unnamed: bool,
        side: &Side,
    ) -> Result<Vec<Slot>> {
        let mut count = 0;
        // SAFETY: the signature is valid, and so is the place for the count.
        let status = unsafe { (side.count)(signature, &raw mut count) };
        check(status, || format!("counting {}s", side.what))?;
        (0..count)
            .map(|index| {
                let mut tensor = std::ptr::null_mut();
                // SAFETY: the index is below the count; what is given belongs to the model.
                let status = unsafe { (side.tensor)(signature, index, &raw mut tensor) };
                check(status, || format!("reading {} {index}", side.what))?;
                let tensor_name = Self::text(|place| {
                    // SAFETY: the tensor is the model's, and the text lives as long.
                    unsafe { (self.api.LiteRtGetTensorName)(tensor, place) }
                })?;
                let name = if unnamed {
                    tensor_name
                        .strip_suffix(":0")
                        .unwrap_or(&tensor_name)
                        .to_owned()
                } else {
                    Self::text(|place| {
                        // SAFETY: as above.
                        unsafe { (side.name)(signature, index, place) }
                    })?
                };
                self.slot(tensor, name, tensor_name, side.what)
            })
            .collect()
    }

    fn slot(
        &self,
        tensor: *mut LiteRtTensor,
        name: String,
        tensor_name: String,
        what: &str,
    ) -> Result<Slot> {
        let mut kind = LiteRtRankedTensorType::default();
        // SAFETY: the tensor is the model's; `kind` is of the size that LiteRT writes.
        let status = unsafe { (self.api.LiteRtGetRankedTensorType)(tensor, &raw mut kind) };
        check(status, || format!("reading the type of {what} {name}"))?;
        let dtype = dtype_of(kind.element_type).ok_or_else(|| {
            Error::unimplemented(format!(
                "{what} {name} is of the type {}, which LiteRT neither takes nor gives: serve the \
                 SavedModel in the place of model.tflite, or one whose inputs and outputs are \
                 numbers and booleans",
                name_of(kind.element_type)
            ))
        })?;
        let rank = (kind.layout.bits & 0x7f) as usize;
        let dimensions = kind.layout.dimensions.get(..rank).ok_or_else(|| {
            Error::unimplemented(format!(
                "{what} {name} has {rank} dimensions, at most {MAX_RANK} can be served"
            ))
        })?;
        Ok(Slot {
            name,
            element_type: kind.element_type,
            dtype,
            tensor_name,
            shape: dimensions
                .iter()
                .map(|size| i64::from(*size).max(-1))
                .collect(),
        })
    }

    fn text(get: impl FnOnce(*mut *const c_char) -> LiteRtStatus) -> Result<String> {
        let mut text = std::ptr::null();
        check(get(&raw mut text), || "reading a name".to_owned())?;
        if text.is_null() {
            return Ok(String::new());
        }
        // SAFETY: a C string that the model keeps for as long as it lives.
        let text = unsafe { CStr::from_ptr(text) };
        Ok(text.to_string_lossy().into_owned())
    }
}

/// The functions about a signature's inputs, or about its outputs.
struct Side {
    what: &'static str,
    count: unsafe extern "C" fn(*mut LiteRtSignature, *mut usize) -> LiteRtStatus,
    name: unsafe extern "C" fn(*mut LiteRtSignature, usize, *mut *const c_char) -> LiteRtStatus,
    tensor:
        unsafe extern "C" fn(*mut LiteRtSignature, usize, *mut *mut LiteRtTensor) -> LiteRtStatus,
}

impl Side {
    fn inputs(api: &Api) -> Self {
        Self {
            what: "input",
            count: api.LiteRtGetNumSignatureInputs,
            name: api.LiteRtGetSignatureInputName,
            tensor: api.LiteRtGetSignatureInputTensorByIndex,
        }
    }

    fn outputs(api: &Api) -> Self {
        Self {
            what: "output",
            count: api.LiteRtGetNumSignatureOutputs,
            name: api.LiteRtGetSignatureOutputName,
            tensor: api.LiteRtGetSignatureOutputTensorByIndex,
        }
    }
}

/// TensorFlow's type for one of LiteRT's; none for strings, resources and packed types.
fn dtype_of(element_type: c_int) -> Option<DType> {
    Some(match element_type {
        1 => DType::FLOAT,
        2 => DType::INT32,
        3 => DType::UINT8,
        4 => DType::INT64,
        6 => DType::BOOL,
        7 => DType::INT16,
        8 => DType::COMPLEX64,
        9 => DType::INT8,
        10 => DType::HALF,
        11 => DType::DOUBLE,
        12 => DType::COMPLEX128,
        13 => DType::UINT64,
        16 => DType::UINT32,
        17 => DType::UINT16,
        19 => DType::BFLOAT16,
        _ => return None,
    })
}

/// The name of a type that has no TensorFlow type here.
fn name_of(element_type: c_int) -> String {
    match element_type {
        5 => "string".to_owned(),
        14 => "resource".to_owned(),
        15 => "variant".to_owned(),
        18 => "int4".to_owned(),
        other => format!("with LiteRT's number {other}"),
    }
}

fn describe(entries: &BTreeMap<String, Entry>) -> Signatures {
    let infos = |slots: &[Slot]| {
        slots
            .iter()
            .map(|slot| {
                let info = TensorInfo {
                    tensor_name: slot.tensor_name.clone(),
                    dtype: slot.dtype,
                    shape: Some(slot.shape.clone()),
                    optional: false,
                };
                (slot.name.clone(), info)
            })
            .collect()
    };
    entries
        .iter()
        .map(|(name, entry)| {
            let signature = Signature {
                method_name: PREDICT_METHOD.to_owned(),
                inputs: infos(&entry.inputs),
                outputs: infos(&entry.outputs),
            };
            (name.clone(), signature)
        })
        .collect()
}

/// The signature as an exporter of SavedModels would have written it.
fn signature_def(signature: &Signature) -> Bytes {
    let infos = |infos: &BTreeMap<String, TensorInfo>| {
        infos
            .iter()
            .map(|(name, info)| {
                let sizes = info.shape.iter().flatten();
                let dim = sizes.map(|size| proto::tensor_shape_proto::Dim {
                    size: *size,
                    ..proto::tensor_shape_proto::Dim::default()
                });
                let info = proto::TensorInfo {
                    encoding: Some(proto::tensor_info::Encoding::Name(info.tensor_name.clone())),
                    dtype: i32::try_from(info.dtype.number()).unwrap_or(0),
                    tensor_shape: Some(proto::TensorShapeProto {
                        dim: dim.collect(),
                        unknown_rank: false,
                    }),
                };
                (name.clone(), info)
            })
            .collect()
    };
    let def = proto::SignatureDef {
        inputs: infos(&signature.inputs),
        outputs: infos(&signature.outputs),
        method_name: signature.method_name.clone(),
        ..proto::SignatureDef::default()
    };
    def.encode_to_vec().into()
}
