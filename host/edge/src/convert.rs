//! From the contract's records to this house's types, and the check of everything that a
//! component hands over. The way back is in `lower`.
//!
//! A component may say anything. Counts and lengths are compared with what is really there before
//! a byte is allocated, and what does not fit is an error value for the component, never a panic
//! of the host. Each byte of a tensor is copied once at most, and counted where it is.

use bytes::Bytes;
use tensorgate_types::{
    ALIGNMENT, AlignedBuffer, DType, Error, ModelSpec, Result, StringData, Tensor, VersionChoice,
    element_count,
};
use wasmtime::component::{WasmList, WasmStr};
use wasmtime::{StoreContext, StoreContextMut};

use crate::contract::transfer::{CallIn, InputDataIn, InputIn, RangeIn};
use crate::contract::{
    ModelSpecIn, NamedTensorIn, OutcomeIn, StringDataIn, TensorDataIn, TensorIn, VersionChoiceIn,
};
use crate::message::too_much_copied;
use crate::state::EdgeState;
use crate::stats::Counters;
use crate::{Call, NamedTensors, Outcome};

/// The most dimensions of a tensor: TensorFlow's own limit.
const MAX_RANK: usize = 254;

/// The most inputs or outputs in one call. Models with hundreds exist; with thousands, they do not.
const MAX_TENSORS: usize = 4096;

/// The most calls in one run. A signature is called once, and models have some tens of them.
const MAX_CALLS: usize = 256;

/// Bytes of a name in a report. Clients choose names, and labels of metrics must stay short.
const MAX_REPORTED_NAME: usize = 256;

/// A trap, or an error that the component is told of.
pub(crate) type Told<T> = wasmtime::Result<Result<T>>;

/// Reads from a component's memory.
pub(crate) struct Guest<'a> {
    store: StoreContext<'a, EdgeState>,
}

impl<'a> Guest<'a> {
    pub(crate) fn of(store: &'a StoreContextMut<'_, EdgeState>) -> Self {
        Self {
            store: store.into(),
        }
    }

    fn counters(&self) -> &Counters {
        &self.store.data().shared.counters
    }

    /// Copies bytes to where TensorFlow can read them as they are.
    fn aligned(&self, list: &WasmList<u8>) -> Bytes {
        let bytes = list.as_le_slice(&self.store);
        self.counters().bytes_from_guests.add(bytes.len() as u64);
        AlignedBuffer::copy_of(bytes).into_bytes()
    }

    /// Copies bytes that need no alignment.
    fn bytes(&self, list: &WasmList<u8>) -> Bytes {
        let bytes = list.as_le_slice(&self.store);
        self.counters().bytes_from_guests.add(bytes.len() as u64);
        Bytes::copy_from_slice(bytes)
    }

    /// A string. One that is not UTF-8 breaks the rules of the component model: a trap.
    pub(crate) fn string(&self, string: &WasmStr) -> wasmtime::Result<String> {
        Ok(string.to_str(&self.store)?.into_owned())
    }

    pub(crate) fn model_spec(&self, spec: &ModelSpecIn) -> wasmtime::Result<ModelSpec> {
        let version = match &spec.version {
            VersionChoiceIn::Latest => VersionChoice::Latest,
            VersionChoiceIn::Specific(version) => VersionChoice::Specific(*version),
            VersionChoiceIn::Label(label) => VersionChoice::Label(self.string(label)?),
        };
        Ok(ModelSpec {
            name: self.string(&spec.name)?,
            version,
        })
    }

    pub(crate) fn outcome(&self, outcome: &OutcomeIn) -> wasmtime::Result<Outcome> {
        let short = |name: &WasmStr| -> wasmtime::Result<String> {
            let name = name.to_str(&self.store)?;
            Ok(name[..name.floor_char_boundary(MAX_REPORTED_NAME)].to_owned())
        };
        Ok(Outcome {
            model: short(&outcome.model)?,
            version: outcome.version,
            api: short(&outcome.api)?,
            signature: short(&outcome.signature)?,
            rows: outcome.rows,
            code: outcome.code,
        })
    }

    /// The inputs of a call: checked, then copied.
    pub(crate) fn tensors(&self, inputs: &[NamedTensorIn]) -> Told<NamedTensors> {
        if let Err(error) = check_count("inputs", inputs.len()) {
            return Ok(Err(error));
        }
        let mut tensors = Vec::with_capacity(inputs.len());
        for input in inputs {
            let name = self.string(&input.name)?;
            match self.tensor(&input.tensor) {
                Ok(tensor) => tensors.push((name, tensor)),
                Err(error) => return Ok(Err(of_input(&name, &error))),
            }
        }
        Ok(Ok(tensors))
    }

    fn tensor(&self, tensor: &TensorIn) -> Result<Tensor> {
        let head = self.head(tensor.dtype, &tensor.shape)?;
        match &tensor.data {
            TensorDataIn::Fixed(data) => self.fixed(head, data),
            TensorDataIn::Strings(strings) => self.strings(head, strings),
        }
    }

    /// Several calls of one run: checked, then copied or shared.
    pub(crate) fn calls(&self, calls: &[CallIn]) -> Told<Vec<Call>> {
        if calls.is_empty() || calls.len() > MAX_CALLS {
            return Ok(Err(Error::invalid_argument(format!(
                "one run takes 1 to {MAX_CALLS} calls, got {}",
                calls.len()
            ))));
        }
        let state = self.store.data();
        // What a run may copy is what the component could have handed over itself, and the
        // message once more.
        let mut copies = Copies {
            limit: state.outside.message_len() + state.shared.limits.memory,
            taken: 0,
        };
        let mut checked = Vec::with_capacity(calls.len());
        for call in calls {
            match self.call(call, &mut copies)? {
                Ok(call) => checked.push(call),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(checked))
    }

    fn call(&self, call: &CallIn, copies: &mut Copies) -> Told<Call> {
        let counts = check_count("inputs", call.inputs.len())
            .and_then(|()| check_count("outputs", call.outputs.len()));
        if let Err(error) = counts {
            return Ok(Err(error));
        }
        let mut inputs = Vec::with_capacity(call.inputs.len());
        for input in &call.inputs {
            let name = self.string(&input.name)?;
            match self.input(input, copies) {
                Ok(tensor) => inputs.push((name, tensor)),
                Err(error) => return Ok(Err(of_input(&name, &error))),
            }
        }
        let outputs = call.outputs.iter().map(|name| self.string(name));
        Ok(Ok(Call {
            signature: self.string(&call.signature_name)?,
            inputs,
            outputs: outputs.collect::<wasmtime::Result<_>>()?,
        }))
    }

    fn input(&self, input: &InputIn, copies: &mut Copies) -> Result<Tensor> {
        let head = self.head(input.dtype, &input.shape)?;
        match &input.data {
            InputDataIn::Fixed(data) => self.fixed(head, data),
            InputDataIn::Strings(strings) => self.strings(head, strings),
            InputDataIn::InMessage(range) => self.fixed_in_message(head, *range, copies),
            InputDataIn::StringsInMessage(ranges) => self.strings_in_message(head, ranges, copies),
        }
    }

    /// What a tensor says of itself.
    fn head(&self, dtype: u32, shape: &WasmList<i64>) -> Result<Head> {
        let dtype = DType::from_number(dtype);
        if !dtype.is_servable() {
            return Err(Error::invalid_argument(format!(
                "a tensor cannot be of type {dtype}"
            )));
        }
        if shape.len() > MAX_RANK {
            return Err(Error::invalid_argument(format!(
                "a tensor has at most {MAX_RANK} dimensions, got {}",
                shape.len()
            )));
        }
        let shape = shape.as_le_slice(&self.store).to_vec();
        let count = element_count(&shape)?;
        Ok(Head {
            dtype,
            shape,
            count,
        })
    }

    fn fixed(&self, head: Head, data: &WasmList<u8>) -> Result<Tensor> {
        head.check_bytes(data.len())?;
        Tensor::fixed(head.dtype, head.shape, self.aligned(data))
    }

    fn strings(&self, head: Head, strings: &StringDataIn) -> Result<Tensor> {
        let offsets = strings.offsets.as_le_slice(&self.store);
        head.check_strings()?;
        if offsets.len().saturating_sub(1) != head.count {
            return Err(Error::invalid_argument(format!(
                "{} strings need one offset more than that, got {}",
                head.count,
                offsets.len()
            )));
        }
        let strings = StringData::new(offsets.to_vec(), self.bytes(&strings.bytes))?;
        Tensor::strings(head.shape, strings)
    }

    /// Elements as they lie in the message: shared with it where TensorFlow can read them there.
    fn fixed_in_message(&self, head: Head, range: RangeIn, copies: &mut Copies) -> Result<Tensor> {
        let part = self.store.data().outside.part(range)?;
        head.check_bytes(part.len())?;
        let address = part.as_ptr() as usize;
        let bytes = if part.is_empty() || address.is_multiple_of(ALIGNMENT) {
            self.counters().bytes_shared.add(part.len() as u64);
            part
        } else {
            copies.take(part.len())?;
            self.counters().bytes_from_messages.add(part.len() as u64);
            AlignedBuffer::copy_of(&part).into_bytes()
        };
        Tensor::fixed(head.dtype, head.shape, bytes)
    }

    fn strings_in_message(
        &self,
        head: Head,
        ranges: &[RangeIn],
        copies: &mut Copies,
    ) -> Result<Tensor> {
        head.check_strings()?;
        if ranges.len() != head.count {
            return Err(Error::invalid_argument(format!(
                "{} strings need as many parts of the message, got {}",
                head.count,
                ranges.len()
            )));
        }
        let outside = &self.store.data().outside;
        let (offsets, bytes) = outside.gather(ranges, copies.limit - copies.taken)?;
        copies.take(bytes.len())?;
        self.counters().bytes_from_messages.add(bytes.len() as u64);
        Tensor::strings(head.shape, StringData::new(offsets, bytes)?)
    }
}

/// What a tensor says of itself, so far as that can be right.
struct Head {
    dtype: DType,
    shape: Vec<i64>,
    /// Elements that `shape` asks for.
    count: usize,
}

impl Head {
    /// Whether the tensor is of a fixed size, and of this one.
    fn check_bytes(&self, len: usize) -> Result<()> {
        let Self {
            dtype,
            shape,
            count,
        } = self;
        let size = dtype.size().ok_or_else(|| {
            Error::invalid_argument("a string tensor needs strings, got elements of a fixed size")
        })?;
        if count.checked_mul(size) != Some(len) {
            return Err(Error::invalid_argument(format!(
                "{dtype} tensor of shape {shape:?} needs {count} times {size} bytes, got {len}"
            )));
        }
        Ok(())
    }

    /// Whether the tensor is one of strings.
    fn check_strings(&self) -> Result<()> {
        match self.dtype.size() {
            None => Ok(()),
            Some(_) => Err(Error::invalid_argument(format!(
                "{} tensor needs elements of a fixed size, got strings",
                self.dtype
            ))),
        }
    }
}

/// What one run has copied out of its message: parts may overlap, so their sum has a bound.
struct Copies {
    limit: usize,
    taken: usize,
}

impl Copies {
    fn take(&mut self, bytes: usize) -> Result<()> {
        self.taken = self
            .taken
            .checked_add(bytes)
            .filter(|taken| *taken <= self.limit)
            .ok_or_else(|| too_much_copied(self.limit))?;
        Ok(())
    }
}

/// An error with the name of the input that it is about.
fn of_input(name: &str, error: &Error) -> Error {
    Error::new(error.code(), format!("input {name}: {}", error.message()))
}

/// The names of the outputs that are wanted.
pub(crate) fn output_names(
    store: &mut StoreContextMut<'_, EdgeState>,
    outputs: &WasmList<WasmStr>,
) -> Told<Vec<String>> {
    if let Err(error) = check_count("outputs", outputs.len()) {
        return Ok(Err(error));
    }
    let names: Vec<WasmStr> = outputs
        .iter(&mut *store)?
        .collect::<wasmtime::Result<_>>()?;
    let guest = Guest::of(store);
    let names = names
        .iter()
        .map(|name| guest.string(name))
        .collect::<wasmtime::Result<_>>()?;
    Ok(Ok(names))
}

fn check_count(what: &str, count: usize) -> Result<()> {
    if count > MAX_TENSORS {
        return Err(Error::invalid_argument(format!(
            "one call takes at most {MAX_TENSORS} {what}, got {count}"
        )));
    }
    Ok(())
}
