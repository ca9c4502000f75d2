//! A house for tests: one model, `m`, version 3, whose signatures and answers a test chooses, and
//! every service beside it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tensorgate_types::{
    DType, Error, ModelConfig, ModelSpec, ModelVersionStatus, Result, ServableState, Settings,
    ShapeCheck, Signature, StringData, TensorInfo, VersionChoice,
};

use crate::inference::{Call, Hosted, Inference, InputData, Model, Output, OutputData, Range};
use crate::services::{Chunk, LogEntry, MAX_READ, Message, Services};

/// An input as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<i64>,
    /// One entry for numbers, one each for strings.
    pub(crate) data: Vec<Vec<u8>>,
}

/// A call as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Called {
    pub(crate) signature: String,
    pub(crate) inputs: Vec<Given>,
    pub(crate) outputs: Vec<String>,
}

type AnswerFn = Box<dyn Fn(&Called) -> Result<Vec<Output>>>;
type ReloadFn = Box<dyn Fn(Option<Vec<ModelConfig>>, &[String]) -> Result<Vec<(String, i64)>>>;

/// The house.
pub(crate) struct Fake {
    pub(crate) signatures: BTreeMap<String, Signature>,
    pub(crate) defs: Vec<(String, Vec<u8>)>,
    pub(crate) settings: Settings,
    pub(crate) message: Vec<u8>,
    pub(crate) head: usize,
    pub(crate) answer: AnswerFn,
    pub(crate) reload: ReloadFn,
    pub(crate) is_sampled: bool,
    /// What the house lists.
    pub(crate) models: Option<Vec<String>>,
    /// One entry per run.
    pub(crate) runs: RefCell<Vec<Vec<Called>>>,
    pub(crate) logs: RefCell<Vec<LogEntry>>,
    pub(crate) held: RefCell<Vec<Vec<u8>>>,
    /// What runs were said to be for.
    pub(crate) called_as: RefCell<Vec<String>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            signatures: BTreeMap::new(),
            defs: Vec::new(),
            settings: Settings::default(),
            message: Vec::new(),
            head: 64 << 10,
            answer: Box::new(echo),
            reload: Box::new(|_, _| Ok(vec![])),
            is_sampled: false,
            models: None,
            runs: RefCell::default(),
            logs: RefCell::default(),
            held: RefCell::default(),
            called_as: RefCell::default(),
        }
    }
}

/// Answers with the inputs under their own names.
pub(crate) fn echo(call: &Called) -> Result<Vec<Output>> {
    Ok(call
        .inputs
        .iter()
        .map(|input| Output {
            name: input.name.clone(),
            dtype: input.dtype,
            shape: input.shape.clone(),
            data: if input.dtype == DType::STRING {
                OutputData::Strings(input.data.iter().collect())
            } else {
                OutputData::Fixed(input.data[0].clone())
            },
        })
        .collect())
}

/// An output of numbers.
pub(crate) fn fixed<T: bytemuck::NoUninit>(
    name: &str,
    dtype: DType,
    shape: &[i64],
    values: &[T],
) -> Output {
    Output {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
        data: OutputData::Fixed(bytemuck::cast_slice(values).to_vec()),
    }
}

/// An output of strings.
pub(crate) fn strings(name: &str, shape: &[i64], values: &[&str]) -> Output {
    Output {
        name: name.to_owned(),
        dtype: DType::STRING,
        shape: shape.to_vec(),
        data: OutputData::Strings(values.iter().collect::<StringData>()),
    }
}

/// A signature; names that end with `?` are optional.
pub(crate) fn signature(
    method: &str,
    inputs: &[(&str, DType)],
    outputs: &[(&str, DType)],
) -> Signature {
    let info = |(name, dtype): &(&str, DType)| {
        let info = TensorInfo {
            tensor_name: String::new(),
            dtype: *dtype,
            shape: None,
            optional: name.ends_with('?'),
        };
        (name.trim_end_matches('?').to_owned(), info)
    };
    Signature {
        method_name: method.to_owned(),
        inputs: inputs.iter().map(info).collect(),
        outputs: outputs.iter().map(info).collect(),
    }
}

impl Fake {
    /// What the host would make of chunks.
    pub(crate) fn assemble(&self, chunks: &[Chunk]) -> Vec<u8> {
        let mut out = Vec::new();
        for chunk in chunks {
            match chunk {
                Chunk::Bytes(bytes) => out.extend_from_slice(bytes),
                Chunk::InMessage(part) => out.extend(self.part(*part)),
                Chunk::Held(held) => out.extend_from_slice(&self.held.borrow()[*held as usize]),
            }
        }
        out
    }

    fn part(&self, part: Range) -> Vec<u8> {
        let start = usize::try_from(part.offset).unwrap();
        self.message[start..start + usize::try_from(part.length).unwrap()].to_vec()
    }

    fn take(&self, call: &Call<'_>) -> Called {
        let inputs = call.inputs.iter().map(|input| Given {
            name: input.name.to_owned(),
            dtype: input.dtype,
            shape: input.shape.to_vec(),
            data: match input.data {
                InputData::Fixed(bytes) => vec![bytes.to_vec()],
                InputData::Strings { offsets, bytes } => {
                    let bytes = bytes.to_vec().into();
                    let strings = StringData::new(offsets.to_vec(), bytes).unwrap();
                    strings.iter().map(<[u8]>::to_vec).collect()
                }
                InputData::InMessage(part) => vec![self.part(part)],
                InputData::StringsInMessage(parts) => {
                    parts.iter().map(|part| self.part(*part)).collect()
                }
            },
        });
        Called {
            signature: call.signature.to_owned(),
            inputs: inputs.collect(),
            outputs: call.outputs.iter().map(ToString::to_string).collect(),
        }
    }

    fn hold(&self, mut output: Output, hold_from: u64) -> Output {
        if let OutputData::Fixed(bytes) = &output.data
            && bytes.len() as u64 >= hold_from
        {
            let mut held = self.held.borrow_mut();
            held.push(bytes.clone());
            output.data = OutputData::Held(held.len() as u32 - 1);
        }
        output
    }
}

impl Message for Fake {
    fn length(&self) -> u64 {
        self.message.len() as u64
    }

    fn head(&self) -> &[u8] {
        &self.message[..self.head.min(self.message.len())]
    }

    fn read(&self, part: Range) -> Result<Vec<u8>> {
        assert!(part.length <= MAX_READ, "{part:?}");
        assert!(part.offset + part.length <= self.length(), "{part:?}");
        Ok(self.part(part))
    }
}

/// The model of a [`Fake`].
pub(crate) struct FakeModel<'a>(pub(crate) &'a Fake);

impl<'a> Inference for &'a Fake {
    type Model = FakeModel<'a>;

    fn open(&self, spec: &ModelSpec) -> Result<FakeModel<'a>> {
        match (&*spec.name, &spec.version) {
            ("m", VersionChoice::Latest | VersionChoice::Specific(3)) => Ok(FakeModel(self)),
            ("m", VersionChoice::Label(label)) if label == "stable" => Ok(FakeModel(self)),
            (_, VersionChoice::Label(label)) => Err(Error::invalid_argument(format!(
                "Unrecognized servable version label: {label}"
            ))),
            _ => Err(Error::not_found(format!(
                "Servable not found for request: {spec}"
            ))),
        }
    }

    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        let of = |version, state, status| ModelVersionStatus {
            version,
            state,
            status,
        };
        let failed = (
            tensorgate_types::ErrorCode::NotFound,
            "no \"saved_model.pb\"".to_owned(),
        );
        Ok([
            of(3, ServableState::Available, Ok(())),
            of(4, ServableState::End, Err(failed)),
        ]
        .into_iter()
        .filter(|status| name == "m" && version.is_none_or(|wanted| wanted == status.version))
        .collect())
    }
}

impl Services for &Fake {
    fn settings(&self) -> Settings {
        self.settings
    }

    fn reload(
        &self,
        models: Option<Vec<ModelConfig>>,
        metric_names: &[String],
    ) -> Result<Vec<(String, i64)>> {
        (self.reload)(models, metric_names)
    }

    fn models(&self) -> Option<Vec<String>> {
        self.models.clone()
    }

    fn log_sampled(&self, _model: &str) -> bool {
        self.is_sampled
    }

    fn log(&self, entry: LogEntry) {
        self.logs.borrow_mut().push(entry);
    }
}

impl Hosted for FakeModel<'_> {
    fn bare(&self) -> Self {
        FakeModel(self.0)
    }

    fn digest(&self) -> String {
        "d3".to_owned()
    }
}

impl Model for FakeModel<'_> {
    fn version(&self) -> i64 {
        3
    }

    fn signature(&self, name: &str) -> Option<(Signature, ShapeCheck)> {
        let signature = self.0.signatures.get(name)?;
        Some((signature.clone(), ShapeCheck::Lenient))
    }

    fn signature_defs(&self) -> Vec<(String, Vec<u8>)> {
        self.0.defs.clone()
    }

    fn called_as(&self, api: &str) {
        self.0.called_as.borrow_mut().push(api.to_owned());
    }

    fn run(&self, calls: &[Call<'_>], hold_from: u64) -> Result<Vec<Vec<Output>>> {
        let calls: Vec<_> = calls.iter().map(|call| self.0.take(call)).collect();
        let answers = calls.iter().map(|call| {
            let outputs = (self.0.answer)(call)?;
            Ok(outputs
                .into_iter()
                .filter(|output| call.outputs.is_empty() || call.outputs.contains(&output.name))
                .map(|output| self.0.hold(output, hold_from))
                .collect())
        });
        let answers = answers.collect();
        self.0.runs.borrow_mut().push(calls);
        answers
    }
}
