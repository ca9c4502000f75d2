//! From the contract's records to this house's types, and the check of everything that a
//! component hands over. The way back is in `lower`.
//!
//! A component may say anything. Counts and lengths are compared with what is really there before
//! a byte is allocated, and what does not fit is an error value for the component, never a panic
//! of the host. Each byte of a tensor is copied once at most, and counted where it is: out of a
//! component straight to the place that the model gives for it. Parts of a message are shared.

use bytes::Bytes;
use tensorgate_types::processing::{MAX_RANK, check_tensor_count, of_input};
use tensorgate_types::{
    Counter, DType, Error, InputView, ModelSpec, Place, Result, StringData, Tensor, VersionChoice,
    copy, element_count,
};
use wasmtime::component::{WasmList, WasmStr};
use wasmtime::{StoreContext, StoreContextMut};

use crate::contract::transfer::{CallIn, InputDataIn, RangeIn};
use crate::contract::{
    ModelSpecIn, NamedTensorIn, OutcomeIn, StringDataIn, TensorDataIn, VersionChoiceIn,
};
use crate::message::too_much_copied;
use crate::state::{EdgeState, HeldModel};
use crate::stats::Counters;
use crate::{Call, NamedTensors, Outcome, own_places};

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

    /// Copies bytes that need no place.
    fn bytes(&self, list: &WasmList<u8>) -> Bytes {
        let mut bytes = Vec::with_capacity(list.len());
        let list = list.as_le_slice(&self.store);
        copy(list, &mut bytes, &self.counters().bytes_from_guests);
        bytes.into()
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
    pub(crate) fn tensors(
        &self,
        held: &HeldModel,
        signature: &str,
        inputs: &[NamedTensorIn],
    ) -> Told<NamedTensors> {
        if let Err(error) = check_tensor_count("inputs", inputs.len()) {
            return Ok(Err(error));
        }
        let inputs = inputs.iter().map(|NamedTensorIn { name, tensor }| {
            let data = match &tensor.data {
                TensorDataIn::Fixed(data) => Data::Fixed(data),
                TensorDataIn::Strings(strings) => Data::Strings(strings),
            };
            (name, tensor.dtype, &tensor.shape, data)
        });
        self.inputs(held, signature, inputs, &mut Copies::default())
    }

    /// Several calls of one run: checked, then copied or shared.
    pub(crate) fn calls(&self, held: &HeldModel, calls: &[CallIn]) -> Told<Vec<Call>> {
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
            match self.call(held, call, &mut copies)? {
                Ok(call) => checked.push(call),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(checked))
    }

    fn call(&self, held: &HeldModel, call: &CallIn, copies: &mut Copies) -> Told<Call> {
        let counts = check_tensor_count("inputs", call.inputs.len())
            .and_then(|()| check_tensor_count("outputs", call.outputs.len()));
        if let Err(error) = counts {
            return Ok(Err(error));
        }
        let signature = self.string(&call.signature_name)?;
        let inputs = call.inputs.iter().map(|input| {
            let data = match &input.data {
                InputDataIn::Fixed(data) => Data::Fixed(data),
                InputDataIn::Strings(strings) => Data::Strings(strings),
                InputDataIn::InMessage(range) => Data::InMessage(*range),
                InputDataIn::StringsInMessage(ranges) => Data::StringsInMessage(ranges),
            };
            (&input.name, input.dtype, &input.shape, data)
        });
        let inputs = match self.inputs(held, &signature, inputs, copies)? {
            Ok(inputs) => inputs,
            Err(error) => return Ok(Err(error)),
        };
        let outputs = call.outputs.iter().map(|name| self.string(name));
        Ok(Ok(Call {
            signature,
            inputs,
            outputs: outputs.collect::<wasmtime::Result<_>>()?,
        }))
    }

    /// All are looked at before a byte is copied: their places are given together.
    fn inputs<'i>(
        &self,
        held: &HeldModel,
        signature: &str,
        inputs: impl ExactSizeIterator<Item = (&'i WasmStr, u32, &'i WasmList<i64>, Data<'i>)>,
        copies: &mut Copies,
    ) -> Told<NamedTensors> {
        let mut heads = Vec::with_capacity(inputs.len());
        for (name, dtype, shape, data) in inputs {
            let name = self.string(name)?;
            let head = self.head(dtype, shape).and_then(|head| {
                if let Data::Fixed(list) = data {
                    head.check_bytes(list.len())?;
                }
                Ok(head)
            });
            match head {
                Ok(head) => heads.push((name, head, data)),
                Err(error) => return Ok(Err(of_input(&name, &error))),
            }
        }
        let placed = heads.iter().filter(|(.., data)| data.needs_place());
        let placed: Vec<InputView<'_>> = placed.map(|(name, head, _)| head.view(name)).collect();
        let places = if placed.is_empty() {
            Vec::new()
        } else if held.covered(signature).is_some() {
            // They go into the processor, and not into a batch.
            own_places(&placed)
        } else {
            held.model.places(signature, &placed)
        };
        let mut places = places.into_iter();
        let mut tensors = Vec::with_capacity(heads.len());
        for (name, head, data) in heads {
            let tensor = match data {
                Data::Fixed(data) => self.fixed(head, data, places.next()),
                Data::Strings(strings) => self.strings(head, strings),
                Data::InMessage(range) => self.fixed_in_message(head, range, copies),
                Data::StringsInMessage(ranges) => self.strings_in_message(head, ranges, copies),
            };
            match tensor {
                Ok(tensor) => tensors.push((name, tensor)),
                Err(error) => return Ok(Err(of_input(&name, &error))),
            }
        }
        Ok(Ok(tensors))
    }

    /// What a tensor says of itself.
    fn head(&self, dtype: u32, shape: &WasmList<i64>) -> Result<Head> {
        if shape.len() > MAX_RANK {
            return Err(Error::invalid_argument(format!(
                "a tensor has at most {MAX_RANK} dimensions, got {}",
                shape.len()
            )));
        }
        Head::new(dtype, shape.as_le_slice(&self.store).to_vec())
    }

    /// Elements whose number has been checked.
    fn fixed(&self, head: Head, data: &WasmList<u8>, place: Option<Place>) -> Result<Tensor> {
        let bytes = data.as_le_slice(&self.store);
        head.fixed(bytes, place, &self.counters().bytes_from_guests)
    }

    fn strings(&self, head: Head, strings: &StringDataIn) -> Result<Tensor> {
        let offsets = strings.offsets.as_le_slice(&self.store);
        head.check_offsets(offsets.len())?;
        let strings = StringData::new(offsets.to_vec(), self.bytes(&strings.bytes))?;
        Tensor::strings(head.shape, strings)
    }

    /// Elements as they lie in the message, shared with it.
    fn fixed_in_message(&self, head: Head, range: RangeIn, copies: &mut Copies) -> Result<Tensor> {
        let part = self.store.data().outside.part(range)?;
        head.check_bytes(part.len())?;
        // Where it is run, it is copied if it is not aligned, or to lie beside others.
        copies.take(part.len())?;
        self.counters().bytes_shared.add(part.len() as u64);
        Tensor::fixed(head.dtype, head.shape, part)
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
        let copied = &self.counters().bytes_from_messages;
        let (offsets, bytes) = outside.gather(ranges, copies.limit - copies.taken, copied)?;
        copies.take(bytes.len())?;
        Tensor::strings(head.shape, StringData::new(offsets, bytes)?)
    }
}

/// Where the elements of an input are.
#[derive(Clone, Copy)]
enum Data<'i> {
    Fixed(&'i WasmList<u8>),
    Strings(&'i StringDataIn),
    InMessage(RangeIn),
    StringsInMessage(&'i [RangeIn]),
}

impl Data<'_> {
    /// Whether they are copied to a place that the model gives.
    fn needs_place(self) -> bool {
        matches!(self, Data::Fixed(_))
    }
}

/// What a tensor says of itself, so far as that can be right.
pub(crate) struct Head {
    dtype: DType,
    shape: Vec<i64>,
    /// Elements that `shape` asks for.
    count: usize,
}

impl Head {
    /// Of a shape that is known not to be too long.
    pub(crate) fn new(dtype: u32, shape: Vec<i64>) -> Result<Self> {
        let dtype = DType::from_number(dtype);
        if !dtype.is_servable() {
            return Err(Error::invalid_argument(format!(
                "a tensor cannot be of type {dtype}"
            )));
        }
        let count = element_count(&shape)?;
        Ok(Self {
            dtype,
            shape,
            count,
        })
    }

    /// A tensor of elements whose number has been checked.
    pub(crate) fn fixed(
        self,
        bytes: &[u8],
        place: Option<Place>,
        counter: &Counter,
    ) -> Result<Tensor> {
        let mut place = place.unwrap_or_else(|| Place::new(bytes.len()));
        copy(bytes, &mut place, counter);
        Tensor::fixed(self.dtype, self.shape, place.into_elements())
    }

    pub(crate) fn into_shape(self) -> Vec<i64> {
        self.shape
    }

    pub(crate) fn view<'h>(&'h self, name: &'h str) -> InputView<'h> {
        InputView {
            name,
            dtype: self.dtype,
            shape: &self.shape,
        }
    }

    /// Whether the tensor is of a fixed size, and of this one.
    pub(crate) fn check_bytes(&self, len: usize) -> Result<()> {
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
    pub(crate) fn check_strings(&self) -> Result<()> {
        match self.dtype.size() {
            None => Ok(()),
            Some(_) => Err(Error::invalid_argument(format!(
                "{} tensor needs elements of a fixed size, got strings",
                self.dtype
            ))),
        }
    }

    /// Whether the tensor is one of strings, and has as many offsets as that takes.
    pub(crate) fn check_offsets(&self, offsets: usize) -> Result<()> {
        self.check_strings()?;
        if offsets.saturating_sub(1) != self.count {
            return Err(Error::invalid_argument(format!(
                "{} strings need one offset more than that, got {offsets}",
                self.count
            )));
        }
        Ok(())
    }
}

/// What one run takes of its message, which will be copied: parts may overlap, so their sum has a
/// bound.
#[derive(Default)]
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

/// The names of the outputs that are wanted.
pub(crate) fn output_names(
    store: &mut StoreContextMut<'_, EdgeState>,
    outputs: &WasmList<WasmStr>,
) -> Told<Vec<String>> {
    if let Err(error) = check_tensor_count("outputs", outputs.len()) {
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
