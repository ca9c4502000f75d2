//! What a component hands over, read out of its memory and checked.
//!
//! **Invariant:** counts and lengths are compared with what is really there before a byte is
//! copied, and each byte of a tensor is copied once, to the place that the model gives for it.

use bytes::Bytes;
use tensorgate_types::processing::{MAX_RANK, check_tensor_count, of_input};
use tensorgate_types::{
    Error, InputView, ModelSpec, Result, StringData, Tensor, VersionChoice, copy,
};
use wasmtime::StoreContext;
use wasmtime::component::{WasmList, WasmStr};

use super::NativeView;
use crate::contract::{ModelSpecIn, NamedTensorIn, StringDataIn, TensorDataIn, VersionChoiceIn};
use crate::convert::{Head, Told};
use crate::state::HeldModel;
use crate::stats::Counters;
use crate::{NamedTensors, own_places};

/// Reads from a component's memory.
pub(super) struct Reader<'a, T: 'static>(StoreContext<'a, T>);

impl<'a, T: NativeView> Reader<'a, T> {
    pub(super) fn of(store: impl Into<StoreContext<'a, T>>) -> Self {
        Self(store.into())
    }

    fn counters(&self) -> &Counters {
        self.0.data().native().0.counters()
    }

    /// A string. One that is not UTF-8 breaks the rules of the component model: a trap.
    pub(super) fn string(&self, string: &WasmStr) -> wasmtime::Result<String> {
        Ok(string.to_str(&self.0)?.into_owned())
    }

    pub(super) fn bytes(&self, list: &WasmList<u8>) -> Bytes {
        let mut bytes = Vec::with_capacity(list.len());
        let list = list.as_le_slice(&self.0);
        copy(list, &mut bytes, &self.counters().bytes_from_guests);
        bytes.into()
    }

    pub(super) fn model_spec(&self, spec: &ModelSpecIn) -> wasmtime::Result<ModelSpec> {
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

    /// The names of the outputs that are wanted.
    pub(super) fn output_names(&self, outputs: &[WasmStr]) -> Told<Vec<String>> {
        if let Err(error) = check_tensor_count("outputs", outputs.len()) {
            return Ok(Err(error));
        }
        let names = outputs.iter().map(|name| self.string(name));
        Ok(Ok(names.collect::<wasmtime::Result<_>>()?))
    }

    /// The inputs of a call: all are looked at before a byte is copied, since their places are
    /// given together.
    pub(super) fn tensors(
        &self,
        held: &HeldModel,
        signature: &str,
        inputs: &[NamedTensorIn],
    ) -> Told<NamedTensors> {
        if let Err(error) = check_tensor_count("inputs", inputs.len()) {
            return Ok(Err(error));
        }
        let mut heads = Vec::with_capacity(inputs.len());
        for NamedTensorIn { name, tensor } in inputs {
            let name = self.string(name)?;
            let head = self
                .head(tensor.dtype, &tensor.shape)
                .and_then(|head| match &tensor.data {
                    TensorDataIn::Fixed(bytes) => head.check_bytes(bytes.len()).map(|()| head),
                    TensorDataIn::Strings(_) => head.check_strings().map(|()| head),
                });
            match head {
                Ok(head) => heads.push((name, head, &tensor.data)),
                Err(error) => return Ok(Err(of_input(&name, &error))),
            }
        }
        let fixed = heads
            .iter()
            .filter(|(.., data)| matches!(data, TensorDataIn::Fixed(_)));
        let fixed: Vec<InputView<'_>> = fixed.map(|(name, head, _)| head.view(name)).collect();
        let places = if fixed.is_empty() {
            Vec::new()
        } else if held.covered(signature).is_some() {
            // They go into the processor, and not into a batch.
            own_places(&fixed)
        } else {
            held.model.places(signature, &fixed)
        };
        let mut places = places.into_iter();
        let mut tensors = Vec::with_capacity(heads.len());
        for (name, head, data) in heads {
            let tensor = match data {
                TensorDataIn::Fixed(bytes) => {
                    let bytes = bytes.as_le_slice(&self.0);
                    head.fixed(bytes, places.next(), &self.counters().bytes_from_guests)
                }
                TensorDataIn::Strings(strings) => self.strings(head, strings),
            };
            match tensor {
                Ok(tensor) => tensors.push((name, tensor)),
                Err(error) => return Ok(Err(of_input(&name, &error))),
            }
        }
        Ok(Ok(tensors))
    }

    fn head(&self, dtype: u32, shape: &WasmList<i64>) -> Result<Head> {
        if shape.len() > MAX_RANK {
            return Err(Error::invalid_argument(format!(
                "a tensor has at most {MAX_RANK} dimensions, got {}",
                shape.len()
            )));
        }
        Head::new(dtype, shape.as_le_slice(&self.0).to_vec())
    }

    fn strings(&self, head: Head, strings: &StringDataIn) -> Result<Tensor> {
        let offsets = strings.offsets.as_le_slice(&self.0);
        head.check_offsets(offsets.len())?;
        let strings = StringData::new(offsets.to_vec(), self.bytes(&strings.bytes))?;
        Tensor::strings(head.into_shape(), strings)
    }
}
