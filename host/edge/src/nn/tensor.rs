//! The interface `tensor`: elements that the host holds for a component.
//!
//! A component's bytes are copied once, when a tensor is made; from there they go into a run
//! shared, and what a run gives is shared until the component asks for its data. So a tensor that
//! goes from one model to the next is never copied.
//!
//! **Invariant:** whether data fits the shape is for `compute` to say: a constructor cannot. What
//! is held is bounded together with the component's linear memory.

use bytes::Bytes;
use tensorgate_types::processing::MAX_RANK;
use tensorgate_types::{Error, Place, Result, Tensor, TensorData, TensorInfo, copy};
use wasmtime::component::{Linker, Resource, ResourceType, WasmList};

use super::contract::{NnErrorCode, TensorType};
use super::errors::{Fallible, NnError};
use crate::inference::Store;
use crate::state::EdgeState;

const INTERFACE: &str = "wasi:nn/tensor@0.2.0-rc-2024-10-28";

/// What a handle of the resource `tensor` stands for.
pub(super) struct HeldTensor {
    dimensions: Vec<u32>,
    ty: TensorType,
    data: Bytes,
}

impl HeldTensor {
    /// What it counts for.
    pub(super) fn size(&self) -> usize {
        bytes_of(self.dimensions.len(), self.data.len())
    }

    /// As an input, which the signature describes so. The standard has no scalars: one value is
    /// of the shape `[1]`.
    pub(super) fn input(self, info: Option<&TensorInfo>) -> Result<Tensor> {
        if self.dimensions.len() > MAX_RANK {
            return Err(Error::invalid_argument(format!(
                "a tensor has at most {MAX_RANK} dimensions, got {}",
                self.dimensions.len()
            )));
        }
        if let Some(info) = info
            && info.dtype != self.ty.dtype()
        {
            return Err(Error::invalid_argument(format!(
                "the model takes {}, got {} ({})",
                type_name(info.dtype),
                self.ty.name(),
                self.ty.dtype()
            )));
        }
        let scalar = info.is_some_and(|info| info.shape.as_ref().is_some_and(Vec::is_empty));
        let shape = match &self.dimensions[..] {
            [1] if scalar => Vec::new(),
            dimensions => dimensions.iter().copied().map(i64::from).collect(),
        };
        Tensor::fixed(self.ty.dtype(), shape, self.data)
    }

    /// Of an output.
    pub(super) fn output(name: &str, tensor: Tensor) -> Fallible<Self> {
        let (dtype, shape, data) = tensor.into_parts();
        let (Some(ty), TensorData::Fixed(data)) = (TensorType::of(dtype), data) else {
            return Err(not_carried(name, dtype));
        };
        let dimensions = match &shape[..] {
            [] => Ok(vec![1]),
            shape => shape.iter().copied().map(u32::try_from).collect(),
        };
        let dimensions = dimensions.map_err(|_| {
            NnError::new(
                NnErrorCode::TooLarge,
                format!("output {name} has the shape {shape:?}, and dimensions of wasi:nn are u32"),
            )
        })?;
        Ok(Self {
            dimensions,
            ty,
            data: data.to_bytes(),
        })
    }
}

fn bytes_of(dimensions: usize, data: usize) -> usize {
    data.saturating_add(dimensions.saturating_mul(size_of::<u32>()))
}

/// The error for an output that the standard has no type for.
pub(super) fn not_carried(name: &str, dtype: tensorgate_types::DType) -> NnError {
    NnError::new(
        NnErrorCode::UnsupportedOperation,
        format!(
            "output {name} is of type {dtype}, and wasi:nn has {}: name a signature without it",
            TensorType::NAMES.join(", ")
        ),
    )
}

/// TensorFlow's name of a type, and the standard's where it has one.
fn type_name(dtype: tensorgate_types::DType) -> String {
    match TensorType::of(dtype) {
        Some(ty) => format!("{} ({dtype})", ty.name()),
        None => format!("{dtype}, which wasi:nn has not"),
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    let kind = ResourceType::host::<HeldTensor>();
    interface.resource("tensor", kind, |mut store, rep| {
        let state = store.data_mut();
        let tensor = state.table.delete(Resource::<HeldTensor>::new_own(rep))?;
        state.memory.release(tensor.size());
        Ok(())
    })?;
    interface.func_wrap("[constructor]tensor", construct)?;
    interface.func_wrap("[method]tensor.dimensions", |store, call| {
        dimensions(&store, call)
    })?;
    interface.func_wrap("[method]tensor.ty", |store, call| ty(&store, call))?;
    interface.func_wrap("[method]tensor.data", |store, call| data(&store, call))
}

type Construct = (WasmList<u32>, TensorType, WasmList<u8>);

fn construct(
    mut store: Store<'_>,
    (dimensions, ty, data): Construct,
) -> wasmtime::Result<(Resource<HeldTensor>,)> {
    let memory = &mut store.data_mut().memory;
    let size = bytes_of(dimensions.len(), data.len());
    if !memory.hold(size) {
        // It is told of in the words for too much memory, which names the limit.
        memory.refused = true;
        return Err(wasmtime::Error::msg(format!(
            "a tensor of {size} bytes is more than the memory that is left"
        )));
    }
    let mut place = Place::new(data.len());
    let copied = &store.data().shared.counters.bytes_from_guests;
    copy(data.as_le_slice(&store), &mut place, copied);
    let tensor = HeldTensor {
        dimensions: dimensions.as_le_slice(&store).to_vec(),
        ty,
        data: place.into_elements().to_bytes(),
    };
    Ok((store.data_mut().table.push(tensor)?,))
}

fn dimensions(
    store: &Store<'_>,
    (tensor,): (Resource<HeldTensor>,),
) -> wasmtime::Result<(Vec<u32>,)> {
    Ok((store.data().table.get(&tensor)?.dimensions.clone(),))
}

fn ty(store: &Store<'_>, (tensor,): (Resource<HeldTensor>,)) -> wasmtime::Result<(TensorType,)> {
    Ok((store.data().table.get(&tensor)?.ty,))
}

fn data(store: &Store<'_>, (tensor,): (Resource<HeldTensor>,)) -> wasmtime::Result<(Bytes,)> {
    let state = store.data();
    let data = state.table.get(&tensor)?.data.clone();
    let counters = &state.shared.counters;
    counters.bytes_to_guests.add(data.len() as u64);
    Ok((data,))
}

#[cfg(test)]
mod tests {
    use tensorgate_types::DType;

    use super::*;

    fn held(dimensions: &[u32], data: &'static [u8]) -> HeldTensor {
        HeldTensor {
            dimensions: dimensions.to_vec(),
            ty: TensorType::U8,
            data: Bytes::from_static(data),
        }
    }

    fn info(dtype: DType, shape: Option<Vec<i64>>) -> TensorInfo {
        TensorInfo {
            tensor_name: String::new(),
            dtype,
            shape,
            optional: false,
        }
    }

    #[test]
    fn one_value_stands_for_a_scalar_both_ways() {
        let scalar = info(DType::UINT8, Some(vec![]));
        for dimensions in [&[1][..], &[]] {
            let input = held(dimensions, &[7]).input(Some(&scalar));
            assert_eq!(input.expect("a scalar").shape(), [0; 0]);
        }
        for shape in [None, Some(vec![-1])] {
            let vector = info(DType::UINT8, shape);
            let input = held(&[1], &[7]).input(Some(&vector));
            assert_eq!(input.expect("a vector").shape(), [1]);
        }
        let scalar = Tensor::fixed(DType::UINT8, vec![], Bytes::from_static(&[7]));
        let output = HeldTensor::output("y", scalar.expect("a scalar")).ok();
        assert_eq!(output.expect("an output").dimensions, [1]);
    }

    #[test]
    fn says_what_does_not_fit() {
        let error = |tensor: HeldTensor, info| tensor.input(info).expect_err("it does not");
        let strings = info(DType::STRING, None);
        let told = error(held(&[1], &[7]), Some(&strings));
        assert_eq!(
            told.message(),
            "the model takes string, which wasi:nn has not, got U8 (uint8)"
        );
        let told = error(held(&[2], &[7]), None);
        assert!(told.message().contains("needs 2 bytes, got 1"), "{told}");
        let wide = Tensor::fixed(DType::UINT8, vec![1 << 32, 0], Bytes::new());
        let told = HeldTensor::output("y", wide.expect("an empty tensor")).err();
        let told = told.expect("it is too wide");
        assert_eq!(told.code, NnErrorCode::TooLarge);
    }
}
