//! One interpreter: a model prepared to be computed, one request at a time.
//!
//! Inputs are copied into LiteRT's own buffers and outputs out of them: its kernels read a little
//! beyond the end of what they are given, so they cannot be lent a tensor's memory.

#![expect(unsafe_code, reason = "runs a model and fills and reads its buffers")]

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::path::Path;

use tensorgate_types::{AlignedBuffer, Error, Result, Tensor, TensorData};

use super::ffi::{
    Api, CPU, HOST_MEMORY, LiteRtCompiledModel, LiteRtLayout, LiteRtModel, LiteRtRankedTensorType,
    LiteRtTensorBuffer, MAX_RANK, READ, WRITE,
};
use super::library::LiteLibrary;
use super::model::Slot;
use super::status::check;

/// Layouts beyond those that are asked for. LiteRT writes every dimension of an output, also where
/// there are more than a layout has room for: that is refused afterwards, and must do no harm.
const SPARE_LAYOUTS: usize = 4;

pub(crate) struct Interpreter {
    library: LiteLibrary,
    raw: *mut LiteRtCompiledModel,
    /// The shapes that each signature's inputs were last given. Preparing a model for others
    /// costs more than many a run.
    shapes: BTreeMap<usize, Vec<Vec<c_int>>>,
}

// SAFETY: an interpreter is moved to whoever uses it and is used by one thread at a time; LiteRT
// binds it to no thread.
unsafe impl Send for Interpreter {}

impl Drop for Interpreter {
    fn drop(&mut self) {
        // SAFETY: from `LiteRtCreateCompiledModel`, destroyed once, and before its model.
        unsafe { (self.library.api().LiteRtDestroyCompiledModel)(self.raw) }
    }
}

impl Interpreter {
    /// Prepares a model, which must outlive the interpreter. `file` is for the error.
    pub(crate) fn new(library: LiteLibrary, model: *mut LiteRtModel, file: &Path) -> Result<Self> {
        let api = library.api();
        let mut options = std::ptr::null_mut();
        // SAFETY: a place for the options, destroyed below.
        let status = unsafe { (api.LiteRtCreateOptions)(&raw mut options) };
        check(status, || "making options".to_owned())?;
        // SAFETY: the options were made above.
        let status = unsafe { (api.LiteRtSetOptionsHardwareAccelerators)(options, CPU) };
        let mut raw = std::ptr::null_mut();
        let made = check(status, || "asking for the CPU".to_owned()).and_then(|()| {
            // SAFETY: environment, model and options are valid; `raw` takes the interpreter.
            let status = unsafe {
                (api.LiteRtCreateCompiledModel)(library.environment(), model, options, &raw mut raw)
            };
            check(status, || format!("preparing {}", file.display()))
        });
        // SAFETY: made above, destroyed once; the interpreter keeps nothing of them.
        unsafe { (api.LiteRtDestroyOptions)(options) };
        made?;
        if raw.is_null() {
            return Err(Error::internal("LiteRT gave no interpreter"));
        }
        Ok(Self {
            library,
            raw,
            shapes: BTreeMap::new(),
        })
    }

    /// Computes a signature: inputs and outputs in the model's order.
    pub(crate) fn run(
        &mut self,
        signature: usize,
        inputs: &[(&Slot, &Tensor)],
        outputs: &[Slot],
    ) -> Result<Vec<Tensor>> {
        self.resize(signature, inputs)?;
        let given = inputs
            .iter()
            .map(|(slot, tensor)| self.fill(slot, tensor))
            .collect::<Result<Vec<_>>>()?;
        let wanted = self.make_outputs(signature, outputs)?;
        self.invoke(signature, &given, &wanted)
            .map_err(|error| explain(&error, outputs))?;
        outputs
            .iter()
            .zip(wanted)
            .map(|(slot, buffer)| buffer.read(slot))
            .collect()
    }

    fn invoke(&mut self, signature: usize, given: &[Buffer], wanted: &[Buffer]) -> Result<()> {
        let raw = |buffers: &[Buffer]| buffers.iter().map(|buffer| buffer.raw).collect::<Vec<_>>();
        let (given, wanted) = (raw(given), raw(wanted));
        // SAFETY: the interpreter is ours alone (`&mut`); the buffers live for the call and have
        // the sizes that the model asks for, one for each input and output.
        let status = unsafe {
            (self.library.api().LiteRtRunCompiledModel)(
                self.raw,
                signature,
                given.len(),
                given.as_ptr(),
                wanted.len(),
                wanted.as_ptr(),
            )
        };
        check(status, || "running the model".to_owned())
    }

    /// Tells the model the shapes of its inputs, where they are not those of the last time.
    fn resize(&mut self, signature: usize, inputs: &[(&Slot, &Tensor)]) -> Result<()> {
        let shapes = inputs
            .iter()
            .map(|(slot, tensor)| dimensions(&slot.name, tensor.shape()))
            .collect::<Result<Vec<_>>>()?;
        if self.shapes.get(&signature) == Some(&shapes) {
            return Ok(());
        }
        // Half done, it is nobody's.
        self.shapes.remove(&signature);
        for (index, (shape, (slot, _))) in shapes.iter().zip(inputs).enumerate() {
            // A scalar has no other shape, and LiteRT does not take this one.
            if shape.is_empty() && slot.is_scalar() {
                continue;
            }
            // SAFETY: as many sizes as are said, valid for the call.
            let status = unsafe {
                (self
                    .library
                    .api()
                    .LiteRtCompiledModelResizeInputTensorNonStrict)(
                    self.raw,
                    signature,
                    index,
                    shape.as_ptr(),
                    shape.len(),
                )
            };
            check(status, || {
                format!("giving input {} the shape {shape:?}", slot.name)
            })?;
        }
        self.shapes.insert(signature, shapes);
        Ok(())
    }

    fn fill(&self, slot: &Slot, tensor: &Tensor) -> Result<Buffer> {
        let TensorData::Fixed(bytes) = tensor.data() else {
            return Err(Error::invalid_argument(format!(
                "input {} is of strings, which the model does not take",
                slot.name
            )));
        };
        let layout = layout(&dimensions(&slot.name, tensor.shape())?);
        let buffer = self.buffer(slot, layout, bytes.len())?;
        buffer.lock(WRITE, &slot.name, |memory| {
            // SAFETY: the buffer was made for as many bytes (`buffer` has looked), is locked for
            // writing, and is no part of the tensor.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), memory, bytes.len()) };
        })?;
        Ok(buffer)
    }

    /// Buffers for the outputs, of the shapes that follow from those of the inputs.
    fn make_outputs(&self, signature: usize, outputs: &[Slot]) -> Result<Vec<Buffer>> {
        let mut layouts = vec![LiteRtLayout::default(); outputs.len() + SPARE_LAYOUTS];
        // SAFETY: a layout for each output of the signature, and room behind the last. `true` lets
        // LiteRT work out what the new shapes of the inputs mean.
        let status = unsafe {
            (self.library.api().LiteRtGetCompiledModelOutputTensorLayouts)(
                self.raw,
                signature,
                outputs.len(),
                layouts.as_mut_ptr(),
                true,
            )
        };
        check(status, || {
            "working out the shapes of the outputs from those of the inputs".to_owned()
        })?;
        outputs
            .iter()
            .zip(layouts)
            .map(|(slot, layout)| {
                let len = byte_len(slot, &shape(slot, &layout)?)?;
                self.buffer(slot, layout, len)
            })
            .collect()
    }

    fn buffer(&self, slot: &Slot, layout: LiteRtLayout, len: usize) -> Result<Buffer> {
        let api = self.library.api();
        let kind = LiteRtRankedTensorType {
            element_type: slot.element_type,
            layout,
        };
        let mut raw = std::ptr::null_mut();
        // SAFETY: environment and type are valid for the call; `raw` takes the buffer.
        let status = unsafe {
            (api.LiteRtCreateManagedTensorBuffer)(
                self.library.environment(),
                HOST_MEMORY,
                &raw const kind,
                len,
                &raw mut raw,
            )
        };
        check(status, || format!("making {len} bytes for {}", slot.name))?;
        let buffer = Buffer {
            api,
            raw,
            layout,
            len,
        };
        let mut size = 0;
        // SAFETY: the buffer was made above.
        let status = unsafe { (api.LiteRtGetTensorBufferSize)(raw, &raw mut size) };
        check(status, || format!("measuring the buffer of {}", slot.name))?;
        if size < len {
            return Err(Error::internal(format!(
                "LiteRT gave {} a buffer of {size} bytes, {len} are needed",
                slot.name
            )));
        }
        Ok(buffer)
    }
}

/// A tensor in LiteRT's memory.
struct Buffer {
    api: &'static Api,
    raw: *mut LiteRtTensorBuffer,
    layout: LiteRtLayout,
    len: usize,
}

impl Buffer {
    /// Lends the memory to `f`, which must not touch more than `len` bytes of it.
    fn lock<T>(&self, mode: c_int, name: &str, f: impl FnOnce(*mut u8) -> T) -> Result<T> {
        let mut memory = std::ptr::null_mut();
        // SAFETY: the buffer lives until `drop`; `memory` takes its address.
        let status = unsafe { (self.api.LiteRtLockTensorBuffer)(self.raw, &raw mut memory, mode) };
        check(status, || format!("reaching the memory of {name}"))?;
        if memory.is_null() && self.len > 0 {
            return Err(Error::internal(format!("LiteRT gave {name} no memory")));
        }
        let value = f(memory.cast());
        // SAFETY: locked above.
        let status = unsafe { (self.api.LiteRtUnlockTensorBuffer)(self.raw) };
        check(status, || format!("leaving the memory of {name}"))?;
        Ok(value)
    }

    fn read(self, slot: &Slot) -> Result<Tensor> {
        let bytes = self.lock(READ, &slot.name, |memory| {
            if self.len == 0 {
                return AlignedBuffer::zeroed(0);
            }
            // SAFETY: locked for reading, and not null: `len` bytes that the run has written.
            AlignedBuffer::copy_of(unsafe { std::slice::from_raw_parts(memory, self.len) })
        })?;
        Tensor::fixed(slot.dtype, shape(slot, &self.layout)?, bytes.into_bytes())
            // LiteRT's own output: a mismatch is not the caller's mistake.
            .map_err(|error| Error::internal(format!("output {}: {}", slot.name, error.message())))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: from `LiteRtCreateManagedTensorBuffer`, destroyed once.
        unsafe { (self.api.LiteRtDestroyTensorBuffer)(self.raw) }
    }
}

/// A shape in LiteRT's numbers.
fn dimensions(name: &str, shape: &[i64]) -> Result<Vec<c_int>> {
    if shape.len() > MAX_RANK {
        return Err(Error::invalid_argument(format!(
            "input {name} has {} dimensions, a TensorFlow Lite model takes at most {MAX_RANK}",
            shape.len()
        )));
    }
    shape
        .iter()
        .map(|size| match c_int::try_from(*size) {
            // An interpreter that was given an empty tensor computes nothing, and says nothing.
            Ok(0) => Err(Error::invalid_argument(format!(
                "input {name} has the shape {shape:?}: a TensorFlow Lite model takes no empty \
                 tensors"
            ))),
            Ok(size) => Ok(size),
            Err(_) => Err(Error::invalid_argument(format!(
                "input {name} has the shape {shape:?}, which is too large for a TensorFlow Lite \
                 model"
            ))),
        })
        .collect()
}

/// A layout without strides. The dimensions are at most `MAX_RANK`.
fn layout(dimensions: &[c_int]) -> LiteRtLayout {
    let mut layout = LiteRtLayout::default();
    for (to, from) in layout.dimensions.iter_mut().zip(dimensions) {
        *to = *from;
        layout.bits += 1;
    }
    layout
}

fn shape(slot: &Slot, layout: &LiteRtLayout) -> Result<Vec<i64>> {
    let rank = (layout.bits & 0x7f) as usize;
    let sizes = layout.dimensions.get(..rank).unwrap_or_default();
    if sizes.len() < rank || sizes.iter().any(|size| *size < 0) {
        return Err(Error::unimplemented(format!(
            "the shape of output {} is known only after the run, which LiteRT does not give",
            slot.name
        )));
    }
    Ok(sizes.iter().map(|size| i64::from(*size)).collect())
}

/// A failed run, with what may be behind it: LiteRT computes no output whose shape depends on the
/// values of inputs, and says in its log alone which one it was.
fn explain(error: &Error, outputs: &[Slot]) -> Error {
    let open: Vec<&str> = outputs
        .iter()
        .filter(|slot| slot.is_open())
        .map(|slot| slot.name.as_str())
        .collect();
    let mut message = error.message().to_owned();
    if !open.is_empty() {
        message += ". LiteRT gives no output whose shape depends on the values of inputs: if that \
                    is one of ";
        message += &open.join(", ");
        message += ", serve the SavedModel in the place of model.tflite";
    }
    Error::new(error.code(), message)
}

fn byte_len(slot: &Slot, shape: &[i64]) -> Result<usize> {
    let elements = tensorgate_types::element_count(shape)?;
    slot.dtype
        .size()
        .and_then(|size| size.checked_mul(elements))
        .ok_or_else(|| Error::internal(format!("output {} is too large", slot.name)))
}
