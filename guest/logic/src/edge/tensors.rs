//! From one form of tensors to another. Elements are lent or handed on, not copied, except for
//! strings that lie in parts of a message.

use tensorgate_types::{Error, InputView, NamedTensors, Result, StringData, TensorData};

use super::{ElementsView, Outputs, TensorView, Whole};
use crate::inference::{Input, InputData, Output, OutputData};

/// Inputs whose elements are all here.
pub(super) struct Gathered<'a> {
    inputs: &'a [Input<'a>],
    /// For inputs in the message: their elements, or where strings begin and end, and all of them.
    parts: Vec<Part<'a>>,
}

enum Part<'a> {
    AsItIs,
    Fixed(&'a [u8]),
    Strings(StringData),
}

impl<'a> Gathered<'a> {
    /// # Errors
    /// `OUT_OF_RANGE` for a part that is not in the message.
    pub(super) fn new(inputs: &'a [Input<'a>], message: Whole<'a>) -> Result<Self> {
        let parts = inputs.iter().map(|input| {
            Ok(match input.data {
                InputData::Fixed(_) | InputData::Strings { .. } => Part::AsItIs,
                InputData::InMessage(part) => Part::Fixed(message.part(part)?),
                InputData::StringsInMessage(parts) => {
                    let strings = parts.iter().map(|part| message.part(*part));
                    Part::Strings(strings.collect::<Result<Vec<_>>>()?.into_iter().collect())
                }
            })
        });
        Ok(Self {
            inputs,
            parts: parts.collect::<Result<_>>()?,
        })
    }

    pub(super) fn views(&self) -> Vec<TensorView<'_>> {
        let inputs = self.inputs.iter().zip(&self.parts);
        inputs
            .map(|(input, part)| TensorView {
                name: input.name,
                dtype: input.dtype,
                shape: input.shape,
                data: match (part, input.data) {
                    (Part::Fixed(bytes), _) => ElementsView::Fixed(bytes),
                    (Part::Strings(strings), _) => strings_view(strings),
                    (Part::AsItIs, InputData::Strings { offsets, bytes }) => {
                        ElementsView::Strings { offsets, bytes }
                    }
                    (Part::AsItIs, InputData::Fixed(bytes)) => ElementsView::Fixed(bytes),
                    // `new` has found a part for each of them.
                    (Part::AsItIs, InputData::InMessage(_) | InputData::StringsInMessage(_)) => {
                        ElementsView::Fixed(&[])
                    }
                },
            })
            .collect()
    }
}

fn strings_view(strings: &StringData) -> ElementsView<'_> {
    ElementsView::Strings {
        offsets: strings.offsets(),
        bytes: strings.bytes(),
    }
}

/// What is checked of tensors.
pub(super) fn checkable<'a>(tensors: &'a [TensorView<'a>]) -> Vec<InputView<'a>> {
    let views = tensors.iter().map(|tensor| InputView {
        name: tensor.name,
        dtype: tensor.dtype,
        shape: tensor.shape,
    });
    views.collect()
}

/// Tensors of a processor, lent.
pub(super) fn lent(tensors: &NamedTensors) -> Vec<TensorView<'_>> {
    let views = tensors.iter().map(|(name, tensor)| TensorView {
        name,
        dtype: tensor.dtype(),
        shape: tensor.shape(),
        data: match tensor.data() {
            TensorData::Fixed(elements) => ElementsView::Fixed(elements),
            TensorData::Strings(strings) => strings_view(strings),
        },
    });
    views.collect()
}

/// Outputs of a model, lent.
///
/// # Errors
/// `INTERNAL` for one that stayed elsewhere.
pub(super) fn lent_outputs(outputs: &[Output]) -> Result<Vec<TensorView<'_>>> {
    let views = outputs.iter().map(|output| {
        Ok(TensorView {
            name: &output.name,
            dtype: output.dtype,
            shape: &output.shape,
            data: match &output.data {
                OutputData::Fixed(bytes) => ElementsView::Fixed(bytes),
                OutputData::Strings(strings) => strings_view(strings),
                OutputData::Held(_) => {
                    return Err(Error::internal(format!(
                        "the output {} is not here",
                        output.name
                    )));
                }
            },
        })
    });
    views.collect()
}

/// Tensors of a processor as a model would give them.
pub(super) fn outputs(tensors: NamedTensors) -> Outputs {
    let outputs = tensors.into_iter().map(|(name, tensor)| {
        let (dtype, shape, data) = tensor.into_parts();
        let data = match data {
            TensorData::Fixed(elements) => {
                let bytes = elements.to_bytes();
                // Nobody else holds them then, so that they become a vector as they are.
                drop(elements);
                OutputData::Fixed(bytes.into())
            }
            TensorData::Strings(strings) => OutputData::Strings(strings),
        };
        Output {
            name,
            dtype,
            shape,
            data,
        }
    });
    outputs.collect()
}
