//! `ModelInferRequest`, field by field: only what is small is taken in.

use tensorgate_types::{DType, Error, Result};

use crate::grpc::source::Source;
use crate::grpc::wire::{Cursor, Decoded, Value};
use crate::inference::Range;
use crate::services::Message;
use crate::v2::contents::Contents;
use crate::v2::raw::{Data, Tensor, in_message};
use crate::v2::{
    MAX_DIMENSIONS, SIGNATURE_NAME, datatype, refuse_parameter, refuse_request_parameter,
};

/// What an input costs beside its name, so that a message of empty ones stays small.
const INPUT_COST: u64 = 512;

/// An input, its elements still in the message.
#[derive(Debug, Default)]
struct Input {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    has_too_many_dimensions: bool,
    contents: Contents,
    /// Why a parameter of it is not taken.
    refused: Option<Error>,
}

/// The request.
#[derive(Debug, Default)]
pub(super) struct InferRequest {
    pub(super) model: String,
    pub(super) version: String,
    pub(super) id: String,
    pub(super) signature: Option<String>,
    inputs: Vec<Input>,
    pub(super) outputs: Vec<String>,
    raw: Vec<Range>,
    refused: Option<Error>,
}

/// The value of an `InferParameter`, as far as it matters here.
enum Parameter {
    Text(String),
    /// Of another kind, and whether it says anything but false and 0.
    Other(bool),
}

impl InferRequest {
    pub(super) const NAME: &'static str = "inference.ModelInferRequest";

    pub(super) fn decode(source: &mut Source<'_, impl Message>) -> Decoded<Self> {
        let mut request = Self::default();
        let mut fields = Cursor::whole(source);
        while let Some((number, value)) = fields.next(source)? {
            let Value::Part(part) = value else {
                continue;
            };
            match number {
                1 => request.model = part.string(source)?,
                2 => request.version = part.string(source)?,
                3 => request.id = part.string(source)?,
                4 => request.parameter(part, source)?,
                5 => {
                    source.take(INPUT_COST)?;
                    let input = Input::decode(part, source)?;
                    request.inputs.push(input);
                }
                6 => request.output(part, source)?,
                7 => {
                    source.take(size_of::<Range>() as u64)?;
                    request.raw.push(part.into());
                }
                _ => {}
            }
        }
        Ok(request)
    }

    fn parameter(&mut self, entry: Cursor, source: &mut Source<'_, impl Message>) -> Decoded<()> {
        let (name, value) = parameter(entry, source)?;
        match value {
            Parameter::Text(text) if name == SIGNATURE_NAME => self.signature = Some(text),
            Parameter::Other(_) if name == SIGNATURE_NAME => {
                self.refuse(Err(Error::invalid_argument(format!(
                    "the parameter '{SIGNATURE_NAME}' is no string_param"
                ))));
            }
            Parameter::Text(text) => {
                self.refuse(refuse_request_parameter(&name, !text.is_empty()));
            }
            Parameter::Other(is_set) => self.refuse(refuse_request_parameter(&name, is_set)),
        }
        Ok(())
    }

    fn output(&mut self, mut part: Cursor, source: &mut Source<'_, impl Message>) -> Decoded<()> {
        source.take(size_of::<String>() as u64)?;
        let mut name = String::new();
        while let Some((number, value)) = part.next(source)? {
            match (number, value) {
                (1, Value::Part(text)) => name = text.string(source)?,
                (2, Value::Part(entry)) => {
                    let (name, _) = parameter(entry, source)?;
                    self.refuse(refuse_parameter(&name));
                }
                _ => {}
            }
        }
        self.outputs.push(name);
        Ok(())
    }

    /// Remembers the first thing that is not done.
    fn refuse(&mut self, parameter: Result<()>) {
        if let Err(error) = parameter {
            self.refused.get_or_insert(error);
        }
    }

    /// The inputs as tensors. The outer errors are those of the whole message.
    pub(super) fn tensors(
        &mut self,
        source: &mut Source<'_, impl Message>,
    ) -> Decoded<Result<Vec<Tensor>>> {
        if let Some(error) = self.refused.take() {
            return Ok(Err(error));
        }
        let inputs = std::mem::take(&mut self.inputs);
        if !self.raw.is_empty() && self.raw.len() != inputs.len() {
            return Ok(Err(Error::invalid_argument(format!(
                "the request has {} inputs and {} raw_input_contents: expected as many, or none",
                inputs.len(),
                self.raw.len()
            ))));
        }
        let mut tensors = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.into_iter().enumerate() {
            match input.tensor(self.raw.get(index).copied(), source)? {
                Ok(tensor) => tensors.push(tensor),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(tensors))
    }
}

impl Input {
    fn decode(mut part: Cursor, source: &mut Source<'_, impl Message>) -> Decoded<Self> {
        let mut input = Self::default();
        while let Some((number, value)) = part.next(source)? {
            match (number, value) {
                (1, Value::Part(name)) => input.name = name.string(source)?,
                (2, Value::Part(name)) => input.datatype = name.string(source)?,
                (3, Value::Varint(dim)) => input.dimension(dim),
                (3, Value::Part(mut packed)) => {
                    while packed.length() > 0 {
                        let dim = packed.varint(source)?;
                        input.dimension(dim);
                    }
                }
                (4, Value::Part(entry)) => {
                    let (name, _) = parameter(entry, source)?;
                    if let Err(error) = refuse_parameter(&name) {
                        input.refused.get_or_insert(error);
                    }
                }
                (5, Value::Part(contents)) => input.contents.add(contents, source)?,
                _ => {}
            }
        }
        Ok(input)
    }

    fn dimension(&mut self, dim: u64) {
        if self.shape.len() < MAX_DIMENSIONS {
            self.shape.push(dim.cast_signed());
        } else {
            self.has_too_many_dimensions = true;
        }
    }

    fn tensor(
        self,
        raw: Option<Range>,
        source: &mut Source<'_, impl Message>,
    ) -> Decoded<Result<Tensor>> {
        let dtype = match self.check(raw) {
            Ok(dtype) => dtype,
            Err(error) => return Ok(Err(error)),
        };
        let what = (&*self.name, dtype, &*self.shape);
        let data: Result<Data> = match raw {
            Some(range) => in_message(what, range, source),
            None => self.contents.decode(what, source)?,
        };
        Ok(data.map(|data| Tensor {
            name: self.name,
            dtype,
            shape: self.shape,
            data,
        }))
    }

    fn check(&self, raw: Option<Range>) -> Result<DType> {
        if let Some(error) = &self.refused {
            return Err(Error::new(error.code(), error.message()));
        }
        let name = &self.name;
        let invalid = |why: String| Err(Error::invalid_argument(why));
        if name.is_empty() {
            return invalid("an input has no name".to_owned());
        }
        if self.has_too_many_dimensions {
            return invalid(format!(
                "the input '{name}' has more than {MAX_DIMENSIONS} dimensions"
            ));
        }
        if raw.is_some() && self.contents.is_there() {
            return invalid(format!(
                "the input '{name}' has contents and raw_input_contents: expected one of them"
            ));
        }
        datatype::parse(&self.datatype, name)
    }
}

/// An entry of a map of parameters.
fn parameter(
    mut entry: Cursor,
    source: &mut Source<'_, impl Message>,
) -> Decoded<(String, Parameter)> {
    let (mut name, mut parameter) = (String::new(), Parameter::Other(false));
    while let Some((number, value)) = entry.next(source)? {
        match (number, value) {
            (1, Value::Part(key)) => name = key.string(source)?,
            (2, Value::Part(mut message)) => {
                while let Some((number, value)) = message.next(source)? {
                    match (number, value) {
                        (1 | 2 | 5, Value::Varint(value)) => {
                            parameter = Parameter::Other(value != 0);
                        }
                        (3, Value::Part(text)) => {
                            parameter = Parameter::Text(text.string(source)?);
                        }
                        (4, Value::Bits64) => parameter = Parameter::Other(true),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok((name, parameter))
}
