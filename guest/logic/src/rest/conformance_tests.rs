//! The table of cases against models that do what signatures.json says: what the original's own
//! tests say of JSON and tensors. The same table runs through the whole server in `tests/`.

use serde_json::Value;
use tensorgate_types::{
    DType, Error, ModelConfig, ModelSpec, ModelVersionStatus, Result, Settings, ShapeCheck,
    Signature, StringData, TensorInfo,
};

use super::*;
use crate::inference::{Call, Inference, Input, InputData, Model, Output, OutputData};
use crate::request::examples_tests::features;
use crate::services::LogEntry;

#[path = "../../../../tests/conformance/table.rs"]
mod table;

/// The features that `features` tells of.
const FEATURES: [&str; 6] = ["age", "ints", "location", "names", "query", "ratings"];

/// Does what the signatures say.
struct Table(Value);

fn dtype(name: &str) -> DType {
    (1..=23)
        .map(DType::from_number)
        .find(|dtype| dtype.to_string() == name)
        .unwrap_or_else(|| panic!("no type is called {name}"))
}

impl<'a> Inference for &'a Table {
    type Model = &'a Table;

    fn open(&self, _spec: &ModelSpec) -> Result<&'a Table> {
        Ok(self)
    }

    fn status(&self, _name: &str, _version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        Ok(vec![])
    }
}

impl Model for &Table {
    fn version(&self) -> i64 {
        1
    }

    fn signature(&self, name: &str) -> Option<(Signature, ShapeCheck)> {
        let wanted = self.0.get(name)?;
        let info = |dtype| TensorInfo {
            tensor_name: String::new(),
            dtype,
            shape: None,
            optional: false,
        };
        let method = wanted["method"].as_str().unwrap_or("predict");
        let inputs = wanted["inputs"].as_object()?;
        let outputs = wanted["outputs"].as_object()?;
        let signature = Signature {
            method_name: format!("tensorflow/serving/{method}"),
            inputs: inputs
                .iter()
                .map(|(name, value)| (name.clone(), info(dtype(value.as_str().unwrap()))))
                .collect(),
            outputs: outputs
                .iter()
                .map(|(name, recipe)| (name.clone(), info(type_of(recipe, inputs))))
                .collect(),
        };
        Some((signature, ShapeCheck::Lenient))
    }

    fn signature_defs(&self) -> Vec<(String, Vec<u8>)> {
        vec![]
    }

    fn run(&self, calls: &[Call<'_>], _hold_from: u64) -> Result<Vec<Vec<Output>>> {
        calls
            .iter()
            .map(|call| {
                let outputs = self.0[call.signature]["outputs"].as_object().unwrap();
                outputs
                    .iter()
                    .filter(|(name, _)| {
                        call.outputs.is_empty() || call.outputs.contains(&name.as_str())
                    })
                    .map(|(name, recipe)| make(name, recipe, call.inputs))
                    .collect()
            })
            .collect()
    }
}

/// The only member of an object.
fn recipe(value: &Value) -> (&str, &Value) {
    let (word, what) = value.as_object().unwrap().iter().next().unwrap();
    (word, what)
}

fn type_of(value: &Value, inputs: &serde_json::Map<String, Value>) -> DType {
    let of = |name: &Value| dtype(inputs[name.as_str().unwrap()].as_str().unwrap());
    match recipe(value) {
        ("same", what) => of(what),
        ("first", what) => of(&what[0]),
        ("size", _) => DType::INT32,
        ("features", _) => DType::STRING,
        (name, _) => dtype(name),
    }
}

fn input<'a>(inputs: &'a [Input<'a>], name: &Value) -> &'a Input<'a> {
    inputs.iter().find(|input| input.name == *name).unwrap()
}

fn make(name: &str, value: &Value, inputs: &[Input<'_>]) -> Result<Output> {
    let (dtype, shape, data) = match recipe(value) {
        ("same", what) => {
            let input = input(inputs, what);
            (input.dtype, input.shape.to_vec(), own(input)?)
        }
        ("first", what) => {
            let input = input(inputs, &what[0]);
            let OutputData::Fixed(mut bytes) = own(input)? else {
                panic!("only numbers are cut");
            };
            let mut shape = input.shape.to_vec();
            let rows = what[1].as_i64().unwrap();
            bytes.truncate(bytes.len() / shape[0] as usize * rows as usize);
            shape[0] = rows;
            (input.dtype, shape, OutputData::Fixed(bytes))
        }
        ("size", what) => {
            let size: i64 = input(inputs, what).shape.iter().product();
            let bytes = (size as i32).to_le_bytes().to_vec();
            (DType::INT32, vec![], OutputData::Fixed(bytes))
        }
        ("complex64", what) => {
            let input = input(inputs, what);
            let OutputData::Fixed(bytes) = own(input)? else {
                panic!("only numbers are complex");
            };
            let bytes = OutputData::Fixed(vec![0; 2 * bytes.len()]);
            (DType::COMPLEX64, input.shape.to_vec(), bytes)
        }
        ("features", what) => {
            let examples = strings(input(inputs, what));
            let texts: Vec<String> = examples.iter().flat_map(|it| columns(it)).collect();
            let shape = vec![examples.len() as i64, FEATURES.len() as i64];
            (DType::STRING, shape, OutputData::Strings(joined(&texts)?))
        }
        (name, rows) => rows_of(name, rows, inputs[0].shape[0] as usize)?,
    };
    Ok(Output {
        name: name.to_owned(),
        dtype,
        shape,
        data,
    })
}

/// The first `count` of the rows that the table has.
fn rows_of(name: &str, rows: &Value, count: usize) -> Result<(DType, Vec<i64>, OutputData)> {
    let rows = &rows.as_array().unwrap()[..count];
    let width = rows[0].as_array().unwrap().len();
    let shape = vec![count as i64, width as i64];
    let cells = rows.iter().flat_map(|row| row.as_array().unwrap());
    if name == "string" {
        let texts: Vec<String> = cells
            .map(|cell| cell.as_str().unwrap().to_owned())
            .collect();
        return Ok((DType::STRING, shape, OutputData::Strings(joined(&texts)?)));
    }
    let number = |cell: &Value| match cell {
        Value::String(text) => text.parse::<f32>().unwrap(),
        cell => cell.as_f64().unwrap() as f32,
    };
    let bytes = cells.flat_map(|cell| number(cell).to_le_bytes()).collect();
    Ok((DType::FLOAT, shape, OutputData::Fixed(bytes)))
}

fn own(input: &Input<'_>) -> Result<OutputData> {
    Ok(match input.data {
        InputData::Fixed(bytes) => OutputData::Fixed(bytes.to_vec()),
        InputData::Strings { offsets, bytes } => {
            OutputData::Strings(StringData::new(offsets.to_vec(), bytes.to_vec().into())?)
        }
        _ => return Err(Error::internal("there is no message")),
    })
}

fn strings<'a>(input: &Input<'a>) -> Vec<&'a [u8]> {
    let InputData::Strings { offsets, bytes } = input.data else {
        panic!("examples are strings");
    };
    let cut = |ends: &[u64]| &bytes[ends[0] as usize..ends[1] as usize];
    offsets.windows(2).map(cut).collect()
}

fn joined(texts: &[String]) -> Result<StringData> {
    let mut offsets = vec![0];
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(text.as_bytes());
        offsets.push(bytes.len() as u64);
    }
    StringData::new(offsets, bytes.into())
}

/// What TensorFlow says of an example: of two features with the same name the last one counts.
fn columns(example: &[u8]) -> Vec<String> {
    let found = features(example);
    let column = |name: &&str| {
        let feature = found.iter().rev().find(|feature| feature.name == **name);
        let values = feature.map(|feature| feature.values.join("|"));
        format!("{name}: {}", values.unwrap_or_default())
    };
    FEATURES.iter().map(column).collect()
}

impl Services for &Table {
    fn settings(&self) -> Settings {
        Settings::default()
    }

    fn reload(
        &self,
        _models: Option<Vec<ModelConfig>>,
        _metric_names: &[String],
    ) -> Result<Vec<(String, i64)>> {
        Ok(vec![])
    }

    fn log_sampled(&self, _model: &str) -> bool {
        false
    }

    fn log(&self, _entry: LogEntry) {}
}

#[test]
fn every_case_of_the_table_is_answered() {
    let signatures = include_str!("../../../../tests/conformance/signatures.json");
    let model = Table(serde_json::from_str(signatures).unwrap());
    let cases = table::cases();
    assert!(cases.len() > 80, "the table was not read");
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let request = Request {
                method: "POST",
                path: &format!("/v1/models/conformance:{}", case.api),
                headers: &[],
                body: case.body.as_bytes(),
            };
            let (response, _) = handle(&request, &&model);
            let answer = String::from_utf8_lossy(&response.body);
            case.check(response.status, &answer).err()
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
