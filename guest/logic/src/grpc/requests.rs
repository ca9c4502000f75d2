//! The requests that may be large, field by field: only what is small is taken in.

use std::collections::BTreeMap;

use tensorgate_types::{DEFAULT_SIGNATURE, ModelSpec, Result, VersionChoice};

use super::parts::TensorParts;
use super::source::Source;
use super::tensor::{Bad, Tensor, decode};
use super::wire::{Cursor, Decoded, Value};
use crate::examples::Examples;
use crate::inference::Range;
use crate::services::Message;

/// What an entry of a map costs beside its name, so that a message of empty ones stays small.
const ENTRY_COST: u64 = 512;

/// `ModelSpec`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) version: VersionChoice,
    /// Empty for the default.
    pub(super) signature_name: String,
}

impl Spec {
    pub(super) fn model(&self) -> ModelSpec {
        ModelSpec {
            name: self.name.clone(),
            version: self.version.clone(),
        }
    }

    pub(super) fn signature(&self) -> &str {
        if self.signature_name.is_empty() {
            DEFAULT_SIGNATURE
        } else {
            &self.signature_name
        }
    }

    fn merge(&mut self, mut place: Cursor, source: &mut Source<'_, impl Message>) -> Decoded<()> {
        while let Some((number, value)) = place.next(source)? {
            match (number, value) {
                (1, Value::Part(name)) => self.name = name.string(source)?,
                (2, Value::Part(mut wrapper)) => {
                    let mut version = match self.version {
                        VersionChoice::Specific(version) => version,
                        VersionChoice::Latest | VersionChoice::Label(_) => 0,
                    };
                    while let Some((number, value)) = wrapper.next(source)? {
                        if let (1, Value::Varint(value)) = (number, value) {
                            version = value.cast_signed();
                        }
                    }
                    self.version = VersionChoice::Specific(version);
                }
                (3, Value::Part(name)) => self.signature_name = name.string(source)?,
                (4, Value::Part(label)) => {
                    self.version = VersionChoice::Label(label.string(source)?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// `PredictRequest`.
#[derive(Debug, Default)]
pub(super) struct PredictRequest {
    pub(super) spec: Option<Spec>,
    pub(super) inputs: BTreeMap<String, std::result::Result<Tensor, Bad>>,
    pub(super) output_filter: Vec<String>,
}

impl PredictRequest {
    pub(super) const NAME: &'static str = "tensorflow.serving.PredictRequest";

    pub(super) fn decode(source: &mut Source<'_, impl Message>) -> Decoded<Self> {
        let mut request = Self::default();
        let mut inputs: BTreeMap<String, TensorParts> = BTreeMap::new();
        let mut fields = Cursor::whole(source);
        while let Some((number, value)) = fields.next(source)? {
            match (number, value) {
                (1, Value::Part(spec)) => {
                    let known = request.spec.get_or_insert_default();
                    known.merge(spec, source)?;
                }
                (2, Value::Part(entry)) => {
                    source.take(ENTRY_COST)?;
                    let (alias, parts) = Self::entry(entry, source)?;
                    // The last of two entries with one name wins as a whole.
                    inputs.insert(alias, parts);
                }
                (3, Value::Part(alias)) => {
                    source.take(size_of::<String>() as u64)?;
                    request.output_filter.push(alias.string(source)?);
                }
                _ => {}
            }
        }
        for (alias, mut parts) in inputs {
            let tensor = decode(&mut parts, source)?;
            request.inputs.insert(alias, tensor);
        }
        Ok(request)
    }

    fn entry(
        mut place: Cursor,
        source: &mut Source<'_, impl Message>,
    ) -> Decoded<(String, TensorParts)> {
        let (mut alias, mut parts) = (String::new(), TensorParts::default());
        while let Some((number, value)) = place.next(source)? {
            match (number, value) {
                (1, Value::Part(key)) => alias = key.string(source)?,
                (2, Value::Part(tensor)) => parts.merge(tensor, source)?,
                _ => {}
            }
        }
        Ok((alias, parts))
    }
}

/// `Input`: examples, where they lie.
#[derive(Debug, Clone, Default)]
pub(super) struct ExampleInput {
    /// The field of the oneof: 1 without a context, 2 with one.
    kind: u32,
    examples: Vec<Range>,
    context: Vec<Range>,
}

impl ExampleInput {
    fn merge(&mut self, mut place: Cursor, source: &mut Source<'_, impl Message>) -> Decoded<()> {
        while let Some((number, value)) = place.next(source)? {
            let (1 | 2, Value::Part(mut list)) = (number, value) else {
                continue;
            };
            if self.kind != number {
                *self = Self {
                    kind: number,
                    ..Self::default()
                };
            }
            while let Some((number, value)) = list.next(source)? {
                let into = match (number, value) {
                    (1, Value::Part(_)) => &mut self.examples,
                    (2, Value::Part(_)) if self.kind == 2 => &mut self.context,
                    _ => continue,
                };
                if let Value::Part(part) = value {
                    source.take(size_of::<Range>() as u64)?;
                    into.push(part.into());
                }
            }
        }
        Ok(())
    }

    /// The examples as a model takes them. Without a context they stay where they are.
    pub(super) fn into_examples(self, source: &mut Source<'_, impl Message>) -> Result<Examples> {
        let context: u64 = self.context.iter().map(|part| part.length).sum();
        if context == 0 {
            return Ok(Examples::InMessage(self.examples));
        }
        let own: u64 = self.examples.iter().map(|part| part.length).sum();
        let all = context
            .saturating_mul(self.examples.len() as u64)
            .saturating_add(own);
        source.take(all.saturating_add(context))?;
        let mut before = Vec::with_capacity(context as usize);
        for part in self.context {
            source.append(part, &mut before)?;
        }
        // Within the budget, so within memory.
        let mut bytes = Vec::with_capacity(all as usize);
        let mut offsets = vec![0];
        for example in self.examples {
            bytes.extend_from_slice(&before);
            source.append(example, &mut bytes)?;
            offsets.push(bytes.len() as u64);
        }
        Ok(Examples::Bytes { offsets, bytes })
    }
}

/// `ClassificationRequest` and `RegressionRequest`, which look alike.
#[derive(Debug, Default)]
pub(super) struct ExampleRequest {
    pub(super) spec: Option<Spec>,
    pub(super) input: ExampleInput,
}

impl ExampleRequest {
    pub(super) fn decode(source: &mut Source<'_, impl Message>) -> Decoded<Self> {
        let mut request = Self::default();
        let mut fields = Cursor::whole(source);
        while let Some((number, value)) = fields.next(source)? {
            match (number, value) {
                (1, Value::Part(spec)) => {
                    let known = request.spec.get_or_insert_default();
                    known.merge(spec, source)?;
                }
                (2, Value::Part(input)) => request.input.merge(input, source)?,
                _ => {}
            }
        }
        Ok(request)
    }
}

/// `InferenceTask`.
#[derive(Debug, Default)]
pub(super) struct Task {
    pub(super) spec: Spec,
    pub(super) method_name: String,
}

/// `MultiInferenceRequest`.
#[derive(Debug, Default)]
pub(super) struct MultiRequest {
    pub(super) tasks: Vec<Task>,
    pub(super) input: ExampleInput,
}

impl MultiRequest {
    pub(super) const NAME: &'static str = "tensorflow.serving.MultiInferenceRequest";

    pub(super) fn decode(source: &mut Source<'_, impl Message>) -> Decoded<Self> {
        let mut request = Self::default();
        let mut fields = Cursor::whole(source);
        while let Some((number, value)) = fields.next(source)? {
            match (number, value) {
                (1, Value::Part(task)) => {
                    source.take(ENTRY_COST)?;
                    request.tasks.push(Self::task(task, source)?);
                }
                (2, Value::Part(input)) => request.input.merge(input, source)?,
                _ => {}
            }
        }
        Ok(request)
    }

    fn task(mut place: Cursor, source: &mut Source<'_, impl Message>) -> Decoded<Task> {
        let mut task = Task::default();
        while let Some((number, value)) = place.next(source)? {
            match (number, value) {
                (1, Value::Part(spec)) => task.spec.merge(spec, source)?,
                (2, Value::Part(name)) => task.method_name = name.string(source)?,
                _ => {}
            }
        }
        Ok(task)
    }
}
