//! The JSON of an infer request: alone, or before the binary data of its inputs.

use tensorgate_types::{DType, Error, Result};

use super::reader::Reader;
use crate::grpc::source::Source;
use crate::inference::Range;
use crate::request::Values;
use crate::services::Message;
use crate::v2::raw::{Data, Tensor, elements, in_message, wrong_count};
use crate::v2::{
    MAX_DIMENSIONS, SIGNATURE_NAME, datatype, refuse_parameter, refuse_request_parameter,
};

/// An output that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    /// Whether it is to come as binary data; none for what the request says of all.
    pub(super) binary: Option<bool>,
}

/// What a request says.
#[derive(Debug, Default)]
pub(super) struct InferRequest<'a> {
    /// The `id` as it stands there, quotes included.
    pub(super) id: Option<&'a [u8]>,
    pub(super) signature: Option<String>,
    /// Whether outputs come as binary data where nothing else is said of them.
    pub(super) binary_outputs: bool,
    inputs: Option<Vec<Input<'a>>>,
    pub(super) outputs: Vec<Wanted>,
}

/// Where the elements of an input are.
#[derive(Debug)]
enum Elements<'a> {
    Values(Values),
    /// Not read yet, since what they are is said behind them.
    At(Reader<'a>),
}

#[derive(Debug, Default)]
struct Input<'a> {
    name: Option<String>,
    dtype: Option<DType>,
    shape: Option<Vec<i64>>,
    data: Option<Elements<'a>>,
    binary_size: Option<u64>,
}

impl<'a> InferRequest<'a> {
    pub(super) fn parse(json: &'a [u8]) -> Result<Self> {
        let mut request = Self::default();
        let mut reader = Reader::new(json);
        reader.object("the request", |reader, name| match name {
            b"id" => {
                request.id = Some(reader.string_token("'id'")?);
                Ok(())
            }
            b"parameters" => request.parameters(reader),
            b"inputs" => {
                let mut inputs = Vec::new();
                reader.array("'inputs'", |reader| {
                    inputs.push(Input::read(reader)?);
                    Ok(())
                })?;
                request.inputs = Some(inputs);
                Ok(())
            }
            b"outputs" => {
                request.outputs.clear();
                reader.array("'outputs'", |reader| {
                    request.outputs.push(Wanted::read(reader)?);
                    Ok(())
                })
            }
            _ => reader.skip(),
        })?;
        reader.end()?;
        Ok(request)
    }

    /// A request whose body is the input itself, as its answer's are.
    pub(super) fn without_json(signature: Option<String>) -> Self {
        Self {
            signature,
            binary_outputs: true,
            ..Self::default()
        }
    }

    fn parameters(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        reader.object("'parameters'", |reader, name| match name {
            b"signature_name" => {
                let what = format!("the parameter '{SIGNATURE_NAME}'");
                self.signature = Some(reader.string(&what)?);
                Ok(())
            }
            b"binary_data_output" => {
                self.binary_outputs = reader.boolean("the parameter 'binary_data_output'")?;
                Ok(())
            }
            other => {
                let is_set = reader.is_set()?;
                refuse_request_parameter(&String::from_utf8_lossy(other), is_set)
            }
        })
    }

    /// The inputs as tensors. The binary data of those that have some begins at `binary` and goes
    /// to the end of the message.
    pub(super) fn tensors(
        &mut self,
        binary: u64,
        source: &mut Source<'_, impl Message>,
    ) -> Result<Vec<Tensor>> {
        let inputs = self.inputs.take().ok_or_else(|| {
            Error::invalid_argument("the request has no 'inputs': expected an array")
        })?;
        let mut position = binary;
        let mut tensors = Vec::with_capacity(inputs.len());
        for input in inputs {
            tensors.push(input.tensor(&mut position, source)?);
        }
        if position < source.length() {
            return Err(Error::invalid_argument(format!(
                "{} bytes lie behind the JSON ({binary} bytes) and the binary data of the inputs \
                 ({} bytes): expected none",
                source.length() - position,
                position - binary
            )));
        }
        Ok(tensors)
    }
}

impl Wanted {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (mut known, mut binary) = (None, None);
        reader.object("an output that is asked for", |reader, name| match name {
            b"name" => {
                known = Some(reader.string("the name of an output")?);
                Ok(())
            }
            b"parameters" => reader.object("the parameters of an output", |reader, name| {
                if name == b"binary_data" {
                    binary = Some(reader.boolean("the parameter 'binary_data'")?);
                    return Ok(());
                }
                reader.skip()?;
                refuse_parameter(&String::from_utf8_lossy(name))
            }),
            _ => reader.skip(),
        })?;
        let name = known
            .ok_or_else(|| Error::invalid_argument("an output that is asked for has no 'name'"))?;
        Ok(Self { name, binary })
    }
}

impl<'a> Input<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let mut input = Self::default();
        reader.object("an input", |reader, name| match name {
            b"name" => {
                input.name = Some(reader.string("the name of an input")?);
                Ok(())
            }
            b"datatype" => {
                let what = format!("the datatype of the input '{}'", input.shown());
                let text = reader.string(&what)?;
                input.dtype = Some(datatype::parse(&text, input.shown())?);
                Ok(())
            }
            b"shape" => input.read_shape(reader),
            b"data" => input.read_data(reader),
            b"parameters" => input.read_parameters(reader),
            _ => reader.skip(),
        })?;
        Ok(input)
    }

    fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn read_shape(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        let what = format!("the shape of the input '{}'", self.shown());
        let mut shape = Vec::new();
        reader.array(&what, |reader| {
            if shape.len() == MAX_DIMENSIONS {
                return Err(Error::invalid_argument(format!(
                    "{what} has more than {MAX_DIMENSIONS} dimensions"
                )));
            }
            shape.push(reader.integer(&what)?);
            Ok(())
        })?;
        self.shape = Some(shape);
        Ok(())
    }

    fn read_data(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.data = Some(match self.dtype {
            Some(dtype) => Elements::Values(self.values(dtype, reader)?),
            None => {
                let start = *reader;
                reader.skip()?;
                Elements::At(start)
            }
        });
        Ok(())
    }

    fn values(&self, dtype: DType, reader: &mut Reader<'a>) -> Result<Values> {
        let what = (self.shown(), datatype::shown(dtype));
        // There is a buffer for every type that the protocol names.
        let mut values = Values::new(dtype)
            .ok_or_else(|| Error::internal(format!("no buffer for elements of {}", what.1)))?;
        reader.elements(&mut values, what)?;
        Ok(values)
    }

    fn read_parameters(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        reader.object("the parameters of an input", |reader, name| {
            if name == b"binary_data_size" {
                let size = reader.natural("the parameter 'binary_data_size'")?;
                self.binary_size = Some(size);
                return Ok(());
            }
            reader.skip()?;
            refuse_parameter(&String::from_utf8_lossy(name))
        })
    }

    /// The tensor. Binary data is taken from the message at `position`, which goes on behind it.
    fn tensor(
        mut self,
        position: &mut u64,
        source: &mut Source<'_, impl Message>,
    ) -> Result<Tensor> {
        let name = self
            .name
            .take()
            .ok_or_else(|| Error::invalid_argument("an input has no 'name'"))?;
        let missing =
            |what: &str| Error::invalid_argument(format!("the input '{name}' has no '{what}'"));
        let dtype = self.dtype.ok_or_else(|| missing("datatype"))?;
        let shape = self.shape.take().ok_or_else(|| missing("shape"))?;
        let expected = elements(&name, &shape)?;
        let data = match (self.data.take(), self.binary_size) {
            (None, None) => {
                return Err(Error::invalid_argument(format!(
                    "the input '{name}' has neither 'data' nor the parameter 'binary_data_size'"
                )));
            }
            (Some(_), Some(_)) => {
                return Err(Error::invalid_argument(format!(
                    "the input '{name}' has 'data' and the parameter 'binary_data_size': expected \
                     one of them"
                )));
            }
            (None, Some(size)) => {
                let left = source.length() - *position;
                if size > left {
                    return Err(Error::invalid_argument(format!(
                        "the input '{name}' says that it has {size} bytes of binary data, and \
                         {left} are left in the request"
                    )));
                }
                let range = Range {
                    offset: *position,
                    length: size,
                };
                *position += size;
                in_message((&name, dtype, &shape), range, source)?
            }
            (Some(elements), None) => {
                let values = match elements {
                    Elements::Values(values) => values,
                    Elements::At(mut reader) => {
                        self.name = Some(name.clone());
                        self.values(dtype, &mut reader)?
                    }
                };
                if values.len() as u64 != expected {
                    return Err(wrong_count(&name, &shape, expected, values.len()));
                }
                Data::Values(values)
            }
        };
        Ok(Tensor {
            name,
            dtype,
            shape,
            data,
        })
    }
}
