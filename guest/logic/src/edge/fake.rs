//! A host far away and a processor here, for tests: each says and does what a test chooses, and
//! writes down what it was asked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use tensorgate_types::processing::{Description, GivenData, GivenTensor, NamedInfo};
use tensorgate_types::{
    DType, Error, ErrorCode, ModelSpec, ModelVersionStatus, Result, ServableState, ShapeCheck,
    Signature, StringData, VersionChoice,
};

use super::{
    Answer, Context, CoveredSignature, ElementsView, Far, FarCall, FarModel, FarReply, Given,
    Payload, Processor, Step, Subject, TensorView,
};
use crate::fake::fixed;
use crate::inference::{Output, OutputData, Reply};

/// A run as it arrived at the host, in words: `bare predict serving_default x=float[2] -> y`.
pub(super) fn told(bare: bool, call: &FarCall<'_>) -> String {
    let payload = match call.payload {
        Payload::Tensors(tensors) => shown(tensors),
        Payload::Body {
            content_type,
            bytes,
        } => format!("{content_type} {}", String::from_utf8_lossy(bytes)),
    };
    let way = if bare { "bare" } else { "seen" };
    let accept = call.accept.map(|accept| format!(" accept {accept}"));
    format!(
        "{way} {} {} {payload} -> {}{}",
        call.api,
        call.signature,
        call.outputs.join(","),
        accept.unwrap_or_default()
    )
}

/// Tensors in words.
pub(super) fn shown(tensors: &[TensorView<'_>]) -> String {
    let shown = tensors.iter().map(|tensor| {
        let data = match tensor.data {
            ElementsView::Fixed(bytes) => format!("{bytes:?}"),
            ElementsView::Strings { offsets, bytes } => {
                let bytes = bytes.to_vec().into();
                let strings = StringData::new(offsets.to_vec(), bytes).unwrap();
                let strings = strings.iter().map(String::from_utf8_lossy);
                format!("{:?}", strings.collect::<Vec<_>>())
            }
        };
        format!("{}={}{:?}{data}", tensor.name, tensor.dtype, tensor.shape)
    });
    shown.collect::<Vec<_>>().join(" ")
}

type RunFn = Box<dyn Fn(&FarCall<'_>) -> Result<FarReply>>;

/// The host: the model `m`, whose version a test may change.
pub(super) struct FakeFar {
    pub(super) version: Cell<i64>,
    pub(super) signatures: BTreeMap<String, Signature>,
    pub(super) shapes: ShapeCheck,
    pub(super) covered: Vec<CoveredSignature>,
    pub(super) run: RunFn,
    /// Runs fail so often with `ABORTED`.
    pub(super) aborts: Cell<u32>,
    pub(super) opened: RefCell<Vec<String>>,
    pub(super) runs: RefCell<Vec<String>>,
}

impl Default for FakeFar {
    fn default() -> Self {
        Self {
            version: Cell::new(3),
            signatures: BTreeMap::new(),
            shapes: ShapeCheck::Lenient,
            covered: Vec::new(),
            run: Box::new(|_| Ok(numbers(&[("y", 2.5)]))),
            aborts: Cell::new(0),
            opened: RefCell::default(),
            runs: RefCell::default(),
        }
    }
}

/// A reply of one float each, of version 3.
pub(super) fn numbers(outputs: &[(&str, f32)]) -> FarReply {
    let outputs = outputs.iter();
    let outputs = outputs.map(|(name, value)| fixed(name, DType::FLOAT, &[1], &[*value]));
    FarReply {
        reply: Reply::Tensors(outputs.collect()),
        version: 3,
    }
}

pub(super) struct FakeFarModel<'a> {
    far: &'a FakeFar,
    version: i64,
    bare: bool,
}

impl<'a> Far for &'a FakeFar {
    type Model = FakeFarModel<'a>;

    fn open(&self, spec: &ModelSpec) -> Result<Self::Model> {
        self.opened.borrow_mut().push(format!("seen {spec}"));
        self.model(spec, false)
    }

    fn open_bare(&self, spec: &ModelSpec) -> Result<Self::Model> {
        self.opened.borrow_mut().push(format!("bare {spec}"));
        self.model(spec, true)
    }

    fn status(&self, name: &str, _version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        if name != "m" {
            return Err(Error::unavailable("the host is away"));
        }
        Ok(vec![ModelVersionStatus {
            version: self.version.get(),
            state: ServableState::Available,
            status: Ok(()),
        }])
    }
}

impl FakeFar {
    fn model(&self, spec: &ModelSpec, bare: bool) -> Result<FakeFarModel<'_>> {
        let version = self.version.get();
        let is_there = match spec.version {
            VersionChoice::Specific(asked) => asked == version,
            VersionChoice::Latest | VersionChoice::Label(_) => true,
        };
        if spec.name != "m" || !is_there {
            return Err(Error::not_found(format!(
                "Servable not found for request: {spec}"
            )));
        }
        Ok(FakeFarModel {
            far: self,
            version,
            bare,
        })
    }
}

impl FarModel for FakeFarModel<'_> {
    fn version(&self) -> i64 {
        self.version
    }

    fn signature(&self, name: &str) -> Option<(Signature, ShapeCheck)> {
        let mut covered = self.far.covered.iter();
        let covered = covered.find(|covered| covered.name == name && !self.bare);
        let signature = covered.map(|covered| &covered.signature);
        let signature = signature.or_else(|| self.far.signatures.get(name))?;
        Some((signature.clone(), self.far.shapes))
    }

    fn signature_defs(&self) -> Vec<(String, Vec<u8>)> {
        let names = self.far.signatures.keys();
        names.map(|name| (name.clone(), vec![])).collect()
    }

    fn covered(&self) -> Vec<CoveredSignature> {
        if self.bare {
            return Vec::new();
        }
        self.far.covered.clone()
    }

    fn run(&self, call: &FarCall<'_>) -> Result<FarReply> {
        self.far.runs.borrow_mut().push(told(self.bare, call));
        if let Some(left) = self.far.aborts.get().checked_sub(1) {
            self.far.aborts.set(left);
            let code = ErrorCode::Aborted;
            return Err(Error::new(code, "version 3 is gone"));
        }
        (self.far.run)(call)
    }
}

type DescribeFn = Box<dyn Fn(&Subject<'_>) -> Result<Vec<Description>>>;
type PreprocessFn = Box<dyn Fn(&Context<'_>, &Payload<'_>) -> Result<Step>>;
type PostprocessFn = Box<dyn Fn(&Context<'_>, &[TensorView<'_>]) -> Result<Answer>>;

/// A processor: for those of tensors it makes the length of a text the model's `x`, and `y` twice
/// as large; for others it answers with words.
pub(super) struct FakeProcessor {
    pub(super) describe: DescribeFn,
    pub(super) preprocess: PreprocessFn,
    pub(super) postprocess: PostprocessFn,
    pub(super) asked: RefCell<Vec<String>>,
}

impl Default for FakeProcessor {
    fn default() -> Self {
        Self {
            describe: Box::new(|_| Ok(vec![])),
            preprocess: Box::new(|_, _| Ok(run_with(&[("x", 7.0)]))),
            postprocess: Box::new(|_, outputs| {
                let outputs = outputs.iter();
                let given = outputs.map(|output| (output.name.to_owned(), given_of(output)));
                Ok(tensors(given.collect()))
            }),
            asked: RefCell::default(),
        }
    }
}

impl Processor for FakeProcessor {
    fn describe(&self, subject: &Subject<'_>) -> Result<Vec<Description>> {
        let names: Vec<&str> = subject.signatures.keys().map(String::as_str).collect();
        self.asked.borrow_mut().push(format!(
            "describe {} {} {}",
            subject.model,
            subject.version,
            names.join(",")
        ));
        (self.describe)(subject)
    }

    fn preprocess(&self, context: &Context<'_>, request: Payload<'_>) -> Result<Step> {
        let payload = match request {
            Payload::Tensors(tensors) => shown(tensors),
            Payload::Body {
                content_type,
                bytes,
            } => format!("{content_type} {}", String::from_utf8_lossy(bytes)),
        };
        self.write_down("preprocess", context, &payload);
        (self.preprocess)(context, &request)
    }

    fn postprocess(&self, context: &Context<'_>, outputs: &[TensorView<'_>]) -> Result<Answer> {
        self.write_down("postprocess", context, &shown(outputs));
        (self.postprocess)(context, outputs)
    }
}

impl FakeProcessor {
    fn write_down(&self, call: &str, context: &Context<'_>, payload: &str) {
        let Context {
            model,
            version,
            signature,
            outputs,
            properties,
        } = context;
        let properties: Vec<String> = properties
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        self.asked.borrow_mut().push(format!(
            "{call} {model} {version} {signature} {outputs:?} {} {payload}",
            properties.join(" ")
        ));
    }
}

// --- What processors give ---

pub(super) fn given(value: f32) -> GivenTensor {
    GivenTensor {
        dtype: DType::FLOAT.number(),
        shape: vec![1],
        data: GivenData::Fixed(value.to_le_bytes().to_vec().into()),
    }
}

fn given_of(tensor: &TensorView<'_>) -> GivenTensor {
    GivenTensor {
        dtype: tensor.dtype.number(),
        shape: tensor.shape.to_vec(),
        data: match tensor.data {
            ElementsView::Fixed(bytes) => GivenData::Fixed(bytes.to_vec().into()),
            ElementsView::Strings { offsets, bytes } => GivenData::Strings {
                offsets: offsets.to_vec(),
                bytes: bytes.to_vec().into(),
            },
        },
    }
}

/// The model's default signature is run with floats.
pub(super) fn run_with(inputs: &[(&str, f32)]) -> Step {
    let inputs = inputs.iter();
    let inputs = inputs.map(|(name, value)| ((*name).to_owned(), given(*value)));
    Step::Run {
        signature: "serving_default".to_owned(),
        inputs: inputs.collect(),
        outputs: vec![],
    }
}

pub(super) fn tensors(tensors: Vec<(String, GivenTensor)>) -> Answer {
    Answer {
        payload: Given::Tensors(tensors),
        version: None,
    }
}

pub(super) fn body(content_type: &str, text: &str) -> Answer {
    Answer {
        payload: Given::Body {
            content_type: content_type.to_owned(),
            bytes: text.as_bytes().to_vec(),
        },
        version: None,
    }
}

/// A signature that is described as the model has it.
pub(super) fn describing(name: &str) -> Description {
    Description {
        signature_name: name.to_owned(),
        ..Description::default()
    }
}

/// A signature that takes one text.
pub(super) fn describing_text(name: &str) -> Description {
    Description {
        inputs: Some(vec![NamedInfo {
            name: "text".to_owned(),
            dtype: DType::STRING.number(),
            shape: Some(vec![-1]),
            optional: false,
        }]),
        ..describing(name)
    }
}

/// The bytes of an output.
pub(super) fn bytes_of(output: &Output) -> Vec<u8> {
    match &output.data {
        OutputData::Fixed(bytes) => bytes.clone(),
        other => panic!("{other:?}"),
    }
}
